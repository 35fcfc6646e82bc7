/**
 * A neighbour did not answer: the packet that waited for it becomes an error report to the socket that sent it, as if a router had said
 * "host unreachable" (RFC 1122 section 3.3.1.6, RFC 4861 section 7.2.2; EHOSTUNREACH), except that it cannot be forged: `local`.
 */
import { get16, get32 } from '../base/bytes.ts'
import { Cast } from '../ethernet/ethernet.ts'
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../ethernet/wire.ts'
import { ICMP_UNREACHABLE, UNREACH_HOST } from '../icmp/wire.ts'
import { ICMP6_UNREACHABLE, UNREACH6_ADDRESS } from '../icmp6/wire.ts'
import type { Interface } from '../ip/interface.ts'
import { ErrorKind, ErrorReport, type Ip } from '../ip/ip.ts'
import { Packet, To } from '../ip/packet.ts'
import { IP4, IP4_HEADER, IP4_OFFSET_MASK } from '../ipv4/wire.ts'
import { HeaderChain } from '../ipv6/header-chain.ts'
import { IP6, IP6_HEADER } from '../ipv6/wire.ts'

const NOTHING = new Uint8Array(0)

export class LocalUnreachable {
  private readonly report = new ErrorReport()
  private readonly chain = new HeaderChain()
  private packet: Packet | null = null

  constructor(private readonly ip: Ip) {}

  /** `buf[start, end)`: an IP packet that was to leave by `iface`, lent. */
  deliver(iface: Interface, buf: Uint8Array, start: number, end: number, etherType: number): void {
    const r = this.report
    r.kind = ErrorKind.HOST_UNREACHABLE
    r.local = true
    r.mtu = 0
    r.ttl = 0
    r.quote = buf
    r.end = end
    const known =
      etherType === ETHERTYPE_IPV4
        ? this.read4(buf, start, end)
        : etherType === ETHERTYPE_IPV6 && this.read6(iface, buf, start, end)
    if (!known) return
    const { hooks } = this.ip
    if (this.ip.isLocal(r.source) && !hooks?.isOfOthers(buf, start, end)) {
      r.reporter.copy(r.source)
      this.ip.deliverError(r)
    } else this.answer(iface, buf, start, end)
  }

  /** It was on its way through us: its sender is told (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1). */
  private answer(iface: Interface, buf: Uint8Array, start: number, end: number): void {
    const r = this.report
    this.packet ??= new Packet(iface)
    const { packet } = this
    packet.iface = iface
    packet.buf = buf
    packet.link = -1
    packet.start = start
    packet.off = r.off
    packet.end = end
    packet.source.copy(r.source)
    packet.destination.copy(r.destination)
    packet.protocol = r.protocol
    packet.to = To.OTHER
    packet.cast = Cast.UNICAST
    this.ip.errors.unreachable(packet, ErrorKind.HOST_UNREACHABLE)
    packet.buf = NOTHING
  }

  private read4(buf: Uint8Array, start: number, end: number): boolean {
    const r = this.report
    if (end - start < IP4_HEADER) return false
    if ((get16(buf, start + IP4.flagsFragment) & IP4_OFFSET_MASK) !== 0) return false // the first fragment speaks for all
    r.type = ICMP_UNREACHABLE
    r.code = UNREACH_HOST
    r.length = get16(buf, start + IP4.totalLength)
    r.source.setV4(get32(buf, start + IP4.source))
    r.destination.setV4(get32(buf, start + IP4.destination))
    r.protocol = buf[start + IP4.protocol]
    r.off = start + ((buf[start] & 15) << 2)
    return true
  }

  private read6(iface: Interface, buf: Uint8Array, start: number, end: number): boolean {
    const { report: r, chain } = this
    if (!chain.follow(buf, start, end) || chain.middle) return false
    r.type = ICMP6_UNREACHABLE
    r.code = UNREACH6_ADDRESS
    r.length = IP6_HEADER + get16(buf, start + IP6.payloadLength)
    r.source.read(buf, start + IP6.source)
    r.destination.read(buf, start + IP6.destination)
    if (r.source.isLinkLocal) r.source.zone = iface.index
    if (r.destination.isLinkLocal) r.destination.zone = iface.index
    r.protocol = chain.protocol
    r.off = chain.off
    return true
  }
}
