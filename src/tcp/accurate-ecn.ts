/**
 * Accurate ECN (RFC 9768): every mark is told, by a counter of three bits in every segment and by byte counters in an option.
 *
 * Theory of operation. As receiver: `receivedCe` counts packets that arrived with CE, of any kind, and leaves modulo 8 in the ACE field
 * (with an offset of 5, so that a field wiped to zero shows); three byte counters count payload by codepoint. As sender: what the peer's ACE
 * says beyond `deliveredCe` is newly marked. Three bits wrap when one ACK stands for more than seven packets; the option's byte counters say
 * which multiple of eight it was, and without it appendix A.2's rule does. Only ACKs that bring something new are read: reordered ones would
 * turn the counter back.
 *
 * The option is not on SYNs; a server puts it on its first SYN-ACK, and either side sends it once the other has (section 3.2.3.2). It
 * shares the forty bytes with timestamps and SACK: SACK keeps two blocks, the option the counters that have moved.
 */
import { ECT_OFFSET, spaceFor, writeCounters } from './accecn-option.ts'
import { aceFlags, aceOf, Codepoint, reflection } from './ace.ts'
import type { EcnReport } from './api.ts'
import type { Connection } from './connection.ts'
import type { Ecn } from './ecn.ts'
import type { Segment } from './segment.ts'
import { State } from './state.ts'
import { C } from './tcp-counters.ts'
import { OPT_ACCECN0, OPT_NOP, OPTION_SPACE, TIMESTAMPS_SPACE } from './wire.ts'

/** Section 3.2.1. */
const ACE_OFFSET = 5
const COUNTER_MASK = 0xffffff

/** ACE is of no use beyond so many packets in one ACK. */
const ACE_MAX = 7

/** Section 3.2.2.5.1: marks after which an ACK is due at once, with data to acknowledge and without. */
const MARKS_WITH_DATA = 2
const MARKS_WITHOUT = 3

/** Section 3.2.3.3: the option at least once for so many bytes of a counter, or 24 bits become ambiguous. */
const COUNTER_STEP = 1 << 22

/** More bytes sent than the peer's counters can tell apart: an option that first appears now has no beginning. */
const TOO_LATE = (1 << 23) - 1

/** ACKs that stand for more packets than this on average are compressed on their way: a wrap is unlikely to be one. In 64ths. */
const COMPRESSED = 4 * 64

/** What is known of the peer's option. */
const Seen = { NEVER: 0, EMPTY: 1, COUNTERS: 2, SPOILT: 3 } as const

export class AccurateEcn {
  /** Receiver: packets with CE, payload bytes by codepoint. */
  receivedCe = 0
  receivedCeBytes = 0
  receivedEct0Bytes = 0
  receivedEct1Bytes = 0
  /** Sender: what the peer has told of ours. */
  deliveredCe = 0
  deliveredCeBytes = 0
  deliveredEct0Bytes = 0
  deliveredEct1Bytes = 0
  /** The next pure ACK tells how the SYN-ACK arrived, instead of the counter (section 3.2.2.1). */
  reflectDue = false
  /** The path loses what carries our option. */
  optionFails = false
  /** Of the last `fit`: counters in the option, -1 for no option; SACK blocks. */
  fields = -1
  blocks = 0

  private seen: number = Seen.NEVER
  private first = true
  /** Marks not yet told by an ACK. */
  private pending = 0
  /** Codepoint of the last data. */
  private previous: number
  /** The option is due in so many segments; counters that it must have, because they have moved. */
  private demand = 0
  private minFields = 0
  private lastOptionUs = 0
  /** D-SACK that left together with the option. */
  private toldDsack = false
  /** Packets per ACK, in 64ths. */
  private packetsPerAck = 0
  private reflects = false

  /** Of the segment being processed. */
  private ace = 0
  private isNewer = false
  private isReadable = false
  private kind = 0
  private count = 0
  private counter0 = 0
  private counter1 = 0
  private counter2 = 0
  /** Its CE bytes, when its option could be used; else -1. */
  private newCeBytes = -1

  constructor(
    /** IP-ECN field of the peer's SYN or SYN-ACK. */
    public synField: number,
  ) {
    this.previous = synField
  }

  report(): EcnReport {
    return {
      deliveredCePackets: this.deliveredCe >>> 0,
      deliveredCeBytes: this.deliveredCeBytes >>> 0,
      deliveredEct0Bytes: this.deliveredEct0Bytes >>> 0,
      deliveredEct1Bytes: this.deliveredEct1Bytes >>> 0,
      receivedCePackets: this.receivedCe >>> 0,
      receivedCeBytes: this.receivedCeBytes >>> 0,
      receivedEct0Bytes: this.receivedEct0Bytes >>> 0,
      receivedEct1Bytes: this.receivedEct1Bytes >>> 0,
    }
  }

  // ---------------------------------------------------------------- receiving

  heardSynAck(seg: Segment): void {
    if (this.synField === Codepoint.CE) this.receivedCe = 1
    this.look(seg)
  }

