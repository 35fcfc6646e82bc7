/** From results to tables. Pure, so that it can be tested. */

/** One run of one test. */
export interface Sample {
  test: string
  ok: boolean
  /** Who was measured: `ours`, `ours, plain`, `kernel`, ...; `memory` for the tests without a kernel. */
  peer: string
  run: number
  [field: string]: number | string | boolean
}

export interface Summary {
  peer: string
  test: string
  unit: string
  n: number
  failed: number
  min: number
  median: number
  max: number
  /** Percent of a core that the process had, median; null where it was not measured. Below 100 the machine was busy elsewhere. */
  core: number | null
}

interface Figure {
  field: string
  unit: string
  /** Divides the field. */
  per: number
}

const FIGURES: Record<string, Figure> = {
  send: { field: 'mbit_s', unit: 'Gbit/s', per: 1000 },
  recv: { field: 'mbit_s', unit: 'Gbit/s', per: 1000 },
  pingpong: { field: 'per_s', unit: 'round trips/s', per: 1 },
  connrate: { field: 'per_s', unit: 'connections/s', per: 1 },
  ping: { field: 'avg_us', unit: 'us', per: 1 },
  idle: { field: 'bytes_per_conn', unit: 'bytes/connection', per: 1 },
  http: { field: 'per_s', unit: 'requests/s', per: 1 },
  https: { field: 'per_s', unit: 'requests/s', per: 1 },
  'http.close': { field: 'per_s', unit: 'requests/s', per: 1 },
}

const MEMORY_FIGURES: Record<string, Figure> = {
  bulk: { field: 'mbit_s', unit: 'Gbit/s', per: 1000 },
  pingpong: { field: 'per_s', unit: 'round trips/s', per: 1 },
  connect: { field: 'per_s', unit: 'connections/s', per: 1 },
  http: { field: 'per_s', unit: 'requests/s', per: 1 },
  raw: { field: 'mbit_s', unit: 'Gbit/s', per: 1000 },
  net: { field: 'mbit_s', unit: 'Gbit/s', per: 1000 },
  web: { field: 'mbit_s', unit: 'Gbit/s', per: 1000 },
}

