/**
 * Answers of one link (sections 5 to 7 of RFC 6762).
 *
 * Theory of operation. What is to be multicast waits in one list, each record with its time: at once when nobody else can have it, after 20 to 120 ms when others
 * may, a second after it was last said in any case. When the first is due, all that is due goes in one message. A record that another host says
 * meanwhile is crossed out. Answers to one asker alone (QU, and those who ask from another port than 5353), and those to a question that was cut (TC)
 * until the rest of its known answers has come, are a `Reply` each; of those there are only so many.
 */
import type { Address } from '../base/address.ts'
import { Timed } from '../base/timers.ts'
import { type Message, message, type Question } from '../dns/message.ts'
import { isType, type ResourceRecord } from '../dns/records.ts'
import { C } from './counters.ts'
import type { Link } from './link.ts'
import { asksInternet, nsec, type Own, recordKey, UNICAST } from './record.ts'
import { between, getOrMake } from './site.ts'

export const MDNS_PORT = 5353
/** Questions and answers of one query that are looked at. */
const MOST_QUESTIONS = 64
/** Additional records of one message. */
const MOST_ADDITIONALS = 64

/** Our records of one name. */
interface Named {
  readonly records: Own[]
  /** That there is nothing else; null: others may have more. */
  readonly nsec: Own | null
}

/** An answer that waits for the rest of what its asker knows, or that is for its asker alone. */
class Reply extends Timed {
  readonly unicast = new Set<Own>()
  readonly multicast = new Set<Own>()

  constructor(
    private readonly responder: Responder,
    readonly to: Address,
    readonly port: number,
    readonly query: Message,
  ) {
    super()
  }

  drop(known: ReadonlyMap<string, number>): number {
    let dropped = 0
    for (const set of [this.unicast, this.multicast]) for (const o of [...set]) if (isKnown(o, known) && set.delete(o)) dropped++
    return dropped
  }

  override onTimer(now: number): void {
    this.responder.reply(this, now)
  }
}

export class Responder extends Timed {
  /** What is to be multicast, and when at the earliest. */
  private readonly due = new Map<Own, number>()
  private readonly replies = new Set<Reply>()
  private index: Map<string, Named> | null = null

  constructor(private readonly link: Link) {
    super()
  }

  /** Our records are others. */
  ownChanged(): void {
    this.index = null
    const alive = new Set(this.link.announced())
    for (const o of [...this.due.keys()]) if (o.record.type !== 'NSEC' && !alive.has(o)) this.due.delete(o)
  }

  clear(): void {
    const { timers } = this.link.site
    timers.remove(this)
    for (const reply of this.replies) timers.remove(reply)
    this.replies.clear()
    this.due.clear()
  }

  /** Our answers to a question: the records, or that there are none of that type. */
  answersTo({ name, type, class: qclass }: Question): Own[] {
    if (!asksInternet(qclass)) return []
    const named = this.named(name)
    if (named === undefined) return []
    const found = type === 'ANY' ? named.records : named.records.filter((o) => o.record.type === type)
    return found.length > 0 || named.nsec === null ? found : [named.nsec]
  }

  /** A query of another host, from `port`; `mayReply`: it is on this link, so that an answer may go to it alone (section 11). */
  hear(m: Message, from: Address, port: number, mayReply: boolean, now: number): void {
    const { config, random, timers } = this.link.site
    const { counts } = this.link
    const known = knownAnswers(m.answers)
    if (m.questions.length === 0) {
      this.moreKnown(known, from, m.truncated, now)
      return
    }
    const isLegacy = port !== MDNS_PORT
    if (isLegacy && !mayReply) {
      counts[C.dropOffLink]++
      return
    }
    const isProbe = m.authorities.length > 0
    const reply = new Reply(this, from.clone(), port, m)
    let isShared = false
    for (const question of m.questions.slice(0, MOST_QUESTIONS)) {
      for (const o of this.answersTo(question)) {
        if (isKnown(o, known)) {
          counts[C.knownAnswers]++
          continue
        }
        isShared ||= o.kind === 'shared'
        // Section 5.4: a record that the link has not heard for a quarter of its life is for everybody.
        const isFresh = o.sentWithin((o.record.ttl * 1000) / 4, now)
        const isAlone = isLegacy || ((question.class & UNICAST) !== 0 && mayReply && isFresh)
        ;(isAlone ? reply.unicast : reply.multicast).add(o)
      }
    }
    if (reply.unicast.size + reply.multicast.size === 0) return
    let wait = isShared && !isLegacy ? between(random, config.delayMinMs, config.delayMaxMs) : 0
    if (m.truncated && !isLegacy) wait = between(random, config.truncatedMinMs, config.truncatedMaxMs)
    else {
      this.multicast(reply.multicast, now, wait, isProbe ? config.probeGapMs : config.gapMs)
      reply.multicast.clear()
      if (reply.unicast.size === 0) return
    }
    if (wait === 0) this.send(reply)
    else if (this.replies.size >= config.maxReplies) counts[C.dropReplies]++
    else {
      this.replies.add(reply)
      timers.arm(reply, (now + wait) | 0)
    }
  }

  /** Another host has multicast this (section 7.4). */
  heard(key: string, record: ResourceRecord): void {
    for (const o of this.due.keys()) {
      if (o.key !== key || record.ttl < o.record.ttl) continue
      this.due.delete(o)
      this.link.counts[C.duplicateAnswers]++
    }
  }

