/**
 * What a filter expression asks a frame: its addresses, kinds and ports, wherever tags and extension headers have put them. Nothing is believed: what is not within the
 * frame is not there.
 */
import { ARP, ARP_LENGTH } from '../arp/wire.ts'
import { get16, get32 } from '../base/bytes.ts'
import {
  ETH,
  ETH_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_QINQ,
  ETHERTYPE_VLAN,
  VLAN_TAG,
} from '../ethernet/wire.ts'
import { PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import { IP4, IP4_HEADER, IP4_OFFSET_MASK } from '../ipv4/wire.ts'
import { HeaderChain } from '../ipv6/header-chain.ts'
import { IP6, IP6_HEADER } from '../ipv6/wire.ts'
import type { Medium } from '../netif/netif.ts'

export const NONE = -1

/** One frame at a time: `read` forgets the one before. */
export class FrameHeaders {
  buf: Uint8Array = new Uint8Array(0)
  start = 0
  /** Bytes of the frame on its link. */
  length = 0
  isEthernet = false
  /** Behind all tags; NONE where there is none. */
  etherType = NONE
  vlans: number[] = []
  /** 4, 6, or 0. */
  version = 0
  /** Where the two IP addresses are (ARP's, too), and how long one is; 0: there are none. */
  sourceAt = 0
  destinationAt = 0
  addressBytes = 0
  /** What IP carries; NONE where there is no IP. */
  protocol = NONE
  sourcePort = NONE
  destinationPort = NONE
  private readonly chain = new HeaderChain()

  read(buf: Uint8Array, start: number, end: number, medium: Medium, length = end - start): this {
    this.buf = buf
    this.start = start
    this.length = length
    this.isEthernet = medium === 'ethernet'
    this.etherType = this.protocol = this.sourcePort = this.destinationPort = NONE
    this.vlans = []
    this.version = this.addressBytes = 0
    if (!this.isEthernet) {
      if (end > start) this.network(start, end, buf[start] >> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4)
      return this
    }
    if (end - start < ETH_HEADER) return this
    let at = start + ETH_HEADER
    let type = get16(buf, start + ETH.etherType)
    while ((type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ) && end - at >= VLAN_TAG) {
      this.vlans.push(get16(buf, at) & 0xfff)
      type = get16(buf, at + 2)
      at += VLAN_TAG
    }
    this.etherType = type
    this.network(at, end, type)
    return this
  }

  private network(at: number, end: number, type: number): void {
    const { buf } = this
    if (!this.isEthernet) this.etherType = type
    if (type === ETHERTYPE_ARP && end - at >= ARP_LENGTH) {
      this.sourceAt = at + ARP.senderProtocol
      this.destinationAt = at + ARP.targetProtocol
      this.addressBytes = 4
    } else if (type === ETHERTYPE_IPV4 && end - at >= IP4_HEADER && buf[at] >> 4 === 4) this.ipv4(at, end)
    else if (type === ETHERTYPE_IPV6 && end - at >= IP6_HEADER && buf[at] >> 4 === 6) this.ipv6(at, end)
  }

  private ipv4(at: number, end: number): void {
    const { buf } = this
    this.version = 4
    this.sourceAt = at + IP4.source
    this.destinationAt = at + IP4.destination
    this.addressBytes = 4
    this.protocol = buf[at + IP4.protocol]
    const isFirst = (get16(buf, at + IP4.flagsFragment) & IP4_OFFSET_MASK) === 0
    if (isFirst) this.ports(at + ((buf[at] & 15) << 2), end)
  }

  private ipv6(at: number, end: number): void {
    const { buf } = this
    this.version = 6
    this.sourceAt = at + IP6.source
    this.destinationAt = at + IP6.destination
    this.addressBytes = 16
    const { chain } = this
    const isWhole = chain.follow(buf, at, end)
    this.protocol = chain.protocol
    if (isWhole && !chain.middle) this.ports(chain.off, end)
  }

  private ports(at: number, end: number): void {
    if ((this.protocol !== PROTO_TCP && this.protocol !== PROTO_UDP) || end - at < 4) return
    this.sourcePort = get16(this.buf, at)
    this.destinationPort = get16(this.buf, at + 2)
  }

  /** The address at `at` is within `words`, of which `bits` count. Of the family of `bytes` bytes. */
  isWithin(at: number, bytes: number, words: readonly number[], bits: number): boolean {
    if (this.addressBytes !== bytes) return false
    for (let i = 0, left = bits; left > 0; i++, left -= 32) {
      const mask = left >= 32 ? -1 : -1 << (32 - left)
      if (((get32(this.buf, at + (i << 2)) ^ words[i]) & mask) !== 0) return false
    }
    return true
  }
}
