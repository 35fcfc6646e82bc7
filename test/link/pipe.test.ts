import { describe, expect, it } from 'vitest'
import { createPipe, type PipeOptions } from '../../src/link/pipe.ts'
import { CSUM_PARTIAL, frameMeta, type NetIf, Offload } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame, tcpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { RecordingSink } from '../support/recording-sink.ts'

function pair(options?: PipeOptions) {
  const host = new VirtualHost()
  const [a, b] = createPipe(options)
  return { a, b, host, settle: () => void host.run() }
}

netifConformance('pipe', () => pair())
netifConformance('pipe without offload', () => pair({ offload: false }))
netifConformance('pipe of IP packets', () => pair({ medium: 'ip', mtu: 1280 }))
netifConformance('pipe of IP packets without offload', () => pair({ medium: 'ip', offload: false, mtu: 9000 }))
netifConformance('pipe with a small queue', () => pair({ queueFrames: 10 }), { burst: 8 })
netifConformance('pipe of the largest MTU', () => pair({ mtu: 65535 }))

function attached(options?: PipeOptions) {
  const host = new VirtualHost()
  const [a, b] = createPipe(options)
  const sinkA = new RecordingSink(host)
  const sinkB = new RecordingSink(host)
  a.attach(sinkA)
  b.attach(sinkB)
  const drain = () => {
    sinkB.receiving = true
    while (b.receive(64));
    sinkB.receiving = false
  }
  const send = (link: NetIf, bytes: Uint8Array, meta = 0) => link.send(bytes, 0, bytes.length, meta)
  return { a, b, sinkA, sinkB, drain, send }
}

describe('createPipe', () => {
  it('says what it is', () => {
    const [a, b] = createPipe({ names: ['left', 'right'], mtu: 1400 })
    expect([a.name, b.name, a.mtu, a.gsoMax]).toEqual(['left', 'right', 1400, 65535])
    expect(a.offload).toBe(Offload.TX_CHECKSUM | Offload.RX_CHECKSUM | Offload.TSO4 | Offload.TSO6)
    const [plain] = createPipe({ offload: false })
    expect([plain.name, plain.offload, plain.gsoMax]).toEqual(['pipe.a', 0, 0])
  })

  it('refuses an MTU that cannot be', () => {
    for (const mtu of [0, 67, 65536, 1.5, Number.NaN]) expect(() => createPipe({ mtu })).toThrow(/mtu/)
  })

  it('passes meta as it is with offload, and drops what needs offload without', () => {
    const frame = tcpFrame({ payload: new Uint8Array(5000), gso: 1460 })
    const soft = attached()
    expect(soft.send(soft.a, frame.bytes, frame.meta)).toBe(true)
    soft.drain()
    expect(soft.sinkB.metas).toEqual([frame.meta])
    expect(soft.sinkB.frames).toEqual([frame.bytes])

    const wire = attached({ offload: false })
    expect(wire.send(wire.a, frame.bytes, frame.meta)).toBe(true)
    expect(wire.send(wire.a, frame.bytes.slice(0, 900), frameMeta(CSUM_PARTIAL, 0, 0))).toBe(true)
    wire.send(wire.a, frame.bytes.slice(0, 900), 1)
    wire.drain()
    expect(wire.sinkB.metas).toEqual([0])
    expect(wire.a.counters?.()).toMatchObject({ dropNotOffloaded: 2, outFrames: 1 })
  })

  it('gives tagged frames their four bytes', () => {
    const { a, sinkB, drain, send } = attached({ mtu: 100 })
    const tagged = tcpFrame({ payload: new Uint8Array(60), vlans: [5] }).bytes
    expect(tagged.length).toBe(118)
    send(a, tagged)
    send(a, plainFrame('ethernet', 118, 1))
    drain()
    expect(sinkB.frames).toEqual([tagged])
    expect(a.counters?.()).toMatchObject({ dropTooLong: 1 })
  })

  it('drops runts and super-segments above 65535', () => {
    const { a, send } = attached()
    send(a, new Uint8Array(13))
    send(a, new Uint8Array(65536 + 14), frameMeta(CSUM_PARTIAL, 4, 1460))
    expect(a.counters?.()).toMatchObject({ dropTooShort: 1, dropTooLong: 1, outFrames: 0 })
  })

  it('loses what is sent before the other end is attached and after it was closed', () => {
    const [a, b] = createPipe()
    const host = new VirtualHost()
    a.attach(new RecordingSink(host))
    const frame = plainFrame('ethernet', 60, 1)
    expect(a.send(frame, 0, 60, 0)).toBe(true)
    const sink = new RecordingSink(host)
    b.attach(sink)
    expect(b.receive(64)).toBe(false)
    b.close()
    expect(a.send(frame, 0, 60, 0)).toBe(true)
    expect(a.counters?.()).toMatchObject({ dropNoPeer: 2, outFrames: 0 })
    expect(sink.closes).toBe(0)
  })

  it('lets go a sender that waits for room when the other end closes', () => {
    const { a, b, sinkA, send } = attached({ queueFrames: 1 })
    const frame = plainFrame('ethernet', 60, 1)
    expect([send(a, frame), send(a, frame)]).toEqual([true, false])
    expect(sinkA.writables).toBe(0)
    b.close()
    expect(sinkA.writables).toBe(1)
    expect(send(a, frame)).toBe(true)
  })

  it('still delivers what was sent before the close', () => {
    const { a, sinkB, drain, send } = attached()
    const frame = plainFrame('ethernet', 60, 1)
    send(a, frame)
    a.close()
    drain()
    expect(sinkB.frames).toEqual([frame])
  })

  it('says writable at half full, once', () => {
    const { a, b, sinkA, sinkB, send } = attached({ queueFrames: 8 })
    const frame = plainFrame('ethernet', 60, 1)
    while (send(a, frame));
    sinkB.receiving = true
    b.receive(3)
    expect(sinkA.writables).toBe(0)
    b.receive(1)
    expect(sinkA.writables).toBe(1)
    b.receive(1)
    expect(sinkA.writables).toBe(1)
  })
})
