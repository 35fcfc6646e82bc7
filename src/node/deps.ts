/**
 * What the Node shape needs of a stack, and nothing more: the raw shapes of TCP and UDP, the host, and a way from names to
 * addresses. The stack facade implements it; tests give a small fake.
 */
import type { Address } from '../base/address.ts'
import type { Host } from '../base/clock.ts'
import type { RawTcp } from '../tcp/api.ts'
import type { Udp } from '../udp/udp.ts'

/** 0: either family. */
export type LookupFamily = 0 | 4 | 6

/** As `dns.lookup` calls back: one address and its family, or with `all` a list. */
export type LookupCallback = (error: Error | null, found?: string | Found[], family?: number) => void
/** node:dgram gives the family alone. */
export type LookupFunction = (hostname: string, options: LookupOptions | 4 | 6, callback: LookupCallback) => void

/** What a `lookup` function is asked, as Node asks it. */
export interface LookupOptions {
  family?: number
  hints?: number
  all?: boolean
}

export interface Found {
  address: string
  family: number
}

/** What the modules in Node's shape stand on. */
export interface NodeDeps {
  readonly tcp: RawTcp
  readonly udp: Pick<Udp, 'open'>
  readonly host: Host
  /** The stack has IPv6: listening "anywhere" then means `::` for both families, as in Node. */
  readonly hasIpv6: boolean
  /** Servers and datagram sockets that are open: they end with the stack. */
  readonly owned: Set<Owned>
  /** An address as people write it, with a zone for a link-local one (`fe80::1%eth0`). Throws NetError EINVAL for a zone that is not there. */
  literal(text: string): Address
  /** The same the other way round. */
  addressText(a: Address): string
  /** The stack's `dns`: names are looked up by its `lookup`. */
  readonly dns: { lookup: object }
}

/** Taken at each use: an application may have put another in its place, as it may in Node's. */
export function lookupOf(deps: Pick<NodeDeps, 'dns'>): LookupFunction {
  return deps.dns.lookup as LookupFunction
}

export interface Owned {
  /** The stack is closed. */
  end(): void
}

/** What the sockets and servers of one `stack.net` share. */
export interface NetContext {
  readonly deps: NodeDeps
  /** Defaults of `autoSelectFamily` and `autoSelectFamilyAttemptTimeout` (ms). */
  readonly autoSelect: { family: boolean; attemptMs: number }
}
