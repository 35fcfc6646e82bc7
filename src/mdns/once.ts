/** Questions of applications that end by themselves: where one instance is, and all that is said of a name within a time. */
import type { Tellable } from '../base/tell.ts'
import { Timed } from '../base/timers.ts'
import type { ResourceRecord } from '../dns/records.ts'
import { Instance, type ServiceInfo } from './instance.ts'
import type { Watches } from './mdns.ts'
import { Watch } from './watch.ts'

/** Ends once; holds the process until then. */
abstract class Once extends Timed implements Tellable {
  told = false
  private isOver = false

  constructor(
    protected readonly watches: Watches,
    ms: number,
  ) {
    super()
    const { host, timers, clock } = watches.site
    host.hold()
    watches.ending.add(this)
    timers.arm(this, (clock.nowMs + ms) | 0)
  }

  /** What was waited for is let go of, and said. */
  protected abstract finish(why: 'found' | 'late' | 'closed'): void

  override onTimer(): void {
    this.watches.site.tells.add(this) // applications are not told by timers
  }

  tell(): void {
    this.end('late')
  }

  /** The stack closes. */
  close(): void {
    this.end('closed')
  }

  protected end(why: 'found' | 'late' | 'closed'): void {
    if (this.isOver) return
    this.isOver = true
    const { host, timers } = this.watches.site
    this.watches.ending.delete(this)
    timers.remove(this)
    this.finish(why)
    host.release()
  }
}

export class Resolution extends Once {
  private readonly instance: Instance

  constructor(
    watches: Watches,
    fullName: string,
    type: string,
    private readonly done: (info: ServiceInfo | null, code: string) => void,
  ) {
    super(watches, watches.site.config.lookupMs)
    this.instance = new Instance(watches, fullName, type, () => this.end('found'))
  }

  protected override finish(why: 'found' | 'late' | 'closed'): void {
    this.instance.end()
    this.done(this.instance.info, why === 'closed' ? 'ECANCELED' : 'ENOTFOUND')
  }
}

export class Collection extends Once {
  private readonly watch: Watch

  constructor(
    watches: Watches,
    private readonly name: string,
    ms: number,
    private readonly done: (records: ResourceRecord[]) => void,
  ) {
    super(watches, ms)
    this.watch = new Watch(name, ['PTR'], () => undefined)
    watches.add(this.watch)
  }

  protected override finish(): void {
    const records = this.watches.records(this.name, 'PTR')
    this.watches.remove(this.watch)
    this.done(records)
  }
}
