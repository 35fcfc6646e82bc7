/**
 * Sending datagrams in fragments, for both families (RFC 791 section 3.2, RFC 8200 section 4.5).
 *
 * Theory of operation. A `Train` says how a datagram is cut: where its payload lies, what its headers say, how far it has come. Each
 * fragment is built in a second frame, gets its header from the family's `FragmentWriter`, and is sent at once. When the link fills up in
 * the middle, what is left of the payload is copied to a pooled buffer and the train waits in a bounded list until `flush`: half a datagram
 * is worth nothing to the receiver, so having sent the first part binds us to send the rest.
 */
import { copyBytes } from '../base/bytes.ts'
import type { BufferPool } from '../base/pool.ts'
import { Frame, PAYLOAD_AT } from '../netif/frame.ts'
import type { Interface } from './interface.ts'
import type { Neighbor } from './neighbor.ts'

/** Datagrams that may wait for their links at once: 64 KiB each at most. */
const MAX_WAITING = 8
const NONE = new Uint8Array(0)

/** One datagram on its way out in pieces; families add what their headers need. */
export class Train {
  iface: Interface | null = null
  neighbor: Neighbor | null = null
  mtu = 0
  identification = 0
  tos = 0
  ttl = 0
  protocol = 0
  /** Payload not yet sent: `buf[at, end)`; `offset` is the place of `at` in the datagram, in bytes. */
  buf: Uint8Array = NONE
  at = 0
  end = 0
  offset = 0
  /** The flag of the last piece: not 0 when the whole is itself a fragment, and not the last one. */
  more = 0
}

/** Where a family counts: indices into its counters. */
export interface FragmentCounters {
  readonly oks: number
  readonly fails: number
  readonly creates: number
  readonly octets: number
  readonly tooBig: number
  readonly pending: number
}

/** A family's part. */
export interface FragmentWriter<T extends Train> {
  readonly etherType: number
  readonly index: FragmentCounters
  /** An empty train. */
  create(): T
  /** Header bytes of the fragment that begins at `train.offset`. Called before each `write`. */
  headerBytes(train: T): number
  /** Writes that header at `buf[at, at + header)`, before `payload` bytes. `isLast`: nothing of the train follows. */
  write(train: T, buf: Uint8Array, at: number, header: number, payload: number, isLast: boolean): void
}

export class FragmentSender<T extends Train> {
  /** Fill it, then call `send`. */
  train: T
  private readonly waiting: T[] = []
  private readonly spare: T[] = []
  /** Where fragments are built. Made with the first datagram that needs it. */
  private frame: Frame | null = null

  constructor(
    private readonly writer: FragmentWriter<T>,
    private readonly pool: BufferPool,
    private readonly counters: Float64Array,
  ) {
    this.train = writer.create()
  }

  /** Trains that wait for a link. */
  get pending(): number {
    return this.waiting.length
  }

  /** Sends `this.train`. False: the link took nothing at all. True: all is sent, or the rest waits, or it had to be dropped. */
  send(): boolean {
    const { train, counters, writer } = this
    const { index } = writer
    if (((train.mtu - writer.headerBytes(train)) & ~7) < 8) {
      counters[index.fails]++
      counters[index.tooBig]++
      return true
    }
    const begin = train.at
    if (this.run(train)) {
      counters[index.oks]++
      forget(train)
      return true
    }
    if (train.at === begin) {
      forget(train)
      return false
    }
    if (this.waiting.length >= MAX_WAITING) {
      counters[index.pending]++
      counters[index.fails]++
      forget(train)
      return true
    }
    const left = train.end - train.at
    const buf = this.pool.take(left)
    copyBytes(train.buf, train.at, buf, 0, left)
    train.buf = buf
    train.at = 0
    train.end = left
    this.waiting.push(train)
    this.train = this.spare.pop() ?? writer.create()
    return true
  }

  /** The link of `iface` has room again. */
  flush(iface: Interface): void {
    const { waiting } = this
    let kept = 0
    for (let i = 0; i < waiting.length; i++) {
      const train = waiting[i]
      if (train.iface !== iface || !this.run(train)) {
        waiting[kept++] = train
        continue
      }
      this.counters[this.writer.index.oks]++
      this.pool.give(train.buf)
      forget(train)
      this.spare.push(train)
    }
    waiting.length = kept
  }

  /** Gives up what waits for `iface`: it has gone. */
  drop(iface: Interface): void {
    for (let i = this.waiting.length - 1; i >= 0; i--) {
      const train = this.waiting[i]
      if (train.iface !== iface) continue
      this.counters[this.writer.index.fails]++
      this.pool.give(train.buf)
      this.waiting.splice(i, 1)
    }
  }

  /** Sends fragments until the train has ended (true) or the link is full (false). */
  private run(train: T): boolean {
    this.frame ??= new Frame()
    const { frame, writer, counters } = this
    const { index, etherType } = writer
    while (train.at < train.end) {
      const header = writer.headerBytes(train)
      const left = train.end - train.at
      // Every fragment but the last carries a multiple of eight bytes.
      const payload = left + header <= train.mtu ? left : (train.mtu - header) & ~7
      frame.reset()
      copyBytes(train.buf, train.at, frame.buf, PAYLOAD_AT, payload)
      frame.start = PAYLOAD_AT - header
      frame.end = PAYLOAD_AT + payload
      writer.write(train, frame.buf, frame.start, header, payload, payload === left)
      if (!train.iface!.output(frame, train.neighbor, etherType)) return false
      counters[index.creates]++
      counters[index.octets] += header + payload
      train.at += payload
      train.offset += payload
    }
    return true
  }
}

/** Holds on to nobody's buffer or interface. */
function forget(train: Train): void {
  train.buf = NONE
  train.iface = null
  train.neighbor = null
}
