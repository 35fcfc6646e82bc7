/**
 * Configuration under the names of VirtualSquare's nlinline: interfaces by index, addresses as 4 or 16 bytes in network order (or text). They
 * are methods of a stack (`stack.ipaddr_add(AF_INET, [10, 0, 0, 50], 24, index)`) and functions with the stack before everything else, as
 * NLINLINE_LIBMULTI makes them. Where the originals return a negative number these throw a NetError; else they return 0 as well.
 */
import { Address, ANY, ANY_V4, Prefix, address as parseAddress } from '../base/address.ts'
import { get32 } from '../base/bytes.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import { parseMac } from '../ethernet/mac.ts'
import { addAddress, removeAddress } from '../ip/addresses.ts'
import type { Interface } from '../ip/interface.ts'
import type { AttachedInterface } from './attached.ts'
import type { Stack } from './stack.ts'

/** Address families, as Linux numbers them. */
export const AF_INET = 2
/** The number of IPv6 among Linux's address families. */
export const AF_INET6 = 10

/** `AF_INET` or 4, `AF_INET6` or 6. */
export type AddressFamily = 2 | 4 | 6 | 10
/** An address: bytes in network order, or text. */
export type AddressLike = Uint8Array | readonly number[] | string | Address

/** What Linux gives a route of IPv6 that says nothing. */
const METRIC6 = 1024

/** The index of the interface of that name, from 1. Throws ENODEV. */
export function if_nametoindex(stack: Stack, name: string): number {
  const found = stack.ipLayer.interfaces.find((i) => i.name === name)
  if (found === undefined) throw new NetError('ENODEV', { syscall: 'if_nametoindex', message: `there is no interface ${name}` })
  return found.index
}

/** Up (true, 1) or down (false, 0). Throws ENODEV, ENETDOWN (a VLAN whose parent is down). */
export function linksetupdown(stack: Stack, index: number, up: boolean | number): 0 {
  const { attached } = interfaceOf(stack, index)
  const on = up === true || (typeof up === 'number' && up !== 0)
  if (attached !== null) attached.setUp(on)
  else if (!on) throw loopbackStays()
  stack.turn.wake()
  return 0
}

/** Changes the MAC address. Throws ENODEV, EOPNOTSUPP (no Ethernet), ERR_INVALID_MAC_ADDRESS. */
export function linksetaddr(stack: Stack, index: number, mac: Uint8Array | readonly number[] | string): 0 {
  const { attached } = interfaceOf(stack, index)
  if (attached === null) throw loopbackStays()
  attached.setMac(typeof mac === 'string' ? parseMac(mac) : Uint8Array.from(mac))
  return 0
}

/** The MAC address, 6 bytes: a copy, or written into `mac`. All zeros for the loopback. Throws ENODEV, EOPNOTSUPP (no Ethernet). */
export function linkgetaddr(stack: Stack, index: number, mac: Uint8Array = new Uint8Array(6)): Uint8Array {
  const { iface } = interfaceOf(stack, index)
  if (mac.length < 6) throw invalidArgument('a MAC address needs 6 bytes')
  if (iface.isLoopback) mac.fill(0, 0, 6)
  else if (iface.mac !== null) mac.set(iface.mac)
  else throw new NetError('EOPNOTSUPP', { message: `${iface.name} has no MAC address` })
  return mac
}

/** Changes the MTU. Throws ENODEV, EINVAL. */
export function linksetmtu(stack: Stack, index: number, mtu: number): 0 {
  const { attached } = interfaceOf(stack, index)
  if (attached === null) throw loopbackStays()
  attached.setMtu(mtu)
  return 0
}

/** Adds an address; it is used as soon as it has been probed (IPv6), or at once. Throws ENODEV, EEXIST, ERR_INVALID_ARG_VALUE. */
export function ipaddr_add(stack: Stack, family: AddressFamily, addr: AddressLike, prefixlen: number, index: number): 0 {
  const { iface, attached } = interfaceOf(stack, index)
  const prefix = prefixOf(family, addr, prefixlen)
  if (attached === null) addAddress(stack.ipLayer, iface, prefix)
  else void attached.giveAddress(prefix, {}, null)
  stack.turn.wake()
  return 0
}

/** Takes an address away. Throws ENODEV, EADDRNOTAVAIL when the interface has not that address with that length. */
export function ipaddr_del(stack: Stack, family: AddressFamily, addr: AddressLike, prefixlen: number, index: number): 0 {
  const { iface, attached } = interfaceOf(stack, index)
  const prefix = prefixOf(family, addr, prefixlen)
  const { address } = prefix
  if (address.isLinkLocal) address.zone = iface.index
  const own = iface.addresses.find((a) => a.address.equals(address) && a.prefix.length === prefixlen)
  if (own === undefined) {
    throw new NetError('EADDRNOTAVAIL', { message: `${iface.name} has no address ${prefix}`, address: `${address}` })
  }
  if (attached === null) removeAddress(stack.ipLayer, iface, own.address)
  else attached.removeAddress(`${prefix}`.replace(/%\d+/, ''))
  return 0
}

