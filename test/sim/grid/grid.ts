/**
 * The grid: goodput of one flow over every kind of path, and how flows share a line, as tables that are checked in. What congestion control and
 * recovery do to speed cannot change unseen.
 *
 * Every number is exact for a given source (virtual time, seeds); the tests allow `tolerance`, so that a change elsewhere that shifts a random
 * draw is no alarm. `npm run grid` writes the tables again, `npm run grid -- --check` compares all of them.
 */
import { FRAME, fairness, runFlows } from './cell.ts'

export const ALGORITHMS = ['cubic', 'newreno', 'bbr'] as const
export const LOSSES = [0, 0.001, 0.01, 0.03] as const
export const RTTS_MS = [1, 20, 100] as const
export const RATES_MBIT = [10, 100, 1000] as const
export const QUEUES_BDP = [0.2, 1, 4] as const

/** One line of a table: what was asked, and a number for each column. */
export interface Row {
  key: string[]
  values: number[]
}

export interface Table {
  file: string
  title: string
  keys: string[]
  columns: string[]
  rows: string[][]
  /** Computes one number. */
  cell(key: readonly string[], column: string): number
}

/** A cell is as long as it takes to say something: 40,000 frames or 30 round trips, 30 s at most. The first third is not measured. */
function goodput(algorithm: string, rateMbit: number, rttMs: number, queueBdp: number, loss: number): number {
  const frameMs = (FRAME * 8) / (rateMbit * 1000)
  const durationMs = Math.min(30_000, Math.max(30 * rttMs, 40_000 * frameMs))
  const seed = 1 + rateMbit * 7 + rttMs * 13 + queueBdp * 10 + loss * 10_000
  return runFlows({ rateMbit, rttMs, queueBdp, loss, flows: [algorithm], durationMs, warmupMs: durationMs / 3, seed }).utilization
}

/** 50 Mbit/s, 40 ms, 1 BDP of queue (165 frames): the n-th flow begins 100 ms after the one before. */
const SHARED = { rateMbit: 50, rttMs: 40, queueBdp: 1, loss: 0, staggerMs: 100 }

const product = (...lists: (readonly (string | number)[])[]): string[][] =>
  lists.reduce<string[][]>((rows, list) => rows.flatMap((row) => list.map((x) => [...row, String(x)])), [[]])

export const GOODPUT: Table = {
  file: 'goodput.tsv',
  title: 'Goodput of one flow, percent of what the line can carry',
  keys: ['rate Mbit/s', 'RTT ms', 'queue BDP', 'loss %'],
  columns: [...ALGORITHMS],
  rows: product(RATES_MBIT, RTTS_MS, QUEUES_BDP, [0, 0.1, 1, 3]),
  cell: ([rate, rtt, queue, loss], algorithm) => 100 * goodput(algorithm, +rate, +rtt, +queue, +loss / 100),
}

export const FAIRNESS: Table = {
  file: 'fairness.tsv',
  title: "Jain's index of n flows of one kind, 50 Mbit/s, 40 ms, 1 BDP of queue",
  keys: ['flows'],
  columns: [...ALGORITHMS],
  rows: product([2, 4, 8, 16, 32, 64]),
  cell: ([n], algorithm) =>
    fairness(runFlows({ ...SHARED, flows: Array(+n).fill(algorithm), durationMs: 30_000, warmupMs: 10_000 }).shares),
}

export const SHARES: Table = {
  file: 'shares.tsv',
  title: 'Share of the first of two flows of different kinds, percent of what both get; 40 ms',
  keys: ['rate Mbit/s', 'queue BDP'],
  columns: ['cubic:newreno', 'bbr:cubic', 'bbr:newreno'],
  rows: product([10, 50], QUEUES_BDP),
  cell: ([rate, queue], pair) => {
    const { shares, utilization } = runFlows({
      ...SHARED,
      rateMbit: +rate,
      queueBdp: +queue,
      flows: pair.split(':'),
      durationMs: 40_000,
      warmupMs: 10_000,
    })
    return (100 * shares[0]) / utilization
  },
}

export const RTTS: Table = {
  file: 'rtts.tsv',
  title:
    'Share of the flow with the shorter round trip (20 ms) beside a longer one, percent of what both get; 50 Mbit/s, 100 ms worth of queue',
  keys: ['longer RTT ms'],
  columns: [...ALGORITHMS],
  rows: product([20, 40, 80, 160]),
  cell: ([longer], algorithm) => {
    const { shares, utilization } = runFlows({
      ...SHARED,
      rttMs: 20,
      queueBdp: 5,
      rttsMs: [20, +longer],
      flows: [algorithm, algorithm],
      durationMs: 40_000,
      warmupMs: 10_000,
    })
    return (100 * shares[0]) / utilization
  },
}

export const TABLES = [GOODPUT, FAIRNESS, SHARES, RTTS]

/**
 * How far a number may be from its table: 2 points, where losses are drawn at random and a twelfth of it more; 0.05 of an index, 8 points of a share.
 * Small enough that CUBIC falling to a half in place of 0.7 is seen (grid.test.ts).
 */
export function tolerance(table: Table, key: readonly string[], expected: number): number {
  if (table === FAIRNESS) return 0.05
  if (table !== GOODPUT) return 8
  return key[3] === '0' ? 2 : 2 + expected / 12
}

export function format(table: Table, rows: readonly Row[]): string {
  const lines = [`# ${table.title}. Written by \`npm run grid\`.`, [...table.keys, ...table.columns].join('\t')]
  for (const { key, values } of rows) lines.push([...key, ...values.map((v) => v.toFixed(table === FAIRNESS ? 3 : 1))].join('\t'))
  return `${lines.join('\n')}\n`
}

/** Reads what `format` wrote. Throws when it is not of this table. */
export function parse(table: Table, text: string): Row[] {
  const lines = text.split('\n').filter((l) => l !== '' && !l.startsWith('#'))
  const header = [...table.keys, ...table.columns].join('\t')
  if (lines[0] !== header) throw new Error(`${table.file}: its columns are not ${header}`)
  const rows = lines.slice(1).map((line) => {
    const fields = line.split('\t')
    return { key: fields.slice(0, table.keys.length), values: fields.slice(table.keys.length).map(Number) }
  })
  const keys = (list: readonly (readonly string[])[]): string => JSON.stringify(list)
  if (keys(rows.map((r) => r.key)) !== keys(table.rows)) throw new Error(`${table.file}: its rows are not those of the grid`)
  return rows
}
