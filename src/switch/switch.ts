/**
 * A learning switch: the plan of IEEE 802.1D and 802.1Q between any links that carry Ethernet.
 *
 * Theory of operation. Each port is the sink of a NetIf (port.ts). Links announce that frames wait; the switch asks its host for a turn, and in the
 * turn takes at most a budget from each port, so that none starves another. Every frame is relayed as it comes (relay.ts), lent, straight into the links it leaves
 * by; what a link refuses is lost. Nothing happens within a link's call but that the turn is asked for: switches in a loop take turns like everybody
 * else, and no stack grows. After the turn the links that were used are flushed.
 *
 * What is remembered is bounded: addresses (address-table.ts), groups (snooping.ts); one timer sweeps both, and there is none while both are empty.
 */
import type { Host, Task, TimerHandle } from '../base/clock.ts'
import { invalidArgument } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { configureSwitch, type SwitchConfig } from '../base/switch-config.ts'
import { formatMac, macBytes, parseMac, randomMac } from '../ethernet/mac.ts'
import { createPipe } from '../link/pipe.ts'
import type { NetIf } from '../netif/netif.ts'
import { AddressTable } from './address-table.ts'
import { type PortOwner, SwitchPort, type SwitchPortOptions } from './port.ts'
import { Relay, type RelaySite } from './relay.ts'
import { Snooping } from './snooping.ts'
import { SpanningTree, type SpanningTreeOptions, type TreeSite } from './spanning-tree.ts'

/** Everything may be left out; the numbers of `SwitchConfig` have their defaults in base/switch-config.ts. */
export interface SwitchOptions extends Partial<SwitchConfig> {
  /** `switch` when left out. */
  name?: string
  /** The rapid spanning tree. False when left out: then a loop is a loop, and only the limits of floods hold it. */
  spanningTree?: boolean | SpanningTreeOptions
  /** IGMP and MLD snooping. True when left out: it does nothing until somebody queries. */
  snooping?: boolean
  /** Its own MAC address, that of its spanning tree. A random local one when left out. */
  mac?: string | Uint8Array
}

/** What a switch runs on. */
export interface SwitchPlatform {
  host: Host
  random: Random
}

/** An address that was learned. */
export interface LearnedAddress {
  mac: string
  vlan: number
  port: string
  /** Seconds since it was last seen. */
  age: number
}

/** A learning switch between links. Made by `createSwitch`. */
export class Switch implements Task, PortOwner, RelaySite, TreeSite {
  readonly name: string
  readonly host: Host
  readonly config: SwitchConfig
  readonly mac: Uint8Array
  readonly table: AddressTable
  readonly snooping: Snooping | null
  readonly spanningTree: SpanningTree | null
  /** By number; null where a port was. */
  readonly ports: (SwitchPort | null)[] = []
  nowMs = 0
  nowUs = 0
  /** A port's link has ended by itself; the port is gone. */
  onPortClosed: ((port: SwitchPort, error: Error | undefined) => void) | null = null
  /** A BPDU came in where `bpduGuard` is set; the port is switched off. */
  onBpduGuard: ((port: SwitchPort) => void) | null = null
  private readonly relay: Relay
  private scheduled = false
  private running = false
  private isClosed = false
  /** Ports that sent something since the last flush; only the first `dirtyCount` count. */
  private readonly dirty: SwitchPort[] = []
  private dirtyCount = 0
  private timer: TimerHandle = null
  private timerSet = false
  private readonly sweeper: Task

  /** Throws ERR_INVALID_ARG_VALUE. */
  constructor(
    platform: SwitchPlatform,
    options: SwitchOptions = {},
    readonly isHub = false,
  ) {
    const { name = isHub ? 'hub' : 'switch', snooping = true, spanningTree = false, mac, ...numbers } = options
    const { host, random } = platform
    this.name = name
    this.host = host
    this.config = configureSwitch(numbers)
    this.mac = mac === undefined ? randomMac(random) : ownMac(mac)
    this.table = new AddressTable(this.config.maxAddresses, random.int32())
    this.snooping = snooping && !isHub ? new Snooping(this.config, random.int32()) : null
    const wantsTree = spanningTree !== false && !isHub
    this.spanningTree = wantsTree ? new SpanningTree(this, spanningTree === true ? {} : spanningTree) : null
    this.relay = new Relay(this)
    this.sweeper = { run: () => this.sweep() }
    this.readClock()
  }

