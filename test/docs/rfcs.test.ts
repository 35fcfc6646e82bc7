/** The map of the RFCs is true: complete, and what it names exists. That the tests pass is for the tests to show. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { hasTitle, type Row, readTable, render, STATUSES } from './rfcs.ts'

const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const rows = readTable(read('docs/rfcs.tsv'))
const requirements = rows.filter((r) => r.area !== 'whole')

const range = (prefix: string, last: number, digits = 0): string[] =>
  Array.from({ length: last }, (_, i) => `${prefix}-${String(i + 1).padStart(digits, '0')}`)

/** Rows at fault, as text. */
const faults = (of: readonly Row[], isFault: (r: Row) => boolean): string[] =>
  of.filter(isFault).map((r) => `${r.id}: ${r.requirement}`)

describe('docs/rfcs.tsv', () => {
  it('has every requirement, once', () => {
    const ids = requirements.map((r) => r.id)
    expect([...ids].sort()).toEqual(
      [
        ...range('MUST', 69),
        ...range('SHLD', 31),
        ...range('MAY', 18),
        'REC-1',
        ...range('HR', 189, 3), // RFC 1122
        ...range('V6', 31, 2), // RFC 8504
        ...range('IC6', 21, 2), // RFC 4443
        ...range('ND', 26, 2), // RFC 4861
        ...range('RP', 5, 2), // RFC 4191
        ...range('DN', 2, 2), // RFC 8106
        ...range('SL', 13, 2), // RFC 4862, RFC 7217, RFC 8981
        ...range('DH', 25, 2), // RFC 2131, the client
        ...range('DS', 11, 2), // the server, and options
        ...range('D6S', 20, 2), // RFC 8415, the server
        ...range('D6C', 31, 2), // RFC 8415, the client
        ...range('DNS', 7, 2),
        ...range('MD', 18, 2).slice(1), // RFC 6762, RFC 6763; the first is DNS-06
        ...range('EX', 27, 2),
      ].sort(),
    )
    const documents = rows.filter((r) => r.area === 'whole').map((r) => r.rfc)
    expect(new Set(documents).size).toBe(documents.length)
  })

  it('says of each what it is', () => {
    expect(faults(rows, (r) => !STATUSES.some((s) => s === r.status))).toEqual([])
    expect(faults(rows, (r) => r.requirement === '' || r.area === '')).toEqual([])
    expect(faults(requirements, (r) => !/^(MUST|SHOULD|MAY)( NOT)?$/.test(r.level))).toEqual([])
  })

  it('no MUST of RFC 9293 is undone', () => {
    const undone = faults(
      requirements,
      (r) => r.rfc === 'RFC 9293' && r.level.startsWith('MUST') && r.status !== 'yes' && r.status !== 'deviates',
    )
    expect(undone).toEqual([])
  })

  it('what is not a plain yes has its reason', () => {
    expect(faults(rows, (r) => r.status !== 'yes' && r.reason.length < 8)).toEqual([])
  })

  it('what is obeyed has a file that does it, and but for a MAY a test that proves it', () => {
    expect(faults(rows, (r) => r.status === 'yes' && r.source.length === 0)).toEqual([])
    expect(faults(rows, (r) => r.status === 'yes' && r.level !== 'MAY' && r.tests.length === 0)).toEqual([])
  })

  it('names files of src that exist', () => {
    const missing = rows.flatMap((r) => r.source).filter((f) => !/^src\/.+\.ts$/.test(f) || !existsSync(new URL(f, root)))
    expect([...new Set(missing)]).toEqual([])
  })

  it('names tests that exist, by the title that they have', () => {
    const texts = new Map<string, string | null>()
    const missing: string[] = []
    for (const { id, tests } of rows) {
      for (const { file, title } of tests) {
        if (!texts.has(file)) texts.set(file, existsSync(new URL(file, root)) ? read(file) : null)
        const text = texts.get(file)
        const isScript = /^test\/scripts\/.+\.pkt$/.test(file)
        const isTest = /^test\/.+\.(test|inside)\.ts$/.test(file)
        if (text == null || !(isScript ? title === '' : isTest && hasTitle(text, title)))
          missing.push(`${id}: ${file} > ${title}`)
      }
    }
    expect(missing).toEqual([])
  })
})

describe('docs/rfcs.md', () => {
  it('is what `npm run rfcs` writes', () => {
    expect(read('docs/rfcs.md') === render(rows)).toBe(true)
  })

  it('a title is found in whatever quotes, and no part of one', () => {
    expect(hasTitle("it('one two', f)", 'one two')).toBe(true)
    expect(hasTitle('it("it\'s one", f)', "it's one")).toBe(true)
    expect(hasTitle("it('it\\'s one', f)", "it's one")).toBe(true)
    expect(hasTitle("it('one two', f)", 'one')).toBe(false)
  })
})
