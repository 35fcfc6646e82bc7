/** DNS servers and search domains that routers announce (RFC 8106), with their lifetimes: kept for whoever resolves names. */
import { Address } from '../base/address.ts'
import type { RouterConfig } from '../base/router-config.ts'
import type { Interface } from '../ip/interface.ts'
import { readLifetime } from './lifetimes.ts'
import { RC } from './router-counters.ts'
import { ND_DNS, ND_DNS_LENGTH, ND_OPTION } from './wire.ts'

const LABEL = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/
/** Of a name on the wire, its last zero included (RFC 1035 section 2.3.4). */
const MAX_NAME = 255

interface Entry<T> {
  readonly value: T
  expires: number
}

export class DnsList {
  private servers: Entry<Address>[] = []
  private domains: Entry<string>[] = []

  constructor(
    private readonly iface: Interface,
    private readonly config: RouterConfig,
    /** Of ROUTER_COUNTERS. */
    private readonly counts: Float64Array,
  ) {}

  /** In the order in which they were announced first. */
  get nameservers(): Address[] {
    return this.servers.map((e) => e.value)
  }

  get searchDomains(): string[] {
    return this.domains.map((e) => e.value)
  }

  /** The RDNSS option at `buf[at]`: as many addresses as fit in its length. */
  rdnss(buf: Uint8Array, at: number, now: number): void {
    const expires = now + readLifetime(buf, at + ND_DNS.lifetime)
    const end = at + (buf[at + ND_OPTION.length] << 3)
    for (let i = at + ND_DNS_LENGTH; i + 16 <= end; i += 16) {
      const address = new Address().read(buf, i)
      if (address.isMulticast || address.isUnspecified || address.isLoopback || address.isV4) {
        this.counts[RC.dropNameserver]++
        continue
      }
      if (address.isLinkLocal) address.zone = this.iface.index
      const isSame = (other: Address): boolean => other.equals(address)
      if (!keep(this.servers, address, isSame, expires, now, this.config.maxNameservers)) this.counts[RC.dropNameserverLimit]++
    }
  }

  /** The DNSSL option at `buf[at]`: names one behind the other, and zeros to fill up. */
  dnssl(buf: Uint8Array, at: number, now: number): void {
    const expires = now + readLifetime(buf, at + ND_DNS.lifetime)
    const end = at + (buf[at + ND_OPTION.length] << 3)
    let i = at + ND_DNS_LENGTH
    while (i < end && buf[i] !== 0) {
      const start = i
      const labels: string[] = []
      while (i < end && buf[i] !== 0) {
        const length = buf[i]
        // A label that does not end in the option, or a pointer (RFC 8106 section 5.2: names are not compressed).
        if (length > 63 || i + 1 + length >= end) {
          this.counts[RC.dropSearchDomain]++
          return
        }
        let label = ''
        for (let j = i + 1; j <= i + length; j++) label += String.fromCharCode(buf[j])
        labels.push(label.toLowerCase())
        i += 1 + length
      }
      i++ // the root
      if (i > end || i - start > MAX_NAME || !labels.every((label) => LABEL.test(label))) {
        this.counts[RC.dropSearchDomain]++
        continue
      }
      const name = labels.join('.')
      const isSame = (other: string): boolean => other === name
      if (!keep(this.domains, name, isSame, expires, now, this.config.maxSearchDomains)) this.counts[RC.dropSearchDomainLimit]++
    }
  }

  elapse(now: number): void {
    this.servers = this.servers.filter((e) => e.expires > now)
    this.domains = this.domains.filter((e) => e.expires > now)
  }

  get next(): number {
    return [...this.servers, ...this.domains].reduce((least, e) => Math.min(least, e.expires), Number.POSITIVE_INFINITY)
  }
}

/**
 * False: there is no room. RFC 8106 section 6.1 would let the one go that expires first; a forger could push out everybody's then, so who
 * came first stays.
 */
function keep<T>(
  list: Entry<T>[],
  value: T,
  isSame: (other: T) => boolean,
  expires: number,
  now: number,
  limit: number,
): boolean {
  const at = list.findIndex((e) => isSame(e.value))
  if (expires <= now) {
    if (at >= 0) list.splice(at, 1)
  } else if (at >= 0) list[at].expires = expires
  else if (list.length >= limit) return false
  else list.push({ value, expires })
  return true
}
