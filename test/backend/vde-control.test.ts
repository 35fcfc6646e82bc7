import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeRequest,
  decodeUnixAddress,
  encodeRequest,
  encodeUnixAddress,
  MAX_PATH,
  request1,
  request3,
  UNIX_ADDRESS,
  unixAddress,
} from '../../src/backend/vde-control.ts'

const address = (path: string): Buffer => encodeUnixAddress(path)!

/** By the declarations, which are the oracle. */
function declared(version: 1 | 3, fields: Record<string, unknown>, rest = ''): Buffer {
  const span = version === 3 ? request3.span : request1.span
  const buf = Buffer.alloc(span + rest.length)
  ;(version === 3 ? request3 : request1).encode({ magic: 0xfeedface, version: 3, mac: Buffer.alloc(6), ...fields }, buf)
  buf.write(rest, span)
  return buf
}

describe("a switch's control socket", () => {
  it('has the layout that was measured', () => {
    const bytes = encodeRequest({ path: '/tmp/sw/.00042-00000', port: 3, description: 'tapstack' })
    expect(bytes.length).toBe(122 + 8)
    expect([...bytes.subarray(0, 14)]).toEqual([0xce, 0xfa, 0xed, 0xfe, 3, 0, 0, 0, 0, 3, 0, 0, 1, 0])
    expect(bytes.toString('utf8', 14, 34)).toBe('/tmp/sw/.00042-00000')
    expect(bytes.toString('utf8', 122)).toBe('tapstack')
    expect(UNIX_ADDRESS).toBe(110)
  })

  it('is read as its declaration says', () => {
    const socket = address('/tmp/a')
    expect(decodeRequest(declared(3, { type: 5 << 8, socket }, 'vm1'))).toEqual({ path: '/tmp/a', port: 5, description: 'vm1' })
    expect(decodeRequest(declared(3, { type: 1, socket }))).toEqual({ path: '/tmp/a', port: -1, description: '' })
    expect(decodeRequest(declared(1, { type: 0, socket }, 'old'))).toEqual({ path: '/tmp/a', port: 0, description: 'old' })
    const answer = Buffer.alloc(UNIX_ADDRESS)
    unixAddress.encode({ family: 1, path: Buffer.from('/tmp/sw/001.6'.padEnd(108, '\0')) }, answer)
    expect(decodeUnixAddress(answer)).toBe('/tmp/sw/001.6')
  })

  it.each([
    ['another program', Buffer.from('GET / HTTP/1.0'), /not a request/],
    ['version 2', declared(3, { version: 2, type: 0 }), /version 2/],
    ['version 4', declared(3, { version: 4, type: 0 }), /version 4/],
    ['a kind that nobody knows', declared(3, { type: 7, socket: address('/a') }), /kind 7/],
    ['no path', declared(3, { type: 0, socket: Buffer.alloc(110) }), /without a socket/],
    [
      'an abstract name',
      declared(3, { type: 0, socket: Buffer.concat([Buffer.from([1, 0, 0]), Buffer.alloc(107, 97)]) }),
      /without a socket/,
    ],
  ])('refuses %s', (_, bytes, why) => {
    expect(decodeRequest(bytes)).toMatch(why)
  })

  it('waits for the whole of a request', () => {
    const whole = encodeRequest({ path: '/tmp/a', port: 0, description: '' })
    for (let n = 0; n < whole.length; n++) expect(decodeRequest(whole.subarray(0, n))).toBeNull()
    expect(decodeRequest(whole)).toEqual({ path: '/tmp/a', port: 0, description: '' })
  })

  it('carries paths up to 107 bytes and descriptions up to 128', () => {
    expect(encodeUnixAddress(`/${'x'.repeat(MAX_PATH)}`)).toBeNull()
    const path = `/${'ä'.repeat(53)}`
    const bytes = encodeRequest({ path, port: -1, description: 'x'.repeat(500) })
    expect(decodeRequest(bytes)).toEqual({ path, port: -1, description: 'x'.repeat(128) })
  })

  it('never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void decodeRequest(Buffer.from(bytes))))
    const whole = encodeRequest({ path: '/tmp/a', port: 0, description: 'x' })
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
        const bytes = Buffer.from(whole)
        bytes[at] = value
        const read = decodeRequest(bytes)
        if (typeof read === 'object' && read !== null) expect(read.path.length).toBeLessThanOrEqual(108)
      }),
    )
  })
})
