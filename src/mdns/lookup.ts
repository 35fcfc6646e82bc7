/**
 * One question to the link, for the resolver: ends with the first answer, with word that there is none (NSEC, section 6.1), or after a while. Of a host that
 * says nothing of what it has not, an address of the other family ends the waiting.
 */
import type { Tellable } from '../base/tell.ts'
import { Timed } from '../base/timers.ts'
import { type Cancelable, failed } from '../dns/outcome.ts'
import { isType, type TypeName } from '../dns/records.ts'
import type { OutcomeHandler } from '../dns/resolver.ts'
import type { Watches } from './mdns.ts'
import { Watch } from './watch.ts'

/** CNAMEs that are followed. */
const MAX_LINKS = 8

export class Lookup extends Timed implements Cancelable, Tellable {
  told = false
  private watch: Watch
  private name: string
  private links = 0
  private isOver = false
  private isFamilyWait = false

  constructor(
    private readonly watches: Watches,
    private readonly asked: string,
    private readonly type: TypeName,
    private readonly done: OutcomeHandler,
  ) {
    super()
    const { site } = watches
    site.host.hold()
    this.name = asked
    this.watch = this.watchName(asked)
    site.timers.arm(this, (site.clock.nowMs + site.config.lookupMs) | 0)
    watches.ending.add(this)
  }

  cancel(): void {
    this.end()
  }

  /** The stack closes. */
  close(): void {
    if (this.end()) this.done(failed('ECANCELLED', this.asked))
  }

  /** Nobody has answered. */
  override onTimer(): void {
    this.watches.site.tells.add(this) // applications are not told by timers
  }

  tell(): void {
    if (!this.look() && this.end()) this.done(failed(this.hasOther() ? 'ENODATA' : 'ENOTFOUND', this.name))
  }

  private watchName(name: string): Watch {
    const watch = new Watch(name, [this.type], () => this.look())
    this.watches.add(watch)
    return watch
  }

  /** What is known by now. True: it was enough. */
  private look(): boolean {
    const { watches, name, type } = this
    if (this.isOver) return true
    const records = watches.records(name, type)
    if (records.length > 0) {
      this.end()
      const ttl = Math.min(...records.map((r) => r.ttl))
      this.done({ code: '', records, canonical: name, ttl })
      return true
    }
    const alias = watches.records(name, 'CNAME')[0]
    if (alias !== undefined && isType(alias, 'CNAME') && this.links++ < MAX_LINKS) {
      watches.remove(this.watch)
      this.name = alias.data.cname.toLowerCase()
      this.watch = this.watchName(this.name)
      return false
    }
    const denied = watches.records(name, 'NSEC').some((r) => isType(r, 'NSEC') && !r.data.types.includes(type))
    if (denied) {
      if (this.end()) this.done(failed('ENODATA', name))
      return true
    }
    if (this.hasOther() && !this.isFamilyWait) {
      this.isFamilyWait = true
      watches.site.timers.arm(this, (watches.site.clock.nowMs + watches.site.config.familyMs) | 0)
    }
    return false
  }

  /** The host is there: it has an address of the other family. */
  private hasOther(): boolean {
    const { type, watches, name } = this
    return (type === 'A' || type === 'AAAA') && watches.records(name, type === 'A' ? 'AAAA' : 'A').length > 0
  }

  /** False: it was over already. */
  private end(): boolean {
    if (this.isOver) return false
    this.isOver = true
    const { watches } = this
    watches.ending.delete(this)
    watches.remove(this.watch)
    watches.site.timers.remove(this)
    watches.site.host.release()
    return true
  }
}
