/**
 * The neighbours of one interface (RFC 4861 section 5.1: the Neighbor Cache).
 *
 * Theory of operation. Entries live in four lists by what is known of them, each with its own limit, so that a flood of one kind
 * only ever pushes out its own kind (RFC 6583):
 *
 *   pending    being asked for, or failed. The one that was asked for longest ago goes first. A scan of a whole subnet fills this
 *              one only, and what `AskedLately` remembers keeps it from becoming a flood of requests.
 *   heard      somebody told us its address, but it never answered a question of ours. Forged ARP requests fill this one only.
 *   confirmed  has been REACHABLE. The least recently used goes first.
 *   permanent  the user's own.
 *
 * All are found through one chained hash table with a random key.
 */
import { Address } from '../base/address.ts'
import type { NeighborTimes } from '../base/arp-config.ts'
import { get16, get32 } from '../base/bytes.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument } from '../base/errors.ts'
import type { BufferPool } from '../base/pool.ts'
import { type Random, randomFraction } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import type { EthernetPort } from '../ethernet/ethernet.ts'
import { formatMac, macBytes } from '../ethernet/mac.ts'
import type { Frame } from '../netif/frame.ts'
import { AskedLately } from './asked-lately.ts'
import type { Interface } from './interface.ts'
import {
  Neighbor,
  type NeighborClock,
  type NeighborInfo,
  type NeighborListener,
  type NeighborTable,
  type Solicitor,
} from './neighbor.ts'
import { QueueMemory } from './neighbor-queue.ts'

const NAMES = [
  /** Addresses that became known. */
  'resolved',
  /** Resolutions without an answer. */
  'failed',
  /** Entries pushed out by others of their kind. */
  'evicted',
  /** Questions put off: the same was asked less than a RetransTimer ago, or too many others were. */
  'solicitsDelayed',
  /** Packets dropped: pushed out by later ones, unreachable (and reported), neighbour forgotten. */
  'dropQueueFull',
  'dropUnreachable',
  'dropForgotten',
] as const
const C = indexOf(NAMES)

/** Bytes of all queues together, in queues of the largest size. */
const QUEUES = 16

/** Neighbours of multicast groups that are remembered. A power of two. */
const GROUPS = 16

export interface NeighborCacheOptions {
  timers: Timers
  clock: NeighborClock
  random: Random
  config: NeighborTimes
  /** The stack's transmit frame: queued packets leave through it, when nobody else is using it. */
  frame: Frame
  pool: BufferPool
  solicitor: Solicitor
  listener: NeighborListener
}

/** A list that runs through its members. */
export class NeighborList {
  head: Neighbor | null = null
  private tail: Neighbor | null = null
  size = 0

  constructor(readonly limit: number) {}

  append(n: Neighbor): void {
    n.list = this
    n.prev = this.tail
    n.next = null
    if (this.tail === null) this.head = n
    else this.tail.next = n
    this.tail = n
    this.size++
  }

  remove(n: Neighbor): void {
    if (n.prev === null) this.head = n.next
    else n.prev.next = n.next
    if (n.next === null) this.tail = n.prev
    else n.next.prev = n.prev
    n.prev = null
    n.next = null
    n.list = null
    this.size--
  }
}

export class NeighborCache implements NeighborTable {
  readonly counters = new Counters(NAMES)
  readonly timers: Timers
  readonly clock: NeighborClock
  readonly config: NeighborTimes
  readonly memory: QueueMemory
  readonly broadcast: Neighbor
  private readonly ethernet: EthernetPort
  private readonly random: Random
  private readonly frame: Frame
  private readonly solicitor: Solicitor
  private readonly listener: NeighborListener
  private readonly pending: NeighborList
  private readonly unproven: NeighborList
  private readonly confirmed: NeighborList
  private readonly permanent: NeighborList
  private readonly buckets: (Neighbor | null)[]
  private readonly key: number
  private readonly asked: AskedLately
  /** Usable neighbours whose packets wait because the link was full. */
  private readonly waiting: Neighbor[] = []
  private readonly groups: (Neighbor | null)[]

