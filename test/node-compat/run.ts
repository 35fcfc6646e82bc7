/**
 * `npm run node-compat -- DIR [--others] [--only RE] [--json FILE] [--jobs N] [--timeout S] [--list] [--plain | --node]`: Node's own test files of net, dgram,
 * http, https, tls, http2 and dns, unmodified, on a stack; with `--others` those that are about something else and use one of these modules.
 *
 * DIR is a checkout's `test/parallel`, with `common` and `fixtures` beside it. Each file runs in a process of its own, in which `require('net')` and its
 * kin give those of a stack with a loopback (preload.ts). `--plain`: of `createStack()` without any option. `--node` leaves Node its own; what fails
 * on ours is tried so, too, and is nobody's failure if it fails on Node's.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { buildPreload } from './build.ts'
import { asksForOurs, type Ended, flagsOf, judge, mayFail, type Outcome, usesImport, type Verdict } from './judge.ts'
import { MODULES, moduleOf } from './modules.ts'

const USAGE =
  'usage: npm run node-compat -- DIR [--only RE] [--json FILE] [--jobs N] [--timeout S] [--list] [--others] [--plain | --node]'

interface Settings {
  dir: string
  /** Empty: Node's own modules. */
  preload: string
  /** `createStack()` and nothing else. */
  plain: boolean
  scratch: string
  timeoutMs: number
}

interface Result extends Outcome {
  file: string
  ms: number
}

/** What a process says, as far as anybody reads it. */
const SAID_MAX = 65_536

/** The test files that are running. */
const running = new Set<ChildProcess>()

function collect(child: ChildProcess, name: 'stdout' | 'stderr'): () => string {
  let text = ''
  child[name]!.setEncoding('utf8').on('data', (part: string) => {
    if (text.length < SAID_MAX) text += part
  })
  return () => text
}

function runProcess(file: string, text: string, settings: Settings): Promise<Ended> {
  const { dir, preload, plain, scratch } = settings
  const usedFile = join(scratch, `${file}.used`)
  const env = {
    ...process.env,
    // For the processes that it starts as well.
    NODE_OPTIONS: preload === '' ? '' : `--require ${preload}`,
    TAPSTACK_COMPAT_PLAIN: plain ? '1' : '0',
    TAPSTACK_COMPAT_USED: usedFile,
    TAPSTACK_COMPAT_IMPORT: usesImport(file, text) ? '1' : '0',
    TEST_SERIAL_ID: file,
    NODE_TEST_DIR: scratch,
  }
  const child = spawn(process.execPath, [...flagsOf(text), join(dir, file)], {
    cwd: join(dir, '..'),
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const stdout = collect(child, 'stdout')
  const stderr = collect(child, 'stderr')
  let timedOut = false
  const timer = setTimeout(
    () => {
      timedOut = true
      child.kill('SIGKILL')
    },
    timeoutOf(text, settings),
  )
  return new Promise((done, failed) => {
    child.on('error', failed)
    child.on('close', (status, signal) => {
      running.delete(child)
      clearTimeout(timer)
      const used = existsSync(usedFile) ? readFileSync(usedFile, 'utf8').trim().split('\n') : []
      done({ status, signal, timedOut, stdout: stdout(), stderr: stderr(), used })
    })
  })
}

/** What is expected to hang need not hang for long. */
function timeoutOf(text: string, { preload, timeoutMs }: Settings): number {
  return preload !== '' && mayFail(text) !== null ? timeoutMs / 4 : timeoutMs
}

async function runFile(file: string, settings: Settings): Promise<Result> {
  const text = readFileSync(join(settings.dir, file), 'utf8')
  const start = performance.now()
  const of = async (these: Settings): Promise<Outcome> =>
    judge(file, text, await runProcess(file, text, these), these.preload === '')
  let outcome = await of(settings)
  if (outcome.verdict === 'fail' && settings.preload !== '') {
    const nodes = await of({ ...settings, preload: '' })
    if (nodes.verdict === 'fail') {
      outcome = { verdict: 'skip', reason: `fails here with the modules of Node ${process.versions.node} too: ${nodes.reason}` }
    }
  }
  return { file, ...outcome, ms: Math.round(performance.now() - start) }
}

/** Runs `files`, at most `jobs` at once, and tells of each as it ends. */
async function runFiles(
  files: readonly string[],
  settings: Settings,
  jobs: number,
  tell: (r: Result) => void,
): Promise<Result[]> {
  const results: Result[] = []
  const queue = [...files]
  const worker = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runFile(file, settings)
      results.push(result)
      tell(result)
    }
  }
  await Promise.all(Array.from({ length: jobs }, worker))
  return results.sort((a, b) => (a.file < b.file ? -1 : 1))
}

function line({ file, verdict, reason }: Result): string {
  return `${verdict}  ${file}${reason === '' ? '' : `  (${reason})`}`
}

function counted(results: readonly Result[]): string {
  const of = (verdict: Verdict): number => results.filter((r) => r.verdict === verdict).length
  return `${of('pass')} pass, ${of('fail')} fail, ${of('skip')} skip`
}

function summary(results: readonly Result[]): string {
  const lines = [...MODULES, null]
    .map((name) => [name ?? 'others', results.filter((r) => moduleOf(r.file) === name)] as const)
    .filter(([, list]) => list.length > 0)
    .map(([name, list]) => `${name.padEnd(6)} ${counted(list)}`)
  return [...lines, `${results.length} files: ${counted(results)}`].join('\n')
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      json: { type: 'string' },
      jobs: { type: 'string', default: '2' },
      timeout: { type: 'string', default: '90' },
      list: { type: 'boolean', default: false },
      others: { type: 'boolean', default: false },
      plain: { type: 'boolean', default: false },
      node: { type: 'boolean', default: false },
    },
  })
  const jobs = Number(values.jobs)
  const seconds = Number(values.timeout)
  if (positionals.length !== 1 || (values.plain && values.node) || !(jobs >= 1) || !(seconds > 0)) {
    console.error(USAGE)
    return 2
  }
  const dir = resolve(positionals[0])
  const only = new RegExp(values.only ?? '')
  const asks = (file: string): boolean => /^test-.*\.m?js$/.test(file) && asksForOurs(readFileSync(join(dir, file), 'utf8'))
  const files = readdirSync(dir).filter(
    (file) => only.test(file) && (values.others ? moduleOf(file) === null && asks(file) : moduleOf(file) !== null),
  )
  if (files.length === 0) {
    console.error(`no test files of ${MODULES.join(', ')} in ${dir}`)
    return 2
  }
  if (values.list) {
    for (const file of files) console.log(file)
    return 0
  }
  const scratch = mkdtempSync(join(tmpdir(), 'tapstack-node-compat-'))
  const remove = (): void => rmSync(scratch, { recursive: true, force: true, maxRetries: 3 })
  // Whoever stops this leaves nothing, either.
  const stop = (signal: NodeJS.Signals): void => {
    for (const child of running) child.kill('SIGKILL')
    remove()
    process.exit(128 + constants.signals[signal])
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop)
  try {
    const preload = values.node ? '' : await buildPreload(scratch)
    const settings = { dir, preload, plain: values.plain, scratch, timeoutMs: seconds * 1000 }
    const results = await runFiles(files, settings, jobs, (r) => console.log(line(r)))
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
    console.log(`\n${summary(results)}`)
    return results.some((r) => r.verdict === 'fail') ? 1 : 0
  } finally {
    remove()
  }
}

process.exitCode = await main()
