/**
 * A neighbour did not answer: the packet that waited for it becomes an error report to the socket that sent it, as if a router had said
 * "host unreachable" (RFC 1122 section 3.3.1.6; EHOSTUNREACH), except that it cannot be forged: `local`.
 */
import { get16, get32 } from '../base/bytes.ts'
import { ETHERTYPE_IPV4 } from '../ethernet/wire.ts'
import { ErrorKind, ErrorReport, type Ip } from '../ip/ip.ts'
import { IP4, IP4_HEADER, IP4_OFFSET_MASK } from '../ipv4/wire.ts'

export class LocalUnreachable {
  private readonly report = new ErrorReport()

  constructor(private readonly ip: Ip) {}

  /** `buf[start, end)`: an IP packet of ours, lent. */
  deliver(buf: Uint8Array, start: number, end: number, etherType: number): void {
    if (etherType !== ETHERTYPE_IPV4 || end - start < IP4_HEADER) return
    if ((get16(buf, start + IP4.flagsFragment) & IP4_OFFSET_MASK) !== 0) return // the first fragment speaks for all
    const r = this.report
    r.kind = ErrorKind.HOST_UNREACHABLE
    r.local = true
    r.type = 3
    r.code = 1
    r.mtu = 0
    r.length = get16(buf, start + IP4.totalLength)
    r.source.setV4(get32(buf, start + IP4.source))
    r.destination.setV4(get32(buf, start + IP4.destination))
    r.reporter.copy(r.source)
    r.protocol = buf[start + IP4.protocol]
    r.quote = buf
    r.off = start + ((buf[start] & 15) << 2)
    r.end = end
    this.ip.deliverError(r)
  }
}
