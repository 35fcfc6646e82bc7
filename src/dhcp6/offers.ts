/** What servers advertise, and which of them is asked (RFC 8415 section 18.2.9). */
import { equalBytes } from '../base/bytes.ts'
import type { Binding6, Wanted6 } from './lease.ts'
import type { Dhcp6Message } from './message.ts'
import { Status6 } from './options.ts'

export interface Offer6 {
  /** Its DUID. */
  server: Uint8Array
  /** 0 to 255: what the server thinks of itself (section 21.8). */
  preference: number
  wanted: Wanted6
}

/** What an ADVERTISE offers of addresses and prefixes; null: nothing. */
export function offerOf(m: Dhcp6Message, na: Binding6 | null, pd: Binding6 | null): Offer6 | null {
  const addresses = na?.status === Status6.SUCCESS ? na.addresses.map((a) => a.address) : []
  const prefixes = pd?.status === Status6.SUCCESS ? pd.prefixes.map((p) => p.prefix) : []
  const server = m.get('serverId')
  if (server === undefined || addresses.length + prefixes.length === 0) return null
  return { server, preference: m.get('preference') ?? 0, wanted: { addresses, prefixes } }
}

/**
 * The offers and one more, the best first: those of which more kinds of things are to be had (which section 18.2.9 allows), then those of servers that
 * want to be preferred, then those that came first. One for each server, and so many and no more.
 */
export function ranked(offers: readonly Offer6[], one: Offer6, most: number): Offer6[] {
  const others = offers.filter(
    ({ server }) => server.length !== one.server.length || !equalBytes(server, 0, one.server, 0, server.length),
  )
  const kinds = ({ addresses, prefixes }: Wanted6): number => Math.sign(addresses.length) + Math.sign(prefixes.length)
  return [...others, one].sort((a, b) => kinds(b.wanted) - kinds(a.wanted) || b.preference - a.preference).slice(0, most)
}
