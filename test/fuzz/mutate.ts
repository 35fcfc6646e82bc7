/**
 * Mutations. Blind ones (bits, bytes, lengths, splices) find what nobody thought of; those that know the fields go where blind ones
 * would need years: lengths, offsets, options, flags, and sequence numbers near those of a living connection.
 */
import { get16, get32, put16, put32 } from '../../src/base/bytes.ts'
import type { SeededRandom } from '../../src/base/random.ts'
import { frameMeta } from '../../src/netif/netif.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { Anatomy, Repair, repair } from './anatomy.ts'
import { aim6, type Dice, mutateHeader6, mutateIcmp6 } from './mutate6.ts'

/** The frame under the knife: `buf[start, end)`. */
export class Specimen {
  readonly buf = new Uint8Array(1 << 17)
  start = 64
  end = 64
  meta = 0

  load(bytes: Uint8Array, from: number, to: number, meta: number): void {
    this.end = this.start + (to - from)
    this.buf.set(bytes.subarray(from, to), this.start)
    this.meta = meta
  }
}

/** No frame is longer. */
const MOST = 65_535 + 18

const BYTES = [0, 1, 2, 4, 5, 6, 8, 15, 16, 17, 20, 32, 63, 64, 127, 128, 129, 131, 240, 254, 255]
const WORDS = [
  0, 1, 7, 8, 19, 20, 40, 60, 536, 576, 1448, 1460, 1480, 1500, 0x1fff, 0x2000, 0x3fff, 0x4000, 0x7fff, 0x8000, 0xffff,
]
const LONGS = [0, 1, -1, 0x7fffffff, -0x80000000, 0x10000, -0x10000, 0x40000000]
const PROTOCOLS = [1, 6, 17, 0, 2, 41, 58, 253, 255]
const ADDRESSES = [
  0x0a000001, 0x0a000002, 0x0a000000, 0x0a0000ff, 0x0a00004d, 0x7f000001, 0, -1, 0xe0000001, 0xc0000201, 0xf0000001, 0x0a000109,
]
const TYPES = [0x800, 0x806, 0x86dd, 0x8100, 0x88a8, 0, 46, 1500, 0x5ff, 0x600, 0xffff]
const TCP_OPTIONS = [
  [2, 4, 0, 0],
  [2, 4, 0, 1],
  [2, 4, 255, 255],
  [3, 3, 0],
  [3, 3, 14],
  [3, 3, 255],
  [4, 2],
  [5, 2],
  [5, 10, 0, 0, 0, 1, 0, 0, 0, 2],
  [5, 9, 0, 0, 0, 1, 0, 0, 0],
  [8, 10, 0, 0, 0, 0, 0, 0, 0, 0],
  [8, 10, 255, 255, 255, 255, 127, 255, 255, 255],
  [8, 3, 0],
  [19, 18],
  [34, 2],
  [30, 12],
  [253, 0],
  [2, 1],
  [1],
  [0],
]
const IP_OPTIONS = [
  [7, 3, 4],
  [7, 7, 4, 0, 0, 0, 0],
  [7, 39, 4],
  [68, 4, 5, 0],
  [68, 12, 5, 1],
  [68, 40, 5, 3],
  [68, 8, 9, 0xf0],
  [131, 3, 4],
  [131, 11, 4],
  [137, 7, 4],
  [148, 4, 0, 0],
  [130, 11],
  [7, 0],
  [7, 255],
  [1],
  [0],
]

export class Mutator implements Dice {
  private readonly anatomy = new Anatomy()
  /** Which repair the last frame got, for messages. */
  level = 0

  constructor(private readonly random: SeededRandom) {}

  below(n: number): number {
    return (this.random.int32() >>> 1) % n
  }

  edge(): number {
    return this.of(WORDS)
  }

  private of(list: readonly number[]): number {
    return list[this.below(list.length)]
  }

