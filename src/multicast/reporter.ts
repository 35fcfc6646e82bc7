/**
 * What one interface tells multicast routers of the groups of one family: the host's part of IGMPv3 and MLDv2 (RFC 3376 section 5, RFC 3810
 * section 6), which are one protocol in two wire formats, with the older versions of both (RFC 3376 section 7.2, RFC 3810 section 8.2).
 *
 * Theory of operation. A `Member` per group has what was last told to be listened to, and what is still to be said:
 *
 *   - Changes. A change of filter mode is told `robustness` times, the list of sources with it; a change of sources is told as "allow" and
 *     "block", each source as often. All that is pending leaves in one report, at once (at the end of the turn), then again at random times
 *     within a second each. What was pending when a newer change comes is merged, for a report always says how things are now.
 *   - Answers. A query is answered at a random time within what it allows: about all groups by a timer of the interface, about one (or some
 *     of its sources) by the group's own. A query that adds nothing to what is pending changes nothing.
 *   - Older versions. A query of an older version makes us speak that one, until such a querier has been silent for long. There, groups
 *     are joined and left as a whole, a report is left unsaid when a neighbour says the same, and only the last who reported says goodbye.
 *
 * Nothing is said while the interface cannot speak (down, or without any address of IPv6); what was said without an address of our own is said
 * again with one (RFC 3590 section 4). All memory is bounded by what sockets may join; a flood of queries only finds timers armed.
 */
import type { Address } from '../base/address.ts'
import type { MulticastConfig } from '../base/multicast-config.ts'
import { type Random, randomBelow } from '../base/random.ts'
import { Timed, type Timers } from '../base/timers.ts'
import { contains, FilterMode, type GroupListener, type GroupState, sameWords } from '../ip/groups.ts'
import type { Interface } from '../ip/interface.ts'
import type { GroupRecord } from './records.ts'
import { RecordType } from './wire.ts'

/** What is spoken: IGMPv3 and MLDv2; IGMPv2 and MLDv1; IGMPv1. */
export const Speech = { NEW: 0, OLD: 1, OLDEST: 2 } as const

/** A report that the full link refused is tried again after this. */
const RETRY_MS = 100

/** A wire format. `false`: the link is full. */
export interface Speaker {
  /** False for groups that everybody is in, and those that do not leave the host. */
  isReported(group: Address): boolean
  /** The interface can say something. */
  canSpeak(iface: Interface): boolean
  /** It has an address to say it from. */
  hasName(iface: Interface): boolean
  report(iface: Interface, records: readonly GroupRecord[]): boolean
  /** A group as a whole, as older versions have it. */
  reportOld(iface: Interface, group: Address, speech: number): boolean
  leaveOld(iface: Interface, group: Address, speech: number): boolean
}

/** What a query asks. One reused record per family. */
export class Query {
  speech = 0
  /** Null: all groups. Lent. */
  group: Address | null = null
  /** Only these sources; empty: all. The reporter's to keep. */
  sources: Address[] = []
  maxResponseMs = 0
  /** 0: does not say. */
  robustness = 0
  intervalMs = 0
}

export interface ReporterDependencies {
  timers: Timers
  clock: { readonly nowMs: number }
  random: Random
  config: MulticastConfig
}

/** A source whose change is still to be told so often. */
interface Change {
  readonly source: Address
  left: number
}

/** A timer of the interface. */
class Alarm extends Timed {
  constructor(private readonly due: (now: number) => void) {
    super()
  }

  override onTimer(now: number): void {
    this.due(now)
  }
}

/** One group, and what is still to be said of it. Its own timer is for answers, and for all of older versions. */
class Member extends Timed {
  mode: number = FilterMode.INCLUDE
  sources: readonly Address[] = []
  /** Times that a change of mode is still to be told. */
  modeLeft = 0
  changes: Change[] = []
  /** A query about this group waits for its answer; `asked`: only about these sources. */
  answering = false
  asked: Address[] | null = null
  /** Older versions: reports that nobody asked for and are still to come; nobody has reported after us. */
  oldLeft = 0
  lastReporter = false

  constructor(
    private readonly reporter: Reporter,
    readonly group: Address,
  ) {
    super()
  }

  get silent(): boolean {
    return this.mode === FilterMode.INCLUDE && this.sources.length === 0
  }

  override onTimer(now: number): void {
    this.reporter.memberDue(this, now)
  }
}

