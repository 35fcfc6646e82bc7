/** Questions that others are asked for our clients: who may have it done and how often, and what of their answers is passed on. */
import { HostBuckets } from '../../base/host-buckets.ts'
import { Rcode } from '../message.ts'
import type { Cancelable, Outcome } from '../outcome.ts'
import type { ResourceRecord } from '../records.ts'
import type { Resolver } from '../resolver.ts'
import { AccessList } from './access.ts'
import { emptyReply, type Reply } from './authority.ts'
import { SN } from './counters.ts'
import { Forwarder, RebindGuard, type ResolverMaker } from './forwarder.ts'
import type { DnsServerOptions } from './options.ts'
import { type Asked, type Asker, failure, refusal, Why } from './question.ts'
import type { ScreeningDependencies } from './screening.ts'

export class Passing {
  private readonly forwarder: Forwarder
  private readonly guard: RebindGuard | null
  private readonly allow: AccessList
  private readonly buckets: HostBuckets
  private readonly pending = new Set<Cancelable>()

  /** Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS. */
  constructor(
    private readonly deps: ScreeningDependencies,
    private readonly counts: Float64Array,
    make: ResolverMaker,
    options: DnsServerOptions,
  ) {
    const { ip, host, random, config } = deps
    const { rebindProtection: guarded = false } = options
    this.guard = guarded === false ? null : new RebindGuard(guarded === true ? [] : guarded)
    this.allow = new AccessList(ip, options.allowForward ?? ['attached'])
    this.buckets = new HostBuckets(config.forwardsPerSecond, random, host.ms())
    this.forwarder = new Forwarder(options.forward ?? false, make)
  }

  /** RA: others are asked for him. */
  isFor(asker: Asker): boolean {
    return this.forwarder.isOn && this.allow.admits(asker.address)
  }

  /** Servers were given for a domain that has the name (in lower case). */
  hasDomain(name: string): boolean {
    return this.forwarder.named(name) !== null
  }

  /**
   * Asks others about a name (in lower case): that of the question, or the end of the chain that `begun` has. `done` is called once, now or later; not after `close`.
   */
  pass(q: Asked, name: string, begun: Reply | null, done: (reply: Reply) => void): void {
    const n = this.counts
    const resolver = q.query.recursionDesired ? this.forwarder.find(name) : null
    if (resolver === null) done(begun ?? refusal(q.edns, Why.NOT_AUTHORITATIVE))
    else if (!this.allow.admits(q.asker.address)) {
      if (begun === null) n[SN.refusedAccess]++
      done(begun ?? refusal(q.edns, Why.PROHIBITED))
    } else this.ask(q, name, begun, resolver, done)
  }

  close(): void {
    for (const one of this.pending) one.cancel()
    this.pending.clear()
    this.forwarder.close()
  }

  private ask(q: Asked, name: string, begun: Reply | null, resolver: Resolver, done: (reply: Reply) => void): void {
    const n = this.counts
    const { config, host } = this.deps
    const bucket = this.buckets.find(q.asker.address, host.ms())
    if (bucket < 0) {
      n[SN.refusedRate]++
      done(refusal(q.edns, Why.OTHER))
    } else if (this.pending.size >= config.maxPending) {
      n[SN.tooMany]++
      done(failure(q.edns, Rcode.SERVFAIL, Why.OTHER))
    } else if (resolver.servers.length === 0) done(failure(q.edns, Rcode.SERVFAIL, Why.NO_REACHABLE))
    else {
      this.buckets.take(bucket)
      n[SN.forwarded]++
      const under: Cancelable = resolver.ask(name, q.type, (outcome) => {
        this.pending.delete(under)
        done(this.replyOf(q, name, begun, outcome))
      })
      this.pending.add(under)
    }
  }

  private replyOf(q: Asked, name: string, begun: Reply | null, outcome: Outcome): Reply {
    const { code, chain = [], records, soa } = outcome
    if (this.guard?.objects(name, outcome) === true) {
      this.counts[SN.refusedRebind]++
      return refusal(q.edns, Why.BLOCKED)
    }
    if (code === '' || code === 'ENODATA' || code === 'ENOTFOUND') {
      const reply = begun ?? emptyReply(Rcode.NOERROR)
      // The letters of the question are the asker's.
      const all = [...chain, ...records]
      reply.answers.push(...all.map((r) => (begun === null && r.name === name ? ({ ...r, name: q.asked } as ResourceRecord) : r)))
      if (code !== '' && soa !== undefined) reply.authorities.push(soa)
      if (code === 'ENOTFOUND') reply.rcode = Rcode.NXDOMAIN
      return reply
    }
    if (code === 'EREFUSED') return refusal(q.edns, Why.OTHER)
    if (code === 'ENOTIMP') return failure(q.edns, Rcode.NOTIMP, Why.OTHER)
    const why = code === 'ETIMEOUT' ? Why.NO_REACHABLE : code === 'ECONNREFUSED' ? Why.NETWORK : Why.OTHER
    return failure(q.edns, Rcode.SERVFAIL, why)
  }
}
