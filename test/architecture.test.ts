/**
 * The plan of the house, kept by a test: which folder may import which, what the core must not touch, how long a file may be.
 *
 * The rules are in `violations`, which takes sources as plain text: so the rules themselves are tested, on violations made up for it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { describe, expect, it } from 'vitest'

interface Source {
  /** `src/tcp/tcp.ts` */
  path: string
  text: string
}

/** What each folder of src may import, besides itself. Built from one-way order: a folder names only folders above it. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  types: [],
  base: [],
  'host-web': ['base'],
  netif: ['base'],
  offload: ['base', 'netif', 'ethernet', 'ipv4', 'ipv6', 'udp', 'tcp', 'ip'],
  ethernet: ['base', 'netif'],
  ip: ['base', 'netif', 'ethernet'],
  arp: ['base', 'netif', 'ethernet', 'ip'],
  ipv4: ['base', 'netif', 'ethernet', 'ip', 'offload'],
  ipv6: ['base', 'netif', 'ethernet', 'ip', 'offload'],
  icmp: ['base', 'netif', 'ethernet', 'ip', 'ipv4', 'ipv6'],
  icmp6: ['base', 'netif', 'ethernet', 'ip', 'ipv6', 'icmp'],
  nd: ['base', 'netif', 'ethernet', 'ip', 'ipv6', 'icmp6'],
  multicast: ['base', 'netif', 'ethernet', 'ip', 'ipv4', 'ipv6', 'icmp6'],
  forward: ['base', 'netif', 'ethernet', 'ip', 'ipv4', 'ipv6', 'icmp', 'icmp6', 'nd', 'offload'],
  filter: ['base', 'netif', 'ethernet', 'ip', 'ipv4', 'ipv6'],
  udp: ['base', 'netif', 'ethernet', 'ip'],
  tcp: ['base', 'netif', 'ethernet', 'ip'],
  probe: ['base', 'netif', 'ip', 'icmp', 'udp', 'tcp'],
  dhcp: ['base', 'netif', 'ethernet', 'ip', 'udp'],
  dhcp6: ['base', 'netif', 'ethernet', 'ip', 'udp', 'dhcp'],
  dns: ['base', 'netif', 'ethernet', 'ip', 'udp', 'tcp'],
  mdns: ['base', 'ip', 'udp', 'dns'],
  web: ['base', 'ip', 'udp', 'tcp', 'host-web'],
  link: ['base', 'netif', 'ethernet', 'offload', 'trace'],
  vde: ['base'],
  tunnel: ['base', 'netif', 'ethernet', 'ip', 'ipv4', 'ipv6', 'tcp', 'offload', 'link'],
  mux: ['base', 'netif', 'ethernet', 'offload', 'link', 'host-web'],
  trace: [
    'base',
    'netif',
    'ethernet',
    'ip',
    'arp',
    'ipv4',
    'ipv6',
    'icmp',
    'icmp6',
    'nd',
    'multicast',
    'udp',
    'tcp',
    'dhcp',
    'dhcp6',
    'dns',
  ],
  stack: [
    'base',
    'netif',
    'ethernet',
    'ip',
    'arp',
    'ipv4',
    'ipv6',
    'icmp',
    'icmp6',
    'nd',
    'multicast',
    'forward',
    'filter',
    'probe',
    'udp',
    'tcp',
    'web',
    'dhcp',
    'dhcp6',
    'dns',
    'mdns',
    'link',
    'offload',
    'host-web',
  ],
  switch: ['base', 'netif', 'ethernet', 'ip', 'ipv4', 'ipv6', 'icmp6', 'multicast', 'offload', 'link', 'host-web'],
  services: ['base', 'ip', 'udp', 'tcp', 'stack'],
  sim: ['base', 'netif', 'tcp', 'link', 'stack', 'trace'],
  backend: ['base', 'netif', 'ethernet', 'link', 'offload', 'vde', 'mux'],
  node: ['*'],
  cli: ['*'],
}

/** Nobody below may import these. */
const TOP = ['node', 'cli', 'sim', 'backend', 'services']

/** Folders that run anywhere: they import nothing from outside. */
const CORE = Object.keys(MAY_IMPORT).filter((f) => !['backend', 'node', 'cli'].includes(f))
/** The one of them that touches the platform: it is the host of the others where there is no Node. */
const HOST = 'host-web'

const FORBIDDEN_IN_CORE: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b/, 'Date.now'],
  [/\bnew Date\(\)/, 'new Date()'],
  [/\bMath\.random\b/, 'Math.random'],
  [/\b(?:set|clear)(?:Timeout|Interval|Immediate)\b/, 'timers'],
  [/\bqueueMicrotask\b/, 'queueMicrotask'],
  [/\bperformance\b\s*\./, 'performance'],
  [/\bBuffer\b\s*[.(]/, 'Buffer'],
  [/\bprocess\b\s*\./, 'process'],
  [/\bconsole\b\s*\./, 'console'],
  [/\bglobalThis\b/, 'globalThis'],
]

