/** The two ways in which a script cannot be read: it is wrong, or it wants what we do not have. */
import type { Position } from './ast.ts'

/** The text is not in the language. Its message is `file:line:column: what`, the line, and a caret. */
export class ScriptError extends Error {}

/** The script means something that the runner or the stack does not have: it is skipped, with this reason. */
export class Unsupported extends Error {
  readonly position: Position | null

  constructor(what: string, position: Position | null = null) {
    super(what)
    this.position = position
  }
}
