/** Mutations that know the fields of IPv6, its extension headers and ICMPv6: for mutate.ts. */
import { get16, put16, put32 } from '../../src/base/bytes.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import type { Anatomy } from './anatomy.ts'
import type { Specimen } from './mutate.ts'

/** Chance, and the lists of mutate.ts. */
export interface Dice {
  below(n: number): number
  /** A number that is an edge of something: two bytes wide. */
  edge(): number
}

const NEXT = [0, 43, 44, 50, 51, 58, 59, 60, 6, 17, 41, 1, 253, 255]
const TYPES = [1, 2, 3, 4, 99, 127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 143, 200]
const HOPS = [0, 1, 63, 64, 255, 255, 255]
const OPTIONS = [
  [1, 4, 0, 0, 0, 0],
  [0, 0, 0, 0, 0, 0],
  [5, 2, 0, 0, 1, 0],
  [0x1e, 4, 1, 2, 3, 4],
  [0x5e, 4, 1, 2, 3, 4],
  [0x9e, 4, 1, 2, 3, 4],
  [0xde, 4, 1, 2, 3, 4],
  [0xc2, 4, 0, 1, 0, 0],
  [0x1e, 9, 1, 2, 3, 4],
  [0, 1, 0, 0, 0, 0],
]
/** First and last words. */
const ADDRESSES = [
  [0xfd000000, 1],
  [0xfd000000, 2],
  [0xfd000000, 77],
  [0xfe800000, 0xfe000001],
  [0xfe800000, 0xfe000002],
  [0xff020000, 1],
  [0xff020000, 0xff000002],
  [0xff010000, 1],
  [0, 0],
  [0, 1],
  [0x20010db8, 9],
]

function putAddress(buf: Uint8Array, at: number, dice: Dice): void {
  const [first, last] = ADDRESSES[dice.below(ADDRESSES.length)]
  put32(buf, at, first | 0)
  put32(buf, at + 4, 0)
  put32(buf, at + 8, first >>> 16 === 0xfe80 ? 0xff : first >>> 16 === 0xff02 && last >>> 24 === 255 ? 1 : 0)
  put32(buf, at + 12, last | 0)
}

/** Makes the addresses those of a living connection. */
export function aim6(buf: Uint8Array, ip6: number, c: Connection): void {
  c.remoteAddress.write(buf, ip6 + 8)
  c.localAddress.write(buf, ip6 + 24)
}

/** Puts a header of `bytes` between the IPv6 header and what follows it. */
function insert(s: Specimen, ip6: number, type: number, bytes: readonly number[]): void {
  const { buf } = s
  const at = ip6 + 40
  buf.copyWithin(at + 8, at, s.end)
  s.end += 8
  buf[at] = buf[ip6 + 6]
  for (let i = 0; i < 7; i++) buf[at + 1 + i] = bytes[i]
  buf[ip6 + 6] = type
  put16(buf, ip6 + 4, get16(buf, ip6 + 4) + 8)
}

export function mutateHeader6(s: Specimen, a: Anatomy, dice: Dice): void {
  const { buf } = s
  const { ip6 } = a
  switch (dice.below(10)) {
    case 0:
      buf[ip6 + dice.below(4)] = dice.below(256)
      if (dice.below(4) > 0) buf[ip6] = 0x60 | (buf[ip6] & 15)
      break
    case 1:
      put16(buf, ip6 + 4, dice.below(2) === 0 ? dice.edge() : s.end - ip6 - 40 + dice.below(9) - 4)
      break
    case 2:
      buf[ip6 + 6] = NEXT[dice.below(NEXT.length)]
      break
    case 3:
      buf[ip6 + 7] = HOPS[dice.below(HOPS.length)]
      break
    case 4:
      putAddress(buf, ip6 + 8, dice)
      break
    case 5:
      putAddress(buf, ip6 + 24, dice)
      break
    case 6:
    case 7: {
      const option = OPTIONS[dice.below(OPTIONS.length)]
      insert(s, ip6, [0, 60, 43, 60][dice.below(4)], [dice.below(8) === 0 ? dice.below(256) : 0, ...option])
      break
    }
    default: {
      // One of few datagrams, at neighbouring places.
      const place = dice.below(8) === 0 ? dice.edge() : (dice.below(6) * 24) | (dice.below(4) > 0 ? 1 : 0)
      insert(s, ip6, 44, [0, place >> 8, place & 255, 0, 0, 0, dice.below(4)])
      if (dice.below(2) === 0) s.end = Math.min(s.end, ip6 + 48 + 24 + (dice.below(8) === 0 ? dice.below(16) : 0))
    }
  }
}

export function mutateIcmp6(s: Specimen, a: Anatomy, dice: Dice): void {
  const { buf } = s
  const t = a.transport
  switch (dice.below(9)) {
    case 0:
      buf[t] = TYPES[dice.below(TYPES.length)]
      if (dice.below(2) === 0) buf[a.ip6 + 7] = 255
      break
    case 1:
      buf[t + 1] = dice.below(9)
      break
    case 2:
      put32(buf, t + 4, dice.below(2) === 0 ? dice.edge() : dice.edge() << 16)
      break
    case 3:
    case 4:
      if (t + 24 <= s.end) putAddress(buf, t + 8, dice)
      break
    case 5: // an option of Neighbor Discovery, or what stands there
      if (t + 32 <= s.end) buf[t + 24 + dice.below(2)] = dice.below(40)
      break
    case 6: // the quote of an error
      if (t + 48 <= s.end) buf[t + 8 + [0, 4, 5, 6, 7][dice.below(5)]] = dice.below(256)
      break
    case 7:
      if (t + 48 <= s.end) putAddress(buf, t + 8 + (dice.below(2) === 0 ? 8 : 24), dice)
      break
    default:
      s.end = Math.min(s.end, t + 8 + dice.below(90))
  }
}
