/**
 * The few calls of the C library that Node has no words for, through koffi.
 *
 * Theory of operation. koffi is loaded when the first link is opened, never by importing this file: a program that only uses
 * links in memory needs no native code. Symbols come from the process itself (`load(null)`), which is right for glibc and musl.
 * Memory goes over as a Uint8Array or, where an offset is needed, as a BigInt address that the caller keeps together with the
 * buffer: such a constant costs no allocation per call, while `base + offset` as a number would be a fresh heap number each time. A call costs about 0.1 us beside the system call itself.
 * Everything that uses a `Libc` takes it as an argument, so that tests can refuse permission or fill a device at will.
 */
import { constants, endianness } from 'node:os'
import type koffiModule from 'koffi'
import { NetError } from '../base/errors.ts'

export type Koffi = typeof koffiModule

/** System calls in C's shape: -1 and `errno()` on failure. Addresses are those of `addressOf`. */
export interface Libc {
  open(path: string, flags: number): number
  close(fd: number): number
  read(fd: number, bytes: bigint | Uint8Array, length: number): number
  write(fd: number, bytes: bigint | Uint8Array, length: number): number
  /** For requests that take a pointer. */
  ioctl(fd: number, request: number, argument: Uint8Array): number
  /** For requests that take the value itself. */
  ioctlValue(fd: number, request: number, value: number): number
  socket(domain: number, type: number, protocol: number): number
  /** The address is a struct sockaddr of its family. */
  bind(fd: number, address: Uint8Array, length: number): number
  connect(fd: number, address: Uint8Array, length: number): number
  eventfd(initial: number, flags: number): number
  /** poll(2) on a pool thread, where it may block. `done` gets what poll returned. */
  pollAsync(fds: bigint, count: number, timeoutMs: number, done: (ready: number) => void): void
  /** Why the last call failed. Ask at once. */
  errno(): number
  /** Where the bytes are. Valid as long as the caller keeps `buf` reachable and does not transfer its memory away. */
  addressOf(buf: Uint8Array): bigint
  /** User and group ids by name; -1 when there is none. */
  uidOf(name: string): number
  gidOf(name: string): number
}

export const O_RDWR = 0o2
export const O_NONBLOCK = 0o4000
/** No child process may inherit a descriptor: a tap would outlive us in it. */
export const O_CLOEXEC = 0o2000000
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_CLOEXEC = O_CLOEXEC
export const SOCK_NONBLOCK = O_NONBLOCK
export const AF_UNSPEC = 0
export const AF_UNIX = 1
export const EFD_CLOEXEC = O_CLOEXEC
export const EFD_NONBLOCK = O_NONBLOCK

export const EPERM = 1
export const ENOENT = 2
export const EINTR = 4
export const EIO = 5
export const ENXIO = 6
export const EAGAIN = 11
export const ENOMEM = 12
export const EACCES = 13
export const EBUSY = 16
export const EEXIST = 17
export const ENODEV = 19
export const EINVAL = 22
/** "File descriptor in bad state": what a tap says when its interface has been deleted. Node has no name for it. */
export const EBADFD = 77
export const EMSGSIZE = 90
export const EADDRINUSE = 98
export const ENETDOWN = 100
export const ECONNRESET = 104
export const ENOBUFS = 105
export const ENOTCONN = 107
export const ECONNREFUSED = 111

const NAMES = new Map<number, string>(Object.entries(constants.errno).map(([name, n]) => [n, name]))
// EAGAIN and EWOULDBLOCK, EOPNOTSUPP and ENOTSUP are the same numbers; the first of each is the usual name.
NAMES.set(EAGAIN, 'EAGAIN').set(95, 'EOPNOTSUPP').set(EBADFD, 'EBADFD')

/** The name of an error number: `EPERM`; `E999` for one that has none. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `E${errno}`
}

/** Where the ioctl numbers and structures of this folder hold (mips, ppc and sparc number ioctls otherwise). */
const ARCHITECTURES = ['x64', 'arm64', 'arm', 'ia32', 'riscv64', 'loong64']

