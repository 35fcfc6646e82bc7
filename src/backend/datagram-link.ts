/**
 * A link whose frames travel as datagrams, one each: what udp://, VXLAN and vxvde have in common. What they have not in common is a
 * `DatagramProtocol`: the header before the frame, who is to get it, whose datagrams are taken.
 *
 * Theory of operation. Out: a frame is copied behind room for the header into a slot, for Node may still read it when `send` has returned; the protocol
 * writes the header and names the receivers, and the slot is free again when Node has called back for each of them. When all slots are
 * under way `send` refuses. (What Node allocates for a datagram, a request and a view, cannot be spared.) In: the datagrams of all sockets
 * wait, without their headers, in one bounded queue; what does not fit is lost and counted, as in the kernel's own socket buffer. An error of one
 * datagram is counted, for ICMP brings such errors as they come and go; the link ends only when its socket is closed by somebody else.
 */
import { createSocket, type SocketOptions } from 'node:dgram'
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { leastFrame, linkHeader } from '../link/carry.ts'
import { FrameQueue } from '../link/frame-queue.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK, type Medium, type NetIf, type NetIfSink } from '../netif/netif.ts'
import { wholeNumber } from './whole-number.ts'

/** Where a datagram came from. */
export interface DatagramSource {
  readonly address: string
  readonly port: number
}

/** What a link needs of a socket: node:dgram's, or one of a stack's own. */
export interface DatagramSocket {
  send(
    message: Uint8Array,
    offset: number,
    length: number,
    port: number,
    address: string,
    callback: (error: Error | null) => void,
  ): void
  on(event: 'message', listener: (message: Uint8Array, from: DatagramSource) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'close', listener: () => void): unknown
  close(callback?: () => void): unknown
  ref(): unknown
  unref(): unknown
}

/** Takes the receivers of the frame that is being sent. */
export interface DatagramOutlet {
  to(address: string, port: number): void
}

/** What stands before a frame in its datagram, and who gets it: VXLAN's header, vxvde's, or nothing. */
export interface DatagramProtocol {
  /** Bytes before the frame. */
  readonly header: number
  /** A whole datagram came, of `header` bytes at least. True: what follows the header is a frame for us. Learns and counts as it likes. */
  accept(message: Uint8Array, from: DatagramSource, socket: number): boolean
  /** Writes the header at the beginning of `slot`; the frame is `slot[header, end)`. Names its receivers, none at all too. */
  address(slot: Uint8Array, end: number, outlet: DatagramOutlet): void
  /** The link was attached: a protocol with timers begins. */
  start?(sink: NetIfSink): void
  /** The link closes; the last datagrams may be sent by `outlet` (`slot` as above, the frame empty). */
  bye?(slot: Uint8Array, outlet: DatagramOutlet): void
  counters?(): Record<string, number>
}

/** What is carried, over which sockets. */
export interface DatagramLinkOptions {
  name: string
  /** Open and bound. Frames are sent by the first, and received by all. */
  sockets: readonly DatagramSocket[]
  protocol: DatagramProtocol
  medium?: Medium
  /** Largest IP packet of a frame in bytes. 1500 when left out. */
  mtu?: number
  mac?: Uint8Array | null
  /** What may wait to be pulled. 256 frames and 512 KiB when left out. */
  queueFrames?: number
  queueBytes?: number
  /** For `describe`: `4789 -> 10.0.0.1:4789`. */
  text?: string
}

const NAMES = [
  'inFrames',
  'inOctets',
  'inErrors',
  'outFrames',
  'outOctets',
  'outDatagrams',
  'outBlocked',
  'outErrors',
  'dropInTooShort',
  'dropInRefused',
  'dropInNoRoom',
  'dropTooLong',
  'dropTooShort',
  'dropNotOffloaded',
  'dropNoPeer',
  'dropClosed',
] as const
const C = indexOf(NAMES)

/** The Ethernet header with two tags. */
const MOST_LINK_HEADER = 22
/** The largest UDP payload over IPv4. */
const MOST_DATAGRAM = 65507

/** A datagram under way: its memory, and how often it is to be sent still. */
class Slot {
  readonly bytes: Uint8Array
  uses = 0
  readonly sent: (error: Error | null) => void

  constructor(link: DatagramLink, length: number) {
    this.bytes = new Uint8Array(length)
    this.sent = (error) => {
      this.uses--
      link.sent(this, error)
    }
  }
}

