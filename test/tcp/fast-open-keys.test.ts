/** Cookies of TCP Fast Open (RFC 7413 section 4.1.2): Linux's for the same key, several keys at once, and what is no key. */
import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { CookieKey, checkKeys, FastOpenKeys } from '../../src/tcp/fast-open-keys.ts'

const A = 'a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4'
const ZERO = '00000000000000000000000000000000'

function cookie(keys: string[], client: string, server: string, seed = 1): Uint8Array {
  const k = new FastOpenKeys(keys, new SeededRandom(seed))
  k.make(address(client), address(server))
  return k.cookie.slice()
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

describe('the cookie of a client', () => {
  it.each([
    [A, '192.0.2.1', '192.168.0.1', '3021b9d889017eeb'],
    [ZERO, '192.0.2.1', '192.168.0.1', 'b7c12350a90dc8f5'],
    ['0-0-0-0', '192.0.2.1', '192.168.0.1', 'b7c12350a90dc8f5'],
    [A, 'fd3d:fa7b:d17d::1', 'fd3d:0a0b:17d6::1', 'c1d1e9742a47a9bc'],
    [ZERO, 'fd3d:fa7b:d17d::1', 'fd3d:0a0b:17d6::1', '82af1a8f9a205c34'],
  ])('is the one that Linux makes: key %s, client %s', (key, client, server, expected) => {
    expect(hex(cookie([key], client, server))).toBe(expected)
  })

  it('is made by the first key, and taken from any', () => {
    const keys = new FastOpenKeys([A, ZERO], new SeededRandom(1))
    const [client, server] = [address('10.0.0.1'), address('10.0.0.2')]
    const first = cookie([A], '10.0.0.1', '10.0.0.2')
    const other = cookie([ZERO], '10.0.0.1', '10.0.0.2')
    const buf = new Uint8Array([9, ...first, ...other, 9])
    expect(keys.check(client, server, buf, 1, 8)).toBe(CookieKey.FIRST)
    expect(keys.check(client, server, buf, 9, 8)).toBe(CookieKey.OTHER)
    expect(keys.cookie).toEqual(first)
    expect(keys.check(client, server, buf, 2, 8)).toBe(CookieKey.NONE)
    expect(keys.check(server, client, buf, 1, 8)).toBe(CookieKey.NONE)
    for (const length of [0, 4, 6, 10]) expect(keys.check(client, server, buf, 1, length)).toBe(CookieKey.NONE)
  })

  it('is not known beforehand without a key of ones own', () => {
    const cookies = [1, 2, 3].map((seed) => hex(cookie([], '10.0.0.1', '10.0.0.2', seed)))
    expect(new Set(cookies).size).toBe(3)
  })

  it('needs keys that are keys', () => {
    checkKeys([])
    checkKeys([A, ZERO, '0-0-0-0'])
    for (const wrong of [undefined, A, [''], ['a1a1a1a1'], [`${A}0`], [A.replace('a', 'g')], [7], Array(9).fill(A)])
      expect(() => checkKeys(wrong)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })
})