  heard(c: Connection, ecn: Ecn, seg: Segment): void {
    const { rcv, snd } = c
    const { len } = seg
    const field = seg.packet.tos & 3
    this.ace = aceOf(seg.flags)
    this.isNewer = c.timestamps && seg.hasTimestamps && ((seg.tsVal - c.tsRecent) | 0) > 0
    // While nothing has gone either way there are only the ACK of the handshake and its copies: they tell of the SYN-ACK.
    this.isReadable =
      len > 0 || (c.state !== State.SYN_RECEIVED && (seg.seq !== ((rcv.irs + 1) | 0) || snd.nxt !== ((snd.iss + 1) | 0)))
    if (this.first) {
      this.first = false
      // Section 3.2.2.4: nothing is in flight yet that could have made the counter wrap to zero.
      if (this.ace === 0 && this.isReadable && c.tcp.config.ecnValidate) ecn.capable = false
    }
    this.look(seg)
    this.noticeLostOption(c, seg, len)
    if (field === Codepoint.CE) {
      c.tcp.counters.values[C.tcpInCe] += seg.count
      this.receivedCe = (this.receivedCe + seg.count) | 0
      this.pending += seg.count
      this.demand = 2
    }
    if (len > 0) {
      if (this.countBytes(field, len) && this.demand === 0) this.demand = 1
      // A change of codepoint is told at once, twice: the second option shows which counter it was (section 3.2.2.5.1).
      if (field !== this.previous) {
        this.previous = field
        this.demand = 2
        rcv.ackNow = true
        c.tcp.markDirty(c)
      }
    }
    if (this.pending >= (len > 0 || rcv.nxt !== rcv.lastAckSent ? MARKS_WITH_DATA : MARKS_WITHOUT)) {
      rcv.ackNow = true
      c.tcp.markDirty(c)
    }
  }

  /** Counts payload; true when a counter has moved so far that it must be told. */
  private countBytes(field: number, len: number): boolean {
    let before: number
    switch (field) {
      case Codepoint.ECT1:
        before = this.receivedEct1Bytes
        this.receivedEct1Bytes = (before + len) | 0
        if (this.minFields < 1) this.minFields = 1
        break
      case Codepoint.CE:
        before = this.receivedCeBytes
        this.receivedCeBytes = (before + len) | 0
        if (this.minFields < 2) this.minFields = 2
        break
      case Codepoint.ECT0:
        before = this.receivedEct0Bytes
        this.receivedEct0Bytes = (before + len) | 0
        this.minFields = 3
        break
      default:
        return false
    }
    return ((before ^ ((before + len) | 0)) & -COUNTER_STEP) !== 0
  }

  /** Takes the option out of the segment. Its first counters cannot be zero: a path that wipes options is found out (section 3.2.3.2.4). */
  private look(seg: Segment): void {
    this.kind = this.seen === Seen.SPOILT ? 0 : seg.accEcnKind
    this.count = seg.accEcnCount
    if (this.kind === 0) return
    this.counter0 = seg.accEcn[0]
    this.counter1 = seg.accEcn[1]
    this.counter2 = seg.accEcn[2]
    if (this.seen >= Seen.COUNTERS) return
    if (this.seen === Seen.NEVER) this.demand = 2
    if (this.count === 0) this.seen = Seen.EMPTY
    else if (this.counter0 === 0 || (this.count === 3 && this.counter2 === 0)) {
      this.seen = Seen.SPOILT
      this.kind = 0
    } else this.seen = Seen.COUNTERS
  }

  /** The same data twice after an ACK that said so: what carries the option does not get through (section 3.2.3.2.2). */
  private noticeLostOption(c: Connection, seg: Segment, len: number): void {
    const { rcv } = c
    if (!this.toldDsack || len === 0 || rcv.hasDsack) return
    if (seg.seq === rcv.dsackLeft && ((seg.seq + len) | 0) === rcv.dsackRight) this.optionFails = true
  }

  /** An ACK that delivered so many bytes: how many of them were marked. */
  acknowledged(c: Connection, delivered: number): number {
    if (delivered === 0 && !this.isNewer) return 0
    this.newCeBytes = -1
    if (this.kind !== 0 && this.seen !== Seen.SPOILT) this.takeCounters()
    else if (this.seen === Seen.NEVER && c.snd.bytesSent >= TOO_LATE) this.seen = Seen.SPOILT
    if (!this.isReadable) return 0
    const { mss } = c.snd
    const packets = Math.ceil(delivered / mss)
    this.average(packets)
    const marks = this.marks(packets, mss)
    if (marks === 0) return this.newCeBytes > 0 ? Math.min(this.newCeBytes, delivered) : 0
    this.deliveredCe = (this.deliveredCe + marks) | 0
    c.tcp.counters.values[C.TCPDeliveredCE] += marks
    return this.newCeBytes >= 0 ? Math.min(this.newCeBytes, delivered) : Math.min(marks * mss, delivered)
  }

  private average(packets: number): void {
    if (packets === 0) return
    if (this.packetsPerAck === 0) this.packetsPerAck = packets * 64
    else this.packetsPerAck = (this.packetsPerAck * 7 + packets * 64) >> 3
  }

