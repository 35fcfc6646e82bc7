/**
 * The tell list: who has news for the application. Protocol code only adds; the turn drains it after all frames were heard, so that
 * no protocol code is on the stack while user code runs.
 */
export interface Tellable {
  /** On the list already. Owned by the list. */
  told: boolean
  /** Calls the application's handlers. */
  tell(): void
}

export class TellList {
  /** Two arrays that only grow, with counts of their own: setting a length to 0 would throw their memory away every round. */
  private items: (Tellable | null)[] = []
  private spare: (Tellable | null)[] = []
  private count = 0

  get empty(): boolean {
    return this.count === 0
  }

  add(t: Tellable): void {
    if (t.told) return
    t.told = true
    this.items[this.count++] = t
  }

  /**
   * Tells everybody who is on the list now; those added meanwhile wait for the next round. A handler that throws does not keep the
   * others from being told: `onThrow` gets what it threw.
   */
  drain(onThrow: (error: unknown) => void): void {
    const round = this.items
    const n = this.count
    if (n === 0) return
    this.items = this.spare
    this.spare = round
    this.count = 0
    for (let i = 0; i < n; i++) {
      const t = round[i]!
      round[i] = null
      t.told = false
      try {
        t.tell()
      } catch (error) {
        onThrow(error)
      }
    }
  }
}
