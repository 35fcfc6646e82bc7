/**
 * The ranges of sequence space that arrived out of order, sorted, disjoint, not touching. Each carries a stamp of when it last grew,
 * because SACK wants the most recent first (RFC 2018 section 4). Bounded: what would need one range too many is refused.
 */
import { geq, gt, leq, lt } from './seq.ts'

export class Spans {
  count = 0
  private left = new Int32Array(8)
  private right = new Int32Array(8)
  private stamp = new Int32Array(8)
  private clock = 0
  /** End of the range that grew last. */
  grownTo = 0
  /** For ack-policy.ts: RCV.NXT, how many ACKs repeated it within turns, and segments that came since without one of their own. */
  toldNxt = 0
  told = 0
  untold = 0

  constructor(private readonly max: number) {}

  leftOf(i: number): number {
    return this.left[i]
  }

  rightOf(i: number): number {
    return this.right[i]
  }

  /** Adds [from, to). False: no room for another range, nothing changed. */
  add(from: number, to: number): boolean {
    if (this.count === 0) this.clock = 0 // stamps are int32: they must not wrap in a connection that lives for months
    // First range that ends at or after `from`: the first that can touch.
    let i = 0
    while (i < this.count && lt(this.right[i], from)) i++
    if (i === this.count || gt(this.left[i], to)) {
      if (this.count >= this.max) return false
      this.insert(i, from, to)
    } else {
      if (lt(from, this.left[i])) this.left[i] = from
      let end = this.right[i]
      let j = i + 1
      if (gt(to, end)) {
        end = to
        while (j < this.count && leq(this.left[j], to)) {
          if (gt(this.right[j], end)) end = this.right[j]
          j++
        }
      }
      this.right[i] = end
      this.remove(i + 1, j)
    }
    this.stamp[i] = ++this.clock
    this.grownTo = this.right[i]
    return true
  }

  /** Everything in [from, to) is in one range already. */
  covers(from: number, to: number): boolean {
    for (let i = 0; i < this.count; i++) if (leq(this.left[i], from) && geq(this.right[i], to)) return true
    return false
  }

  /** Index of the first range that has something of [from, to), or -1. */
  overlap(from: number, to: number): number {
    for (let i = 0; i < this.count && lt(this.left[i], to); i++) if (gt(this.right[i], from)) return i
    return -1
  }

  /** `nxt` moved: drops what it passed and returns where it gets to when the first range now touches it. */
  absorb(nxt: number): number {
    let to = nxt
    let n = 0
    while (n < this.count && leq(this.left[n], to)) {
      if (gt(this.right[n], to)) to = this.right[n]
      n++
    }
    if (n > 0) this.remove(0, n)
    return to
  }

  /** Index of the range that grew the k-th most recently (k = 0: the last), or -1. */
  recent(k: number): number {
    let limit = 0x7fffffff
    let found = -1
    for (let round = 0; round <= k; round++) {
      found = -1
      let best = 0
      for (let i = 0; i < this.count; i++) {
        if (this.stamp[i] < limit && this.stamp[i] > best) {
          best = this.stamp[i]
          found = i
        }
      }
      if (found < 0) return -1
      limit = best
    }
    return found
  }

  /** One past the highest byte held; `otherwise` when there is none. */
  highest(otherwise: number): number {
    return this.count === 0 ? otherwise : this.right[this.count - 1]
  }

  private insert(i: number, from: number, to: number): void {
    if (this.count === this.left.length) {
      this.left = widen(this.left)
      this.right = widen(this.right)
      this.stamp = widen(this.stamp)
    }
    this.left.copyWithin(i + 1, i, this.count)
    this.right.copyWithin(i + 1, i, this.count)
    this.stamp.copyWithin(i + 1, i, this.count)
    this.left[i] = from
    this.right[i] = to
    this.count++
  }

  private remove(from: number, to: number): void {
    if (from >= to) return
    this.left.copyWithin(from, to, this.count)
    this.right.copyWithin(from, to, this.count)
    this.stamp.copyWithin(from, to, this.count)
    this.count -= to - from
  }
}

function widen(a: Int32Array): Int32Array<ArrayBuffer> {
  const b = new Int32Array(a.length * 2)
  b.set(a)
  return b
}
