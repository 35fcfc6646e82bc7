/**
 * The calls of node:dns as promises; dns.ts gives them their callbacks. What they check, and how what goes wrong is worded, is Node's.
 */
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { type Address, Address as IpAddress } from '../base/address.ts'
import { lookupError, type NameError, queryError } from '../dns/errors.ts'
import { lookup } from '../dns/lookup.ts'
import type { Outcome } from '../dns/outcome.ts'
import { isType } from '../dns/records.ts'
import type { Resolver } from '../dns/resolver.ts'
import { reverseName } from '../dns/reverse.ts'
import { QUERIES, type Query, type QueryName } from './dns-shapes.ts'
import { badType, badValue, checkBoolean, checkNumber, checkPort, checkString } from './errors.ts'
import { serviceName } from './service-names.ts'

export const ADDRCONFIG = 0x20
export const ALL = 0x10
export const V4MAPPED = 0x08

export const ORDERS = ['verbatim', 'ipv4first', 'ipv6first'] as const
export type ResultOrder = (typeof ORDERS)[number]

export interface LookupCall {
  family: 0 | 4 | 6
  hints: number
  all: boolean
  order: ResultOrder
}

export interface LookupAddress {
  address: string
  family: number
}

/** Names may have any letters (RFC 3490); servers know ASCII alone. */
export function ascii(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the question is what is not ASCII
  return /^[\x00-\x7f]*$/.test(name) ? name : domainToASCII(name) || name
}

/** Node shows `errno` on errors of questions, too: undefined. */
function queryFailed(syscall: string, name: string, outcome: Pick<Outcome, 'code' | 'why'>): NameError {
  return Object.assign(queryError(syscall, name, outcome), { errno: undefined })
}

/** Checks what `lookup` was given. Throws as Node throws. */
export function lookupCall(hostname: unknown, options: unknown, order: ResultOrder): LookupCall {
  const call: LookupCall = { family: 0, hints: 0, all: false, order }
  if (hostname) checkString(hostname, 'hostname')
  if (typeof options === 'number') {
    call.family = familyOf(options, 'family')
    return call
  }
  if (options === undefined || options === null) return call
  if (typeof options !== 'object') throw badType('options', 'of type object or integer', options)
  const given = options as { family?: unknown; hints?: unknown; all?: unknown; verbatim?: unknown; order?: unknown }
  if (given.hints !== undefined && given.hints !== null) {
    checkNumber(given.hints, 'options.hints')
    call.hints = given.hints >>> 0
    if ((call.hints & ~(ADDRCONFIG | ALL | V4MAPPED)) !== 0) throw badValue('hints', 'is invalid', call.hints)
  }
  if (given.family !== undefined && given.family !== null) call.family = familyOf(given.family, 'options.family')
  if (given.all !== undefined && given.all !== null) {
    checkBoolean(given.all, 'options.all')
    call.all = given.all
  }
  if (given.verbatim !== undefined && given.verbatim !== null) {
    checkBoolean(given.verbatim, 'options.verbatim')
    call.order = given.verbatim ? 'verbatim' : 'ipv4first'
  }
  if (given.order !== undefined && given.order !== null) call.order = checkOrder(given.order, 'options.order')
  return call
}

function familyOf(value: unknown, name: string): 0 | 4 | 6 {
  if (value === 'IPv4') return 4
  if (value === 'IPv6') return 6
  if (value !== 0 && value !== 4 && value !== 6) {
    throw badValue(name, 'must be one of: 0, 4, 6', value)
  }
  return value
}

export function checkOrder(value: unknown, name: string): ResultOrder {
  if (!ORDERS.includes(value as ResultOrder)) {
    throw badValue(name, `must be one of: ${ORDERS.map((o) => `'${o}'`).join(', ')}`, value)
  }
  return value as ResultOrder
}

