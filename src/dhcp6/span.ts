/** Rows of addresses, or of prefixes of one length, each with its number: what a server gives of. 128 bits of arithmetic, for cold paths only. */
import { Address, Prefix } from '../base/address.ts'

export function numberOf({ w0, w1, w2, w3 }: Address): bigint {
  const high = (BigInt(w0 >>> 0) << 32n) | BigInt(w1 >>> 0)
  return (high << 64n) | (BigInt(w2 >>> 0) << 32n) | BigInt(w3 >>> 0)
}

export function addressAt(n: bigint): Address {
  const word = (shift: bigint): number => Number((n >> shift) & 0xffff_ffffn) | 0
  return new Address(word(96n), word(64n), word(32n), word(0n))
}

export class Span {
  constructor(
    private readonly first: bigint,
    readonly count: bigint,
    /** Of what it consists of: 128 for addresses. */
    readonly length: number,
  ) {}

  /** Those from one address to another. Of no count when `last` is before `first`. */
  static addresses(first: Address, last: Address): Span {
    const from = numberOf(first)
    const to = numberOf(last)
    return new Span(from, to < from ? 0n : to - from + 1n, 128)
  }

  /** The prefixes of that length inside of another one. */
  static prefixes(whole: Prefix, length: number): Span {
    return new Span(numberOf(whole.network.address), 1n << BigInt(length - whole.length), length)
  }

  at(index: bigint): Prefix {
    return new Prefix(addressAt(this.first + (index << BigInt(128 - this.length))), this.length)
  }

  has({ address, length }: Prefix): boolean {
    if (length !== this.length) return false
    const shift = BigInt(128 - length)
    const offset = numberOf(address) - this.first
    return offset >= 0n && offset >> shift < this.count && offset === (offset >> shift) << shift
  }
}