export class Reporter implements GroupListener {
  private readonly members = new Map<string, Member>()
  /** An answer about all groups; changes; how long queriers of older versions are believed to be there. */
  private readonly answer = new Alarm((now) => this.answerDue(now))
  private readonly change = new Alarm((now) => this.changeDue(now))
  private readonly oldPresent = new Alarm(() => this.settle())
  private readonly oldestPresent = new Alarm(() => this.settle())
  private answeredAt: number
  private robustness: number
  private queryIntervalMs: number
  private current: number
  /** Something was not said because the interface could not; or was said without a name. */
  private unsaid = false
  private unnamed = false

  /** @param newest the newest `Speech` that may be spoken */
  constructor(
    private readonly iface: Interface,
    private readonly speaker: Speaker,
    private readonly newest: number,
    private readonly deps: ReporterDependencies,
  ) {
    this.current = newest
    this.robustness = deps.config.robustness
    this.queryIntervalMs = deps.config.queryIntervalMs
    this.answeredAt = (deps.clock.nowMs - deps.config.reportGapMs) | 0
  }

  /** What is spoken now: `Speech`. */
  get speech(): number {
    return this.current
  }

  // What is listened to

  groupChanged(state: GroupState): void {
    if (!this.speaker.isReported(state.group)) return
    const key = state.group.key
    let m = this.members.get(key)
    if (m === undefined) {
      m = new Member(this, state.group.clone())
      this.members.set(key, m)
    }
    const wasSilent = m.silent
    if (this.current === Speech.NEW) this.note(m, state)
    m.mode = state.mode
    m.sources = state.sources
    if (this.unsaid && this.speaker.canSpeak(this.iface)) this.announce()
    else if (this.current === Speech.NEW) this.deps.timers.arm(this.change, this.deps.clock.nowMs)
    else if (m.silent !== wasSilent) {
      m.oldLeft = m.silent ? 0 : this.robustness
      this.deps.timers.arm(m, this.deps.clock.nowMs)
    } else this.prune(m)
  }

  addressReady(): void {
    if (this.unsaid ? this.speaker.canSpeak(this.iface) : this.unnamed && this.speaker.hasName(this.iface)) this.announce()
  }

  linkUp(): void {
    if (this.speaker.canSpeak(this.iface)) this.announce()
  }

  close(): void {
    const { timers } = this.deps
    for (const t of [this.answer, this.change, this.oldPresent, this.oldestPresent]) timers.remove(t)
    for (const m of this.members.values()) timers.remove(m)
    this.members.clear()
  }

  /** What has to be told of the way from what `m` says to `state` (RFC 3376 section 5.1, RFC 3810 section 6.1). */
  private note(m: Member, state: GroupState): void {
    if (state.mode !== m.mode) {
      m.modeLeft = this.robustness
      m.changes = []
      return
    }
    for (const s of state.sources) if (!contains(m.sources, s)) this.noteSource(m, s)
    for (const s of m.sources) if (!contains(state.sources, s)) this.noteSource(m, s)
  }

  private noteSource(m: Member, source: Address): void {
    m.changes = m.changes.filter((c) => !sameWords(c.source, source))
    m.changes.push({ source, left: this.robustness })
  }

  /** Tells everything as if it had just been joined. */
  private announce(): void {
    const { timers, clock } = this.deps
    this.unsaid = false
    this.unnamed = false
    for (const m of [...this.members.values()]) {
      if (this.current !== Speech.NEW) {
        if (!m.silent) m.oldLeft = this.robustness
        timers.arm(m, clock.nowMs)
      } else if (m.mode === FilterMode.EXCLUDE) m.modeLeft = this.robustness
      else m.changes = m.sources.map((source) => ({ source, left: this.robustness }))
    }
    if (this.current === Speech.NEW) timers.arm(this.change, clock.nowMs)
  }

  // What is asked

  /** A query that passed the checks of its family. */
  query(q: Query): void {
    if (q.speech === Speech.NEW) {
      const { config } = this.deps
      // RFC 3376 section 4.1.6 and 4.1.7: the querier's values, where it gives any.
      this.robustness = q.robustness !== 0 ? q.robustness : config.robustness
      this.queryIntervalMs = q.intervalMs !== 0 ? q.intervalMs : config.queryIntervalMs
    } else if (q.group === null) this.heardOlder(q)
    if (this.current !== Speech.NEW) this.queryOld(q)
    else if (q.group === null) this.queryAll(q)
    else this.queryGroup(q, q.group)
  }

