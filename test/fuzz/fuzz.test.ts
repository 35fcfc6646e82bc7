/** A short, always equal part of the fuzzer (`npm run fuzz` is the long one). Seeds that once found something are kept here. */
import { describe, expect, it } from 'vitest'
import { runs } from '../support/runs.ts'
import { Fuzzer } from './fuzzer.ts'

describe('forged frames in the middle of conversations', () => {
  // Odd seeds: links with offload, where nothing is verified that somebody vouches for. Even ones: a wire. Multiples of five: no Ethernet.
  for (const [seed, frames] of [
    [1, runs(12_000, 6_000)],
    [2, runs(12_000, 6_000)],
    [5, runs(6_000, 3_000)],
    [10, runs(6_000, 3_000)],
  ]) {
    it(`seed ${seed}: nothing throws, everything stays bounded, and afterwards the stack is alive and empty`, {
      timeout: 60_000,
    }, () => {
      const fuzzer = new Fuzzer(seed)
      fuzzer.run(frames)
      fuzzer.finish()
      expect(fuzzer.world.link.injected).toBe(frames)
    })
  }

  it('is the same run with the same seed', { timeout: 60_000 }, () => {
    const counters = [0, 1].map(() => {
      const fuzzer = new Fuzzer(9)
      fuzzer.run(2_000)
      return fuzzer.world.target.counters(true)
    })
    expect(counters[0]).toEqual(counters[1])
  })
})
