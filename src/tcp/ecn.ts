/**
 * Explicit congestion notification: what two ends agree on, and RFC 3168's way of telling. RFC 9768's is in accurate-ecn.ts.
 *
 * Theory of operation. Three bits of the TCP header (AE, CWR, ECE), read as one number by RFC 9768, negotiate in the SYNs. Afterwards a
 * sender says ECT(0) in the IP header of new data; a router that would drop marks CE instead; the receiver tells. In the classic way it sets
 * ECE in everything until it hears CWR: one signal per round trip. `Ecn` is made for connections that ask for it or agreed on it, all
 * others have `null` and pay nothing. What the sender does about it is recovery's and the congestion control's.
 *
 * ECT is not on SYNs, pure ACKs, retransmissions, probes and a bare FIN (RFC 3168 section 6.1), unless RFC 9768 is in use and
 * `ecnControlPackets` is on (ECN++, draft-ietf-tcpm-generalized-ecn; Linux does so).
 *
 * Deviation: a SYN whose own IP header says ECT is answered as any other (RFC 3168 section 6.1.1 forbids to send it, not to accept it).
 */

import { ECN_MODES, type EcnMode } from '../base/config.ts'
import { AccurateEcn } from './accurate-ecn.ts'
import { aceFlags, aceOf, Codepoint, reflection } from './ace.ts'
import type { Connection } from './connection.ts'
import { RecoveryState } from './recovery.ts'
import type { Segment } from './segment.ts'
import { geq, gt } from './seq.ts'
import { State } from './state.ts'
import { C } from './tcp-counters.ts'
import { ACK, AE, CWR, ECE, SYN } from './wire.ts'

/** What is asked for, accepted, or in use. */
export const EcnLevel = { OFF: 0, CLASSIC: 1, ACCURATE: 2 } as const

/** So many segments are acknowledged at once after the first mark: the sender's window may be small. Linux. */
const ACKS_AFTER_MARK = 2

/** ACE in an ECN-setup SYN of RFC 3168, and of RFC 9768. */
const SYN_CLASSIC = 3
const SYN_ACCURATE = 7
/** ACE that says: your SYN or SYN-ACK came as it was sent, and the worst that could be said. */
const CAME_NOT_ECT = reflection(Codepoint.NOT_ECT)
const CAME_MARKED = reflection(Codepoint.CE)

export function isEcnMode(value: unknown): value is EcnMode {
  return ECN_MODES.includes(value as EcnMode)
}

function levelToRequest(mode: EcnMode): number {
  return mode === 'accurate' ? EcnLevel.ACCURATE : mode === 'on' ? EcnLevel.CLASSIC : EcnLevel.OFF
}

/** One connection's. */
export class Ecn {
  /** An EcnLevel: in use, or asked for while the SYN is under way. */
  level: number
  /** Of RFC 9768, once agreed. */
  accurate: AccurateEcn | null = null
  /** Packets may say ECT. False: the path spoils the field (RFC 9768 section 3.2.2.3). */
  capable = true
  /** Bytes delivered that were reported as marked: in the classic way those of whole ACKs. */
  deliveredCe = 0
  /** Receiver, RFC 3168 section 6.1.3: ECE in every segment until the sender says CWR. */
  private echoing = false
  /** Sender: the next new data says CWR. */
  private cwrDue = false
  /** How many reductions of the window were told to the peer by CWR (Recovery.reductions). */
  private reductionsTold = 0
  /** The window was reduced for ECN when SND.NXT was this, which is not acknowledged yet. */
  private reduced = false
  private reducedAt = 0
  /** The segment being processed says ECE. */
  private echo = false

  constructor(level: number) {
    this.level = level
  }

  // --------------------------------------------------------------- handshake

  /**
   * Flags of our SYN. A SYN that is lost may have been dropped for its flags: RFC 3168 section 6.1.1.1
   * falls back with the first retransmission, RFC 9768 section 3.1.4.1 with the second.
   */
  handshakeFlags(c: Connection, flags: number): number {
    // The SYN-ACK of a simultaneous open.
    if ((flags & ACK) !== 0) return this.accurate === null ? ECE : aceFlags(reflection(this.accurate.synField))
    const { retries } = c.deadlines
    const fallback = c.tcp.config.ecnFallback
    if (this.level === EcnLevel.ACCURATE) return fallback && retries > 1 ? 0 : AE | CWR | ECE
    return fallback && retries > c.tcp.config.ecnSynRetries ? 0 : CWR | ECE
  }

