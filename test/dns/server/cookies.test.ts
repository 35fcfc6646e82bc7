import { describe, expect, it } from 'vitest'
import { address } from '../../../src/base/address.ts'
import { hex } from '../../../src/base/bytes.ts'
import { SeededRandom } from '../../../src/base/random.ts'
import { Cookies } from '../../../src/dns/server/cookies.ts'
import { VirtualHost } from '../../../src/sim/virtual-host.ts'

const bytes = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (two) => Number.parseInt(two, 16))

function at(seconds: number, secret?: string): Cookies {
  const host = new VirtualHost({ seed: 1 })
  host.wallNs = () => BigInt(seconds) * 1_000_000_000n
  return new Cookies(host, new SeededRandom(7), secret)
}

describe('cookies (RFC 9018 appendix A)', () => {
  it.each([
    ['198.51.100.100', 'e5e973e5a6b2a43f48e7dc849e37bfcf', '2464c4abcf10c957', 1559731985, '010000005cf79f111f8130c3eee29480'],
    ['198.51.100.100', 'e5e973e5a6b2a43f48e7dc849e37bfcf', '2464c4abcf10c957', 1559734385, '010000005cf7a871d4a564a1442aca77'],
    ['203.0.113.203', 'e5e973e5a6b2a43f48e7dc849e37bfcf', 'fc93fc62807ddb86', 1559734700, '010000005cf7a9acf73a7810aca2381e'],
    [
      '2001:db8:220:1:59de:d0f4:8769:82b8',
      'dd3bdf9344b678b185a6f5cb60fca715',
      '22681ab97d52c298',
      1559741817,
      '010000005cf7c57926556bd0934c72f8',
    ],
  ])('of %s', (client, secret, theirs, seconds, ours) => {
    expect(hex(at(seconds, secret).make(bytes(theirs), address(client)))).toBe(theirs + ours)
    expect(at(seconds, secret).judge(bytes(theirs + ours), address(client))).toBe('good')
  })

  it('with reserved bits that are not ours are good all the same (A.3)', () => {
    const cookie = bytes('fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5')
    expect(at(1559727985, 'e5e973e5a6b2a43f48e7dc849e37bfcf').judge(cookie, address('203.0.113.203'))).toBe('good')
  })

  it('hold for an hour, for the address that they were given to, and for the client that asked', () => {
    const client = address('10.0.0.1')
    const given = at(1_700_000_000).make(bytes('0102030405060708'), client)
    const judged = (seconds: number, of = given, from = client): string => at(seconds).judge(of, from)
    expect([0, 3600, 3601, -300, -301].map((s) => judged(1_700_000_000 + s))).toEqual(['good', 'good', 'none', 'good', 'none'])
    expect(judged(1_700_000_000, given, address('10.0.0.2'))).toBe('none')
    for (const i of [0, 7, 8, 9, 12, 16, 23]) {
      expect(
        judged(
          1_700_000_000,
          given.map((b, at) => (at === i ? b ^ 1 : b)),
        ),
      ).toBe('none')
    }
    expect([0, 7, 8, 15, 16, 40, 41].map((n) => at(1).judge(new Uint8Array(n), client))).toEqual([
      'malformed',
      'malformed',
      'none',
      'malformed',
      'none',
      'none',
      'malformed',
    ])
    expect(() => at(1, 'abc')).toThrow('32 hexadecimal digits')
  })
})
