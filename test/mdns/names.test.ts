import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { utf8Bytes, utf8Text } from '../../src/base/utf8.ts'
import { canonicalName, labelsOf } from '../../src/dns/names.ts'
import { firstLabel, hostLabel, instanceName, isOfLink, nextHost, nextInstance } from '../../src/mdns/names.ts'
import { compareSets } from '../../src/mdns/record.ts'
import { readTxt, txtStrings } from '../../src/mdns/txt.ts'
import { a, aaaa, record } from '../support/dns-server.ts'

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((t) => {
  const bytes = utf8Bytes(t)
  return bytes.length <= 63 && bytes.every((b) => b >= 32 && b !== 127)
})

describe('names', () => {
  it('of instances are any text, and come back from the wire as they were', () => {
    fc.assert(
      fc.property(text, (t) => {
        const name = instanceName(t, '_http._tcp')
        expect(labelsOf(name)).toHaveLength(4)
        expect(firstLabel(name)).toBe(t)
      }),
    )
  })

  it('after a conflict: the next number, never too long, never half a character', () => {
    expect([nextHost('web'), nextHost('web-2'), nextHost('web-9'), nextHost('a-b')]).toEqual([
      'web-2',
      'web-3',
      'web-10',
      'a-b-2',
    ])
    expect([nextInstance('My web'), nextInstance('My web (2)')]).toEqual(['My web (2)', 'My web (3)'])
    fc.assert(
      fc.property(text, (t) => {
        for (const next of [nextHost(t), nextInstance(t)]) {
          expect(next).not.toBe(t)
          expect(utf8Bytes(next).length).toBeLessThanOrEqual(63)
          expect(utf8Text(utf8Bytes(next))).toBe(next)
        }
      }),
    )
  })

  it('of hosts', () => {
    expect([hostLabel('web'), hostLabel('web.local'), hostLabel('web.local.')]).toEqual(['web', 'web', 'web'])
    expect(['Web-2', 'a_b', 'büro', '電腦', 'x'.repeat(63)].map(hostLabel)).toEqual([
      'Web-2',
      'a_b',
      'büro',
      '電腦',
      'x'.repeat(63),
    ])
    for (const wrong of ['', 'a.b', 'a.b.local', 'x'.repeat(64), 'a b', 'a\u00a0b', '-a', 'a-', 'a/b', 'a:b', 'a\\b'])
      expect(() => hostLabel(wrong), wrong).toThrow()
  })

  it('that multicast DNS is asked for (sections 3 and 4)', () => {
    const yes = ['local', 'a.local', 'a.b.local', '1.2.254.169.in-addr.arpa', '1.0.8.e.f.ip6.arpa', '1.0.b.e.f.ip6.arpa']
    const no = ['', 'localhost', 'a.example', 'notlocal', '1.0.0.10.in-addr.arpa', '1.0.c.e.f.ip6.arpa']
    expect(yes.filter((n) => !isOfLink(canonicalName(n)!))).toEqual([])
    expect(no.filter((n) => isOfLink(canonicalName(n)!))).toEqual([])
  })
})

describe('TXT (RFC 6763 section 6)', () => {
  it('what was written is read', () => {
    const key = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)
    const value = fc.oneof(fc.constant(true as const), fc.string({ unit: 'grapheme', maxLength: 20 }))
    fc.assert(
      fc.property(fc.dictionary(key, value, { maxKeys: 6 }), (txt) => {
        expect({ ...readTxt(txtStrings(txt)) }).toEqual({ ...txt })
      }),
    )
  })

  it('nothing is one empty string; bytes go as they are', () => {
    expect(txtStrings({})).toEqual([new Uint8Array(0)])
    expect(txtStrings({ k: Uint8Array.of(0, 255) })).toEqual([Uint8Array.of(107, 61, 0, 255)])
    expect({ ...readTxt([Uint8Array.of(107, 61, 255)]) }).toEqual({ k: '\ufffd' })
  })
})

describe('UTF-8', () => {
  it('is what TextEncoder and TextDecoder say', () => {
    const [encoder, decoder] = [new TextEncoder(), new TextDecoder('utf-8', { ignoreBOM: true })]
    const point = fc.nat(0x10ffff).filter((c) => c < 0xd800 || c > 0xdfff)
    const any = fc.array(point, { maxLength: 12 }).map((points) => String.fromCodePoint(...points))
    fc.assert(fc.property(any, (t) => utf8Bytes(t).join() === encoder.encode(t).join()))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        const right = decoder.decode(bytes)
        // How many marks stand for what is no character is a matter of taste.
        expect(utf8Text(bytes).replace(/\ufffd+/g, '?')).toBe(right.replace(/\ufffd+/g, '?'))
      }),
    )
  })
})

it('tie-breaks as section 8.2.1 has them: type, then bytes, then who has more', () => {
  const low = a('x.local', '169.254.99.200')
  const high = a('x.local', '169.254.200.50')
  expect(compareSets([high], [low])).toBeGreaterThan(0)
  expect(compareSets([aaaa('x.local', '::1')], [high])).toBeGreaterThan(0)
  expect(compareSets([low, high], [high, low])).toBe(0)
  expect(compareSets([low], [low, high])).toBeLessThan(0)
  const text = (...bytes: number[]) => record('x.local', 'TXT', { strings: [Uint8Array.from(bytes)] })
  expect(compareSets([text(1, 2)], [text(1, 200)])).toBeLessThan(0)
})
