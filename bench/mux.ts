/**
 * `npm run bench:mux [-- --seconds N --only NAME]`: what a frame costs on its way through a multiplexer (bench/muxing.ts): in memory, from a worker over shared
 * memory, from another thread over a socket. The links are part of both columns.
 */
import { runWorkloads } from './workloads.ts'

const WORKLOADS = ['wire', 'inside', 'worker', 'socket'].flatMap((way) => [`${way}.small`, `${way}.super`])

await runWorkloads('muxing', WORKLOADS, 'frame')