  /** Packets newly marked, of `packets` that this ACK delivered (section 3.2.2.5.2, appendix A.2). */
  private marks(packets: number, mss: number): number {
    let marks = (this.ace - ACE_OFFSET - this.deliveredCe) & ACE_MAX
    if (packets <= ACE_MAX) return marks
    const most = packets - ((packets - marks) & ACE_MAX)
    if (this.newCeBytes >= 0) {
      // Appendix A.2.2: as many wraps as the marked bytes need. No packet is larger than the MSS.
      while (marks < most && marks * mss < this.newCeBytes) marks += ACE_MAX + 1
      return marks
    }
    // Without the option the worst is assumed, unless ACKs are always this rare.
    return this.packetsPerAck > COMPRESSED ? marks : most
  }

  /** Counters are 24 bits; one that runs backwards belongs to an ACK from before. */
  private takeCounters(): void {
    const isFirst = this.kind === OPT_ACCECN0
    if (this.count > 0) {
      if (isFirst) this.deliveredEct0Bytes = moved(this.deliveredEct0Bytes, (this.counter0 - ECT_OFFSET) | 0)
      else this.deliveredEct1Bytes = moved(this.deliveredEct1Bytes, (this.counter0 - ECT_OFFSET) | 0)
    }
    if (this.count > 1) {
      const before = this.deliveredCeBytes
      this.deliveredCeBytes = moved(before, this.counter1)
      this.newCeBytes = (this.deliveredCeBytes - before) | 0
    }
    if (this.count > 2) {
      if (isFirst) this.deliveredEct1Bytes = moved(this.deliveredEct1Bytes, (this.counter2 - ECT_OFFSET) | 0)
      else this.deliveredEct0Bytes = moved(this.deliveredEct0Bytes, (this.counter2 - ECT_OFFSET) | 0)
    }
  }

  // ------------------------------------------------------------------ sending

  /** The ACE field of a segment with `len` payload bytes, as flags. Only a pure ACK without SACK reflects the handshake. */
  flags(len: number): number {
    this.reflects = this.reflectDue && len === 0 && this.blocks === 0
    return aceFlags(this.reflects ? reflection(this.synField) : this.counter)
  }

  private get counter(): number {
    return (this.receivedCe + ACE_OFFSET) & ACE_MAX
  }

  /** Segmentation leaves CWR in the first segment of many; when it is part of the counter, there can be but one. */
  get hasCwr(): boolean {
    return (this.counter & 2) !== 0
  }

  /** Decides on `fields` and `blocks` for the segment sent next; returns the bytes of both options. */
  fit(c: Connection): number {
    const blocks = c.sackPermitted ? c.rcv.blockCount(c.timestamps) : 0
    this.blocks = blocks
    this.fields = -1
    if (this.wantsOption(c)) {
      const room = OPTION_SPACE - (c.timestamps ? TIMESTAMPS_SPACE : 0) - c.rcv.signatureBytes
      for (let b = blocks; b >= 0; b--) {
        for (let f = 3; f >= this.minFields && f > 0; f--) {
          const space = spaceFor(f, b)
          if (space > room) continue
          this.fields = f
          this.blocks = b
          return space
        }
        // SACK gives way down to two blocks, and only to counters that have something to tell.
        if (b <= 2 || this.minFields === 0) break
      }
    }
    return blocks === 0 ? 0 : 4 + 8 * blocks
  }

  /** What times out again and again goes without: it may be the option that the path does not like. */
  private wantsOption(c: Connection): boolean {
    const { config, clock } = c.tcp
    if (this.seen === Seen.NEVER || this.seen === Seen.SPOILT || this.optionFails || c.deadlines.retries > 2) return false
    if (config.ecnOption === 'never') return false
    if (config.ecnOption === 'always' || this.demand > 0) return true
    // Section 3.2.3.3: beacons, so many in a round trip.
    return config.ecnOptionBeacon > 0 && ((clock.nowUs - this.lastOptionUs) | 0) * config.ecnOptionBeacon >= c.rto.srttUs
  }

  /** Writes the option and NOPs behind it, so that SACK with NOP NOP before it, or the payload, is aligned. Returns where that begins. */
  write(buf: Uint8Array, at: number): number {
    const end = at + spaceFor(this.fields, this.blocks) - (this.blocks > 0 ? 4 + 8 * this.blocks : 0)
    let o = writeCounters(buf, at, this.fields, this.receivedEct1Bytes, this.receivedCeBytes, this.receivedEct0Bytes)
    while (o < end) buf[o++] = OPT_NOP
    return end
  }

  /** `fit`, `flags` and `write` have left. */
  sent(c: Connection, withDsack: boolean): void {
    this.pending = 0
    if (this.reflects) this.reflectDue = false
    if (this.fields < 0) return
    if (this.demand > 0) this.demand--
    this.lastOptionUs = c.tcp.clock.nowUs
    if (withDsack) this.toldDsack = true
  }
}

/** A counter of which `low`, modulo 2^24, is the new value: moved forward, or where it was. */
function moved(counter: number, low: number): number {
  const step = (low - counter) & COUNTER_MASK
  return step < 0x800000 ? (counter + step) | 0 : counter
}
