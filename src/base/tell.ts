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
  private items: Tellable[] = []
  private spare: Tellable[] = []

  get empty(): boolean {
    return this.items.length === 0
  }

  add(t: Tellable): void {
    if (t.told) return
    t.told = true
    this.items.push(t)
  }

  /**
   * Tells everybody who is on the list now; those added meanwhile wait for the next round. A handler that throws does not keep the
   * others from being told: `onThrow` gets what it threw.
   */
  drain(onThrow: (error: unknown) => void): void {
    const round = this.items
    if (round.length === 0) return
    this.items = this.spare
    this.spare = round
    for (let i = 0; i < round.length; i++) {
      const t = round[i]
      t.told = false
      try {
        t.tell()
      } catch (error) {
        onThrow(error)
      }
    }
    round.length = 0
  }
}
