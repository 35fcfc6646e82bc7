/**
 * IGMP and MLD snooping (RFC 4541): multicast goes where somebody asked for it, and where routers are.
 *
 * Theory of operation. Queries show where routers are; reports show who wants what. As long as nobody queries in a VLAN nobody need answer, so
 * nothing is known and everything is flooded; after the first query everything is flooded until the answers to it can be there. Then a packet for a group
 * goes to its members and to routers, one for a group that nobody asked for only to routers (RFC 4541 section 2.1.2, rule 3). Reports go to routers
 * alone (section 2.1.1, rule 1), or hosts would keep quiet about a group that another one has reported. What is for the link itself (224.0.0.0/24, IPv6
 * scopes 0 to 2) is always flooded: hosts do not, or need not, report it.
 *
 * Members are known by group, not by source: a port that wants a group from some senders gets it from all, and its hosts filter. Nothing is
 * answered or sent from here. After a change of the topology everything is flooded until the next query has been answered.
 */
import { Address } from '../base/address.ts'
import { get16, get32 } from '../base/bytes.ts'
import { checksum, sumBytes } from '../base/checksum.ts'
import { Counters, indexOf } from '../base/counters.ts'
import type { SwitchConfig } from '../base/switch-config.ts'
import { ETH, ETH_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../ethernet/wire.ts'
import { MLD_DONE_V1, MLD_QUERY, MLD_REPORT_V1, MLD_REPORT_V2 } from '../icmp6/wire.ts'
import { PROTO_ICMPV6, PROTO_IGMP } from '../ip/packet.ts'
import { IP4, IP4_HEADER } from '../ipv4/wire.ts'
import { IP6, IP6_ADDRESS, IP6_EXT, IP6_HEADER, NEXT_HOP_BY_HOP } from '../ipv6/wire.ts'
import {
  IGMP,
  IGMP_HEADER,
  IGMP_LEAVE,
  IGMP_QUERY,
  IGMP_QUERY_HEADER,
  IGMP_RECORD,
  IGMP_RECORD_HEADER,
  IGMP_REPORT,
  IGMP_REPORT_HEADER,
  IGMP_REPORT_V1,
  IGMP_REPORT_V2,
  IGMP_REPORT_V3,
  MLD,
  MLD_HEADER,
  MLD_QUERY_HEADER,
  MLD_RECORD,
  MLD_RECORD_HEADER,
  MLD_REPORT,
  MLD_REPORT_HEADER,
  RecordType,
  timeOf,
} from '../multicast/wire.ts'
import { type Group, GroupTable } from './groups.ts'
import type { SwitchPort } from './port.ts'

/** Where a multicast frame goes. */
export const Verdict = { FLOOD: 0, ROUTERS: 1, MEMBERS: 2 } as const

const NAMES = ['queries', 'reports', 'leaves', 'dropped', 'groupsFull'] as const
const C = indexOf(NAMES)
/** The older versions give no time for the answer to a query: RFC 2236 section 4, ten seconds. */
const V1_RESPONSE_MS = 10_000
const ALL_LOCAL = 0xe0000000 | 0

/** Whether a VLAN has somebody who asks, for one family. */
class Querier {
  until = 0
  /** From when on what was learned can be complete. */
  from = 0
}

export class Snooping {
  readonly count = new Counters(NAMES)
  private readonly groups: GroupTable
  /** By VLAN id, twice: the odd ones are IPv6's. */
  private readonly queriers = new Map<number, Querier>()
  /** The group that `look` found. */
  private group: Group | null = null
  private readonly address = new Address()
  /** There was a group too many: what is not known is flooded until then. */
  private overflowing = false
  private overflowUntil = 0

  /** @param key of the hash. */
  constructor(
    private readonly config: SwitchConfig,
    key: number,
  ) {
    this.groups = new GroupTable(config.maxGroups, key)
  }

  /** A multicast frame, bare, came in. `Verdict`; afterwards `wants` knows for each port. */
  look(port: SwitchPort, vlan: number, buf: Uint8Array, start: number, end: number, now: number): number {
    const type = get16(buf, start + ETH.etherType)
    const ip = start + ETH_HEADER
    if (type === ETHERTYPE_IPV4 && end - ip >= IP4_HEADER) return this.look4(port, vlan, buf, ip, end, now)
    if (type === ETHERTYPE_IPV6 && end - ip >= IP6_HEADER) return this.look6(port, vlan, buf, ip, end, now)
    return Verdict.FLOOD
  }

  /** Whether the frame that was looked at last goes to that port, when it is not flooded. */
  wants(port: SwitchPort, verdict: number, now: number): boolean {
    if (port.hasRouter || (port.routerHeard && ((port.routerUntil - now) | 0) > 0)) return true
    return verdict === Verdict.MEMBERS && this.group!.has(port.index, now)
  }

  /** Ways have changed: nothing that was learned counts until the next query has been answered. */
  topologyChanged(): void {
    this.queriers.clear()
  }

  /** The port is not there any more. */
  forget(port: SwitchPort): void {
    for (const group of this.groups.all()) group.remove(port.index)
  }

  /** Forgets what is out of date. True: there is something left. */
  sweep(now: number): boolean {
    this.groups.sweep(now)
    for (const [key, querier] of this.queriers) if (((querier.until - now) | 0) <= 0) this.queriers.delete(key)
    if (((this.overflowUntil - now) | 0) <= 0) this.overflowing = false
    return this.groups.count > 0 || this.queriers.size > 0 || this.overflowing
  }

  /** What is known: groups and the numbers of the ports that want them. */
  list(now: number): { vlan: number; group: string; ports: number[] }[] {
    const all = this.groups.all().map((g) => ({ vlan: g.vlan, group: String(g.address), ports: g.ports(now) }))
    return all.filter((g) => g.ports.length > 0)
  }

  private look4(port: SwitchPort, vlan: number, buf: Uint8Array, ip: number, end: number, now: number): number {
    const header = (buf[ip] & 15) << 2
    const last = ip + get16(buf, ip + IP4.totalLength)
    if (buf[ip] >> 4 !== 4 || header < IP4_HEADER || last > end || ip + header > last) return Verdict.FLOOD
    const group = get32(buf, ip + IP4.destination)
    if (buf[ip + IP4.protocol] === PROTO_IGMP) {
      return this.igmp(port, vlan, buf, ip + header, last, get32(buf, ip + IP4.source) !== 0, now)
    }
    if (group >> 8 === ALL_LOCAL >> 8) return Verdict.FLOOD
    this.address.setV4(group)
    return this.known(vlan, 0, now)
  }

  private look6(port: SwitchPort, vlan: number, buf: Uint8Array, ip: number, end: number, now: number): number {
    const last = ip + IP6_HEADER + get16(buf, ip + IP6.payloadLength)
    if (buf[ip] >> 4 !== 6 || last > end) return Verdict.FLOOD
    // MLD has the router alert option before it (RFC 2710 section 3, RFC 3810 section 5).
    const options = ip + IP6_HEADER
    if (buf[ip + IP6.nextHeader] === NEXT_HOP_BY_HOP && last - options >= 8) {
      const at = options + 8 + (buf[options + IP6_EXT.length] << 3)
      if (buf[options + IP6_EXT.nextHeader] === PROTO_ICMPV6 && last - at >= MLD_REPORT_HEADER) {
        const type = buf[at]
        if (type === MLD_QUERY || type === MLD_REPORT_V1 || type === MLD_DONE_V1 || type === MLD_REPORT_V2)
          return this.mld(port, vlan, buf, ip, at, last, now)
      }
    }
    this.address.read(buf, ip + IP6.destination)
    if (this.address.multicastScope <= 2) return Verdict.FLOOD
    return this.known(vlan, 1, now)
  }

  private known(vlan: number, family: number, now: number): number {
    if (!this.isSettled(vlan, family, now)) return Verdict.FLOOD
    this.group = this.groups.find(vlan, this.address)
    if (this.group !== null) return Verdict.MEMBERS
    return this.overflowing ? Verdict.FLOOD : Verdict.ROUTERS
  }

  private isSettled(vlan: number, family: number, now: number): boolean {
    const querier = this.queriers.get(vlan * 2 + family)
    return querier !== undefined && ((querier.until - now) | 0) > 0 && ((querier.from - now) | 0) <= 0
  }

  private igmp(
    port: SwitchPort,
    vlan: number,
    buf: Uint8Array,
    at: number,
    end: number,
    hasSource: boolean,
    now: number,
  ): number {
    const length = end - at
    if (length < IGMP_HEADER || checksum(buf, at, length) !== 0) {
      this.count.values[C.dropped]++
      return Verdict.FLOOD // whoever it is for says what is wrong with it
    }
    const type = buf[at + IGMP.type]
    this.address.setV4(get32(buf, at + IGMP.group))
    if (type === IGMP_QUERY) {
      const code = buf[at + IGMP.maxResponse]
      const tenths = length >= IGMP_QUERY_HEADER ? timeOf(code, 8) : code
      this.query(port, vlan, 0, hasSource, tenths === 0 ? V1_RESPONSE_MS : tenths * 100, now)
      return Verdict.FLOOD
    }
    if (type === IGMP_REPORT_V1 || type === IGMP_REPORT_V2) this.join(port, vlan, now)
    else if (type === IGMP_LEAVE) this.leave(port, vlan, now)
    else if (type === IGMP_REPORT_V3) {
      let off = at + IGMP_REPORT_HEADER
      for (let i = get16(buf, at + IGMP_REPORT.count); i > 0 && end - off >= IGMP_RECORD_HEADER; i--) {
        const sources = get16(buf, off + IGMP_RECORD.count)
        this.address.setV4(get32(buf, off + IGMP_RECORD.group))
        this.record(port, vlan, buf[off + IGMP_RECORD.type], sources, now)
        off += IGMP_RECORD_HEADER + 4 * (sources + buf[off + IGMP_RECORD.auxiliary])
      }
    } else return Verdict.FLOOD // other protocols share the number (DVMRP, PIM version 1)
    return this.isSettled(vlan, 0, now) ? Verdict.ROUTERS : Verdict.FLOOD
  }

  private mld(port: SwitchPort, vlan: number, buf: Uint8Array, ip: number, at: number, end: number, now: number): number {
    const length = end - at
    const type = buf[at]
    const isV2 = type === MLD_REPORT_V2
    // RFC 8200 section 8.1: the pseudo-header has the payload of the upper layer only. RFC 4541 section 3: the checksum is looked at.
    const pseudo = sumBytes(buf, ip + IP6.source, 2 * IP6_ADDRESS, PROTO_ICMPV6 + length)
    if ((!isV2 && length < MLD_HEADER) || checksum(buf, at, length, pseudo) !== 0) {
      this.count.values[C.dropped]++
      return Verdict.FLOOD
    }
    if (type === MLD_QUERY) {
      const code = get16(buf, at + MLD.maxResponse)
      this.address.read(buf, ip + IP6.source)
      const hasSource = !this.address.isUnspecified
      this.query(port, vlan, 1, hasSource, length >= MLD_QUERY_HEADER ? timeOf(code, 16) : code, now)
      return Verdict.FLOOD
    }
    if (isV2) {
      let off = at + MLD_REPORT_HEADER
      for (let i = get16(buf, at + MLD_REPORT.count); i > 0 && end - off >= MLD_RECORD_HEADER; i--) {
        const sources = get16(buf, off + MLD_RECORD.count)
        this.address.read(buf, off + MLD_RECORD.group)
        this.record(port, vlan, buf[off + MLD_RECORD.type], sources, now)
        off += MLD_RECORD_HEADER + IP6_ADDRESS * sources + 4 * buf[off + MLD_RECORD.auxiliary]
      }
    } else {
      this.address.read(buf, at + MLD.group)
      if (type === MLD_REPORT_V1) this.join(port, vlan, now)
      else this.leave(port, vlan, now)
    }
    return this.isSettled(vlan, 1, now) ? Verdict.ROUTERS : Verdict.FLOOD
  }

  private query(port: SwitchPort, vlan: number, family: number, hasSource: boolean, answerMs: number, now: number): void {
    this.count.values[C.queries]++
    const { querierPresentMs } = this.config
    // RFC 4541 section 2.1.1, rule 1b: a query from 0.0.0.0 is another switch's, and no router is there.
    if (hasSource) {
      port.routerHeard = true
      port.routerUntil = (now + querierPresentMs) | 0
    }
    const key = vlan * 2 + family
    let querier = this.queriers.get(key)
    if (querier === undefined || ((querier.until - now) | 0) <= 0) {
      querier = new Querier()
      querier.from = (now + Math.min(answerMs, querierPresentMs)) | 0
      this.queriers.set(key, querier)
    }
    querier.until = (now + querierPresentMs) | 0
  }

  /** RFC 3376 section 4.2.12, RFC 3810 section 5.2.12. A record that includes no source, or only blocks some, asks for nothing new. */
  private record(port: SwitchPort, vlan: number, type: number, sources: number, now: number): void {
    if (type === RecordType.CHANGE_TO_INCLUDE && sources === 0) this.leave(port, vlan, now)
    else if (type === RecordType.MODE_IS_EXCLUDE || type === RecordType.CHANGE_TO_EXCLUDE) this.join(port, vlan, now)
    else if (sources > 0 && type !== RecordType.BLOCK_OLD_SOURCES) this.join(port, vlan, now)
  }

  private join(port: SwitchPort, vlan: number, now: number): void {
    const n = this.count.values
    if (!this.address.isMulticast) {
      n[C.dropped]++
      return
    }
    n[C.reports]++
    const group = this.groups.make(vlan, this.address)
    const until = (now + this.config.membershipMs) | 0
    if (group !== null) group.set(port.index, until)
    else {
      n[C.groupsFull]++
      this.overflowing = true
      this.overflowUntil = until
    }
  }

  /** The querier asks once more, and whoever still wants the group says so within that time. */
  private leave(port: SwitchPort, vlan: number, now: number): void {
    this.count.values[C.leaves]++
    const group = this.groups.find(vlan, this.address)
    if (group === null) return
    if (port.options.fastLeave === true) group.remove(port.index)
    else group.shorten(port.index, (now + this.config.lastMemberMs) | 0)
  }
}
