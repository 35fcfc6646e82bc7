/** UTF-8 both ways (RFC 3629): the core has no TextEncoder. */

/** The bytes of a text. A lone surrogate is three bytes, as it stands. */
export function utf8Bytes(text: string): Uint8Array {
  const out: number[] = []
  for (const c of text) {
    const v = c.codePointAt(0)!
    if (v < 0x80) out.push(v)
    else if (v < 0x800) out.push(0xc0 | (v >> 6), 0x80 | (v & 63))
    else if (v < 0x10000) out.push(0xe0 | (v >> 12), 0x80 | ((v >> 6) & 63), 0x80 | (v & 63))
    else out.push(0xf0 | (v >> 18), 0x80 | ((v >> 12) & 63), 0x80 | ((v >> 6) & 63), 0x80 | (v & 63))
  }
  return Uint8Array.from(out)
}

/** The least code point of a sequence of so many bytes: fewer would do below it (RFC 3629 section 3). */
const LEAST = [0, 0, 0x80, 0x800, 0x10000]

/** The text of some bytes; U+FFFD stands for each byte that is part of no character. */
export function utf8Text(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i]
    const size = first < 0x80 ? 1 : first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0
    let v = size < 2 ? first : first & (0x7f >> size)
    let isWhole = size > 0 && first < 0xf8 && i + size <= bytes.length
    for (let k = 1; k < size && isWhole; k++) {
      isWhole = (bytes[i + k] & 0xc0) === 0x80
      v = (v << 6) | (bytes[i + k] & 63)
    }
    if (isWhole && size > 1) isWhole = v >= LEAST[size] && v <= 0x10ffff && (v < 0xd800 || v > 0xdfff)
    text += isWhole ? String.fromCodePoint(v) : '\ufffd'
    i += isWhole ? size : 1
  }
  return text
}
