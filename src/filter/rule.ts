/** A rule and what it says, and the list of them at one hook. */
import { invalidArgument } from '../base/errors.ts'
import { ErrorKind } from '../ip/ip.ts'
import { type Match, Matcher } from './match.ts'
import type { FilterPacket } from './view.ts'

/** A place on a packet's way where rules are asked. */
export type HookName = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'
export const HOOKS: readonly HookName[] = ['prerouting', 'input', 'forward', 'output', 'postrouting']

/** How a packet is refused: by a reset (TCP; others as by `port`), or by ICMP's "unreachable" of that kind. */
export type RejectKind = 'reset' | 'port' | 'host' | 'net' | 'prohibited'

/**
 * `continue`: the next rule decides (the rule only counts). `reject` alone: TCP gets a reset, others "port unreachable"; not in prerouting and postrouting. `mark`:
 * marks the connection and goes on.
 */
export type Verdict = 'accept' | 'drop' | 'reject' | 'continue' | { readonly reject: RejectKind } | { readonly mark: number }
/** A rule that is a function. The packet is lent: it is another one after the call. */
export type VerdictFunction = (packet: FilterPacket) => Verdict

export const Act = { CONTINUE: 0, ACCEPT: 1, DROP: 2, REJECT: 3, MARK: 4 } as const
/** An argument of REJECT beside ErrorKind: what suits the packet. */
export const REJECT_RESET = -1

const REJECTS: Record<RejectKind, number> = {
  reset: REJECT_RESET,
  port: ErrorKind.PORT_UNREACHABLE,
  host: ErrorKind.HOST_UNREACHABLE,
  net: ErrorKind.NET_UNREACHABLE,
  prohibited: ErrorKind.PROHIBITED,
}

/** What a verdict comes to: `act`, and its argument. */
export class Decision {
  act = 0
  argument = 0

  /** Throws ERR_INVALID_ARG_VALUE. */
  set(verdict: Verdict): this {
    this.argument = 0
    if (verdict === 'accept') this.act = Act.ACCEPT
    else if (verdict === 'drop') this.act = Act.DROP
    else if (verdict === 'continue') this.act = Act.CONTINUE
    else if (verdict === 'reject') {
      this.act = Act.REJECT
      this.argument = REJECT_RESET
    } else if (typeof verdict === 'object' && 'reject' in verdict && REJECTS[verdict.reject] !== undefined) {
      this.act = Act.REJECT
      this.argument = REJECTS[verdict.reject]
    } else if (typeof verdict === 'object' && 'mark' in verdict && Number.isInteger(verdict.mark)) {
      this.act = Act.MARK
      this.argument = verdict.mark | 0
    } else throw invalidArgument(`unknown verdict ${typeof verdict === 'object' ? JSON.stringify(verdict) : String(verdict)}`)
    return this
  }
}

/** What a user holds of a rule. */
export interface RuleHandle {
  readonly hook: HookName
  /** Lower ones come first; among equals the order of adding. */
  readonly priority: number
  /** What it has matched. A super-segment counts as one packet. */
  readonly packets: number
  readonly bytes: number
  /** Takes the rule away. False: it was gone already. */
  remove(): boolean
}

export class Rule implements RuleHandle {
  packets = 0
  bytes = 0
  readonly matcher: Matcher
  readonly decision: Decision = new Decision()
  /** Null: `decision` stands. */
  readonly decide: VerdictFunction | null

  constructor(
    readonly hook: HookName,
    match: Match,
    verdict: Verdict | VerdictFunction,
    readonly priority: number,
    private readonly removeFrom: (rule: Rule) => boolean,
  ) {
    this.matcher = new Matcher(match)
    this.decide = typeof verdict === 'function' ? verdict : null
    if (typeof verdict !== 'function') this.decision.set(verdict)
  }

  remove(): boolean {
    return this.removeFrom(this)
  }
}

/** Puts `item` where its priority says into a new list: one that is being gone through stays as it is. */
export function withItem<T extends { readonly priority: number }>(items: readonly T[], item: T): T[] {
  const at = items.findIndex((other) => other.priority > item.priority)
  return at < 0 ? [...items, item] : [...items.slice(0, at), item, ...items.slice(at)]
}
