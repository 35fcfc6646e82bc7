/**
 * Several next hops of one route: which flow takes which.
 *
 * A flow is a pair of addresses (RFC 2991 section 2: packets of one flow must keep their order), and a keyed hash of it chooses, so that
 * nobody outside can aim all flows at one hop. Shares follow the weights. First all hops are candidates; a flow whose hop is dead is
 * spread again over those that live, and so nobody else's flow moves when a hop dies or comes back.
 */
import type { Address } from '../base/address.ts'
import type { Random } from '../base/random.ts'
import { HalfSipHash } from '../base/siphash.ts'
import type { Interface } from './interface.ts'
import { isSilent, type WeightedHop } from './route.ts'

export class Multipath {
  private readonly hash: HalfSipHash

  constructor(random: Random) {
    this.hash = new HalfSipHash(random)
  }

  /**
   * The hop for a flow; `iface`: over this interface only. `source`: the unspecified address for what we send ourselves, whose way must not
   * change when its source becomes known. The first hop when none lives.
   */
  choose(hops: readonly WeightedHop[], source: Address, destination: Address, iface: Interface | null): WeightedHop {
    const hash = this.hash.hash4(source.digest, destination.digest, 0, 0)
    const wanted = pick(hops, hash, iface, false)
    if (wanted !== null && isAlive(wanted, iface)) return wanted
    return pick(hops, this.hash.hash4(source.digest, destination.digest, 1, 0), iface, true) ?? hops[0]
  }
}

/** The hop where the hash falls when the hops lie side by side, each as broad as its weight. */
function pick(hops: readonly WeightedHop[], hash: number, iface: Interface | null, alive: boolean): WeightedHop | null {
  let total = 0
  for (const hop of hops) if (!alive || isAlive(hop, iface)) total += hop.weight
  let at = Math.floor(((hash >>> 0) / 0x1_0000_0000) * total)
  for (const hop of hops) {
    if (alive && !isAlive(hop, iface)) continue
    if (at < hop.weight) return hop
    at -= hop.weight
  }
  return null
}

/** Its interface is up, and its gateway has not been found to be silent. */
function isAlive(hop: WeightedHop, iface: Interface | null): boolean {
  return hop.iface.up && (iface === null || hop.iface === iface) && !isSilent(hop)
}
