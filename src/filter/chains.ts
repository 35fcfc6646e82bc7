/**
 * The lists of rules, one for each hook, and asking them: rules in their order until one decides, then the policy.
 */
import { invalidArgument } from '../base/errors.ts'
import type { Frame } from '../netif/frame.ts'
import type { Context } from './context.ts'
import { C } from './counters.ts'
import type { Matcher } from './match.ts'
import type { Rejecter } from './reject.ts'
import { Act, Decision, HOOKS, type HookName, type Rule, type VerdictFunction } from './rule.ts'
import { FilterPacket } from './view.ts'

/** The places of `HOOKS`. */
export const Hook = { PREROUTING: 0, INPUT: 1, FORWARD: 2, OUTPUT: 3, POSTROUTING: 4 } as const
const DROPPED = [C.preroutingDropped, C.inputDropped, C.forwardDropped, C.outputDropped, C.postroutingDropped]

/** What the rules of a hook come to. */
export interface Chain {
  /** Replaced, never changed. */
  rules: readonly Rule[]
  readonly policy: Decision
}

export class Chains {
  readonly all: readonly Chain[] = HOOKS.map(() => ({ rules: [], policy: new Decision().set('accept') }))
  private readonly view = new FilterPacket()
  private readonly said = new Decision()

  constructor(
    private readonly rejecter: Rejecter,
    private readonly counters: Float64Array,
    private readonly uncaught: (error: unknown) => void,
  ) {}

  /** True when every packet would be accepted, and nothing counted. */
  get isIdle(): boolean {
    return this.all.every((c) => c.rules.length === 0 && c.policy.act === Act.ACCEPT)
  }

  /** Throws ERR_INVALID_ARG_VALUE. */
  of(hook: HookName): Chain {
    const i = HOOKS.indexOf(hook)
    if (i < 0) throw invalidArgument(`unknown hook ${hook}, known: ${HOOKS.join(', ')}`)
    return this.all[i]
  }

  clear(): void {
    for (const chain of this.all) {
      chain.rules = []
      chain.policy.set('accept')
    }
  }

  /** Asks the rules of a hook. `frame`: of a packet of ours. False: the packet goes no further. */
  run(hook: number, ctx: Context, frame: Frame | null = null): boolean {
    const chain = this.all[hook]
    const { rules } = chain
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i]
      if (!this.fits(rule.matcher, ctx)) continue
      rule.packets++
      rule.bytes += ctx.length
      const decision = rule.decide === null ? rule.decision : this.ask(rule.decide)
      if (decision.act === Act.MARK) ctx.mark = decision.argument
      else if (decision.act !== Act.CONTINUE) return this.carryOut(decision, hook, ctx, frame)
    }
    return this.carryOut(chain.policy, hook, ctx, frame)
  }

  private carryOut(decision: Decision, hook: number, ctx: Context, frame: Frame | null): boolean {
    if (decision.act === Act.ACCEPT) return true
    this.counters[DROPPED[hook]]++
    if (decision.act === Act.REJECT && hook !== Hook.PREROUTING && hook !== Hook.POSTROUTING) {
      const { entry, isReply, state } = ctx
      if (frame === null) this.rejecter.reject(ctx, decision.argument)
      else {
        this.rejecter.rejectOwn(ctx, decision.argument, frame)
        // The answer went the same way as the packet, and used its record.
        ctx.entry = entry
        ctx.isReply = isReply
        ctx.state = state
      }
    }
    return false
  }

  fits(matcher: Matcher, ctx: Context): boolean {
    const view = this.view.show(ctx)
    if (!matcher.isForeign) return matcher.matches(ctx, view)
    try {
      return matcher.matches(ctx, view)
    } catch (error) {
      this.failed(error)
      return false
    }
  }

  /** Asks a function of the user's; one that throws, or says nothing that is known, decides nothing. */
  private ask(decide: VerdictFunction): Decision {
    const { said } = this
    try {
      return said.set(decide(this.view))
    } catch (error) {
      this.failed(error)
      said.act = Act.CONTINUE
      return said
    }
  }

  private failed(error: unknown): void {
    this.counters[C.userErrors]++
    this.uncaught(error)
  }
}
