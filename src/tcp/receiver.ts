/**
 * The receiving half of a connection: RCV.NXT, the window, the ring, what came out of order, and when to acknowledge.
 *
 * Payload is copied once, to its final place in the ring, also out of order: filling a hole moves an integer. The window is what the
 * ring may still take; its right edge (`edge`) never moves left (RFC 9293 SHLD-14) and moves right only by steps worth sending (receiver
 * SWS avoidance, MUST-39).
 *
 * Invariants: nxt <= edge; ring.length = received in order and not yet read; every span lies above nxt.
 */
import { put16, put32 } from '../base/bytes.ts'
import type { TcpConfig } from '../base/config.ts'
import { ByteRing } from '../base/ring.ts'
import { type Memory, PRESSED_SEGMENTS } from './memory.ts'
import type { RightSizing } from './right-sizing.ts'
import { geq, gt, later, leq, lt } from './seq.ts'
import { Spans } from './spans.ts'
import { DEFAULT_MSS_V4, OPT_NOP, OPT_SACK, TIMESTAMPS_SPACE } from './wire.ts'

/** What `accept` did with a segment's payload. */
export const Accepted = { IN_ORDER: 0, OUT_OF_ORDER: 1, DUPLICATE: 2, REFUSED: 3 } as const

/** The edge may move by any step while there is room for a segment or a quarter of the buffer; what the buffer has room for is accepted, also
 * beyond the edge; the window field is rounded down to the unit of its scale. */
const Manner = { ANY_STEP: 1, BY_BUFFER: 2, ROUND_DOWN: 4, ACK_WHEN_READ: 8 } as const

/** RFC 2018: at most four blocks fit, three beside timestamps. */
const MAX_BLOCKS_WITH_TIMESTAMPS = 3
const MAX_BLOCKS = 4
/** Of 40 bytes of options: what blocks of 8 may take, after NOP NOP, kind and length. */
const SACK_SPACE = 36

export class Receiver {
  irs = 0
  nxt = 0
  /** Right edge of the window as last advertised. */
  edge = 0
  /** RCV.NXT in the last segment sent: Last.ACK.sent of RFC 7323. */
  lastAckSent = 0
  /** Our window scale. */
  scale = 0
  /** Urgent pointer; valid while `urgent`. */
  up = 0
  urgent = false
  /** What the peer's full segments seem to be (ack-policy.ts). Linux's first guess. */
  mss = DEFAULT_MSS_V4
  /** Size of the buffer that the window is made from, and how large it may become. */
  limit: number
  private maxLimit: number
  /** What the config says of the window, in bits of `Manner`. */
  private readonly manners: number
  /** TCP_WINDOW_CLAMP: most that is advertised. */
  clamp = 0x3fffffff
  readonly ring: ByteRing
  /** Ranges above nxt; made when the first is needed. */
  spans: Spans | null = null
  private readonly maxRanges: number
  /** Where the peer's FIN is, once seen (possibly out of order). */
  finSeq = 0
  finSeen = false

  /** ACK policy: something must be acknowledged now; or by `delayed` at the latest. */
  ackNow = false
  /** So it was before the segment that is being received. */
  ackWasDue = false
  delayed = false
  /** Segments since the last ACK that seem to end what the peer had to say, up to 2 (ack-policy.ts). */
  pushed = 0
  /** ack-policy.ts: segments still to be acknowledged at once; delay in ms, 0 before the first data; time of the last; size to be confirmed. */
  quick = 0
  /** Segments during which the path counts as one that loses: a turn has two ACKs. */
  eager = 0
  /** The first of them has gone. */
  early = false
  pingpong = false
  ato = 0
  lastDataMs = 0
  lastSize = 0
  /** Bytes of options that a signature takes from SACK blocks. */
  signatureBytes = 0
  /** D-SACK to report in the next ACK (RFC 2883). */
  dsackLeft = 0
  dsackRight = 0
  hasDsack = false

  /** Made with the first data. */
  sizing: RightSizing | null = null

  bytesReceived = 0

  constructor(
    readonly memory: Memory,
    config: TcpConfig,
  ) {
    this.ring = new ByteRing(memory.pool)
    this.limit = config.receiveBufferInitialBytes
    this.maxLimit = config.receiveBufferMaxBytes
    this.maxRanges = config.maxOutOfOrderRanges
    this.manners =
      (config.windowSteps === 'any' ? Manner.ANY_STEP : 0) |
      (config.acceptByBuffer ? Manner.BY_BUFFER : 0) |
      (config.windowRounding === 'down' ? Manner.ROUND_DOWN : 0) |
      (config.ackWhenRead ? Manner.ACK_WHEN_READ : 0)
  }

  get acksWhenRead(): boolean {
    return (this.manners & Manner.ACK_WHEN_READ) !== 0
  }

  /** How far below nxt a segment may begin and still be of now: no longer ago than the largest window. */
  get reach(): number {
    return this.limit > 0xffff ? this.limit : 0xffff
  }

