/**
 * Looks for services of a type, for as long as it is open (RFC 6763 section 4).
 *
 * Theory of operation. Each instance that the link names is followed, and is `up` when all is known of it. What was told of each, and what is true now, are
 * compared when somebody asks: so a slow reader is told less, never something old, and what waits for him is no more than there are instances.
 */
import type { Tellable } from '../base/tell.ts'
import { isType } from '../dns/records.ts'
import { Instance, type ServiceInfo } from './instance.ts'
import type { Watches } from './mdns.ts'
import { Watch } from './watch.ts'

/** `down`: the service as it was last. */
export interface BrowseEvent {
  kind: 'up' | 'changed' | 'down'
  service: ServiceInfo
}

/** Watches for services of a type: an async iterator of those that come, change and go. Made by `stack.mdns.browse`. */
export class Browser implements AsyncIterableIterator<BrowseEvent>, Tellable {
  told = false
  /** Called for each event, in place of the iterator. */
  onEvent: ((event: BrowseEvent) => void) | null = null
  private readonly watch: Watch
  private readonly instances = new Map<string, Instance>()
  /** What was told last. */
  private readonly last = new Map<string, { text: string; service: ServiceInfo }>()
  /** Instances to look at, in the order in which they changed. */
  private readonly dirty = new Set<string>()
  private readonly waiting: ((result: IteratorResult<BrowseEvent>) => void)[] = []
  private isClosed = false

  constructor(
    private readonly watches: Watches,
    name: string,
    private readonly type: string,
  ) {
    this.watch = new Watch(name, ['PTR'], () => this.look())
    watches.site.host.hold()
    watches.ending.add(this)
    watches.add(this.watch)
  }

  /** The services that are there now. */
  get services(): ServiceInfo[] {
    return [...this.instances.values()].flatMap((i) => (i.info === null ? [] : [i.info]))
  }

  /** Ends it. Idempotent. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    const { watches } = this
    watches.ending.delete(this)
    watches.remove(this.watch)
    for (const instance of this.instances.values()) instance.end()
    this.instances.clear()
    this.dirty.clear()
    watches.site.host.release()
    for (const resolve of this.waiting.splice(0)) resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<BrowseEvent>> {
    if (this.isClosed) return Promise.resolve({ done: true, value: undefined })
    const event = this.take()
    return event === null ? new Promise((resolve) => this.waiting.push(resolve)) : Promise.resolve({ done: false, value: event })
  }

  return(): Promise<IteratorResult<BrowseEvent>> {
    this.close()
    return Promise.resolve({ done: true, value: undefined })
  }

  tell(): void {
    while (this.onEvent !== null || this.waiting.length > 0) {
      const event = this.take()
      if (event === null) return
      if (this.onEvent !== null) this.onEvent(event)
      else this.waiting.shift()!({ done: false, value: event })
    }
  }

  /** Instances came or went. */
  private look(): void {
    const { watches, instances, type } = this
    const named = new Map<string, string>()
    for (const r of watches.records(this.watch.name, 'PTR'))
      if (isType(r, 'PTR')) named.set(r.data.ptrdname.toLowerCase(), r.data.ptrdname)
    for (const [key, instance] of instances) {
      if (named.has(key)) continue
      instance.end()
      instances.delete(key)
      // What was never told needs no word: with nobody to read it, it would wait for ever.
      if (this.last.has(key)) this.mark(key)
      else this.dirty.delete(key)
    }
    for (const [key, name] of named) {
      if (instances.has(key) || instances.size >= watches.site.config.maxInstances) continue
      instances.set(key, new Instance(watches, name, type, () => this.mark(key)))
    }
  }

  private mark(key: string): void {
    this.dirty.add(key)
    this.watches.site.tells.add(this)
  }

  /** The next thing to tell. */
  private take(): BrowseEvent | null {
    for (const key of this.dirty) {
      this.dirty.delete(key)
      const instance = this.instances.get(key)
      const last = this.last.get(key)
      const service = instance?.info ?? null
      if (service === null) {
        if (last === undefined) continue
        this.last.delete(key)
        return { kind: 'down', service: last.service }
      }
      if (last?.text === instance!.text) continue
      this.last.set(key, { text: instance!.text, service })
      return { kind: last === undefined ? 'up' : 'changed', service }
    }
    return null
  }
}
