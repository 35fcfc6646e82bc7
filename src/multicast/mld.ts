/**
 * MLD (RFC 3810, with RFC 2710 for older routers): the wire format of what reporter.ts says and hears about IPv6 groups. It travels in ICMPv6.
 *
 * What comes is checked here: from a link-local address, with a hop limit of 1 and the Router Alert option (RFC 3810 section 6.2). What
 * leaves has all three; while our own link-local address is being probed it leaves from nobody (RFC 3590 section 4). An interface without an
 * IPv6 address says nothing.
 */
import { Address, ANY } from '../base/address.ts'
import { get16, put16 } from '../base/bytes.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { type Icmp6, type Icmp6Handler, sealIcmp6 } from '../icmp6/icmp6.ts'
import { MLD_DONE_V1, MLD_QUERY, MLD_REPORT_V1, MLD_REPORT_V2 } from '../icmp6/wire.ts'
import { AddressState, type Interface } from '../ip/interface.ts'
import { type Packet, PROTO_ICMPV6, To } from '../ip/packet.ts'
import { Route, RouteKind } from '../ip/route.ts'
import type { Ipv6 } from '../ipv6/ipv6.ts'
import { IP6_HEADER, NEXT_HOP_BY_HOP } from '../ipv6/wire.ts'
import type { Frame } from '../netif/frame.ts'
import { type GroupRecord, messages } from './records.ts'
import { Query, Reporter, type ReporterDependencies, type Speaker, Speech } from './reporter.ts'
import * as wire from './wire.ts'

const NAMES = [
  'mldInQueries',
  'mldInReports',
  'mldOutReports',
  'mldOutDones',
  // why a message was dropped
  'mldDropSource',
  'mldDropHopLimit',
  'mldDropNoRouterAlert',
  'mldDropLength',
  'mldDropDestination',
  'mldDropGroup',
  'mldDropNoReporter',
  'mldOutBlocked',
] as const
const C = indexOf(NAMES)

const ALL_NODES = new Address(0xff020000 | 0, 0, 0, 1)
const ALL_ROUTERS = new Address(0xff020000 | 0, 0, 0, 2)
/** RFC 3810 section 5.2.14. */
const MLD_ROUTERS = new Address(0xff020000 | 0, 0, 0, 0x16)

/** Hop-by-hop options: next header, no more than 8 bytes, Router Alert with value 0 (RFC 2711: MLD), two bytes of padding. */
const ROUTER_ALERT = Uint8Array.of(PROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0)
/** Scopes of groups that do not leave the host, or do not exist (RFC 3810 section 6). */
const INTERFACE_LOCAL = 1

export interface MldDependencies extends ReporterDependencies {
  icmp6: Icmp6
  ipv6: Ipv6
  /** The stack's transmit frame. */
  frame: Frame
}

export class Mld implements Icmp6Handler, Speaker {
  readonly counters = new Counters(NAMES)
  private readonly reporters = new Map<Interface, Reporter>()
  private readonly route = new Route()
  private readonly asked = new Query()
  private readonly group = new Address()

  constructor(private readonly deps: MldDependencies) {
    for (const type of [MLD_QUERY, MLD_REPORT_V1, MLD_DONE_V1, MLD_REPORT_V2]) deps.icmp6.register(type, this)
  }

  /** Speaks for an interface from now on, until `iface.groups.close()`. */
  add(iface: Interface): Reporter {
    const newest = 2 - this.deps.config.mldVersion // Speech.NEW is version 2
    const reporter = new Reporter(iface, this, newest, this.deps)
    this.reporters.set(iface, reporter)
    iface.groups.listener6 = reporter
    return reporter
  }

  drop(iface: Interface): void {
    this.reporters.delete(iface)
  }

  /** Version spoken on an interface now; 0: none. */
  versionOn(iface: Interface): number {
    const reporter = this.reporters.get(iface)
    return reporter === undefined ? 0 : 2 - reporter.speech
  }

  // In

  icmp6Input(packet: Packet): void {
    const n = this.counters.values
    const type = packet.buf[packet.off]
    if (type === MLD_REPORT_V2 || type === MLD_DONE_V1)
      n[C.mldInReports]++ // for routers
    else if (packet.ttl !== 1) n[C.mldDropHopLimit]++
    else if (!packet.routerAlert) n[C.mldDropNoRouterAlert]++
    else if (packet.end - packet.off < wire.MLD_HEADER) n[C.mldDropLength]++
    // RFC 2710 section 4, RFC 3590 section 4: a report may come from nobody, a query may not.
    else if (!packet.source.isLinkLocal && (type === MLD_QUERY || !packet.source.isUnspecified)) n[C.mldDropSource]++
    else if (type === MLD_REPORT_V1) this.heard(packet)
    else this.query(packet)
  }

