/**
 * The groups of one socket: which it joined, on which interface, and from whom it wants to hear (RFC 3376 section 3.1; RFC 3678). What its
 * sockets want is put together per interface by ip/groups.ts.
 *
 * The rules are those of Linux: a join is for all sources, or by source; the two may not be mixed while there is a list of sources, and the
 * last source that is dropped ends the membership. A socket hears what it asked for; groups that only others of this stack have joined
 * it hears as well, unless its `multicastAll` is false (IP_MULTICAST_ALL, which is on in Linux too).
 */
import type { Address } from '../base/address.ts'
import type { UdpConfig } from '../base/config.ts'
import { NetError } from '../base/errors.ts'
import { contains, FilterMode, SourceFilter, sameWords } from '../ip/groups.ts'
import type { Interface } from '../ip/interface.ts'

class Membership extends SourceFilter {
  constructor(
    readonly iface: Interface,
    group: Address,
    mode: number,
    sources: readonly Address[],
  ) {
    super(group, mode, sources)
  }
}

export class Memberships {
  private readonly list: Membership[] = []

  constructor(private readonly config: UdpConfig) {}

  /** How many. */
  get count(): number {
    return this.list.length
  }

  /** True when the socket wants the packet; `unless`: what it says to groups that it has not joined there. */
  hears(group: Address, source: Address, iface: Interface, unless: boolean): boolean {
    const m = this.find(group, iface)
    return m === null ? unless : m.allows(source)
  }

  /** Hears the group from everybody. EADDRINUSE: joined already. ENOBUFS: too many. */
  join(group: Address, iface: Interface): void {
    if (this.find(group, iface) !== null) throw refused('EADDRINUSE', group)
    this.add(new Membership(iface, group, FilterMode.EXCLUDE, []))
  }

  /** Ends a membership, with all its sources. EADDRNOTAVAIL: there is none. `iface` null: the first of that group. */
  leave(group: Address, iface: Interface | null): void {
    const m = this.find(group, iface)
    if (m === null) throw refused('EADDRNOTAVAIL', group)
    this.remove(m)
  }

  /**
   * Adds a source to the list of a membership or takes it from there, `mode` saying which kind of list it is to be. A membership by
   * source begins with its first. EINVAL: nothing joined (to block from), or the list is one of the other kind. EADDRNOTAVAIL: the source
   * is there already, or is not. ENOBUFS: too many.
   */
  change(group: Address, iface: Interface, source: Address, mode: number, add: boolean): void {
    let m = this.find(group, iface)
    if (m === null && add && mode === FilterMode.INCLUDE) {
      m = new Membership(iface, group, mode, [source.clone()])
      this.add(m)
      return
    }
    if (m === null || (m.sources.length > 0 && m.mode !== mode)) throw refused('EINVAL', group)
    const known = m.mode === mode && contains(m.sources, source)
    if (known === add) throw refused('EADDRNOTAVAIL', group)
    if (add) {
      if (m.sources.length >= this.maxSources(group)) throw refused('ENOBUFS', group)
      m.sources = [...m.sources, source.clone()]
    } else {
      if (mode === FilterMode.INCLUDE && m.sources.length === 1) {
        this.remove(m)
        return
      }
      m.sources = m.sources.filter((s) => !sameWords(s, source))
    }
    m.mode = mode
    iface.groups.refilter(m)
  }

  /** The whole list at once: IPMulticastListen of RFC 3376 section 2. INCLUDE with no sources leaves. ENOBUFS: too many. */
  set(group: Address, iface: Interface, mode: number, sources: readonly Address[]): void {
    if (sources.length > this.maxSources(group)) throw refused('ENOBUFS', group)
    const m = this.find(group, iface)
    const list: Address[] = []
    for (const s of sources) if (!contains(list, s)) list.push(s.clone())
    if (mode === FilterMode.INCLUDE && list.length === 0) {
      if (m !== null) this.remove(m)
    } else if (m === null) this.add(new Membership(iface, group, mode, list))
    else {
      m.mode = mode
      m.sources = list
      iface.groups.refilter(m)
    }
  }

  /** Leaves everything: the socket closes. */
  clear(): void {
    for (const m of this.list.splice(0)) m.iface.groups.ignore(m)
  }

  /** The interface is gone. */
  drop(iface: Interface): void {
    for (const m of [...this.list]) if (m.iface === iface) this.remove(m)
  }

  private add(m: Membership): void {
    if (this.list.length >= this.config.maxMemberships) throw refused('ENOBUFS', m.group)
    this.list.push(m)
    m.iface.groups.listen(m)
  }

  private remove(m: Membership): void {
    this.list.splice(this.list.indexOf(m), 1)
    m.iface.groups.ignore(m)
  }

  private find(group: Address, iface: Interface | null): Membership | null {
    const { list } = this
    for (let i = 0; i < list.length; i++) {
      if ((iface === null || list[i].iface === iface) && sameWords(list[i].group, group)) return list[i]
    }
    return null
  }

  private maxSources(group: Address): number {
    return group.isV4 ? this.config.maxSources : this.config.maxSources6
  }
}

function refused(code: string, group: Address): NetError {
  return new NetError(code, { syscall: 'setsockopt', address: group.toString() })
}