  /** The SYN-ACK to our SYN (RFC 9768 table 2). False: no ECN on this connection. */
  answered(seg: Segment, validate: boolean): boolean {
    const ace = aceOf(seg.flags)
    if (this.level === EcnLevel.CLASSIC) return (ace & SYN_CLASSIC) === 1 // CWR too is our own SYN, reflected
    if (ace === 0 || ace === SYN_ACCURATE) return false
    if (ace === 1 || ace === 5) {
      this.level = EcnLevel.CLASSIC
      return true
    }
    const a = new AccurateEcn(seg.packet.tos & 3)
    this.accurate = a
    a.reflectDue = true
    // Our SYN said Not-ECT; that it arrived as something else means that the path writes into the field (RFC 9768 section 3.2.2.3).
    if (validate && ace !== CAME_NOT_ECT) this.capable = false
    if (ace === CAME_MARKED) a.deliveredCe = 1
    a.heardSynAck(seg)
    return true
  }

  /** A SYN that crossed ours (RFC 9293 section 3.5). False: no ECN. */
  crossed(seg: Segment): boolean {
    const ace = aceOf(seg.flags)
    if (ace === 0) return false
    if (this.level === EcnLevel.CLASSIC || ace === SYN_CLASSIC) {
      this.level = EcnLevel.CLASSIC
      return (ace & SYN_CLASSIC) === SYN_CLASSIC
    }
    this.accurate = new AccurateEcn(seg.packet.tos & 3)
    return true
  }

  /** A SYN-ACK again: the ACK that answers it reflects this one (RFC 9768 section 3.2.2.1). */
  heardSynAgain(seg: Segment): void {
    if (this.accurate === null || (seg.flags & ACK) === 0) return
    this.accurate.synField = seg.packet.tos & 3
    this.accurate.reflectDue = true
  }

  // ---------------------------------------------------------------- receiving

  /** An acceptable segment, before anything is cut off it. */
  heard(c: Connection, seg: Segment): void {
    if (this.accurate !== null) {
      this.accurate.heard(c, this, seg)
      return
    }
    const { len } = seg
    const { rcv } = c
    this.echo = (seg.flags & ECE) !== 0
    if ((seg.flags & CWR) !== 0) {
      this.echoing = false
      // The sender's window may be one segment: it must not wait for a delayed ACK.
      if (len > 0) {
        rcv.ackNow = true
        c.tcp.markDirty(c)
      }
    }
    // RFC 3168 section 6.1.3 speaks of data. What lies outside the window never gets here (section 6.1.5).
    if (len > 0 && (seg.packet.tos & 3) === Codepoint.CE) {
      c.tcp.counters.values[C.tcpInCe] += seg.count
      if (!this.echoing) {
        this.echoing = true
        rcv.quick = Math.max(rcv.quick, ACKS_AFTER_MARK)
        rcv.pingpong = false
      }
    }
  }

  /** One outside the window: accurate feedback counts also what comes again (RFC 9768 section 3.2.2), if it is not from long ago. */
  heardOutside(c: Connection, seg: Segment): void {
    this.echo = false
    if (this.accurate === null) return
    const late = (c.rcv.nxt - seg.seq) | 0
    if (late >= 0 && late <= c.rcv.reach) this.accurate.heard(c, this, seg)
  }

  /**
   * An ACK that delivered `delivered` bytes, 0 for one that only has newer timestamps. Returns how many of them were marked, and lets the
   * congestion control know.
   */
  acknowledged(c: Connection, delivered: number): number {
    // ECE goes on until CWR has arrived, which was sent at `reducedAt`: only what acknowledges more is about a later window.
    if (this.reduced && gt(c.snd.una, this.reducedAt) && this.accurate === null) this.reduced = false
    const marked = this.accurate !== null ? this.accurate.acknowledged(c, delivered) : this.echo ? delivered : 0
    if (marked > 0 || (this.accurate === null && this.echo)) {
      this.deliveredCe += marked
      this.reduce(c, delivered)
    }
    // Accurate marks belong to what an ACK delivers: the one that reaches `reducedAt` is still about what was sent before.
    if (this.reduced && geq(c.snd.una, this.reducedAt) && this.accurate !== null) this.reduced = false
    return marked
  }

  /** At most once per window of data (RFC 3168 section 6.1.2), and not while losses are being repaired: those have reduced it already. */
  private reduce(c: Connection, delivered: number): void {
    const { snd } = c
    const { recovery } = snd
    if (this.reduced || recovery.state >= RecoveryState.RECOVERY) return
    this.reduced = true
    this.reducedAt = snd.nxt
    this.cwrDue = true
    c.tcp.counters.values[C.tcpEcnReductions]++
    recovery.congestionEcho(snd.nxt, c.tcp.clock.nowMs, delivered)
  }

  // ------------------------------------------------------------------ sending

  /** Flags to add to a segment with `len` payload bytes at `seq`. */
  flags(c: Connection, seq: number, len: number): number {
    if (this.accurate !== null) {
      const flags = this.accurate.flags(len)
      return c.state === State.TIME_WAIT && !c.tcp.config.ecnLastAck ? 0 : flags
    }
    let flags = this.echoing ? ECE : 0
    if (len > 0 && (seq === c.snd.nxt || c.tcp.config.cwrOnRetransmission) && this.isCwrDue(c)) flags |= CWR
    return flags
  }