  /** Another host reported a group in an older version: it needs no second report (RFC 2236 section 3, RFC 2710 section 4). */
  heardReport(group: Address): void {
    if (this.current === Speech.NEW) return
    const m = this.members.get(group.key)
    if (m === undefined || m.silent || !m.timerArmed) return
    this.deps.timers.disarm(m)
    m.oldLeft = 0
    m.lastReporter = false
  }

  /** RFC 3376 section 7.2.1 and 8.12, RFC 3810 section 8.2.1 and 9.12. */
  private heardOlder(q: Query): void {
    const { timers, clock } = this.deps
    const until = (clock.nowMs + this.robustness * this.queryIntervalMs + q.maxResponseMs) | 0
    const alarm = q.speech === Speech.OLD ? this.oldPresent : this.oldestPresent
    timers.arm(alarm, until)
    this.settle()
  }

  /** Speaks what the oldest of the queriers understands. A change of that cancels all that is pending. */
  private settle(): void {
    const heard = this.oldestPresent.timerArmed ? Speech.OLDEST : this.oldPresent.timerArmed ? Speech.OLD : Speech.NEW
    const speech = Math.max(heard, this.newest)
    if (speech === this.current) return
    this.current = speech
    this.deps.timers.disarm(this.answer)
    this.deps.timers.disarm(this.change)
    for (const m of [...this.members.values()]) {
      this.quiet(m)
      this.prune(m)
    }
  }

  /** RFC 3376 section 5.2, rules 1 and 2. */
  private queryAll(q: Query): void {
    const { clock, config } = this.deps
    if (this.members.size === 0) return
    const earliest = (this.answeredAt + config.reportGapMs) | 0
    let at = this.someTime(q)
    if (((at - earliest) | 0) < 0 && ((earliest - clock.nowMs) | 0) <= config.reportGapMs) at = earliest
    this.armEarlier(this.answer, at)
  }

  /** Rules 1 and 3 to 5. */
  private queryGroup(q: Query, group: Address): void {
    const m = this.members.get(group.key)
    if (m === undefined || m.silent) return
    const at = this.someTime(q)
    if (this.answer.timerArmed && ((this.answer.timerAt - at) | 0) <= 0) return
    if (!m.answering) {
      m.answering = true
      m.asked = q.sources.length === 0 ? null : q.sources
      this.deps.timers.arm(m, at)
      return
    }
    if (q.sources.length === 0) m.asked = null
    if (m.asked !== null) for (const s of q.sources) if (!contains(m.asked, s)) m.asked.push(s)
    if (m.asked !== null && m.asked.length > this.deps.config.maxAskedSources) m.asked = null
    this.armEarlier(m, at)
  }

  /** RFC 2236 section 3: a timer for each group that is asked for. */
  private queryOld(q: Query): void {
    for (const m of this.members.values()) {
      if (m.silent || (q.group !== null && !sameWords(m.group, q.group))) continue
      this.armEarlier(m, this.someTime(q))
    }
  }

  /** Within the time that the query allows. */
  private someTime(q: Query): number {
    return (this.deps.clock.nowMs + 1 + randomBelow(this.deps.random, Math.max(1, q.maxResponseMs))) | 0
  }

  private armEarlier(t: Timed, at: number): void {
    if (!t.timerArmed || ((at - t.timerAt) | 0) < 0) this.deps.timers.arm(t, at)
  }

  // What is said

  private changeDue(now: number): void {
    const { timers, random, config } = this.deps
    const told: Member[] = []
    const records: GroupRecord[] = []
    for (const m of this.members.values()) {
      const before = records.length
      changesOf(m, records)
      if (records.length > before) told.push(m)
    }
    if (told.length === 0 || !this.say(this.change, now, records)) return
    let more = false
    for (const m of told) {
      if (m.modeLeft > 0) m.modeLeft--
      for (const c of m.changes) c.left--
      m.changes = m.changes.filter((c) => c.left > 0)
      more ||= m.modeLeft > 0 || m.changes.length > 0
      this.prune(m)
    }
    if (more) timers.arm(this.change, (now + 1 + randomBelow(random, Math.max(1, config.unsolicitedReportMs))) | 0)
  }

