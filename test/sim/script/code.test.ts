/** Code in `%{ }%`: Python as far as scripts use it. */
import { describe, expect, it } from 'vitest'
import { parseCode } from '../../../src/sim/script/code.ts'
import { type CodeResult, type CodeValue, runCode } from '../../../src/sim/script/code-run.ts'
import { Unsupported } from '../../../src/sim/script/problem.ts'

const NAMES: { readonly [name: string]: number } = {
  tcpi_snd_cwnd: 10,
  tcpi_rtt: 10_200,
  tcpi_options: 0x27,
  TCPI_OPT_SYN_DATA: 0x20,
  TCPI_OPT_ECN: 8,
  tcpi_ca_state: 0,
  TCP_CA_Open: 0,
  big: 2 ** 40 + 5,
}

function run(text: string, variables = new Map<string, CodeValue>()): CodeResult {
  return runCode(parseCode(text), variables, (name) => NAMES[name])
}

describe('assertions that hold', () => {
  it.each([
    'assert tcpi_snd_cwnd == 10',
    'assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd',
    "assert tcpi_snd_cwnd == 10, 'cwnd=%d' % tcpi_snd_cwnd",
    'assert 10000 <= tcpi_rtt <= 11000, tcpi_rtt',
    'assert 10000 < tcpi_rtt < 11000 and tcpi_snd_cwnd > 9',
    'assert (tcpi_options & TCPI_OPT_SYN_DATA) != 0, tcpi_options',
    'assert tcpi_options & TCPI_OPT_ECN == 0',
    'assert not tcpi_ca_state',
    'assert tcpi_ca_state == TCP_CA_Open or False',
    'assert tcpi_snd_cwnd in (9, 10, 11)',
    'assert tcpi_snd_cwnd not in [1, 2]',
    'assert abs(tcpi_rtt - 10000) < 500',
    'assert max(1, 2, tcpi_snd_cwnd) == 10 and min([3, 2]) == 2',
    'assert 7 / 2 == 3.5 and 7 // 2 == 3 and -7 // 2 == -4 and -7 % 3 == 2 and 2 ** 3 ** 2 == 512',
    'assert 1 << 4 | 3 ^ 1 == 18',
    'assert ~0 == -1 and -(-3) == +3',
    'assert big & 0xff == 5 and big >> 40 == 1',
    'assert True == 1 and (1, 2) == (1, 2) and "a" != \'b\'',
    'assert int(3.9) == 3 and float("2.5") == 2.5 and round(2.4) == 2 and len("abc") == 3',
    'x = 5; x += 2; assert x == 7',
    'x = 1 if tcpi_snd_cwnd > 5 else 2\nassert x == 1',
    'assert (tcpi_snd_cwnd ==\n        10)',
    'assert 1 == 1; \\\n        assert 2 == 2',
    'assert 1 <= 2, 3;\\',
    '# nothing\nassert True # something\n\n',
    'print tcpi_rtt\nprint(tcpi_rtt, "x")\nprint "{} {}".format(1, 2)\npass',
    'if tcpi_snd_cwnd > 5:\n  x = 1\n  y = 2\nelse:\n  assert False\nassert x + y == 3',
    'if tcpi_snd_cwnd < 5:\n  assert False\nelif tcpi_snd_cwnd == 10:\n  x = 4\nelse: assert False\nassert x == 4',
    'if True: assert True',
  ])('%s', (text) => {
    expect(run(text)).toEqual({ kind: 'passed' })
  })

  it('keep variables for later blocks', () => {
    const variables = new Map<string, CodeValue>()
    run('first = tcpi_rtt', variables)
    expect(run('assert first == tcpi_rtt', variables)).toEqual({ kind: 'passed' })
  })
})

describe('assertions that fail', () => {
  it.each([
    ['assert tcpi_snd_cwnd == 11', 'assert tcpi_snd_cwnd == 11 (tcpi_snd_cwnd = 10)'],
    ['assert tcpi_snd_cwnd == 11, tcpi_rtt', 'assert tcpi_snd_cwnd == 11, tcpi_rtt: 10200 (tcpi_snd_cwnd = 10)'],
    ["assert 1 > 2, 'rtt %d, %s, %.1f, %x%%' % (tcpi_rtt, 5, 2, 255)", ': rtt 10200, 5, 2.0, ff%'],
    ['assert 10 <= tcpi_rtt <= 100', '(tcpi_rtt = 10200)'],
    ['assert 1 > 2, no_such_name', 'assert 1 > 2'],
    ['assert (1, "a") == (2, "a"), (1, True)', ': (1, True)'],
    ['x = 1 / 0', 'division by zero'],
  ])('%s', (text, reason) => {
    const result = run(text)
    expect(result).toMatchObject({ kind: 'failed' })
    expect(result.kind === 'failed' && result.reason).toContain(reason)
  })
})

describe('what is not understood is no failure', () => {
  it.each([
    'import os',
    'for x in y:\n  pass',
    'x[1] = 2',
    'def f(): pass',
    'assert x.y == 1',
    'assert f"',
    'x = lambda: 1',
    'if 1:\nx = 1',
  ])('%s', (text) => {
    expect(() => parseCode(text)).toThrow(Unsupported)
  })

  it.each([
    ['assert tcpi_nothing == 1', 'tcpi_nothing is not known'],
    ['assert open(1)', 'open()'],
    ['assert "a" + 1 == 2', 'arithmetic with a'],
    ['assert 1 in 2', 'in 2'],
    ['assert 1.5 & 1', '1.5 & 1'],
  ])('%s', (text, reason) => {
    const result = run(text)
    expect(result.kind).toBe('unsupported')
    expect(result.kind === 'unsupported' && result.reason).toContain(reason)
  })
})
