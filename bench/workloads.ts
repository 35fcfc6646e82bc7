/** Workloads in memory: one process for each, one after the other, and a table of what they cost. `-- --seconds N --only NAME` */
import { spawnSync } from 'node:child_process'
import { bundle } from './programs.ts'
import { parseLine } from './summary.ts'

function value(name: string, otherwise: string): string {
  const i = process.argv.indexOf(`--${name}`)
  return i < 0 ? otherwise : process.argv[i + 1]
}

/** Runs `bench/PROGRAM.ts WORKLOAD SECONDS` for each workload that `--only` leaves. Throws what one of them said. */
export async function runWorkloads(program: string, workloads: readonly string[], what: string): Promise<void> {
  const seconds = value('seconds', '2')
  const only = value('only', '')
  await bundle({ [program]: `bench/${program}.ts` })
  const columns = [`us a ${what}`.padStart(34), 'with the links'.padStart(18), `${what}s/s`.padStart(14), 'Gbit/s'.padStart(10)]
  console.log(columns.join(''))
  for (const workload of workloads.filter((w) => w.includes(only))) {
    const run = spawnSync(process.execPath, [`bench/build/${program}.js`, workload, seconds], { encoding: 'utf8' })
    const line = parseLine(run.stdout)
    if (run.status !== 0 || line === null) throw new Error(`${workload}: ${run.stderr}`)
    const cells = [
      workload.padEnd(22),
      Number(line.us).toFixed(2).padStart(12),
      Number(line.us_with_links).toFixed(2).padStart(18),
      Math.round(Number(line.per_second)).toString().padStart(14),
      Number(line.gbit_s).toFixed(2).padStart(10),
    ]
    console.log(cells.join(''))
  }
}
