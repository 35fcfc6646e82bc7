import { describe, expect, it } from 'vitest'
import { capture } from '../../src/link/capture.ts'
import { fault } from '../../src/link/fault.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { PcapngWriter } from '../../src/trace/pcapng.ts'
import { noise, plainFrame, tcpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { readPcapng } from '../support/pcapng-reader.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'

class Collector {
  readonly chunks: Uint8Array[] = []
  ends = 0

  write(bytes: Uint8Array): void {
    this.chunks.push(bytes)
  }

  end(): void {
    this.ends++
  }

  read() {
    return readPcapng(Uint8Array.from(this.chunks.flatMap((c) => [...c])))
  }
}

netifConformance('capture', () => {
  const host = new VirtualHost()
  const [a, b] = createPipe()
  return { a: capture(a, new Collector()), b: capture(b, new Collector()), host, settle: () => void host.run() }
})
netifConformance('capture of IP packets, one writer', () => {
  const host = new VirtualHost()
  const [a, b] = createPipe({ medium: 'ip', queueFrames: 16, offload: false })
  const writer = new PcapngWriter(new Collector())
  return { a: capture(a, writer), b: capture(b, writer), host, settle: () => void host.run() }
})

describe('capture', () => {
  it('writes frames in and out, with time, direction and the state of offload', async () => {
    const host = new VirtualHost({ wallStartNs: 1_000_000_000_000_000_001n })
    const [a, b] = createPipe({ names: ['left', 'right'] })
    const out = new Collector()
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 9)
    const link = capture(a, out, { mac })
    const sink = new RecordingSink(host)
    link.attach(sink)
    b.attach(new RecordingSink(host))
    const plain = plainFrame('ethernet', 77, 1)
    const big = tcpFrame({ payload: noise(9000, 1), gso: 1460 })
    link.send(plain, 0, 77, 0)
    host.advance(0.123)
    link.send(big.bytes, 0, big.bytes.length, big.meta)
    b.send(plain, 0, 77, 1)
    host.advance(1)
    sink.receiving = true
    link.receive(64)
    await link.close()
    await link.close()
    const read = out.read()
    expect(read.interfaces).toEqual([{ linkType: 1, name: 'left', description: a.describe?.(), mac, resolution: 9 }])
    expect(read.packets.map((p) => [p.timeNs - 1_000_000_000_000_000_001n, p.flags])).toEqual([
      [0n, 2],
      [123_000n, 2 | (1 << 9) | (1 << 11)],
      [1_123_000n, 1 | (1 << 10)],
    ])
    expectFrames(
      read.packets.map((p) => p.bytes),
      [plain, big.bytes, plain],
    )
    expect(read.statistics[0].received).toBe(3n)
    expect(out.ends).toBe(1)
  })

  it('leaves out what was refused, and passes the refusal on', async () => {
    const host = new VirtualHost()
    const [a, b] = createPipe({ queueFrames: 1 })
    const out = new Collector()
    const link = capture(a, out)
    const sink = new RecordingSink(host)
    const far = new RecordingSink(host)
    link.attach(sink)
    b.attach(far)
    const frame = plainFrame('ethernet', 60, 1)
    expect([link.send(frame, 0, 60, 0), link.send(frame, 0, 60, 0)]).toEqual([true, false])
    far.receiving = true
    b.receive(1)
    expect(sink.writables).toBe(1)
    expect(link.send(frame, 0, 60, 0)).toBe(true)
    await link.close()
    expect(out.read().packets.length).toBe(2)
  })

  it('may stand on both sides of a fault and share one writer', async () => {
    const host = new VirtualHost()
    const [a, b] = createPipe({ names: ['wire', 'far'] })
    const out = new Collector()
    const writer = new PcapngWriter(out)
    const link = capture(fault(capture(a, writer), { corrupt: 1 }), writer, { name: 'stack' })
    link.attach(new RecordingSink(host))
    b.attach(new RecordingSink(host))
    const frame = tcpFrame({ payload: noise(50, 1) }).bytes
    for (let i = 0; i < 10; i++) link.send(frame.slice(), 0, frame.length, 0)
    await link.close()
    expect(out.ends).toBe(0)
    writer.end()
    const read = out.read()
    expect(read.interfaces.map((i) => i.name)).toEqual(['stack', 'wire'])
    expectFrames(
      read.packets.filter((p) => p.id === 0).map((p) => p.bytes),
      new Array(10).fill(frame),
    )
    const onWire = read.packets.filter((p) => p.id === 1)
    expect(onWire.length).toBe(10)
    for (const p of onWire) expect(p.bytes).not.toEqual(frame)
  })
})
