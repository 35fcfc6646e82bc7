/** Links by messages: Node's own BroadcastChannels and MessagePorts, and the bus of a v86. */
import { BroadcastChannel, MessageChannel } from 'node:worker_threads'
import { afterAll, describe, expect, it } from 'vitest'
import { type BroadcastChannelLike, broadcastChannelLink } from '../../src/link/broadcast-channel.ts'
import { v86Link } from '../../src/link/v86.ts'
import type { NetIf, NetIfSink } from '../../src/netif/netif.ts'
import { NodeHost } from '../../src/node/host.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { createStack } from '../../src/stack/create.ts'
import { plainFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'
import { FakeV86 } from '../support/v86-bus.ts'

let made = 0
/** A name that nobody else of this process has. */
const name = (): string => `tapstack-${process.pid}-${made++}`
const open: BroadcastChannel[] = []

function channel(of: string): BroadcastChannel {
  const it = new BroadcastChannel(of)
  it.unref()
  open.push(it)
  return it
}

afterAll(() => {
  for (const one of open) one.close()
})

async function turns(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 3000 && !what(); i++) await turns(1)
  expect(what()).toBe(true)
}

function attached(link: NetIf, host = new NodeHost()): RecordingSink {
  const sink = new RecordingSink(host)
  link.attach(sink)
  return sink
}

function drain(link: NetIf, sink: RecordingSink): void {
  sink.receiving = true
  while (sink.ready) sink.ready = link.receive(64)
  sink.receiving = false
}

/** With what the sink is told that its link has ended. */
function endsOf(sink: NetIfSink): unknown[] {
  const ends: unknown[] = []
  sink.closed = (error) => void ends.push(error)
  return ends
}

/** A channel on which nobody is. */
function deaf(): { port: BroadcastChannelLike; listeners: Map<string, (event: unknown) => void> } {
  const listeners = new Map<string, (event: unknown) => void>()
  const port: BroadcastChannelLike = {
    postMessage: () => undefined,
    addEventListener: (type, listener) => void listeners.set(type, listener),
    removeEventListener: (type) => void listeners.delete(type),
    close: () => undefined,
  }
  return { port, listeners }
}

function send(link: NetIf, frame: Uint8Array): boolean {
  return link.send(frame, 0, frame.length, 0)
}

netifConformance(
  'a BroadcastChannel',
  () => {
    const cable = name()
    return {
      a: broadcastChannelLink(new BroadcastChannel(cable)),
      b: broadcastChannelLink(new BroadcastChannel(cable)),
      host: new NodeHost(),
      settle: () => turns(4),
    }
  },
  { refuses: false },
)

netifConformance(
  'a v86, and another beside it',
  () => {
    const host = new VirtualHost()
    const [one, other] = [new FakeV86(), new FakeV86()]
    one.onReceive = (frame) => other.transmit(frame)
    other.onReceive = (frame) => one.transmit(frame)
    return { a: v86Link(one), b: v86Link(other), host, settle: () => void host.run() }
  },
  { refuses: false },
)

