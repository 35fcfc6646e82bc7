/**
 * The server's cookies of TCP Fast Open (RFC 7413 section 4.1.2): a keyed hash of both addresses, so that nothing is kept of a client, and one that
 * holds a cookie has proved that it receives at its address. The first key makes cookies; those of the others are still accepted, so
 * that keys can be changed while clients hold old ones.
 *
 * The cookie is what Linux makes of the same key, SipHash-2-4 of source and destination as they stand in the packet: servers behind one
 * address may share a key whatever their system.
 */
import type { Address } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { SipHash } from '../base/siphash.ts'

export const COOKIE_BYTES = 8
/** What a wrong cookie may cost: a hash for each key. */
const MAX_KEYS = 8

/** Whose cookie it is. */
export const CookieKey = { NONE: 0, FIRST: 1, OTHER: 2 } as const

export class FastOpenKeys {
  /** The last that was made. */
  readonly cookie = new Uint8Array(COOKIE_BYTES)
  private readonly hashes: readonly SipHash[]

  constructor(
    /** As `checkKeys` allows them; none: a key by chance. */
    readonly keys: readonly string[],
    random: Random,
  ) {
    this.hashes = keys.length === 0 ? [new SipHash(random)] : keys.map((key) => new SipHash(parseKey(key)!))
  }

  /** Makes the cookie of a client, in `cookie`. */
  make(client: Address, server: Address): void {
    this.compute(this.hashes[0], client, server)
  }

  /** Whose the cookie at `buf[at]` is, one of `CookieKey`. `cookie` holds the first key's afterwards. */
  check(client: Address, server: Address, buf: Uint8Array, at: number, length: number): number {
    let found: number = CookieKey.NONE
    for (let i = this.hashes.length - 1; i >= 0; i--) {
      this.compute(this.hashes[i], client, server)
      let different = length ^ COOKIE_BYTES
      for (let k = 0; k < COOKIE_BYTES && k < length; k++) different |= this.cookie[k] ^ buf[at + k]
      if (different === 0) found = i === 0 ? CookieKey.FIRST : CookieKey.OTHER
    }
    return found
  }

  private compute(hash: SipHash, client: Address, server: Address): void {
    hash.begin()
    feed(hash, client)
    feed(hash, server)
    const low = hash.end()
    const { cookie } = this
    for (let i = 0; i < 4; i++) {
      cookie[i] = low >>> (8 * i)
      cookie[4 + i] = hash.high >>> (8 * i)
    }
  }
}

/**
 * Throws ERR_INVALID_ARG_VALUE for what are no keys: each 32 hexadecimal digits, or four groups with dashes, from which Linux lets leading
 * zeros be left out.
 */
export function checkKeys(keys: unknown): void {
  if (!Array.isArray(keys) || keys.length > MAX_KEYS || keys.some((key) => typeof key !== 'string' || parseKey(key) === null))
    throw invalidArgument(`fastOpenKeys must be a list of at most ${MAX_KEYS} strings of 32 hexadecimal digits`)
}

function parseKey(text: string): Int32Array | null {
  const m =
    /^([0-9a-f]{8})([0-9a-f]{8})([0-9a-f]{8})([0-9a-f]{8})$/i.exec(text) ??
    /^([0-9a-f]{1,8})-([0-9a-f]{1,8})-([0-9a-f]{1,8})-([0-9a-f]{1,8})$/i.exec(text)
  return m === null ? null : Int32Array.from(m.slice(1), (word) => Number.parseInt(word, 16) | 0)
}

/** The address in network order, as little-endian words. */
function feed(hash: SipHash, a: Address): void {
  if (!a.isV4) hash.word(swap(a.w0)).word(swap(a.w1)).word(swap(a.w2))
  hash.word(swap(a.w3))
}

function swap(w: number): number {
  return (w << 24) | ((w & 0xff00) << 8) | ((w >>> 8) & 0xff00) | (w >>> 24)
}
