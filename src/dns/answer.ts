/**
 * What an answer says about a question: the records asked for, at the name itself or at the end of a chain of CNAMEs (RFC 1034 section 3.6.2) and
 * DNAMEs (RFC 6672). Only the answer section is believed, and in it only what belongs to the chain: whatever else a server tells is not used, and
 * never remembered (RFC 2181 section 5.4.1, RFC 5452 section 6).
 */
import { type Message, Rcode } from './message.ts'
import { canonicalName, isWithin, sameName } from './names.ts'
import { CLASS_IN, isType, type ResourceRecord, type TypeName } from './records.ts'

export interface Finding {
  /**
   * `found`; `nodata`: the name has no such records; `notfound`: there is no such name; `elsewhere`: the chain goes on at `canonical`, of which the
   * message says nothing; `circle`: it is too long.
   */
  readonly kind: 'found' | 'nodata' | 'notfound' | 'elsewhere' | 'circle'
  readonly records: readonly ResourceRecord[]
  /** The name at the end of the chain. */
  readonly canonical: string
  /** Seconds for which all of this may be remembered: the least of the chain's and the records' (RFC 2308 section 5 for what is not there). */
  readonly ttl: number
  /** CNAMEs on the way; a DNAME is what it makes of the name. */
  readonly chain: readonly ResourceRecord[]
  /** The zone that says that there is nothing. */
  readonly soa: ResourceRecord | undefined
}

/** A name that answers follow at most `maxLinks` times. */
export function judge(m: Message, name: string, type: TypeName, maxLinks: number): Finding {
  let current = name
  let ttl = Number.POSITIVE_INFINITY
  const chain: ResourceRecord[] = []
  let soa: ResourceRecord | undefined
  const answers = m.answers.filter((r) => r.class === CLASS_IN)
  const finding = (kind: Finding['kind'], records: readonly ResourceRecord[] = []): Finding => {
    return { kind, records, canonical: current, ttl, chain, soa }
  }
  for (;;) {
    const here = answers.filter((r) => sameName(r.name, current))
    const records = type === 'ANY' ? here : here.filter((r) => r.type === type)
    if (records.length > 0 && m.rcode === Rcode.NOERROR) {
      ttl = records.reduce((least, r) => Math.min(least, r.ttl), ttl)
      return finding('found', records)
    }
    const link = type === 'ANY' || type === 'CNAME' ? null : linkAt(answers, here, current)
    if (link === null) break
    if (chain.length >= maxLinks) return finding('circle')
    chain.push({ name: current, type: 'CNAME', class: CLASS_IN, ttl: link.ttl, data: { cname: link.target } })
    current = link.target
    ttl = Math.min(ttl, link.ttl)
  }
  soa = m.authorities.find((r) => r.class === CLASS_IN && isType(r, 'SOA') && isWithin(low(current), low(r.name)))
  const isMissing = m.rcode === Rcode.NXDOMAIN
  if (chain.length > 0 && !isMissing && soa === undefined) return finding('elsewhere')
  ttl = soa !== undefined && isType(soa, 'SOA') ? Math.min(ttl, soa.ttl, soa.data.minimum) : 0
  return finding(isMissing ? 'notfound' : 'nodata')
}

function linkAt(answers: ResourceRecord[], here: ResourceRecord[], current: string): { target: string; ttl: number } | null {
  for (const r of here) if (isType(r, 'CNAME')) return { target: r.data.cname, ttl: r.ttl }
  for (const r of answers) {
    if (!isType(r, 'DNAME') || sameName(r.name, current) || !isWithin(low(current), low(r.name))) continue
    const head = r.name === '' ? current : current.slice(0, current.length - r.name.length - 1)
    const target = r.data.target === '' ? head : `${head}.${r.data.target}`
    // RFC 6672 section 2.2: a name that would be too long does not exist.
    if (canonicalName(target) !== null) return { target, ttl: r.ttl }
  }
  return null
}

function low(name: string): string {
  return name.toLowerCase()
}

/**
 * A server that does not answer for others, and has nothing of its own (lame, or a referral): RFC 1034 section 5.3.1 has stubs ask servers that
 * recurse.
 */
export function isLame(m: Message): boolean {
  if (m.rcode !== Rcode.NOERROR || m.answers.length > 0 || m.authoritative || m.recursionAvailable) return false
  return !m.authorities.some((r) => r.type === 'SOA')
}
