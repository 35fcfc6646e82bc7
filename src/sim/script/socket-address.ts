/**
 * Addresses of sockets as scripts write them, `{sa_family = AF_INET6, sin6_port = htons(8080), sin6_addr = inet6_addr("::1")}`. `inet_addr`,
 * `inet6_addr` and `inet_pton(AF_INET6, "...")` mean the same, and so do the names of fields of either family: google's packetdrill has `sin_port`
 * and `sin_addr` for both.
 */
import { type Address, formatIPv6, parseAddress } from '../../base/address.ts'
import type { Expression, Platform } from './ast.ts'
import { fail, skip } from './stop.ts'
import { field, int, isAny } from './values.ts'

export interface SocketAddress {
  isV6: boolean
  /** Null: not said (`...`). */
  port: number | null
  address: Address | null
}

/** Null for `...`: what the runner chooses. */
export function socketAddress(e: Expression | undefined, platform: Platform): SocketAddress | null {
  if (e === undefined || e.kind === 'any') return null
  if (e.kind !== 'struct') return skip(`line ${e.position.line}: the address of a socket is expected`)
  const family = field(e, 'sa_family')?.value
  const name = family?.kind === 'word' ? family.name : ''
  if (name !== 'AF_INET' && name !== 'AF_INET6')
    return skip(`line ${e.position.line}: addresses of ${name || 'no family'} are not played`)
  const either = (what: string): Expression | undefined => (field(e, `sin_${what}`) ?? field(e, `sin6_${what}`))?.value
  const port = either('port')
  const address = either('addr')
  return {
    isV6: name === 'AF_INET6',
    port: port === undefined || isAny(port) ? null : int(port, platform),
    address: address === undefined || isAny(address) ? null : addressOf(address),
  }
}

const CALLS = new Set(['inet_addr', 'inet6_addr', 'inet_pton'])

function addressOf(e: Expression): Address {
  const last = e.kind === 'call' && CALLS.has(e.name) ? e.args.find((a) => a.kind === 'string') : e
  if (last?.kind === 'string') {
    const found = parseAddress(last.value)
    if (found !== null) return found
  }
  return e.kind === 'word' && e.name === 'INADDR_ANY'
    ? parseAddress('0.0.0.0')!
    : fail(`line ${e.position.line}: an address is expected`)
}

/** What is not as the script expects of a peer's address, or null. */
export function addressFault(wanted: SocketAddress | null, isV6: boolean, address: Address, port: number): string | null {
  if (wanted === null) return null
  // A socket of IPv6 knows peers of IPv4 by their mapped addresses (RFC 3493 section 3.7).
  const told = isV6 ? formatIPv6(address) : address.toString()
  const expected = wanted.address === null ? told : wanted.isV6 ? formatIPv6(wanted.address) : wanted.address.toString()
  if (wanted.isV6 !== isV6 || expected !== told) return `address: expected ${expected}, got ${told}`
  return wanted.port === null || wanted.port === port ? null : `port: expected ${wanted.port}, got ${port}`
}
