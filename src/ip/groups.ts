/**
 * The multicast groups of one interface, of both families (RFC 1112 section 7.1, RFC 3810 section 4): who joins is counted, what is
 * joined is heard, and the protocol that tells routers about it (IGMP, MLD) listens for changes.
 */
import type { Address } from '../base/address.ts'

/** Who tells routers what is listened to. */
export interface GroupListener {
  /** The first join of a group, or the last leave. `group` is lent. */
  groupChanged(group: Address, joined: boolean): void
}

export class Groups {
  /** Joins per group, by `Address.key` for IPv6 and by word for IPv4. */
  private readonly joined = new Map<number | string, { readonly group: Address; count: number }>()
  listener4: GroupListener | null = null
  listener6: GroupListener | null = null

  /** True when packets to the group are for us. */
  has(group: Address): boolean {
    return this.joined.has(keyOf(group))
  }

  join(group: Address): void {
    const key = keyOf(group)
    const known = this.joined.get(key)
    if (known !== undefined) {
      known.count++
      return
    }
    this.joined.set(key, { group: group.clone(), count: 1 })
    this.told(group, true)
  }

  /** False: it was not joined. */
  leave(group: Address): boolean {
    const key = keyOf(group)
    const known = this.joined.get(key)
    if (known === undefined) return false
    if (--known.count === 0) {
      this.joined.delete(key)
      this.told(group, false)
    }
    return true
  }

  /** Every group that is listened to. */
  *[Symbol.iterator](): Generator<Address> {
    for (const { group } of this.joined.values()) yield group
  }

  private told(group: Address, joined: boolean): void {
    const listener = group.isV4 ? this.listener4 : this.listener6
    listener?.groupChanged(group, joined)
  }
}

function keyOf(a: Address): number | string {
  return a.isV4 ? a.w3 : a.key
}
