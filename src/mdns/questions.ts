/**
 * The questions of one link (section 5.2 of RFC 6762).
 *
 * Theory of operation. A question lives while somebody waits for its records. It is put after 20 to 120 ms, for the first time with the wish for a unicast answer
 * (section 5.4), then after 1, 2, 4, ... seconds up to an hour, with the answers that are known (section 7.1); it rests while a
 * set is known that is said to be whole. Questions that are due together go in one message. Who hears another host put the same question, with no
 * more answers known than here, takes it for his own (section 7.3).
 */
import { Timed } from '../base/timers.ts'
import { type Message, message, type Question as Put } from '../dns/message.ts'
import { CLASS_IN, type ResourceRecord, type TypeName } from '../dns/records.ts'
import { C } from './counters.ts'
import type { Link } from './link.ts'
import { recordKey, setKey, UNICAST } from './record.ts'
import { between, getOrMake } from './site.ts'
import type { Watch } from './watch.ts'

/** Questions due within so many milliseconds go together. */
const TOGETHER_MS = 20
/** A question that is to be put within this time is planned, as section 7.3 has it. */
const PLANNED_MS = 1000

class Question extends Timed {
  readonly watches = new Set<Watch>()
  intervalMs = 0
  wasAsked = false
  /** It is put because a record grows old, and its series goes on as before: at `seriesAt`, if it was not at rest. */
  isRefresh = false
  isResting = false
  seriesAt = 0
  readonly key: string

  constructor(
    private readonly all: Questions,
    readonly name: string,
    readonly type: TypeName,
  ) {
    super()
    this.key = setKey(name, type)
  }

  override onTimer(now: number): void {
    this.all.ask(this, now)
  }
}

export class Questions {
  private readonly byKey = new Map<string, Question>()
  private readonly byName = new Map<string, Set<Watch>>()

  private firstAt = 0

  constructor(private readonly link: Link) {}

  has(key: string): boolean {
    return this.byKey.has(key)
  }

  get size(): number {
    return this.byKey.size
  }

  /** When new questions are put: after a moment by chance, those that come meanwhile with them. */
  private firstTime(now: number): number {
    const { config, random } = this.link.site
    const left = (this.firstAt - now) | 0
    if (left <= 0 || left > config.delayMaxMs) this.firstAt = (now + between(random, config.delayMinMs, config.delayMaxMs)) | 0
    return this.firstAt
  }

  add(watch: Watch, now: number): void {
    const { link } = this
    getOrMake(this.byName, watch.name, () => new Set<Watch>()).add(watch)
    for (const type of watch.types) {
      const key = setKey(watch.name, type)
      let question = this.byKey.get(key)
      if (question === undefined) {
        question = new Question(this, watch.written, type)
        this.byKey.set(key, question)
        link.cache.keep(key, now)
        link.site.timers.arm(question, this.firstTime(now))
      }
      question.watches.add(watch)
      link.answerOurselves(question.name, type, now)
    }
    link.site.tells.add(watch)
  }

  remove(watch: Watch): void {
    const named = this.byName.get(watch.name)
    if (named?.delete(watch) === true && named.size === 0) this.byName.delete(watch.name)
    for (const type of watch.types) {
      const question = this.byKey.get(setKey(watch.name, type))
      if (question === undefined) continue
      question.watches.delete(watch)
      if (question.watches.size > 0) continue
      this.byKey.delete(question.key)
      this.link.site.timers.remove(question)
    }
  }

  clear(): void {
    for (const question of this.byKey.values()) this.link.site.timers.remove(question)
    this.byKey.clear()
    this.byName.clear()
  }

  /** Records of a name came or went. */
  changed(name: string): void {
    for (const watch of this.byName.get(name.toLowerCase()) ?? []) this.link.site.tells.add(watch)
  }

  /** A record is old: asked for now. */
  refresh(key: string, now: number): void {
    const question = this.byKey.get(key)
    if (question === undefined || question.isRefresh) return
    question.isRefresh = true
    question.isResting = !question.timerArmed
    question.seriesAt = question.timerAt
    this.link.site.timers.arm(question, now)
  }

  /** The set of a question is empty again: the series begins anew. */
  lost(key: string, now: number): void {
    const question = this.byKey.get(key)
    if (question === undefined || question.timerArmed) return
    question.intervalMs = 0
    this.link.site.timers.arm(question, (now + this.link.site.config.questionIntervalMs) | 0)
  }

  ask(first: Question, now: number): void {
    const { timers } = this.link.site
    const due = [first]
    for (const other of this.byKey.values())
      if (other !== first && other.timerArmed && ((other.timerAt - now) | 0) <= TOGETHER_MS) due.push(other)
    const questions: Put[] = []
    const known: ResourceRecord[] = []
    for (const question of due) {
      timers.disarm(question)
      const entries = this.link.cache.find(question.name, question.type).filter((e) => !e.isLeaving)
      const fresh = entries.filter((e) => e.left(now) > e.ttlMs / 2)
      // A whole set is known: its records ask for themselves when they grow old.
      if (fresh.some((e) => e.isUnique)) {
        question.isRefresh = false
        continue
      }
      const qclass = question.wasAsked ? CLASS_IN : CLASS_IN | UNICAST
      questions.push({ name: question.name, type: question.type, class: qclass })
      // Section 10.2: the flush bit is for answers.
      for (const e of fresh) known.push({ ...e.record, class: CLASS_IN, ttl: Math.floor(e.left(now) / 1000) })
      this.wasPut(question, now)
    }
    if (questions.length > 0) this.link.sendQuery(message({ questions, answers: known }))
  }

  /** Another host's query (section 7.3). */
  heard(m: Message, now: number): void {
    if (m.truncated || m.authorities.length > 0) return // what else it knows is to come, or it is a probe
    for (const { name, type, class: qclass } of m.questions) {
      if (qclass !== CLASS_IN) continue
      const question = this.byKey.get(setKey(name, type))
      if (question === undefined || !question.timerArmed || ((question.timerAt - now) | 0) > PLANNED_MS) continue
      const ours = new Set(this.link.cache.find(name, type).map((e) => e.key))
      if (m.answers.some((r) => setKey(r.name, r.type) === question.key && !ours.has(recordKey(r)))) continue
      this.link.counts[C.duplicateQuestions]++
      this.wasPut(question, now)
    }
  }

  private wasPut(question: Question, now: number): void {
    const { config, timers } = this.link.site
    if (question.isRefresh) {
      question.isRefresh = false
      if (question.isResting) timers.disarm(question)
      else timers.arm(question, question.seriesAt)
      return
    }
    question.intervalMs = Math.min(question.intervalMs * 2 || config.questionIntervalMs, config.questionIntervalMaxMs)
    question.wasAsked = true
    timers.arm(question, (now + question.intervalMs) | 0)
  }
}
