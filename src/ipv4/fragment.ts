/**
 * Fragmentation of outgoing datagrams (RFC 791 section 3.2).
 *
 * Theory of operation. A `Train` says how a datagram is cut: where its payload lies, which header its fragments get, how far it has
 * come. Each fragment is built in a second frame and sent at once. When the link fills up in the middle, what is left of the payload
 * is copied to a pooled buffer and the train waits in a bounded list until `flush`: half a datagram is worth nothing to the receiver,
 * so having sent the first part binds us to send the rest.
 */
import { copyBytes, get16, get32 } from '../base/bytes.ts'
import type { BufferPool } from '../base/pool.ts'
import { ETHERTYPE_IPV4 } from '../ethernet/wire.ts'
import type { Interface } from '../ip/interface.ts'
import type { Neighbor } from '../ip/neighbor.ts'
import type { Packet } from '../ip/packet.ts'
import { Frame, PAYLOAD_AT } from '../netif/frame.ts'
import { C } from './counters.ts'
import { writeHeader } from './header.ts'
import { copiedOptions, MAX_OPTIONS } from './options.ts'
import { IP4, IP4_HEADER, IP4_MORE_FRAGMENTS, IP4_OFFSET_MASK } from './wire.ts'

/** Datagrams that may wait for their links at once: 64 KiB each at most. */
const MAX_WAITING = 8

/** One datagram on its way out in pieces. */
export class Train {
  iface: Interface | null = null
  neighbor: Neighbor | null = null
  mtu = 0
  identification = 0
  tos = 0
  ttl = 0
  protocol = 0
  source = 0
  destination = 0
  /** Options of the first fragment. */
  readonly options = new Uint8Array(MAX_OPTIONS)
  optionsLength = 0
  /** Payload not yet sent: `buf[at, end)`; `offset` is the place of `at` in the datagram, in bytes. */
  buf: Uint8Array
  at = 0
  end = 0
  offset = 0
  /** IP4_MORE_FRAGMENTS when the whole is itself a fragment, and not the last one; else 0. */
  more = 0

  constructor(none: Uint8Array) {
    this.buf = none
  }
}

export class Fragmenter {
  /** Fill it, then call `send`. */
  train: Train
  private readonly none = new Uint8Array(0)
  private readonly waiting: Train[] = []
  private readonly spare: Train[] = []
  private readonly later = new Uint8Array(MAX_OPTIONS)
  /** Where fragments are built. Made with the first datagram that needs it. */
  private frame: Frame | null = null

  constructor(
    private readonly pool: BufferPool,
    private readonly counters: Float64Array,
  ) {
    this.train = new Train(this.none)
  }

  /** Trains that wait for a link. */
  get pending(): number {
    return this.waiting.length
  }

  /** Sends `this.train`. False: the link took nothing at all. True: all is sent, or the rest waits, or it had to be dropped. */
  send(): boolean {
    const train = this.train
    const counters = this.counters
    if (((train.mtu - IP4_HEADER - train.optionsLength) & ~7) < 8) {
      counters[C.ipFragFails]++
      counters[C.ipOutDropTooBig]++
      return true
    }
    const begin = train.at
    if (this.run(train)) {
      counters[C.ipFragOKs]++
      this.forget(train)
      return true
    }
    if (train.at === begin) {
      this.forget(train)
      return false
    }
    if (this.waiting.length >= MAX_WAITING) {
      counters[C.ipFragDropPending]++
      counters[C.ipFragFails]++
      this.forget(train)
      return true
    }
    const left = train.end - train.at
    const buf = this.pool.take(left)
    copyBytes(train.buf, train.at, buf, 0, left)
    train.buf = buf
    train.at = 0
    train.end = left
    this.waiting.push(train)
    this.train = this.spare.pop() ?? new Train(this.none)
    return true
  }

  /**
   * Cuts up a packet of others as it stands, a fragment perhaps: what its header says stays, but for length and place. As `send`.
   */
  forward(packet: Packet, iface: Interface, neighbor: Neighbor | null, mtu: number): boolean {
    const { train } = this
    const { buf, start } = packet
    const field = get16(buf, start + IP4.flagsFragment)
    train.iface = iface
    train.neighbor = neighbor
    train.mtu = mtu
    train.identification = get16(buf, start + IP4.identification)
    train.tos = buf[start + IP4.tos]
    train.ttl = buf[start + IP4.ttl]
    train.protocol = buf[start + IP4.protocol]
    train.source = get32(buf, start + IP4.source)
    train.destination = get32(buf, start + IP4.destination)
    const header = (buf[start] & 15) << 2
    train.optionsLength = header - IP4_HEADER
    copyBytes(buf, start + IP4_HEADER, train.options, 0, train.optionsLength)
    train.buf = buf
    train.at = start + header
    train.end = packet.end
    train.offset = (field & IP4_OFFSET_MASK) << 3
    train.more = field & IP4_MORE_FRAGMENTS
    return this.send()
  }

  /** The link of `iface` has room again. */
  flush(iface: Interface): void {
    const waiting = this.waiting
    let kept = 0
    for (let i = 0; i < waiting.length; i++) {
      const train = waiting[i]
      if (train.iface !== iface || !this.run(train)) {
        waiting[kept++] = train
        continue
      }
      this.counters[C.ipFragOKs]++
      this.pool.give(train.buf)
      this.forget(train)
      this.spare.push(train)
    }
    waiting.length = kept
  }

  /** Gives up what waits for `iface`: it has gone. */
  drop(iface: Interface): void {
    for (let i = this.waiting.length - 1; i >= 0; i--) {
      const train = this.waiting[i]
      if (train.iface !== iface) continue
      this.counters[C.ipFragFails]++
      this.pool.give(train.buf)
      this.waiting.splice(i, 1)
    }
  }

  /** Sends fragments until the train has ended (true) or the link is full (false). */
  private run(train: Train): boolean {
    this.frame ??= new Frame()
    const frame = this.frame
    while (train.at < train.end) {
      const options = train.offset === 0 ? train.options : this.later
      const optionsLength =
        train.offset === 0 ? train.optionsLength : copiedOptions(train.options, train.optionsLength, this.later)
      const header = IP4_HEADER + optionsLength
      const left = train.end - train.at
      // Every fragment but the last carries a multiple of eight bytes.
      const payload = left + header <= train.mtu ? left : (train.mtu - header) & ~7
      frame.reset()
      copyBytes(train.buf, train.at, frame.buf, PAYLOAD_AT, payload)
      frame.start = PAYLOAD_AT - header
      frame.end = PAYLOAD_AT + payload
      copyBytes(options, 0, frame.buf, frame.start + IP4_HEADER, optionsLength)
      const more = payload < left ? IP4_MORE_FRAGMENTS : train.more
      writeHeader(
        frame.buf,
        frame.start,
        header,
        header + payload,
        train.identification,
        more | (train.offset >> 3),
        train.tos,
        train.ttl,
        train.protocol,
        train.source,
        train.destination,
      )
      if (!train.iface!.output(frame, train.neighbor, ETHERTYPE_IPV4)) return false
      this.counters[C.ipFragCreates]++
      this.counters[C.ipOutOctets] += header + payload
      train.at += payload
      train.offset += payload
    }
    return true
  }

  /** Holds on to nobody's buffer or interface. */
  private forget(train: Train): void {
    train.buf = this.none
    train.iface = null
    train.neighbor = null
  }
}
