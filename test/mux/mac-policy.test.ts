import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/base/random.ts'
import { formatMac, parseMac } from '../../src/ethernet/mac.ts'
import { adler32, macByRule, macRuleText, oreMac, parseMacRule } from '../../src/mux/mac-policy.ts'

const DEVICE = parseMac('52:54:00:12:34:56')

describe('MAC addresses of clients', () => {
  it('Adler-32 is that of RFC 1950', () => {
    // The usual vectors: the empty text, and "Wikipedia".
    expect(adler32(new Uint8Array(0))).toBe(1)
    expect(adler32(Uint8Array.from('Wikipedia', (c) => c.charCodeAt(0)))).toBe(0x11e60398)
    expect(adler32(new Uint8Array(10_000).fill(255)) >>> 0).toBe(adlerBySums(new Uint8Array(10_000).fill(255)))
  })

  it.each([
    ['52:54:00:12:34:56', 0, '04:ea:43:01:96:09'],
    ['52:54:00:12:34:56', 1, '04:ea:44:01:9a:09'],
    ['52:54:00:12:34:56', 256, '04:ea:44:01:99:09'],
    ['00:00:00:00:00:00', 0, '04:ea:01:00:0a:00'],
  ])("ORe's for device %s, channel %i", (device, channel, mac) => {
    expect(formatMac(oreMac(parseMac(device), channel))).toBe(mac)
  })

  it('by rule', () => {
    const random = new SeededRandom(1)
    const mac = (text: string, channel: number): string => formatMac(macByRule(parseMacRule(text), DEVICE, channel, random))
    expect(mac('ore', 0)).toBe('04:ea:43:01:96:09')
    expect(mac('device', 3)).toBe('52:54:00:12:34:56')
    expect(mac('02:11:22:33', 7)).toBe('02:11:22:33:00:07')
    expect(mac('02-11-22-33', 258)).toBe('02:11:22:33:01:02')
    expect(mac('02:00:00:00:00:99', 7)).toBe('02:00:00:00:00:99')
    const [a, b] = [mac('random', 0), mac('random', 0)]
    expect(a).not.toBe(b)
    expect(Number.parseInt(a.slice(0, 2), 16) & 3).toBe(2)
  })

  it('the text of a rule is the one that was given', () => {
    for (const text of ['ore', 'device', 'random', '02:11:22:33', '02:00:00:00:00:99'])
      expect(macRuleText(parseMacRule(text))).toBe(text)
  })

  it.each(['', 'mine', '03:00:00:00', 'ff:ff:ff:ff:ff:ff', '02:00:00:00:00', '02:00:00:00:00:gg', '2', '00:00:00:00:00:00'])(
    'refuses %j',
    (text) => {
      expect(() => parseMacRule(text)).toThrow(/Invalid/)
    },
  )
})

function adlerBySums(bytes: Uint8Array): number {
  const a = bytes.reduce((sum, byte) => sum + byte, 1) % 65521
  const b = bytes.reduce((sum, byte, i) => sum + byte * (bytes.length - i), bytes.length) % 65521
  return b * 65536 + a
}
