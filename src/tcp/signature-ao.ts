/**
 * The TCP authentication option (RFC 5925), of one connection.
 *
 * Theory of operation. Segments are not signed with the keys of the application but with traffic keys that are derived from them, from addresses, ports
 * and both initial sequence numbers, one for each direction; a SYN, which cannot know the other number, has one of its own (section 5.2). So
 * what was recorded on one connection is of no use on another, and an extension of the sequence number by 32 bits (SNE, section 6.2) sees to
 * the same within a long one.
 *
 * A peer may have several keys. Each segment says by number with which it is signed (KeyID) and which key its sender would like to see
 * (RNextKeyID); we wish for the first of our list, and sign with what the peer wishes for if we have it. Both sides thus pass to a new
 * key without losing a segment (section 6.1): first both add it, then one of them puts it first. A wish counts only in segments that are not
 * older than others heard before, or a recorded one could bring back an old key.
 *
 * A handshake that is only a candidate (its SYN is just being judged) has this object, too: `begin` makes it one of ours.
 *
 * Deviation: the key in use may be taken away (section 3.1 forbids it): the first of the others takes its place, as if the peer had asked.
 */
import type { Address } from '../base/address.ts'
import { put16, put32 } from '../base/bytes.ts'
import type { Segment } from './segment.ts'
import { HEAD_LENGTH, putAddress, putHead, type Signature } from './signature.ts'
import { MAC_LENGTH, sameBytes } from './signature-crypto.ts'
import { AO_SPACE, type MasterKey } from './signature-keys.ts'
import { C } from './tcp-counters.ts'
import { ACK, OPT_AO, OPT_AO_LEAST_LENGTH, OPTION_SPACE, RST, SYN, TCP, TCP_HEADER } from './wire.ts'

const SNE_LENGTH = 4

/** What is signed before the data, and what keys are derived from. Of one segment at a time. */
const head = new Uint8Array(SNE_LENGTH + HEAD_LENGTH + OPTION_SPACE)
const context = new Uint8Array(2 * 16 + 2 * 2 + 2 * 4)

/** Sequence numbers with 32 bits more, counted from the initial one (section 6.2). Known of one number, and so of all within half their space. */
export class SequenceExtension {
  private seq = 0
  private high = 0

  begin(isn: number): void {
    this.seq = isn
    this.high = 0
  }

  /** The extension of `seq`. */
  of(seq: number): number {
    const isBelow = seq >>> 0 < this.seq >>> 0
    if (this.isNew(seq)) return isBelow ? (this.high + 1) | 0 : this.high
    return isBelow ? this.high : (this.high - 1) | 0
  }

  /** Not before what was heard of last. */
  isNew(seq: number): boolean {
    return ((seq - this.seq) | 0) >= 0
  }

  /** `seq` was sent, or proved to be genuine. */
  advance(seq: number): void {
    if (!this.isNew(seq)) return
    this.high = this.of(seq)
    this.seq = seq
  }
}

export class AoSignature implements Signature {
  readonly name = 'ao'
  readonly space = AO_SPACE
  private iss = 0
  private irs = 0
  private knowsIrs = false
  private readonly sent = new SequenceExtension()
  private readonly heard = new SequenceExtension()
  /** The key that we sign with; null for a candidate. */
  private current: MasterKey | null = null
  /** Traffic keys for all but SYN, made when needed, and with which key the other one was. */
  private sendKey: Uint8Array | null = null
  private receiveKey: Uint8Array | null = null
  private receiveMaster: MasterKey | null = null

  constructor(
    /** Of this peer; the first is the one that we like best. Never empty. */
    private keys: readonly MasterKey[],
    private readonly local: Address,
    private readonly localPort: number,
    private readonly remote: Address,
    private readonly remotePort: number,
  ) {}

  begin(iss: number): void {
    this.iss = iss
    this.sent.begin(iss)
    this.sendKey = null
    this.receiveKey = null
    this.current ??= this.keys[0]
  }

  /** The peer's initial sequence number. */
  private learn(irs: number): void {
    this.irs = irs
    this.knowsIrs = true
    this.heard.begin(irs)
    this.sendKey = null
    this.receiveKey = null
  }

  /** The handshake was ours before, and forgotten: a cookie brought back both numbers. */
  resume(iss: number, irs: number): void {
    this.iss = iss
    this.sent.begin(iss)
    this.learn(irs)
  }

  /** Other keys from now on. What is signed goes on with the old one if that is still there, or with the first of the new. */
  change(keys: readonly MasterKey[]): void {
    const { current } = this
    this.keys = keys
    const same = current === null ? undefined : keys.find((key) => key.equals(current))
    this.current = same ?? keys[0]
    if (same === undefined) this.sendKey = null
    this.receiveMaster = null
  }

