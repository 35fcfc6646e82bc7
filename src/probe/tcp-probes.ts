/**
 * Probes that are SYNs, which pass where only connections may: a port of ours for each, and a SYN-ACK or a reset answers. No connection
 * comes of it: TCP knows nothing of the SYN and answers a SYN-ACK with a reset, so the application on the other side never hears of it
 * ("half-open" scanning, as traceroute -T does it).
 */
import { get16, get32, put16, put32 } from '../base/bytes.ts'
import { checksum } from '../base/checksum.ts'
import { NetError } from '../base/errors.ts'
import { randomBelow } from '../base/random.ts'
import type { ErrorReport } from '../ip/ip.ts'
import { type Packet, PROTO_TCP } from '../ip/packet.ts'
import { pseudoSum } from '../ip/pseudo-header.ts'
import { Route } from '../ip/route.ts'
import { PAYLOAD_AT } from '../netif/frame.ts'
import { ACK, OPT_MSS, OPT_MSS_LENGTH, RST, SYN, TCP, TCP_HEADER } from '../tcp/wire.ts'
import { findRoute } from './icmp-probes.ts'
import type { ProbeDependencies, Prober, ProbeShape, ProbeSink } from './probes.ts'
import type { Watcher } from './watch.ts'

const HEADER = TCP_HEADER + OPT_MSS_LENGTH
const WINDOW = 5840

export class TcpProber implements Prober, Watcher {
  private readonly family: 4 | 6
  private readonly route = new Route()
  /** Our sequence number in every probe: 32 bits that nobody can guess. */
  private readonly iss: number
  /** Probe `n` has port `first + (offset + n) % range`, as long as that is free. */
  private readonly offset: number
  private readonly range: number
  private skipped = 0
  private readonly numbers = new Map<number, number>()

  /** `isFree`: no connection of ours from this port to the destination's. */
  constructor(
    private readonly deps: ProbeDependencies,
    private readonly shape: ProbeShape,
    private readonly port: number,
    private readonly sink: ProbeSink,
    private readonly first: number,
    last: number,
    private readonly isFree: (route: Route, localPort: number, remotePort: number) => boolean,
  ) {
    this.family = shape.destination.family
    this.route.generation = (deps.ip.generation - 1) | 0
    this.iss = deps.random.int32()
    this.range = last - first + 1
    this.offset = randomBelow(deps.random, this.range)
    deps.watches.add(PROTO_TCP, this.family, this)
  }

  send(n: number, hops: number, bytes: number): boolean {
    const { deps, shape, route } = this
    findRoute(deps, shape, shape.source, route)
    const family = this.family === 4 ? deps.ip.v4! : deps.ip.v6!
    // SYNs carry no data: who is asked might keep it, or drop them for it.
    if (shape.dontFragment && bytes > route.mtu) {
      throw new NetError('EMSGSIZE', { syscall: 'send', address: shape.destination.toString() })
    }
    const localPort = this.takePort(n)
    const frame = deps.frame.reset()
    const at = PAYLOAD_AT - HEADER
    const { buf } = frame
    frame.start = at
    frame.end = PAYLOAD_AT
    put16(buf, at + TCP.sourcePort, localPort)
    put16(buf, at + TCP.destinationPort, this.port)
    put32(buf, at + TCP.sequence, this.iss)
    put32(buf, at + TCP.acknowledgment, 0)
    buf[at + TCP.dataOffset] = HEADER << 2
    buf[at + TCP.flags] = SYN
    put16(buf, at + TCP.window, WINDOW)
    put16(buf, at + TCP.checksum, 0)
    put16(buf, at + TCP.urgent, 0)
    buf[at + TCP_HEADER] = OPT_MSS
    buf[at + TCP_HEADER + 1] = OPT_MSS_LENGTH
    put16(buf, at + TCP_HEADER + 2, route.mtu - family.headerBytes - TCP_HEADER)
    put16(buf, at + TCP.checksum, checksum(buf, at, HEADER, pseudoSum(route.source, route.destination, PROTO_TCP, HEADER)))
    if (!family.output(frame, route, PROTO_TCP, shape.tos, hops, shape.dontFragment)) {
      this.numbers.delete(localPort)
      return false
    }
    deps.wake()
    return true
  }

  close(): void {
    this.deps.watches.remove(PROTO_TCP, this.family, this)
  }

  /** SYN-ACKs and resets that acknowledge a SYN of ours. Its checksum is TCP's to judge: who knows our number has it from us. */
  heard(packet: Packet): void {
    const { buf, off } = packet
    if (packet.end - off < TCP_HEADER || get16(buf, off + TCP.sourcePort) !== this.port) return
    const n = this.numbers.get(get16(buf, off + TCP.destinationPort))
    const flags = buf[off + TCP.flags]
    if (n === undefined || (flags & ACK) === 0 || (flags & (SYN | RST)) === 0) return
    if (get32(buf, off + TCP.acknowledgment) !== ((this.iss + 1) | 0)) return
    if (packet.source.equals(this.route.destination)) this.sink.answered(n, packet.source, -1, packet.ttl, null)
  }

  errorHeard(report: ErrorReport): boolean {
    const { quote, off } = report
    if (get16(quote, off + TCP.destinationPort) !== this.port || get32(quote, off + TCP.sequence) !== this.iss) return false
    const n = this.numbers.get(get16(quote, off + TCP.sourcePort))
    if (n === undefined || !report.destination.equals(this.route.destination)) return false
    this.sink.answered(n, report.reporter, report.kind, report.ttl, report)
    return true
  }

  /** The next port that no connection to the same place has. Throws EADDRINUSE when there is none. */
  private takePort(n: number): number {
    for (; this.skipped < this.range; this.skipped++) {
      const port = this.first + ((this.offset + n + this.skipped) % this.range)
      if (this.numbers.has(port) || !this.isFree(this.route, port, this.port)) continue
      this.numbers.set(port, n)
      return port
    }
    throw new NetError('EADDRINUSE', { message: 'traceroute: all ephemeral ports are in use' })
  }
}
