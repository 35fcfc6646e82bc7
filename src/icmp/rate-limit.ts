/**
 * How many ICMP errors may leave (RFC 1812 section 4.3.2.8): a token bucket for all, and one per destination.
 *
 * The bucket for all takes a random 0, 1 or 2 tokens per message, one on average: with an exact count a stranger who exhausts it can see
 * from his own answers whether a forged probe drew one ("SAD DNS", CVE-2020-25705). The destination is asked first, so that one
 * who is over his limit does not use up what is for all.
 */
import type { Address } from '../base/address.ts'
import type { IcmpConfig } from '../base/config.ts'
import { HostBuckets, ONE_TOKEN, refilled } from '../base/host-buckets.ts'
import { type Random, randomBelow } from '../base/random.ts'

export const Verdict = { SEND: 0, HOST_LIMIT: 1, GLOBAL_LIMIT: 2 } as const

export class RateLimit {
  private readonly hosts: HostBuckets
  private credit: number
  private stamp: number

  /** @param now wrapping ms: the buckets are full then. */
  constructor(
    private readonly config: IcmpConfig,
    private readonly random: Random,
    now: number,
  ) {
    this.hosts = new HostBuckets(config.errorsPerSecondPerHost, random, now)
    this.credit = config.errorsBurst * ONE_TOKEN
    this.stamp = now
  }

  /** May an error go to `host` now? SEND also takes the tokens. */
  ask(host: Address, now: number): number {
    const bucket = this.hosts.find(host, now)
    if (bucket < 0) return Verdict.HOST_LIMIT
    this.credit = refilled(this.credit, this.config.errorsPerSecond, this.config.errorsBurst, (now - this.stamp) | 0)
    this.stamp = now
    if (this.credit < ONE_TOKEN) return Verdict.GLOBAL_LIMIT
    // Below zero too: cut off there, two tokens would cost what one does, and a flood would get half as many again.
    this.credit -= randomBelow(this.random, 3) * ONE_TOKEN
    this.hosts.take(bucket)
    return Verdict.SEND
  }
}