  get ageingMs(): number {
    return this.config.ageingMs
  }

  /**
   * A port in memory: the other end, for a stack or anything else that attaches to a link. Closing it removes the port; closing the switch ends it.
   */
  port(name: string, options: SwitchPortOptions = {}): NetIf {
    const { mtu, queueFrames, queueBytes } = this.config
    const [inside, outside] = createPipe({ mtu, queueFrames, queueBytes, hangUp: true, names: [name, name] })
    this.add(inside, { name, ...options }, true)
    return outside
  }

  /**
   * Joins a link: from now on it belongs to the switch, which closes it. Throws ERR_INVALID_ARG_VALUE for a link that carries no Ethernet, a name
   * that another port has, a port too many, and options that cannot be.
   */
  join(link: NetIf, options: SwitchPortOptions = {}): SwitchPort {
    return this.add(link, options, false)
  }

  /** The port of that name, or undefined. */
  find(name: string): SwitchPort | undefined {
    return this.list.find((port) => port.name === name)
  }

  /** Ports that there are. */
  get list(): SwitchPort[] {
    return this.ports.filter((port) => port !== null)
  }

  /** Takes a port away and closes its link. */
  remove(port: SwitchPort): Promise<void> {
    this.forget(port)
    return Promise.resolve(port.link.close())
  }

  /** Switches a port on or off. What it had learned is forgotten. */
  setUp(port: SwitchPort, up: boolean): void {
    if (port.isUp === up) return
    port.isUp = up
    this.flushPort(port)
    this.spanningTree?.enable(port)
  }

  /**
   * Copies of what comes in or goes out at `from`, or both, leave by `to`, which does nothing else from now on. `from: null`: no more copies by `to`, which
   * is an ordinary port again.
   */
  mirror(from: SwitchPort | readonly SwitchPort[] | null, to: SwitchPort, direction: 'in' | 'out' | 'both' = 'both'): void {
    const sources = from === null ? [] : from instanceof SwitchPort ? [from] : from
    if (direction !== 'in' && direction !== 'out' && direction !== 'both')
      throw invalidArgument(`direction of a mirror: in, out or both is expected, not ${direction}`)
    if (sources.includes(to)) throw invalidArgument(`port ${to.name} cannot mirror itself`)
    for (const port of this.list) {
      if (port.mirrorIn === to) port.mirrorIn = null
      if (port.mirrorOut === to) port.mirrorOut = null
    }
    to.isMirror = sources.length > 0
    if (to.isMirror) this.flushPort(to)
    for (const port of sources) {
      if (direction !== 'out') port.mirrorIn = to
      if (direction !== 'in') port.mirrorOut = to
    }
  }

  /** What was learned, freshest first. */
  addresses(): LearnedAddress[] {
    const now = this.host.ms()
    return this.table
      .entries()
      .filter(({ seenMs }) => ((now - seenMs) | 0) < this.ageingMs) // others are swept now and then, and nothing is sent by them
      .map(({ vlan, high, low, port, seenMs }) => ({
        mac: formatMac(macBytes(high, low)),
        vlan,
        port: this.ports[port]?.name ?? '',
        age: Math.max(0, ((now - seenMs) | 0) / 1000),
      }))
      .sort((a, b) => a.age - b.age)
  }

  /** Groups that are wanted, and by which ports. */
  groups(): { vlan: number; group: string; ports: string[] }[] {
    const known = this.snooping?.list(this.host.ms()) ?? []
    return known.map(({ vlan, group, ports }) => ({ vlan, group, ports: ports.map((port) => this.ports[port]?.name ?? '') }))
  }

  /** By port, and `snooping`. */
  counters(onlyNonZero = false): Record<string, Record<string, number>> {
    const out: Record<string, Record<string, number>> = {}
    for (const port of this.list) out[port.name] = port.count.snapshot(onlyNonZero) as Record<string, number>
    if (this.snooping !== null) out.snooping = this.snooping.count.snapshot(onlyNonZero) as Record<string, number>
    return out
  }

