/**
 * DNS cookies (RFC 7873) as RFC 9018 makes them: who shows one that we gave to his address is where he says, and is neither limited nor cut short. The server
 * remembers nothing: a cookie is its time and a keyed hash of that, of the client's part and of the address.
 */
import type { Address } from '../../base/address.ts'
import { equalBytes, get32, put32 } from '../../base/bytes.ts'
import type { Host } from '../../base/clock.ts'
import { invalidArgument } from '../../base/errors.ts'
import type { Random } from '../../base/random.ts'
import { SipHash } from '../../base/siphash.ts'

/** RFC 7873 section 4. */
export const OPTION_COOKIE = 10
const CLIENT = 8
const SERVER = 16
const VERSION = 1
/** RFC 9018 section 4.3: a cookie is good for an hour, from five minutes in the future on, and replaced after half an hour. */
const MAX_AGE_S = 3600
const MAX_AHEAD_S = 300

export class Cookies {
  private readonly hash: SipHash

  /** `secret`: 16 bytes in hexadecimal, the same on all servers behind one address; a random one when left out. Throws ERR_INVALID_ARG_VALUE. */
  constructor(
    private readonly host: Host,
    random: Random,
    secret?: string,
  ) {
    if (secret !== undefined && !/^[0-9a-f]{32}$/i.test(secret))
      throw invalidArgument('option cookieSecret: 32 hexadecimal digits are expected')
    const words = secret?.match(/.{8}/g)?.map((word) => swapped(Number.parseInt(word, 16)))
    this.hash = new SipHash(words === undefined ? random : Int32Array.from(words))
  }

  /** RFC 7873 section 5.2: `none` is a client's first, or one of others; `malformed` has a length that none has. */
  judge(option: Uint8Array, client: Address): 'good' | 'none' | 'malformed' {
    const n = option.length
    if (n !== CLIENT && (n < CLIENT + 8 || n > CLIENT + 32)) return 'malformed'
    if (n !== CLIENT + SERVER || option[CLIENT] !== VERSION) return 'none'
    const seconds = get32(option, CLIENT + 4)
    const age = (this.now - seconds) | 0
    const mine = this.make(option, client, seconds, get32(option, CLIENT) & 0xffffff)
    return age <= MAX_AGE_S && age >= -MAX_AHEAD_S && equalBytes(mine, 0, option, 0, CLIENT + SERVER) ? 'good' : 'none'
  }

  /** The whole cookie to answer with: the client's part, and ours for this address. `reserved`: 24 bits, of no meaning yet (RFC 9018 section 4.2). */
  make(option: Uint8Array, client: Address, seconds = this.now, reserved = 0): Uint8Array {
    const out = new Uint8Array(CLIENT + SERVER)
    out.set(option.subarray(0, CLIENT))
    put32(out, CLIENT, (VERSION << 24) | reserved)
    put32(out, CLIENT + 4, seconds)
    const { hash } = this
    hash.begin()
    for (let at = 0; at < CLIENT + 8; at += 4) hash.word(swapped(get32(out, at)))
    if (!client.isV4) hash.word(swapped(client.w0)).word(swapped(client.w1)).word(swapped(client.w2))
    hash.word(swapped(client.w3))
    put32(out, CLIENT + 8, swapped(hash.end()))
    put32(out, CLIENT + 12, swapped(hash.high))
    return out
  }

  /** Seconds since 1970, of 32 bits that go round (RFC 9018 section 4.3). */
  private get now(): number {
    return Number(this.host.wallNs() / 1_000_000_000n) | 0
  }
}

/** The hash takes words as they stand in memory of most processors. */
function swapped(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
}
