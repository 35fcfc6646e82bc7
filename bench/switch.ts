/** `npm run bench:switch [-- --seconds N --only NAME]`: what a frame costs that a switch passes on, in memory (bench/switching.ts). */
import { runWorkloads } from './workloads.ts'

await runWorkloads('switching', ['small', 'full', 'super', 'addresses4096', 'ports16', 'trunk', 'flood4'], 'frame')
