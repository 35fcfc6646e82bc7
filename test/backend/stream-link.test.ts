import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { type Carrier, openStreamLink, StreamLink, type StreamLinkOptions } from '../../src/backend/stream-link.ts'
import { U16LE, U32BE } from '../../src/link/framing.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame, tcpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'
import { streamPair, turns } from '../support/stream-pair.ts'

function links(options: Partial<StreamLinkOptions> = {}) {
  const [left, right] = streamPair()
  const a = openStreamLink(left, { name: 'a', pendingBytes: 24 << 10, ...options })
  const b = openStreamLink(right, { name: 'b', pendingBytes: 24 << 10, ...options, carrier: null })
  return { a, b, left, right, host: new VirtualHost(), settle: () => turns() }
}

netifConformance('stream', () => links())
netifConformance('stream with four-byte lengths and a small queue', () => links({ framing: U32BE, queueFrames: 8 }), { burst: 4 })
netifConformance('stream of IP packets, little-endian with a pad', () =>
  links({ framing: { ...U16LE, pad: 2 }, medium: 'ip', mtu: 9000 }),
)
netifConformance('stream over a socket', async () => {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = createConnection((server.address() as { port: number }).port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [Socket]
  return {
    a: openStreamLink(client, { name: 'a', pendingBytes: 16 << 10 }),
    b: openStreamLink(accepted, { name: 'b' }),
    host: new VirtualHost(),
    settle: () => turns(12),
    close: () => void server.close(),
  }
})

function attached(options: Partial<StreamLinkOptions> = {}) {
  const pair = links(options)
  const sinkA = new RecordingSink(pair.host)
  const sinkB = new RecordingSink(pair.host)
  pair.a.attach(sinkA)
  pair.b.attach(sinkB)
  return { ...pair, sinkA, sinkB }
}

function pull(link: StreamLink, sink: RecordingSink): void {
  sink.receiving = true
  while (link.receive(64));
  sink.receiving = false
  sink.ready = false
}

const send = (link: StreamLink, bytes: Uint8Array, meta = 0): boolean => link.send(bytes, 0, bytes.length, meta)

/** Gives a link what it is handed. */
class Hand implements Carrier {
  readonly text = 'by hand'
  readonly log: string[] = []
  constructor(private readonly again = true) {}
  start(): void {
    this.log.push('start')
  }
  ended(error?: Error): boolean {
    this.log.push(`ended ${error?.message ?? ''}`.trim())
    return this.again
  }
  close(): void {
    this.log.push('close')
  }
}

describe('a link over a stream', () => {
  it('gathers the frames of a turn into one write', async () => {
    const { a, b, sinkB, left } = attached()
    let writes = 0
    const write = left.write.bind(left)
    left.write = ((...args: Parameters<Duplex['write']>) => {
      writes++
      return write(...args)
    }) as Duplex['write']
    const frames = Array.from({ length: 20 }, (_, i) => plainFrame('ethernet', 60 + i, i))
    for (const frame of frames) send(a, frame)
    expect(writes).toBe(0)
    a.flush()
    a.flush()
    expect(writes).toBe(1)
    await turns()
    pull(b, sinkB)
    expectFrames(sinkB.frames, frames)
    expect(a.counters()).toMatchObject({ outFrames: 20, outBatches: 1, streams: 1 })
  })

  it('ends with its stream, after what had arrived was pulled', async () => {
    const { a, b, sinkA, sinkB } = attached()
    const frame = plainFrame('ethernet', 60, 1)
    send(a, frame)
    await a.close()
    await turns()
    expect([sinkB.closes, sinkB.ready]).toEqual([0, true])
    pull(b, sinkB)
    expectFrames(sinkB.frames, [frame])
    expect([sinkB.closes, sinkA.closes]).toEqual([1, 0])
    expect(send(b, frame)).toBe(true)
    expect(b.counters()).toMatchObject({ dropClosed: 1 })
  })

  it('tells of an end that came before it was attached', async () => {
    const { a, left, host } = links()
    left.destroy(new Error('cable cut'))
    await turns()
    const sink = new RecordingSink(host)
    a.attach(sink)
    pull(a, sink)
    expect([sink.closes, sink.complaints]).toEqual([1, []])
  })

  it('ends when the other side speaks another format', async () => {
    const { b, left, sinkB } = attached({ framing: U32BE })
    left.write(Uint8Array.from([0x16, 3, 1, 2, 0]))
    await turns()
    pull(b, sinkB)
    expect(sinkB.closes).toBe(1)
    expect(b.counters()).toMatchObject({ dropInBadLength: 1, streamErrors: 1, inFrames: 0 })
  })

  it('slows the peer when nobody pulls, and loses nothing', async () => {
    const { a, b, sinkA, sinkB } = attached({ queueFrames: 4, pendingBytes: 4096 })
    const sent: Uint8Array[] = []
    for (let i = 0; i < 5000; i++) {
      const frame = plainFrame('ethernet', 1000, i)
      if (!send(a, frame)) break
      sent.push(frame)
      a.flush()
      await turns(1)
    }
    // 16 KiB in each of two streams' buffers, the queue, the pending bytes: far below 5000 frames.
    expect(sent.length).toBeLessThan(80)
    expect(b.counters().inPaused).toBe(1)
    for (let i = 0; i < 200 && sinkB.frames.length < sent.length; i++) {
      pull(b, sinkB)
      await turns(1)
    }
    expectFrames(sinkB.frames, sent)
    expect(sinkA.writables).toBe(1)
  })

  it('without a stream is a cable with one plug, until there is another', async () => {
    const carrier = new Hand()
    const a = new StreamLink({ name: 'a', carrier })
    const host = new VirtualHost()
    const sink = new RecordingSink(host)
    a.attach(sink)
    const frame = plainFrame('ethernet', 60, 1)
    expect([send(a, frame), a.isUp]).toEqual([true, false])
    for (let round = 0; round < 2; round++) {
      const [left, right] = streamPair()
      a.use(left)
      const b = openStreamLink(right, { name: 'b' })
      const sinkB = new RecordingSink(host)
      b.attach(sinkB)
      send(a, frame)
      a.flush()
      send(b, frame)
      await b.close()
      await turns()
      pull(a, sink)
      expect(a.isUp).toBe(false)
      expect(send(a, frame)).toBe(true)
    }
    expectFrames(sink.frames, [frame, frame])
    expect(a.counters()).toMatchObject({ streams: 2, dropNoPeer: 3, outFrames: 2 })
    expect(carrier.log).toEqual(['start', 'ended', 'ended'])
    await a.close()
    expect([carrier.log.at(-1), sink.closes]).toEqual(['close', 0])
    expect(a.describe()).toMatch(/^a: by hand, ethernet in a stream, mtu 1500, not connected$/)
  })

  it('takes a newer stream in place of the one in use, and forgets half a frame', async () => {
    const { a, right, sinkA, left } = attached()
    right.write(Uint8Array.from([0, 60, 1, 2, 3]))
    await turns()
    const [newer, far] = streamPair()
    a.use(newer)
    expect(left.destroyed).toBe(true)
    const frame = plainFrame('ethernet', 60, 1)
    far.write(Uint8Array.from([0, 60, ...frame]))
    await turns()
    pull(a, sinkA)
    expectFrames(sinkA.frames, [frame])
    expect([a.counters().dropInCutOff, a.counters().streams, sinkA.closes]).toEqual([1, 2, 0])
  })

  it('lets a sender go that waited when the stream ends', async () => {
    const carrier = new Hand()
    const { a, right, sinkA } = attached({ carrier, pendingBytes: 1000 })
    const frame = plainFrame('ethernet', 1400, 1)
    right.pause()
    for (let i = 0; send(a, frame); i++) expect(i).toBeLessThan(1000)
    expect(sinkA.writables).toBe(0)
    right.destroy()
    await turns()
    expect([sinkA.writables, send(a, frame), a.counters().dropNoPeer]).toEqual([1, true, 1])
  })

  it('lets a sender go that waited when a newer stream takes the place', async () => {
    const { a, right, sinkA } = attached({ carrier: new Hand(), pendingBytes: 1000 })
    const frame = plainFrame('ethernet', 1400, 1)
    right.pause()
    for (let i = 0; send(a, frame); i++) expect(i).toBeLessThan(1000)
    a.use(streamPair()[0])
    expect([sinkA.writables, send(a, frame)]).toEqual([1, true])
  })

  it('says that it is there by empty frames, and misses those of a peer that sent some', async () => {
    const carrier = new Hand()
    const { a, b, host, right } = attached({ carrier, keepAliveMs: 1000 })
    host.advance(1000)
    await turns()
    expect([a.counters().outKeepAlives, b.counters().inKeepAlives]).toEqual([1, 1])
    send(a, plainFrame('ethernet', 60, 1))
    a.flush()
    host.advance(1000)
    await turns()
    expect([a.counters().outKeepAlives, a.counters().inKeepAlives]).toEqual([1, 2])
    // The other end hangs: its stream stays open, and nothing comes of it.
    right.write = (() => true) as Duplex['write']
    host.advance(3000)
    expect(a.isUp).toBe(true)
    host.advance(1000)
    expect([a.isUp, carrier.log.at(-1)]).toEqual([false, 'ended a: the other end has been silent for 3 s'])
  })

  it('does not miss what it never had: a peer without keep-alives may be silent', async () => {
    const { a, host, right } = attached({ keepAliveMs: 1000 })
    right.write = (() => true) as Duplex['write']
    for (let i = 0; i < 10; i++) {
      host.advance(1000)
      await turns(1)
    }
    expect([a.isUp, a.counters().outKeepAlives, a.counters().silences]).toEqual([true, 10, 0])
  })

  it('drops what needs offload, and what is no frame', async () => {
    const { a, b, left, sinkB } = attached()
    const big = tcpFrame({ payload: new Uint8Array(5000), gso: 1460 })
    expect(send(a, big.bytes, big.meta)).toBe(true)
    expect(send(a, new Uint8Array(13))).toBe(true)
    left.write(Uint8Array.from([0, 3, 1, 2, 3]))
    await turns()
    pull(b, sinkB)
    expect(a.counters()).toMatchObject({ dropNotOffloaded: 1, dropTooShort: 1, outFrames: 0 })
    expect([b.counters().dropInTooShort, sinkB.frames.length]).toEqual([1, 0])
  })

  it('refuses an MTU that the length cannot say', () => {
    expect(() => new StreamLink({ name: 'x', mtu: 65514 })).toThrow(/68 to 65513/)
    expect(new StreamLink({ name: 'x', mtu: 65513 }).mtu).toBe(65513)
    expect(new StreamLink({ name: 'x', mtu: 65535, framing: U32BE }).mtu).toBe(65535)
  })
})
