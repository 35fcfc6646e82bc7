/** MAC addresses: 6 bytes, or on the hot path the pair (high 16 bits, low 32 bits). */
import { hex } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import type { Random } from '../base/random.ts'

export const BROADCAST_MAC = Uint8Array.of(255, 255, 255, 255, 255, 255)

/** `02:00:00:00:00:02`; `-` as a separator and upper case are accepted. ERR_INVALID_MAC_ADDRESS otherwise. */
export function parseMac(text: string): Uint8Array {
  const parts = String(text).split(/[:-]/) // whoever writes JavaScript may have given anything
  if (parts.length !== 6 || !parts.every((p) => /^[0-9a-fA-F]{1,2}$/.test(p))) {
    throw invalidArgument(
      `Invalid MAC address: ${text} (six hexadecimal bytes expected, as 02:00:00:00:00:02)`,
      'ERR_INVALID_MAC_ADDRESS',
    )
  }
  return Uint8Array.from(parts, (p) => Number.parseInt(p, 16))
}

/** `02:00:00:00:00:02`, in lower case. */
export function formatMac(mac: Uint8Array, off = 0): string {
  return hex(mac, off, 6, ':')
}

/** The 6 bytes of a pair. */
export function macBytes(high: number, low: number): Uint8Array {
  return Uint8Array.of(high >>> 8, high, low >>> 24, low >>> 16, low >>> 8, low)
}

/** A random locally administered unicast address (IEEE 802 section 8.4: bit 1 set, bit 0 clear). */
export function randomMac(random: Random): Uint8Array {
  const a = random.int32()
  const b = random.int32()
  return Uint8Array.of(((a >>> 24) & 0xfc) | 2, a >>> 16, a >>> 8, a, b >>> 8, b)
}
