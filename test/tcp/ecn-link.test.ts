/** A link that marks instead of dropping: windows follow the marks, and nothing is sent twice. */
import { describe, expect, it } from 'vitest'
import type { FaultOptions } from '../../src/link/impairments.ts'
import { createWorld } from '../../src/sim/world.ts'
import type { EcnMode } from '../../src/tcp/api.ts'
import { type TransferResult, transfer } from '../sim/transfer.ts'
import { Sink, SOURCE } from '../support/bulk.ts'

const RATE = 50e6
const BYTES = 12 << 20
/** One bandwidth-delay product is 125 KB. */
const MARKING: FaultOptions = { rate: RATE, delay: 10, queue: 1 << 20, markQueue: 64 << 10 }

function run(
  ecn: EcnMode,
  congestion: string,
  impairments = MARKING,
  tcp: Record<string, unknown> = {},
  offload = true,
): TransferResult {
  return transfer({ seed: 5, bytes: BYTES, impairments, offload, config: { tcp: { ecn, congestion, ...tcp } } })
}

function counters(r: TransferResult): Record<string, number> {
  const a = r.stackA.tcp.counters.snapshot() as Record<string, number>
  const b = r.stackB.tcp.counters.snapshot() as Record<string, number>
  return Object.fromEntries(Object.keys(a).map((k) => [k, a[k] + b[k]]))
}

/** Three seconds of one direction alone: the share of the line's payload that arrived in the last two and a half, and the reductions in all. */
function oneWay(ecn: EcnMode, congestion: string, tcp: Record<string, unknown>): { share: number; reductions: number } {
  const world = createWorld({ seed: 3 })
  const config = { tcp: { ecn, congestion, ...tcp } }
  const [a, b] = [world.stack(config), world.stack(config)]
  world.link(a, b, { ...MARKING, markQueue: 128 << 10 })
  const sink = new Sink()
  b.tcp.listen({ port: 7 }, { onConnection: (c) => (c.handler = sink) })
  a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, SOURCE)
  world.run(500)
  const before = sink.bytes
  world.run(2500)
  const n = a.tcp.counters.snapshot() as Record<string, number>
  expect(n.tcpRetransSegs).toBe(0)
  return { share: ((sink.bytes - before) * 8) / (RATE * 2.5 * (1460 / 1514)), reductions: n.tcpEcnReductions }
}

describe.each([
  ['on', 'cubic', {}],
  ['on', 'newreno', {}],
  ['accurate', 'cubic', {}],
  ['accurate', 'newreno', {}],
  ['accurate', 'cubic', { ecnControlPackets: true }],
  ['accurate', 'cubic', { ecnOption: 'never' }],
  ['accurate', 'cubic', { ecnOption: 'changes', timestamps: false }],
] as const)('ecn %s, %s %o', (ecn, congestion, tcp) => {
  const r = run(ecn, congestion, MARKING, tcp)
  const n = counters(r)

  it('marks, and loses nothing: no segment is sent again', () => {
    expect(n.tcpInCe).toBeGreaterThan(0)
    expect(n.tcpEcnReductions).toBeGreaterThan(1)
    expect(n.tcpRetransSegs).toBe(0)
    expect(n.tcpTimeouts).toBe(0)
  })

  it('fills the link all the same, one window reduction at a time', () => {
    const { share, reductions } = oneWay(ecn, congestion, tcp)
    expect(share).toBeGreaterThan(congestion === 'newreno' ? 0.91 : 0.93) // a round trip of reduction is one without growth
    // Slow start overshoots by two windows; then one reduction for each time that the window has grown back.
    expect(reductions).toBeLessThan(8)
  })
})

it('both ends count alike', () => {
  const r = run('accurate', 'cubic')
  const a = r.a.connection!.info().ecnReport!
  const b = r.b.connection!.info().ecnReport!
  expect(a.deliveredCeBytes).toBeGreaterThan(0)
  for (const [from, to] of [
    [a, b],
    [b, a],
  ]) {
    // The last ACK may not have come back when the connection ends.
    expect(Math.abs(from.deliveredCeBytes - to.receivedCeBytes)).toBeLessThan(64 << 10)
    expect(Math.abs(from.deliveredEct0Bytes - to.receivedEct0Bytes)).toBeLessThan(64 << 10)
    expect(Math.abs(from.deliveredCePackets - to.receivedCePackets)).toBeLessThan(48)
  }
})

it('without ECN the same link only drops', () => {
  const n = counters(run('off', 'cubic', { ...MARKING, queue: 96 << 10 }))
  expect(n.tcpInCe).toBe(0)
  expect(n.tcpRetransSegs).toBeGreaterThan(0)
})

it.each(['on', 'accurate'] as const)('%s survives marks, losses, doubles and disorder together', (ecn) => {
  for (const seed of [1, 2, 3]) {
    const impairments: FaultOptions = { loss: 0.02, duplicate: 0.01, reorder: 0.02, mark: 0.1, delay: 5, jitter: 2 }
    const r = transfer({ seed, bytes: 1 << 20, impairments, config: { tcp: { ecn, ecnControlPackets: seed === 2 } } })
    expect(r.a.error).toBe(null)
    expect(r.b.received).toBe(1 << 20)
    expect(counters(r).tcpEcnReductions).toBeGreaterThan(0)
  }
})
