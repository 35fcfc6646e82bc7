/** The DHCP message (RFC 2131 section 2, RFC 951) and the options that a reader of traces wants to see (RFC 2132). */
import { get16, get32 } from '../base/bytes.ts'
import { blob, offsetsOf, struct, u8, u16be, u32be } from '../base/layout.ts'

export const dhcpMessage = struct([
  u8('op'),
  u8('hardwareType'),
  u8('hardwareLength'),
  u8('hops'),
  u32be('transactionId'),
  u16be('seconds'),
  u16be('flags'),
  u32be('clientAddress'),
  u32be('yourAddress'),
  u32be('serverAddress'),
  u32be('relayAddress'),
  blob(16, 'clientHardware'),
  blob(64, 'serverName'),
  blob(128, 'file'),
  u32be('magic'),
])
export const DHCP = offsetsOf(dhcpMessage, [
  'op',
  'hardwareType',
  'hardwareLength',
  'hops',
  'transactionId',
  'seconds',
  'flags',
  'clientAddress',
  'yourAddress',
  'serverAddress',
  'relayAddress',
  'clientHardware',
  'serverName',
  'file',
  'magic',
] as const)
/** Bytes before the first option. */
export const DHCP_HEADER = dhcpMessage.span
export const DHCP_MAGIC = 0x63825363
export const DHCP_SERVER_PORT = 67
export const DHCP_CLIENT_PORT = 68

export const DHCP_OPT_PAD = 0
export const DHCP_OPT_MESSAGE_TYPE = 53
export const DHCP_OPT_END = 255

/** Message types of option 53 (RFC 2132 section 9.6), by number. */
export const DHCP_MESSAGE_NAMES = ['', 'DISCOVER', 'OFFER', 'REQUEST', 'DECLINE', 'ACK', 'NAK', 'RELEASE', 'INFORM'] as const

/** Where an option's value begins in `[start, end)` of a message (its length is the byte before), or -1. Never reads past `end`. */
export function findDhcpOption(buf: Uint8Array, start: number, end: number, code: number): number {
  if (end - start < DHCP_HEADER || get32(buf, start + DHCP.magic) !== DHCP_MAGIC) return -1
  for (let i = start + DHCP_HEADER; i < end; ) {
    const kind = buf[i]
    if (kind === DHCP_OPT_PAD) {
      i++
      continue
    }
    if (kind === DHCP_OPT_END || i + 1 >= end || i + 2 + buf[i + 1] > end) return -1
    if (kind === code) return i + 2
    i += 2 + buf[i + 1]
  }
  return -1
}

/** True for the pair of ports that DHCP uses. */
export function isDhcp(buf: Uint8Array, udp: number): boolean {
  const source = get16(buf, udp)
  const destination = get16(buf, udp + 2)
  return (
    (source === DHCP_CLIENT_PORT && destination === DHCP_SERVER_PORT) ||
    (source === DHCP_SERVER_PORT && (destination === DHCP_CLIENT_PORT || destination === DHCP_SERVER_PORT))
  )
}
