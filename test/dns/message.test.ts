import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { decodeMessage, encodeMessage, message, question } from '../../src/dns/message.ts'
import { canonicalName, dotsOf, isWithin, labelsOf, parentOf } from '../../src/dns/names.ts'
import type { ResourceRecord } from '../../src/dns/records.ts'
import { anyMessage, name } from '../support/dns-arbitrary.ts'
import { runs } from '../support/runs.ts'

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex'))
}

/** id 1, QR, one question (the root, A, IN) and so many answers. */
function answerOf(rdata: string, answers = 1): Uint8Array {
  return bytesOf(`0001 8180 0001 000${answers} 0000 0000  00 0001 0001 ${rdata}`)
}

function reasonOf(bytes: Uint8Array): string {
  return decodeMessage(bytes).reason
}

const head = { name: 'example.com', class: 1, ttl: 300 }

describe('messages', () => {
  it('are read as they were written, whatever is in them', () => {
    fc.assert(
      fc.property(anyMessage, (m) => {
        const bytes = encodeMessage(m)
        const { message: read, reason } = decodeMessage(bytes)
        expect(reason).toBe('')
        expect(read).toEqual(m)
      }),
      { numRuns: runs(300) },
    )
  })

  it('mutated and cut anywhere never throw, and are read or say why not', () => {
    const change = fc.array(fc.tuple(fc.nat(4000), fc.nat(255)), { maxLength: 6 })
    fc.assert(
      fc.property(anyMessage, change, fc.nat(4000), (m, changes, cut) => {
        let bytes = encodeMessage(m)
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        if (cut % 3 === 0) bytes = bytes.slice(0, cut % (bytes.length + 1))
        const { message: read, reason } = decodeMessage(bytes)
        expect(read === null).toBe(reason !== '')
      }),
      { numRuns: runs(1000) },
    )
  })

  it('noise never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (noise) => {
        const { message: read, reason } = decodeMessage(noise)
        expect(read === null).toBe(reason !== '')
      }),
      { numRuns: runs(500) },
    )
  })

  it('a question is what RFC 1035 and RFC 6891 draw', () => {
    expect(Buffer.from(encodeMessage(question(0x1234, 'www.Example.com', 'AAAA', 1232))).toString('hex')).toBe(
      '12340100000100000000000103777777074578616d706c6503636f6d00001c0001' + '00002904d0000000000000',
    )
    expect(encodeMessage(question(1, 'a', 'A', 0)).length).toBe(12 + 3 + 4)
  })

  it('names that were written before are pointed at, in the types of RFC 1035 alone', () => {
    const of = (record: ResourceRecord): number => encodeMessage(message({ answers: [record] })).length
    const fixed = 12 + 13 + 10
    expect(of({ ...head, type: 'CNAME', data: { cname: 'www.example.com' } })).toBe(fixed + 4 + 2)
    expect(of({ ...head, type: 'SRV', data: { priority: 0, weight: 0, port: 1, target: 'www.example.com' } })).toBe(
      fixed + 6 + 17,
    )
  })

  it('an extended response code is put together of its two parts', () => {
    const edns = { udpPayloadBytes: 512, version: 0, dnssecOk: true, options: [] }
    const { message: read } = decodeMessage(encodeMessage(message({ isResponse: true, rcode: 16, edns })))
    expect(read).toMatchObject({ rcode: 16, edns })
  })

  it('a TTL with its first bit set is zero (RFC 2181 section 8)', () => {
    const { message: read } = decodeMessage(answerOf('00 0001 0001 80000001 0004 0a000001'))
    expect(read?.answers).toEqual([{ name: '', type: 'A', class: 1, ttl: 0, data: { address: address('10.0.0.1') } }])
  })

  it('one that was cut short and says so is read as far as it goes', () => {
    const bytes = answerOf('00 0001 0001 00000001 0004 0a000001  00 0001 0001 00000001 0004 0a00', 2)
    expect(reasonOf(bytes)).toBe('short')
    bytes[2] |= 2
    expect(decodeMessage(bytes).message).toMatchObject({ truncated: true, answers: [{ type: 'A' }] })
  })
})