  /** Ends every port and its link. */
  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    this.spanningTree?.close()
    if (this.timerSet) this.host.cancel(this.timer)
    this.timerSet = false
    const ports = this.list
    this.ports.fill(null)
    await Promise.all(ports.map((port) => port.link.close()))
  }

  // What ports ask for.

  heard(port: SwitchPort, buf: Uint8Array, start: number, end: number, meta: number): void {
    this.relay.heard(port, buf, start, end, meta)
  }

  wake(): void {
    if (this.scheduled || this.running || this.isClosed) return
    this.scheduled = true
    this.host.soon(this)
  }

  sent(port: SwitchPort): void {
    this.dirty[this.dirtyCount++] = port
    this.wake()
  }

  flushPort(port: SwitchPort): void {
    this.table.flush(port.index)
    port.addresses = 0
  }

  topologyChanged(): void {
    this.snooping?.topologyChanged()
  }

  guard(port: SwitchPort): void {
    this.setUp(port, false)
    this.tell(() => this.onBpduGuard?.(port))
  }

  /** One turn. */
  run(): void {
    this.scheduled = false
    if (this.isClosed || this.running) return
    this.running = true
    try {
      this.once()
    } finally {
      this.running = false
    }
    // A link may have announced something while another was asked.
    for (let i = 0; i < this.ports.length; i++) if (this.ports[i]?.ready === true || this.ports[i]?.ended === true) this.wake()
    if (!this.timerSet && !this.isClosed && this.table.count > 0) this.armSweep()
  }

  private once(): void {
    this.readClock()
    const { ports } = this
    const { receiveBudget } = this.config
    for (let i = 0; i < ports.length; i++) {
      const port = ports[i]
      if (port === null || !(port.ready || port.ended)) continue
      port.ready = false
      if (port.link.receive(receiveBudget)) port.ready = true
      else if (port.ended) this.lost(port)
    }
    for (let i = 0; i < this.dirtyCount; i++) {
      const port = this.dirty[i]
      port.dirty = false
      port.link.flush()
    }
    this.dirtyCount = 0
  }

  private add(link: NetIf, options: SwitchPortOptions, careful: boolean): SwitchPort {
    const { maxPorts } = this.config
    if (this.isClosed) throw invalidArgument(`${this.name} is closed`)
    if (link.medium !== 'ethernet') throw invalidArgument(`${link.name} carries no Ethernet, and a switch joins nothing else`)
    const name = options.name ?? link.name
    if (this.find(name) !== undefined) throw invalidArgument(`${this.name} has a port ${name} already`)
    const free = this.ports.indexOf(null)
    const index = free < 0 ? this.ports.length : free
    if (index >= maxPorts) throw invalidArgument(`${this.name} has ${maxPorts} ports, and no more`)
    const port = new SwitchPort(this, index, link, options, this.config, careful)
    this.ports[index] = port
    port.link.attach(port)
    this.spanningTree?.add(port)
    return port
  }

  /** The link of a port has ended by itself. */
  private lost(port: SwitchPort): void {
    this.forget(port)
    void port.link.close()
    this.tell(() => this.onPortClosed?.(port, port.endedWith))
  }

  private tell(handler: () => void): void {
    try {
      handler()
    } catch (error) {
      this.host.uncaught(error)
    }
  }

  private forget(port: SwitchPort): void {
    if (this.ports[port.index] !== port) return
    for (const other of this.list) {
      if (other.mirrorIn === port) other.mirrorIn = null
      if (other.mirrorOut === port) other.mirrorOut = null
    }
    this.flushPort(port)
    this.spanningTree?.remove(port)
    this.snooping?.forget(port)
    this.ports[port.index] = null
  }

  private readClock(): void {
    this.nowMs = this.host.ms()
    this.nowUs = this.host.us()
  }

  private sweep(): void {
    this.timerSet = false
    const now = this.host.ms()
    this.table.expire(now, this.config.ageingMs, (index) => {
      const port = this.ports[index]
      if (port !== null) port.addresses--
    })
    const known = this.snooping?.sweep(now) ?? false
    if (known || this.table.count > 0) this.armSweep()
  }

  private armSweep(): void {
    this.timerSet = true
    this.timer = this.host.after(this.config.sweepMs, this.sweeper)
  }
}

/** Six bytes of one station. Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_MAC_ADDRESS. */
function ownMac(mac: string | Uint8Array): Uint8Array {
  const bytes = mac instanceof Uint8Array ? mac.slice() : parseMac(mac)
  if (bytes.length === 6 && (bytes[0] & 1) === 0) return bytes
  throw invalidArgument(`option mac of a switch: six bytes that are no group's are expected, not ${mac}`)
}
