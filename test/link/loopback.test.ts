import { describe, expect, it } from 'vitest'
import { createLoopback } from '../../src/link/loopback.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame, tcpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { RecordingSink } from '../support/recording-sink.ts'

netifConformance('loopback', () => {
  const host = new VirtualHost()
  const lo = createLoopback()
  return { a: lo, b: lo, host, settle: () => void host.run() }
})

describe('createLoopback', () => {
  it('gives back what was sent, meta included, in the next receive', () => {
    const lo = createLoopback()
    const sink = new RecordingSink(new VirtualHost())
    lo.attach(sink)
    const frame = tcpFrame({ medium: 'ip', payload: new Uint8Array(40_000), gso: 16_000 })
    let echoes = 0
    sink.onFrame = (buf, start, end, meta) => {
      if (echoes++ < 3) lo.send(buf, start, end, meta)
    }
    lo.send(frame.bytes, 0, frame.bytes.length, frame.meta)
    sink.receiving = true
    const more = [1, 2, 3, 4].map(() => lo.receive(64))
    expect(more).toEqual([true, true, true, false])
    expect(sink.frames).toEqual([frame.bytes, frame.bytes, frame.bytes, frame.bytes])
    expect(sink.metas).toEqual([frame.meta, frame.meta, frame.meta, frame.meta])
    expect(sink.readables).toBe(1)
  })

  it('says what it is and drops what no IP packet is', () => {
    const lo = createLoopback({ name: 'lo7' })
    lo.attach(new RecordingSink(new VirtualHost()))
    expect([lo.name, lo.medium, lo.mtu, lo.gsoMax, lo.mac]).toEqual(['lo7', 'ip', 65535, 65535, null])
    expect(lo.send(new Uint8Array(65536), 0, 65536, 0)).toBe(true)
    expect(lo.send(new Uint8Array(1), 0, 0, 0)).toBe(true)
    const frame = plainFrame('ip', 65535, 1)
    expect(lo.send(frame, 0, frame.length, 0)).toBe(true)
    expect(lo.counters?.()).toMatchObject({ dropTooLong: 1, dropTooShort: 1, outFrames: 1 })
  })
})
