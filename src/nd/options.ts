/**
 * The options of one Neighbor Discovery message, found in one bounded walk; one record is reused for all messages. An option of
 * length 0 makes the whole message void (RFC 4861 section 4.6); one that is shorter than its type needs is as good as not there;
 * unknown ones are skipped. Of options that stand once the first counts, of those that may stand often the first sixteen.
 */
import { get16, get32 } from '../base/bytes.ts'
import {
  ND_DNS_LENGTH,
  ND_LINK_ADDRESS,
  ND_LINK_ADDRESS_LENGTH,
  ND_MTU,
  ND_MTU_LENGTH,
  ND_OPTION,
  ND_PREFIX_LENGTH,
  ND_REDIRECTED_LENGTH,
  ND_ROUTE_LENGTH,
  OPTION_DNSSL,
  OPTION_MTU,
  OPTION_NONCE,
  OPTION_PREFIX,
  OPTION_RDNSS,
  OPTION_REDIRECTED,
  OPTION_ROUTE,
  OPTION_SOURCE_LINK,
  OPTION_TARGET_LINK,
} from './wire.ts'

/** Where options of one type stand in the message's buffer. */
export class OptionPlaces {
  static readonly MAX = 16
  readonly at = new Int32Array(OptionPlaces.MAX)
  count = 0

  add(at: number): void {
    if (this.count < OptionPlaces.MAX) this.at[this.count++] = at
  }
}

export class NdOptions {
  hasSource = false
  sourceHigh = 0
  sourceLow = 0
  hasTarget = false
  targetHigh = 0
  targetLow = 0
  /** A link-layer address that no station can have: a group's, or zero. */
  badLinkAddress = false
  /** 0: none. */
  mtu = 0
  hasNonce = false
  nonceHigh = 0
  nonceLow = 0
  /** The packet in a redirect's quote, `[redirectedAt, redirectedEnd)`; -1: none. */
  redirectedAt = -1
  redirectedEnd = -1
  readonly prefixes = new OptionPlaces()
  readonly routes = new OptionPlaces()
  readonly rdnss = new OptionPlaces()
  readonly dnssl = new OptionPlaces()

  /** Reads `buf[at, end)`. False: the message is void. */
  read(buf: Uint8Array, at: number, end: number): boolean {
    this.reset()
    let i = at
    while (i < end) {
      if (end - i < 8) return false
      const length = buf[i + ND_OPTION.length] << 3
      if (length === 0 || length > end - i) return false
      this.take(buf, i, length)
      i += length
    }
    return true
  }

  private reset(): void {
    this.hasSource = false
    this.hasTarget = false
    this.badLinkAddress = false
    this.mtu = 0
    this.hasNonce = false
    this.redirectedAt = -1
    this.redirectedEnd = -1
    this.prefixes.count = 0
    this.routes.count = 0
    this.rdnss.count = 0
    this.dnssl.count = 0
  }

  private take(buf: Uint8Array, at: number, length: number): void {
    switch (buf[at + ND_OPTION.type]) {
      case OPTION_SOURCE_LINK:
        if (length === ND_LINK_ADDRESS_LENGTH && !this.hasSource) {
          this.hasSource = true
          this.sourceHigh = get16(buf, at + ND_LINK_ADDRESS.address)
          this.sourceLow = get32(buf, at + ND_LINK_ADDRESS.address + 2)
          this.judge(this.sourceHigh, this.sourceLow)
        }
        break
      case OPTION_TARGET_LINK:
        if (length === ND_LINK_ADDRESS_LENGTH && !this.hasTarget) {
          this.hasTarget = true
          this.targetHigh = get16(buf, at + ND_LINK_ADDRESS.address)
          this.targetLow = get32(buf, at + ND_LINK_ADDRESS.address + 2)
          this.judge(this.targetHigh, this.targetLow)
        }
        break
      case OPTION_PREFIX:
        if (length === ND_PREFIX_LENGTH) this.prefixes.add(at)
        break
      case OPTION_REDIRECTED:
        if (this.redirectedAt < 0) {
          this.redirectedAt = at + ND_REDIRECTED_LENGTH
          this.redirectedEnd = at + length
        }
        break
      case OPTION_MTU:
        if (length === ND_MTU_LENGTH && this.mtu === 0) this.mtu = get32(buf, at + ND_MTU.mtu) & 0x7fffffff
        break
      case OPTION_NONCE:
        // Ours have six bytes; a longer one is another host's, whatever it is.
        if (!this.hasNonce) {
          this.hasNonce = length === ND_LINK_ADDRESS_LENGTH
          this.nonceHigh = get16(buf, at + ND_LINK_ADDRESS.address)
          this.nonceLow = get32(buf, at + ND_LINK_ADDRESS.address + 2)
        }
        break
      case OPTION_ROUTE:
        if (length >= ND_ROUTE_LENGTH && length <= ND_ROUTE_LENGTH + 16) this.routes.add(at)
        break
      case OPTION_RDNSS:
        if (length >= ND_DNS_LENGTH + 16) this.rdnss.add(at)
        break
      case OPTION_DNSSL:
        if (length > ND_DNS_LENGTH) this.dnssl.add(at)
        break
    }
  }

  private judge(high: number, low: number): void {
    if ((high & 0x100) !== 0 || (high === 0 && low === 0)) this.badLinkAddress = true
  }
}
