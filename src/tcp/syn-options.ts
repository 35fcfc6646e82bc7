/**
 * The options of SYN and SYN-ACK, in an order that is data: `tcp.synOptions`, because every kernel has its own, and fingerprints and scripts know
 * them by it.
 *
 * An order is a list of units, separated by `|`, each some words: `mss`, `sackOK`, `TS`, `wscale`, `FO` (Fast Open's cookie), `ECN` (RFC 9768's counters), and `nop`, which is
 * padding. A unit is written if every option in it is wanted and none was written yet, so alternatives stand one after the other:
 *
 *   sackOK TS | nop nop TS | nop nop sackOK        together, or either alone with padding before it
 *
 * The last word may be `nop*` or `eol*`: with what the end is filled up to a multiple of four. A unit that no longer fits is left out: the
 * 40 bytes of options are few (RFC 9293 section 3.1), and the cookie, which comes last, is the largest.
 *
 * Linux:   mss | sackOK TS | nop nop TS | ECN nop | nop nop sackOK | nop wscale | FO | nop*
 * FreeBSD: mss | nop wscale | sackOK TS | nop nop TS | sackOK | FO | eol*
 */
import { put16, put32 } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import { ACCECN_FULL, writeInitialCounters } from './accecn-option.ts'
import type { Bare } from './output.ts'
import {
  OPT_END,
  OPT_EXPERIMENTAL,
  OPT_EXPERIMENTAL_FAST_OPEN_LENGTH,
  OPT_FAST_OPEN,
  OPT_FAST_OPEN_LENGTH,
  OPT_FAST_OPEN_MAGIC,
  OPT_MSS,
  OPT_MSS_LENGTH,
  OPT_NOP,
  OPT_SACK_PERMITTED,
  OPT_SACK_PERMITTED_LENGTH,
  OPT_TIMESTAMPS,
  OPT_TIMESTAMPS_LENGTH,
  OPT_WINDOW_SCALE,
  OPT_WINDOW_SCALE_LENGTH,
  OPTION_SPACE,
} from './wire.ts'

/** Words as bits; NOP is none. */
const NOP = 0
const MSS = 1
const SACK_OK = 2
const TS = 4
const WSCALE = 8
const FO = 16
const ECN = 32

const WORDS: Readonly<Record<string, number>> = { nop: NOP, mss: MSS, sackOK: SACK_OK, TS, wscale: WSCALE, FO, ECN }
/** What every order must have a place for. */
const NEEDED = MSS | SACK_OK | TS | WSCALE | FO

interface Unit {
  /** Bits of the options in it. */
  readonly options: number
  readonly words: readonly number[]
}

/** The options of a common SYN, and where in them lies what changes; -1: it is not among them. */
class Layout {
  mssAt = -1
  tsAt = -1
  scaleAt = -1

  constructor(readonly bytes: Uint8Array) {
    for (let i = 0; i < bytes.length; ) {
      const kind = bytes[i]
      if (kind === OPT_MSS) this.mssAt = i + 2
      else if (kind === OPT_TIMESTAMPS) this.tsAt = i + 2
      else if (kind === OPT_WINDOW_SCALE) this.scaleAt = i + 2
      i += kind === OPT_NOP || kind === OPT_END ? 1 : bytes[i + 1]
    }
  }

  write(to: Uint8Array, b: Bare): number {
    const { bytes, mssAt, tsAt, scaleAt } = this
    for (let i = 0; i < bytes.length; i++) to[i] = bytes[i]
    if (mssAt > 0) put16(to, mssAt, b.mss)
    if (scaleAt > 0) to[scaleAt] = b.windowScale
    if (tsAt > 0) {
      put32(to, tsAt, b.tsVal)
      put32(to, tsAt + 4, b.tsEcr)
    }
    return bytes.length
  }
}

export class SynOptions {
  /** What `write` wrote. */
  readonly bytes = new Uint8Array(OPTION_SPACE)
  private readonly units: readonly Unit[]
  private readonly filler: number
  /** By what is wanted, made when it is wanted for the first time: nearly all SYNs of a stack want the same. */
  private readonly layouts: (Layout | null)[] = []

  /** Throws ERR_INVALID_ARG_VALUE for what is no order. */
  constructor(order: string) {
    const units: Unit[] = []
    let filler = OPT_NOP
    let seen = 0
    for (const text of order.split('|')) {
      const names = text.trim().split(/\s+/)
      if (names.length === 1 && (names[0] === 'nop*' || names[0] === 'eol*')) {
        filler = names[0] === 'nop*' ? OPT_NOP : OPT_END
        continue
      }
      const words = names.map((name) => {
        if (!Object.hasOwn(WORDS, name)) throw invalidArgument(`option tcp.synOptions: ${name} is no word for an option of a SYN`)
        return WORDS[name]
      })
      const options = words.reduce((bits, word) => bits | word, 0)
      if (options === 0) throw invalidArgument('option tcp.synOptions: padding alone is no unit')
      seen |= options
      units.push({ options, words })
    }
    if ((seen & NEEDED) !== NEEDED) throw invalidArgument(`option tcp.synOptions leaves an option without a place: ${order}`)
    this.units = units
    this.filler = filler
    for (let wanted = 0; wanted < FO; wanted++) this.layouts.push(null)
  }