describe('a link over a BroadcastChannel', () => {
  it('is one of many on a cable: every frame is a message of its bytes alone', async () => {
    const cable = name()
    const link = broadcastChannelLink(channel(cable), { name: 'lan' })
    const sink = attached(link)
    const others = [channel(cable), channel(cable)]
    const heard: unknown[] = []
    for (const other of others) other.onmessage = ({ data }) => void heard.push(data)
    const frame = plainFrame('ethernet', 60, 1)
    const room = Buffer.alloc(4096)
    room.set(frame, 1000)
    expect(link.send(room, 1000, 1060, 0)).toBe(true)
    room.fill(0)
    await until(() => heard.length === 2)
    for (const data of heard) {
      expect(data).toEqual(frame)
      expect((data as Uint8Array).buffer.byteLength).toBe(60)
    }
    // As v86 sends: a part of a larger buffer.
    others[0].postMessage(room.fill(frame, 500, 560).subarray(500, 560))
    others[0].postMessage(frame.slice().buffer)
    others[1].postMessage(new DataView(frame.slice().buffer))
    await until(() => {
      drain(link, sink)
      return sink.frames.length === 3
    })
    expectFrames(sink.frames, [frame, frame, frame])
    expect(link.describe?.()).toBe(`lan: messages of the channel ${cable}, mtu 1500`)
    link.close()
  })

  it('counts what is no frame, and keeps no more than it has room for', async () => {
    const cable = name()
    const link = broadcastChannelLink(channel(cable), { queueFrames: 4 })
    const sink = attached(link)
    const other = channel(cable)
    for (const nonsense of [
      'hello',
      null,
      { length: 60 },
      [1, 2, 3],
      new Uint8Array(13),
      new Uint8Array(1519),
      new Uint8Array(1 << 20),
    ])
      other.postMessage(nonsense)
    for (let i = 0; i < 6; i++) other.postMessage(plainFrame('ethernet', 60, i))
    const counters = (): Record<string, number> => link.counters?.() ?? {}
    await until(() => counters().dropInNoRoom === 2)
    expect(counters()).toMatchObject({ dropInNoFrame: 4, dropInTooShort: 1, dropInTooLong: 2, inErrors: 0 })
    expect(sink.readables).toBe(1)
    drain(link, sink)
    expectFrames(
      sink.frames,
      [0, 1, 2, 3].map((i) => plainFrame('ethernet', 60, i)),
    )
    link.close()
    expect(counters().dropClosed).toBe(0)
  })

  it('refuses after a burst, and goes on a millisecond later', () => {
    const host = new VirtualHost()
    const link = broadcastChannelLink(channel(name()), { burstFrames: 3 })
    const sink = attached(link, host as unknown as NodeHost)
    const frame = plainFrame('ethernet', 60, 1)
    expect([1, 2, 3, 4, 5].map(() => send(link, frame))).toEqual([true, true, true, false, false])
    expect(sink.writables).toBe(0)
    host.advance(1)
    expect(sink.writables).toBe(1)
    expect(send(link, frame)).toBe(true)
    host.advance(1)
    expect([sink.writables, send(link, frame)]).toEqual([1, true])
    expect(link.counters?.()).toMatchObject({ outFrames: 5, outBlocked: 2 })
    link.close()
  })

  it('keeps no process alive unless it is told to', () => {
    const alive = (): number => process.getActiveResourcesInfo().filter((what) => what === 'MessagePort').length
    const before = alive()
    const link = broadcastChannelLink(new BroadcastChannel(name()))
    expect(alive()).toBe(before)
    attached(link)
    expect(alive()).toBe(before)
    link.ref?.(true)
    expect(alive()).toBe(before + 1)
    link.ref?.(false)
    expect(alive()).toBe(before)
    link.close()
  })

  it('ends when somebody else closed the channel, which its next frame finds out, and closes it itself', async () => {
    const cable = name()
    const theirs = channel(cable)
    const link = broadcastChannelLink(theirs)
    const sink = attached(link)
    const ends = endsOf(sink)
    theirs.close()
    expect(send(link, plainFrame('ethernet', 60, 1))).toBe(true)
    expect(ends).toEqual([]) // not from within
    await until(() => ends.length === 1)
    expect(ends).toMatchObject([{ code: 'EBADF', message: `The channel ${cable} was closed` }])
    expect(send(link, plainFrame('ethernet', 60, 1))).toBe(true)
    expect(link.counters?.()).toMatchObject({ outErrors: 1, outFrames: 0, dropClosed: 1 })
    const ours = channel(name())
    broadcastChannelLink(ours).close()
    expect(() => ours.postMessage(1)).toThrow(/closed/)
  })

  it('has one other end with a MessagePort, whose end is its own', async () => {
    const { port1, port2 } = new MessageChannel()
    const link = broadcastChannelLink(port1)
    const sink = attached(link)
    const ends = endsOf(sink)
    port2.postMessage(plainFrame('ethernet', 60, 7))
    await until(() => sink.ready)
    drain(link, sink)
    expectFrames(sink.frames, [plainFrame('ethernet', 60, 7)])
    expect(link.describe?.()).toBe('channel:port: messages of a port, mtu 1500')
    port2.close()
    await until(() => ends.length === 1)
    expect(ends).toEqual([undefined])
  })

  it('hears that a message could not be read', () => {
    const { port, listeners } = deaf()
    const link = broadcastChannelLink(port)
    attached(link)
    listeners.get('messageerror')?.({})
    expect(link.counters?.().inErrors).toBe(1)
    link.close()
    expect(listeners.size).toBe(0)
  })

  it('is the cable of two stacks', async () => {
    const cable = name()
    await using a = createStack()
    await using b = createStack()
    await Promise.all([
      a.attach(broadcastChannelLink(channel(cable)), { addresses: ['10.0.0.1/24'] }).ready,
      b.attach(broadcastChannelLink(channel(cable)), { addresses: ['10.0.0.2/24'] }).ready,
    ])
    let answers = 0
    for await (const reply of a.ping('10.0.0.2', { count: 2, intervalMs: 1 })) if (reply.error === undefined) answers++
    expect(answers).toBe(2)
  })

  it('has options that make sense', () => {
    const { port } = deaf()
    expect(() => broadcastChannelLink(port, { mtu: 67 })).toThrow(/Invalid mtu 67/)
    expect(() => broadcastChannelLink(port, { burstFrames: 0 })).toThrow(/Invalid burstFrames 0/)
  })
})

