/** The link-local address that every interface with IPv6 has (RFC 4291 section 2.8, RFC 4862 section 5.3). */
import { Address, Prefix } from '../base/address.ts'
import { put16, put32 } from '../base/bytes.ts'
import type { NdConfig } from '../base/ipv6-config.ts'
import type { Interface } from '../ip/interface.ts'
import type { Frame } from '../netif/frame.ts'
import { eui64, type StableIds } from './interface-id.ts'
import type { NdInterface } from './nd-interface.ts'
import { ND_LINK_ADDRESS, ND_LINK_ADDRESS_LENGTH, ND_OPTION } from './wire.ts'

const LINK_LOCAL = new Address(0xfe800000 | 0, 0, 0, 0)

/** fe80::/64 with the interface's identifier. Links without a MAC address have nothing but a stable one (RFC 7217). */
export function linkLocal(iface: Interface, config: NdConfig, ids: StableIds, attempt: number): Prefix {
  const { mac } = iface
  const own = config.linkLocal === 'eui64' && mac !== null ? eui64(LINK_LOCAL, mac) : ids.address(LINK_LOCAL, iface.name, attempt)
  return new Prefix(own, 64)
}

/** The interface has one, whatever becomes of it. */
export function hasLinkLocal(iface: Interface): boolean {
  return iface.addresses.some((own) => own.address.isLinkLocal)
}

/** The one that may stand beside our link address in a message: known to be ours alone (RFC 4429 section 3.2). Null: none, or none yet. */
export function usableLinkLocal(nd: NdInterface): Address | null {
  for (const { address } of nd.iface.addresses)
    if (address.isLinkLocal && nd.iface.has(address) && !nd.dad.isOptimistic(address)) return address
  return null
}

/** Puts our link address behind the message in `frame`. */
export function putLinkAddress(frame: Frame, type: number, nd: NdInterface): void {
  const { buf, end } = frame
  const { macHigh, macLow } = nd.iface.ethernet!
  buf[end + ND_OPTION.type] = type
  buf[end + ND_OPTION.length] = ND_LINK_ADDRESS_LENGTH >> 3
  put16(buf, end + ND_LINK_ADDRESS.address, macHigh)
  put32(buf, end + ND_LINK_ADDRESS.address + 2, macLow)
  frame.end = end + ND_LINK_ADDRESS_LENGTH
}
