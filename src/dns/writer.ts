/** Writes a message; names are compressed where that is allowed (RFC 1035 section 4.1.4, RFC 3597 section 4). */
import type { Address } from '../base/address.ts'
import { put16, put32 } from '../base/bytes.ts'
import { NetError } from '../base/errors.ts'
import { joinLabels, labelsOf } from './names.ts'

/** The length of a message over TCP is 16 bits. */
export const MAX_MESSAGE = 65535
/** Pointers have 14 bits. */
const MAX_POINTER = 0x3fff

export class Writer {
  buf = new Uint8Array(512)
  at = 0
  /** What would go beyond is EMSGSIZE. */
  limit = MAX_MESSAGE
  /** Where names were written: what can be pointed at. In the same case alone, for case is kept (RFC 4343 section 4.1). */
  private readonly names = new Map<string, number>()

  /** `compressAll`: names of later types as well, which multicast DNS alone allows (RFC 6762 section 18.14). */
  constructor(private readonly compressAll = false) {}

  u8(n: number): void {
    this.room(1)
    this.buf[this.at++] = n
  }

  u16(n: number): void {
    this.room(2)
    put16(this.buf, this.at, n)
    this.at += 2
  }

  u32(n: number): void {
    this.room(4)
    put32(this.buf, this.at, n | 0)
    this.at += 4
  }

  bytes(bytes: Uint8Array): void {
    this.room(bytes.length)
    this.buf.set(bytes, this.at)
    this.at += bytes.length
  }

  /** Throws NetError EBADSTR for more than 255 bytes. */
  string(bytes: Uint8Array): void {
    if (bytes.length > 255) throw new NetError('EBADSTR', { message: 'a string of DNS has at most 255 bytes' })
    this.u8(bytes.length)
    this.bytes(bytes)
  }

  address(a: Address): void {
    this.room(16)
    a.write(this.buf, this.at)
    this.at += 16
  }

  /** Throws NetError EBADNAME for what is no name. */
  name(text: string, compress: boolean): void {
    const labels = labelsOf(text)
    if (labels === null) throw new NetError('EBADNAME', { message: `${text} is not a domain name` })
    for (let i = 0; i < labels.length; i++) {
      const key = joinLabels(labels.slice(i))
      const known = this.names.get(key)
      if (known !== undefined && (compress || this.compressAll)) {
        this.u16(0xc000 | known)
        return
      }
      if (known === undefined && this.at <= MAX_POINTER) this.names.set(key, this.at)
      this.u8(labels[i].length)
      this.bytes(labels[i])
    }
    this.u8(0)
  }

  /** Forgets what was written from `at` on. */
  rewind(at: number): void {
    this.at = at
    for (const [name, place] of this.names) if (place >= at) this.names.delete(name)
  }

  /** What was written. */
  done(): Uint8Array {
    return this.buf.slice(0, this.at)
  }

  private room(n: number): void {
    if (this.at + n > this.limit)
      throw new NetError('EMSGSIZE', { message: `the message of DNS has at most ${this.limit} bytes` })
    if (this.at + n <= this.buf.length) return
    const larger = new Uint8Array(Math.min(MAX_MESSAGE, Math.max(this.buf.length * 2, this.at + n)))
    larger.set(this.buf.subarray(0, this.at))
    this.buf = larger
  }
}