  private answerDue(now: number): void {
    const records: GroupRecord[] = []
    for (const m of this.members.values()) if (!m.silent) records.push(currentState(m))
    if (records.length > 0 && this.say(this.answer, now, records)) this.answeredAt = now
  }

  /** A group's own timer. */
  memberDue(m: Member, now: number): void {
    if (this.current !== Speech.NEW) this.memberDueOld(m, now)
    else if (m.answering) {
      const record = m.asked === null ? currentState(m) : sourcesAsked(m, m.asked)
      // RFC 3376 section 5.2: nothing to say is not said.
      if (!m.silent && (m.asked === null || record.sources.length > 0) && !this.say(m, now, [record])) return
      m.answering = false
      m.asked = null
    }
  }

  private memberDueOld(m: Member, now: number): void {
    const { timers, random, config } = this.deps
    const { speaker, iface } = this
    if (!this.maySpeak()) return
    if (m.silent) {
      // Lost when the link is full: routers find out by asking.
      if (m.lastReporter) speaker.leaveOld(iface, m.group, this.current)
      this.prune(m)
      return
    }
    if (!speaker.reportOld(iface, m.group, this.current)) {
      timers.arm(m, (now + RETRY_MS) | 0)
      return
    }
    this.named()
    m.lastReporter = true
    if (m.oldLeft > 0) m.oldLeft--
    if (m.oldLeft > 0) timers.arm(m, (now + 1 + randomBelow(random, Math.max(1, config.unsolicitedReportOldMs))) | 0)
  }

  /** Says it, or has `again` come back. False: not said. */
  private say(again: Timed, now: number, records: readonly GroupRecord[]): boolean {
    if (!this.maySpeak()) return false
    if (!this.speaker.report(this.iface, records)) {
      this.deps.timers.arm(again, (now + RETRY_MS) | 0)
      return false
    }
    this.named()
    return true
  }

  /** False: the interface cannot speak, and all that is pending is forgotten until it can. */
  private maySpeak(): boolean {
    if (this.speaker.canSpeak(this.iface)) return true
    this.unsaid = true
    for (const m of [...this.members.values()]) {
      this.quiet(m)
      this.prune(m)
    }
    return false
  }

  private named(): void {
    if (!this.speaker.hasName(this.iface)) this.unnamed = true
  }

  private quiet(m: Member): void {
    this.deps.timers.disarm(m)
    m.modeLeft = 0
    m.changes = []
    m.answering = false
    m.asked = null
    m.oldLeft = 0
  }

  /** Forgets a group that nobody listens to and of which nothing is to be said. */
  private prune(m: Member): void {
    if (!m.silent || m.modeLeft > 0 || m.changes.length > 0) return
    this.deps.timers.remove(m)
    this.members.delete(m.group.key)
  }
}

/** RFC 3376 section 5.1: the change of mode with the whole list, or the sources that have changed. */
function changesOf(m: Member, out: GroupRecord[]): void {
  const { group, mode, sources } = m
  if (m.modeLeft > 0) {
    out.push({ type: mode === FilterMode.EXCLUDE ? RecordType.CHANGE_TO_EXCLUDE : RecordType.CHANGE_TO_INCLUDE, group, sources })
    return
  }
  const allowed = m.changes.filter((c) => contains(sources, c.source) === (mode === FilterMode.INCLUDE)).map((c) => c.source)
  const blocked = m.changes.filter((c) => !contains(allowed, c.source)).map((c) => c.source)
  if (allowed.length > 0) out.push({ type: RecordType.ALLOW_NEW_SOURCES, group, sources: allowed })
  if (blocked.length > 0) out.push({ type: RecordType.BLOCK_OLD_SOURCES, group, sources: blocked })
}

function currentState(m: Member): GroupRecord {
  const type = m.mode === FilterMode.EXCLUDE ? RecordType.MODE_IS_EXCLUDE : RecordType.MODE_IS_INCLUDE
  return { type, group: m.group, sources: m.sources }
}

/** RFC 3376 section 5.2, the second table: those of the sources asked for that are listened to. */
function sourcesAsked(m: Member, asked: readonly Address[]): GroupRecord {
  const wanted = asked.filter((s) => contains(m.sources, s) === (m.mode === FilterMode.INCLUDE))
  return { type: RecordType.MODE_IS_INCLUDE, group: m.group, sources: wanted }
}
