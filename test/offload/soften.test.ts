import { describe, expect, it } from 'vitest'
import { createPipe, type PipeOptions } from '../../src/link/pipe.ts'
import { Offload } from '../../src/netif/netif.ts'
import { withoutOffload } from '../../src/offload/soften.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { noise, parseTransport, tcpFrame, udpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'

function pair(options: PipeOptions) {
  const host = new VirtualHost()
  const [a, b] = createPipe(options)
  return { a: withoutOffload(a), b: withoutOffload(b), host, settle: () => void host.run() }
}

netifConformance('software offload over a plain pipe', () => pair({ offload: false }))
netifConformance('software offload over a plain pipe with a small queue', () => pair({ offload: false, queueFrames: 10 }), {
  burst: 8,
})
netifConformance('software offload over a pipe that has its own', () => pair({ offload: true }))
netifConformance('software offload on IP packets', () => pair({ offload: false, medium: 'ip', mtu: 1280 }))

function bench(queueFrames: number) {
  const host = new VirtualHost()
  const [plain, b] = createPipe({ offload: false, queueFrames })
  const a = withoutOffload(plain)
  const sinkA = new RecordingSink(host)
  const sinkB = new RecordingSink(host)
  a.attach(sinkA)
  b.attach(sinkB)
  const receive = (n: number) => {
    sinkB.receiving = true
    b.receive(n)
    sinkB.receiving = false
  }
  const payload = () =>
    Uint8Array.from(sinkB.frames.flatMap((f) => [...f.subarray(parseTransport(f).payload, parseTransport(f).end)]))
  return { a, plain, sinkA, sinkB, receive, payload }
}

describe('withoutOffload', () => {
  it('offers what the link has not', () => {
    const [plain] = createPipe({ offload: false, mtu: 1400, names: ['x', 'y'] })
    const soft = withoutOffload(plain)
    expect([soft.name, soft.mtu, soft.gsoMax, soft.medium]).toEqual(['x', 1400, 65535, 'ethernet'])
    expect(soft.offload).toBe(Offload.TX_CHECKSUM | Offload.TSO4 | Offload.TSO6 | Offload.USO)
    expect(soft.describe?.()).toContain('in software')
  })

  it('finishes a super-segment later when the link fills in the middle of it', () => {
    const { a, sinkA, receive, payload, sinkB } = bench(4)
    const data = noise(20_000, 1)
    const frame = tcpFrame({ payload: data, gso: 1460, flags: 0x18 })
    const lent = frame.bytes.slice()
    expect(a.send(lent, 0, lent.length, frame.meta)).toBe(true) // four frames went, ten wait
    lent.fill(0)
    const next = tcpFrame({ payload: noise(100, 2), partial: true, seq: 20_001 })
    expect(a.send(next.bytes, 0, next.bytes.length, next.meta)).toBe(false)
    expect(sinkA.writables).toBe(0)
    for (let i = 0; i < 20 && sinkA.writables === 0; i++) receive(2)
    expect(sinkA.writables).toBe(1)
    receive(2) // the rest may have filled it again
    expect(a.send(next.bytes, 0, next.bytes.length, next.meta)).toBe(true)
    for (let i = 0; i < 20; i++) receive(2)
    expectFrames([payload()], [Uint8Array.from([...data, ...noise(100, 2)])])
    for (const f of sinkB.frames) expect(parseTransport(f).checksumOk).toBe(true)
    expect(a.counters?.()).toMatchObject({ softSegmented: 1, softSegments: 14, softChecksums: 1, outBlockedHere: 1 })
  })

  it('takes nothing of a super-segment whose first segment is refused', () => {
    const { a, sinkA, receive } = bench(1)
    const small = tcpFrame({ payload: noise(10, 1) })
    const frame = tcpFrame({ payload: noise(5000, 1), gso: 1460 })
    expect(a.send(small.bytes, 0, small.bytes.length, small.meta)).toBe(true)
    const lent = frame.bytes.slice()
    expect(a.send(lent, 0, lent.length, frame.meta)).toBe(false)
    expectFrames([lent], [frame.bytes])
    expect(a.counters?.()).toMatchObject({ softSegmented: 0, softSegments: 0 })
    receive(1)
    expect(sinkA.writables).toBe(1)
  })

  it('leaves a partial frame as it was when it is refused', () => {
    const { a, receive, sinkB } = bench(1)
    const frame = udpFrame({ payload: noise(99, 1), partial: true })
    const lent = frame.bytes.slice()
    expect(a.send(lent, 0, lent.length, frame.meta)).toBe(true)
    lent.set(frame.bytes)
    expect(a.send(lent, 0, lent.length, frame.meta)).toBe(false)
    expectFrames([lent], [frame.bytes])
    receive(1)
    expect(a.send(lent, 0, lent.length, frame.meta)).toBe(true)
    receive(1)
    for (const f of sinkB.frames) expect(parseTransport(f).checksumOk).toBe(true)
    expect(sinkB.metas).toEqual([0, 0])
  })

  it('splits UDP super-datagrams', () => {
    const { a, receive, sinkB } = bench(64)
    const frame = udpFrame({ payload: noise(3500, 1), gso: 1200, family: 6 })
    a.send(frame.bytes, 0, frame.bytes.length, frame.meta)
    receive(64)
    expect(sinkB.frames.map((f) => parseTransport(f).end - parseTransport(f).payload)).toEqual([1200, 1200, 1100])
  })

  it('counts what it cannot split or sum, and forgets what waits when closed', () => {
    const { a, sinkA } = bench(1)
    const frame = tcpFrame({ payload: noise(5000, 1), gso: 1460 })
    a.send(new Uint8Array(60), 0, 60, frame.meta)
    a.send(new Uint8Array(60), 0, 60, 2)
    a.send(frame.bytes, 0, frame.bytes.length, frame.meta)
    a.close()
    a.close()
    expect(a.counters?.()).toMatchObject({ dropUnsplittable: 2, dropPending: 1 })
    expect(sinkA.writables).toBe(0)
  })
})
