import { describe, expect, it } from 'vitest'
import { addressMessage, encodeAddress } from '../../src/backend/host-side.ts'
import { prefix } from '../../src/base/address.ts'

/** type -> value of the attributes after the fixed part. */
function attributes(message: Buffer): Record<number, number[]> {
  const out: Record<number, number[]> = {}
  for (let at = addressMessage.span; at < message.length; at += (message.readUInt16LE(at) + 3) & ~3) {
    out[message.readUInt16LE(at + 2)] = [...message.subarray(at + 4, at + message.readUInt16LE(at))]
  }
  return out
}

describe('the rtnetlink message that adds an address', () => {
  it('for IPv4 says local, address and broadcast', () => {
    const message = encodeAddress(prefix('10.1.2.3/20'), 7)
    expect(addressMessage.decode(message)).toMatchObject({
      length: message.length,
      type: 20,
      flags: 0x605,
      family: 2,
      prefixLength: 20,
      addressFlags: 0,
      index: 7,
    })
    expect(attributes(message)).toEqual({ 2: [10, 1, 2, 3], 1: [10, 1, 2, 3], 4: [10, 1, 15, 255] })
  })

  it('has no broadcast on a point-to-point prefix', () => {
    expect(Object.keys(attributes(encodeAddress(prefix('10.0.0.1/31'), 1)))).toEqual(['1', '2'])
  })

  it('for IPv6 skips duplicate address detection', () => {
    const message = encodeAddress(prefix('fd00::1/64'), 9)
    expect(addressMessage.decode(message)).toMatchObject({ family: 10, prefixLength: 64, addressFlags: 2, index: 9 })
    const bytes = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    expect(attributes(message)).toEqual({ 1: bytes, 2: bytes })
  })
})
