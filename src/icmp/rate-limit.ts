/**
 * How many ICMP errors may leave (RFC 1812 section 4.3.2.8): a token bucket for all, and one per destination.
 *
 * Destinations share a fixed number of buckets by keyed hash: no memory per stranger, and nobody can aim at another's bucket. The
 * bucket for all takes a random 0, 1 or 2 tokens per message, one on average: with an exact count a stranger who exhausts it can see
 * from his own answers whether a forged probe drew one ("SAD DNS", CVE-2020-25705). The destination is asked first, so that one
 * who is over his limit does not use up what is for all.
 */
import type { Address } from '../base/address.ts'
import type { IcmpConfig } from '../base/config.ts'
import { type Random, randomBelow } from '../base/random.ts'
import { HalfSipHash } from '../base/siphash.ts'

const HOSTS = 256
/** One message, in the unit of the buckets: rates are per second and time is in milliseconds. */
const ONE = 1000

export const Verdict = { SEND: 0, HOST_LIMIT: 1, GLOBAL_LIMIT: 2 } as const

export class RateLimit {
  private readonly hash: HalfSipHash
  private credit: number
  private stamp: number
  private readonly hostCredit: Int32Array
  private readonly hostStamp: Int32Array

  /** @param now wrapping ms: the buckets are full then. */
  constructor(
    private readonly config: IcmpConfig,
    private readonly random: Random,
    now: number,
  ) {
    this.hash = new HalfSipHash(random)
    this.credit = config.errorsBurst * ONE
    this.stamp = now
    this.hostCredit = new Int32Array(HOSTS).fill(config.errorsPerSecondPerHost * ONE)
    this.hostStamp = new Int32Array(HOSTS).fill(now)
  }

  /** May an error go to `host` now? SEND also takes the tokens. */
  ask(host: Address, now: number): number {
    const perHost = this.config.errorsPerSecondPerHost
    const i = this.hash.hash4(host.w3, host.w2, host.w1, host.w0) & (HOSTS - 1)
    // A second's worth is the burst: a host may draw all of it at once.
    const hostCredit = refilled(this.hostCredit[i], perHost, perHost, (now - this.hostStamp[i]) | 0)
    this.hostCredit[i] = hostCredit
    this.hostStamp[i] = now
    if (hostCredit < ONE) return Verdict.HOST_LIMIT
    this.credit = refilled(this.credit, this.config.errorsPerSecond, this.config.errorsBurst, (now - this.stamp) | 0)
    this.stamp = now
    if (this.credit < ONE) return Verdict.GLOBAL_LIMIT
    // Below zero too: cut off there, two tokens would cost what one does, and a flood would get half as many again.
    this.credit -= randomBelow(this.random, 3) * ONE
    this.hostCredit[i] = hostCredit - ONE
    return Verdict.SEND
  }
}

/** A bucket after `elapsed` ms. A negative time means that the clock went half way round since: long enough to be full. */
function refilled(credit: number, perSecond: number, burst: number, elapsed: number): number {
  const full = burst * ONE
  if (elapsed < 0) return full
  return Math.min(full, credit + elapsed * perSecond)
}
