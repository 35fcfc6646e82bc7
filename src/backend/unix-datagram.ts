/**
 * Datagram sockets of the UNIX domain, which Node does not have: made, bound and connected through koffi; frame-device.ts makes a link of
 * one. Two that are connected to each other give back-pressure: a full one is EAGAIN to its peer, and writable again when that has read.
 */
import { NetError } from '../base/errors.ts'
import type { Libc } from './libc.ts'
import { AF_UNIX, AF_UNSPEC, errnoName, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from './libc.ts'
import { encodeUnixAddress } from './vde-control.ts'

const NAME_TOO_LONG = 'ENAMETOOLONG'

/** A socket that blocks nobody. @throws NetError when the system gives none. */
export function unixDatagram(libc: Libc): number {
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
  if (fd < 0) throw new NetError(errnoName(libc.errno()), { syscall: 'socket' })
  return fd
}

/** Gives it a path. Null, or why not: `EADDRINUSE`, `EACCES`, `ENAMETOOLONG`. */
export function bindUnix(libc: Libc, fd: number, path: string): string | null {
  return withAddress(libc, path, (address) => libc.bind(fd, address, address.length))
}

/** Connects it to the socket of that path. Null, or why not. */
export function connectUnix(libc: Libc, fd: number, path: string): string | null {
  return withAddress(libc, path, (address) => libc.connect(fd, address, address.length))
}

/** Connects it to nobody: everybody's datagrams are taken again. */
export function disconnectUnix(libc: Libc, fd: number): void {
  const unspecified = new Uint8Array(2).fill(AF_UNSPEC)
  libc.connect(fd, unspecified, unspecified.length)
}

function withAddress(libc: Libc, path: string, call: (address: Uint8Array) => number): string | null {
  const address = encodeUnixAddress(path)
  if (address === null) return NAME_TOO_LONG
  return call(address) < 0 ? errnoName(libc.errno()) : null
}
