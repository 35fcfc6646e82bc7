/** The only comparisons of sequence numbers (RFC 9293 section 3.4): signed difference modulo 2^32. */

/** a < b */
export function lt(a: number, b: number): boolean {
  return ((a - b) | 0) < 0
}

/** a <= b */
export function leq(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0
}

/** a > b */
export function gt(a: number, b: number): boolean {
  return ((a - b) | 0) > 0
}

/** a >= b */
export function geq(a: number, b: number): boolean {
  return ((a - b) | 0) >= 0
}

/** The later of the two. */
export function later(a: number, b: number): number {
  return ((a - b) | 0) > 0 ? a : b
}
