/**
 * 10 MB each way at once through 5 % loss, 5 % reordering, 2 % duplication, 1 % single-bit corruption and random delay: bytes equal, no broken
 * invariant after any event, no transition that RFC 9293 does not know, in every one of 200 seeds (two files, so that they run side by side).
 */
import { describe, expect, it } from 'vitest'
import { transfer } from './transfer.ts'

const PER_TEST = 25
const BYTES = 10_000_000

export function seeds(from: number, to: number): void {
  describe('bulk both ways through a bad network', () => {
    for (let first = from; first <= to; first += PER_TEST) {
      it(`seeds ${first} to ${first + PER_TEST - 1}`, { timeout: 120_000 }, () => {
        for (let seed = first; seed < first + PER_TEST; seed++) {
          const { a, b } = transfer({
            seed,
            bytes: BYTES,
            impairments: { loss: 0.05, reorder: 0.05, duplicate: 0.02, corrupt: 0.01, delay: 5, jitter: 5 },
          })
          expect([seed, a.received, b.received, a.error, b.error]).toEqual([seed, BYTES, BYTES, null, null])
        }
      })
    }
  })
}