/**
 * Adds a route to `dst`/`dst_prefixlen` (null: the default route) by a gateway (null: to the neighbours of the interface). The interface may be
 * left out (0) unless the gateway is a link-local address of IPv6. Throws EEXIST, ENETUNREACH, ENODEV, EINVAL.
 */
export function iproute_add(
  stack: Stack,
  family: AddressFamily,
  dst: AddressLike | null,
  dst_prefixlen: number,
  gw: AddressLike | null,
  index = 0,
): 0 {
  const { prefix, gateway, attached } = wayOf(stack, family, dst, dst_prefixlen, gw, index)
  stack.addRoute(prefix, gateway, attached, { metric: prefix.address.isV4 ? 0 : METRIC6 })
  stack.turn.wake()
  return 0
}

/** Removes such a route. Throws ESRCH when there is none. */
export function iproute_del(
  stack: Stack,
  family: AddressFamily,
  dst: AddressLike | null,
  dst_prefixlen: number,
  gw: AddressLike | null,
  index = 0,
): 0 {
  const { prefix, gateway, attached } = wayOf(stack, family, dst, dst_prefixlen, gw, index)
  stack.removeRoute(prefix, { ...(gateway !== null && { gateway }), ...(attached !== null && { interface: attached }) })
  stack.turn.wake()
  return 0
}

function wayOf(
  stack: Stack,
  family: AddressFamily,
  dst: AddressLike | null,
  length: number,
  gw: AddressLike | null,
  index: number,
): { prefix: Prefix; gateway: Address | null; attached: AttachedInterface | null } {
  const v4 = isV4(family)
  const prefix = dst === null ? new Prefix(v4 ? ANY_V4 : ANY, 0) : prefixOf(family, dst, length)
  const gateway = gw === null ? null : addressOf(family, gw)
  const attached = index === 0 ? null : interfaceOf(stack, index).attached
  if (index !== 0 && attached === null) throw loopbackStays()
  if (gateway?.isLinkLocal && gateway.zone === 0) {
    if (attached === null) throw new NetError('EINVAL', { message: `gateway ${gateway} is link-local: of which interface?` })
    gateway.zone = attached.index
  }
  return { prefix, gateway, attached }
}

function interfaceOf(stack: Stack, index: number): { iface: Interface; attached: AttachedInterface | null } {
  const iface = stack.ipLayer.interfaces.find((i) => i.index === index)
  if (iface === undefined) throw new NetError('ENODEV', { message: `there is no interface of index ${index}` })
  return { iface, attached: stack.interfaces.find((a) => a.iface === iface) ?? null }
}

function loopbackStays(): NetError {
  return new NetError('EOPNOTSUPP', { message: 'the loopback interface is what it is' })
}

function isV4(family: AddressFamily): boolean {
  if (family === AF_INET || family === 4) return true
  if (family === AF_INET6 || family === 6) return false
  throw new NetError('EAFNOSUPPORT', { message: `address family ${family}: AF_INET (2) or AF_INET6 (10) expected` })
}

function addressOf(family: AddressFamily, addr: AddressLike): Address {
  const v4 = isV4(family)
  let a: Address
  if (typeof addr === 'string') a = parseAddress(addr)
  else if (addr instanceof Address) a = addr.clone()
  else {
    const bytes = Uint8Array.from(addr)
    if (bytes.length !== (v4 ? 4 : 16)) {
      throw invalidArgument(
        `an address of IPv${v4 ? 4 : 6} has ${v4 ? 4 : 16} bytes, not ${bytes.length}`,
        'ERR_INVALID_IP_ADDRESS',
      )
    }
    a = v4 ? Address.v4(get32(bytes, 0)) : new Address().read(bytes, 0)
  }
  if (a.isV4 !== v4) throw invalidArgument(`${a} is not an address of IPv${v4 ? 4 : 6}`, 'ERR_INVALID_IP_ADDRESS')
  return a
}

function prefixOf(family: AddressFamily, addr: AddressLike, length: number): Prefix {
  const a = addressOf(family, addr)
  const most = a.isV4 ? 32 : 128
  if (!(Number.isInteger(length) && length >= 0 && length <= most)) {
    throw invalidArgument(`prefix length ${length} is not from 0 to ${most}`)
  }
  return new Prefix(a, length)
}