  /** Bytes of window as advertised: edge - nxt. */
  get window(): number {
    return (this.edge - this.nxt) | 0
  }

  /**
   * Takes payload that begins at or after nxt and ends within the window (the caller has trimmed it). Returns one of `Accepted`.
   */
  accept(seq: number, buf: Uint8Array, off: number, len: number): number {
    if (seq === this.nxt) {
      this.ring.write(buf, off, len)
      this.nxt = (seq + len) | 0
      this.bytesReceived += len
      if (this.spans !== null && this.spans.count > 0) {
        this.tellOverlap(seq, this.nxt)
        this.absorb()
      }
      return Accepted.IN_ORDER
    }
    const end = (seq + len) | 0
    this.spans ??= new Spans(this.maxRanges)
    if (this.spans.covers(seq, end)) {
      this.duplicate(seq, end)
      this.spans.add(seq, end) // freshens the stamp: its block comes first after the D-SACK
      return Accepted.DUPLICATE
    }
    this.tellOverlap(seq, end)
    if (!this.spans.add(seq, end)) return Accepted.REFUSED
    this.ring.put(this.ring.length + ((seq - this.nxt) | 0), buf, off, len)
    return Accepted.OUT_OF_ORDER
  }

  /** Keeps text that came with a SYN for when the connection is established (RFC 9293 section 3.10.7.3). */
  hold(buf: Uint8Array, off: number, len: number): void {
    this.spans ??= new Spans(this.maxRanges)
    if (len <= this.limit && this.spans.add(this.nxt, (this.nxt + len) | 0)) this.ring.put(0, buf, off, len)
  }

  /** What was held is in order now: how many bytes. */
  takeHeld(): number {
    if (this.spans === null || this.spans.count === 0) return 0
    const before = this.nxt
    this.absorb()
    return (this.nxt - before) | 0
  }

  /** Remembers a duplicate range for the next ACK. */
  duplicate(left: number, right: number): void {
    this.hasDsack = true
    this.dsackLeft = left
    this.dsackRight = right
  }

  /** A segment that brings something new and something that is held: the first of what came twice is told (RFC 2883 section 4.2). */
  private tellOverlap(seq: number, end: number): void {
    const i = this.spans!.overlap(seq, end)
    if (i < 0 || this.hasDsack) return
    this.duplicate(later(seq, this.spans!.leftOf(i)), lt(end, this.spans!.rightOf(i)) ? end : this.spans!.rightOf(i))
  }

  private absorb(): void {
    const to = this.spans!.absorb(this.nxt)
    const more = (to - this.nxt) | 0
    if (more === 0) return
    this.ring.extend(more)
    this.nxt = to
    this.bytesReceived += more
  }

  /** True when the peer's FIN is next in order. */
  get finDue(): boolean {
    return this.finSeen && this.finSeq === this.nxt
  }

  /**
   * The window field for a segment that is sent now (already scaled), moving the edge. `scaled`: false in SYN segments (RFC 7323
   * section 2.2).
   */
  advertise(scaled: boolean): number {
    const shift = scaled ? this.scale : 0
    const unit = 1 << shift
    const window = (this.newEdge() - this.nxt) | 0
    let field = (window + unit - 1) >> shift // rounded up: rounding down would move the edge left
    // But not again and again: a peer that sends byte by byte would get a unit each time, and the buffer would have no end. What is told
    // then lies less than a unit below the edge, which stays (RFC 7323 section 2.4).
    if ((this.manners & Manner.ROUND_DOWN) !== 0 || (field << shift) - unit >= this.limit - this.ring.length)
      field = window >> shift
    if (field > 0xffff) field = 0xffff
    this.edge = later(this.edge, (this.nxt + (field << shift)) | 0)
    this.lastAckSent = this.nxt
    if (this.quick > 0 && (this.ackNow || this.delayed)) this.quick--
    this.ackNow = false
    this.delayed = false
    this.pushed = 0
    return field
  }

  /** Where the edge may go: as far as the buffer allows, if that is a step worth telling. */
  private newEdge(): number {
    let free = this.limit - this.ring.length
    if (this.memory.underPressure && free > PRESSED_SEGMENTS * this.mss) free = PRESSED_SEGMENTS * this.mss
    if (free <= 0) return this.edge
    let reach = (this.nxt + free) | 0
    const field = 0xffff << this.scale
    const most = field < this.clamp ? field : this.clamp
    if (((reach - this.nxt) | 0) > most) reach = (this.nxt + most) | 0
    const step = (reach - this.edge) | 0
    if ((this.manners & Manner.ANY_STEP) !== 0 && (free >= this.mss || free >= this.limit >> 2))
      return step > 0 ? reach : this.edge
    return step >= Math.min(this.limit >> 1, this.mss) ? reach : this.edge
  }

