import { closeSync, existsSync, mkdirSync, openSync, readFileSync, unlinkSync, writeFileSync, writeSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { cannotTap, capture } from './lab.ts'
import { cannotLoad, measureNode } from './node-half.ts'
import { HALVES, MEMORY_TESTS, type Options, parseOptions, USAGE } from './options.ts'
import { measureTap } from './peer.ts'
import { bundle, compile } from './programs.ts'
import {
  figureOf,
  format,
  markdown,
  median,
  parseLine,
  type Report,
  replaceFigures,
  type Sample,
  summarize,
  table,
} from './summary.ts'

const LOCK = process.env.BENCH_LOCK ?? join(tmpdir(), 'tapstack-bench.lock')
const FIGURES = 'bench/figures.json'

/** Throws when another run is under way. A lock whose process is gone is taken over. */
function lock(): void {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const fd = openSync(LOCK, 'wx')
      writeSync(fd, `${process.pid}\n`)
      closeSync(fd)
      process.on('exit', () => unlinkSync(LOCK))
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const holder = Number.parseInt(readFileSync(LOCK, 'utf8'), 10)
      if (isAlive(holder)) throw new Error(`another benchmark is running (process ${holder}, lock file ${LOCK})`)
      unlinkSync(LOCK)
    }
  }
  throw new Error(`cannot take the lock file ${LOCK}`)
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function show(s: Sample): void {
  const { field, unit, per } = figureOf(s.test)
  const value = s[field]
  const text = s.ok && typeof value === 'number' ? `${format(value / per)} ${unit}` : `failed: ${s.error ?? JSON.stringify(s)}`
  console.log(`  ${s.peer.padEnd(14)} ${s.test.padEnd(18)} ${text}`)
}

async function measureMemory(options: Options, put: (s: Sample) => void): Promise<void> {
  const seconds = options.quick ? '1' : '3'
  const flags = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64']
  if (options.profile !== null) flags.push('--cpu-prof', `--cpu-prof-dir=${options.profile}`)
  for (const test of MEMORY_TESTS) {
    for (let run = 0; run < options.runs; run++) {
      const r = await capture([process.execPath, ...flags, 'bench/build/memory.js', test, seconds], 60_000)
      const line = parseLine(r.stdout)
      const failed = { test, ok: false, error: (r.stdout + r.stderr).slice(-300) }
      put({ ...(line ?? failed), peer: 'memory', run } as Sample)
    }
  }
}

function allocationsOf(samples: readonly Sample[]): Record<string, number> {
  const out: Record<string, number> = {}
  for (const test of MEMORY_TESTS) {
    const values = samples.filter((s) => s.test === test && typeof s.heap_bytes_per_segment === 'number')
    if (values.length > 0) out[test] = median(values.map((s) => s.heap_bytes_per_segment as number))
  }
  return out
}

function writeDocuments(): void {
  const report = JSON.parse(readFileSync(FIGURES, 'utf8')) as Report
  const text = markdown(report)
  for (const file of ['README.md', 'docs/performance.md']) {
    const replaced = existsSync(file) ? replaceFigures(readFileSync(file, 'utf8'), text) : null
    if (replaced === null) console.log(`${file}: no place for figures`)
    else {
      writeFileSync(file, replaced)
      console.log(`${file}: figures of ${report.date}`)
    }
  }
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (options.help) {
    console.log(USAGE)
    return 0
  }
  if (options.readme) {
    writeDocuments()
    return 0
  }
  lock()
  if (options.profile !== null) mkdirSync(options.profile, { recursive: true })
  const samples: Sample[] = []
  const skipped: string[] = []
  const put = (s: Sample): void => {
    samples.push(s)
    show(s)
  }
  await bundle({ memory: 'bench/memory.ts', tapstack: 'src/cli/main.ts', 'node-peer': 'bench/node-peer.ts' })
  const noTap = options.only === 'memory' ? null : cannotTap()
  const parts = {
    memory: { what: 'in memory: two stacks joined by a pipe', measure: measureMemory, obstacle: null },
    tap: { what: 'on a tap, in a network namespace', measure: measureTap, obstacle: noTap },
    node: { what: "Node's modules and the shapes of sockets, on a tap", measure: measureNode, obstacle: noTap ?? cannotLoad() },
  }
  for (const half of HALVES) {
    const { what, measure, obstacle } = parts[half]
    const why = options.only !== null && options.only !== half ? `--only ${options.only}` : obstacle
    if (why !== null) {
      skipped.push(`${half}: ${why}`)
      continue
    }
    if (half !== 'memory') compile()
    console.log(what)
    await measure(options, put)
  }

  const summaries = summarize(samples)
  const report: Report & { samples: Sample[] } = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    node: process.versions.node,
    kernel: release(),
    summaries,
    skipped,
    allocations: allocationsOf(samples),
    samples,
  }
  writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
  console.log(`\n${table(summaries)}\n`)
  for (const [test, bytes] of Object.entries(report.allocations)) {
    console.log(`heap bytes per segment once warm, ${test}: ${bytes.toFixed(2)}`)
  }
  const starved = summaries.filter((s) => s.core !== null && s.core < 90).map((s) => s.test)
  if (starved.length > 0) console.log(`the machine was busy: less than 90 % of a core for ${starved.join(', ')}`)
  for (const what of skipped) console.log(`skipped: ${what}`)
  console.log(`written: ${options.json}`)
  return samples.some((s) => !s.ok) ? 1 : 0
}

try {
  process.exit(await main())
} catch (error) {
  console.error(`bench: ${(error as Error).message}`)
  process.exit(1)
}
