/** Names that no server is asked for, whatever its answer would be (RFC 6761, RFC 6762, RFC 7686). */
import { Address } from '../base/address.ts'
import { isWithin } from './names.ts'
import { failed, type Outcome } from './outcome.ts'
import { CLASS_IN, type ResourceRecord, type TypeName } from './records.ts'

/** Nothing of this is stored anywhere. */
const TTL = 0

const V4 = Address.v4(0x7f000001)
const V6 = new Address(0, 0, 0, 1)

/** `localhost` and all below it (RFC 6761 section 6.3). The name in its canonical form. */
export function isLocalhost(name: string): boolean {
  return isWithin(name, 'localhost')
}

/** What is known of a name (in its canonical form) without asking; null: it must be asked for. */
export function specialAnswer(name: string, type: TypeName): Outcome | null {
  if (isLocalhost(name)) {
    const of = (record: Pick<ResourceRecord, 'type' | 'data'>): Outcome => {
      const records = [{ name, class: CLASS_IN, ttl: TTL, ...record } as ResourceRecord]
      return { code: '', records, canonical: name, ttl: TTL }
    }
    if (type === 'A') return of({ type: 'A', data: { address: V4.clone() } })
    if (type === 'AAAA') return of({ type: 'AAAA', data: { address: V6.clone() } })
    return failed('ENODATA', name)
  }
  // RFC 6762 section 3: names of the link, which servers know nothing of. RFC 6761 section 6.4, RFC 7686 section 2: names that there are never.
  if (isWithin(name, 'local'))
    return failed('ENOTFOUND', name, 'names below .local are for multicast DNS, which is off (mdns.listen)')
  if (isWithin(name, 'invalid') || isWithin(name, 'onion')) return failed('ENOTFOUND', name)
  return null
}