  /** One to four mutations, then checksums and meta as chance has it. `other`: material for a splice. */
  mutate(s: Specimen, other: Uint8Array, living: readonly Connection[]): void {
    const { random } = this
    if (living.length > 0 && this.below(100) < 70) this.aim(s, living[this.below(living.length)])
    for (let left = 1 + this.below(4); left > 0; left--) {
      if (this.below(100) < 35) this.blind(s, other)
      else this.knowing(s)
      if (s.end < s.start + 1) s.end = s.start + 1
      if (s.end > s.start + MOST) s.end = s.start + MOST
    }
    const dice = this.below(100)
    this.level = dice < 10 ? Repair.NOTHING : dice < 20 ? Repair.IP : dice < 50 ? Repair.ALL : Repair.LENGTHS_TOO
    if (this.below(100) < 12) {
      const size = this.below(3) === 0 ? this.below(0x10000) : this.of(WORDS)
      s.meta = this.below(8) === 0 ? random.int32() & 0x1fffff : frameMeta(this.below(4), this.below(5) << 2, size)
    } else if (this.below(100) < 80) s.meta = 0
    repair(s.buf, s.start, s.end, this.level, (s.meta & 3) === 2)
    // Most frames are for us: the filter for the others is soon known.
    if (this.below(100) < 95 && s.end - s.start >= 6 && (s.buf[s.start] & 1) === 0) {
      put16(s.buf, s.start, 0x0200)
      put32(s.buf, s.start + 2, 2)
    }
  }

  /** Makes a TCP segment one of a living connection, with numbers in, at, or just outside its windows. */
  private aim(s: Specimen, c: Connection): void {
    const { buf } = s
    const a = this.anatomy.look(buf, s.start, s.end)
    if (a.protocol !== 6 || a.transport < 0 || a.transport + 20 > s.end) {
      this.quoteAim(s, a, c)
      return
    }
    const t = a.transport
    if (a.ip6 >= 0) aim6(buf, a.ip6, c)
    else {
      put32(buf, a.ip + 12, c.remoteAddress.w3)
      put32(buf, a.ip + 16, c.localAddress.w3)
    }
    put16(buf, t, c.remotePort)
    put16(buf, t + 2, c.localPort)
    const { rcv, snd } = c
    const span = this.below(3)
    put32(buf, t + 4, this.near(span === 0 ? rcv.edge : rcv.nxt))
    put32(buf, t + 8, this.near(span === 1 ? snd.una : snd.nxt))
    if (this.below(3) > 0) buf[t + 13] |= 0x10
    if (this.below(3) > 0) buf[t + 13] &= ~6
    const header = (buf[t + 12] >> 4) << 2
    for (let o = t + 20; o + 10 <= t + header && o + 10 <= s.end; ) {
      const kind = buf[o]
      if (kind === 0) break
      if (kind === 1) {
        o++
        continue
      }
      const length = buf[o + 1]
      if (length < 2) break
      if (kind === 8 && length === 10 && this.below(10) > 0) {
        put32(buf, o + 2, (c.tsRecent + this.below(50)) | 0)
        put32(buf, o + 6, (c.tsNow() - this.below(1000)) | 0)
      } else if (kind === 5) {
        for (let b = o + 2; b + 8 <= o + length && b + 8 <= s.end; b += 8) {
          const from = this.within(snd.una, snd.nxt)
          put32(buf, b, from)
          put32(buf, b + 4, this.below(2) === 0 ? this.within(from, snd.nxt) : (from + 1 + this.below(3000)) | 0)
        }
      }
      o += length
    }
  }

