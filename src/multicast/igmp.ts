/**
 * IGMP (RFC 3376, with RFC 2236 and RFC 1112 for older routers): the wire format of what reporter.ts says and hears about IPv4 groups.
 *
 * What comes is checked here. A query that a router off the link could have sent is dropped: the TTL is 1, and versions 2 and 3 carry the
 * Router Alert option (RFC 3376 sections 4 and 9.1). What leaves has both, and precedence "internetwork control".
 */
import { Address } from '../base/address.ts'
import { get16, get32, put16, put32 } from '../base/bytes.ts'
import { checksum, sumBytes } from '../base/checksum.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { AddressState, type Interface } from '../ip/interface.ts'
import type { Ip, Protocol } from '../ip/ip.ts'
import { type Packet, PROTO_IGMP, To } from '../ip/packet.ts'
import { Route, RouteKind } from '../ip/route.ts'
import type { Ipv4 } from '../ipv4/ipv4.ts'
import { IP4_HEADER } from '../ipv4/wire.ts'
import type { Frame } from '../netif/frame.ts'
import { type GroupRecord, messages } from './records.ts'
import { Query, Reporter, type ReporterDependencies, type Speaker, Speech } from './reporter.ts'
import * as wire from './wire.ts'

const NAMES = [
  'igmpInMsgs',
  'igmpInQueries',
  'igmpInReports',
  'igmpOutReports',
  'igmpOutLeaves',
  // why a message was dropped
  'igmpDropTooShort',
  'igmpDropChecksum',
  'igmpDropTtl',
  'igmpDropNoRouterAlert',
  'igmpDropLength',
  'igmpDropDestination',
  'igmpDropGroup',
  'igmpDropNoReporter',
  'igmpDropUnknownType',
  'igmpOutBlocked',
] as const
const C = indexOf(NAMES)

const ALL_HOSTS = Address.v4(0xe0000001)
const ALL_ROUTERS = Address.v4(0xe0000002)
/** RFC 3376 section 4.2.14. */
const IGMP_ROUTERS = Address.v4(0xe0000016)

/** RFC 3376 section 4: precedence internetwork control. */
const TOS = 0xc0
/** RFC 2113. */
const ROUTER_ALERT = Uint8Array.of(0x94, 4, 0, 0)
/** RFC 3376 section 7.2.1: version 1 has no field for it, and waits for 10 seconds (RFC 1112 appendix I). */
const MAX_RESPONSE_V1_MS = 10_000

export interface IgmpDependencies extends ReporterDependencies {
  ip: Ip
  ipv4: Ipv4
  /** The stack's transmit frame. */
  frame: Frame
}

export class Igmp implements Protocol, Speaker {
  readonly counters = new Counters(NAMES)
  private readonly reporters = new Map<Interface, Reporter>()
  private readonly route = new Route()
  private readonly asked = new Query()
  private readonly group = new Address()

  constructor(private readonly deps: IgmpDependencies) {
    deps.ip.register(PROTO_IGMP, this, 4)
  }

  /** Speaks for an interface from now on, until `iface.groups.close()`. */
  add(iface: Interface): Reporter {
    const newest = 3 - this.deps.config.igmpVersion // Speech.NEW is version 3
    const reporter = new Reporter(iface, this, newest, this.deps)
    this.reporters.set(iface, reporter)
    iface.groups.listener4 = reporter
    return reporter
  }

  drop(iface: Interface): void {
    this.reporters.delete(iface)
  }

  /** Those spoken for. */
  get interfaces(): Interface[] {
    return [...this.reporters.keys()]
  }

  /** Version spoken on an interface now; 0: none. */
  versionOn(iface: Interface): number {
    const reporter = this.reporters.get(iface)
    return reporter === undefined ? 0 : 3 - reporter.speech
  }

  // In

  input(packet: Packet): void {
    const n = this.counters.values
    const { buf, off, end } = packet
    n[C.igmpInMsgs]++
    if (end - off < wire.IGMP_HEADER) n[C.igmpDropTooShort]++
    else if (sumBytes(buf, off, end - off, 0) !== 0xffff) n[C.igmpDropChecksum]++
    else if (packet.ttl !== 1) n[C.igmpDropTtl]++
    else {
      const type = buf[off + wire.IGMP.type]
      if (type === wire.IGMP_QUERY) this.query(packet)
      else if (type === wire.IGMP_REPORT_V1 || type === wire.IGMP_REPORT_V2) this.heard(packet)
      else if (type === wire.IGMP_REPORT_V3 || type === wire.IGMP_LEAVE)
        n[C.igmpInReports]++ // for routers
      else n[C.igmpDropUnknownType]++
    }
  }

  error(): void {}

