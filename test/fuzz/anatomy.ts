/** Where things are in a frame, found as far as the bytes allow, and checksums made right again after a mutation. */
import { get16, get32, put16 } from '../../src/base/bytes.ts'
import { checksum, fold, sumBytes } from '../../src/base/checksum.ts'

/** Offsets in the buffer; -1 where there is no such thing. One reused record. */
export class Anatomy {
  /** IPv4 header. */
  ip = -1
  /** IPv6 header. */
  ip6 = -1
  /** ARP packet. */
  arp = -1
  /** Transport header; -1 in fragments after the first. */
  transport = -1
  protocol = -1
  /** One past the IP packet, as its own length says, within the frame. */
  end = 0

  /** Looks at `buf[start, end)`: an Ethernet frame. */
  look(buf: Uint8Array, start: number, end: number): this {
    this.ip = -1
    this.ip6 = -1
    this.arp = -1
    this.transport = -1
    this.protocol = -1
    this.end = end
    let at = start + 14
    if (at > end) return this
    let type = get16(buf, at - 2)
    if (type === 0x8100 && at + 4 <= end) {
      at += 4
      type = get16(buf, at - 2)
    } else if (type < 0x600 && at + 8 <= end && get32(buf, at) === (0xaaaa0300 | 0)) {
      at += 8
      type = get16(buf, at - 2)
    }
    if (type === 0x806 && at + 28 <= end) this.arp = at
    if (type === 0x86dd && at + 40 <= end) return this.look6(buf, at, end)
    if (type !== 0x800 || at + 20 > end) return this
    this.ip = at
    this.protocol = buf[at + 9]
    const total = get16(buf, at + 2)
    if (total >= 20 && at + total < end) this.end = at + total
    const header = Math.max(20, (buf[at] & 15) << 2)
    if ((get16(buf, at + 6) & 0x1fff) === 0 && at + header <= this.end) this.transport = at + header
    return this
  }

  private look6(buf: Uint8Array, ip6: number, end: number): this {
    this.ip6 = ip6
    const total = 40 + get16(buf, ip6 + 4)
    if (ip6 + total < end) this.end = ip6 + total
    let next = buf[ip6 + 6]
    let at = ip6 + 40
    for (let i = 0; i < 10 && at + 8 <= this.end; i++) {
      if (next !== 0 && next !== 43 && next !== 44 && next !== 60) break
      // Only a fragment that is all there is has its transport here.
      if (next === 44 && (get16(buf, at + 2) & 0xfff9) !== 0) return this
      const length = next === 44 ? 8 : 8 + 8 * buf[at + 1]
      next = buf[at]
      at += length
    }
    this.protocol = next
    if (at <= this.end) this.transport = at
    return this
  }
}

const anatomy = new Anatomy()

export const Repair = { NOTHING: 0, IP: 1, ALL: 2, LENGTHS_TOO: 3 } as const

/**
 * Makes checksums right again, and with LENGTHS_TOO the lengths before: a packet whose checksum is wrong goes no deeper than the code
 * that says so. `partial`: the transport field gets the pseudo-header's sum only, as a frame that never crossed a wire has it.
 */
export function repair(buf: Uint8Array, start: number, end: number, level: number, partial = false): void {
  if (level === Repair.NOTHING) return
  const a = anatomy.look(buf, start, end)
  const { ip } = a
  if (a.ip6 >= 0) repair6(buf, start, end, level, partial)
  if (ip < 0) return
  if (level === Repair.LENGTHS_TOO) {
    put16(buf, ip + 2, Math.min(end - ip, 0xffff))
    a.look(buf, start, end)
    if (a.protocol === 17 && a.transport >= 0 && a.transport + 8 <= a.end) put16(buf, a.transport + 4, a.end - a.transport)
  }
  const header = (buf[ip] & 15) << 2
  if (header >= 20 && ip + header <= end) {
    put16(buf, ip + 10, 0)
    put16(buf, ip + 10, checksum(buf, ip, header))
  }
  if (level === Repair.IP || a.transport < 0) return
  // A first fragment's transport checksum covers what is not here.
  if ((get16(buf, ip + 6) & 0x2000) !== 0) return
  const at = a.transport
  const length = a.end - at
  const pseudo = fold(sumBytes(buf, ip + 12, 8, 0) + a.protocol + length)
  if (a.protocol === 6 && length >= 20) seal(buf, at, length, 16, pseudo, partial)
  else if (a.protocol === 17 && length >= 8) seal(buf, at, length, 6, pseudo, partial)
  else if (a.protocol === 1 && length >= 4) seal(buf, at, length, 2, 0, false)
}

function repair6(buf: Uint8Array, start: number, end: number, level: number, partial: boolean): void {
  const a = anatomy
  const { ip6 } = a
  if (level === Repair.IP) return
  if (level === Repair.LENGTHS_TOO) {
    put16(buf, ip6 + 4, Math.min(end - ip6 - 40, 0xffff))
    a.look(buf, start, end)
    if (a.protocol === 17 && a.transport >= 0 && a.transport + 8 <= a.end) put16(buf, a.transport + 4, a.end - a.transport)
  }
  if (a.transport < 0) return
  const at = a.transport
  const length = a.end - at
  const pseudo = fold(sumBytes(buf, ip6 + 8, 32, 0) + a.protocol + length)
  if (a.protocol === 6 && length >= 20) seal(buf, at, length, 16, pseudo, partial)
  else if (a.protocol === 17 && length >= 8) seal(buf, at, length, 6, pseudo, partial)
  else if (a.protocol === 58 && length >= 4) seal(buf, at, length, 2, pseudo, false)
}

function seal(buf: Uint8Array, at: number, length: number, field: number, pseudo: number, partial: boolean): void {
  put16(buf, at + field, 0)
  put16(buf, at + field, partial ? pseudo : checksum(buf, at, length, pseudo) || 0xffff)
}
