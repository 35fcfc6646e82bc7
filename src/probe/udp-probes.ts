/**
 * Probes that are UDP datagrams to ports where nobody listens (Van Jacobson's traceroute): the port is the probe's number, and the one
 * who is asked says "port unreachable". If somebody does listen there and answers, that is an answer as well.
 */
import { get16 } from '../base/bytes.ts'
import { ErrorKind, type ErrorReport } from '../ip/ip.ts'
import { PROTO_UDP } from '../ip/packet.ts'
import { Datagram } from '../udp/receive-queue.ts'
import type { UdpHandler, UdpSocket } from '../udp/socket.ts'
import { UDP, UDP_HEADER } from '../udp/wire.ts'
import type { ProbeDependencies, Prober, ProbeShape, ProbeSink } from './probes.ts'
import type { Watcher } from './watch.ts'

const PORTS = 0x10000

export class UdpProber implements Prober, UdpHandler, Watcher {
  private readonly socket: UdpSocket
  private readonly family: 4 | 6
  private readonly header: number
  private readonly payload: Uint8Array
  private readonly datagram = new Datagram(new Uint8Array(0))

  /** Probe `n` goes to `port + n`. Throws NetError: EADDRNOTAVAIL, EADDRINUSE. */
  constructor(
    private readonly deps: ProbeDependencies,
    private readonly shape: ProbeShape,
    private readonly port: number,
    mostBytes: number,
    private readonly sink: ProbeSink,
  ) {
    this.family = shape.destination.family
    this.header = deps.icmp.headerBytes + UDP_HEADER
    this.payload = Uint8Array.from({ length: Math.max(0, mostBytes - this.header) }, (_, i) => 0x40 + (i & 0x3f))
    const ipv6Only = this.family === 6
    this.socket = deps.udp.open(this, { family: this.family, ipv6Only, iface: shape.iface ?? undefined, ref: false })
    this.socket.tos = shape.tos
    this.socket.dontFragment = shape.dontFragment
    try {
      this.socket.bind(shape.source, 0)
    } catch (error) {
      this.socket.close()
      throw error
    }
    deps.watches.add(PROTO_UDP, this.family, this)
  }

  send(n: number, hops: number, bytes: number): boolean {
    this.socket.ttl = hops
    this.socket.multicastTtl = hops
    return this.socket.send(this.payload, 0, Math.max(0, bytes - this.header), this.shape.destination, this.portOf(n))
  }

  close(): void {
    this.deps.watches.remove(PROTO_UDP, this.family, this)
    this.socket.close()
  }

  errorHeard(report: ErrorReport): boolean {
    const { quote, off } = report
    if (get16(quote, off + UDP.sourcePort) !== this.socket.localPort) return false
    if (!report.destination.equals(this.socket.route.destination)) return false
    const n = this.numberOf(get16(quote, off + UDP.destinationPort))
    this.sink.answered(n, report.reporter, report.kind, report.ttl, report)
    return report.kind !== ErrorKind.PACKET_TOO_BIG // the path's MTU is for UDP to believe
  }

  onReadable(socket: UdpSocket): void {
    const { datagram } = this
    while (socket.receive(datagram)) {
      if (!datagram.address.equals(socket.route.destination)) continue
      this.sink.answered(this.numberOf(datagram.port), datagram.address, -1, datagram.ttl, null)
    }
  }

  private portOf(n: number): number {
    return (this.port + n) % PORTS || 1
  }

  private numberOf(port: number): number {
    return (port - this.port + PORTS) % PORTS
  }
}
