import { describe, expect, it } from 'vitest'
import {
  bindDatagram,
  DatagramLink,
  type DatagramLinkOptions,
  type DatagramOutlet,
  type DatagramProtocol,
  type DatagramSocket,
  type DatagramSource,
} from '../../src/backend/datagram-link.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame, tcpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'
import { turns } from '../support/stream-pair.ts'

/** Two bytes of header, and one receiver. */
class Fixed implements DatagramProtocol {
  readonly header = 2
  receivers: number[] = []
  readonly log: string[] = []

  accept(message: Uint8Array, from: DatagramSource): boolean {
    this.log.push(`from ${from.address}`)
    return message[0] === 0xab
  }

  address(slot: Uint8Array, _end: number, outlet: DatagramOutlet): void {
    slot[0] = 0xab
    for (const port of this.receivers) outlet.to('127.0.0.1', port)
  }

  bye(slot: Uint8Array, outlet: DatagramOutlet): void {
    slot[0] = 0xcd
    for (const port of this.receivers) outlet.to('127.0.0.1', port)
  }
}

async function links() {
  const protocols = [new Fixed(), new Fixed()]
  const sockets = [await bindDatagram({ type: 'udp4' }, 0, '127.0.0.1'), await bindDatagram({ type: 'udp4' }, 0, '127.0.0.1')]
  for (const i of [0, 1]) protocols[i].receivers = [sockets[1 - i].address().port]
  const [a, b] = [0, 1].map(
    (i) => new DatagramLink({ name: 'ab'[i], sockets: [sockets[i]], protocol: protocols[i], text: 'loopback' }),
  )
  return { a, b, sockets, protocols, host: new VirtualHost(), settle: () => turns(10) }
}

netifConformance('datagrams', () => links(), { refuses: false })

/** A socket that keeps what it is to send until it is told that it was sent. */
class Slow implements DatagramSocket {
  readonly sent: Uint8Array[] = []
  private readonly waiting: ((error: Error | null) => void)[] = []
  private readonly listeners = new Map<string, (...args: never[]) => void>()
  closed = 0
  isRef = true

  send(message: Uint8Array, offset: number, length: number, port: number, _a: string, callback: (e: Error | null) => void): void {
    if (port === 0 || this.closed > 0) throw new Error('as Node does') // ERR_SOCKET_BAD_PORT, ERR_SOCKET_DGRAM_NOT_RUNNING
    this.sent.push(message.slice(offset, offset + length))
    this.waiting.push(callback)
  }
  on(event: string, listener: (...args: never[]) => void): void {
    this.listeners.set(event, listener)
  }
  emit(event: string, ...args: unknown[]): void {
    ;(this.listeners.get(event) as ((...args: unknown[]) => void) | undefined)?.(...args)
  }
  done(count: number, error: Error | null = null): void {
    for (const callback of this.waiting.splice(0, count)) callback(error)
  }
  close(callback?: () => void): void {
    if (this.closed++ > 0) throw new Error('not running')
    callback?.()
  }
  ref(): void {
    this.isRef = true
  }
  unref(): void {
    this.isRef = false
  }
}

function slow(options: Partial<DatagramLinkOptions> = {}) {
  const socket = new Slow()
  const protocol = new Fixed()
  protocol.receivers = [1]
  const link = new DatagramLink({ name: 'slow', sockets: [socket], protocol, ...options })
  const sink = new RecordingSink(new VirtualHost())
  link.attach(sink)
  const send = (bytes: Uint8Array, meta = 0): boolean => link.send(bytes, 0, bytes.length, meta)
  const pull = (): void => {
    sink.receiving = true
    while (link.receive(64));
    sink.receiving = false
  }
  return { socket, protocol, link, sink, send, pull }
}

