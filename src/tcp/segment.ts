/** The incoming segment: one reused record per stack, filled by `parse`, read by whoever receives it. */
import { get16, get32 } from '../base/bytes.ts'
import type { Packet } from '../ip/packet.ts'
import { gsoSize } from '../netif/netif.ts'
import type { Signature } from './signature.ts'
import {
  ACCECN_COUNTER,
  AE,
  ALIGNED_TIMESTAMPS,
  COOKIE_MAX,
  COOKIE_MIN,
  FIN,
  OPT_ACCECN0,
  OPT_ACCECN1,
  OPT_AO,
  OPT_AO_LEAST_LENGTH,
  OPT_END,
  OPT_EXPERIMENTAL,
  OPT_EXPERIMENTAL_FAST_OPEN_LENGTH,
  OPT_FAST_OPEN,
  OPT_FAST_OPEN_LENGTH,
  OPT_FAST_OPEN_MAGIC,
  OPT_MD5,
  OPT_MD5_LENGTH,
  OPT_MSS,
  OPT_MSS_LENGTH,
  OPT_NOP,
  OPT_SACK,
  OPT_SACK_PERMITTED,
  OPT_SACK_PERMITTED_LENGTH,
  OPT_TIMESTAMPS,
  OPT_TIMESTAMPS_LENGTH,
  OPT_WINDOW_SCALE,
  OPT_WINDOW_SCALE_LENGTH,
  SYN,
  TCP,
  TCP_HEADER,
} from './wire.ts'

export class Segment {
  /** The packet that carried it. */
  packet: Packet
  buf: Uint8Array
  sourcePort = 0
  destinationPort = 0
  seq = 0
  ack = 0
  /** Nine bits: AE is the highest. */
  flags = 0
  /** As on the wire, not scaled. */
  wnd = 0
  urgent = 0
  /** Payload: offset in `buf` and length. */
  off = 0
  len = 0
  /** Wire segments that it stands for: more than 1 for a super-segment. */
  count = 1

  /** Options. */
  hasTimestamps = false
  tsVal = 0
  tsEcr = 0
  /** 0: no MSS option. */
  mss = 0
  /** -1: no window scale option. */
  windowScale = -1
  sackPermitted = false
  /** Fast Open's option (RFC 7413): length of the cookie, 0 = one is asked for, -1 = no such option; where in `buf`; in the old form. */
  cookieLength = -1
  cookieAt = 0
  cookieExperimental = false
  /** Signature (RFC 2385, RFC 5925): where its option is in `buf`; 0: none, -1: of an impossible length, or more than one. */
  signatureAt = 0
  /** What it was verified with, and what an answer is signed with. */
  keys: Signature | null = null
  /** SACK blocks: pairs (left, right) in `sacks`. */
  sackCount = 0
  readonly sacks = new Int32Array(8)
  /** AccECN option: 0, or its kind, and how many counters it has; those in the order of the wire. */
  accEcnKind = 0
  accEcnCount = 0
  readonly accEcn = new Int32Array(3)

  constructor(packet: Packet) {
    this.packet = packet
    this.buf = packet.buf
  }

  /** Sequence space it occupies: payload, SYN and FIN. */
  get span(): number {
    return this.len + ((this.flags & SYN) !== 0 ? 1 : 0) + ((this.flags & FIN) !== 0 ? 1 : 0)
  }

  /** Reads header and options; false when the lengths do not fit. The checksum is the caller's. */
  parse(packet: Packet): boolean {
    const buf = packet.buf
    const start = packet.off
    const size = packet.end - start
    if (size < TCP_HEADER) return false
    const header = (buf[start + TCP.dataOffset] >> 4) << 2
    if (header < TCP_HEADER || header > size) return false
    this.packet = packet
    this.buf = buf
    this.sourcePort = get16(buf, start)
    this.destinationPort = get16(buf, start + TCP.destinationPort)
    this.seq = get32(buf, start + TCP.sequence)
    this.ack = get32(buf, start + TCP.acknowledgment)
    this.flags = buf[start + TCP.flags] | ((buf[start + TCP.dataOffset] << 8) & AE)
    this.wnd = get16(buf, start + TCP.window)
    this.urgent = get16(buf, start + TCP.urgent)
    this.off = start + header
    this.len = size - header
    const mss = gsoSize(packet.meta)
    this.count = mss !== 0 && this.len > mss ? Math.ceil(this.len / mss) : 1
    this.mss = 0
    this.windowScale = -1
    this.sackPermitted = false
    this.cookieLength = -1
    this.signatureAt = 0
    this.sackCount = 0
    this.accEcnKind = 0
    if (header === TCP_HEADER) {
      this.hasTimestamps = false
    } else if (header === TCP_HEADER + 12 && get32(buf, start + TCP_HEADER) === ALIGNED_TIMESTAMPS) {
      this.hasTimestamps = true
      this.tsVal = get32(buf, start + TCP_HEADER + 4)
      this.tsEcr = get32(buf, start + TCP_HEADER + 8)
    } else {
      this.options(start + TCP_HEADER, start + header)
    }
    return true
  }