  /** RFC 3168 section 6.1.2: CWR whenever the window was reduced, for whatever reason. */
  private isCwrDue(c: Connection): boolean {
    const { recovery } = c.snd
    return this.cwrDue || recovery.reductions !== this.reductionsTold
  }

  /** The ECN field of that segment's packet. */
  codepoint(c: Connection, seq: number, len: number): number {
    if (!this.capable) return Codepoint.NOT_ECT
    if (len > 0 && seq === c.snd.nxt) return Codepoint.ECT0
    const { config } = c.tcp
    return config.ecnControlPackets && (this.accurate !== null || config.ecnControlClassic) ? Codepoint.ECT0 : Codepoint.NOT_ECT
  }

  /** That of our SYN, or of the SYN-ACK of a simultaneous open. */
  handshakeCodepoint(c: Connection, flags: number): number {
    const { config } = c.tcp
    return config.ecnControlClassic && (flags & ECE) !== 0 ? Codepoint.ECT0 : Codepoint.NOT_ECT
  }

  /** It was sent, with these flags, and with a D-SACK or not. */
  sent(c: Connection, flags: number, withDsack: boolean): void {
    if (this.accurate !== null) this.accurate.sent(c, withDsack)
    else if ((flags & CWR) !== 0) {
      this.cwrDue = false
      this.reductionsTold = c.snd.recovery.reductions
    }
  }
}

/** Active OPEN: what the SYN will ask for. */
export function requestEcn(c: Connection): Ecn | null {
  const level = levelToRequest(c.ecnMode)
  return level === EcnLevel.OFF ? null : new Ecn(level)
}

/** ECN of a handshake that somebody else began. */
export class EcnHandshake {
  /** A SYN without ECN followed one with: the path may spoil it (RFC 9768 section 3.1.5). */
  private doubtful = false

  constructor(
    readonly level: number,
    /** IP-ECN field of the last SYN. */
    private synField: number,
  ) {}

  /** The SYN again. */
  heardAgain(seg: Segment): void {
    this.synField = seg.packet.tos & 3
    if (aceOf(seg.flags) === 0) this.doubtful = true
  }

  /** Flags of the SYN-ACK; what is retransmitted again and again may be dropped for them (RFC 9768 section 3.1.4.2). */
  synAckFlags(retries: number, fallback: boolean): number {
    if (this.level === EcnLevel.CLASSIC) return ECE
    return fallback && retries > 1 ? 0 : aceFlags(reflection(this.synField))
  }

  /** The ECN field of the SYN-ACK. One that got lost may have been dropped for it: RFC 5562 section 3.1. */
  synAckCodepoint(retries: number, capable: boolean): number {
    return capable && this.level === EcnLevel.CLASSIC && retries === 0 ? Codepoint.ECT0 : Codepoint.NOT_ECT
  }

  /** The first SYN-ACK says that we know the option (RFC 9768 section 3.2.3.2.1); retransmissions do without. */
  get hasOption(): boolean {
    return this.level === EcnLevel.ACCURATE
  }

  /** The handshake is complete by `seg`. */
  connection(seg: Segment, validate: boolean): Ecn {
    const ecn = new Ecn(this.level)
    if (this.level === EcnLevel.CLASSIC) return ecn
    const a = new AccurateEcn(this.synField)
    ecn.accurate = a
    if (this.synField === Codepoint.CE) a.receivedCe = 1
    if (this.doubtful) ecn.capable = false
    if (seg.len > 0 || seg.sackCount > 0) return ecn
    // A pure ACK says how our SYN-ACK arrived (RFC 9768 table 4). We sent it Not-ECT; 1, 5 and 7 have no meaning yet.
    const ace = aceOf(seg.flags)
    if (ace === 1 || ace === 5 || ace === 7) return ecn
    if (validate && ace !== CAME_NOT_ECT) ecn.capable = false
    else if (ace === CAME_MARKED) a.deliveredCe = 1
    return ecn
  }
}

/** What to make of the flags of a SYN (RFC 3168 section 6.1.1, RFC 9768 section 3.1.2). Null: no ECN. */
export function acceptEcn(mode: EcnMode, acceptAccurate: boolean, seg: Segment): EcnHandshake | null {
  const ace = aceOf(seg.flags)
  if (mode === 'off' || ace === 0 || (seg.flags & SYN) === 0) return null // an ACK with a cookie is no SYN
  const field = seg.packet.tos & 3
  // Combinations that mean nothing yet are taken as 7: whoever sends them will know RFC 9768.
  if (ace !== SYN_CLASSIC && (mode === 'accurate' || acceptAccurate)) return new EcnHandshake(EcnLevel.ACCURATE, field)
  return (ace & SYN_CLASSIC) === SYN_CLASSIC ? new EcnHandshake(EcnLevel.CLASSIC, field) : null
}
