import { describe, expect, it } from 'vitest'
import { parseOptions } from '../../bench/options.ts'

describe('options of the benchmark', () => {
  it('has defaults', () => {
    expect(parseOptions([])).toMatchObject({
      quick: false,
      only: null,
      runs: 5,
      json: 'bench/results.json',
      tests: [],
    })
    expect(parseOptions(['--quick']).runs).toBe(1)
    expect(parseOptions(['--quick', '--runs', '3']).runs).toBe(3)
  })

  it('takes values with a blank or an equals sign', () => {
    const wanted = { only: 'tap', runs: 2, json: 'x.json', tests: ['send', 'ping'], profile: 'p' }
    const args = ['--only', 'tap', '--runs', '2', '--json', 'x.json', '--tests', 'send,ping', '--profile', 'p']
    expect(parseOptions(args)).toMatchObject(wanted)
    expect(parseOptions(['--only=tap', '--runs=2', '--json=x.json', '--tests=send,ping', '--profile=p'])).toMatchObject(wanted)
  })

  it.each([
    [['--fast'], 'unknown option --fast'],
    [['--only', 'disk'], 'one of memory, tap, node'],
    [['--tests', 'send,juggle'], 'juggle'],
    [['--runs', '0'], '1 to 100'],
    [['--runs', 'many'], '1 to 100'],
    [['--json'], '--json needs a value'],
  ])('refuses %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message)
  })
})