/** ERR_UNSUPPORTED_PLATFORM unless this is Linux on a little-endian machine that numbers its ioctls as most do. */
export function requireLinux(platform: string = process.platform, arch: string = process.arch): void {
  if (platform === 'linux' && ARCHITECTURES.includes(arch) && endianness() === 'LE') return
  const other = platform === 'darwin' ? 'utun:// for IP packets, a link in memory (createPipe)' : 'a link in memory (createPipe)'
  throw new NetError('ERR_UNSUPPORTED_PLATFORM', {
    message:
      `this kind of link (tap, tun, packet socket, a VDE switch's port) needs Linux, this is ${platform}-${arch}: use ${other}, ` +
      'a tunnel, or run inside a Linux virtual machine or container',
  })
}

let loaded: Promise<Koffi> | null = null

/**
 * koffi itself, loaded once. ERR_KOFFI_UNAVAILABLE when it is not installed or has no binary for this platform.
 * @param load how to import it; given by tests.
 */
export function loadKoffi(load?: () => Promise<{ default: Koffi }>): Promise<Koffi> {
  if (load !== undefined) return importKoffi(load)
  loaded ??= importKoffi(() => import('koffi'))
  return loaded
}

async function importKoffi(load: () => Promise<{ default: Koffi }>): Promise<Koffi> {
  try {
    return (await load()).default
  } catch (cause) {
    const why = (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0]
    throw new NetError('ERR_KOFFI_UNAVAILABLE', {
      message:
        `koffi, which reaches the C library, cannot be loaded on ${process.platform}-${process.arch} (${why}): ` +
        'install it with `npm install koffi` (without --omit=optional: its binaries are optional packages)',
      cause,
    })
  }
}

let libc: Promise<Libc> | null = null

/** The C library of this process, loaded once. ERR_UNSUPPORTED_PLATFORM, ERR_KOFFI_UNAVAILABLE. */
export function loadLibc(): Promise<Libc> {
  libc ??= bind()
  return libc
}

async function bind(): Promise<Libc> {
  requireLinux()
  const koffi = await loadKoffi()
  const self = koffi.load(null)
  const pointerSize = koffi.sizeof('void *')
  const poll = self.func('poll', 'int', ['void *', 'ulong', 'int'])
  // struct passwd and struct group begin alike: two pointers (name, password), then the id.
  const passwd = self.func('getpwnam', 'void *', ['str'])
  const group = self.func('getgrnam', 'void *', ['str'])
  const idOf = (entry: bigint | null): number => (entry === null ? -1 : koffi.decode(entry, 2 * pointerSize, 'uint32_t'))
  return {
    open: self.func('open', 'int', ['str', 'int']) as Libc['open'],
    close: self.func('close', 'int', ['int']) as Libc['close'],
    read: self.func('read', 'long', ['int', 'void *', 'size_t']) as Libc['read'],
    write: self.func('write', 'long', ['int', 'void *', 'size_t']) as Libc['write'],
    ioctl: self.func('ioctl', 'int', ['int', 'ulong', 'void *']) as Libc['ioctl'],
    ioctlValue: self.func('ioctl', 'int', ['int', 'ulong', 'ulong']) as Libc['ioctlValue'],
    socket: self.func('socket', 'int', ['int', 'int', 'int']) as Libc['socket'],
    bind: self.func('bind', 'int', ['int', 'void *', 'uint']) as Libc['bind'],
    connect: self.func('connect', 'int', ['int', 'void *', 'uint']) as Libc['connect'],
    eventfd: self.func('eventfd', 'int', ['uint', 'int']) as Libc['eventfd'],
    pollAsync: (fds, count, timeoutMs, done) => {
      poll.async(fds, count, timeoutMs, (error: unknown, ready: number) => done(error === null ? ready : -1))
    },
    errno: () => koffi.errno(),
    addressOf: (buf) => koffi.address(buf),
    uidOf: (name) => idOf(passwd(name)),
    gidOf: (name) => idOf(group(name)),
  }
}
