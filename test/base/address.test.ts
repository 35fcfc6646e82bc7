/** Addresses: text both ways (RFC 4291 section 2.2, RFC 5952), prefixes; random numbers. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Address, address, commonPrefix, formatIPv4, parseAddress, parseIPv4, prefix } from '../../src/base/address.ts'
import { randomBelow, randomFraction, SeededRandom } from '../../src/base/random.ts'

const word = fc.oneof(fc.constant(0), fc.constant(1), fc.constant(0xffff), fc.constant(0x10000), fc.integer())

describe('Address', () => {
  it('goes to text and back', () => {
    fc.assert(
      fc.property(word, word, word, word, (a, b, c, d) => {
        const x = new Address(a, b, c, d)
        const back = address(x.toString())
        expect(back.equals(x)).toBe(true)
        expect(back.key).toBe(x.key)
        expect(x.toString()).toBe(x.toString().toLowerCase())
      }),
    )
    fc.assert(fc.property(fc.integer(), (w) => parseIPv4(formatIPv4(w)) === w))
  })

  it('RFC 5952: the longest run of zeros, the first of equals, never a single group', () => {
    for (const [from, to] of [
      ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
      ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
      ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
      ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['2001:DB8::0001', '2001:db8::1'],
      ['0:0:0:0:0:0:0:0', '::'],
      ['0:0:0:0:0:0:0:1', '::1'],
      ['1:0:0:0:0:0:0:0', '1::'],
      ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
      ['::ffff:1.2.3.4', '1.2.3.4'],
      ['1:2:3:4:5:6:7.8.9.10', '1:2:3:4:5:6:708:90a'],
    ]) {
      expect(address(from).toString()).toBe(to)
    }
  })

  it('refuses what is no address', () => {
    for (const bad of [
      '',
      ':',
      ':::',
      '1',
      '1.2.3',
      '1.2.3.4.5',
      '256.1.1.1',
      '01.2.3.4',
      '1.2.3.4 ',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '1::2::3',
      '12345::',
      'g::',
      '::1.2.3',
      '1:2:3:4:5:6:7:1.2.3.4',
      '1:2:3:4:5:6:7:8::',
      'fe80::1%eth0',
      '1.2.3.4::',
    ]) {
      expect(parseAddress(bad), bad).toBe(null)
    }
    expect(() => address('x')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_IP_ADDRESS' }))
  })

  it('knows its kinds', () => {
    const a = address
    expect([a('0.0.0.0').isUnspecified, a('::').isUnspecified, a('0.0.0.1').isUnspecified]).toEqual([true, true, false])
    expect([a('127.9.9.9').isLoopback, a('::1').isLoopback, a('128.0.0.1').isLoopback, a('::2').isLoopback]).toEqual([
      true,
      true,
      false,
      false,
    ])
    expect([
      a('224.0.0.1').isMulticast,
      a('239.1.1.1').isMulticast,
      a('240.0.0.1').isMulticast,
      a('ff02::1').isMulticast,
    ]).toEqual([true, true, false, true])
    expect([a('255.255.255.255').isLimitedBroadcast, a('ffff::ffff').isLimitedBroadcast]).toEqual([true, false])
    expect([a('1.2.3.4').family, a('::2').family]).toEqual([4, 6])
  })
})

describe('Prefix', () => {
  it('contains what shares its bits', () => {
    fc.assert(
      fc.property(word, word, word, word, fc.nat(128), fc.nat(127), (a, b, c, d, length, flip) => {
        const x = new Address(a, b, c, d)
        const y = x.clone()
        const w = `w${flip >> 5}` as 'w0'
        y[w] = y[w] ^ (1 << (31 - (flip & 31)))
        expect(commonPrefix(x, y, length)).toBe(length <= flip)
      }),
    )
  })

  it('network, mask, broadcast', () => {
    const p = prefix('10.1.2.3/20')
    expect(p.network.toString()).toBe('10.1.0.0/20')
    expect(p.broadcast!.toString()).toBe('10.1.15.255')
    expect(p.contains(address('10.1.15.1'))).toBe(true)
    expect(p.contains(address('10.1.16.1'))).toBe(false)
    expect(prefix('0.0.0.0/0').contains(address('8.8.8.8'))).toBe(true)
    expect(prefix('0.0.0.0/0').mask).toBe(0)
    expect([prefix('1.2.3.4/31').broadcast, prefix('1.2.3.4').broadcast, prefix('fd00::/64').broadcast]).toEqual([
      null,
      null,
      null,
    ])
    expect(prefix('fd00::1:2:3:4/64').network.toString()).toBe('fd00::/64')
    expect(prefix('1.2.3.4').length).toBe(32)
    for (const bad of ['1.2.3.4/33', '1.2.3.4/', '1.2.3.4/-1', 'fd00::/129', '1.2.3.4/1x'])
      expect(() => prefix(bad)).toThrow(/Invalid/)
  })
})

describe('random', () => {
  it('is the same for a seed, another for another, and fills its range', () => {
    const draw = (seed: number): number[] => {
      const r = new SeededRandom(seed)
      return Array.from({ length: 50 }, () => r.int32())
    }
    expect(draw(1)).toEqual(draw(1))
    expect(draw(1)).not.toEqual(draw(2))
    const r = new SeededRandom(3)
    const seen = new Set<number>()
    for (let i = 0; i < 2000; i++) {
      seen.add(randomBelow(r, 10))
      const f = randomFraction(r)
      expect(f >= 0 && f < 1).toBe(true)
    }
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })
})
