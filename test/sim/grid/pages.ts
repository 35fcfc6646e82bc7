/** The tables as they stand in docs/congestion.md, between `<!-- grid:NAME -->` and `<!-- end -->`. */
import { ALGORITHMS, FAIRNESS, GOODPUT, LOSSES, QUEUES_BDP, RATES_MBIT, type Row, RTTS_MS, type Table } from './grid.ts'

/** A Markdown table. Goodput is folded: a line for each path, a group of columns for each loss. */
export function markdown(table: Table, rows: readonly Row[]): string {
  if (table === GOODPUT) return goodput(rows)
  const digits = table === FAIRNESS ? 3 : 0
  return lines(
    [...table.keys, ...table.columns],
    rows.map(({ key, values }) => [...key, ...values.map((v) => v.toFixed(digits))]),
  )
}

function goodput(rows: readonly Row[]): string {
  const heads = LOSSES.flatMap((loss) => ALGORITHMS.map((a) => `${a} ${loss * 100} %`))
  const body: string[][] = []
  let at = 0
  for (const rate of RATES_MBIT) {
    for (const rtt of RTTS_MS) {
      for (const queue of QUEUES_BDP) {
        const values = rows.slice(at, at + LOSSES.length).flatMap((r) => r.values.map((v) => v.toFixed(0)))
        body.push([`${rate}`, `${rtt}`, `${queue}`, ...values])
        at += LOSSES.length
      }
    }
  }
  return lines(['Mbit/s', 'ms', 'BDP', ...heads], body)
}

function lines(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (fields: readonly string[]): string => `| ${fields.join(' | ')} |`
  return [line(head), line(head.map(() => '--:')), ...body.map(line)].join('\n')
}

/** `page` with the table's section replaced. Throws when it has none. */
export function withTable(page: string, table: Table, rows: readonly Row[]): string {
  const mark = `<!-- grid:${table.file.replace('.tsv', '')} -->\n`
  const start = page.indexOf(mark)
  const end = page.indexOf('<!-- end -->', start)
  if (start < 0 || end < 0) throw new Error(`docs/congestion.md has no section ${mark.trim()}`)
  return `${page.slice(0, start + mark.length)}\n${markdown(table, rows)}\n\n${page.slice(end)}`
}
