/**
 * The last 64 bits of an address that a host makes for itself: of the link address (RFC 2464 section 4), or opaque and stable for one
 * network (RFC 7217), which tells nobody what card it is and where else it has been seen.
 */
import { Address } from '../base/address.ts'
import type { Random } from '../base/random.ts'
import { SipHash } from '../base/siphash.ts'

/** RFC 7217 section 5: how often another one is tried when one is taken (IDGEN_RETRIES). */
export const IDGEN_RETRIES = 3

/** Puts the modified EUI-64 of a MAC address behind a prefix of 64 bits: ff:fe in the middle, the universal bit turned round. */
export function eui64(network: Address, mac: Uint8Array): Address {
  const w2 = ((mac[0] ^ 2) << 24) | (mac[1] << 16) | (mac[2] << 8) | 0xff
  const w3 = 0xfe000000 | (mac[3] << 16) | (mac[4] << 8) | mac[5]
  return new Address(network.w0, network.w1, w2, w3)
}

/** Stable identifiers of one stack. */
export class StableIds {
  private readonly hash: SipHash

  /** @param secret the same text makes the same addresses in every process; without one they are of this stack only */
  constructor(secret: string, random: Random) {
    if (secret === '') this.hash = new SipHash(random)
    else {
      const key = new Int32Array(4)
      const fold = new SipHash(Int32Array.of(0x74617073, 0x7461636b, 0x37323137, 0))
      for (let i = 0; i < 4; i++) {
        words(fold.begin().word(i), secret)
        key[i] = fold.end()
      }
      this.hash = new SipHash(key)
    }
  }

  /**
   * The address of `network` (64 bits) for an interface: F(prefix, interface, DAD counter, secret). `name` names the interface as its
   * owner knows it; `attempt` counts addresses that were another host's. Reserved identifiers (RFC 5453) are passed over.
   */
  address(network: Address, name: string, attempt: number): Address {
    for (let round = attempt; ; round += IDGEN_RETRIES + 1) {
      words(this.hash.begin().word(network.w0).word(network.w1).word(round), name)
      const low = this.hash.end()
      const a = new Address(network.w0, network.w1, this.hash.high, low)
      if (!isReserved(a)) return a
    }
  }
}

/** RFC 5453: the subnet-router anycast address, IANA's block of 5EFF and the last 128, which are anycast (RFC 2526). */
export function isReserved(a: Address): boolean {
  if (a.w2 === 0 && a.w3 === 0) return true
  if (a.w2 === 0x02005eff && a.w3 >>> 24 === 0xfe) return true
  return a.w2 === (0xfdffffff | 0) && a.w3 >>> 7 === 0x1ffffff
}

function words(hash: SipHash, text: string): void {
  hash.word(text.length)
  for (let i = 0; i < text.length; i++) hash.word(text.charCodeAt(i))
}
