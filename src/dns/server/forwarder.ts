/**
 * Questions passed on to other servers, by domain: those of the longest one that has the name. Each group of servers has a resolver, with its cache and all that
 * it does about forged answers, time-outs and equal questions under way.
 */
import { Address, prefix } from '../../base/address.ts'
import { get32 } from '../../base/bytes.ts'
import { invalidArgument } from '../../base/errors.ts'
import { isWithin, parentOf } from '../names.ts'
import type { Outcome } from '../outcome.ts'
import { isType, type ResourceRecord } from '../records.ts'
import type { Resolver } from '../resolver.ts'
import { zoneName } from './master-file.ts'

/** True: to the servers that the stack knows. Servers, or servers by domain; `.` is the rest. */
export type ForwardOption = boolean | readonly string[] | { readonly [domain: string]: readonly string[] | true }

/** Makes a resolver that asks these servers; the stack's own for true. Throws ERR_INVALID_IP_ADDRESS. */
export type ResolverMaker = (servers: readonly string[] | true) => Resolver

export class Forwarder {
  private readonly byDomain = new Map<string, Resolver>()
  private readonly own: Resolver[] = []

  constructor(option: ForwardOption, make: ResolverMaker) {
    const table = option === true || Array.isArray(option) ? { '.': option } : option === false ? {} : option
    for (const [domain, servers] of Object.entries(table) as [string, readonly string[] | true][]) {
      if (servers !== true && servers.length === 0) throw invalidArgument(`option forward: no servers for ${domain}`)
      const resolver = make(servers)
      if (servers !== true) this.own.push(resolver)
      this.byDomain.set(zoneName(domain), resolver)
    }
  }

  get isOn(): boolean {
    return this.byDomain.size > 0
  }

  /** Who is asked about a name (in lower case); null: nobody. */
  find(name: string): Resolver | null {
    return this.named(name) ?? this.byDomain.get('') ?? null
  }

  /** The same, but only when a domain that has the name was given; null: the rest has it. */
  named(name: string): Resolver | null {
    if (this.byDomain.size === 0) return null
    for (let at = name; at !== ''; at = parentOf(at)) {
      const resolver = this.byDomain.get(at)
      if (resolver !== undefined) return resolver
    }
    return null
  }

  close(): void {
    for (const resolver of this.own) resolver.close()
  }
}

/** Networks that are never on the other side of a gateway (RFC 1122 section 3.2.1.3, RFC 1918, RFC 3927, RFC 4193, RFC 6598). */
const INSIDE = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'],
  ...['::/128', '::1/128', 'fc00::/7', 'fe80::/10'],
].map(prefix)

/** Servers of others that lead browsers into our network (DNS rebinding), but for domains whose servers may. */
export class RebindGuard {
  private readonly allowed: readonly string[]

  constructor(allowed: readonly string[]) {
    this.allowed = allowed.map(zoneName)
  }

  /** `name` in lower case. */
  objects(name: string, { records }: Outcome): boolean {
    return records.some(leadsInside) && !this.allowed.some((domain) => isWithin(name, domain))
  }
}

/** SvcParamKeys with addresses (RFC 9460 section 7.3). */
const HINTS: Readonly<Record<number, 4 | 16>> = { 4: 4, 6: 16 }

function leadsInside(r: ResourceRecord): boolean {
  const isInside = (a: Address): boolean => INSIDE.some((p) => p.contains(a))
  if (isType(r, 'A') || isType(r, 'AAAA')) return isInside(r.data.address)
  if (!isType(r, 'HTTPS') && !isType(r, 'SVCB')) return false
  return r.data.params.some(({ key, value }) => {
    const size = HINTS[key]
    if (size === undefined) return false
    for (let at = 0; at + size <= value.length; at += size) {
      if (isInside(size === 4 ? Address.v4(get32(value, at)) : new Address().read(value, at))) return true
    }
    return false
  })
}