  sign(buf: Uint8Array, start: number, end: number, local: Address, remote: Address): void {
    const master = this.current!
    const at = start + TCP_HEADER
    put16(buf, at, (OPT_AO << 8) | AO_SPACE)
    buf[at + 2] = master.sendId
    buf[at + 3] = this.keys[0].receiveId
    const seq = readSequence(buf, start)
    let key: Uint8Array
    if (isFirst(buf[start + TCP.flags])) key = this.derive(master, true, this.iss, 0)
    else {
      this.sendKey ??= this.derive(master, true, this.iss, this.irs)
      key = this.sendKey
    }
    if ((buf[start + TCP.flags] & RST) === 0) this.sent.advance(seq) // a reset may answer with any number
    const mac = authenticate(master, key, this.sent.of(seq), buf, start, end, at, local, remote)
    for (let i = 0; i < MAC_LENGTH; i++) buf[at + OPT_AO_LEAST_LENGTH + i] = mac[i]
  }

  verify(seg: Segment, n: Float64Array): boolean {
    const { buf, packet, signatureAt: at } = seg
    if (at === 0 || buf[at] !== OPT_AO) {
      n[C.TCPAORequired]++
      return false
    }
    const master = byReceiveId(this.keys, buf[at + 2])
    if (master === null) {
      n[C.TCPAOKeyNotFound]++
      return false
    }
    const first = isFirst(seg.flags)
    if (buf[at + 1] !== AO_SPACE || (!first && !this.knowsIrs && (seg.flags & SYN) === 0)) {
      n[C.TCPAOBad]++ // nothing but a SYN can be signed before the numbers are known
      return false
    }
    const isKnown = !first && this.knowsIrs
    let key: Uint8Array
    if (!isKnown) key = this.derive(master, false, seg.seq, first ? 0 : this.iss)
    else if (this.receiveMaster === master && this.receiveKey !== null) key = this.receiveKey
    else key = this.derive(master, false, this.irs, this.iss)
    const sne = isKnown ? this.heard.of(seg.seq) : 0
    const mac = authenticate(master, key, sne, buf, packet.off, packet.end, at, packet.source, packet.destination)
    if (!sameBytes(mac, 0, buf, at + OPT_AO_LEAST_LENGTH, MAC_LENGTH)) {
      n[C.TCPAOBad]++
      return false
    }
    n[C.TCPAOGood]++
    const isOurs = this.knowsIrs
    if (!isOurs) this.learn(seg.seq)
    if (isKnown) {
      this.receiveKey = key
      this.receiveMaster = master
    }
    if (!isOurs || (isKnown && this.heard.isNew(seg.seq))) {
      this.heard.advance(seg.seq)
      this.current ??= master
      this.follow(buf[at + 3])
    }
    return true
  }

  /** The peer's wish (RNextKeyID). */
  private follow(id: number): void {
    if (this.current!.sendId === id) return
    const wanted = bySendId(this.keys, id)
    if (wanted === null) return
    this.current = wanted
    this.sendKey = null
  }

  /** A traffic key (section 5.2): addresses, ports and numbers in the order of the direction. */
  private derive(master: MasterKey, outgoing: boolean, sourceIsn: number, destinationIsn: number): Uint8Array {
    let o = putAddress(context, 0, outgoing ? this.local : this.remote)
    o = putAddress(context, o, outgoing ? this.remote : this.local)
    put16(context, o, outgoing ? this.localPort : this.remotePort)
    put16(context, o + 2, outgoing ? this.remotePort : this.localPort)
    put32(context, o + 4, sourceIsn)
    put32(context, o + 8, destinationIsn)
    return master.algorithm!.derive(master.secret, context.subarray(0, o + 12))
  }
}

/** A SYN without ACK. */
function isFirst(flags: number): boolean {
  return (flags & (SYN | ACK)) === SYN
}

function readSequence(buf: Uint8Array, start: number): number {
  const at = start + TCP.sequence
  return (buf[at] << 24) | (buf[at + 1] << 16) | (buf[at + 2] << 8) | buf[at + 3]
}

function byReceiveId(keys: readonly MasterKey[], id: number): MasterKey | null {
  for (let i = 0; i < keys.length; i++) if (keys[i].receiveId === id) return keys[i]
  return null
}

function bySendId(keys: readonly MasterKey[], id: number): MasterKey | null {
  for (let i = 0; i < keys.length; i++) if (keys[i].sendId === id) return keys[i]
  return null
}

/** The MAC of a segment whose option lies at `at` (section 5.1): SNE, pseudo-header, header, options with a MAC of zero, data. */
function authenticate(
  master: MasterKey,
  trafficKey: Uint8Array,
  sne: number,
  buf: Uint8Array,
  start: number,
  end: number,
  at: number,
  source: Address,
  destination: Address,
): Uint8Array {
  const dataAt = start + ((buf[start + TCP.dataOffset] >> 4) << 2)
  put32(head, 0, sne)
  let o = putHead(head, SNE_LENGTH, source, destination, buf, start, end)
  const macAt = at + OPT_AO_LEAST_LENGTH
  // Without the other options this one stands alone (RFC 5925 section 3.1).
  const from = master.coversOptions ? start + TCP_HEADER : at
  const to = master.coversOptions ? dataAt : macAt + MAC_LENGTH
  for (let i = from; i < to; i++) head[o++] = i >= macAt && i < macAt + MAC_LENGTH ? 0 : buf[i]
  return master.algorithm!.mac(trafficKey, head.subarray(0, o), buf.subarray(dataAt, end))
}
