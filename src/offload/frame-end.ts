/** Where the padding of a short Ethernet frame begins, for links that have no need of it. */
import { get16 } from '../base/bytes.ts'
import { ETH, ETH_HEADER, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../ethernet/wire.ts'
import { IP4, IP4_HEADER } from '../ipv4/wire.ts'
import { IP6, IP6_HEADER } from '../ipv6/wire.ts'

/** Length of an ARP message for Ethernet and IPv4 (RFC 826). */
const ARP_LENGTH = 28

/** Where an Ethernet frame ends by its own account, `end` at the most. @param ip behind its header and tags */
export function frameEnd(buf: Uint8Array, ip: number, end: number): number {
  if (ip > end) return end
  const type = get16(buf, ip - ETH_HEADER + ETH.etherType)
  let to = end
  if (type === ETHERTYPE_ARP) to = ip + ARP_LENGTH
  else if (type === ETHERTYPE_IPV4 && end - ip >= IP4_HEADER) to = ip + Math.max(IP4_HEADER, get16(buf, ip + IP4.totalLength))
  else if (type === ETHERTYPE_IPV6 && end - ip >= IP6_HEADER) to = ip + IP6_HEADER + get16(buf, ip + IP6.payloadLength)
  return Math.min(to, end)
}