  /** Makes what an ICMP error quotes a segment of a living connection. */
  private quoteAim(s: Specimen, a: Anatomy, c: Connection): void {
    if (a.ip < 0 || a.protocol !== 1 || a.transport < 0 || a.transport + 8 + 28 > s.end) return
    const type = s.buf[a.transport]
    if (type !== 3 && type !== 11 && type !== 12 && type !== 5) return
    const q = a.transport + 8
    put32(s.buf, q + 12, c.localAddress.w3)
    put32(s.buf, q + 16, c.remoteAddress.w3)
    s.buf[q] = 0x45
    s.buf[q + 9] = 6
    put16(s.buf, q + 2, this.of(WORDS))
    put16(s.buf, q + 20, c.localPort)
    put16(s.buf, q + 22, c.remotePort)
    put32(s.buf, q + 24, this.near(c.snd.una))
    if (type === 3 && this.below(2) === 0) put16(s.buf, a.transport + 6, this.of(WORDS))
  }

  private near(n: number): number {
    switch (this.below(8)) {
      case 0:
        return (n + 1) | 0
      case 1:
        return (n - 1) | 0
      case 2:
        return (n + this.below(3000)) | 0
      case 3:
        return (n - this.below(3000)) | 0
      case 4:
        return (n + this.below(0x20000)) | 0
      default:
        return n
    }
  }

  private within(from: number, to: number): number {
    const room = (to - from) | 0
    return room > 0 ? (from + this.below(room)) | 0 : from
  }

  private blind(s: Specimen, other: Uint8Array): void {
    const { buf, start } = s
    const length = s.end - start
    const at = start + this.below(Math.max(1, Math.min(length, this.below(2) === 0 ? 80 : length)))
    switch (this.below(9)) {
      case 0:
        buf[at] ^= 1 << this.below(8)
        break
      case 1:
        buf[at] = this.of(BYTES)
        break
      case 2:
        buf[at] = this.random.int32()
        break
      case 3:
        put16(buf, at, this.of(WORDS))
        break
      case 4:
        put32(buf, at, this.of(LONGS))
        break
      case 5: // truncated
        s.end = start + this.below(length + 1)
        break
      case 6: {
        // extended by noise
        const more = this.below(8) === 0 ? this.below(60_000) : this.below(100)
        for (let i = 0; i < more; i++) buf[s.end + i] = i * 31
        s.end += more
        break
      }
      case 7: {
        // spliced: the head of this one, the tail of another
        const from = this.below(other.length)
        const n = Math.min(other.length - from, MOST - (at - start))
        buf.set(other.subarray(from, from + n), at)
        s.end = at + n
        break
      }
      default: {
        // a piece taken out, or doubled
        const n = 1 + this.below(24)
        if (this.below(2) === 0) {
          if (at + n < s.end) {
            buf.copyWithin(at, at + n, s.end)
            s.end -= n
          }
        } else {
          buf.copyWithin(at + n, at, s.end)
          s.end += n
        }
      }
    }
  }

  private knowing(s: Specimen): void {
    const a = this.anatomy.look(s.buf, s.start, s.end)
    if (a.arp >= 0) this.arp(s.buf, a.arp)
    else if ((a.ip < 0 && a.ip6 < 0) || this.below(20) === 0) this.ethernet(s)
    else if (a.ip6 >= 0 && (a.transport < 0 || this.below(4) === 0)) mutateHeader6(s, a, this)
    else if (a.transport < 0 || this.below(4) === 0) this.ip(s, a)
    else if (a.protocol === 6 && a.transport + 20 <= s.end) this.tcp(s, a)
    else if (a.protocol === 17 && a.transport + 8 <= s.end) this.udp(s.buf, a.transport)
    else if (a.ip6 >= 0) {
      if (a.protocol === 58 && a.transport + 8 <= s.end) mutateIcmp6(s, a, this)
      else mutateHeader6(s, a, this)
    } else if (a.protocol === 1 && a.transport + 8 <= s.end) this.icmp(s, a)
    else this.ip(s, a)
  }

