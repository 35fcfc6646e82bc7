/** What a store gives back: it may be of another version, damaged, or of JSON, which has no Infinity. Nothing of it is believed unseen. */
import { parseAddress, prefix as parsePrefix } from '../base/address.ts'
import { parseDuid } from './duid.ts'
import type { DelegatedPrefix, Kept6, Lease6, LeasedAddress } from './lease.ts'

type Fields = Record<string, unknown>

/** Null: there is no DUID in it. A lease that is none is left out. */
export function restored(value: unknown): Kept6 | null {
  const duid = (value as Fields | null)?.duid
  if (typeof duid !== 'string' || parseDuid(duid) === null) return null
  try {
    return { duid, lease: leaseOf((value as Fields).lease) }
  } catch {
    return { duid, lease: null }
  }
}

/** Throws whatever comes for what is no lease. */
function leaseOf(value: unknown): Lease6 | null {
  if (value === null) return null
  const v = value as { [K in keyof Lease6]: unknown }
  const addresses = (v.addresses as Fields[]).map(
    (a): LeasedAddress => ({
      address: addressIn(a.address),
      preferredUntil: time(a.preferredUntil),
      validUntil: time(a.validUntil),
    }),
  )
  const prefixes = (v.prefixes as Fields[]).map(
    (p): DelegatedPrefix => ({
      prefix: prefixIn(p.prefix),
      preferredUntil: time(p.preferredUntil),
      validUntil: time(p.validUntil),
    }),
  )
  return {
    addresses,
    prefixes,
    server: String(v.server),
    nameservers: texts(v.nameservers).map(addressIn),
    searchDomains: texts(v.searchDomains),
    ntpServers: texts(v.ntpServers),
    obtainedAt: time(v.obtainedAt),
    renewAt: time(v.renewAt),
    rebindAt: time(v.rebindAt),
    expiresAt: time(v.expiresAt),
    options: {}, // servers say them again
  }
}

function time(value: unknown): number {
  const at = value ?? Number.POSITIVE_INFINITY
  if (typeof at !== 'number' || Number.isNaN(at)) throw new TypeError('no time')
  return at
}

function texts(value: unknown): string[] {
  return (value as unknown[]).map(String)
}

function addressIn(value: unknown): string {
  const a = parseAddress(String(value))
  if (a === null || a.isV4) throw new TypeError('no address')
  return `${a}`
}

function prefixIn(value: unknown): string {
  const { network } = parsePrefix(String(value))
  if (network.address.isV4) throw new TypeError('no prefix')
  return `${network}`
}
