/**
 * Names that stand in no zone: those of a hosts file, those of addresses (PTR) made of the addresses that our zones and hosts have, and zones that are never
 * anybody's on the network, about which nobody else is asked (RFC 6303, RFC 6761, RFC 7686, RFC 7793, RFC 8375).
 */
import { LOOPBACK_V6 } from '../../base/address.ts'
import { Hosts } from '../hosts.ts'
import { Rcode } from '../message.ts'
import { parentOf } from '../names.ts'
import { CLASS_IN, isType, type ResourceRecord, type TypeName } from '../records.ts'
import { addressOfReverse, reverseName } from '../reverse.ts'
import { emptyReply, type Reply } from './authority.ts'
import { Zone, type ZoneListener } from './zone.ts'

/** Names of addresses, kept as zones change. */
export class ReverseNames implements ZoneListener {
  /** By name of the address: the names that have it. */
  private readonly names = new Map<string, Set<string>>()

  follow(zone: Zone): void {
    for (const r of zone.records) this.add(r)
    zone.listeners.add(this)
  }

  unfollow(zone: Zone): void {
    for (const r of zone.records) this.drop(r)
    zone.listeners.delete(this)
  }

  changed(before: readonly ResourceRecord[], after: readonly ResourceRecord[]): void {
    for (const r of before) this.drop(r)
    for (const r of after) this.add(r)
  }

  of(name: string): readonly string[] {
    return [...(this.names.get(name) ?? [])]
  }

  private add(r: ResourceRecord): void {
    if (!(isType(r, 'A') || isType(r, 'AAAA')) || r.name.startsWith('*.')) return
    const key = reverseName(r.data.address)
    const names = this.names.get(key)
    if (names === undefined) this.names.set(key, new Set([r.name]))
    else names.add(r.name)
  }

  private drop(r: ResourceRecord): void {
    if (!(isType(r, 'A') || isType(r, 'AAAA'))) return
    const key = reverseName(r.data.address)
    const names = this.names.get(key)
    if (names?.delete(r.name) === true && names.size === 0) this.names.delete(key)
  }
}

/** A hosts file, and names of addresses. */
export class OwnNames {
  private readonly hosts: Hosts

  constructor(
    hosts: string,
    /** Null: names of addresses are not made. */
    private readonly reverse: ReverseNames | null,
    private readonly ttl: number,
  ) {
    this.hosts = new Hosts(hosts)
  }

  /** Null: the name is not known here. `name` in lower case, `asked` as it was written. */
  answer(name: string, asked: string, type: TypeName): Reply | null {
    const found = this.pointers(name, asked) ?? this.addresses(name, asked)
    if (found === null) return null
    const reply = emptyReply(Rcode.NOERROR)
    reply.authoritative = true
    reply.answers = found.filter((r) => type === 'ANY' || r.type === type)
    return reply
  }

  private addresses(name: string, asked: string): ResourceRecord[] | null {
    // Those with a zone mean something to us alone.
    const found = this.hosts.find(name, () => null)
    if (found.length === 0) return null
    return found.map((address) => ({
      name: asked,
      type: address.isV4 ? 'A' : 'AAAA',
      class: CLASS_IN,
      ttl: this.ttl,
      data: { address },
    }))
  }

  private pointers(name: string, asked: string): ResourceRecord[] | null {
    const address = this.reverse === null ? null : addressOfReverse(name)
    if (address === null) return null
    const names = new Set([...this.hosts.namesOf(address).slice(0, 1), ...this.reverse!.of(name)])
    if (names.size === 0) return null
    return [...names].map((ptrdname) => ({ name: asked, type: 'PTR', class: CLASS_IN, ttl: this.ttl, data: { ptrdname } }))
  }
}

const ULA_AND_LINK_LOCAL = ['c', 'd'].map((n) => `${n}.f.ip6.arpa`).concat(['8', '9', 'a', 'b'].map((n) => `${n}.e.f.ip6.arpa`))

/** The names, all below them included. */
const LOCAL_ZONES: ReadonlySet<string> = new Set([
  // RFC 6303 section 4, RFC 7793
  ...['0', '10', '127', '168.192', '254.169', '2.0.192', '100.51.198', '113.0.203'].map((net) => `${net}.in-addr.arpa`),
  '255.255.255.255.in-addr.arpa',
  ...Array.from({ length: 16 }, (_, i) => `${16 + i}.172.in-addr.arpa`),
  ...Array.from({ length: 64 }, (_, i) => `${64 + i}.100.in-addr.arpa`),
  `${'0.'.repeat(32)}ip6.arpa`,
  reverseName(LOOPBACK_V6),
  ...ULA_AND_LINK_LOCAL,
  '8.b.d.0.1.0.0.2.ip6.arpa',
  // RFC 6761 section 6, RFC 6762 section 22.1, RFC 7686 section 2, RFC 8375 section 5
  'localhost',
  'test',
  'invalid',
  'local',
  'onion',
  'home.arpa',
])

/** What of RFC 6303 section 3 and RFC 6761 section 6.3 is in some of them. */
const CONTENTS: Readonly<Record<string, string>> = {
  localhost: '@ A 127.0.0.1\n@ AAAA ::1\n* A 127.0.0.1\n* AAAA ::1',
  '127.in-addr.arpa': '1.0.0 PTR localhost.',
  [reverseName(LOOPBACK_V6)]: '@ PTR localhost.',
}

/** The zone that is nobody's and has the name (in lower case); null: there is none. */
export class LocalZones {
  private readonly made = new Map<string, Zone>()

  zoneOf(name: string): Zone | null {
    for (let at = name; at !== ''; at = parentOf(at)) {
      if (!LOCAL_ZONES.has(at)) continue
      let zone = this.made.get(at)
      if (zone === undefined) {
        // RFC 6303 section 3.
        zone = new Zone(at, `$TTL 10800\n@ SOA @ nobody.invalid. 1 3600 1200 604800 10800\n@ NS @\n${CONTENTS[at] ?? ''}`)
        this.made.set(at, zone)
      }
      return zone
    }
    return null
  }
}
