/**
 * `npm run check:package`: is the package that would be published a good one? Builds it, packs it, unpacks it into an empty project with
 * nothing installed but its own dependencies, and uses it there by import and by require. Slow (it builds), so no part of `npm test`.
 */
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { namespacePrefix } from '../support/root.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'
import { DEPENDENT, FILES, THREAD, USE } from './programs.ts'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const project = mkdtempSync(join(tmpdir(), 'tapstack-package-'))
const installed = join(project, 'node_modules', 'tapstack')
const problems: string[] = []

interface Manifest {
  version: string
  bin: Record<string, string>
  dependencies: Record<string, string>
  exports: Record<string, string | Record<'import' | 'require', { types: string; default: string }>>
}

function step(what: string, check: () => void): void {
  const before = problems.length
  try {
    check()
  } catch (error) {
    problems.push(`${what}: ${(error as Error).message}`)
  }
  console.log(`${problems.length === before ? 'ok' : 'NOT OK'}  ${what}`)
}

function expect(truth: boolean, what: string): void {
  if (!truth) throw new Error(what)
}

function run(command: string, args: readonly string[], cwd: string): string {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 600_000 })
  if (done.status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${done.error?.message ?? ''}\n${done.stdout}${done.stderr}`)
  return done.stdout
}

/** Everything that `file` reaches by static and dynamic imports and require: our files, and names of packages. */
function reach(
  file: string,
  files = new Set<string>(),
  packages = new Set<string>(),
): { files: Set<string>; packages: Set<string> } {
  if (files.has(file)) return { files, packages }
  files.add(file)
  const text = readFileSync(file, 'utf8')
  // The word in quotes ('from', of rules) imports nothing.
  for (const m of text.matchAll(/(?:(?<!["'])\bfrom\s*|\bimport\s*\(?\s*|\brequire\(\s*)(["'])([^"'\n]+)\1/g)) {
    if (m[2].startsWith('.')) reach(join(dirname(file), m[2]), files, packages)
    else packages.add(m[2])
  }
  return { files, packages }
}

const TYPES = `
import { createStack, type NetIf, openLink, type Stack } from 'tapstack'
import { createPipe, createStack as createCoreStack, NetError, type RawConnection } from 'tapstack/core'
import { createWorld, VirtualHost } from 'tapstack/sim'
const stack: Stack = createStack({ name: 'a', host: new VirtualHost(), tcp: { noDelay: true } })
const other: Stack = createCoreStack()
const link: NetIf = createPipe()[0]
stack.attach(link, { addresses: ['10.0.0.1/24'] })
const connection: RawConnection = other.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, { onClose: (c, error) => c.info().rttUs + (error instanceof NetError ? 1 : 0) })
const world: Stack = createWorld().stack()
export const all = [connection, world, openLink('tap:'), stack.connections()]
// @ts-expect-error a port is a number
stack.tcp.listen({ port: '7' }, {})
`

try {
  console.log('building ...')
  run('npm', ['run', 'build'], root)
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
  let tarball = ''

  step('npm pack: only what belongs there, and less than 2 MB', () => {
    const listing = run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project], root)
    const [pack] = JSON.parse(listing) as { filename: string; size: number; files: { path: string }[] }[]
    tarball = join(project, pack.filename)
    const paths = pack.files.map((f) => f.path)
    const stray = paths.filter(
      (p) => !/^(dist|docs|examples)\/|^(package\.json|README\.md|LICENSE|CHANGELOG\.md|DESIGN\.md)$/.test(p),
    )
    expect(stray.length === 0, `what are these? ${stray.join(', ')}`)
    for (const path of ['LICENSE', 'package.json']) expect(paths.includes(path), `${path} is missing`)
    // Everything twice (import and require), its types too.
    expect(pack.size < 2_000_000, `${pack.size} bytes`)
    mkdirSync(installed, { recursive: true })
    run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'], project)
    for (const name of [...Object.keys(manifest.dependencies), '@koromix']) {
      const from = join(root, 'node_modules', name)
      const to = join(project, 'node_modules', name)
      mkdirSync(dirname(to), { recursive: true })
      if (existsSync(from)) symlinkSync(from, to)
    }
  })

  step('every file that package.json names is there', () => {
    const named = Object.values(manifest.exports).flatMap((e) =>
      typeof e === 'string' ? [e] : [e.import, e.require].flatMap((kind) => [kind.types, kind.default]),
    )
    for (const path of [...named, ...Object.values(manifest.bin)].filter((name) => !name.includes('*')))
      expect(existsSync(join(installed, path)), `${path} is missing`)
  })

  for (const name of ['core', 'sim']) {
    for (const kind of ['js', 'cjs']) {
      step(`dist/${name}.${kind} reaches nothing of Node`, () => {
        const { files, packages } = reach(join(installed, 'dist', `${name}.${kind}`))
        const strange = [...packages].filter((p) => p !== 'buffer-layout' && !p.startsWith('@noble/'))
        expect(strange.length === 0, `it imports ${strange.join(', ')}`)
        for (const file of files) expect(!/\bnode:[a-z]/.test(readFileSync(file, 'utf8')), `${file} speaks of node:`)
        for (const file of files)
          expect(!/\bprocess\.|\bDate\.now\(|\bMath\.random\(/.test(readFileSync(file, 'utf8')), `${file} is impure`)
      })
    }
  }

  step('import', () => {
    const names =
      "import * as tapstack from 'tapstack'\nimport * as core from 'tapstack/core'\nimport * as sim from 'tapstack/sim'\n"
    writeFileSync(join(project, 'use.mjs'), names + USE)
    expect(run(process.execPath, ['use.mjs'], project) === 'ERR_UNKNOWN_LINK\nhello\n', 'it says something else')
  })

  step('require', () => {
    const names = "const tapstack = require('tapstack'), core = require('tapstack/core'), sim = require('tapstack/sim')\n"
    writeFileSync(join(project, 'use.cjs'), names + USE)
    expect(run(process.execPath, ['use.cjs'], project) === 'ERR_UNKNOWN_LINK\nhello\n', 'it says something else')
  })

  // What the optional peers and a package that knows nothing of us would be; a worker's file, of the same kind as the program.
  const peers = ['undici', 'ws']
  for (const name of peers) symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  const dependent = join(project, 'node_modules', 'dependent')
  mkdirSync(dependent)
  writeFileSync(join(dependent, 'package.json'), '{ "name": "dependent", "version": "1.0.0", "main": "index.js" }')
  writeFileSync(join(dependent, 'index.js'), DEPENDENT)
  for (const kind of ['import', 'require'] as const) {
    step(`${kind}: what needs native code, other packages, workers, hooks and files`, () => {
      const suffix = kind === 'import' ? 'mjs' : 'cjs'
      const get = (names: string, from: string): string =>
        kind === 'import' ? `import ${names} from '${from}'\n` : `const ${names.replace('* as ', '')} = require('${from}')\n`
      const folder = join(project, kind)
      mkdirSync(folder)
      writeFileSync(
        join(project, `thread.${suffix}`),
        get('{ createStack, openSharedMux }', 'tapstack') + get('{ parentPort, workerData }', 'node:worker_threads') + THREAD,
      )
      const values = { FOLDER: folder, THREAD: join(project, `thread.${suffix}`), TAP: namespacePrefix !== null }
      const constants = Object.entries(values).map(([name, value]) => `const ${name} = ${JSON.stringify(value)}\n`)
      writeFileSync(
        join(project, `files.${suffix}`),
        get('* as tapstack', 'tapstack') + constants.join('') + FILES(kind, TEST_KEY, TEST_CERT),
      )
      // In a network of its own where there can be one: sockets of the host are opened, and a tap.
      const up = ['sh', '-c', `ip link set lo up && exec ${process.execPath} files.${suffix}`]
      const [command, ...args] = namespacePrefix === null ? [process.execPath, `files.${suffix}`] : [...namespacePrefix, ...up]
      const said = run(command, args, project).trim().split('\n')
      expect(said.length === 10 && said[9] === 'a tap', `it got as far as: ${said.join('; ')}`)
    })
  }
  for (const name of [...peers, 'dependent']) rmSync(join(project, 'node_modules', name), { recursive: true })

  step('--import tapstack/register, and its query', () => {
    writeFileSync(join(project, 'app.cjs'), "console.log('tapstack' in new (require('net').Socket)())")
    const say = (query: string): string => run(process.execPath, ['--import', `tapstack/register${query}`, 'app.cjs'], project)
    expect(say('') === 'true\n' && say('?packages=other') === 'false\n', 'it says something else')
  })

  step('types, by import and by require, and those of the examples', () => {
    writeFileSync(join(project, 'types.mts'), TYPES)
    writeFileSync(join(project, 'types.cts'), TYPES)
    for (const file of readdirSync(join(installed, 'examples'))) {
      const from = join(installed, 'examples', file)
      if (/ from 'tapstack(\/\w+)?'/.test(readFileSync(from, 'utf8')))
        copyFileSync(from, join(project, file.replace(/\.ts$/, '.mts')))
    }
    mkdirSync(join(project, 'node_modules', '@types'))
    symlinkSync(join(root, 'node_modules', '@types', 'node'), join(project, 'node_modules', '@types', 'node'))
    symlinkSync(join(root, 'node_modules', 'undici-types'), join(project, 'node_modules', 'undici-types'))
    const compilerOptions = {
      module: 'NodeNext',
      target: 'ES2022',
      lib: ['ES2022', 'ESNext.Disposable'],
      strict: true,
      noEmit: true,
    }
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...compilerOptions, types: ['node'] } }))
    run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project], project)
  })

  step('the command', () => {
    const bin = join(installed, manifest.bin.tapstack)
    expect(readFileSync(bin, 'utf8').startsWith('#!/usr/bin/env node\n'), 'no shebang')
    expect((statSync(bin).mode & 0o111) === 0o111, 'not executable')
    expect(run(process.execPath, [bin, '--version'], project) === `tapstack ${manifest.version}\n`, 'another version')
    expect(run(process.execPath, [bin, 'inetd', '--help'], project).includes('Usage: tapstack inetd'), 'no help')
  })
} catch (error) {
  problems.push((error as Error).message)
} finally {
  rmSync(project, { recursive: true, force: true })
}

for (const problem of problems) console.error(`\n${problem}`)
process.exitCode = problems.length === 0 ? 0 : 1
