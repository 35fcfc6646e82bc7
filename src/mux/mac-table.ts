/** A set of MAC addresses, each with a number: open addressing over flat arrays, asked for every frame and changed rarely. */

const EMPTY = -1
const FIRST_SLOTS = 16

export class MacTable {
  size = 0
  private high = new Int32Array(FIRST_SLOTS)
  private low = new Int32Array(FIRST_SLOTS)
  private values = new Int32Array(FIRST_SLOTS).fill(EMPTY)
  private mask = FIRST_SLOTS - 1

  /** The address's number, or -1. `high` has its first 16 bits, `low` the other 32. */
  get(high: number, low: number): number {
    const { mask, values } = this
    for (let i = hash(high, low) & mask; values[i] !== EMPTY; i = (i + 1) & mask) {
      if (this.low[i] === low && this.high[i] === high) return values[i]
    }
    return EMPTY
  }

  /** Adds an address that is not there yet; `value` is at least 0. */
  add(high: number, low: number, value: number): void {
    // At most half full: a search always ends at an empty slot.
    if (this.size * 2 >= this.values.length) this.rebuild(this.values.length * 2, EMPTY)
    this.put(high, low, value)
    this.size++
  }

  /** Removes the address with this number. */
  remove(value: number): void {
    this.rebuild(this.values.length, value)
  }

  private put(high: number, low: number, value: number): void {
    let i = hash(high, low) & this.mask
    while (this.values[i] !== EMPTY) i = (i + 1) & this.mask
    this.high[i] = high
    this.low[i] = low
    this.values[i] = value
  }

  /** All again, without `left`: what follows a removed slot may have to move up. */
  private rebuild(slots: number, left: number): void {
    const { high, low, values } = this
    this.high = new Int32Array(slots)
    this.low = new Int32Array(slots)
    this.values = new Int32Array(slots).fill(EMPTY)
    this.mask = slots - 1
    for (let i = 0; i < values.length; i++) {
      if (values[i] === EMPTY) continue
      if (values[i] === left) this.size--
      else this.put(high[i], low[i], values[i])
    }
  }
}

function hash(high: number, low: number): number {
  const h = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1)
  return h ^ (h >>> 15)
}
