/**
 * Big-endian reads and writes on plain `Uint8Array`s.
 *
 * Why not DataView: a view per buffer is one more object to carry beside every buffer; V8 compiles these few shifts to a few
 * instructions. 32-bit values are signed int32 throughout (a uint32 above 2^31 would become a heap-allocated double).
 */

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

/** Copies `len` bytes. Short copies run as a loop: `set(subarray())` allocates a view and costs ~60 ns before the first byte. */
export function copyBytes(src: Uint8Array, from: number, dst: Uint8Array, to: number, len: number): void {
  if (len <= 64) {
    for (let i = 0; i < len; i++) dst[to + i] = src[from + i]
  } else if (src.buffer === dst.buffer && src.byteOffset === dst.byteOffset) {
    dst.copyWithin(to, from, from + len)
  } else {
    dst.set(from === 0 && len === src.length ? src : src.subarray(from, from + len), to)
  }
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
