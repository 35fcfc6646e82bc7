/**
 * Listening in on a protocol: whoever sends probes by hand must hear what comes back for them, before or beside the protocol itself.
 *
 * A `Watch` takes the protocol's place in IP while somebody listens, and hands everything on. Who does not listen costs nothing: IP calls the
 * protocol itself again.
 */
import type { ErrorReport, Ip, Protocol } from '../ip/ip.ts'
import type { Packet } from '../ip/packet.ts'

/** Who listens. */
export interface Watcher {
  /** A packet of the protocol; it goes on to the protocol afterwards. Nothing may be sent from here. */
  heard?(packet: Packet): void
  /** An error about a packet of ours. True: it is about a probe of this watcher, and nobody else needs to know. */
  errorHeard(report: ErrorReport): boolean
}

class Watch implements Protocol {
  readonly watchers: Watcher[] = []

  constructor(readonly inner: Protocol) {}

  input(packet: Packet): void {
    for (let i = 0; i < this.watchers.length; i++) this.watchers[i].heard?.(packet)
    this.inner.input(packet)
  }

  error(report: ErrorReport): void {
    for (let i = 0; i < this.watchers.length; i++) if (this.watchers[i].errorHeard(report)) return
    this.inner.error(report)
  }
}

/** The watches of one stack. */
export class Watches {
  private readonly open = new Map<number, Watch>()

  constructor(private readonly ip: Ip) {}

  /** `watcher` hears of `protocol` in one family until `remove`. */
  add(protocol: number, family: 4 | 6, watcher: Watcher): void {
    const key = (protocol << 4) | family
    let watch = this.open.get(key)
    if (watch === undefined) {
      watch = new Watch(this.ip.protocol(protocol, family)!)
      this.open.set(key, watch)
      this.ip.register(protocol, watch, family)
    }
    watch.watchers.push(watcher)
  }

  /** Idempotent. */
  remove(protocol: number, family: 4 | 6, watcher: Watcher): void {
    const key = (protocol << 4) | family
    const watch = this.open.get(key)
    const at = watch === undefined ? -1 : watch.watchers.indexOf(watcher)
    if (watch === undefined || at < 0) return
    watch.watchers.splice(at, 1)
    if (watch.watchers.length > 0) return
    this.open.delete(key)
    this.ip.register(protocol, watch.inner, family)
  }
}