  /** Writes the options of a SYN to `bytes`, at most `room` of them, and returns how many: a multiple of four. */
  write(b: Bare, room = OPTION_SPACE): number {
    let wanted = 0
    if (b.mss > 0) wanted |= MSS
    if (b.sackPermitted) wanted |= SACK_OK
    if (b.hasTimestamps) wanted |= TS
    if (b.windowScale >= 0) wanted |= WSCALE
    if (b.cookieLength >= 0) wanted |= FO
    // Its counters are known to be at their beginning; the cookie is not.
    else if (b.hasAccEcn) wanted |= ECN
    if (wanted >= FO || room < OPTION_SPACE) return this.arrange(wanted, b, room)
    const known = this.layouts[wanted]
    if (known !== null) return known.write(this.bytes, b)
    const n = this.arrange(wanted, b, room)
    this.layouts[wanted] = new Layout(this.bytes.slice(0, n))
    return n
  }

  private arrange(all: number, b: Bare, room: number): number {
    let wanted = all
    const { units, bytes } = this
    let n = 0
    for (let i = 0; i < units.length && wanted !== 0; i++) {
      const { options, words } = units[i]
      if ((options & wanted) !== options) continue
      let length = 0
      for (let k = 0; k < words.length; k++) length += lengthOf(words[k], b)
      if (n + length > room) continue
      wanted &= ~options
      for (let k = 0; k < words.length; k++) n = this.put(words[k], n, b)
    }
    while ((n & 3) !== 0) bytes[n++] = this.filler
    return n
  }

  private put(word: number, at: number, b: Bare): number {
    const { bytes } = this
    switch (word) {
      case MSS:
        put16(bytes, at, (OPT_MSS << 8) | OPT_MSS_LENGTH)
        put16(bytes, at + 2, b.mss)
        break
      case SACK_OK:
        put16(bytes, at, (OPT_SACK_PERMITTED << 8) | OPT_SACK_PERMITTED_LENGTH)
        break
      case TS:
        put16(bytes, at, (OPT_TIMESTAMPS << 8) | OPT_TIMESTAMPS_LENGTH)
        put32(bytes, at + 2, b.tsVal)
        put32(bytes, at + 6, b.tsEcr)
        break
      case WSCALE:
        put16(bytes, at, (OPT_WINDOW_SCALE << 8) | OPT_WINDOW_SCALE_LENGTH)
        bytes[at + 2] = b.windowScale
        break
      case FO:
        putCookie(bytes, at, b)
        break
      case ECN:
        writeInitialCounters(bytes, at)
        break
      default:
        bytes[at] = OPT_NOP
    }
    return at + lengthOf(word, b)
  }
}

function lengthOf(word: number, b: Bare): number {
  switch (word) {
    case MSS:
      return OPT_MSS_LENGTH
    case SACK_OK:
      return OPT_SACK_PERMITTED_LENGTH
    case TS:
      return OPT_TIMESTAMPS_LENGTH
    case WSCALE:
      return OPT_WINDOW_SCALE_LENGTH
    case FO:
      return (b.cookieExperimental ? OPT_EXPERIMENTAL_FAST_OPEN_LENGTH : OPT_FAST_OPEN_LENGTH) + b.cookieLength
    case ECN:
      return ACCECN_FULL
    default:
      return 1
  }
}

/** RFC 7413 section 4.1.1; the experimental form of before it had a number (RFC 6994, magic F989), which old peers still speak. */
function putCookie(bytes: Uint8Array, at: number, b: Bare): void {
  let o = at
  if (b.cookieExperimental) {
    bytes[o] = OPT_EXPERIMENTAL
    bytes[o + 1] = OPT_EXPERIMENTAL_FAST_OPEN_LENGTH + b.cookieLength
    put16(bytes, o + 2, OPT_FAST_OPEN_MAGIC)
    o += OPT_EXPERIMENTAL_FAST_OPEN_LENGTH
  } else {
    bytes[o] = OPT_FAST_OPEN
    bytes[o + 1] = OPT_FAST_OPEN_LENGTH + b.cookieLength
    o += OPT_FAST_OPEN_LENGTH
  }
  for (let i = 0; i < b.cookieLength; i++) bytes[o + i] = b.cookie[i]
}
