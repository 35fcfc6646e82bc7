/** How often a property is tried: all of `whole` where CI plays everything, a quarter of it (`least` at least) by hand. */
export function runs(whole: number, least = 12): number {
  return process.env.CI === undefined ? Math.min(whole, Math.max(least, whole >> 2)) : whole
}
