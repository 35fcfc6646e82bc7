/** The link-local address that every interface with IPv6 has (RFC 4291 section 2.8, RFC 4862 section 5.3). */
import { Address, Prefix } from '../base/address.ts'
import type { NdConfig } from '../base/ipv6-config.ts'
import type { Interface } from '../ip/interface.ts'
import { eui64, type StableIds } from './interface-id.ts'

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
