/**
 * Addresses with zones in text (RFC 4007 section 11): `fe80::1%eth0`, as people write them. Inside the stack a zone is the index of an
 * interface; here its name becomes one, and the other way round.
 */
import { type Address, type Prefix, address as parse, prefix as parsePrefix } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import type { Interface } from './interface.ts'
import type { Ip } from './ip.ts'

/** An address of either family, with `%name` or `%index` for a link-local one. Throws ERR_INVALID_IP_ADDRESS. */
export function parseScoped(ip: Ip, text: string): Address {
  const percent = text.indexOf('%')
  if (percent < 0) return parse(text)
  const a = parse(text.slice(0, percent))
  const name = text.slice(percent + 1)
  const iface = ip.interfaces.find((i) => i.name === name) ?? ip.interfaces.find((i) => String(i.index) === name)
  if (a.isV4 || iface === undefined) {
    const why = a.isV4 ? 'IPv4 has no zones' : `there is no interface ${name}`
    throw invalidArgument(`Invalid IP address: ${text}: ${why}`, 'ERR_INVALID_IP_ADDRESS')
  }
  // Elsewhere a zone says nothing that would have to be kept.
  if (a.isLinkLocal || (a.isMulticast && a.multicastScope <= 2)) a.zone = iface.index
  return a
}

/** An address with its prefix length, on `iface`: a zone, as in what `addresses` lists, must be that interface. Throws ERR_INVALID_IP_ADDRESS. */
export function prefixOn(iface: Interface, text: string): Prefix {
  const zone = /^[^%/]*%([^/]*)/.exec(text)
  if (zone === null) return parsePrefix(text)
  const prefix = parsePrefix(text.replace(`%${zone[1]}`, ''))
  if (!prefix.address.isLinkLocal || (zone[1] !== iface.name && zone[1] !== String(iface.index))) {
    throw invalidArgument(`Invalid IP address: ${text} is no address of ${iface.name}`, 'ERR_INVALID_IP_ADDRESS')
  }
  return prefix
}

/** The same without a length: of a neighbour, a gateway. */
export function addressOn(iface: Interface, text: string): Address {
  const a = text.includes('/') ? parse(text) : prefixOn(iface, text).address
  if (a.isLinkLocal) a.zone = iface.index
  return a
}

/** `fe80::1%eth0`: the address with its interface's name. */
export function scopedText(ip: Ip, a: Address): string {
  if (a.zone === 0) return a.toString()
  const iface = ip.interfaces.find((i) => i.index === a.zone)
  const text = a.toString()
  return iface === undefined ? text : text.replace(/%.*$/, `%${iface.name}`)
}

/** `10.0.0.1:80`, `[fd00::1]:80`, `[fe80::1%eth0]:80` (RFC 3986 section 3.2.2, RFC 6874). */
export function endpointText(ip: Ip, a: Address, port: number): string {
  return a.isV4 ? `${a}:${port}` : `[${scopedText(ip, a)}]:${port}`
}