  constructor(
    readonly iface: Interface,
    options: NeighborCacheOptions,
  ) {
    if (iface.ethernet === null) throw invalidArgument(`${iface.name} has no link layer: it has no neighbours`)
    this.ethernet = iface.ethernet
    this.timers = options.timers
    this.clock = options.clock
    this.random = options.random
    this.config = options.config
    this.frame = options.frame
    this.solicitor = options.solicitor
    this.listener = options.listener
    this.memory = new QueueMemory(options.pool, QUEUES * options.config.maxQueuedBytes)
    const quarter = Math.max(1, options.config.maxEntries >> 2)
    this.pending = new NeighborList(quarter)
    this.unproven = new NeighborList(quarter)
    this.confirmed = new NeighborList(Math.max(1, options.config.maxEntries - 2 * quarter))
    this.permanent = new NeighborList(0x7fffffff)
    const size = 1 << Math.min(16, Math.max(4, 32 - Math.clz32(options.config.maxEntries)))
    this.buckets = new Array<Neighbor | null>(size).fill(null)
    this.key = options.random.int32()
    this.asked = new AskedLately(size, options.config.retransTimerMs, options.clock.nowMs)
    this.groups = new Array<Neighbor | null>(GROUPS).fill(null)
    this.broadcast = this.fixed(Address.v4(-1), 0xffff, -1)
  }

  /** Entries of all kinds. */
  get size(): number {
    return this.pending.size + this.unproven.size + this.confirmed.size + this.permanent.size
  }

  find(address: Address): Neighbor | null {
    let n = this.buckets[this.bucketOf(address)]
    while (n !== null && !n.address.equals(address)) n = n.chain
    return n
  }

  get(address: Address): Neighbor {
    return this.find(address) ?? new Neighbor(this, address.clone())
  }

  multicast(group: Address): Neighbor {
    const slot = group.w3 & (GROUPS - 1)
    const known = this.groups[slot]
    if (known?.address.equals(group)) return known
    const n = group.isV4
      ? this.fixed(group.clone(), 0x0100, 0x5e000000 | (group.w3 & 0x7fffff)) // RFC 1112 section 6.4
      : this.fixed(group.clone(), 0x3333, group.w3) // RFC 2464 section 7
    this.groups[slot] = n
    return n
  }

  setPermanent(address: Address, mac: Uint8Array): Neighbor {
    if (mac.length !== 6 || (mac[0] & 1) !== 0) {
      throw invalidArgument('a neighbour needs a unicast MAC address of 6 bytes', 'ERR_INVALID_MAC_ADDRESS')
    }
    const n = this.get(address)
    if (n.list === null) this.insert(n)
    else n.list.remove(n)
    this.permanent.append(n)
    n.fix(get16(mac, 0), get32(mac, 2))
    this.flush(n)
    return n
  }

  /**
   * The link address of a neighbour that spoke to us unasked. Known ones are updated; a stranger gets an entry only if `create`.
   */
  learn(address: Address, high: number, low: number, create: boolean): void {
    let n = this.find(address)
    if (n === null) {
      if (!create) return
      n = new Neighbor(this, address.clone())
      this.insert(n)
      this.unproven.append(n)
    }
    n.update(high, low, false, true)
  }

  delete(address: Address): boolean {
    const n = this.find(address)
    if (n === null) return false
    this.forget(n)
    return true
  }

  clear(): void {
    for (const list of [this.pending, this.unproven, this.confirmed]) while (list.head !== null) this.forget(list.head)
  }

  entries(): NeighborInfo[] {
    const out: NeighborInfo[] = []
    for (const list of [this.permanent, this.confirmed, this.unproven, this.pending]) {
      for (let n = list.head; n !== null; n = n.next) {
        out.push({
          address: n.address,
          mac: n.usable ? formatMac(macBytes(n.macHigh, n.macLow)) : null,
          state: n.stateName,
          queued: n.queue.count,
        })
      }
    }
    return out
  }

  flushPending(): boolean {
    while (this.waiting.length > 0) {
      const n = this.waiting[0]
      if (!this.send(n)) return false
      n.blocked = false
      this.waiting.shift()
    }
    return true
  }

  /* What follows is for Neighbor. */

  /** Lets a neighbour in that is to be asked for. */
  admit(n: Neighbor): void {
    if (this.pending.size >= this.pending.limit) this.evict(this.pending.head!)
    this.insert(n)
    this.pending.append(n)
  }

  /** The neighbour has an address now, but never answered. */
  heard(n: Neighbor): void {
    this.place(n, this.unproven)
    if (this.unproven.size > this.unproven.limit) this.evict(this.unproven.head!)
  }

  /** The neighbour is REACHABLE. */
  proven(n: Neighbor): void {
    if (n.list === this.confirmed) return
    this.place(n, this.confirmed)
    if (this.confirmed.size <= this.confirmed.limit) return
    // A walk, because keeping the list sorted would cost every packet sent. It is rare: questions answered are few per second.
    let oldest: Neighbor | null = null
    for (let x = this.confirmed.head; x !== null; x = x.next) {
      if (x !== n && (oldest === null || ((x.usedAt - oldest.usedAt) | 0) < 0)) oldest = x
    }
    if (oldest !== null) this.evict(oldest)
  }

