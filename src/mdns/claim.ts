/**
 * Records of ours on one link, from the first probe to the last goodbye (sections 8 to 10 of RFC 6762).
 *
 * Theory of operation. Names that must be ours alone are asked for three times, 250 ms apart, with what we are about to say of them. Whoever answers has them:
 * we take another name. Whoever asks for them at the same moment with "later" data wins, and we ask again a second later. Without an
 * objection the records are announced, twice; from then on they are answered for. When somebody says something else of them later, we probe again: he who
 * was there first will object. Changed data is announced without a probe, for the name is ours already.
 */
import { Timed } from '../base/timers.ts'
import { type Message, message } from '../dns/message.ts'
import { CLASS_IN, type ResourceRecord } from '../dns/records.ts'
import { C } from './counters.ts'
import type { Link } from './link.ts'
import { compareSets, isInternet, type Own, setKey, UNICAST } from './record.ts'
import { between } from './site.ts'

/** Whose records they are, on all links: the host, or a service. */
export interface Registration {
  /** What there is to say on a link, now. */
  records(link: Link): Own[]
  /** A name is somebody else's: another one from now on. */
  rename(): void
  /** The claim on a link has been announced. */
  announced(): void
}

const PROBING = 0
const ANNOUNCING = 1
const SETTLED = 2

export class Claim extends Timed {
  own: Own[] = []
  private state = PROBING
  /** Probes or announcements sent. */
  private step = 0

  constructor(
    private readonly link: Link,
    readonly registration: Registration,
  ) {
    super()
  }

  /** The records are ours, and answered for. */
  get isAnnounced(): boolean {
    return this.state !== PROBING
  }

  /** From the beginning: the link is new, or the name is. */
  begin(now: number): void {
    const { site } = this.link
    this.take(this.registration.records(this.link))
    this.state = PROBING
    this.step = 0
    const pause = this.link.pauseMs(now)
    // Section 8.1: hosts that were switched on together do not ask together.
    const wait = this.own.some((o) => o.kind === 'unique') ? between(site.random, 0, site.config.probeIntervalMs) : 0
    site.timers.arm(this, (now + pause + wait) | 0)
  }

  /** Data has changed; names have not, or are begun anew. */
  update(now: number): void {
    const before = this.own
    const names = new Set(this.uniqueNames())
    const next = this.registration.records(this.link)
    if (!this.isAnnounced || next.some((o) => o.kind === 'unique' && !names.has(o.record.name.toLowerCase()))) {
      this.goodbye(before.filter((o) => !next.some((n) => n.key === o.key)))
      this.begin(now)
      return
    }
    this.take(next)
    const keys = new Set(next.map((o) => o.key))
    const sets = new Set(next.filter((o) => o.kind !== 'shared').map((o) => setKey(o.record.name, o.record.type)))
    // What is replaced as a whole needs no goodbye.
    this.goodbye(
      before.filter((o) => !keys.has(o.key) && !(o.kind !== 'shared' && sets.has(setKey(o.record.name, o.record.type)))),
    )
    if (keys.size !== before.length || before.some((o) => !keys.has(o.key))) this.announceAt(now)
  }

  /** It ends: others are told, unless `quietly`. */
  end(quietly: boolean): void {
    this.link.site.timers.remove(this)
    if (!quietly) this.goodbye(this.own)
    this.own = []
    this.state = PROBING
    this.link.ownChanged()
  }

  /** Announces again: somebody has heard something else (section 8.4), or we were away. */
  announceAt(at: number): void {
    this.state = ANNOUNCING
    this.step = 0
    this.link.site.timers.arm(this, at)
    this.link.ownChanged()
  }

  override onTimer(now: number): void {
    const { config, timers } = this.link.site
    if (this.state === PROBING) {
      const names = this.uniqueNames()
      if (names.length > 0 && this.step < config.probes) {
        this.step++
        this.probe(names)
        timers.arm(this, (now + config.probeIntervalMs) | 0)
        return
      }
      this.state = ANNOUNCING
      this.step = 0
      this.link.ownChanged()
    }
    this.link.announce(this.own, now)
    this.step++
    if (this.step === 1) this.registration.announced()
    // Section 8.3: at least a second apart, each time twice that.
    if (this.step < config.announcements) timers.arm(this, (now + config.announceIntervalMs * 2 ** (this.step - 1)) | 0)
    else this.state = SETTLED
  }

  /** Another host's probe (section 8.2). */
  probed(m: Message, now: number): void {
    if (this.state !== PROBING || this.step === 0) return
    for (const name of this.uniqueNames()) {
      const of = (r: ResourceRecord): boolean => r.name.toLowerCase() === name && isInternet(r.class)
      const theirs = m.authorities.filter(of)
      const ours = this.own.filter((o) => o.kind === 'unique').map((o) => o.record)
      if (theirs.length === 0 || compareSets(ours.filter(of), theirs) >= 0) continue
      this.link.counts[C.tieBreaksLost]++
      this.step = 0
      this.link.site.timers.arm(this, (now + this.link.site.config.deferMs) | 0)
      return
    }
  }

  /** Another host's answer. */
  heard(record: ResourceRecord, key: string, now: number): void {
    const { config, random } = this.link.site
    const same = this.own.find((o) => o.key === key)
    if (same !== undefined) {
      // Sections 6.6 and 10.1: who let go of it, or remembers less of it, is set right.
      if (!this.isAnnounced || record.ttl * 2 >= same.record.ttl) return
      this.link.counts[C.rescued]++
      if (this.state === SETTLED) this.announceAt((now + between(random, config.delayMinMs, config.delayMaxMs)) | 0)
      return
    }
    if (record.ttl === 0 || record.type === 'NSEC') return
    const name = record.name.toLowerCase()
    // Section 8.1: a name with any other record is taken. Section 9: of one that is ours, only a set of ours is worth a dispute.
    const isConflict = this.own.some((o) => {
      const isNamed = o.kind === 'unique' && o.record.name.toLowerCase() === name
      return isNamed && (this.state === PROBING || o.record.type === record.type)
    })
    if (!isConflict) return
    this.link.counts[C.conflicts]++
    this.link.noteConflict(now)
    if (this.state === PROBING) this.registration.rename()
    else {
      this.begin(now)
      this.link.ownChanged()
    }
  }

  private uniqueNames(): string[] {
    return [...new Set(this.own.filter((o) => o.kind === 'unique').map((o) => o.record.name.toLowerCase()))]
  }

  private probe(names: readonly string[]): void {
    const unique = this.own.filter((o) => o.kind === 'unique').map((o) => o.record)
    // As they are written, not as they are compared.
    const written = names.map((name) => unique.find((r) => r.name.toLowerCase() === name)!.name)
    const questions = written.map((name) => ({ name, type: 'ANY', class: CLASS_IN | UNICAST }))
    this.link.counts[C.outProbes]++
    this.link.sendQuery(message({ questions, authorities: unique }))
  }

  /** What was announced and is so no more. */
  private goodbye(gone: readonly Own[]): void {
    if (!this.isAnnounced || gone.length === 0) return
    this.link.goodbye(gone.filter((o) => !this.link.isSaidByOthers(o.key, this)))
  }

  /** The same records as before keep their time of last sending. */
  private take(next: Own[]): void {
    for (const o of next) {
      const had = this.own.find((b) => b.key === o.key)
      if (had?.wasSent === true) o.sent(had.sentMs)
    }
    this.own = next
    this.link.ownChanged()
  }
}
