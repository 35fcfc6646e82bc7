/** Probes that are echo requests: the sequence number is the probe's number, and who is asked replies. */
import type { Address } from '../base/address.ts'
import { get16, put16 } from '../base/bytes.ts'
import { NetError } from '../base/errors.ts'
import { claimIdentifier, type EchoClient } from '../icmp/echo.ts'
import { ICMP, ICMP_HEADER } from '../icmp/wire.ts'
import type { ErrorReport } from '../ip/ip.ts'
import type { Packet } from '../ip/packet.ts'
import { Route } from '../ip/route.ts'
import type { ProbeDependencies, Prober, ProbeShape, ProbeSink } from './probes.ts'

export class IcmpProber implements Prober, EchoClient {
  private readonly id: number
  private readonly route = new Route()

  /** Throws NetError EADDRINUSE when all identifiers are taken. */
  constructor(
    private readonly deps: ProbeDependencies,
    private readonly shape: ProbeShape,
    private readonly sink: ProbeSink,
  ) {
    this.route.generation = (deps.ip.generation - 1) | 0
    this.id = claimIdentifier(deps.icmp, deps.random, this)
  }

  send(n: number, hops: number, bytes: number): boolean {
    const { icmp, ip } = this.deps
    const { route, shape } = this
    findRoute(this.deps, shape, shape.source, route)
    const size = Math.max(ICMP_HEADER, bytes - icmp.headerBytes)
    if (shape.dontFragment && size + icmp.headerBytes > route.mtu) throw refusal('EMSGSIZE', shape.destination)
    const at = icmp.outbox.begin(size)
    const { buf } = icmp.outbox.frame
    buf[at + ICMP.type] = icmp.echoType
    buf[at + ICMP.code] = 0
    put16(buf, at + ICMP.identifier, this.id)
    put16(buf, at + ICMP.sequence, n)
    for (let i = ICMP_HEADER; i < size; i++) buf[at + i] = i & 0xff
    if (!icmp.request(route, shape.tos, hops, shape.dontFragment)) {
      route.generation = (ip.generation - 1) | 0
      return false
    }
    this.deps.wake()
    return true
  }

  close(): void {
    if (this.deps.icmp.clients.get(this.id) === this) this.deps.icmp.clients.delete(this.id)
  }

  reply(packet: Packet): boolean {
    if (!packet.source.equals(this.route.destination)) return false
    this.sink.answered(get16(packet.buf, packet.off + ICMP.sequence), packet.source, -1, packet.ttl, null)
    return true
  }

  error(report: ErrorReport): boolean {
    if (!report.destination.equals(this.route.destination)) return false
    const n = get16(report.quote, report.off + ICMP.sequence)
    this.sink.answered(n, report.reporter, report.kind, report.ttl, report)
    return true
  }

  /** The stack is closed: whoever sends the probes is told by another way. */
  closed(): void {
    this.close()
  }
}

/** A link-local destination gets the zone that routing finds for it. Throws what stands against the way. */
export function settle(deps: ProbeDependencies, shape: ProbeShape): void {
  const route = new Route()
  route.generation = (deps.ip.generation - 1) | 0
  findRoute(deps, shape, shape.source, route)
  shape.destination.copy(route.destination)
}

/** Makes `route` lead to where the probes go. Throws what stands against it. */
export function findRoute(deps: ProbeDependencies, shape: ProbeShape, source: Address, route: Route): void {
  const { ip } = deps
  if (route.generation === ip.generation) return
  const code = ip.route(shape.destination, source, shape.iface, route)
  if (code === null) return
  route.generation = (ip.generation - 1) | 0
  throw refusal(code, shape.destination)
}

function refusal(code: string, to: Address): NetError {
  return new NetError(code, { syscall: 'send', address: to.toString() })
}
