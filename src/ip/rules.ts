/**
 * Policy routing: which table is asked, by source, destination and incoming interface (ip-rule(8)).
 *
 * Theory of operation. There are none until somebody adds one: `Ip.rules` is null and the main table answers. Then the rules are asked in the order
 * of their priorities; the first whose table has a route decides. The three rules that every system begins with are in the list too (0:
 * the local table, which here is the addresses of the interfaces and is always asked first; 32766: main; 32767: default), so that they
 * may be taken away as elsewhere; the first may not.
 */
import { type Address, ANY, ANY_V4, Prefix } from '../base/address.ts'
import type { Interface } from './interface.ts'
import type { RouteEntry, RouteTable, RouteType } from './route.ts'

/** Tables with a name (rt_tables). */
export const TABLE_LOCAL = 255
export const TABLE_MAIN = 254
export const TABLE_DEFAULT = 253

export interface Rule {
  /** Lower is asked earlier. */
  readonly priority: number
  readonly family: 4 | 6
  /** Null: any. A packet whose source is not chosen yet matches only "any". */
  readonly from: Prefix | null
  readonly to: Prefix | null
  /** Name of the interface that the packet came in by; `lo`: it is ours. Null: any. A name, because interfaces come and go. */
  readonly iif: string | null
  /** Interface that the sender is bound to. Null: any. */
  readonly oif: string | null
  /** Table to ask; null: `action` decides. */
  readonly table: number | null
  readonly action: 'lookup' | Exclude<RouteType, 'unicast' | 'throw'>
}

export class RoutingRules {
  /** By priority, then in the order of arrival. */
  readonly list: Rule[] = []
  /** What rules that refuse answer with. */
  private readonly refusals = new Map<Rule, RouteEntry>()

  constructor(private readonly tables: ReadonlyMap<number, RouteTable>) {
    for (const rule of defaultRules()) this.list.push(rule)
  }

  /** True while the list is what it was at the beginning: nothing would change without it. */
  get isDefault(): boolean {
    const all = defaultRules()
    return this.list.length === all.length && all.every((rule) => this.list.some((other) => sameRule(rule, other)))
  }

  has(rule: Rule): boolean {
    return this.list.some((other) => sameRule(rule, other))
  }

  add(rule: Rule, loopback: Interface): void {
    let i = 0
    while (i < this.list.length && this.list[i].priority <= rule.priority) i++
    this.list.splice(i, 0, rule)
    if (rule.action === 'lookup') return
    this.refusals.set(rule, {
      prefix: new Prefix(rule.family === 4 ? ANY_V4 : ANY, 0),
      gateway: null,
      iface: loopback,
      metric: 0,
      source: null,
      origin: 'static',
      kind: rule.action,
    })
  }

  /** Takes one rule away. */
  remove(rule: Rule): void {
    this.list.splice(this.list.indexOf(rule), 1)
    this.refusals.delete(rule)
  }

  /**
   * The entry for a packet. `iif`: where it came in, null for what we send; `oif`: null: by any interface. `source` may be unspecified.
   */
  lookup(destination: Address, source: Address, iif: Interface | null, oif: Interface | null): RouteEntry | null {
    const family = destination.isV4 ? 4 : 6
    for (const rule of this.list) {
      if (rule.family !== family || rule.table === TABLE_LOCAL) continue
      if (rule.from !== null && (source.isUnspecified || !rule.from.contains(source))) continue
      if (rule.to !== null && !rule.to.contains(destination)) continue
      if (rule.iif !== null && (iif === null ? rule.iif !== 'lo' : rule.iif !== iif.name)) continue
      if (rule.oif !== null && rule.oif !== oif?.name) continue
      if (rule.table === null) return this.refusals.get(rule)!
      const entry = this.tables.get(rule.table)?.lookup(destination, oif) ?? null
      if (entry !== null && entry.kind !== 'throw') return entry
    }
    return null
  }
}

export function sameRule(a: Rule, b: Rule): boolean {
  return (
    a.priority === b.priority &&
    a.family === b.family &&
    String(a.from) === String(b.from) &&
    String(a.to) === String(b.to) &&
    a.iif === b.iif &&
    a.oif === b.oif &&
    a.table === b.table &&
    a.action === b.action
  )
}

/** What there is before anybody adds anything. IPv6 has no default table. */
export function defaultRules(): Rule[] {
  const rule = (priority: number, family: 4 | 6, table: number): Rule => ({
    priority,
    family,
    from: null,
    to: null,
    iif: null,
    oif: null,
    table,
    action: 'lookup',
  })
  return [
    rule(0, 4, TABLE_LOCAL),
    rule(0, 6, TABLE_LOCAL),
    rule(32766, 4, TABLE_MAIN),
    rule(32766, 6, TABLE_MAIN),
    rule(32767, 4, TABLE_DEFAULT),
  ]
}