  /** Options at any alignment (MUST-64); unknown ones skipped by length (MUST-6); an impossible length ends the list (MUST-7). */
  private options(from: number, to: number): void {
    const buf = this.buf
    this.hasTimestamps = false
    let i = from
    while (i < to) {
      const kind = buf[i]
      if (kind === OPT_END) return
      if (kind === OPT_NOP) {
        i++
        continue
      }
      if (i + 1 >= to) return
      const length = buf[i + 1]
      if (length < 2 || i + length > to) return
      switch (kind) {
        case OPT_MSS:
          if (length === OPT_MSS_LENGTH) this.mss = get16(buf, i + 2)
          break
        case OPT_WINDOW_SCALE:
          if (length === OPT_WINDOW_SCALE_LENGTH) this.windowScale = buf[i + 2]
          break
        case OPT_SACK_PERMITTED:
          if (length === OPT_SACK_PERMITTED_LENGTH) this.sackPermitted = true
          break
        case OPT_SACK:
          if ((length - 2) % 8 === 0) this.sackBlocks(i + 2, (length - 2) >> 3)
          break
        case OPT_ACCECN0:
        case OPT_ACCECN1:
          this.accEcnCounters(kind, i + 2, length - 2)
          break
        case OPT_TIMESTAMPS:
          if (length === OPT_TIMESTAMPS_LENGTH) {
            this.hasTimestamps = true
            this.tsVal = get32(buf, i + 2)
            this.tsEcr = get32(buf, i + 6)
          }
          break
        case OPT_MD5:
          this.signatureAt = this.signatureAt === 0 && length === OPT_MD5_LENGTH ? i : -1
          break
        case OPT_AO:
          this.signatureAt = this.signatureAt === 0 && length >= OPT_AO_LEAST_LENGTH ? i : -1
          break
        case OPT_FAST_OPEN:
          this.fastOpen(i + OPT_FAST_OPEN_LENGTH, length - OPT_FAST_OPEN_LENGTH, false)
          break
        case OPT_EXPERIMENTAL:
          if (length >= OPT_EXPERIMENTAL_FAST_OPEN_LENGTH && get16(buf, i + 2) === OPT_FAST_OPEN_MAGIC)
            this.fastOpen(i + OPT_EXPERIMENTAL_FAST_OPEN_LENGTH, length - OPT_EXPERIMENTAL_FAST_OPEN_LENGTH, true)
          break
      }
      i += length
    }
  }

  /** RFC 7413 section 4.1.1: an even number of bytes from 4 to 16, or none; anything else counts as no option. */
  private fastOpen(at: number, length: number, experimental: boolean): void {
    const good = length === 0 || (length >= COOKIE_MIN && length <= COOKIE_MAX && (length & 1) === 0)
    this.cookieLength = good ? length : -1
    this.cookieAt = at
    this.cookieExperimental = experimental
  }

  private sackBlocks(off: number, count: number): void {
    const n = Math.min(count, 4)
    for (let i = 0; i < 2 * n; i++) this.sacks[i] = get32(this.buf, off + 4 * i)
    this.sackCount = n
  }

  /** As many whole counters as there are (RFC 9768 section 3.2.3: a length of 2, 5, 8 or 11; of others what is whole counts). */
  private accEcnCounters(kind: number, off: number, bytes: number): void {
    const n = Math.min((bytes / ACCECN_COUNTER) | 0, 3)
    for (let i = 0; i < n; i++) {
      const at = off + ACCECN_COUNTER * i
      this.accEcn[i] = (this.buf[at] << 16) | (this.buf[at + 1] << 8) | this.buf[at + 2]
    }
    this.accEcnKind = kind
    this.accEcnCount = n
  }
}
