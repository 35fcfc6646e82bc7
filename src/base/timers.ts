/**
 * All deadlines of a stack, in one binary heap.
 *
 * A `Timed` has one deadline. Moving it later is one store (the heap finds out when the old time comes: "lazy re-arming", after
 * gVisor and Linux); only moving it earlier touches the heap. This is what makes a retransmission timer that is pushed back by
 * every ACK cost nothing. Nobody else knows that it is a heap.
 */
export abstract class Timed {
  /** When to fire, wrapping ms. Meaningful while `timerArmed`. */
  timerAt = 0
  timerArmed = false
  /** Where the heap believes the deadline is (never later than timerAt while armed), and our place in it; -1 = not in the heap. */
  heapAt = 0
  heapIndex = -1

  /** The deadline came. `now` is wrapping ms. May re-arm. */
  abstract onTimer(now: number): void
}

export class Timers {
  private readonly heap: Timed[] = []

  /** Number of entries that occupy the heap (armed or lazily disarmed). */
  get size(): number {
    return this.heap.length
  }

  /** Sets or moves the deadline of `t` to `at`. */
  arm(t: Timed, at: number): void {
    t.timerAt = at
    t.timerArmed = true
    if (t.heapIndex < 0) {
      t.heapAt = at
      t.heapIndex = this.heap.length
      this.heap.push(t)
      this.up(t.heapIndex)
    } else if (((at - t.heapAt) | 0) < 0) {
      t.heapAt = at
      this.up(t.heapIndex)
    }
  }

  /** Forgets the deadline. The heap entry stays until its time comes: arming again soon is then free. */
  disarm(t: Timed): void {
    t.timerArmed = false
  }

  /** Takes `t` out of the heap at once: for objects that die. */
  remove(t: Timed): void {
    t.timerArmed = false
    const i = t.heapIndex
    if (i < 0) return
    t.heapIndex = -1
    const last = this.heap.pop()!
    if (last === t) return
    this.heap[i] = last
    last.heapIndex = i
    this.up(i)
    this.down(last.heapIndex)
  }

  /** Milliseconds from `now` until the heap next wants attention: 0 when overdue, -1 when there is nothing. */
  next(now: number): number {
    if (this.heap.length === 0) return -1
    const d = (this.heap[0].heapAt - now) | 0
    return d < 0 ? 0 : d
  }

  /** Milliseconds by which the earliest deadline was missed; -1 when none is due. */
  overdue(now: number): number {
    if (this.heap.length === 0) return -1
    const d = (now - this.heap[0].heapAt) | 0
    return d < 0 ? -1 : d
  }

  /** Fires everything that is due at `now`. Returns how many handlers ran. */
  fire(now: number): number {
    let fired = 0
    while (this.heap.length > 0) {
      const t = this.heap[0]
      if (((t.heapAt - now) | 0) > 0) break
      if (!t.timerArmed) {
        this.remove(t)
      } else if (((t.timerAt - now) | 0) > 0) {
        t.heapAt = t.timerAt // was pushed back since
        this.down(0)
      } else {
        this.remove(t)
        t.onTimer(now)
        fired++
      }
    }
    return fired
  }

  private up(start: number): void {
    let i = start
    const heap = this.heap
    const t = heap[i]
    while (i > 0) {
      const parent = (i - 1) >> 1
      const p = heap[parent]
      if (((t.heapAt - p.heapAt) | 0) >= 0) break
      heap[i] = p
      p.heapIndex = i
      i = parent
    }
    heap[i] = t
    t.heapIndex = i
  }

  private down(start: number): void {
    let i = start
    const heap = this.heap
    const t = heap[i]
    const n = heap.length
    for (;;) {
      let child = 2 * i + 1
      if (child >= n) break
      if (child + 1 < n && ((heap[child + 1].heapAt - heap[child].heapAt) | 0) < 0) child++
      const c = heap[child]
      if (((c.heapAt - t.heapAt) | 0) >= 0) break
      heap[i] = c
      c.heapIndex = i
      i = child
    }
    heap[i] = t
    t.heapIndex = i
  }
}
