/** DHCPv6 on the wire (RFC 8415 sections 7 to 9): ports, groups, types of messages, and the fixed parts of what has one. */
import { Address } from '../base/address.ts'
import { get16 } from '../base/bytes.ts'
import { blob, offsetsOf, struct, u8, u16be, u24be } from '../base/layout.ts'

/** RFC 8415 section 7.2. */
export const DHCP6_CLIENT_PORT = 546
export const DHCP6_SERVER_PORT = 547

/** `ff02::1:2` and `ff05::1:3` (section 7.1); never change them. */
export const ALL_RELAYS_AND_SERVERS = new Address(0xff020000 | 0, 0, 0, 0x00010002)
export const ALL_SERVERS = new Address(0xff050000 | 0, 0, 0, 0x00010003)

/** Types of messages (section 7.3). */
export const SOLICIT = 1
export const ADVERTISE = 2
export const REQUEST = 3
export const CONFIRM = 4
export const RENEW = 5
export const REBIND = 6
export const REPLY = 7
export const RELEASE = 8
export const DECLINE = 9
export const RECONFIGURE = 10
export const INFORMATION_REQUEST = 11
export const RELAY_FORW = 12
export const RELAY_REPL = 13

/** By number. */
export const DHCP6_MESSAGE_NAMES = [
  '',
  'SOLICIT',
  'ADVERTISE',
  'REQUEST',
  'CONFIRM',
  'RENEW',
  'REBIND',
  'REPLY',
  'RELEASE',
  'DECLINE',
  'RECONFIGURE',
  'INFORMATION-REQUEST',
  'RELAY-FORW',
  'RELAY-REPL',
] as const

/** What clients and servers say (section 8). */
export const dhcp6Message = struct([u8('type'), u24be('transactionId')])
export const DHCP6 = offsetsOf(dhcp6Message, ['type', 'transactionId'] as const)
export const DHCP6_HEADER = dhcp6Message.span

/** What relays say (section 9). */
export const dhcp6Relay = struct([u8('type'), u8('hops'), blob(16, 'linkAddress'), blob(16, 'peerAddress')])
export const DHCP6_RELAY = offsetsOf(dhcp6Relay, ['type', 'hops', 'linkAddress', 'peerAddress'] as const)
export const DHCP6_RELAY_HEADER = dhcp6Relay.span
/** HOP_COUNT_LIMIT (section 7.6). */
export const HOP_COUNT_LIMIT = 8

/** Before the value of an option (section 21.1). */
export const dhcp6Option = struct([u16be('code'), u16be('length')])
export const DHCP6_OPTION_HEADER = dhcp6Option.span

export function isRelayType(type: number): boolean {
  return type === RELAY_FORW || type === RELAY_REPL
}

/** True for the ports that DHCPv6 uses. */
export function isDhcp6(buf: Uint8Array, udp: number): boolean {
  const source = get16(buf, udp)
  const destination = get16(buf, udp + 2)
  return destination === DHCP6_SERVER_PORT || (destination === DHCP6_CLIENT_PORT && source === DHCP6_SERVER_PORT)
}