describe('malformed messages say what is wrong', () => {
  it.each([
    ['short', 'less than a header', bytesOf('0001 8180 0001')],
    ['short', 'fewer records than announced', answerOf('')],
    ['counts', 'bytes behind the last record', answerOf('00 0001 0001 00000001 0004 0a000001 00')],
    ['pointer', 'a pointer to itself', answerOf('c011 0001 0001 00000001 0004 0a000001')],
    ['pointer', 'a pointer forwards', answerOf('c020 0001 0001 00000001 0004 0a000001')],
    ['pointer', 'a circle of two pointers', answerOf('c013 c011 0001 0001 00000001 0004 0a000001')],
    ['pointer', 'a label, and a pointer back to it', answerOf('0161 c011 0001 0001 00000001 0004 0a000001')],
    ['pointer', 'a pointer into the header', answerOf('c002 0001 0001 00000001 0004 0a000001')],
    ['label', 'a label of a kind that is gone', answerOf('4161 00 0001 0001 00000001 0004 0a000001')],
    ['nameLength', 'a name of 256 bytes', answerOf(`${`3f${'61'.repeat(63)}`.repeat(4)}00 0001 0001 00000001 0004 0a000001`)],
    ['rdata', 'an address of three bytes', answerOf('00 0001 0001 00000001 0003 0a0000')],
    ['rdata', 'an address of five bytes', answerOf('00 0001 0001 00000001 0005 0a00000101')],
    ['rdata', 'a name that ends after its record', answerOf('00 0005 0001 00000001 0002 0361')],
    ['rdata', 'text without a string', answerOf('00 0010 0001 00000001 0000')],
    ['rdata', 'keys of a service in the wrong order', answerOf('00 0041 0001 00000001 000b 0001 00 0003 0000 0001 0000')],
    ['opt', 'OPT among the answers', answerOf('00 0029 04d0 00000000 0000')],
  ])('%s: %s', (reason, _, bytes) => {
    expect(reasonOf(bytes)).toBe(reason)
  })

  it('opt: two of them', () => {
    const opt = '00 0029 04d0 00000000 0000'
    expect(reasonOf(bytesOf(`0001 8180 0000 0000 0000 0002 ${opt} ${opt}`))).toBe('opt')
  })

  it.each([
    [127, ''],
    [128, 'pointer'],
  ])('a chain of %i pointers, all of them backwards: %j', (pointers, reason) => {
    // In a record of a type that nobody knows: the label `a`, and pointers that point at the one before.
    const at = (i: number): number => (i < 0 ? 28 : 31 + 2 * i)
    const pointer = (to: number): string => (0xc000 | to).toString(16)
    const chain = Array.from({ length: pointers - 1 }, (_, i) => pointer(at(i - 1))).join('')
    const length = (3 + chain.length / 2).toString(16).padStart(4, '0')
    const carrier = `00 ff00 0001 00000001 ${length} 016100 ${chain}`
    expect(reasonOf(answerOf(`${carrier} ${pointer(at(pointers - 2))} 0001 0001 00000001 0004 0a000001`, 2))).toBe(reason)
  })
})

describe('names as text', () => {
  it('labels and text are each other, whatever the bytes', () => {
    fc.assert(
      fc.property(name, (text) => {
        const canonical = canonicalName(text)
        expect(canonical).toBe(text.toLowerCase())
        expect(dotsOf(text)).toBe(Math.max(0, labelsOf(text)!.length - 1))
        expect(isWithin(canonical!, canonicalName(parentOf(text))!)).toBe(true)
      }),
    )
  })

  it.each([
    ['', ''],
    ['.', ''],
    ['Example.COM.', 'example.com'],
    ['a\\.b.c', 'a\\.b.c'],
    ['\\097.\\032', 'a.\\032'],
  ])('%j is %j', (text, canonical) => {
    expect(canonicalName(text)).toBe(canonical)
  })

  it.each(['a..b', '.a', 'a.b..', 'a\\', 'a\\999', 'bücher.example', `${'a'.repeat(64)}.b`, `${'a.'.repeat(127)}bc`])(
    '%j is no name',
    (text) => {
      expect(canonicalName(text)).toBe(null)
    },
  )
})
