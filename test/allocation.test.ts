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

describe('bytes allocated, warm, raw shape', { timeout: 60_000 }, () => {
  it('per segment of a bulk transfer in super-frames', () => {
    expect(bytesPerUnit('bulk', 'offload', 'eager')).toBeLessThan(6)
  })

  it('per segment of a bulk transfer in frames of 1500 bytes, read in large pieces', () => {
    expect(bytesPerUnit('bulk', 'wire', 'patient')).toBeLessThan(6)
  })

  it('per segment of a bulk transfer in frames of 1500 bytes, read as it comes', () => {
    expect(bytesPerUnit('bulk', 'wire', 'eager')).toBeLessThan(6)
  })

  it('per segment that is paced, and by BBR over a path with a delay', () => {
    expect(bytesPerUnit('bulk', 'wire', 'patient', 'cubic', '50000000')).toBeLessThan(6)
    expect(bytesPerUnit('bulk', 'wire', 'patient', 'bbr', '0', '5')).toBeLessThan(8)
  })

  it('per round trip of one byte, with and without offload', () => {
    expect(bytesPerUnit('echo', 'offload')).toBeLessThan(6)
    expect(bytesPerUnit('echo', 'wire')).toBeLessThan(6)
  })
})