  /** RFC 3376 section 7.1: its length tells the version. */
  private query(packet: Packet): void {
    const n = this.counters.values
    const { buf, off } = packet
    const length = packet.end - off
    const reporter = this.reporters.get(packet.iface)
    const code = buf[off + wire.IGMP.maxResponse]
    const q = this.asked
    if (length >= wire.IGMP_QUERY_HEADER) q.speech = Speech.NEW
    else if (length === wire.IGMP_HEADER) q.speech = code === 0 ? Speech.OLDEST : Speech.OLD
    else {
      n[C.igmpDropLength]++
      return
    }
    if (q.speech !== Speech.OLDEST && !packet.routerAlert) {
      n[C.igmpDropNoRouterAlert]++
      return
    }
    const word = q.speech === Speech.OLDEST ? 0 : get32(buf, off + wire.IGMP.group)
    this.group.setV4(word)
    if (word !== 0 && !this.group.isMulticast) {
      n[C.igmpDropGroup]++
      return
    }
    // RFC 3376 section 9.1: a question about all groups that was not sent to all hosts is a forgery (or for us alone).
    if (word === 0 && packet.to === To.MULTICAST && !packet.destination.equals(ALL_HOSTS)) {
      n[C.igmpDropDestination]++
      return
    }
    const count = q.speech === Speech.NEW ? get16(buf, off + wire.IGMP.count) : 0
    if (length < wire.IGMP_QUERY_HEADER + 4 * count && count > 0) {
      n[C.igmpDropLength]++
      return
    }
    if (reporter === undefined) {
      n[C.igmpDropNoReporter]++
      return
    }
    n[C.igmpInQueries]++
    q.group = word === 0 ? null : this.group
    q.maxResponseMs = MAX_RESPONSE_V1_MS
    q.robustness = 0
    q.intervalMs = 0
    q.sources = []
    if (q.speech === Speech.OLD) q.maxResponseMs = code * 100
    else if (q.speech === Speech.NEW) {
      q.maxResponseMs = wire.timeOf(code, 8) * 100
      q.robustness = buf[off + wire.IGMP.flags] & 7
      q.intervalMs = wire.timeOf(buf[off + wire.IGMP.interval], 8) * 1000
      // More sources than are remembered: all of them are meant.
      if (q.group !== null && count <= this.deps.config.maxAskedSources && packet.iface.groups.has(q.group)) {
        for (let i = 0; i < count; i++) q.sources.push(Address.v4(get32(buf, off + wire.IGMP_QUERY_HEADER + 4 * i)))
      }
    }
    reporter.query(q)
  }

  private heard(packet: Packet): void {
    const n = this.counters.values
    this.group.setV4(get32(packet.buf, packet.off + wire.IGMP.group))
    if (!this.group.isMulticast || !this.group.equals(packet.destination)) {
      n[C.igmpDropGroup]++
      return
    }
    n[C.igmpInReports]++
    this.reporters.get(packet.iface)?.heardReport(this.group)
  }

  // Out (Speaker)

  isReported(group: Address): boolean {
    return group.w3 !== ALL_HOSTS.w3
  }

  canSpeak(iface: Interface): boolean {
    return iface.up
  }

  hasName(iface: Interface): boolean {
    return this.nameOf(iface) !== null
  }

  report(iface: Interface, records: readonly GroupRecord[]): boolean {
    const room = iface.mtu - IP4_HEADER - ROUTER_ALERT.length - wire.IGMP_REPORT_HEADER
    for (const some of messages(records, room, wire.IGMP_RECORD_HEADER, 4)) if (!this.message(iface, some)) return false
    return true
  }

  private message(iface: Interface, records: readonly GroupRecord[]): boolean {
    const { frame } = this.deps
    const { buf, start } = frame.reset()
    let at = start + wire.IGMP_REPORT_HEADER
    buf.fill(0, start, at)
    buf[start + wire.IGMP_REPORT.type] = wire.IGMP_REPORT_V3
    put16(buf, start + wire.IGMP_REPORT.count, records.length)
    for (const { type, group, sources } of records) {
      buf[at + wire.IGMP_RECORD.type] = type
      buf[at + wire.IGMP_RECORD.auxiliary] = 0
      put16(buf, at + wire.IGMP_RECORD.count, sources.length)
      put32(buf, at + wire.IGMP_RECORD.group, group.w3)
      at += wire.IGMP_RECORD_HEADER
      for (const s of sources) {
        put32(buf, at, s.w3)
        at += 4
      }
    }
    frame.end = at
    return this.send(iface, IGMP_ROUTERS, C.igmpOutReports)
  }

  reportOld(iface: Interface, group: Address, speech: number): boolean {
    this.simple(speech === Speech.OLD ? wire.IGMP_REPORT_V2 : wire.IGMP_REPORT_V1, group)
    return this.send(iface, group, C.igmpOutReports)
  }

  leaveOld(iface: Interface, group: Address, speech: number): boolean {
    if (speech === Speech.OLDEST) return true // version 1 has no such message
    this.simple(wire.IGMP_LEAVE, group)
    return this.send(iface, ALL_ROUTERS, C.igmpOutLeaves)
  }

  private simple(type: number, group: Address): void {
    const { frame } = this.deps
    const { buf, start } = frame.reset()
    put32(buf, start, type << 24)
    put32(buf, start + wire.IGMP.group, group.w3)
    frame.end = start + wire.IGMP_HEADER
  }

  /** Sends the message in the frame; counts it as `sent`. */
  private send(iface: Interface, to: Address, sent: number): boolean {
    const { frame, ipv4 } = this.deps
    const { buf, start, end } = frame
    put16(buf, start + wire.IGMP.checksum, checksum(buf, start, end - start, 0))
    const { route } = this
    route.iface = iface
    route.kind = RouteKind.MULTICAST
    route.destination.copy(to)
    route.nextHop.copy(to)
    // RFC 3376 section 4.2.13: without an address the report is sent all the same.
    route.source.setV4(this.nameOf(iface)?.w3 ?? 0)
    route.mtu = iface.mtu
    route.neighbor = ipv4.neighborFor(iface, route)
    const taken = ipv4.send(frame, route, PROTO_IGMP, TOS, 1, true, ROUTER_ALERT, ROUTER_ALERT.length)
    this.counters.values[taken ? sent : C.igmpOutBlocked]++
    return taken
  }

  private nameOf(iface: Interface): Address | null {
    for (const own of iface.addresses) {
      const usable = own.state === AddressState.PREFERRED || own.state === AddressState.DEPRECATED
      if (usable && own.address.isV4) return own.address
    }
    return null
  }
}