  /** The time of a reply has come. */
  reply(reply: Reply, now: number): void {
    this.replies.delete(reply)
    this.multicast(reply.multicast, now, 0, this.link.site.config.gapMs)
    if (reply.unicast.size > 0) this.send(reply)
  }

  override onTimer(now: number): void {
    const answers: Own[] = []
    let next = 0
    let isWaiting = false
    for (const [o, at] of this.due) {
      const left = (at - now) | 0
      if (left <= 0) answers.push(o)
      else if (!isWaiting || left < next) {
        isWaiting = true
        next = left
      }
    }
    for (const o of answers) this.due.delete(o)
    if (isWaiting) this.link.site.timers.arm(this, (now + next) | 0)
    if (answers.length === 0) return
    const more = this.additional(answers).filter((o) => !o.sentWithin(this.link.site.config.gapMs, now))
    this.link.sendResponse(answers, more, now)
  }

  private multicast(answers: ReadonlySet<Own>, now: number, wait: number, gapMs: number): void {
    const { timers } = this.link.site
    for (const o of answers) {
      // Section 6: not again within a second; who asked just now has heard it, or will.
      const gap = o.sentWithin(gapMs, now) ? gapMs - ((now - o.sentMs) | 0) : 0
      const at = (now + Math.max(wait, gap)) | 0
      const had = this.due.get(o)
      if (had !== undefined && ((had - at) | 0) <= 0) continue
      this.due.set(o, at)
      if (!this.timerArmed || ((at - this.timerAt) | 0) < 0) timers.arm(this, at)
    }
  }

  private send(reply: Reply): void {
    const { config } = this.link.site
    const answers = [...reply.unicast]
    const more = this.additional(answers)
    if (reply.port === MDNS_PORT) {
      this.link.sendUnicast(
        message({
          isResponse: true,
          authoritative: true,
          answers: answers.map((o) => o.out()),
          additionals: more.map((o) => o.out()),
        }),
        reply.to,
        reply.port,
        true,
      )
      return
    }
    // Section 6.7: for a resolver that knows nothing of all this, as an ordinary server would.
    const legacy = (o: Own): ResourceRecord => o.legacy(config.legacyTtlSeconds)
    const { id, questions } = reply.query
    const common = { id, isResponse: true, authoritative: true, questions }
    const isSaid = (o: Own): boolean => o.record.type !== 'NSEC'
    this.link.sendUnicast(
      message({ ...common, answers: answers.filter(isSaid).map(legacy), additionals: more.filter(isSaid).map(legacy) }),
      reply.to,
      reply.port,
      false,
    )
  }

  /** More of what an asker knows (section 7.2). */
  private moreKnown(known: ReadonlyMap<string, number>, from: Address, isMore: boolean, now: number): void {
    const { config, random, timers } = this.link.site
    for (const reply of this.replies) {
      if (!reply.query.truncated || !reply.to.equals(from)) continue
      this.link.counts[C.knownAnswers] += reply.drop(known)
      if (isMore) timers.arm(reply, (now + between(random, config.truncatedMinMs, config.truncatedMaxMs)) | 0)
    }
  }

  /** What will be asked next (RFC 6762 section 6.1, RFC 6763 section 12). */
  private additional(answers: readonly Own[]): Own[] {
    const all = new Set(answers)
    const from = all.size
    for (const { kind, record } of all) {
      if (all.size - from > MOST_ADDITIONALS) break
      const add = (name: string, ...types: string[]): void => {
        const named = this.named(name)
        if (named === undefined) return
        for (const o of named.records) if (types.includes(o.record.type)) all.add(o)
        const isMissing = types.some((type) => !named.records.some((o) => o.record.type === type))
        if (isMissing && named.nsec !== null) all.add(named.nsec)
      }
      if (kind === 'shared' && isType(record, 'PTR')) add(record.data.ptrdname, 'SRV', 'TXT')
      else if (isType(record, 'SRV')) add(record.data.target, 'A', 'AAAA')
      else if (isType(record, 'A') || isType(record, 'AAAA')) add(record.name, 'A', 'AAAA')
    }
    return [...all].slice(from)
  }

  private named(name: string): Named | undefined {
    if (this.index === null) {
      const lists = new Map<string, Own[]>()
      for (const o of this.link.announced()) getOrMake(lists, o.record.name.toLowerCase(), () => []).push(o)
      this.index = new Map([...lists].map(([key, records]) => [key, { records, nsec: nsecOf(records) }]))
    }
    return this.index.get(name.toLowerCase())
  }
}

function nsecOf(records: readonly Own[]): Own | null {
  const ours = records.filter((o) => o.kind !== 'shared')
  if (ours.length === 0) return null
  const types = ours.map((o) => o.record.type)
  return nsec(ours[0].record.name, types, Math.min(...ours.map((o) => o.record.ttl)))
}

/** By key, with their TTLs. */
function knownAnswers(records: readonly ResourceRecord[]): ReadonlyMap<string, number> {
  return new Map(records.map((r) => [recordKey(r), r.ttl]))
}

/** Section 7.1: the asker has it, with at least half of its TTL. */
function isKnown(o: Own, known: ReadonlyMap<string, number>): boolean {
  const ttl = known.get(o.key)
  return ttl !== undefined && ttl * 2 >= o.record.ttl
}
