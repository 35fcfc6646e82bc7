/**
 * What all connections between two addresses share: the addresses themselves, the route, the constant part of the checksum, the offset of
 * the timestamps. A connection keeps one pointer instead of three hundred bytes, and opening one costs a look-up instead of two hashes.
 */
import type { Address } from '../base/address.ts'
import type { Ip } from '../ip/ip.ts'
import { PROTO_TCP } from '../ip/packet.ts'
import { pseudoSum } from '../ip/pseudo-header.ts'
import { type NoRoute, Route } from '../ip/route.ts'
import type { Secrets } from './ports.ts'

/** Paths kept; beyond it all are forgotten (connections keep theirs), so that a scan of random sources costs no memory. */
const MAX_PATHS = 4096

export class Path {
  readonly local: Address
  readonly remote: Address
  readonly isV4: boolean
  readonly route = new Route()
  /** Pseudo-header sum without the length. */
  readonly pseudoSum: number
  /** Added to the clock in timestamps (RFC 7323 section 5.4). */
  readonly tsOffset: number

  constructor(local: Address, remote: Address, secrets: Secrets) {
    this.local = local.clone()
    this.remote = remote.clone()
    this.isV4 = remote.isV4
    this.pseudoSum = pseudoSum(local, remote, PROTO_TCP, 0)
    this.tsOffset = secrets.timestampOffset(local, remote)
  }

  /** Looks the way up if anything changed since it was; says why when there is none (the old one stays in `route`). */
  resolve(ip: Ip): NoRoute | null {
    if (this.route.generation === ip.generation) return null
    const problem = ip.route(this.remote, this.local, null, this.route)
    if (problem !== null) this.route.generation = (ip.generation - 1) | 0
    return problem
  }

  /** The next `resolve` looks it up in any case. */
  doubt(ip: Ip): void {
    this.route.generation = (ip.generation - 1) | 0
  }
}

export class Paths {
  private last: Path | null = null
  private readonly byDigest = new Map<number, Path[]>()
  private size = 0

  constructor(private readonly secrets: Secrets) {}

  get(local: Address, remote: Address): Path {
    const last = this.last
    if (last?.remote.equals(remote) && last.local.equals(local)) return last
    const key = (Math.imul(remote.digest, 31) + local.digest) | 0
    let bucket = this.byDigest.get(key)
    if (bucket !== undefined) {
      for (const path of bucket) {
        if (path.remote.equals(remote) && path.local.equals(local)) {
          this.last = path
          return path
        }
      }
    }
    if (this.size >= MAX_PATHS) {
      this.byDigest.clear()
      this.size = 0
      bucket = undefined
    }
    const path = new Path(local, remote, this.secrets)
    if (bucket === undefined) this.byDigest.set(key, [path])
    else bucket.push(path)
    this.size++
    this.last = path
    return path
  }
}
