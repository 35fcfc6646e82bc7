/**
 * `npm run bench:forward [-- --seconds N --only NAME]`: what a packet costs that a stack sends on, in memory (bench/router.ts).
 */
import { runWorkloads } from './workloads.ts'

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

await runWorkloads('router', WORKLOADS, 'packet')