  private ethernet(s: Specimen): void {
    const { buf, start } = s
    switch (this.below(5)) {
      case 0:
        put16(buf, start + 12, this.of(TYPES))
        break
      case 1: // a tag
        buf.copyWithin(start + 16, start + 12, s.end)
        put16(buf, start + 12, 0x8100)
        put16(buf, start + 14, this.below(2) === 0 ? this.below(8) << 13 : this.of(WORDS))
        s.end += 4
        break
      case 2: // LLC and SNAP
        buf.copyWithin(start + 22, start + 14, s.end)
        put32(buf, start + 14, 0xaaaa0300)
        put16(buf, start + 18, 0)
        put16(buf, start + 20, get16(buf, start + 12))
        put16(buf, start + 12, Math.max(0, Math.min(1500, s.end + 8 - start - 14 + this.below(3) - 1)))
        s.end += 8
        break
      case 3:
        buf.fill(255, start, start + 6)
        break
      default:
        put32(buf, start + 8, this.of(LONGS))
    }
  }

  private arp(buf: Uint8Array, at: number): void {
    const fields = [0, 2, 4, 6]
    switch (this.below(6)) {
      case 0:
        put16(buf, at + fields[this.below(4)], this.of(WORDS))
        break
      case 1:
        buf[at + 7] = 1 + this.below(2)
        break
      case 2: // somebody of our network; seldom ourselves, for that ends all talk
        put32(buf, at + 14, this.below(60) === 0 ? 0x0a000002 : 0x0a000000 + this.below(0x200))
        if (get32(buf, at + 14) === 0x0a000002 && this.below(50) > 0) put32(buf, at + 14, 0x0a000003)
        break
      case 3:
        put32(buf, at + 24, this.below(2) === 0 ? 0x0a000002 : this.of(ADDRESSES))
        break
      case 4:
        put32(buf, at + 10, this.random.int32())
        break
      default:
        put32(buf, at + 14, this.of(ADDRESSES))
        if (get32(buf, at + 14) === 0x0a000002) put32(buf, at + 14, 0)
    }
  }

  private ip(s: Specimen, a: Anatomy): void {
    const { buf } = s
    const { ip } = a
    switch (this.below(10)) {
      case 0:
        buf[ip] = 0x40 | this.below(16)
        break
      case 1:
        put16(buf, ip + 2, this.below(2) === 0 ? this.of(WORDS) : s.end - ip + this.below(9) - 4)
        break
      case 2:
        put16(buf, ip + 4, this.below(6)) // few identifications, so that fragments meet
        break
      case 3:
        put16(buf, ip + 6, this.below(2) === 0 ? this.of(WORDS) : (this.below(2) << 13) | this.below(12))
        break
      case 4: {
        // a fragment of few: same identification, neighbouring places
        put16(buf, ip + 4, this.below(4))
        put16(buf, ip + 6, (this.below(4) > 0 ? 0x2000 : 0) | (this.below(6) * 3))
        s.end = Math.min(s.end, ip + 20 + 24 + (this.below(8) === 0 ? this.below(16) : 0))
        break
      }
      case 5:
        buf[ip + 8] = this.of(BYTES)
        break
      case 6:
        buf[ip + 9] = this.of(PROTOCOLS)
        break
      case 7:
        put32(buf, ip + 12, this.below(2) === 0 ? 0x0a000000 + this.below(256) : this.of(ADDRESSES))
        break
      case 8:
        put32(buf, ip + 16, this.of(ADDRESSES))
        break
      default:
        this.insertOption(s, ip + 20, IP_OPTIONS[this.below(IP_OPTIONS.length)], ip, 60)
    }
  }

  /** Puts an option in, padded, and makes the header longer where there is room for it. */
  private insertOption(s: Specimen, at: number, option: readonly number[], header: number, most: number): void {
    const { buf } = s
    const isIp = most === 60 && (buf[header] & 0xf0) === 0x40 && at === header + 20
    const words = isIp ? buf[header] & 15 : buf[header + 12] >> 4
    const room = this.below(4) === 0 ? (1 + this.below(10)) * 4 : (option.length + 3) & ~3
    if (words * 4 + room > most) return
    buf.copyWithin(at + room, at, s.end)
    s.end += room
    for (let i = 0; i < room; i++) buf[at + i] = i < option.length ? option[i] : this.below(4) === 0 ? this.of(BYTES) : 1
    const next = words + (room >> 2)
    if (isIp) {
      buf[header] = (buf[header] & 0xf0) | next
      put16(buf, header + 2, get16(buf, header + 2) + room)
    } else buf[header + 12] = (buf[header + 12] & 15) | (next << 4)
  }

