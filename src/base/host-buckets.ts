/**
 * Token buckets by address, in fixed memory: hosts share a number of buckets by keyed hash, so that strangers cost nothing and nobody can aim at
 * another's bucket.
 */
import type { Address } from './address.ts'
import type { Random } from './random.ts'
import { HalfSipHash } from './siphash.ts'

const HOSTS = 256
/** One token, in the unit of the buckets: rates are per second and time is in milliseconds. */
export const ONE_TOKEN = 1000

export class HostBuckets {
  private readonly hash: HalfSipHash
  private readonly credit: Int32Array
  private readonly stamp: Int32Array

  /** A second's worth is the burst: a host may draw all of it at once. @param now wrapping ms: the buckets are full then. */
  constructor(
    private readonly perSecond: number,
    random: Random,
    now: number,
  ) {
    this.hash = new HalfSipHash(random)
    this.credit = new Int32Array(HOSTS).fill(perSecond * ONE_TOKEN)
    this.stamp = new Int32Array(HOSTS).fill(now)
  }

  /** The bucket of a host, brought up to date; -1: it has no token. */
  find(host: Address, now: number): number {
    const i = this.hash.hash4(host.w3, host.w2, host.w1, host.w0) & (HOSTS - 1)
    this.credit[i] = refilled(this.credit[i], this.perSecond, this.perSecond, (now - this.stamp[i]) | 0)
    this.stamp[i] = now
    return this.credit[i] < ONE_TOKEN ? -1 : i
  }

  /** Takes a token from the bucket that `find` gave. */
  take(bucket: number): void {
    this.credit[bucket] -= ONE_TOKEN
  }
}

/** A bucket after `elapsed` ms. A negative time means that the clock went half way round since: long enough to be full. */
export function refilled(credit: number, perSecond: number, burst: number, elapsed: number): number {
  const full = burst * ONE_TOKEN
  if (elapsed < 0) return full
  return Math.min(full, credit + elapsed * perSecond)
}
