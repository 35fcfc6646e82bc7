/** Leases in words, for both families. */

/** `dns      10.0.0.1 10.0.0.2`; no line for no values. */
export function labelled(label: string, values: readonly string[]): string[] {
  return values.length === 0 ? [] : [`${label.padEnd(8)} ${values.join(' ')}`]
}

/** How long something is good that was had `since`, both in milliseconds. */
export function timeOf(until: number, since: number): string {
  return until === Number.POSITIVE_INFINITY ? 'for ever' : `${Math.round((until - since) / 1000)} s`
}
