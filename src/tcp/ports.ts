/**
 * Ephemeral ports (RFC 6056 algorithm 4, double-hash port selection) and initial sequence numbers and timestamp offsets (RFC 6528,
 * RFC 7323 section 5.4): all keyed hashes of the addresses with a secret of this stack.
 */
import type { Address } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { SipHash } from '../base/siphash.ts'

const TABLE = 256

export class Secrets {
  private readonly isnHash: SipHash
  private readonly portHash: SipHash
  private readonly timestampHash: SipHash
  /** Counters of the second hash of RFC 6056 section 3.3.4. */
  private readonly table = new Uint16Array(TABLE)

  constructor(random: Random) {
    this.isnHash = new SipHash(random)
    this.portHash = new SipHash(random)
    this.timestampHash = new SipHash(random)
    for (let i = 0; i < TABLE; i++) this.table[i] = random.int32()
  }

  /**
   * ISN = M + F(addresses, ports, secret), M ticking every 4 us (RFC 9293 section 3.4.1). Made from the millisecond clock: 250 ticks each,
   * continuous also where that clock wraps, which a quarter of the microsecond clock is not.
   */
  isn(local: Address, localPort: number, remote: Address, remotePort: number, clock: Clock): number {
    const f = words(this.isnHash.begin(), local, remote)
      .word((localPort << 16) | remotePort)
      .end()
    return (f + Math.imul(clock.nowMs, 250)) | 0
  }

  /** What is added to the clock in timestamps: the same for all connections between two addresses, so that PAWS works across them. */
  timestampOffset(local: Address, remote: Address): number {
    return words(this.timestampHash.begin(), local, remote).end()
  }

  /** A port in [first, last] that `isFree` likes, or 0 when there is none. */
  pickPort(
    local: Address,
    remote: Address,
    remotePort: number,
    first: number,
    last: number,
    isFree: (port: number) => boolean,
  ): number {
    const range = last - first + 1
    const h = words(this.portHash.begin(), local, remote).word(remotePort)
    const offset = h.end() >>> 0
    const index = h.high & (TABLE - 1)
    const next = this.table[index]
    for (let tries = 0; tries < range; tries++) {
      // The sum is no int32, and its remainder a double: the connection would keep it in a box of its own.
      const port = (first + ((offset + next + tries) % range)) | 0
      if (!isFree(port)) continue
      this.table[index] = next + tries + 1
      return port
    }
    return 0
  }
}

/** Two addresses, by as many words as they need: fewer words are fewer rounds, and their number is a part of the digest. */
export function words(h: SipHash, local: Address, remote: Address): SipHash {
  if (local.isV4 && remote.isV4) return h.word(local.w3).word(remote.w3)
  return h
    .word(local.w0)
    .word(local.w1)
    .word(local.w2)
    .word(local.w3)
    .word(remote.w0)
    .word(remote.w1)
    .word(remote.w2)
    .word(remote.w3)
}
