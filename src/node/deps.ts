/**
 * What the Node shape needs of a stack, and nothing more: the raw shapes of TCP and UDP, the host, and a way from names to
 * addresses. The stack facade implements it; tests give a small fake.
 */
import { isIP } from 'node:net'
import { Address } from '../base/address.ts'
import type { Host } from '../base/clock.ts'
import { NetError } from '../base/errors.ts'
import type { RawTcp } from '../tcp/api.ts'
import type { Udp } from '../udp/udp.ts'

/** 0: either family. */
export type LookupFamily = 0 | 4 | 6

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
  /** Addresses of a name, best first, at least one; rejects as `dns.lookup` does. Literals are resolved without asking. */
  lookup(hostname: string, family: LookupFamily): Promise<Address[]>
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

/** The error of `dns.lookup` for a name that does not exist. */
export function notFound(hostname: string): NetError & { hostname: string } {
  const error = new NetError('ENOTFOUND', { syscall: 'getaddrinfo', message: `getaddrinfo ENOTFOUND ${hostname}` })
  // getaddrinfo's EAI_NONAME as libuv numbers it; Node has the host's name as a field.
  return Object.assign(error, { errno: -3008, hostname })
}

/** Literals and `localhost` (RFC 6761 section 6.3); everything else is not found. What a stack has before it has a resolver. */
export async function lookupLiteral(
  deps: Pick<NodeDeps, 'literal' | 'hasIpv6'>,
  hostname: string,
  family: LookupFamily,
): Promise<Address[]> {
  if (isIP(hostname) !== 0) {
    const literal = deps.literal(hostname)
    if (family !== 0 && literal.family !== family) throw notFound(hostname)
    return [literal]
  }
  const name = hostname.toLowerCase().replace(/\.$/, '')
  if (name !== 'localhost' && !name.endsWith('.localhost')) throw notFound(hostname)
  const found: Address[] = []
  if (deps.hasIpv6 && family !== 4) found.push(new Address(0, 0, 0, 1))
  if (family !== 6) found.push(Address.v4(0x7f000001))
  if (found.length === 0) throw notFound(hostname)
  return found
}
