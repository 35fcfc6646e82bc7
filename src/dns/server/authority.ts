/**
 * What our zones say of a question (RFC 1034 section 4.3.2): the best zone is looked into, aliases are followed as long as they lead to zones of
 * ours, and addresses that the asker will want next are added.
 *
 * The rcode of a chain is that of its last name (RFC 6604), AA is about its first one (RFC 1035 section 4.1.1). ANY gets all sets over
 * TCP, and one of them over UDP (RFC 8482 section 4.1, 4.4): it is a question of attackers.
 */
import { Rcode } from '../message.ts'
import { canonicalName, parentOf } from '../names.ts'
import { isType, type ResourceRecord, type TypeName } from '../records.ts'
import type { Zone } from './zone.ts'

export interface Reply {
  rcode: number
  authoritative: boolean
  answers: ResourceRecord[]
  authorities: ResourceRecord[]
  additionals: ResourceRecord[]
  /** The first so many of `additionals` must be in the answer: servers below the delegated name itself (RFC 9471). */
  needed: number
  /** Where a chain leaves our zones; null: it does not. */
  elsewhere: string | null
}

export function emptyReply(rcode: number): Reply {
  return { rcode, authoritative: false, answers: [], authorities: [], additionals: [], needed: 0, elsewhere: null }
}

export class Authority {
  private readonly zones = new Map<string, Zone>()

  constructor(private readonly maxChain: number) {}

  get all(): readonly Zone[] {
    return [...this.zones.values()]
  }

  add(zone: Zone): void {
    this.zones.set(zone.name, zone)
  }

  remove(zone: Zone): void {
    if (this.zones.get(zone.name) === zone) this.zones.delete(zone.name)
  }

  /** The zone of exactly that name. */
  named(name: string): Zone | undefined {
    return this.zones.get(name)
  }

  /** The zone that knows most of a name (in lower case); undefined: none. */
  zoneOf(name: string): Zone | undefined {
    if (this.zones.size === 0) return undefined
    for (let at = name; ; at = parentOf(at)) {
      const zone = this.zones.get(at)
      if (zone !== undefined || at === '') return zone
    }
  }

  /** The answer; null: no zone of ours has the name. */
  answer(asked: string, type: TypeName, isAnyWhole: boolean): Reply | null {
    let current = asked
    let name = canonicalName(asked)!
    let zone = this.zoneFor(name, type)
    if (zone === undefined) return null
    const reply = emptyReply(Rcode.NOERROR)
    reply.authoritative = true
    for (let links = 0; ; links++) {
      const found = zone.find(name, current, type)
      if (found.kind === 'records') {
        const one = type === 'ANY' && !isAnyWhole ? found.records.filter((r) => r.type === found.records[0].type) : found.records
        reply.answers.push(...one)
        this.addAddresses(reply, one)
        return reply
      }
      if (found.kind === 'referral') {
        this.refer(reply, found.records, links === 0)
        return reply
      }
      if (found.kind !== 'alias') {
        if (found.kind === 'nxdomain') reply.rcode = Rcode.NXDOMAIN
        reply.authorities.push(negativeSoa(zone))
        return reply
      }
      const { target } = found
      reply.answers.push(...found.records)
      if (target === null) {
        reply.rcode = YXDOMAIN
        return reply
      }
      const isCircle = reply.answers.some((r) => r.type === 'CNAME' && canonicalName(r.name) === canonicalName(target))
      if (isCircle || links >= this.maxChain) return reply
      current = target
      name = canonicalName(target)!
      const next = this.zoneFor(name, type)
      if (next === undefined) {
        reply.elsewhere = target
        return reply
      }
      zone = next
    }
  }

  /** DS is asked of the zone above (RFC 4035 section 3.1.4.1), if that is ours. */
  private zoneFor(name: string, type: TypeName): Zone | undefined {
    const zone = this.zoneOf(name)
    if (type !== 'TYPE43' || zone === undefined || zone.name !== name || name === '') return zone
    return this.zoneOf(parentOf(name)) ?? zone
  }

  private refer(reply: Reply, servers: readonly ResourceRecord[], isFirst: boolean): void {
    if (isFirst) reply.authoritative = false
    reply.authorities.push(...servers)
    const cut = canonicalName(servers[0].name)!
    const glue: ResourceRecord[] = []
    const others: ResourceRecord[] = []
    for (const r of servers) {
      if (!isType(r, 'NS')) continue
      const name = canonicalName(r.data.nsdname)!
      const isBelow = name === cut || name.endsWith(`.${cut}`)
      this.addressesOf(name, isBelow ? glue : others)
    }
    reply.additionals.push(...glue, ...others)
    reply.needed = glue.length
  }

  private addAddresses(reply: Reply, records: readonly ResourceRecord[]): void {
    for (const r of records) {
      const name = targetOf(r)
      if (name !== null) this.addressesOf(canonicalName(name)!, reply.additionals)
    }
  }

  private addressesOf(name: string, into: ResourceRecord[]): void {
    const zone = this.zoneOf(name)
    if (zone === undefined || into.some((r) => canonicalName(r.name) === name)) return
    into.push(...zone.exactly(name, 'A'), ...zone.exactly(name, 'AAAA'))
  }
}

/** RFC 6672 section 2.2, RFC 2136: the name that a DNAME makes is too long. */
const YXDOMAIN = 6

/** RFC 2308 section 3: it may be remembered as long as the SOA says that there is nothing. */
export function negativeSoa(zone: Zone): ResourceRecord {
  const { soa } = zone
  return soa.data.minimum >= soa.ttl ? soa : { ...soa, ttl: soa.data.minimum }
}

/** The host that a record leads to, whose addresses are wanted next (RFC 1035 section 3.3, RFC 2782, RFC 9460 section 4.1). */
function targetOf(r: ResourceRecord): string | null {
  if (isType(r, 'NS')) return r.data.nsdname
  if (isType(r, 'MX')) return r.data.exchange
  if (isType(r, 'SRV')) return r.data.target
  if (isType(r, 'SVCB') || isType(r, 'HTTPS')) return r.data.target === '' ? r.name : r.data.target
  return null
}
