/** Which ports want which multicast group of which VLAN, and until when. A bounded hash table of small records. */
import type { Address } from '../base/address.ts'

const BUCKETS = 1024
/** Ports that a new group has room for. */
const FIRST_PORTS = 8

export class Group {
  /** By port: until when it is a member (wrapping ms); meaningful where `member` is 1. */
  private until = new Int32Array(FIRST_PORTS)
  private member = new Uint8Array(FIRST_PORTS)
  next: Group | null = null

  constructor(
    readonly vlan: number,
    readonly address: Address,
  ) {}

  has(port: number, now: number): boolean {
    return port < this.member.length && this.member[port] === 1 && ((this.until[port] - now) | 0) > 0
  }

  set(port: number, until: number): void {
    if (port >= this.member.length) {
      const size = Math.max(port + 1, this.member.length * 2)
      const times = new Int32Array(size)
      times.set(this.until)
      this.until = times
      const members = new Uint8Array(size)
      members.set(this.member)
      this.member = members
    }
    this.member[port] = 1
    this.until[port] = until
  }

  /** A member is one until then at most. */
  shorten(port: number, until: number): void {
    if (port < this.member.length && ((until - this.until[port]) | 0) < 0) this.until[port] = until
  }

  remove(port: number): void {
    if (port < this.member.length) this.member[port] = 0
  }

  /** Ports that are members now. */
  ports(now: number): number[] {
    return Array.from(this.member.keys()).filter((port) => this.has(port, now))
  }
}

export class GroupTable {
  count = 0
  private readonly buckets: (Group | null)[] = new Array(BUCKETS).fill(null)

  /** @param max groups at most, @param key of the hash. */
  constructor(
    private readonly max: number,
    private readonly key: number,
  ) {}

  find(vlan: number, address: Address): Group | null {
    let g = this.buckets[this.bucket(vlan, address)]
    while (g !== null && !(g.vlan === vlan && g.address.equals(address))) g = g.next
    return g
  }

  /** The group, made if it is not there; null: there is no room. */
  make(vlan: number, address: Address): Group | null {
    const found = this.find(vlan, address)
    if (found !== null || this.count >= this.max) return found
    const b = this.bucket(vlan, address)
    const group = new Group(vlan, address.clone())
    group.next = this.buckets[b]
    this.buckets[b] = group
    this.count++
    return group
  }

  /** Forgets groups that nobody wants any more. */
  sweep(now: number): void {
    for (let b = 0; b < BUCKETS; b++) {
      let kept: Group | null = null
      for (let g = this.buckets[b]; g !== null; ) {
        const { next } = g
        if (g.ports(now).length === 0) this.count--
        else {
          g.next = kept
          kept = g
        }
        g = next
      }
      this.buckets[b] = kept
    }
  }

  all(): Group[] {
    const out: Group[] = []
    for (const first of this.buckets) for (let g = first; g !== null; g = g.next) out.push(g)
    return out
  }

  private bucket(vlan: number, address: Address): number {
    const h = Math.imul(address.digest ^ this.key ^ (vlan << 16), 0x9e3779b1)
    return (h ^ (h >>> 15)) & (BUCKETS - 1)
  }
}
