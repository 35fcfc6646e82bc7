/**
 * Reads a message step by step. Nothing throws: the first step that cannot be done says why in `bad`, and all that follow give nothing.
 *
 * A compression pointer may only point backwards, before the part of the name that it ends (RFC 1035 section 4.1.4: "a prior occurance"), so no name
 * can be a circle; and there are at most so many pointers as a name can have labels, so that no message costs more than its length times a
 * small number.
 */
import { get16, get32 } from '../base/bytes.ts'
import { labelText, MAX_LABEL, MAX_NAME } from './names.ts'

/** Why a message cannot be read. */
export type BadReason = 'short' | 'pointer' | 'label' | 'nameLength' | 'rdata' | 'opt' | 'counts'

const MAX_POINTERS = 127
const HEADER = 12

export class Reader {
  at: number
  bad: BadReason | '' = ''

  /** `start`: where the message begins, which pointers count from. */
  constructor(
    readonly buf: Uint8Array,
    readonly start: number,
    public end: number,
  ) {
    this.at = start
  }

  get left(): number {
    return this.end - this.at
  }

  fail(reason: BadReason): void {
    if (this.bad === '') this.bad = reason
    this.at = this.end
  }

  /** A part ends that says itself how long it is: what is missing in it is its own fault. */
  sealed(): void {
    if (this.bad === 'short') this.bad = 'rdata'
  }

  u8(): number {
    return this.take(1) ? this.buf[this.at - 1] : 0
  }

  u16(): number {
    return this.take(2) ? get16(this.buf, this.at - 2) : 0
  }

  u32(): number {
    return this.take(4) ? get32(this.buf, this.at - 4) >>> 0 : 0
  }

  /** A copy of the next `n` bytes. */
  bytes(n: number): Uint8Array {
    return this.take(n) ? this.buf.slice(this.at - n, this.at) : new Uint8Array(0)
  }

  /** A <character-string>: a length and so many bytes (RFC 1035 section 3.3). */
  string(): Uint8Array {
    return this.bytes(this.u8())
  }

  name(): string {
    const { buf, end } = this
    let at = this.at
    let text = ''
    let length = 1
    let pointers = 0
    /** Pointers must go before this. */
    let before = at
    for (;;) {
      if (at >= end) return this.badName('short')
      const n = buf[at]
      if (n === 0) break
      if (n >= 0xc0) {
        if (at + 2 > end) return this.badName('short')
        const target = this.start + (((n & 0x3f) << 8) | buf[at + 1])
        if (target >= before || target < this.start + HEADER || ++pointers > MAX_POINTERS) return this.badName('pointer')
        if (pointers === 1) this.at = at + 2
        at = before = target
        continue
      }
      if (n > MAX_LABEL) return this.badName('label') // RFC 6891 section 5: those types are gone
      if (at + 1 + n > end) return this.badName('short')
      length += n + 1
      if (length > MAX_NAME) return this.badName('nameLength')
      text += text === '' ? labelText(buf, at + 1, n) : `.${labelText(buf, at + 1, n)}`
      at += n + 1
    }
    if (pointers === 0) this.at = at + 1
    return text
  }

  private badName(reason: BadReason): string {
    this.fail(reason)
    return ''
  }

  private take(n: number): boolean {
    if (this.bad !== '') return false
    if (n > this.end - this.at) {
      this.fail('short')
      return false
    }
    this.at += n
    return true
  }
}