/** What of a test's line goes into the table. */
export function figureOf(test: string): Figure {
  const figure = FIGURES[test] ?? MEMORY_FIGURES[test.split('.')[1]]
  if (figure === undefined) throw new Error(`no figure is known of test ${test}`)
  return figure
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

/** Min, median and max of every peer and test, in order of first appearance. Runs that failed are counted, not averaged. */
export function summarize(samples: readonly Sample[]): Summary[] {
  const groups = new Map<string, Sample[]>()
  for (const s of samples) {
    const key = `${s.peer}\n${s.test}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [s])
    else group.push(s)
  }
  const out: Summary[] = []
  for (const group of groups.values()) {
    const { peer, test } = group[0]
    const { field, unit, per } = figureOf(test)
    const values = group.filter((s) => s.ok && typeof s[field] === 'number').map((s) => (s[field] as number) / per)
    const core = group.map((s) => s.cpu_pct).filter((pct) => typeof pct === 'number')
    out.push({
      peer,
      test,
      unit,
      n: values.length,
      failed: group.length - values.length,
      min: values.length > 0 ? Math.min(...values) : Number.NaN,
      median: median(values),
      max: values.length > 0 ? Math.max(...values) : Number.NaN,
      core: core.length > 0 ? median(core) : null,
    })
  }
  return out
}

/** Three significant digits below a hundred, whole numbers with thousands separated above. */
export function format(value: number): string {
  if (Number.isNaN(value)) return '-'
  const abs = Math.abs(value)
  if (abs >= 100) return Math.round(value).toLocaleString('en-US')
  return abs >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** Ours to the kernel's median of the same test; '' where there is none. `plain` is compared with the kernel without offload. */
export function ratio(row: Summary, rows: readonly Summary[]): string {
  if (row.peer.startsWith('kernel') || row.peer === 'memory') return ''
  const plain = row.peer.includes('plain')
  const kernel = rows.find((r) => r.test === row.test && r.peer === (plain ? 'kernel, plain' : 'kernel'))
  if (kernel === undefined || !(kernel.median > 0) || Number.isNaN(row.median)) return ''
  return `${(row.median / kernel.median).toFixed(2)}x`
}

function pad(cells: readonly string[][]): string {
  const widths = cells[0].map((_, i) => Math.max(...cells.map((row) => row[i].length)))
  return cells
    .map((row) =>
      row
        .map((c, i) => (i < 2 ? c.padEnd(widths[i]) : c.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The table for a terminal. */
export function table(rows: readonly Summary[]): string {
  const cells = [['peer', 'test', 'min', 'median', 'max', 'unit', 'to kernel', 'core', 'runs']]
  for (const r of rows) {
    const failed = r.failed > 0 ? ` (${r.failed} failed)` : ''
    cells.push([
      r.peer,
      r.test,
      format(r.min),
      format(r.median),
      format(r.max),
      r.unit,
      ratio(r, rows),
      r.core === null ? '' : `${r.core.toFixed(0)}%`,
      `${r.n}${failed}`,
    ])
  }
  return pad(cells)
}

const TAP_ROWS: readonly (readonly [test: string, label: string])[] = [
  ['send', 'host to stack, Gbit/s'],
  ['recv', 'stack to host, Gbit/s'],
  ['pingpong', 'round trips/s, one connection'],
  ['connrate', 'connections/s (connect, 1-byte echo, reset)'],
  ['ping', 'ping, us'],
  ['idle', 'bytes per idle connection'],
]
const MEMORY_ROWS: readonly (readonly [test: string, label: string])[] = [
  ['bulk.mtu1500', 'bulk, MTU 1500, Gbit/s'],
  ['bulk.super', 'bulk, super-segments, Gbit/s'],
  ['bulk.byob', 'the same into a buffer of the reader, 256 KB, Gbit/s'],
  ['pingpong', '1-byte round trips/s'],
  ['connect', 'connect+close/s'],
  ['http', 'http requests/s'],
]
const NODE_ROWS: readonly (readonly [test: string, label: string])[] = [
  ['http', 'http, kept alive, requests/s'],
  ['http.close', 'http, a connection each, requests/s'],
  ['http.bulk', 'http, 16 MB bodies, Gbit/s'],
  ['https', 'https, kept alive, requests/s'],
  ['https.bulk', 'https, 16 MB bodies, Gbit/s'],
]
const SHAPE_ROWS: readonly (readonly [test: string, label: string])[] = [
  ['send', 'host to stack, Gbit/s'],
  ['recv', 'stack to host, Gbit/s'],
]

export interface Report {
  date: string
  machine: string
  node: string
  kernel: string
  summaries: Summary[]
  /** What was not measured, and why. */
  skipped: string[]
  /** Heap bytes allocated per segment of the raw shape, once warm, medians by test. */
  allocations: Record<string, number>
}

/** The Markdown of the README: one table for the tap, one for memory. Medians. */
export function markdown(report: Report): string {
  const find = (peer: string, test: string): string => {
    const row = report.summaries.find((r) => r.peer === peer && r.test === test)
    return row === undefined ? '-' : format(row.median)
  }
  const lines = [
    '| on a tap (medians) | ours | kernel over veth | ours, no offload | kernel, no offload |',
    '|---|---|---|---|---|',
  ]
  for (const [test, label] of TAP_ROWS) {
    lines.push(`| ${label} | ${['ours', 'kernel', 'ours, plain', 'kernel, plain'].map((p) => find(p, test)).join(' | ')} |`)
  }
  lines.push(
    '',
    '| in memory, two stacks (medians) | raw shape | Node shape | web shape | Node on loopback |',
    '|---|---|---|---|---|',
  )
  for (const [test, label] of MEMORY_ROWS) {
    lines.push(
      `| ${label} | ${['raw', 'node', 'web', 'kernel'].map((shape) => find('memory', `${shape}.${test}`)).join(' | ')} |`,
    )
  }
  for (const [test, bytes] of Object.entries(report.allocations)) {
    lines.push(`| heap bytes per segment once warm (${test.slice(test.lastIndexOf('.') + 1)}) | ${bytes.toFixed(1)} | | | |`)
  }
  if (report.summaries.some((r) => r.test === 'http')) {
    lines.push('', "| Node's modules on a tap (medians) | ours | Node's own over veth |", '|---|---|---|')
    for (const [test, label] of NODE_ROWS) lines.push(`| ${label} | ${find('ours', test)} | ${find('kernel', test)} |`)
    lines.push(
      '',
      "| bulk on a tap by shape (medians) | raw | `stack.net` | web streams | Node's own over veth |",
      '|---|---|---|---|---|',
    )
    for (const [test, label] of SHAPE_ROWS) {
      const ours = ['raw', 'net', 'web'].map((shape) => find('ours', `${test}.${shape}`))
      lines.push(`| ${label} | ${ours.join(' | ')} | ${find('kernel', `${test}.net`)} |`)
    }
  }
  lines.push('', `${report.machine}, Linux ${report.kernel}, Node ${report.node}, ${report.date}.`)
  return lines.join('\n')
}

const BEGIN = '<!-- figures: npm run bench -- --readme -->'
const END = '<!-- /figures -->'

/** Puts text between the two marks of a document; null when it has none. */
export function replaceFigures(document: string, text: string): string | null {
  const from = document.indexOf(BEGIN)
  const to = document.indexOf(END)
  if (from < 0 || to < from) return null
  return `${document.slice(0, from + BEGIN.length)}\n${text}\n${document.slice(to)}`
}

/** The figures of ping(8)'s last lines, or null. */
export function parsePing(text: string): { received: number; min_us: number; avg_us: number; max_us: number } | null {
  const m = /(\d+) received[\s\S]*?= ([\d.]+)\/([\d.]+)\/([\d.]+)\//.exec(text)
  if (m === null) return null
  return { received: Number(m[1]), min_us: Number(m[2]) * 1000, avg_us: Number(m[3]) * 1000, max_us: Number(m[4]) * 1000 }
}

/** What wrk says: requests a second, and what went wrong (socket errors and answers that are none). Null when it said nothing. */
export function parseWrk(text: string): { perSecond: number; errors: number } | null {
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(text)
  if (rate === null) return null
  const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)
  const wrong = /Non-2xx or 3xx responses: (\d+)/.exec(text)
  const errors = [...(socket?.slice(1) ?? []), wrong?.[1] ?? '0'].reduce((sum, n) => sum + Number(n), 0)
  return { perSecond: Number(rate[1]), errors }
}

/** The last line that is a JSON object, as the load client and the memory workloads print; null when there is none. */
export function parseLine(text: string): Record<string, number | string | boolean> | null {
  for (const line of text.trim().split('\n').reverse()) {
    if (!line.startsWith('{')) continue
    try {
      return JSON.parse(line) as Record<string, number | string | boolean>
    } catch {
      return null
    }
  }
  return null
}
