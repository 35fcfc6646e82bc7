/** Whom ping, traceroute and tracepath ask: `fd00::1`, `fe80::1%eth0`, `www.example.com`; with -4 or -6 only of that family. */
import { type Address, parseAddress } from '../base/address.ts'
import { NetError, wordsOf } from '../base/errors.ts'
import { lookup } from '../dns/lookup.ts'
import type { Interface } from '../ip/interface.ts'
import { parseScoped } from '../ip/zone.ts'
import type { Stack } from '../stack/stack.ts'
import { type Option, text, texts, UsageError, type Values } from './command.ts'
import { askLinkFor } from './mdns.ts'

/** Options of all three. */
export const FAMILY_OPTIONS: { readonly [name: string]: Option } = {
  ipv4: { type: 'boolean', short: '4', text: 'IPv4 only' },
  ipv6: { type: 'boolean', short: '6', text: 'IPv6 only' },
  dns: { type: 'string', multiple: true, value: 'IP', text: 'DNS server for names, repeatable (those that routers name)' },
}

/** Meant as an address, right or wrong. */
const LIKE_ADDRESS = /[:%]|(^|\.)\d+$/

/** The word as it is shown, and the family it is of, or for a name will be: IPv4 unless -6 is given. Throws UsageError. */
export function destinationOf(command: string, words: readonly string[], values: Values): { name: string; isV4: boolean } {
  const name = words[0]
  if (name === undefined) throw new UsageError(`a host is missing: tapstack ${command} 10.0.0.1`)
  if (values.ipv4 === true && values.ipv6 === true) throw new UsageError('-4 and -6: one of them is expected')
  const a = parseAddress(name.replace(/%.*$/, ''))
  if (a === null) {
    if (LIKE_ADDRESS.test(name)) throw new UsageError(`${name} is not an IP address`)
    return { name, isV4: values.ipv6 !== true }
  }
  const { isV4 } = a
  if (isV4 ? values.ipv6 === true : values.ipv4 === true)
    throw new UsageError(`${name} is an IPv${isV4 ? 4 : 6} address, and -${isV4 ? 6 : 4} asks for another`)
  return { name, isV4 }
}

/** The address of the host: with its zone, or by the servers of --dns. Throws UsageError for an interface that is not there, ENOTFOUND and its like. */
export async function hostOf(stack: Stack, name: string, values: Values): Promise<Address> {
  if (parseAddress(name.replace(/%.*$/, '')) !== null) return resolved(stack, name)
  const servers = texts(values, 'dns')
  if (servers.length > 0) stack.resolver.setServers(servers)
  askLinkFor(stack, name)
  const family = values.ipv4 === true ? 4 : values.ipv6 === true ? 6 : 0
  const result = await lookup(stack.resolver, name, { family, configuredOnly: true })
  if (result.code === '') return result.addresses[0]
  const words = result.code === 'ENOTFOUND' ? 'name or service not known' : 'temporary failure in name resolution'
  const advice =
    stack.resolver.servers.length === 0 ? ': give a server by --dns' : result.why === undefined ? '' : `: ${result.why}`
  throw new UnknownHost(`${name}: ${words}${advice}`)
}

/** Its message says all. */
export class UnknownHost extends Error {}

/** An address as the stack knows it: with its zone. Throws UsageError for an interface that is not there. */
export function resolved(stack: Stack, name: string): Address {
  try {
    return parseScoped(stack.ipLayer, name)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** `-I`, `-s`: one of our addresses, or one of our interfaces by its name. Throws UsageError. */
export function sourceOf(stack: Stack, values: Values, option: string): { source?: Address; iface?: Interface } {
  const given = text(values, option)
  if (given === undefined) return {}
  const iface = stack.interfaces.find((i) => i.name === given)
  if (iface !== undefined) return { iface: iface.iface }
  if (parseAddress(given.replace(/%.*$/, '')) === null)
    throw new UsageError(`--${option} ${given}: one of our addresses or interfaces is expected`)
  const source = resolved(stack, given)
  stack.ipLayer.settle(source)
  if (!stack.ipLayer.isLocal(source)) throw new UsageError(`--${option} ${given}: that is no address of this stack`)
  return { source }
}

/** Why it cannot be asked, with what to do. */
export function cannotAsk(name: string, error: unknown): unknown {
  if (!(error instanceof NetError) || error.code.startsWith('ERR_')) return error
  const advice = error.code === 'ENETUNREACH' ? ': give a --gateway, or an --address on its network' : ''
  return new NetError(error.code, { message: `${name}: ${wordsOf(error.code)}${advice}` })
}
