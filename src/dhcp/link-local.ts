/** Link-local addresses of IPv4 (RFC 3927): which one to try. Whether it is free, conflict detection finds out (RFC 5227). */
import { get32 } from '../base/bytes.ts'
import { randomBelow, SeededRandom } from '../base/random.ts'

const FIRST = 0xa9fe0100
/** 169.254.1.0 to 169.254.254.255: the first and last 256 are reserved (section 2.1). */
const COUNT = 0xfe00

/** The `attempt`-th address that a host tries, as an IPv4 word: chosen by its link address, the same after each restart (section 2.1). */
export function linkLocalAddress(mac: Uint8Array, attempt: number): number {
  const random = new SeededRandom(get32(mac, 2) ^ (mac[0] << 8) ^ mac[1])
  let place = 0
  for (let i = 0; i <= attempt; i++) place = randomBelow(random, COUNT)
  return (FIRST + place) | 0
}