  private tcp(s: Specimen, a: Anatomy): void {
    const { buf } = s
    const t = a.transport
    switch (this.below(12)) {
      case 0:
        put16(buf, t + 2 * this.below(2), this.of([0, 7, 9, 19, 80, 81, 65535]))
        break
      case 1:
        put32(buf, t + 4, (get32(buf, t + 4) + this.of([-1, 1, 100, -100, 65535, 0x40000000, -0x80000000])) | 0)
        break
      case 2:
        put32(buf, t + 8, (get32(buf, t + 8) + this.of([-1, 1, 100, -100, 65535, 0x40000000, -0x80000000])) | 0)
        break
      case 3:
        buf[t + 12] = this.below(256)
        break
      case 4:
        buf[t + 13] ^= 1 << this.below(8)
        break
      case 5:
        buf[t + 13] = this.below(4) === 0 ? this.below(256) : this.of([0x10, 0x18, 0x11, 0x12, 0x02, 0x04, 0x14, 0x30, 0x38])
        break
      case 6:
        put16(buf, t + 14, this.of([0, 0, 1, 10, 100, 536, 1460, 32768, 65535]))
        break
      case 7:
        put16(buf, t + 18, this.of(WORDS))
        buf[t + 13] |= 0x20
        break
      case 8:
      case 9: {
        const option = TCP_OPTIONS[this.below(TCP_OPTIONS.length)]
        this.insertOption(s, t + 20, option, t, 61) // 61: not the IP header
        break
      }
      case 10: // payload cut to a byte or two
        s.end = Math.min(s.end, t + ((buf[t + 12] >> 4) << 2) + this.below(3))
        break
      default: {
        // payload grown, sometimes to a super-segment
        const more = this.below(10) === 0 ? this.below(50_000) : this.below(1460)
        for (let i = 0; i < more; i++) buf[s.end + i] = i
        s.end = Math.min(s.end + more, s.start + MOST)
      }
    }
  }

  private udp(buf: Uint8Array, t: number): void {
    switch (this.below(4)) {
      case 0:
        put16(buf, t + 2 * this.below(2), this.of([0, 7, 9, 19, 53, 81, 40000, 65535]))
        break
      case 1:
        put16(buf, t + 4, this.of(WORDS))
        break
      case 2:
        put16(buf, t + 6, 0)
        break
      default:
        put16(buf, t + 4, get16(buf, t + 4) + this.below(5) - 2)
    }
  }

  private icmp(s: Specimen, a: Anatomy): void {
    const { buf } = s
    const t = a.transport
    const q = t + 8
    switch (this.below(8)) {
      case 0:
        buf[t] = this.of([0, 3, 4, 5, 8, 11, 12, 13, 14, 15, 17, 30, 255])
        break
      case 1:
        buf[t + 1] = this.below(18)
        break
      case 2:
        put16(buf, t + 6, this.of(WORDS))
        break
      case 3:
        put32(buf, t + 4, this.of(ADDRESSES))
        break
      case 4:
        if (q + 20 <= s.end) buf[q] = 0x40 | this.below(16)
        break
      case 5:
        if (q + 20 <= s.end) buf[q + 9] = this.of(PROTOCOLS)
        break
      case 6:
        if (q + 20 <= s.end) put32(buf, q + 12 + 4 * this.below(2), this.of(ADDRESSES))
        break
      default:
        s.end = Math.min(s.end, q + this.below(60))
    }
  }
}