  /** The application has read so much that the peer should hear of the new window at once (RFC 9293 section 3.8.6.2.2). */
  get updateDue(): boolean {
    const { window } = this
    const isTight = window < this.mss
    // The edge cannot go further than there is room.
    if (!isTight && this.limit - this.ring.length < 2 * window) return false
    const step = (this.newEdge() - this.edge) | 0
    if (step <= 0) return false
    return isTight || (step >= window && step >= 2 * this.mss)
  }

  /** No full segment fits the window: the peer may be stuck. */
  get isTight(): boolean {
    return ((this.edge - this.nxt) | 0) < this.mss
  }

  /** The largest window there can ever be: what the scale is chosen by. */
  get mostWindow(): number {
    return this.maxLimit < this.clamp ? this.maxLimit : this.clamp
  }

  /** SO_RCVBUF: this size, and no other. A window that was advertised stays; the buffer shrinks as it is used up. */
  fixLimit(bytes: number): void {
    this.limit = bytes
    this.maxLimit = bytes
  }

  /** Accounts for bytes that the application took, and lets the buffer follow the rate at which it takes them. */
  consumed(bytes: number, nowUs: number, rttUs: number): void {
    if (this.sizing === null) return
    const { spans } = this
    const ahead = spans === null || spans.count === 0 ? 0 : (spans.highest(this.nxt) - this.nxt) | 0
    const wish = this.sizing.consumed(bytes, this.mss, ahead, nowUs, rttUs)
    if (wish > this.limit && this.limit < this.maxLimit && !this.memory.underPressure)
      this.limit = Math.min(wish, this.maxLimit) | 0
  }

  /** Memory is short: what is not in order is sent again (RFC 2018 section 8 permits to renege on it). */
  forgetOutOfOrder(): void {
    this.spans = null
    this.ring.prune()
  }

  /** Bytes of the SACK option that the next ACK carries, padding included; 0 = none. */
  sackLength(timestamps: boolean): number {
    return this.hasDsack || this.spans !== null ? this.sackSpace(timestamps) : 0 // so short that it costs no call
  }

  private sackSpace(timestamps: boolean): number {
    const n = this.blockCount(timestamps)
    return n === 0 ? 0 : 4 + 8 * n
  }

  /** SACK blocks that the next ACK has to tell, as many as fit. */
  blockCount(timestamps: boolean): number {
    const spans = this.spans
    const held = spans === null ? 0 : spans.count
    if (held === 0 && !this.hasDsack) return 0
    let max = timestamps ? MAX_BLOCKS_WITH_TIMESTAMPS : MAX_BLOCKS
    if (this.signatureBytes > 0) max = Math.max(0, (SACK_SPACE - this.signatureBytes - (timestamps ? TIMESTAMPS_SPACE : 0)) >> 3)
    return Math.min(max, held + (this.hasDsack ? 1 : 0))
  }

  /** Writes NOP NOP SACK at `at`; a D-SACK block first, then the most recent ranges (RFC 2018 section 4, RFC 2883 section 4). */
  writeSack(buf: Uint8Array, at: number, timestamps: boolean, most = MAX_BLOCKS): void {
    const n = Math.min(most, this.blockCount(timestamps))
    put16(buf, at, (OPT_NOP << 8) | OPT_NOP)
    buf[at + 2] = OPT_SACK
    buf[at + 3] = 2 + 8 * n
    let off = at + 4
    let written = 0
    if (this.hasDsack) {
      put32(buf, off, this.dsackLeft)
      put32(buf, off + 4, this.dsackRight)
      off += 8
      written = 1
      this.hasDsack = false
    }
    for (let k = 0; written < n; k++, written++) {
      const i = this.spans!.recent(k)
      put32(buf, off, this.spans!.leftOf(i))
      put32(buf, off + 4, this.spans!.rightOf(i))
      off += 8
    }
  }

  /** One past the last sequence number that is accepted. */
  get lastEdge(): number {
    return (this.manners & Manner.BY_BUFFER) !== 0 ? later(this.edge, (this.nxt + this.limit - this.ring.length) | 0) : this.edge
  }

  /** RFC 9293 section 3.10.7.4, first check: does a segment of `span` sequence numbers at `seq` touch the window? */
  isAcceptable(seq: number, span: number): boolean {
    const nxt = this.nxt
    const edge = this.lastEdge
    if (span === 0) return edge === nxt ? seq === nxt : geq(seq, nxt) && lt(seq, edge)
    if (edge === nxt) return false
    return lt(seq, edge) && gt((seq + span) | 0, nxt)
  }

  /**
   * The FIN of the peer lies at `seq`; it is in order when nxt gets there. False: it cannot be, for there is data beyond it. Believing it
   * would lose that data and leave ranges below RCV.NXT.
   */
  sawFin(seq: number): boolean {
    if (gt(this.spans === null ? this.nxt : this.spans.highest(this.nxt), seq)) return false
    if (this.finSeen && leq(this.finSeq, seq)) return true // the first FIN is the one
    this.finSeen = true
    this.finSeq = seq
    return true
  }

  /** Nobody will read any more: memory back. */
  release(): void {
    this.ring.clear()
    this.spans = null
  }
}
