/** Flows over one bottleneck on virtual time: what the grid, the fairness table and the tests of congestion control measure. */
import type { ConfigOverrides } from '../../../src/base/config.ts'
import { createWorld } from '../../../src/sim/world.ts'
import type { RawConnection } from '../../../src/tcp/api.ts'
import type { CongestionChoice } from '../../../src/tcp/congestion.ts'
import type { Connection } from '../../../src/tcp/connection.ts'
import { Sink, SOURCE } from '../../support/bulk.ts'

export interface PathOptions {
  /** Megabits per second of the line, frames with their Ethernet headers. */
  rateMbit: number
  /** Round-trip time of an empty path, ms. */
  rttMs: number
  /** Queue before the line, in bandwidth-delay products; at least three frames. */
  queueBdp: number
  /** Probability that a frame with data is lost. */
  loss: number
  seed?: number
}

export interface FlowsOptions extends PathOptions {
  /** One flow each. */
  flows: readonly CongestionChoice[]
  /** Length of the run, and from when it is measured; ms. */
  durationMs: number
  warmupMs: number
  /** The n-th flow begins n times this later. */
  staggerMs?: number
  /** Round-trip times of the flows where they differ, not less than `rttMs`: their ACKs come back by links of their own. */
  rttsMs?: readonly number[]
  config?: ConfigOverrides
}

export interface FlowsResult {
  /** Payload bits per second of each flow, of the line's payload capacity. */
  shares: number[]
  /** Their sum. */
  utilization: number
  retransmits: number
  timeouts: number
  /** Mean smoothed round-trip time at the end, ms. */
  rttMs: number
  /** Events that the simulation ran. */
  events: number
  connections: Connection[]
}

export const MTU = 1500
const HEADERS = 14 + 20 + 20 + 12
export const FRAME = MTU + 14

/** Runs flows from one stack to another over one line. */
export function runFlows(options: FlowsOptions): FlowsResult {
  const { rateMbit, rttMs, queueBdp, loss, flows, durationMs, warmupMs, staggerMs = 0, config = {} } = options
  const rate = rateMbit * 1e6
  const bdp = (rate / 8) * (rttMs / 1000)
  const queue = Math.max(3 * FRAME, Math.round(queueBdp * bdp))
  // Buffers are never the limit: both hold what the path and its queue can.
  const buffer = Math.min(0x3fffffff, Math.max(1 << 20, Math.round(4 * (bdp + queue))))
  const tcp = {
    sendBufferMaxBytes: buffer,
    receiveBufferInitialBytes: buffer,
    receiveBufferMaxBytes: buffer,
    memoryBytes: 0x7fffffff,
    ...config.tcp,
  }
  const world = createWorld({ seed: options.seed ?? 1 })
  const a = world.stack({ name: 'a', ...config, tcp })
  const b = world.stack({ name: 'b', ...config, tcp })
  world.link(a, b, {
    delay: rttMs / 2,
    send: { rate, queue, loss, delay: rttMs / 2 },
    queueBytes: 64 << 20,
    queueFrames: 1 << 16,
  })
  const sinks: Sink[] = []
  const listener = {
    onConnection(c: RawConnection): void {
      const sink = sinks[c.localPort - 1000]
      c.handler = sink
      sink.onReadable(c)
    },
  }
  // Data of all flows crosses the one line. The way back goes by the source address: each has a network, and a link, of its own.
  const detours = (options.rttsMs ?? []).map((ms) => world.link(a, b, { delay: ms - rttMs / 2, queueBytes: 64 << 20 }))
  world.run(Math.max(rttMs, ...(options.rttsMs ?? [])) * 2 + 1) // ARP
  const connections = flows.map((congestion, i) => {
    sinks.push(new Sink())
    b.tcp.listen({ port: 1000 + i }, listener)
    if (i > 0 && staggerMs > 0) world.run(staggerMs)
    const localAddress = detours.length > 0 ? `10.0.${i + 1}.1` : undefined
    return a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 1000 + i, congestion, localAddress }, SOURCE) as Connection
  })
  world.run(Math.max(0, warmupMs))
  const before = sinks.map((s) => s.bytes)
  world.run(durationMs - warmupMs)
  const capacity = ((rate / 8) * ((durationMs - warmupMs) / 1000) * (MTU - HEADERS + 14)) / FRAME
  const shares = sinks.map((s, i) => (s.bytes - before[i]) / capacity)
  const infos = connections.map((c) => c.info())
  return {
    shares,
    utilization: shares.reduce((x, y) => x + y, 0),
    retransmits: infos.reduce((n, i) => n + i.retransmits, 0),
    timeouts: (a.tcp.counters.snapshot() as Record<string, number>).tcpTimeouts,
    rttMs: infos.reduce((n, i) => n + i.rttUs, 0) / infos.length / 1000,
    events: world.host.events,
    connections,
  }
}

/** Jain's index: 1 when all have the same, 1/n when one has everything. */
export function fairness(shares: readonly number[]): number {
  const sum = shares.reduce((x, y) => x + y, 0)
  const squares = shares.reduce((x, y) => x + y * y, 0)
  return squares === 0 ? 0 : (sum * sum) / (shares.length * squares)
}
