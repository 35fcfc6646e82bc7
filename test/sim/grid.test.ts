/** The tables are whole, the page shows them, and a part of them is what comes out today. `npm run grid -- --check` computes all. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ALGORITHMS, FAIRNESS, GOODPUT, parse, type Row, SHARES, TABLES, type Table, tolerance } from './grid/grid.ts'
import { withTable } from './grid/pages.ts'

const read = (table: Table): Row[] => parse(table, readFileSync(new URL(`grid/${table.file}`, import.meta.url), 'utf8'))

/** Rate, round-trip time, queue, loss: every loss, the corners of the rest where they are cheap. */
const SOME = [
  ['10', '1', '4', '0'],
  ['10', '20', '0.2', '0'],
  ['10', '20', '1', '0.1'],
  ['10', '100', '4', '3'],
  ['100', '1', '1', '3'],
  ['100', '100', '1', '1'],
  ['1000', '100', '4', '3'],
]

function compare(table: Table, key: readonly string[], column: string): void {
  const row = read(table).find((r) => r.key.join() === key.join())
  const expected = row?.values[table.columns.indexOf(column)]
  expect(expected, `${table.file} has ${key.join(' ')}`).toBeDefined()
  const value = table.cell(key, column)
  expect(Math.abs(value - expected!), `${key.join(' ')} ${column}: ${value}, the table says ${expected}`).toBeLessThanOrEqual(
    tolerance(table, key, expected!),
  )
}

describe('the grid', { timeout: 120_000 }, () => {
  it('is whole: 324 cells of goodput, and how flows share', () => {
    expect(read(GOODPUT).length * ALGORITHMS.length).toBe(324)
    for (const table of TABLES) {
      const rows = read(table)
      expect(rows.length).toBe(table.rows.length)
      for (const row of rows) expect(row.values.every((v) => v >= 0 && v <= 106)).toBe(true)
    }
  })

  it('stands in docs/congestion.md as it is in the tables', () => {
    const page = readFileSync(new URL('../../docs/congestion.md', import.meta.url), 'utf8')
    for (const table of TABLES) expect(withTable(page, table, read(table)), table.file).toBe(page)
  })

  for (const algorithm of ALGORITHMS) {
    it(`goodput of ${algorithm}, in part`, () => {
      for (const key of SOME) compare(GOODPUT, key, algorithm)
    })
  }

  /** `halved`: what came out with beta = 0.5 in cubic.ts. */
  it('would see CUBIC fall to a half in place of 0.7', () => {
    for (const [key, halved] of [
      [['10', '20', '0.2', '0'], 77.6],
      [['10', '1', '4', '0'], 93.8],
      [['100', '20', '0.2', '0'], 82.2],
      [['100', '1', '1', '3'], 48.1],
    ] as const) {
      const expected = read(GOODPUT).find((r) => r.key.join() === key.join())!.values[0]
      expect(expected - halved, key.join(' ')).toBeGreaterThan(tolerance(GOODPUT, key, expected))
    }
  })

  it('fairness and shares, in part', () => {
    compare(FAIRNESS, ['2'], 'cubic')
    compare(SHARES, ['10', '1'], 'cubic:newreno')
  })
})
