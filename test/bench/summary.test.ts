import { describe, expect, it } from 'vitest'
import {
  figureOf,
  format,
  markdown,
  median,
  parseLine,
  parsePing,
  parseWrk,
  ratio,
  replaceFigures,
  type Sample,
  summarize,
  table,
} from '../../bench/summary.ts'

const sample = (peer: string, test: string, run: number, fields: Record<string, number>, ok = true): Sample => ({
  peer,
  test,
  run,
  ok,
  ...fields,
})

const SAMPLES: Sample[] = [
  sample('ours', 'send', 0, { mbit_s: 40_000 }),
  sample('ours', 'send', 1, { mbit_s: 30_000 }),
  sample('ours', 'send', 2, { mbit_s: 50_000 }),
  sample('ours', 'send', 3, {}, false),
  sample('kernel', 'send', 0, { mbit_s: 80_000 }),
  sample('ours, plain', 'send', 0, { mbit_s: 4_000 }),
  sample('kernel, plain', 'send', 0, { mbit_s: 10_000 }),
  sample('memory', 'raw.bulk.super', 0, { mbit_s: 20_000, cpu_pct: 87.4 }),
]

describe('median', () => {
  it('is the middle, or between the two in the middle', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([7])).toBe(7)
    expect(median([])).toBeNaN()
  })

  it('leaves its argument as it was', () => {
    const values = [3, 1, 2]
    median(values)
    expect(values).toEqual([3, 1, 2])
  })
})

describe('summarize', () => {
  it('groups by peer and test and counts failures apart', () => {
    const rows = summarize(SAMPLES)
    expect(rows.map((r) => `${r.peer}/${r.test}`)).toEqual([
      'ours/send',
      'kernel/send',
      'ours, plain/send',
      'kernel, plain/send',
      'memory/raw.bulk.super',
    ])
    expect(rows[0]).toEqual({
      peer: 'ours',
      test: 'send',
      unit: 'Gbit/s',
      n: 3,
      failed: 1,
      min: 30,
      median: 40,
      max: 50,
      core: null,
    })
    expect(rows[4].core).toBe(87.4)
  })

  it('gives no figure when every run failed', () => {
    const [row] = summarize([sample('ours', 'ping', 0, {}, false)])
    expect(row).toMatchObject({ n: 0, failed: 1 })
    expect(row.median).toBeNaN()
    expect(row.min).toBeNaN()
  })

  it('refuses a test it does not know', () => {
    expect(() => figureOf('juggling')).toThrow('juggling')
    expect(() => figureOf('raw.juggling')).toThrow('raw.juggling')
  })
})

describe('ratio', () => {
  const rows = summarize(SAMPLES)

  it('compares like with like', () => {
    expect(ratio(rows[0], rows)).toBe('0.50x')
    expect(ratio(rows[2], rows)).toBe('0.40x')
  })

  it('says nothing of the kernel itself, of memory, or where the kernel was not measured', () => {
    expect(ratio(rows[1], rows)).toBe('')
    expect(ratio(rows[4], rows)).toBe('')
    expect(ratio(rows[0], [rows[0]])).toBe('')
  })
})

describe('format and table', () => {
  it('shows what can be read', () => {
    expect([0.123, 5.678, 56.78, 567.8, 1234567, Number.NaN].map(format)).toEqual([
      '0.12',
      '5.68',
      '56.8',
      '568',
      '1,234,567',
      '-',
    ])
  })

  it('aligns columns and tells of failed runs', () => {
    const lines = table(summarize(SAMPLES)).split('\n')
    expect(lines).toHaveLength(6)
    expect(lines[0]).toMatch(/^peer +test +min +median +max +unit +to kernel +core +runs$/)
    expect(lines[5]).toMatch(/ 87% +1$/)
    expect(lines[1]).toMatch(/^ours +send +30\.0 +40\.0 +50\.0 +Gbit\/s +0\.50x +3 \(1 failed\)$/)
  })
})

describe('documents', () => {
  const report = {
    date: '2025-01-02',
    machine: '2 x CPU',
    node: '20.20.0',
    kernel: '6.1',
    summaries: summarize(SAMPLES),
    skipped: [],
    allocations: { 'raw.bulk.super': 1.25 },
  }

  it('puts medians into Markdown, a dash where nothing was measured', () => {
    const lines = markdown(report).split('\n')
    expect(lines).toContain('| host to stack, Gbit/s | 40.0 | 80.0 | 4.00 | 10.0 |')
    expect(lines).toContain('| stack to host, Gbit/s | - | - | - | - |')
    expect(lines).toContain('| bulk, super-segments, Gbit/s | 20.0 | - | - | - |')
    expect(lines).toContain('| heap bytes per segment once warm (super) | 1.3 | | | |')
    expect(lines.at(-1)).toBe('2 x CPU, Linux 6.1, Node 20.20.0, 2025-01-02.')
  })

  it('replaces only what stands between the marks', () => {
    const before = 'a\n<!-- figures: npm run bench -- --readme -->\nold\n<!-- /figures -->\nb\n'
    const once = replaceFigures(before, 'new')
    expect(once).toBe('a\n<!-- figures: npm run bench -- --readme -->\nnew\n<!-- /figures -->\nb\n')
    expect(replaceFigures(once!, 'new')).toBe(once)
    expect(replaceFigures('no marks', 'new')).toBeNull()
  })
})

describe('what programs print', () => {
  it('reads the end of ping', () => {
    const text =
      '200 packets transmitted, 198 received, 1% packet loss, time 412ms\nrtt min/avg/max/mdev = 0.008/0.012/0.101/0.004 ms\n'
    expect(parsePing(text)).toEqual({ received: 198, min_us: 8, avg_us: 12, max_us: 101 })
    expect(parsePing('ping: connect: Network is unreachable')).toBeNull()
  })

  it('takes the last JSON line', () => {
    expect(parseLine('noise\n{"a":1}\n{"test":"send","ok":true}\n')).toEqual({ test: 'send', ok: true })
    expect(parseLine('{"broken":')).toBeNull()
    expect(parseLine('nothing')).toBeNull()
  })
})

describe('parseWrk', () => {
  it('takes the rate and counts what went wrong', () => {
    expect(parseWrk('Requests/sec:  56843.21\nTransfer/sec:      6.89MB\n')).toEqual({ perSecond: 56843.21, errors: 0 })
    const bad = '  Socket errors: connect 1, read 20, write 0, timeout 3\n  Non-2xx or 3xx responses: 5\nRequests/sec:    12.50\n'
    expect(parseWrk(bad)).toEqual({ perSecond: 12.5, errors: 29 })
    expect(parseWrk('unable to connect to 10.0.0.2:http Connection refused\n')).toBeNull()
  })
})

describe("the table of Node's modules", () => {
  it('is there when they were measured', () => {
    const samples = [
      sample('ours', 'http', 0, { per_s: 50_000 }),
      sample('kernel', 'http', 0, { per_s: 40_000 }),
      sample('ours', 'send.web', 0, { mbit_s: 20_000 }),
    ]
    const report = {
      date: 'd',
      machine: 'm',
      node: 'n',
      kernel: 'k',
      summaries: summarize(samples),
      skipped: [],
      allocations: {},
    }
    const text = markdown(report)
    expect(text).toContain('| http, kept alive, requests/s | 50,000 | 40,000 |')
    expect(text).toContain('| host to stack, Gbit/s | - | - | 20.0 | - |')
    expect(markdown({ ...report, summaries: [] })).not.toContain('kept alive')
  })
})
