/** Names under which addresses are looked up: `1.0.0.10.in-addr.arpa` (RFC 1035 section 3.5), nibbles below `ip6.arpa` (RFC 3596 section 2.5). */
import { Address, parseIPv4 } from '../base/address.ts'

export function reverseName(a: Address): string {
  if (a.isV4) {
    const w = a.w3
    return `${w & 255}.${(w >>> 8) & 255}.${(w >>> 16) & 255}.${w >>> 24}.in-addr.arpa`
  }
  const digits = [a.w0, a.w1, a.w2, a.w3].map((w) => (w >>> 0).toString(16).padStart(8, '0')).join('')
  return `${[...digits].reverse().join('.')}.ip6.arpa`
}

/** The address whose name (in lower case) this is; null: that of none, or of a network. */
export function addressOfReverse(name: string): Address | null {
  if (name.endsWith('.in-addr.arpa')) {
    const word = parseIPv4(name.slice(0, -13).split('.').reverse().join('.'))
    return word === null ? null : Address.v4(word)
  }
  if (!/^(?:[0-9a-f]\.){32}ip6\.arpa$/.test(name)) return null
  const digits = name.slice(0, 64).split('.').reverse().join('')
  const word = (at: number): number => Number.parseInt(digits.slice(at, at + 8), 16) | 0
  return new Address(word(0), word(8), word(16), word(24))
}
