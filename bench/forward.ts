/**
 * `npm run bench:forward [-- --seconds N --only NAME]`: what a packet costs that a stack sends on, in memory (bench/router.ts). One process for each
 * workload, one after the other.
 */
import { spawnSync } from 'node:child_process'
import { bundle } from './programs.ts'
import { parseLine } from './summary.ts'

const WORKLOADS = [
  'udp64.ipv4',
  'udp64.ipv6',
  'tcp1500.ipv4',
  'tcp1500.ipv6',
  'super.ipv4',
  'super.ipv6',
  'routes10000.ipv4',
  'receive.ipv4',
  'receive.ipv6',
]

function value(name: string, otherwise: string): string {
  const i = process.argv.indexOf(`--${name}`)
  return i < 0 ? otherwise : process.argv[i + 1]
}

const seconds = value('seconds', '2')
const only = value('only', '')
await bundle({ router: 'bench/router.ts' })
console.log(`${'us a packet'.padStart(34)}${'with the links'.padStart(18)}${'packets/s'.padStart(14)}`)
for (const workload of WORKLOADS.filter((w) => w.includes(only))) {
  const run = spawnSync(process.execPath, ['bench/build/router.js', workload, seconds], { encoding: 'utf8' })
  const line = parseLine(run.stdout)
  if (run.status !== 0 || line === null) throw new Error(`${workload}: ${run.stderr}`)
  const us = Number(line.us).toFixed(2)
  const withLinks = Number(line.us_with_links).toFixed(2)
  console.log(
    `${workload.padEnd(22)}${us.padStart(12)}${withLinks.padStart(18)}${Math.round(Number(line.per_second)).toString().padStart(14)}`,
  )
}
