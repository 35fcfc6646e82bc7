/**
 * Whatever a script asks for, playing it ends, in one of the three ways, and nothing throws: our own scripts with numbers changed and lines taken
 * out, doubled and exchanged. A stack that throws shows as a reason with a trace.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../../src/base/random.ts'
import { runScript } from '../../../src/sim.ts'
import { runs } from '../../support/runs.ts'

const ROOT = new URL('../../scripts/', import.meta.url)
const scripts = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.pkt'))
  .sort()
  .map((name) => readFileSync(new URL(name.replaceAll('\\', '/'), ROOT), 'utf8').split('\n'))

const NUMBERS = ['0', '1', '2', '3', '7', '8', '-1', '0x10', '100000', '65535', '65536', '2147483647', '2147483648', '4294967295']
const TRACE = /\n\s+at /

class Mangler {
  private readonly random: SeededRandom

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  private below(n: number): number {
    return (this.random.int32() >>> 0) % n
  }

  private of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]
  }

  next(): string {
    const lines = [...this.of(scripts)]
    for (let edits = 1 + this.below(3); edits > 0; edits--) {
      const at = this.below(lines.length)
      switch (this.below(5)) {
        case 0:
          lines.splice(at, 1)
          break
        case 1:
          lines.splice(at, 0, this.of(lines))
          break
        case 2:
          lines.splice(at, 0, this.of(this.of(scripts)))
          break
        default:
          lines[at] = this.otherNumber(lines[at] ?? '')
      }
      if (lines.length === 0) break
    }
    return lines.join('\n')
  }

  private otherNumber(line: string): string {
    const numbers = [...line.matchAll(/\d+/g)]
    if (numbers.length === 0) return line
    const found = this.of(numbers)
    return line.slice(0, found.index) + this.of(NUMBERS) + line.slice(found.index + found[0].length)
  }
}

describe('scripts with pieces exchanged', { timeout: 60_000 }, () => {
  it.each([1, 2, 3, 4])('seed %i: all are played to an end, and nothing throws', (seed) => {
    const mangler = new Mangler(seed)
    const results = new Set<string>()
    for (let i = 0; i < runs(500, 125); i++) {
      const text = mangler.next()
      const outcome = runScript(text, { file: 'mangled', profile: i % 4 === 0 ? 'freebsd' : 'linux' })
      results.add(outcome.result)
      expect(outcome.reason ?? '', text).not.toMatch(TRACE)
      if (outcome.result !== 'passed') expect(outcome.reason, text).not.toBe('')
    }
    expect(results).toEqual(new Set(['passed', 'failed', 'skipped']))
  })

  it('what has no event proves nothing', () => {
    for (const text of [
      '',
      '// nothing\n',
      '#ifdef FreeBSD\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n#endif\n',
      '`true`\n',
    ]) {
      expect(runScript(text, { profile: 'linux' })).toMatchObject({
        result: 'skipped',
        reason: expect.stringMatching(/no event/),
      })
    }
  })

  it('what the stack cannot be is skipped, and said', () => {
    for (const [line, why] of [
      ['--mtu=7', /mtu 7 is not between/],
      ['`sysctl -q net.ipv4.tcp_reordering=0`', /reorderingSegments/],
    ] as const) {
      const outcome = runScript(`${line}\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n`, { profile: 'linux' })
      expect(outcome.result).toBe('skipped')
      expect(outcome.reason).toMatch(why)
      expect(outcome.reason).not.toMatch(TRACE)
    }
  })
})
