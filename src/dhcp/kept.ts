/** What a store gives back: it may be of another version, damaged, or of JSON, which has no Infinity. Nothing of it is believed unseen. */
import { parseIPv4 } from '../base/address.ts'
import { isHostWord } from './lease.ts'

/** The address of a lease that was kept, if it can be one and is not over at `now` (milliseconds since 1970); else null. */
export function keptAddress(kept: unknown, now: number): string | null {
  const { address, expiresAt } = (kept ?? {}) as Record<string, unknown>
  const word = typeof address === 'string' ? parseIPv4(address) : null
  if (word === null || !isHostWord(word)) return null
  const end = expiresAt === null ? Number.POSITIVE_INFINITY : expiresAt
  return typeof end === 'number' && end > now ? (address as string) : null
}
