/**
 * `npm run bench:mux [-- --seconds N --only NAME]`: what a frame costs on its way through a multiplexer (bench/muxing.ts): in memory, from a worker over shared
 * memory, from another thread over a socket. One process for each workload, one after the other.
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { bundle } from './programs.ts'
import { parseLine } from './summary.ts'

const WORKLOADS = ['wire', 'inside', 'worker', 'socket'].flatMap((way) => [`${way}.small`, `${way}.super`])

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '2' }, only: { type: 'string', default: '' } } })
await bundle({ muxing: 'bench/muxing.ts' })
console.log(`${'us a frame'.padStart(34)}${'frames/s'.padStart(14)}${'Gbit/s'.padStart(10)}`)
for (const workload of WORKLOADS.filter((w) => w.includes(values.only))) {
  const run = spawnSync(process.execPath, ['bench/build/muxing.js', workload, values.seconds], { encoding: 'utf8' })
  const line = parseLine(run.stdout)
  if (run.status !== 0 || line === null) throw new Error(`${workload}: ${run.stderr}`)
  const perSecond = Number(line.per_second)
  const gbit = ((perSecond * Number(line.bytes) * 8) / 1e9).toFixed(1)
  console.log(
    `${workload.padEnd(22)}${(1e6 / perSecond).toFixed(2).padStart(12)}${Math.round(perSecond).toString().padStart(14)}${gbit.padStart(10)}`,
  )
}
