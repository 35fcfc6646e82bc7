/**
 * Which station is behind which port (the filtering database of IEEE 802.1D-2004 section 7.9), learned for each VLAN by itself.
 *
 * One `Int32Array` with open addressing: a row is (VLAN id and high 16 bits of the address, low 32 bits, port + 1 or 0 for an empty row, time
 * last seen). The hash has a key, and a row is never further than `MAX_PROBES` from its place: who would have to go further is not learned. A
 * row is taken out by moving those behind it up, so there are no tombstones and a search ends at the first empty row.
 */
const KEY0 = 0
const KEY1 = 1
const PORT = 2
const SEEN = 3
const ROW = 4

/** Rows a search looks at, at most. */
const MAX_PROBES = 64

/** What `learn` did. */
export const Learned = {
  /** It was known there. */
  SEEN: 0,
  NEW: 1,
  /** It was behind another port. */
  MOVED: 2,
  /** There is no room. */
  FULL: 3,
} as const

export interface AddressEntry {
  readonly vlan: number
  readonly high: number
  readonly low: number
  readonly port: number
  /** Wrapping ms. */
  readonly seenMs: number
}

export class AddressTable {
  /** Addresses in the table. */
  count = 0
  /** Where the address was before the last `learn` that said MOVED. */
  movedFrom = -1
  private readonly rows: Int32Array
  private readonly mask: number

  /** @param max addresses at most, @param key of the hash: by chance, so that nobody can make rows collide. */
  constructor(
    private readonly max: number,
    private readonly key: number,
  ) {
    let size = 64
    while (size < max * 2) size *= 2
    this.rows = new Int32Array(size * ROW)
    this.mask = size - 1
  }

  /** The port behind which the address is, or -1. */
  find(vlan: number, high: number, low: number, now: number, ageingMs: number): number {
    const { rows } = this
    const key0 = (vlan << 16) | high
    const r = this.search(key0, low)
    if (r < 0 || rows[r + PORT] === 0) return -1
    return ((now - rows[r + SEEN]) | 0) >= ageingMs ? -1 : rows[r + PORT] - 1
  }

  /** The address sent a frame from that port. `Learned`. */
  learn(vlan: number, high: number, low: number, port: number, now: number): number {
    const { rows } = this
    const key0 = (vlan << 16) | high
    const r = this.search(key0, low)
    if (r < 0) return Learned.FULL
    const was = rows[r + PORT] - 1
    if (was === port) {
      rows[r + SEEN] = now
      return Learned.SEEN
    }
    if (was < 0) {
      if (this.count >= this.max) return Learned.FULL
      rows[r + KEY0] = key0
      rows[r + KEY1] = low
      this.count++
    }
    rows[r + PORT] = port + 1
    rows[r + SEEN] = now
    this.movedFrom = was
    return was < 0 ? Learned.NEW : Learned.MOVED
  }

  /** Forgets what has not been seen for so long. `forget` hears the port of each. */
  expire(now: number, ageingMs: number, forget: (port: number) => void): void {
    this.removeWhere((r) => ((now - this.rows[r + SEEN]) | 0) >= ageingMs, forget)
  }

  /** Forgets everything behind a port. */
  flush(port: number): void {
    this.removeWhere((r) => this.rows[r + PORT] === port + 1)
  }

  entries(): AddressEntry[] {
    const { rows } = this
    const out: AddressEntry[] = []
    for (let r = 0; r < rows.length; r += ROW) {
      if (rows[r + PORT] === 0) continue
      const key0 = rows[r + KEY0]
      const entry = {
        vlan: key0 >>> 16,
        high: key0 & 0xffff,
        low: rows[r + KEY1],
        port: rows[r + PORT] - 1,
        seenMs: rows[r + SEEN],
      }
      out.push(entry)
    }
    return out
  }

  private place(key0: number, key1: number): number {
    let h = Math.imul(key0 ^ this.key, 0x9e3779b1)
    h = Math.imul(h ^ (h >>> 15) ^ key1, 0x85ebca77)
    return (h ^ (h >>> 13) ^ (h >>> 25)) & this.mask
  }

  /** The row of a key, or the empty one where it would go; -1: neither is near enough. */
  private search(key0: number, key1: number): number {
    const { rows, mask } = this
    let slot = this.place(key0, key1)
    for (let probes = 0; probes < MAX_PROBES; probes++) {
      const r = slot * ROW
      if (rows[r + PORT] === 0 || (rows[r + KEY1] === key1 && rows[r + KEY0] === key0)) return r
      slot = (slot + 1) & mask
    }
    return -1
  }

  private removeWhere(isGone: (row: number) => boolean, forget?: (port: number) => void): void {
    const { rows } = this
    // Rows only move up into holes: what comes from the beginning to a hole at the end was looked at before.
    for (let r = 0; r < rows.length; r += ROW) {
      while (rows[r + PORT] !== 0 && isGone(r)) {
        forget?.(rows[r + PORT] - 1)
        this.remove(r)
      }
    }
  }

  private remove(row: number): void {
    const { rows, mask } = this
    let hole = row / ROW
    this.count--
    for (let slot = (hole + 1) & mask; rows[slot * ROW + PORT] !== 0; slot = (slot + 1) & mask) {
      const home = this.place(rows[slot * ROW + KEY0], rows[slot * ROW + KEY1])
      // It may fill the hole if its own place is not between the hole and where it is.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      rows.copyWithin(hole * ROW, slot * ROW, slot * ROW + ROW)
      hole = slot
    }
    rows[hole * ROW + PORT] = 0
  }
}
