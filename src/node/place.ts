/**
 * Addresses as Node shows them: `{ address, family, port }`.
 */
import { isIP } from 'node:net'
import { type Address, ANY, ANY_V4, formatIPv4 } from '../base/address.ts'
import { badAddress } from './errors.ts'

export interface Place {
  address: string
  family: 'IPv4' | 'IPv6'
  port: number
}

/** How the stack writes an address. */
export interface AddressTexts {
  addressText(a: Address): string
}

/** `mapped`: the socket is one of both families, where an IPv4 address shows as `::ffff:10.0.0.1`. */
export function place(texts: AddressTexts, a: Address, port: number, mapped: boolean): Place {
  if (a.isUnspecified && mapped) return { address: '::', family: 'IPv6', port }
  if (a.isV4 && mapped) return { address: `::ffff:${formatIPv4(a.w3)}`, family: 'IPv6', port }
  return { address: texts.addressText(a), family: a.isV4 ? 'IPv4' : 'IPv6', port }
}

/** An address literal, as `isIP` understands it. ERR_INVALID_IP_ADDRESS; EINVAL for a zone that the stack does not have. */
export function literal(deps: { literal(text: string): Address }, text: string): Address {
  if (isIP(text) === 0) throw badAddress(text)
  return deps.literal(text)
}

export function anyOf(family: 4 | 6): Address {
  return family === 4 ? ANY_V4 : ANY
}
