/**
 * The packet filter of a stack, as its user holds it: rules at five hooks, connection tracking, address translation. The walk (walk.ts)
 * is plugged into IP while there is a rule, a policy other than `accept`, or connection tracking, and is not there at all otherwise.
 *
 * What does not pass here: frames that bypass IP's output (Neighbor Discovery, ARP, DHCP before there is an address).
 */
import type { Counters } from '../base/counters.ts'
import { invalidArgument } from '../base/errors.ts'
import type { Chain } from './chains.ts'
import { describeEntry, type TrackedConnection } from './listing.ts'
import type { Match } from './match.ts'
import {
  type DnatOptions,
  destinationRule,
  type MasqueradeOptions,
  type NatRule,
  type RedirectOptions,
  redirectRule,
  type SnatOptions,
  sourceRule,
} from './nat-rule.ts'
import { Act, Decision, type HookName, Rule, type RuleHandle, type Verdict, type VerdictFunction, withItem } from './rule.ts'
import { type FilterDependencies, Walk } from './walk.ts'

/** Where a rule stands among the others. */
export interface RuleOptions {
  /** Lower ones come first; among equals the order of adding. 0 when left out. */
  priority?: number
}

/** The packet filter of a stack: rules, tracked connections, address translation. `stack.filter`. */
export class Filter {
  private readonly walk: Walk

  constructor(private readonly deps: FilterDependencies) {
    this.walk = new Walk(deps)
  }

  get counters(): Counters<string> {
    return this.walk.counters
  }

  /**
   * Adds a rule: `filter.add('input', { protocol: 'tcp', destinationPort: 22, source: '!10.0.0.0/8' }, 'drop')`. A function as verdict is called with
   * each packet that matches. Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS.
   */
  add(hook: HookName, match: Match, verdict: Verdict | VerdictFunction, options: RuleOptions = {}): RuleHandle {
    const chain = this.walk.chains.of(hook)
    const rule = new Rule(hook, match, verdict, options.priority ?? 0, (gone) => this.removeRule(chain, gone))
    if (rule.decision.act === Act.REJECT) checkReject(hook)
    chain.rules = withItem(chain.rules, rule)
    if (rule.matcher.needsTracking) this.walk.isTracking = true
    this.plug()
    return rule
  }

  /** What becomes of packets about which no rule of the hook decides: `accept` unless said otherwise. */
  policy(hook: HookName, verdict: 'accept' | 'drop' | 'reject'): void {
    const { policy } = this.walk.chains.of(hook)
    const decision = new Decision().set(verdict)
    if (decision.act === Act.REJECT) checkReject(hook)
    policy.set(verdict)
    this.plug()
  }

  /** Source translation to the address of the interface that a packet leaves by: `filter.masquerade({ out: 'eth1' })`. */
  masquerade(options: MasqueradeOptions = {}): RuleHandle {
    return this.addSource(options)
  }

  /** Source translation to an address: `filter.snat({ out: 'eth1', to: '192.0.2.1' })`. */
  snat(options: SnatOptions): RuleHandle {
    if (typeof options.to !== 'string') throw invalidArgument('snat: `to` is an address, or a range of them')
    return this.addSource(options)
  }

  /** Destination translation: `filter.dnat({ in: 'eth1', protocol: 'tcp', destinationPort: 80, to: '10.0.0.8:8080' })`. */
  dnat(options: DnatOptions): RuleHandle {
    return this.addDestination(destinationRule(options, this.removeDestination))
  }

  /** Destination translation to a port of this stack: `filter.redirect({ protocol: 'tcp', destinationPort: 80, toPort: 8080 })`. */
  redirect(options: RedirectOptions): RuleHandle {
    return this.addDestination(redirectRule(options, this.removeDestination))
  }

  /** Whether connections are tracked. On by itself with the first rule that needs it; turned off, all of them are forgotten. */
  get tracking(): boolean {
    return this.walk.isTracking
  }

  set tracking(on: boolean) {
    this.walk.isTracking = on
    if (!on) this.forget()
    this.plug()
  }

  /** The rules of a hook in the order in which they are asked; those of translation, which come after, are not among them. */
  rules(hook: HookName): readonly RuleHandle[] {
    return this.walk.chains.of(hook).rules
  }

  /** Every connection that is tracked. */
  connections(): TrackedConnection[] {
    return [...this.walk.conntrack.established()].map((entry) => describeEntry(entry, this.deps.clock.nowMs))
  }

  /** Forgets every connection: packets of them are new again, or invalid. */
  forget(): void {
    this.walk.conntrack.clear()
    this.walk.fragments.clear()
  }

  /** Takes away every rule, policy and connection. */
  clear(): void {
    this.walk.chains.clear()
    this.walk.nat.sourceRules = []
    this.walk.nat.destinationRules = []
    this.tracking = false
  }

  private removeRule(chain: Chain, rule: Rule): boolean {
    if (!chain.rules.includes(rule)) return false
    chain.rules = chain.rules.filter((other) => other !== rule)
    this.plug()
    return true
  }

  private addSource(options: MasqueradeOptions & Partial<SnatOptions>): RuleHandle {
    const { nat } = this.walk
    const rule = sourceRule(options, (gone) => {
      const isThere = nat.sourceRules.includes(gone)
      nat.sourceRules = nat.sourceRules.filter((other) => other !== gone)
      return isThere
    })
    nat.sourceRules = withItem(nat.sourceRules, rule)
    this.tracking = true
    return rule
  }

  private addDestination(rule: NatRule): RuleHandle {
    this.walk.nat.destinationRules = withItem(this.walk.nat.destinationRules, rule)
    this.tracking = true
    return rule
  }

  private readonly removeDestination = (gone: NatRule): boolean => {
    const { nat } = this.walk
    const isThere = nat.destinationRules.includes(gone)
    nat.destinationRules = nat.destinationRules.filter((other) => other !== gone)
    return isThere
  }

  /** Plugs the filter into IP, or out of it: without anything to do it costs nothing. */
  private plug(): void {
    this.deps.ip.hooks = this.walk.isTracking || !this.walk.chains.isIdle ? this.walk : null
  }
}

function checkReject(hook: HookName): void {
  if (hook === 'prerouting' || hook === 'postrouting') throw invalidArgument(`reject has no place in ${hook}: use drop`)
}
