/** Ethernet II (DIX v2.0, IEEE 802.3 clause 3) and 802.1Q tags. */
import { blob, offsetsOf, struct, u16be } from '../base/layout.ts'

export const ethernetHeader = struct([blob(6, 'destination'), blob(6, 'source'), u16be('etherType')])
export const ETH = offsetsOf(ethernetHeader, ['destination', 'source', 'etherType'] as const)
export const ETH_HEADER = ethernetHeader.span
/** Shortest frame on a real wire, without the FCS. */
export const ETH_MIN_FRAME = 60

/** What follows an EtherType of 0x8100 or 0x88a8: priority (3 bits), drop eligible (1), VLAN id (12), then the real EtherType. */
export const vlanTag = struct([u16be('tci'), u16be('etherType')])
export const VLAN_TAG = vlanTag.span

export const ETHERTYPE_IPV4 = 0x0800
export const ETHERTYPE_ARP = 0x0806
export const ETHERTYPE_VLAN = 0x8100
export const ETHERTYPE_QINQ = 0x88a8
export const ETHERTYPE_IPV6 = 0x86dd
/** Below this the field is an IEEE 802.3 length and LLC follows. */
export const ETHERTYPE_MIN = 0x0600
