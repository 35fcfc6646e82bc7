/** What expressions of a script come to: numbers, or the names that flags are. */
import type { Expression, Field, Platform } from './ast.ts'
import { numberOf } from './numbers.ts'
import { fail, skip } from './stop.ts'

/** The names in `A | B`. Numbers but 0 cannot be told apart into names and skip the script. */
export function names(e: Expression): string[] {
  if (e.kind === 'word') return [e.name]
  if (e.kind === 'int' && e.value === 0) return []
  if (e.kind === 'binary' && e.op === '|') return [...names(e.left), ...names(e.right)]
  return skip(`line ${e.position.line}: names of flags are expected`)
}

/** A number. A name that is unknown skips the script. */
export function int(e: Expression, platform: Platform): number {
  if (e.kind === 'int') return e.value
  if (e.kind === 'word') {
    const value = numberOf(e.name, platform)
    return value === undefined ? skip(`line ${e.position.line}: ${e.name} is not known`) : value
  }
  if (e.kind === 'binary' && e.op === '|') return int(e.left, platform) | int(e.right, platform)
  if (e.kind === 'call' && e.args.length === 1 && (e.name === 'htons' || e.name === 'htonl')) return int(e.args[0], platform)
  return fail(`line ${e.position.line}: a number is expected`)
}

/** `[4]`. */
export function boxed(e: Expression, platform: Platform): number {
  if (e.kind === 'list' && e.items.length === 1) return int(e.items[0], platform)
  return int(e, platform)
}

export function isAny(e: Expression | undefined): boolean {
  return e === undefined || e.kind === 'any'
}

/** The value of a field of a structure, or undefined. */
export function field(e: Expression, name: string): Field | undefined {
  return e.kind === 'struct' ? e.fields.find((f) => f.name === name) : undefined
}