/** Addresses of a name, at least one. Rejects with ENOTFOUND, EAI_AGAIN. */
export async function lookupCalled(
  resolver: Resolver,
  hostname: string,
  call: LookupCall,
  addressText: (a: Address) => string,
): Promise<LookupAddress[]> {
  const family = isIP(hostname)
  if (family !== 0) return [{ address: hostname, family }]
  const configuredOnly = (call.hints & ADDRCONFIG) !== 0
  const mapped = call.family === 6 && (call.hints & V4MAPPED) !== 0
  const name = ascii(hostname)
  const result = await lookup(resolver, name, { family: mapped ? 0 : call.family, configuredOnly })
  if (result.code !== '') throw lookupError(hostname, result)
  let found = result.addresses.map((a) => ({ address: addressText(a), family: a.family as number }))
  if (mapped) {
    const six = found.filter((one) => one.family === 6)
    const four = found.filter((one) => one.family === 4).map((one) => ({ address: `::ffff:${one.address}`, family: 6 }))
    found = six.length === 0 ? four : (call.hints & ALL) !== 0 ? [...six, ...four] : six
  }
  if (call.order === 'verbatim') return found
  const first = call.order === 'ipv4first' ? 4 : 6
  return [...found.filter((one) => one.family === first), ...found.filter((one) => one.family !== first)]
}

/** The name of an address and that of a port. Rejects with ENOTFOUND. */
export async function lookupServiceCalled(
  resolver: Resolver,
  literal: (text: string) => Address,
  text: string,
  port: number,
): Promise<{ hostname: string; service: string }> {
  const names = await namesOf(resolver, literal(text))
  if (typeof names === 'string') throw lookupErrorOf('getnameinfo', text)
  return { hostname: names[0], service: serviceName(port) }
}

function lookupErrorOf(syscall: string, text: string): NameError {
  return Object.assign(queryError(syscall, text, { code: 'ENOTFOUND' }), { errno: -3008 })
}

export function checkService(address: unknown, port: unknown): { address: string; port: number } {
  if (typeof address !== 'string' || isIP(address) === 0) {
    throw badValue('address', 'is invalid', address)
  }
  return { address, port: checkPort(port, 'Port') }
}

/** Hosts, then PTR records. The code when there is none. */
async function namesOf(resolver: Resolver, address: Address): Promise<string[] | Outcome['code']> {
  const written = resolver.hosts.namesOf(address)
  if (written.length > 0) return written
  const plain = new IpAddress(address.w0, address.w1, address.w2, address.w3)
  if (plain.isLoopback) return ['localhost']
  const outcome = await resolver.resolve(reverseName(plain), 'PTR')
  if (outcome.code !== '') return outcome.code
  return outcome.records.filter((r) => isType(r, 'PTR')).map((r) => (isType(r, 'PTR') ? r.data.ptrdname : ''))
}

/** Throws EINVAL, as Node does at once. */
export function checkReverse(ip: string): string {
  if (isIP(ip) === 0) throw Object.assign(queryError('getHostByAddr', ip, { code: 'EINVAL' as Outcome['code'] }), { errno: -22 })
  return ip
}

export async function reverseCalled(resolver: Resolver, literal: (text: string) => Address, ip: string): Promise<string[]> {
  const names = await namesOf(resolver, literal(ip))
  if (typeof names === 'string') throw queryFailed('getHostByAddr', ip, { code: names })
  return names
}

/** Records of a name. Rejects with ENOTFOUND, ENODATA, ESERVFAIL, ETIMEOUT, ... */
export async function resolveCalled(resolver: Resolver, query: Query, name: string, ttl: boolean): Promise<unknown> {
  const outcome = await resolver.resolve(ascii(name), query.type)
  if (outcome.code !== '') throw queryFailed(query.syscall, name, outcome)
  const found = query.shape(outcome.records, ttl)
  return query.type === 'SOA' ? found[0] : found
}

const BY_TYPE = new Map<string, QueryName>(Object.entries(QUERIES).map(([name, { type }]) => [type, name as QueryName]))

/** Which call `resolve` means. Throws as Node throws. */
export function queryOf(rrtype: unknown): QueryName {
  if (typeof rrtype !== 'string') throw badType('rrtype', 'of type string', rrtype)
  const name = BY_TYPE.get(rrtype)
  if (name === undefined) throw badValue('rrtype', 'is invalid', rrtype)
  return name
}
