/**
 * The Internet checksum (RFC 1071): one's complement sum of 16-bit words.
 *
 * One's complement addition does not mind byte order, so the sum runs over native 32-bit words and is swapped once at the end:
 * 12 GB/s where byte pairs reach 3. The word view of a buffer is made once and remembered; a handful of buffers (a device's
 * receive buffer, the transmit frame, a queue) see all traffic, so the memory below is four entries.
 */

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** The last few buffers and their word views. An object, because module-level numbers would be boxed on every write. */
class WordViews {
  private readonly bufs: (Uint8Array | null)[] = [null, null, null, null]
  private readonly words: Uint32Array[] = []
  private turn = 0

  constructor() {
    const none = new Uint32Array(0)
    for (let i = 0; i < 4; i++) this.words.push(none)
  }

  of(buf: Uint8Array): Uint32Array {
    const bufs = this.bufs
    if (bufs[0] === buf) return this.words[0]
    if (bufs[1] === buf) return this.words[1]
    if (bufs[2] === buf) return this.words[2]
    if (bufs[3] === buf) return this.words[3]
    const i = this.turn
    this.turn = (i + 1) & 3
    // Words are aligned to the ArrayBuffer, not to the Uint8Array: a view may begin anywhere inside its buffer.
    const first = (buf.byteOffset + 3) & ~3
    const count = Math.max(0, (buf.byteOffset + buf.length - first) >> 2)
    bufs[i] = buf
    this.words[i] = new Uint32Array(buf.buffer, first, count)
    return this.words[i]
  }
}

const views = new WordViews()

/** Below this a byte loop is faster than finding the view. */
const SHORT = 48

/**
 * Adds `len` bytes to a running sum and returns it folded to 16 bits, NOT inverted, in network byte order. `sum` is a previous
 * result (or a pseudo-header sum) and may have carries above bit 15. Ranges that are chained this way must have even length,
 * all but the last.
 */
export function sumBytes(buf: Uint8Array, off: number, len: number, sum: number): number {
  if (len < SHORT) return fold(sum + sumPairs(buf, off, len))
  const words = views.of(buf)
  // Bytes up to the next word boundary of the underlying ArrayBuffer.
  const lead = (4 - ((buf.byteOffset + off) & 3)) & 3
  if (lead & 1) return fold(sum + sumPairs(buf, off, len)) // odd start: words would straddle the 16-bit grid
  let acc = sumPairs(buf, off, lead)
  const firstWord = (off + lead - ((4 - (buf.byteOffset & 3)) & 3)) >> 2
  const count = (len - lead) >> 2
  const wordSum = sumWords(words, firstWord, firstWord + count)
  acc += LITTLE_ENDIAN ? swap16(wordSum) : wordSum
  const done = lead + (count << 2)
  return fold(sum + acc + sumPairs(buf, off + done, len - done))
}

/** The checksum field's value for a range: folded and inverted. `sum` as in `sumBytes`. */
export function checksum(buf: Uint8Array, off: number, len: number, sum = 0): number {
  return ~sumBytes(buf, off, len, sum) & 0xffff
}

/** Folds carries into 16 bits. */
export function fold(sum: number): number {
  let s = (sum & 0xffff) + (sum >>> 16)
  s = (s & 0xffff) + (s >>> 16)
  return s
}

/** The checksum after one 16-bit word of the data changed from `from` to `to` (RFC 1624, equation 3). */
export function updateChecksum(check: number, from: number, to: number): number {
  return ~fold((~check & 0xffff) + (~from & 0xffff) + to) & 0xffff
}

function sumPairs(buf: Uint8Array, off: number, len: number): number {
  let sum = 0
  const end = off + (len & ~1)
  let i = off
  // 16384 pairs of 65535 and a carry stay below 2^31: longer ranges are folded in between.
  while (i < end) {
    const stop = Math.min(end, i + 0x8000)
    for (; i < stop; i += 2) sum += (buf[i] << 8) | buf[i + 1]
    sum = fold(sum)
  }
  if (len & 1) sum += buf[end] << 8
  return fold(sum)
}

/** The sum of this many words is exact in a double: 2^53 / 2^32. Longer ranges are halved. */
const EXACT_WORDS = 1 << 21
const TWO_32 = 0x1_0000_0000

/**
 * In doubles, which hold the carries of two million words: one addition a word, where int32 has to take each apart into halves. 125 ns for a
 * full segment instead of 220. The sums begin at a half, so that V8 keeps them in floating-point registers from the first word on.
 */
function sumWords(words: Uint32Array, from: number, to: number): number {
  if (to - from > EXACT_WORDS) {
    const middle = (from + to) >> 1
    return fold(sumWords(words, from, middle) + sumWords(words, middle, to))
  }
  let even = 0.5
  let odd = 0.5
  let i = from
  const unrolled = from + ((to - from) & ~7)
  for (; i < unrolled; i += 8) {
    even += words[i] + words[i + 1] + (words[i + 2] + words[i + 3])
    odd += words[i + 4] + words[i + 5] + (words[i + 6] + words[i + 7])
  }
  for (; i < to; i++) even += words[i]
  const sum = even + odd - 1
  const high = Math.floor(sum / TWO_32)
  const low = (sum - high * TWO_32) >>> 0
  return fold((low & 0xffff) + (low >>> 16) + high)
}

function swap16(x: number): number {
  return ((x & 0xff) << 8) | (x >>> 8)
}
