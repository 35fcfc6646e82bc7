import { describe, expect, it } from 'vitest'
import { startServices } from '../../src/services/inetd.ts'
import { withCommand } from '../support/node-command.ts'

describe('tapstack bench', () => {
  it('measures two stacks in memory, and says what is in the numbers', () =>
    withCommand(async (_peer, begin) => {
      const bench = begin('bench --time 0.01')
      expect(await bench.ended, bench.said).toBe(0)
      const lines = bench.said.split('\n')
      for (const [i, words] of [
        /^bytes sent, offload +[\d.]+ [MG]bit\/s$/,
        /^bytes received, offload +[\d.]+ [MG]bit\/s$/,
        /^1-byte round trips, offload +[\d,]+\/s {2}median \d+ us, 99 % below \d+ us$/,
        /^connections \(open, 1 byte, reset\), offload +[\d,]+\/s /,
        /^bytes sent, MTU 1500 +[\d.]+ [MG]bit\/s$/,
        /^bytes received, MTU 1500 /,
        /^Both stacks, client and server, share one thread/,
      ].entries())
        expect(lines[i]).toMatch(words)
      expect(lines.at(-1)).toContain(`Node ${process.version}`)
    }))

  it('measures over a link, as JSON', () =>
    withCommand(async (peer, begin) => {
      const services = startServices(peer)
      const bench = begin('bench --json -t 0.01 --only rr --only send 10.0.0.1')
      expect(await bench.ended, bench.said).toBe(0)
      services.close()
      const numbers = JSON.parse(bench.said)
      expect(Object.keys(numbers)).toEqual(['tap0 send', 'tap0 rr'])
      expect(numbers['tap0 send'].bitsPerSecond).toBeGreaterThan(0)
      const { count, p50us, p99us } = numbers['tap0 rr']
      expect(count).toBeGreaterThan(0)
      expect(p99us).toBeGreaterThanOrEqual(p50us)
    }))

  it('says what the other host lacks', () =>
    withCommand(async (_peer, begin) => {
      const bench = begin('bench 10.0.0.1')
      expect(await bench.ended).toBe(1)
      expect(bench.said).toBe('tapstack bench: 10.0.0.1 port 9: there is no discard service: start tapstack inetd there')
    }))

  it('ends when it is stopped', () =>
    withCommand(async (peer, begin) => {
      const services = startServices(peer)
      const bench = begin('bench -t 60 10.0.0.1')
      await new Promise((resolve) => setImmediate(resolve))
      expect(await bench.stop()).toBe(130)
      services.close()
    }))

  it.each([
    ['bench --only nonsense', '--only nonsense'],
    ['bench -t 0', '--time 0'],
    ['bench --link tap://tap1', '--link is for a HOST'],
  ])('%s: exit code 1', (line, words) =>
    withCommand(async (_peer, begin) => {
      const bench = begin(line)
      expect(await bench.ended).toBe(1)
      expect(bench.said).toContain(words)
    }),
  )
})
