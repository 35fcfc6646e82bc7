/** ARP for IPv4 over Ethernet (RFC 826). */
import { blob, offsetsOf, struct, u8, u16be, u32be } from '../base/layout.ts'

export const arpPacket = struct([
  u16be('hardwareType'),
  u16be('protocolType'),
  u8('hardwareLength'),
  u8('protocolLength'),
  u16be('operation'),
  blob(6, 'senderHardware'),
  u32be('senderProtocol'),
  blob(6, 'targetHardware'),
  u32be('targetProtocol'),
])
export const ARP = offsetsOf(arpPacket, [
  'hardwareType',
  'protocolType',
  'hardwareLength',
  'protocolLength',
  'operation',
  'senderHardware',
  'senderProtocol',
  'targetHardware',
  'targetProtocol',
] as const)
export const ARP_LENGTH = arpPacket.span
export const ARP_ETHERNET = 1
export const ARP_REQUEST = 1
export const ARP_REPLY = 2
