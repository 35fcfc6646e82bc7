/**
 * From a name to addresses, as getaddrinfo(3) does it: literals, hosts, `localhost`, then the servers, with the search list of resolv.conf(5) for names of few
 * dots. Both families are asked for at once. What was found is ordered by RFC 6724 section 6.
 */
import { Address, parseAddress } from '../base/address.ts'
import type { Ip } from '../ip/ip.ts'
import { orderDestinations } from '../ip/source.ts'
import { parseScoped } from '../ip/zone.ts'
import { canonicalName, dotsOf, isAbsolute } from './names.ts'
import type { Outcome } from './outcome.ts'
import { isType } from './records.ts'
import type { Resolver } from './resolver.ts'
import { isLocalhost, specialAnswer } from './special.ts'

/** Which addresses of a name are wanted, in which order: those of getaddrinfo. */
export interface LookupOptions {
  /** 0: either. */
  family?: 0 | 4 | 6
  /** Only families of which this stack has addresses (AI_ADDRCONFIG); if it has none at all, both. */
  configuredOnly?: boolean
}

/** `ENOTFOUND`: there is no such name, or it has no such address. `EAI_AGAIN`: nobody could say. `ECANCELLED`: the resolver was. */
export type LookupResult =
  | { readonly code: ''; readonly addresses: Address[]; readonly canonical: string }
  | { readonly code: 'ENOTFOUND' | 'EAI_AGAIN' | 'ECANCELLED'; readonly addresses: readonly []; readonly why?: string }

type Family = 4 | 6

const TYPE_OF: { readonly [F in Family]: 'A' | 'AAAA' } = { 4: 'A', 6: 'AAAA' }

/** Looks a name up. Never rejects. */
export async function lookup(resolver: Resolver, text: string, options: LookupOptions = {}): Promise<LookupResult> {
  const { ip } = resolver
  const literal = literalOf(ip, text)
  if (literal !== null) {
    const fits = options.family === undefined || options.family === 0 || options.family === literal.family
    return fits ? { code: '', addresses: [literal], canonical: text } : notFound()
  }
  const name = canonicalName(text)
  if (name === null || name === '') return notFound()
  const families = familiesOf(ip, options, isLocalhost(name))
  const written = hostsOf(resolver, name, families)
  if (written.length > 0) return found(resolver, written, name)
  let again: Outcome | null = null
  let why: string | undefined
  for (const candidate of candidates(resolver, text, name)) {
    const outcomes = await Promise.all(families.map((f) => resolver.resolve(candidate, TYPE_OF[f])))
    const addresses = outcomes.flatMap(addressesOf)
    if (addresses.length > 0) return found(resolver, addresses, outcomes.find((o) => o.code === '')!.canonical)
    const trouble = outcomes.find((o) => o.code !== 'ENOTFOUND' && o.code !== 'ENODATA' && o.code !== '' && o.code !== 'EBADNAME')
    why ??= outcomes.find((o) => o.why !== undefined)?.why
    if (trouble === undefined) continue
    again = trouble
    // As glibc: a server's refusal does not end the search, silence does.
    if (trouble.code !== 'ESERVFAIL') break
  }
  if (again === null) return notFound(why)
  return { code: again.code === 'ECANCELLED' ? 'ECANCELLED' : 'EAI_AGAIN', addresses: [], why: again.why }
}

function notFound(why?: string): LookupResult {
  return { code: 'ENOTFOUND', addresses: [], why }
}

function found(resolver: Resolver, addresses: Address[], canonical: string): LookupResult {
  const unique = addresses.filter((a, i) => addresses.findIndex((b) => b.equals(a)) === i)
  return { code: '', addresses: orderDestinations(resolver.ip, unique), canonical }
}

/** An address in text; null: none. Of a zone that is not here: none either. */
export function literalOf(ip: Ip, text: string): Address | null {
  if (parseAddress(text.replace(/%.*$/, '')) === null) return null
  try {
    return parseScoped(ip, text)
  } catch {
    return null
  }
}

function familiesOf(ip: Ip, { family = 0, configuredOnly = false }: LookupOptions, isLocal: boolean): Family[] {
  const wanted: Family[] = family === 0 ? [4, 6] : [family]
  if (!configuredOnly || isLocal) return wanted
  const has = wanted.filter((f) =>
    ip.interfaces.some((i) => !i.isLoopback && i.addresses.some((a) => a.address.family === f && !a.address.isLinkLocal)),
  )
  return has.length > 0 ? has : wanted
}

/** Names of the hosts file, and `localhost` wherever that has none of its own. */
function hostsOf(resolver: Resolver, name: string, families: readonly Family[]): Address[] {
  const zoned = (a: Address, zone: string): Address | null => {
    return literalOf(resolver.ip, `${new Address(a.w0, a.w1, a.w2, a.w3)}%${zone}`)
  }
  return resolver.hosts.find(name, zoned).filter((a) => families.includes(a.family))
}

/** The names to try, one after the other (res_search of glibc). */
function candidates(resolver: Resolver, text: string, name: string): string[] {
  if (isAbsolute(text) || specialAnswer(name, 'A') !== null) return [name]
  const searched = resolver.searchDomains.map((domain) => `${name}.${domain}`).filter((one) => canonicalName(one) !== null)
  return dotsOf(name) >= resolver.config.ndots ? [name, ...searched] : [...searched, name]
}

function addressesOf(outcome: Outcome): Address[] {
  const out: Address[] = []
  for (const r of outcome.records) {
    // An IPv4 address in the clothes of IPv6 would get past whoever looks at families.
    if ((isType(r, 'A') || (isType(r, 'AAAA') && !r.data.address.isV4)) && !r.data.address.isUnspecified) {
      out.push(r.data.address.clone())
    }
  }
  return out
}