/** The command shows the version, and `npm start` runs the main example. */
const OUTSIDE = /^src\/cli\/\S+ (package\.json|examples\/tcp_echo\.ts)$/

/** What the core takes from outside: packages that are as pure as it is. Those of cryptography are for one file alone. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  'buffer-layout': /^src\//,
  '@noble/ciphers/aes.js': /^src\/tcp\/signature-crypto\.ts$/,
  '@noble/hashes/hmac.js': /^src\/tcp\/signature-crypto\.ts$/,
  '@noble/hashes/legacy.js': /^src\/tcp\/signature-crypto\.ts$/,
  '@noble/hashes/utils.js': /^src\/tcp\/signature-crypto\.ts$/,
}

const MAX_LINES = 450
/** Files that are longer and why that is borne. */
const LONGER: Record<string, number> = {}

/** Comments and texts are no code. Line breaks stay. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' ')).replace(/(^|[^:'"`\\])\/\/[^\n]*/g, '$1')
}

function withoutTexts(text: string): string {
  return code(text).replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''")
}

function imports(text: string): { from: string; isReexport: boolean }[] {
  const found: { from: string; isReexport: boolean }[] = []
  for (const m of code(text).matchAll(/(?:^|\n)\s*(import|export)\b[^'"\n;]*(?:\{[^}]*\}[^'"\n;]*)?\bfrom\s*['"]([^'"]+)['"]/g)) {
    found.push({ from: m[2], isReexport: m[1] === 'export' })
  }
  for (const m of code(text).matchAll(/(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g)) found.push({ from: m[1], isReexport: false })
  for (const m of code(text).matchAll(/\b(?:import|require)\s*\(\s*['"]([^'"]+)['"]/g))
    found.push({ from: m[1], isReexport: false })
  return found
}

function folderOf(path: string): string | null {
  const parts = path.split('/')
  return parts.length > 2 ? parts[1] : null
}

function violations(sources: readonly Source[]): string[] {
  const out: string[] = []
  for (const { path, text } of sources) {
    const folder = folderOf(path)
    const lines = text.split('\n').length - 1
    if (lines > (LONGER[path] ?? MAX_LINES)) out.push(`${path}: ${lines} lines, more than ${LONGER[path] ?? MAX_LINES}`)
    // Entry points (src/*.ts) put the public names together; they are what barrel files would be.
    if (folder === null) continue
    const allowed = MAY_IMPORT[folder]
    if (allowed === undefined) {
      out.push(`${path}: folder ${folder} has no place in the order`)
      continue
    }
    const isCore = CORE.includes(folder)
    const used = imports(text)
    for (const { from, isReexport } of used) {
      if (!from.startsWith('.')) {
        if (isCore && PACKAGES[from]?.test(path) !== true)
          out.push(`${path}: imports ${from}, and the core imports nothing from outside`)
        continue
      }
      const target = posix.normalize(posix.join(posix.dirname(path), from))
      if (!from.endsWith('.ts') && !from.endsWith('.json')) out.push(`${path}: ${from} without its extension`)
      if (!target.startsWith('src/')) {
        if (!OUTSIDE.test(`${path} ${target}`)) out.push(`${path}: imports ${target}, outside of src`)
        continue
      }
      const other = folderOf(target)
      if (other === null) {
        if (folder !== 'cli') out.push(`${path}: imports the entry point ${target}`)
        continue
      }
      if (other !== folder && !allowed.includes(other) && !allowed.includes('*'))
        out.push(`${path}: ${folder} may not import ${other}`)
      else if (other === 'cli' && folder !== 'cli') out.push(`${path}: nobody imports cli`)
      if (isReexport && other !== folder) out.push(`${path}: hands on names of ${other}`)
    }
    const reexports = used.filter((u) => u.isReexport).length
    if (
      /\/index\.ts$/.test(path) ||
      (reexports > 0 && !/\b(?:function|class|const|interface|type|let|enum)\s+\w/.test(code(text)))
    ) {
      out.push(`${path}: a barrel file`)
    }
    if (isCore && folder !== HOST) {
      const bare = withoutTexts(text)
      for (const [pattern, what] of FORBIDDEN_IN_CORE) if (pattern.test(bare)) out.push(`${path}: uses ${what}`)
    }
  }
  return out
}

/** Folders whose every file is silent about what it is. */
function undocumented(sources: readonly Source[]): string[] {
  const documented = new Map<string, boolean>()
  for (const { path, text } of sources) {
    const folder = folderOf(path)
    if (folder === null || folder === 'types') continue
    documented.set(folder, (documented.get(folder) ?? false) || /^(?:#![^\n]*\n)?\s*\/\*\*/.test(text))
  }
  return [...documented].filter(([, is]) => !is).map(([folder]) => folder)
}

function read(dir: string): Source[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ path: posix.join('src', name.split('\\').join('/')), text: readFileSync(join(dir, name), 'utf8') }))
}

const sources = read(new URL('../src', import.meta.url).pathname)

describe('the house', () => {
  it('is here', () => {
    expect(sources.length).toBeGreaterThan(100)
  })

  it('keeps its order', () => {
    expect(violations(sources)).toEqual([])
  })

  it('says of every folder what it is', () => {
    expect(undocumented(sources)).toEqual([])
  })

  it('has an order without circles', () => {
    const reached = (folder: string, seen: Set<string>): Set<string> => {
      for (const next of MAY_IMPORT[folder].filter((f) => f !== '*' && !seen.has(f))) reached(next, seen.add(next))
      return seen
    }
    // offload looks at the headers of others by their wire files; ipv4 uses it to split.
    const known = ['offload', 'ipv4', 'ipv6']
    for (const folder of Object.keys(MAY_IMPORT)) {
      if (!known.includes(folder)) expect([...reached(folder, new Set())], folder).not.toContain(folder)
    }
    for (const folder of CORE) for (const top of TOP) if (!TOP.includes(folder)) expect(MAY_IMPORT[folder]).not.toContain(top)
  })
})

describe('the rules find', () => {
  const of = (path: string, text: string): string[] => violations([{ path, text }])

  it.each([
    ['an import against the order', 'src/tcp/a.ts', "import { Ipv4 } from '../ipv4/ipv4.ts'", 'tcp may not import ipv4'],
    [
      'a type imported against the order',
      'src/ip/a.ts',
      "import type { Stack } from '../stack/stack.ts'",
      'ip may not import stack',
    ],
    ['one over several lines', 'src/base/a.ts', "import {\n  a,\n  b,\n} from '../ip/ip.ts'", 'base may not import ip'],
    ['a dynamic one', 'src/base/a.ts', "const x = await import('../ip/ip.ts')", 'base may not import ip'],
    ['Node in the core', 'src/tcp/a.ts', "import { readFileSync } from 'node:fs'", 'imports node:fs'],
    ['a package in the core', 'src/stack/a.ts', "import koffi from 'koffi'", 'imports koffi'],
    ['cryptography where it has no place', 'src/tcp/a.ts', "import { cmac } from '@noble/ciphers/aes.js'", 'imports @noble'],
    ['the command used as a library', 'src/node/a.ts', "import { x } from '../cli/x.ts'", 'nobody imports cli'],
    ['an entry point used inside', 'src/node/a.ts', "import { x } from '../index.ts'", 'imports the entry point'],
    ['tests used by sources', 'src/node/a.ts', "import { x } from '../../test/support/x.ts'", 'outside of src'],
    ['an import without its extension', 'src/node/a.ts', "import { x } from './x'", 'without its extension'],
    ['a folder without a place', 'src/utils/a.ts', '', 'utils has no place'],
    ['the wall clock', 'src/ip/a.ts', 'const t = Date.now()', 'Date.now'],
    ['chance', 'src/tcp/a.ts', 'const x = Math.random()', 'Math.random'],
    ['timers', 'src/arp/a.ts', 'setTimeout(f, 1)', 'timers'],
    ['Buffer', 'src/udp/a.ts', 'const b = Buffer.alloc(1)', 'Buffer'],
    ['process', 'src/link/a.ts', 'if (process.env.X) f()', 'process'],
    ['console', 'src/sim/a.ts', 'console.log(1)', 'console'],
    ['performance', 'src/trace/a.ts', 'performance.now()', 'performance'],
    ['a barrel file', 'src/tcp/all.ts', "export * from './tcp.ts'\nexport { a } from './a.ts'", 'a barrel file'],
    ['an index', 'src/tcp/index.ts', 'export const a = 1', 'a barrel file'],
    ['names handed on', 'src/stack/a.ts', "export { Tcp } from '../tcp/tcp.ts'\nexport const a = 1", 'hands on names of tcp'],
    ['a file too long', 'src/node/a.ts', 'f()\n'.repeat(MAX_LINES + 1), 'lines, more than'],
  ])('%s', (_, path, text, what) => {
    expect(of(path, text).join('\n')).toContain(what)
  })

  it('nothing in comments, texts and what only looks alike', () => {
    expect(
      of('src/tcp/a.ts', "/* Date.now() */ // Math.random()\nconst a = 'process.exit console.log'\nexport const aliased = a"),
    ).toEqual([])
    expect(of('src/tcp/a.ts', "import { x } from '../ip/ip.ts'\nimport { y } from './y.ts'")).toEqual([])
    expect(of('src/node/a.ts', "import { readFileSync } from 'node:fs'\nsetTimeout(f, 1)")).toEqual([])
  })

  it('a folder that nobody explains', () => {
    expect(undocumented([{ path: 'src/x/a.ts', text: 'export const a = 1' }])).toEqual(['x'])
    expect(undocumented([{ path: 'src/x/a.ts', text: '/** X. */\nexport const a = 1' }])).toEqual([])
  })
})