describe("a link to a v86's card", () => {
  it('gives frames to the card and hears those of it, and takes its listener away at the end', () => {
    const emulator = new FakeV86()
    const link = v86Link(emulator)
    expect(emulator.hearers).toBe(0)
    const sink = attached(link)
    const [there, back] = [plainFrame('ethernet', 42, 1), plainFrame('ethernet', 1514, 2)]
    expect(send(link, there)).toBe(true)
    expectFrames(emulator.received, [there])
    emulator.transmit(back)
    emulator.transmit(there)
    expect([sink.readables, sink.frames.length]).toEqual([1, 0])
    drain(link, sink)
    expectFrames(sink.frames, [back, there])
    expect(link.describe?.()).toBe('v86:net0: the card net0 of a v86, mtu 1500')
    expect(emulator.hearers).toBe(1)
    link.close()
    expect(emulator.hearers).toBe(0)
    emulator.transmit(back)
    expect(sink.readables).toBe(1)
  })

  it('gives it no more than its memory holds before the emulator has had its turn', () => {
    const host = new VirtualHost()
    const emulator = new FakeV86('net1')
    const link = v86Link(emulator, { id: 1, name: 'pc' })
    const sink = attached(link, host as unknown as NodeHost)
    const frames = Array.from({ length: 20 }, (_, i) => plainFrame('ethernet', 1514, i))
    let sent = 0
    for (let ms = 0; sent < frames.length; ms++) {
      expect(emulator.received.length).toBe(8 * ms)
      while (sent < frames.length && send(link, frames[sent])) sent++
      host.advance(1)
    }
    expectFrames(emulator.received, frames)
    expect([sink.writables, link.name]).toEqual([2, 'pc'])
    link.close()
  })

  it('outlives a card that is not ready, and refuses what is no emulator', () => {
    const emulator = new FakeV86()
    emulator.onReceive = () => {
      throw new Error('no queue')
    }
    const link = v86Link(emulator)
    const sink = attached(link)
    expect(send(link, plainFrame('ethernet', 60, 1))).toBe(true)
    expect(link.counters?.()).toMatchObject({ outErrors: 1, outFrames: 0 })
    expect(sink.closes).toBe(0)
    link.close()
    expect(() => v86Link({ add_listener: emulator.add_listener, remove_listener: emulator.remove_listener })).toThrow(/A V86/)
    expect(() => v86Link(emulator, { id: -1 })).toThrow(/Invalid id/)
  })
})
