/** What a stack tells routers of multicast groups, in both families: put together, and shown as `ip maddr` does. */
import { FilterMode } from '../ip/groups.ts'
import type { Interface } from '../ip/interface.ts'
import { Igmp, type IgmpDependencies } from './igmp.ts'
import { Mld, type MldDependencies } from './mld.ts'

/** A group that is listened to on an interface. */
export interface GroupSummary {
  interface: string
  group: string
  /** From whom: only `sources`, or all but them. */
  mode: 'include' | 'exclude'
  sources: string[]
  /** How many listen: sockets, and the stack itself. */
  users: number
}

export class Multicast {
  readonly igmp: Igmp
  readonly mld: Mld

  constructor(deps: IgmpDependencies & MldDependencies) {
    this.igmp = new Igmp(deps)
    this.mld = new Mld(deps)
  }

  /** An interface begins; nobody is outside of the loopback's. */
  add(iface: Interface): void {
    if (iface.isLoopback) return
    this.igmp.add(iface)
    this.mld.add(iface)
  }

  /** It ends. */
  drop(iface: Interface): void {
    iface.groups.close()
    this.igmp.drop(iface)
    this.mld.drop(iface)
  }
}

/** The groups of an interface, IPv4 first. */
export function listGroups(iface: Interface): GroupSummary[] {
  const all = [...iface.groups.states()].filter((s) => !s.silent)
  return [...all.filter((s) => s.group.isV4), ...all.filter((s) => !s.group.isV4)].map((s) => ({
    interface: iface.name,
    group: s.group.toString(),
    mode: s.mode === FilterMode.EXCLUDE ? 'exclude' : 'include',
    sources: s.sources.map((a) => a.toString()),
    users: s.users,
  }))
}
