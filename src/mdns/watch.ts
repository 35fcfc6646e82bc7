/** Somebody who waits for records: asked for on every link for as long as it is held. */
import type { Tellable } from '../base/tell.ts'
import type { TypeName } from '../dns/records.ts'

export class Watch implements Tellable {
  told = false
  private isOver = false
  /** As it is compared. */
  readonly name: string

  /** `changed` is called in the tell step of a turn, whenever records of the name, of whatever type, came or went. */
  constructor(
    /** As it is asked for. */
    readonly written: string,
    readonly types: readonly TypeName[],
    private readonly changed: () => void,
  ) {
    this.name = written.toLowerCase()
  }

  tell(): void {
    if (!this.isOver) this.changed()
  }

  /** Nothing is told any more. */
  end(): void {
    this.isOver = true
  }
}
