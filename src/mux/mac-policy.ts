/**
 * The MAC address that a client gets.
 *
 * The rule `ore` is that of DDE's ORe, so that addresses written down in its time still hold: 04:EA, then the Adler-32 checksum (RFC 1950
 * section 8.2) over the device's address and the channel's number, both numbers as a little-endian machine has them in memory. 04 says "locally
 * administered" to nobody (bit 1 of the first byte is clear): so it was, and the address is the point of the rule.
 */
import { invalidArgument } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { formatMac, parseMac, randomMac } from '../ethernet/mac.ts'

export type MacRuleName = 'ore' | 'device' | 'random' | 'prefix' | 'fixed'

/** How a client's address is found: a rule, and the bytes that were given with it. */
export interface MacRule {
  readonly name: MacRuleName
  /** Four bytes of `prefix`, six of `fixed`. */
  readonly bytes: Uint8Array
}

const NONE = new Uint8Array(0)
const NAMED: readonly MacRuleName[] = ['ore', 'device', 'random']

/**
 * `ore`, `device`, `random`, the first four bytes of an address (`02:11:22:33`: then two of the channel's number), or a whole one.
 * Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_MAC_ADDRESS.
 */
export function parseMacRule(text: string): MacRule {
  const named = NAMED.find((name) => name === text)
  if (named !== undefined) return { name: named, bytes: NONE }
  const bytes = String(text).split(/[:-]/).length === 4 ? parseMac(`${text}:0:0`).subarray(0, 4) : parseMacOrRule(text)
  if ((bytes[0] & 1) !== 0) throw invalidArgument(`Invalid mac ${text}: it begins like a group's, and a client is one`)
  if (bytes.every((byte) => byte === 0)) throw invalidArgument(`Invalid mac ${text}: it is nobody's`)
  return { name: bytes.length === 4 ? 'prefix' : 'fixed', bytes }
}

function parseMacOrRule(text: string): Uint8Array {
  if (/^[0-9a-f]{1,2}[:-]/i.test(text)) return parseMac(text)
  throw invalidArgument(`Invalid mac ${text}: ${NAMED.join(', ')}, four bytes as 02:11:22:33, or a MAC address is expected`)
}

/** The rule as `parseMacRule` takes it. */
export function macRuleText(rule: MacRule): string {
  if (rule.name === 'fixed') return formatMac(rule.bytes)
  return rule.name === 'prefix' ? formatMac(Uint8Array.of(...rule.bytes, 0, 0)).slice(0, 11) : rule.name
}

/** The address by a rule, whether somebody has it or not. A device without an address of its own cannot give it. */
export function macByRule(rule: MacRule, device: Uint8Array, channel: number, random: Random): Uint8Array {
  switch (rule.name) {
    case 'ore':
      return oreMac(device, channel)
    case 'device':
      return device.slice()
    case 'random':
      return randomMac(random)
    case 'prefix':
      return Uint8Array.of(...rule.bytes, channel >>> 8, channel)
    case 'fixed':
      return rule.bytes.slice()
  }
}

/** ORe's address for a channel of a device: `oreMac(52:54:00:12:34:56, 0)` is 04:EA:43:01:96:09. */
export function oreMac(device: Uint8Array, channel: number): Uint8Array {
  const sum = adler32(Uint8Array.of(...device, channel, channel >>> 8, channel >>> 16, channel >>> 24))
  return Uint8Array.of(0x04, 0xea, sum, sum >>> 8, sum >>> 16, sum >>> 24)
}

/** Adler-32 (RFC 1950 section 8.2), as a signed int32. */
export function adler32(bytes: Uint8Array): number {
  let a = 1
  let b = 0
  for (const byte of bytes) {
    a = (a + byte) % 65521
    b = (b + a) % 65521
  }
  return (b << 16) | a
}