describe('a link over datagrams', () => {
  it('refuses when Node has taken all slots, and says writable at a half', () => {
    const { socket, link, sink, send } = slow()
    const frame = plainFrame('ethernet', 100, 1)
    let taken = 0
    while (send(frame)) expect(++taken).toBeLessThan(1000)
    expect(taken).toBe(256)
    socket.done(127)
    expect(sink.writables).toBe(0)
    socket.done(1)
    expect(sink.writables).toBe(1)
    expect(send(frame)).toBe(true)
    expectFrames([socket.sent[256]], [Uint8Array.from([0xab, 0, ...frame])])
    expect(link.counters()).toMatchObject({ outBlocked: 1, outFrames: 257, outDatagrams: 257 })
  })

  it('frees a slot after its last receiver, and counts what could not be sent', () => {
    const { socket, protocol, link, send } = slow()
    protocol.receivers = [1, 2, 3]
    const frame = plainFrame('ethernet', 100, 1)
    let taken = 0
    while (send(frame)) expect(++taken).toBeLessThan(1000)
    socket.done(2, new Error('ENETUNREACH'))
    expect(send(frame)).toBe(false)
    socket.done(1)
    expect(send(frame)).toBe(true)
    expect(link.counters()).toMatchObject({ outErrors: 2, outFrames: 257, outDatagrams: 771 })
    protocol.receivers = []
    socket.done(771)
    expect([send(frame), link.counters().dropNoPeer]).toEqual([true, 1])
  })

  it('does not throw what the socket throws: one receiver that is none is an error, and the others get the frame', () => {
    const { socket, protocol, link, send } = slow()
    const frame = plainFrame('ethernet', 100, 1)
    protocol.receivers = [0]
    expect([send(frame), link.counters().dropNoPeer]).toEqual([true, 1])
    protocol.receivers = [0, 5]
    expect(send(frame)).toBe(true)
    expect([socket.sent.length, link.counters().outErrors, link.counters().outFrames]).toEqual([1, 2, 1])
    socket.close() // by somebody else: 'close' comes a turn later
    for (let i = 0; i < 300; i++) expect(send(frame)).toBe(true)
    socket.emit('close')
    expect(link.counters()).toMatchObject({ outFrames: 1, dropNoPeer: 301, outBlocked: 0 })
  })

  it('queues what comes, bounded, and counts what it does not take', () => {
    const { socket, link, sink, pull } = slow({ queueFrames: 4 })
    const frame = plainFrame('ethernet', 60, 1)
    const from = { address: '10.0.0.9', port: 5 }
    for (let i = 0; i < 6; i++) socket.emit('message', Uint8Array.from([0xab, 0, ...frame]), from)
    socket.emit('message', Uint8Array.from([0xcc, 0, ...frame]), from)
    socket.emit('message', Uint8Array.from([0xab, 0, 1, 2]), from)
    socket.emit('message', Uint8Array.from([0xab]), from)
    socket.emit('error', new Error('ECONNREFUSED'))
    expect([sink.frames.length, sink.readables]).toEqual([0, 1])
    pull()
    expectFrames(sink.frames, [frame, frame, frame, frame])
    expect(link.counters()).toMatchObject({ dropInNoRoom: 2, dropInRefused: 1, dropInTooShort: 2, inErrors: 1, inFrames: 4 })
  })

  it('drops what needs offload or is too long', () => {
    const { socket, link, send } = slow()
    const big = tcpFrame({ payload: new Uint8Array(5000), gso: 1460 })
    send(big.bytes, big.meta)
    send(new Uint8Array(1515))
    send(new Uint8Array(13))
    expect(link.counters()).toMatchObject({ dropNotOffloaded: 1, dropTooLong: 1, dropTooShort: 1 })
    expect(socket.sent).toEqual([])
  })

  it('says goodbye when it is closed, and ends when its socket is closed by others', async () => {
    const one = slow()
    await one.link.close()
    await one.link.close()
    expect(one.socket.sent.map((m) => [...m])).toEqual([[0xcd, 0]])
    expect([one.socket.closed, one.sink.closes]).toEqual([1, 0])
    const other = slow()
    other.socket.emit('close')
    expect([other.sink.closes, other.send(plainFrame('ethernet', 60, 1))]).toEqual([1, true])
    expect(other.link.counters()).toMatchObject({ dropClosed: 1 })
  })

  it('does not keep the process alive unless it is asked to', () => {
    const { socket, link } = slow()
    expect(socket.isRef).toBe(false)
    link.ref(true)
    expect(socket.isRef).toBe(true)
  })

  it('refuses an MTU that no datagram holds', () => {
    expect(() => slow({ mtu: 65507 - 2 - 22 + 1 })).toThrow(/68 to 65483/)
  })
})

describe('bindDatagram', () => {
  it("says what is wrong in Node's words", async () => {
    const first = await bindDatagram({ type: 'udp4' }, 0, '127.0.0.1')
    await expect(bindDatagram({ type: 'udp4' }, first.address().port, '127.0.0.1')).rejects.toMatchObject({ code: 'EADDRINUSE' })
    first.close()
  })
})
