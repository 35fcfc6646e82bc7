/**
 * The hot path makes no garbage: 100,000 segments, and 100,000 round trips, of two stacks that have warmed up, with the application's buffers
 * from `allocate` (others cost a view, about a hundred bytes, once per read or write).
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const probe = fileURLToPath(new URL('./support/allocation-probe.ts', import.meta.url))
/** A young generation that holds all of it, so that the collector does not run in between. */
const ROOM = ['--max-semi-space-size=256', '--min-semi-space-size=256']
/** Hot code is compiled when it is found to be hot, not beside it: on a busy machine that could last longer than the warm-up. */
const AT_ONCE = ['--no-concurrent-recompilation']

function bytesPerUnit(...scenario: string[]): number {
  const text = execFileSync(process.execPath, ['--expose-gc', ...ROOM, ...AT_ONCE, '--import', 'tsx', probe, ...scenario], {
    encoding: 'utf8',
  })
  const { units, perUnit } = JSON.parse(text) as { units: number; perUnit: number }
  expect(units).toBeGreaterThanOrEqual(100_000)
  return perUnit
}

/** What is measured, and less than how many bytes for each segment or round trip. The last ones only CI measures: they cost a second each. */
const ALWAYS: [what: string, limit: number, ...scenario: string[]][] = [
  ['segment of a bulk transfer in super-frames', 6, 'bulk', 'offload', 'eager'],
  ['segment of a bulk transfer in frames of 1500 bytes, read in large pieces', 6, 'bulk', 'wire', 'patient'],
  ['round trip of one byte', 6, 'echo', 'wire'],
]
const IN_CI: typeof ALWAYS = [
  ['segment by BBR over a path with a delay', 8, 'bulk', 'wire', 'patient', 'bbr', '0', '5'],
  ['segment of a bulk transfer in frames of 1500 bytes, read as it comes', 6, 'bulk', 'wire', 'eager'],
  ['segment that is paced', 6, 'bulk', 'wire', 'patient', 'cubic', '50000000'],
  ['round trip of one byte, with offload', 6, 'echo', 'offload'],
]

describe('bytes allocated, warm, raw shape', { timeout: 60_000 }, () => {
  it.each(process.env.CI === undefined ? ALWAYS : [...ALWAYS, ...IN_CI])('per %s: less than %i', (_, limit, ...scenario) => {
    expect(bytesPerUnit(...scenario)).toBeLessThan(limit)
  })
})