  /** Asks the neighbour itself. */
  probe(n: Neighbor): void {
    this.solicitor.solicit(n, true)
  }

  /** Asks everybody for it and returns 0, or returns how many ms it must wait. */
  solicit(n: Neighbor, now: number): number {
    this.asked.intervalMs = this.config.retransTimerMs // which routers may change (RFC 4861 section 6.3.4)
    const wait = this.asked.ask(this.hashOf(n.address), n.address.digest, now)
    if (wait > 0) {
      this.counters.values[C.solicitsDelayed]++
      return wait
    }
    this.place(n, this.pending)
    this.solicitor.solicit(n, false)
    return 0
  }

  /** Out of the table. Whoever still holds the object finds it unresolved, and it comes back when used. */
  forget(n: Neighbor): void {
    this.counters.values[C.dropForgotten] += n.queue.clear()
    if (n.list !== null) {
      n.list.remove(n)
      this.unlink(n)
    }
    if (n.blocked) {
      n.blocked = false
      this.waiting.splice(this.waiting.indexOf(n), 1)
    }
    n.reset()
  }

  /** Sends a packet that is still in the caller's frame by another object that stands for the same address. */
  sendBy(n: Neighbor, frame: Frame, etherType: number): void {
    if (n.usable && n.queue.count === 0) {
      n.used()
      if (this.ethernet.output(frame, n.macHigh, n.macLow, etherType)) return
    }
    n.enqueue(frame, etherType)
    if (n.usable) this.wait(n)
  }

  /** Sends what waited for the address. */
  flush(n: Neighbor): void {
    if (n.queue.count > 0 && !this.send(n)) this.wait(n)
  }

  /** Hands every packet that waits now to the listener. */
  report(n: Neighbor): void {
    for (let left = n.queue.count; left > 0; left--) {
      // Out of the queue before the call: the listener may send, and a full queue drops its oldest.
      const packet = n.queue.take()
      if (packet === null) return
      this.counters.values[C.dropUnreachable]++
      this.listener.onUnreachable(n, packet.buf, 0, packet.length, packet.etherType)
      n.queue.release(packet)
    }
  }

  /** RFC 4861 section 6.3.2: uniform between MIN_RANDOM_FACTOR and MAX_RANDOM_FACTOR, 0.5 and 1.5. */
  drawReachableMs(): number {
    return Math.round(this.config.reachableTimeMs * (0.5 + randomFraction(this.random))) | 0
  }

  countResolved(): void {
    this.counters.values[C.resolved]++
  }

  gaveUp(n: Neighbor): void {
    this.solicitor.gaveUp?.(n)
  }

  countFailed(): void {
    this.counters.values[C.failed]++
  }

  countPushedOut(packets: number): void {
    this.counters.values[C.dropQueueFull] += packets
  }

  /** True when all is sent; false when the link is full. */
  private send(n: Neighbor): boolean {
    for (let packet = n.queue.head; packet !== null; packet = n.queue.head) {
      packet.load(this.frame)
      n.used()
      // A link that is down loses frames, as Interface.output has it.
      if (this.iface.up && !this.ethernet.output(this.frame, n.macHigh, n.macLow, packet.etherType)) return false
      n.queue.drop()
    }
    return true
  }

  private wait(n: Neighbor): void {
    if (n.blocked) return
    n.blocked = true
    this.waiting.push(n)
  }

  private evict(n: Neighbor): void {
    this.counters.values[C.evicted]++
    this.forget(n)
  }

  private place(n: Neighbor, list: NeighborList): void {
    n.list?.remove(n)
    list.append(n)
  }

  private fixed(address: Address, high: number, low: number): Neighbor {
    const n = new Neighbor(this, address)
    n.fix(high, low)
    return n
  }

  private hashOf(address: Address): number {
    const h = Math.imul(address.digest ^ this.key, 0x9e3779b1)
    return h ^ (h >>> 15)
  }

  private bucketOf(address: Address): number {
    return this.hashOf(address) & (this.buckets.length - 1)
  }

  private insert(n: Neighbor): void {
    const b = this.bucketOf(n.address)
    n.chain = this.buckets[b]
    this.buckets[b] = n
  }

  private unlink(n: Neighbor): void {
    const b = this.bucketOf(n.address)
    let at = this.buckets[b]
    if (at === n) this.buckets[b] = n.chain
    else {
      while (at !== null && at.chain !== n) at = at.chain
      if (at !== null) at.chain = n.chain
    }
    n.chain = null
  }
}
