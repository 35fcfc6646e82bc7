/**
 * The demultiplexer: (local address, local port, remote address, remote port) to whoever takes its segments.
 *
 * Open addressing with linear probing over an `Int32Array` of (hash, index) pairs; the keyed hash keeps strangers from aiming at one
 * bucket; deletion shifts back, so there are no tombstones. A one-entry memory answers bulk traffic without hashing.
 */
import type { Address } from '../base/address.ts'
import type { HalfSipHash } from '../base/siphash.ts'
import type { Segment } from './segment.ts'
import type { Signature } from './signature.ts'

/** Takes segments: a connection, a handshake in progress, a TIME-WAIT entry. */
export interface Flow {
  readonly localAddress: Address
  readonly localPort: number
  readonly remoteAddress: Address
  readonly remotePort: number
  /** Null: it is not signed. */
  readonly keys: Signature | null
  receive(segment: Segment): void
}

export class FlowTable {
  size = 0
  /** Pairs: keyed hash, index into `flows`; index -1 = empty. */
  private table: Int32Array
  private mask: number
  private flows: (Flow | null)[] = []
  private readonly free: number[] = []
  private last: Flow | null = null
  /** Where that is, unless the table has changed since. */
  private lastSlot = 0
  /** What was hashed last: a SYN is looked for, and then added, and so are connections. */
  private hashedA = 0
  private hashedB = 0
  private hashedPorts = 0
  private hashed = 0

  constructor(private readonly hash: HalfSipHash) {
    this.table = new Int32Array(2 * 64).fill(-1)
    this.mask = 63
    this.hashed = hash.hash4(0, 0, 0, 0)
  }

  find(local: Address, localPort: number, remote: Address, remotePort: number): Flow | null {
    const last = this.last
    if (last !== null && matches(last, local, localPort, remote, remotePort)) return last
    const h = this.hashOf(local, localPort, remote, remotePort)
    const table = this.table
    for (let i = h & this.mask; table[2 * i + 1] >= 0; i = (i + 1) & this.mask) {
      if (table[2 * i] !== h) continue
      const flow = this.flows[table[2 * i + 1]]!
      if (matches(flow, local, localPort, remote, remotePort)) {
        this.last = flow
        this.lastSlot = i
        return flow
      }
    }
    return null
  }

  add(flow: Flow): void {
    if (this.size * 2 > this.mask) this.grow()
    const index = this.free.pop() ?? this.flows.length
    this.flows[index] = flow
    this.place(this.hashOf(flow.localAddress, flow.localPort, flow.remoteAddress, flow.remotePort), index)
    this.size++
  }

  /** Puts `next` in the place of `flow`, which has the same addresses and ports. */
  replace(flow: Flow, next: Flow): void {
    const i = this.slotOf(flow)
    if (i < 0) return
    this.flows[this.table[2 * i + 1]] = next
    if (this.last === flow) this.last = next
  }

  remove(flow: Flow): boolean {
    let i = this.slotOf(flow)
    if (this.last === flow) this.last = null
    if (i < 0) return false
    const table = this.table
    const mask = this.mask
    const index = table[2 * i + 1]
    this.flows[index] = null
    this.free.push(index)
    this.size--
    // Shift back what would no longer be found.
    let j = i
    for (;;) {
      j = (j + 1) & mask
      if (table[2 * j + 1] < 0) break
      const home = table[2 * j] & mask
      if (((j - home) & mask) < ((j - i) & mask)) continue
      table[2 * i] = table[2 * j]
      table[2 * i + 1] = table[2 * j + 1]
      i = j
    }
    table[2 * i + 1] = -1
    return true
  }

  /** Calls `visit` with every flow, in no order. `visit` may remove. */
  forEach(visit: (flow: Flow) => void): void {
    for (const f of this.flows.slice()) if (f !== null && f !== undefined) visit(f)
  }

  private slotOf(flow: Flow): number {
    if (this.last === flow) {
      const index = this.table[2 * this.lastSlot + 1]
      if (index >= 0 && this.flows[index] === flow) return this.lastSlot
    }
    const h = this.hashOf(flow.localAddress, flow.localPort, flow.remoteAddress, flow.remotePort)
    for (let i = h & this.mask; this.table[2 * i + 1] >= 0; i = (i + 1) & this.mask) {
      if (this.flows[this.table[2 * i + 1]] === flow) return i
    }
    return -1
  }

  private place(h: number, index: number): void {
    let i = h & this.mask
    while (this.table[2 * i + 1] >= 0) i = (i + 1) & this.mask
    this.table[2 * i] = h
    this.table[2 * i + 1] = index
  }

  private grow(): void {
    const old = this.table
    this.table = new Int32Array(old.length * 2).fill(-1)
    this.mask = this.table.length / 2 - 1
    for (let i = 0; i < old.length; i += 2) if (old[i + 1] >= 0) this.place(old[i], old[i + 1])
  }

  private hashOf(local: Address, localPort: number, remote: Address, remotePort: number): number {
    const a = remote.digest
    const b = local.digest
    const ports = (remotePort << 16) | localPort
    if (ports !== this.hashedPorts || a !== this.hashedA || b !== this.hashedB) {
      this.hashedA = a
      this.hashedB = b
      this.hashedPorts = ports
      this.hashed = this.hash.hash4(a, b, ports, 0)
    }
    return this.hashed
  }
}

function matches(f: Flow, local: Address, localPort: number, remote: Address, remotePort: number): boolean {
  return (
    f.remotePort === remotePort && f.localPort === localPort && f.remoteAddress.equals(remote) && f.localAddress.equals(local)
  )
}
