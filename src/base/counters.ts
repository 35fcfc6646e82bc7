/**
 * Counters: one `Float64Array` per layer (exact to 2^53, no allocation to increment) with named indices. Names are those of the
 * MIBs where a MIB has one (RFC 4293, 4022, 4113; Linux's TcpExt otherwise); every drop has a reason of its own.
 */
export class Counters<Name extends string> {
  readonly values: Float64Array
  readonly names: readonly Name[]

  constructor(names: readonly Name[]) {
    this.names = names
    this.values = new Float64Array(names.length)
  }

  /** A plain object of all counters, or only of those that are not zero. */
  snapshot(onlyNonZero = false): Partial<Record<Name, number>> {
    const out: Partial<Record<Name, number>> = {}
    for (let i = 0; i < this.names.length; i++) {
      if (!onlyNonZero || this.values[i] !== 0) out[this.names[i]] = this.values[i]
    }
    return out
  }
}

/** The index of each name: `const C = indexOf(['a', 'b'] as const)`, then `counters.values[C.a]++`. */
export function indexOf<const Names extends readonly string[]>(names: Names): { readonly [N in Names[number]]: number } {
  const out: Record<string, number> = {}
  for (let i = 0; i < names.length; i++) out[names[i]] = i
  return out as { readonly [N in Names[number]]: number }
}
