/**
 * Multicast of node:dgram: the words of its calls as libuv reads them, and its errors. Interfaces are given as one of their IPv4 addresses,
 * or as an IPv6 address with a zone (`::%eth0`), whose name (or number) is all that counts; an unknown name lets routing choose.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { NetError } from '../base/errors.ts'
import type { Interface } from '../ip/interface.ts'
import type { UdpSocket } from '../udp/socket.ts'
import { codeOf } from './errors.ts'

/** Joins or leaves; `source` null: for all sources. */
export function changeMembership(
  raw: UdpSocket,
  syscall: string,
  group: unknown,
  source: string | null,
  iface: unknown,
  join: boolean,
): void {
  const where = interfaceFor(raw, syscall, `${group}`, iface)
  if (source !== null && isIPv4(source) !== isIPv4(`${group}`)) throw new NetError('EINVAL', { syscall })
  // Linux looks for the membership before it looks at the group, but only for IPv4 and without a source.
  const isPlainLeave = !join && source === null && isIPv4(`${group}`)
  const work = (): void => {
    // Node binds a socket that is not: to a port by chance, of all interfaces.
    if (raw.localPort === 0) raw.bind(raw.any, 0)
    if (join) raw.joinGroup(`${group}`, where, source)
    else raw.leaveGroup(`${group}`, where, source)
  }
  asSyscall(syscall, work, isPlainLeave ? 'EADDRNOTAVAIL' : 'EINVAL')
}

export function setInterface(raw: UdpSocket, syscall: string, text: string): void {
  const isV4 = isIPv4(text)
  if (!isV4 && !isIPv6(text)) throw new NetError('EINVAL', { syscall })
  if (raw.localPort === 0) throw new NetError('EBADF', { syscall })
  if (!isV4 && raw.family === 4) throw new NetError('ENOPROTOOPT', { syscall })
  const where = isV4 ? (text === '0.0.0.0' ? null : text) : zoneOf(raw, text)
  asSyscall(syscall, () => raw.setMulticastInterface(where))
}

function interfaceFor(raw: UdpSocket, syscall: string, group: string, iface: unknown): Interface | string | null {
  const isV4 = isIPv4(group)
  if (!isV4 && !isIPv6(group)) throw new NetError('EINVAL', { syscall })
  if (iface === undefined || iface === null) return null
  if (typeof iface !== 'string' || !(isV4 ? isIPv4(iface) : isIPv6(iface))) throw new NetError('EINVAL', { syscall })
  if (isV4) return iface === '0.0.0.0' ? null : iface
  return zoneOf(raw, iface)
}

function zoneOf(raw: UdpSocket, text: string): Interface | null {
  const percent = text.indexOf('%')
  return percent < 0 ? null : raw.interfaceNamed(text.slice(percent + 1))
}

function asSyscall(syscall: string, run: () => void, ofNoGroup = 'EINVAL'): void {
  try {
    run()
  } catch (error) {
    const code = codeOf(error)
    const isNoGroup = code === 'ERR_INVALID_IP_ADDRESS' || code === 'EINVAL'
    throw new NetError(isNoGroup ? ofNoGroup : code, { syscall })
  }
}
