/** How long a frame may be on a link: its MTU and what the link layer adds. */
import { get16 } from '../base/bytes.ts'
import { ETH, ETH_HEADER, ETHERTYPE_QINQ, ETHERTYPE_VLAN, VLAN_TAG } from '../ethernet/wire.ts'
import { GSO_MASK, type Medium, type NetIf } from '../netif/netif.ts'

/** Bytes before the IP packet: none, or the Ethernet header and up to two tags. A frame too short for a header has none. */
export function linkHeader(buf: Uint8Array, start: number, end: number, medium: Medium): number {
  if (medium === 'ip') return 0
  let header = ETH_HEADER
  for (let tags = 0; tags < 2 && end - start >= header; tags++) {
    const type = get16(buf, start + header - ETH_HEADER + ETH.etherType)
    if (type !== ETHERTYPE_VLAN && type !== ETHERTYPE_QINQ) break
    header += VLAN_TAG
  }
  return header
}

/** Least length of a frame: one whose link header is not whole cannot be carried. */
export function leastFrame(medium: Medium): number {
  return medium === 'ip' ? 1 : ETH_HEADER
}

/** A frame or super-frame that is longer than the link carries. */
export function isTooLong(link: NetIf, buf: Uint8Array, start: number, end: number, meta: number): boolean {
  const limit = (meta & GSO_MASK) === 0 ? link.mtu : link.gsoMax
  // The tags are looked for only when it matters.
  return end - start > limit && end - start > limit + linkHeader(buf, start, end, link.medium)
}
