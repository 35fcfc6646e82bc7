/**
 * The table of connections: both tuples of each entry in one keyed hash with chains. Every word of both addresses goes through the key,
 * for a stranger with a /64 of his own could otherwise aim at one chain. A direct-mapped memory of tuples answers bulk traffic unhashed.
 */
import type { Random } from '../base/random.ts'
import { HalfSipHash } from '../base/siphash.ts'
import type { Entry, Tuple } from './tuple.ts'

const FIRST_BUCKETS = 256
const RECENT = 256

export class ConnectionTable {
  /** Entries. */
  size = 0
  private readonly hash: HalfSipHash
  private buckets: (Tuple | null)[] = new Array<Tuple | null>(FIRST_BUCKETS).fill(null)
  private mask = FIRST_BUCKETS - 1
  private readonly recent: (Tuple | null)[] = new Array<Tuple | null>(RECENT).fill(null)

  constructor(random: Random) {
    this.hash = new HalfSipHash(random)
  }

  get bucketCount(): number {
    return this.buckets.length
  }

  /** The tuple that equals `key`, or null. Sets `key.hash` when it had to be looked for. */
  find(key: Tuple): Tuple | null {
    const slot = slotOf(key)
    const recent = this.recent[slot]
    if (recent?.equals(key)) return recent
    key.hash = this.hashOf(key)
    for (let t = this.buckets[key.hash & this.mask]; t !== null; t = t.next) {
      if (t.hash === key.hash && t.equals(key)) {
        this.recent[slot] = t
        return t
      }
    }
    return null
  }

  /** Puts in both tuples. */
  add(entry: Entry): void {
    if (this.size >= this.buckets.length) this.grow()
    entry.original.hash = this.hashOf(entry.original)
    entry.reply.hash = this.hashOf(entry.reply)
    this.link(entry.original)
    this.link(entry.reply)
    entry.alive = true
    this.size++
  }

  remove(entry: Entry): void {
    if (!entry.alive) return
    entry.alive = false
    this.unlink(entry.original)
    this.unlink(entry.reply)
    this.size--
  }

  /** Takes the reply tuple out, so that it may change; `relink` puts it back. */
  unlinkReply(entry: Entry): void {
    this.unlink(entry.reply)
  }

  relinkReply(entry: Entry): void {
    if (!entry.alive) return
    entry.reply.hash = this.hashOf(entry.reply)
    this.link(entry.reply)
  }

  /** The first tuple of a bucket: `next` leads on. */
  bucket(i: number): Tuple | null {
    return this.buckets[i & this.mask]
  }

  /** Every entry, in no order. */
  *[Symbol.iterator](): Generator<Entry> {
    for (const first of this.buckets.slice())
      for (let t: Tuple | null = first; t !== null; t = t.next) if (!t.isReply) yield t.entry!
  }

  private link(t: Tuple): void {
    const i = t.hash & this.mask
    t.next = this.buckets[i]
    this.buckets[i] = t
  }

  private unlink(t: Tuple): void {
    const slot = slotOf(t)
    if (this.recent[slot] === t) this.recent[slot] = null
    const i = t.hash & this.mask
    if (this.buckets[i] === t) this.buckets[i] = t.next
    else {
      let before = this.buckets[i]
      while (before !== null && before.next !== t) before = before.next
      if (before !== null) before.next = t.next
    }
    t.next = null
  }

  private grow(): void {
    const old = this.buckets
    this.buckets = new Array<Tuple | null>(2 * old.length).fill(null)
    this.mask = this.buckets.length - 1
    for (const first of old) {
      for (let t = first; t !== null; ) {
        const { next } = t
        this.link(t)
        t = next
      }
    }
  }

  private hashOf(t: Tuple): number {
    const ports = (t.sourcePort << 16) | t.destinationPort
    const { source, destination } = t
    const { hash } = this
    if (source.isV4) return hash.hash4(source.w3, destination.w3, ports, t.protocol)
    const from = hash.hash4(source.w0, source.w1, source.w2, source.w3)
    const to = hash.hash4(destination.w0, destination.w1, destination.w2, destination.w3)
    return hash.hash4(from, to, ports, t.protocol)
  }
}

/** A cheap place that depends on all that changes between the connections of a few hosts. */
function slotOf(t: Tuple): number {
  const x = t.source.w3 ^ Math.imul(t.destination.w3, 5) ^ Math.imul(t.sourcePort, 3) ^ t.destinationPort
  return (x ^ (x >>> 8) ^ (x >>> 16)) & (RECENT - 1)
}
