/**
 * `npm run grid`: computes the tables of grid.ts and writes them, and docs/congestion.md with them. `-- --check` compares instead and exits with 1 when something is out of its
 * tolerance; `-- --only goodput` does one table.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { format, parse, type Row, TABLES, tolerance } from './grid.ts'
import { withTable } from './pages.ts'

const { values: args } = parseArgs({ options: { check: { type: 'boolean' }, only: { type: 'string' } } })
const page = fileURLToPath(new URL('../../../docs/congestion.md', import.meta.url))
const began = process.hrtime.bigint()
let bad = 0
for (const table of TABLES) {
  if (args.only !== undefined && table.file !== `${args.only}.tsv`) continue
  const path = fileURLToPath(new URL(table.file, import.meta.url))
  const expected = args.check ? parse(table, readFileSync(path, 'utf8')) : null
  const rows: Row[] = []
  for (const key of table.rows) {
    const values = table.columns.map((column) => table.cell(key, column))
    const row = { key, values }
    values.forEach((value, i) => {
      const old = expected?.[rows.length].values[i]
      if (old === undefined || Math.abs(value - old) <= tolerance(table, key, old)) return
      bad++
      console.error(`${table.file}: ${key.join(' ')} ${table.columns[i]}: ${value.toFixed(3)}, the table says ${old}`)
    })
    rows.push(row)
  }
  if (!args.check) {
    writeFileSync(path, format(table, rows))
    writeFileSync(page, withTable(readFileSync(page, 'utf8'), table, parse(table, format(table, rows))))
  }
  console.log(`${table.file}: ${rows.length * table.columns.length} cells ${args.check ? 'compared' : 'written'}`)
}
console.log(`${(Number(process.hrtime.bigint() - began) / 1e9).toFixed(1)} s`)
if (bad > 0) {
  console.error(`${bad} out of tolerance. If that is meant: npm run grid, and say why in the commit.`)
  process.exitCode = 1
}