/** A link whose frames are datagrams of sockets of the host, one each. */
export class DatagramLink implements NetIf, DatagramOutlet {
  readonly name: string
  readonly medium: Medium
  readonly mtu: number
  readonly mac: Uint8Array | null
  readonly offload = 0
  readonly gsoMax = 0
  readonly stats = new Counters(NAMES)
  private readonly sockets: readonly DatagramSocket[]
  private readonly protocol: DatagramProtocol
  private readonly text: string
  private readonly queue: FrameQueue
  private sink: NetIfSink | null = null
  private told = false
  private blocked = false
  private isClosed = false
  private closing: Promise<void> | null = null
  /** A socket that somebody else closed. */
  private lost = false
  private readonly free: Slot[] = []
  private slots = 0
  private readonly mostSlots: number
  private readonly slotBytes: number
  /** The slot that is being sent, and its length. */
  private current: Slot | null = null
  private length = 0

  /** @throws NetError ERR_INVALID_ARG_VALUE for an MTU that no datagram holds. */
  constructor(options: DatagramLinkOptions) {
    const { medium = 'ethernet', mtu = LINK_DEFAULTS.mtuBytes, protocol, name } = options
    const link = medium === 'ethernet' ? MOST_LINK_HEADER : 0
    const most = MOST_DATAGRAM - protocol.header - link
    if (!Number.isInteger(mtu) || mtu < 68 || mtu > most) {
      throw invalidArgument(`Invalid MTU ${mtu} for ${name}: 68 to ${most} expected`)
    }
    this.name = name
    this.medium = medium
    this.mtu = mtu
    this.mac = options.mac ?? null
    this.sockets = options.sockets
    this.protocol = protocol
    this.text = options.text ?? ''
    this.queue = new FrameQueue(options.queueFrames, options.queueBytes)
    this.slotBytes = protocol.header + link + mtu
    const { datagramPending, datagramPendingBytes } = LINK_DEFAULTS
    this.mostSlots = Math.max(16, Math.min(datagramPending, Math.floor(datagramPendingBytes / this.slotBytes)))
    for (const [i, socket] of this.sockets.entries()) {
      socket.on('message', (message, from) => this.message(message, from, i))
      socket.on('error', () => void this.stats.values[C.inErrors]++)
      socket.on('close', () => this.gone())
      socket.unref()
    }
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
    this.protocol.start?.(sink)
    if (this.lost) this.end()
    else if (this.queue.count > 0) this.tell()
  }

  receive(budget: number): boolean {
    const sink = this.sink
    if (sink === null || this.isClosed) return false
    this.told = this.queue.drain(sink, budget, this.stats.values, C.inFrames, C.inOctets)
    return this.told
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.stats.values
    const length = end - start
    if (this.isClosed || this.sink === null) n[C.dropClosed]++
    else if (length < leastFrame(this.medium)) n[C.dropTooShort]++
    else if ((meta & GSO_MASK) !== 0 || (meta & CSUM_MASK) === CSUM_PARTIAL) n[C.dropNotOffloaded]++
    else if (length > this.mtu && length > this.mtu + linkHeader(buf, start, end, this.medium)) n[C.dropTooLong]++
    else {
      const slot = this.take()
      if (slot === null) {
        n[C.outBlocked]++
        this.blocked = true
        return false
      }
      const { header } = this.protocol
      // Not `copyBytes`: the slot is never the arena's.
      slot.bytes.set(buf.subarray(start, end), header)
      if (this.sendSlot(slot, header + length)) {
        n[C.outFrames]++
        n[C.outOctets] += length
      } else n[C.dropNoPeer]++
    }
    return true
  }

  flush(): void {
    // Datagrams have left already.
  }

  close(): Promise<void> | void {
    if (this.isClosed) return this.closing ?? undefined
    const { protocol } = this
    if (protocol.bye !== undefined && !this.lost) {
      const slot = this.take() ?? new Slot(this, this.slotBytes)
      this.begin(slot, protocol.header)
      protocol.bye(slot.bytes, this)
    }
    this.release()
    this.closing = Promise.all(this.sockets.map(closeSocket)).then(() => undefined)
    return this.closing
  }

  counters(): Record<string, number> {
    return { ...(this.stats.snapshot() as Record<string, number>), ...this.protocol.counters?.() }
  }

