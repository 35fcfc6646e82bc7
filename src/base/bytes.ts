/**
 * Big-endian reads and writes on plain `Uint8Array`s.
 *
 * Why not DataView: a view per buffer is one more object to carry beside every buffer; V8 compiles these few shifts to a few
 * instructions. 32-bit values are signed int32 throughout (a uint32 above 2^31 would become a heap-allocated double).
 */

import { arena } from './arena.ts'

/** Reads an unsigned 16-bit big-endian value. */
export function get16(buf: Uint8Array, off: number): number {
  return (buf[off] << 8) | buf[off + 1]
}

/** Reads a 32-bit big-endian value as a signed int32. */
export function get32(buf: Uint8Array, off: number): number {
  return (buf[off] << 24) | (buf[off + 1] << 16) | (buf[off + 2] << 8) | buf[off + 3]
}

/** Writes the low 16 bits of `value`, big-endian. */
export function put16(buf: Uint8Array, off: number, value: number): void {
  buf[off] = value >>> 8
  buf[off + 1] = value
}

/** Writes a 32-bit value, big-endian. */
export function put32(buf: Uint8Array, off: number, value: number): void {
  buf[off] = value >>> 24
  buf[off + 1] = value >>> 16
  buf[off + 2] = value >>> 8
  buf[off + 3] = value
}

/** Below this a loop over bytes is the fastest, up to the next one a loop over words. */
const BYTE_LOOP = 32
const WORD_LOOP = 128

/**
 * Copies `len` bytes. Between two buffers of the arena nothing is allocated; elsewhere long runs take a view, as `set` wants one.
 * Overlapping ranges of one buffer are copied as if through a third place.
 */
export function copyBytes(src: Uint8Array, from: number, dst: Uint8Array, to: number, len: number): void {
  if (src === dst) dst.copyWithin(to, from, from + len)
  else if (len <= BYTE_LOOP) {
    for (let i = 0; i < len; i++) dst[to + i] = src[from + i]
  } else if (arena.holds(src) && arena.holds(dst)) {
    const f = src.byteOffset + from
    const t = dst.byteOffset + to
    if (len <= WORD_LOOP && ((f ^ t) & 3) === 0) copyWords(arena.bytes, arena.words, f, t, len)
    else arena.bytes.copyWithin(t, f, f + len)
  } else if (from === 0 && len === src.length) dst.set(src, to)
  else dst.set(src.subarray(from, from + len), to)
}

function copyWords(bytes: Uint8Array, words: Int32Array, from: number, to: number, len: number): void {
  let f = from
  let t = to
  const end = from + len
  for (; (f & 3) !== 0; f++, t++) bytes[t] = bytes[f]
  let j = t >> 2
  const last = end >> 2
  for (let i = f >> 2; i < last; i++, j++) words[j] = words[i]
  f = last << 2
  t = j << 2
  for (; f < end; f++, t++) bytes[t] = bytes[f]
}

/** True when the two ranges hold the same bytes. */
export function equalBytes(a: Uint8Array, aOff: number, b: Uint8Array, bOff: number, len: number): boolean {
  for (let i = 0; i < len; i++) if (a[aOff + i] !== b[bOff + i]) return false
  return true
}

const HEX = '0123456789abcdef'

/** Lower-case hexadecimal of a range, two digits a byte, with an optional separator. */
export function hex(buf: Uint8Array, off = 0, len = buf.length - off, separator = ''): string {
  let text = ''
  for (let i = off; i < off + len; i++) {
    if (separator !== '' && i > off) text += separator
    text += HEX[buf[i] >> 4] + HEX[buf[i] & 15]
  }
  return text
}