  /** RFC 3810 section 8.1: its length tells the version. */
  private query(packet: Packet): void {
    const n = this.counters.values
    const { buf, off } = packet
    const length = packet.end - off
    const isNew = length >= wire.MLD_QUERY_HEADER
    const count = isNew ? get16(buf, off + wire.MLD.count) : 0
    if ((!isNew && length !== wire.MLD_HEADER) || (count > 0 && length < wire.MLD_QUERY_HEADER + 16 * count)) {
      n[C.mldDropLength]++
      return
    }
    const group = this.group.read(buf, off + wire.MLD.group)
    if (!group.isUnspecified && !group.isMulticast) {
      n[C.mldDropGroup]++
      return
    }
    if (group.isUnspecified && packet.to === To.MULTICAST && !packet.destination.equals(ALL_NODES)) {
      n[C.mldDropDestination]++
      return
    }
    const reporter = this.reporters.get(packet.iface)
    if (reporter === undefined) {
      n[C.mldDropNoReporter]++
      return
    }
    n[C.mldInQueries]++
    const code = get16(buf, off + wire.MLD.maxResponse)
    const q = this.asked
    q.speech = isNew ? Speech.NEW : Speech.OLD
    q.group = group.isUnspecified ? null : group
    q.maxResponseMs = isNew ? wire.timeOf(code, 16) : code
    q.robustness = isNew ? buf[off + wire.MLD.flags] & 7 : 0
    q.intervalMs = isNew ? wire.timeOf(buf[off + wire.MLD.interval], 8) * 1000 : 0
    q.sources = []
    // More sources than are remembered: all of them are meant.
    if (q.group !== null && count <= this.deps.config.maxAskedSources && packet.iface.groups.has(q.group)) {
      for (let i = 0; i < count; i++) q.sources.push(new Address().read(buf, off + wire.MLD_QUERY_HEADER + 16 * i))
    }
    reporter.query(q)
  }

  private heard(packet: Packet): void {
    const n = this.counters.values
    const group = this.group.read(packet.buf, packet.off + wire.MLD.group)
    if (!group.isMulticast || !group.equals(packet.destination)) {
      n[C.mldDropGroup]++
      return
    }
    n[C.mldInReports]++
    this.reporters.get(packet.iface)?.heardReport(group)
  }

  // Out (Speaker)

  isReported(group: Address): boolean {
    const scope = group.multicastScope
    return (
      scope > INTERFACE_LOCAL && !(scope === 2 && group.w3 === 1 && group.w2 === 0 && group.w1 === 0 && group.w0 === ALL_NODES.w0)
    )
  }

  canSpeak(iface: Interface): boolean {
    return iface.up && iface.addresses.some((own) => !own.address.isV4)
  }

  hasName(iface: Interface): boolean {
    return this.nameOf(iface) !== ANY
  }

  report(iface: Interface, records: readonly GroupRecord[]): boolean {
    const room = iface.mtu6 - IP6_HEADER - ROUTER_ALERT.length - wire.MLD_REPORT_HEADER
    for (const some of messages(records, room, wire.MLD_RECORD_HEADER, 16)) if (!this.message(iface, some)) return false
    return true
  }

  private message(iface: Interface, records: readonly GroupRecord[]): boolean {
    const { frame } = this.deps
    const { buf, start } = frame.reset()
    let at = start + wire.MLD_REPORT_HEADER
    buf.fill(0, start, at)
    buf[start + wire.MLD_REPORT.type] = MLD_REPORT_V2
    put16(buf, start + wire.MLD_REPORT.count, records.length)
    for (const { type, group, sources } of records) {
      buf[at + wire.MLD_RECORD.type] = type
      buf[at + wire.MLD_RECORD.auxiliary] = 0
      put16(buf, at + wire.MLD_RECORD.count, sources.length)
      group.write(buf, at + wire.MLD_RECORD.group)
      at += wire.MLD_RECORD_HEADER
      for (const s of sources) {
        s.write(buf, at)
        at += 16
      }
    }
    frame.end = at
    return this.send(iface, MLD_ROUTERS, C.mldOutReports)
  }

  reportOld(iface: Interface, group: Address): boolean {
    this.simple(MLD_REPORT_V1, group)
    return this.send(iface, group, C.mldOutReports)
  }

  leaveOld(iface: Interface, group: Address): boolean {
    if (!this.hasName(iface)) return true // RFC 3590 section 4 allows it for reports only
    this.simple(MLD_DONE_V1, group)
    return this.send(iface, ALL_ROUTERS, C.mldOutDones)
  }

  private simple(type: number, group: Address): void {
    const { frame } = this.deps
    const { buf, start } = frame.reset()
    buf.fill(0, start, start + wire.MLD_HEADER)
    buf[start + wire.MLD.type] = type
    group.write(buf, start + wire.MLD.group)
    frame.end = start + wire.MLD_HEADER
  }

  /** Sends the message in the frame; counts it as `sent`. */
  private send(iface: Interface, to: Address, sent: number): boolean {
    const { frame, ipv6 } = this.deps
    const { route } = this
    route.iface = iface
    route.kind = RouteKind.MULTICAST
    route.source.copy(this.nameOf(iface))
    route.destination.copy(to)
    route.nextHop.copy(to)
    route.mtu = iface.mtu6
    route.neighbor = ipv6.neighborFor(iface, route)
    sealIcmp6(frame, route.source, to)
    frame.start -= ROUTER_ALERT.length
    frame.buf.set(ROUTER_ALERT, frame.start)
    const taken = ipv6.output(frame, route, NEXT_HOP_BY_HOP, 0, 1, true)
    this.counters.values[taken ? sent : C.mldOutBlocked]++
    return taken
  }

  /** Our link-local address once it may be used, else the unspecified one. */
  private nameOf(iface: Interface): Address {
    for (const own of iface.addresses) {
      const usable = own.state === AddressState.PREFERRED || own.state === AddressState.DEPRECATED
      if (usable && own.address.isLinkLocal) return own.address
    }
    return ANY
  }
}