  describe(): string {
    return `${this.name}: ${this.text}${this.text === '' ? '' : ', '}${this.medium} in datagrams, mtu ${this.mtu}`
  }

  ref(on: boolean): void {
    if (this.isClosed || this.lost) return
    for (const socket of this.sockets) {
      if (on) socket.ref()
      else socket.unref()
    }
  }

  /** From the protocol: one receiver of the current frame. */
  to(address: string, port: number): void {
    const slot = this.current
    if (slot === null) return
    slot.uses++
    this.stats.values[C.outDatagrams]++
    try {
      this.sockets[0].send(slot.bytes, 0, this.length, port, address, slot.sent)
    } catch {
      // Node throws for a socket that is closed already, though 'close' is still to come, and for an address that is none.
      slot.uses--
      this.stats.values[C.outErrors]++
    }
  }

  /** From a slot. */
  sent(slot: Slot, error: Error | null): void {
    if (error) this.stats.values[C.outErrors]++
    if (slot.uses > 0 || slot === this.current || this.isClosed) return
    this.free.push(slot)
    if (!this.blocked || this.free.length * 2 < this.mostSlots) return
    this.blocked = false
    this.sink?.writable()
  }

  private message(message: Uint8Array, from: DatagramSource, socket: number): void {
    if (this.isClosed) return
    const n = this.stats.values
    const { protocol } = this
    const bytes = new Uint8Array(message.buffer, message.byteOffset, message.length)
    if (bytes.length < protocol.header) {
      n[C.dropInTooShort]++
      return
    }
    if (!protocol.accept(bytes, from, socket)) n[C.dropInRefused]++
    else if (bytes.length - protocol.header < leastFrame(this.medium)) n[C.dropInTooShort]++
    else if (!this.queue.push(bytes, protocol.header, bytes.length, 0)) n[C.dropInNoRoom]++
    else this.tell()
  }

  private tell(): void {
    if (this.told || this.sink === null) return
    this.told = true
    this.sink.readable()
  }

  private take(): Slot | null {
    const slot = this.free.pop()
    if (slot !== undefined) return slot
    if (this.slots >= this.mostSlots) return null
    this.slots++
    return new Slot(this, this.slotBytes)
  }

  private begin(slot: Slot, length: number): void {
    this.current = slot
    this.length = length
  }

  /** True: it is under way to somebody. */
  private sendSlot(slot: Slot, length: number): boolean {
    this.begin(slot, length)
    this.protocol.address(slot.bytes, length, this)
    this.current = null
    if (slot.uses > 0) return true
    this.free.push(slot)
    return false
  }

  private gone(): void {
    if (this.isClosed || this.lost) return
    this.lost = true
    if (this.sink !== null) this.end()
  }

  private end(): void {
    const { sink } = this
    this.release()
    for (const socket of this.sockets) void closeSocket(socket)
    sink?.closed(new NetError('EBADF', { message: `${this.name}: its socket was closed` }))
  }

  private release(): void {
    this.isClosed = true
    this.blocked = false
    this.current = null
    this.stats.values[C.dropClosed] += this.queue.count
    this.queue.clear()
    this.free.length = 0
  }
}

/** Resolves when it is closed; one that is closed already is no error. */
function closeSocket(socket: DatagramSocket): Promise<void> {
  return new Promise((resolve) => {
    try {
      socket.close(() => resolve())
    } catch {
      resolve()
    }
  })
}

/** Addresses are numeric when frames are sent: nothing is asked, and the datagram leaves within the call. */
const numeric: NonNullable<SocketOptions['lookup']> = (address, _family, callback) => {
  callback(null, address, address.includes(':') ? 6 : 4)
}

/** Opens a socket of Node's and binds it. Errors are in its words: `bind EADDRINUSE 0.0.0.0:4789`. */
export async function bindDatagram(
  options: Omit<SocketOptions, 'lookup'>,
  port: number,
  address?: string,
): Promise<ReturnType<typeof createSocket>> {
  wholeNumber('port', port, 0, 65_535)
  if (options.recvBufferSize !== undefined) wholeNumber('receive buffer', options.recvBufferSize, 0)
  const socket = createSocket({ ...options, lookup: numeric })
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      socket.close()
      reject(error)
    }
    socket.once('error', failed)
    socket.bind(port, address, () => {
      socket.off('error', failed)
      resolve(socket)
    })
  })
}
