/** The UDP header (RFC 768). */
import { offsetsOf, struct, u16be } from '../base/layout.ts'

export const udpHeader = struct([u16be('sourcePort'), u16be('destinationPort'), u16be('length'), u16be('checksum')])
export const UDP = offsetsOf(udpHeader, ['sourcePort', 'destinationPort', 'length', 'checksum'] as const)
export const UDP_HEADER = udpHeader.span
