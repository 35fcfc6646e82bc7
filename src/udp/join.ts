/** What a socket asks about groups: the words of the application made into addresses and interfaces, and checked as Linux checks them. */
import { type Address, ANY } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import { FilterMode } from '../ip/groups.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import { parseScoped } from '../ip/zone.ts'
import type { UdpSocket } from './socket.ts'
import type { Udp } from './udp.ts'

type Text = Address | string
type Where = Interface | string | null

export function joinGroup(udp: Udp, socket: UdpSocket, to: Text, where: Where, from: Text | null): void {
  if (from !== null) {
    changeSource(udp, socket, to, where, from, FilterMode.INCLUDE, true)
    return
  }
  const group = groupOf(udp.ip, socket, to)
  const iface = interfaceOf(udp.ip, group, where)
  udp.membershipsOf(socket).join(group, iface)
}

export function leaveGroup(udp: Udp, socket: UdpSocket, to: Text, where: Where, from: Text | null): void {
  if (from !== null) {
    changeSource(udp, socket, to, where, from, FilterMode.INCLUDE, false)
    return
  }
  const group = groupOf(udp.ip, socket, to)
  // Who joined where routing chose may leave without knowing where that was.
  const iface = interfaceOf(udp.ip, group, where)
  udp.membershipsOf(socket).leave(group, where === null && group.zone === 0 ? null : iface)
}

/** `mode` and `add` as in `Memberships.change`. */
export function changeSource(udp: Udp, socket: UdpSocket, to: Text, where: Where, from: Text, mode: number, add: boolean): void {
  const group = groupOf(udp.ip, socket, to)
  const iface = interfaceOf(udp.ip, group, where)
  udp.membershipsOf(socket).change(group, iface, sourceOf(udp.ip, group, from), mode, add)
}

export function setSources(udp: Udp, socket: UdpSocket, to: Text, where: Where, mode: number, from: readonly Text[]): void {
  const group = groupOf(udp.ip, socket, to)
  const iface = interfaceOf(udp.ip, group, where)
  const sources = from.map((s) => sourceOf(udp.ip, group, s))
  udp.membershipsOf(socket).set(group, iface, mode, sources)
}

export function setMulticastInterface(udp: Udp, socket: UdpSocket, where: Where): void {
  const iface = where === null ? null : typeof where === 'string' ? named(udp.ip, where) : where
  const bound = socket.boundInterface
  if (where !== null && iface === null) throw refused(isName(where) ? 'ENODEV' : 'EADDRNOTAVAIL', `${where}`)
  if (iface !== null && bound !== null && iface !== bound) throw refused('EINVAL', iface.name)
  socket.multicastInterface = iface
  socket.multicastSource.copy(socket.any)
  if (typeof where === 'string' && !isName(where)) socket.multicastSource.copy(parseScoped(udp.ip, where))
  socket.route.generation = (udp.ip.generation - 1) | 0 // found anew
}

function groupOf(ip: Ip, socket: UdpSocket, to: Text): Address {
  const group = typeof to === 'string' ? parseScoped(ip, to) : to
  if (!group.isMulticast) throw refused('EINVAL', `${group}`)
  // A socket of IPv6 may join groups of IPv4 for its IPv4 half; the other way round there is no such option.
  if (!group.isV4 && socket.family === 4) throw refused('ENOPROTOOPT', `${group}`)
  if (group.isV4 && socket.ipv6Only) throw refused('EAFNOSUPPORT', `${group}`)
  return group
}

function sourceOf(ip: Ip, group: Address, from: Text): Address {
  const source = typeof from === 'string' ? parseScoped(ip, from) : from
  if (source.isV4 !== group.isV4 || source.isMulticast || source.isUnspecified) throw refused('EINVAL', `${source}`)
  return source
}

function interfaceOf(ip: Ip, group: Address, where: Where): Interface {
  const any = group.zone === 0 && where === null
  const wanted = where === null || typeof where === 'object' ? where : named(ip, where)
  const iface = any
    ? ip.interfaceForGroup(group, ANY)
    : where !== null && wanted === null
      ? null
      : group.zone === 0
        ? wanted
        : ip.zoneOf(group, wanted)
  if (iface === null || !ip.interfaces.includes(iface)) throw refused('ENODEV', `${group}`)
  return iface
}

/** The interface of that name, or that has that address. */
function named(ip: Ip, text: string): Interface | null {
  const byName = ip.interfaces.find((i) => i.name === text)
  if (byName !== undefined || isName(text)) return byName ?? null
  const a = parseScoped(ip, text)
  return ip.interfaces.find((i) => i.has(a)) ?? null
}

/** Names have neither a colon nor the form of an IPv4 address. */
function isName(where: Where): boolean {
  return typeof where !== 'string' || !(where.includes(':') || /^[\d.]+$/.test(where))
}

function refused(code: string, address: string): NetError {
  return new NetError(code, { syscall: 'setsockopt', address })
}
