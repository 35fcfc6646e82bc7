/**
 * `utun://` on macOS, and `tap://` on FreeBSD, OpenBSD and NetBSD: written from their headers and manuals, UNTESTED on the systems themselves.
 *
 * A utun is a socket of PF_SYSTEM that is connected to a kernel control by name; each packet stands behind its address family in four bytes of network
 * order. A tap of a BSD is a device, opened as it is, with bare Ethernet frames. Neither has offloads. Addresses and MTU are `ifconfig`'s.
 * frame-device.ts is the link; it is woken by libuv alone (eventfd is Linux's), so in the main thread only.
 */
import { endianness } from 'node:os'
import { invalidArgument, NetError } from '../base/errors.ts'
import * as wire from './bsd-wire.ts'
import { type DeviceCalls, FrameDevice } from './frame-device.ts'
import { EACCES, EBUSY, ENOENT, ENXIO, EPERM, type Koffi, type Libc, loadKoffi, O_RDWR, SOCK_DGRAM } from './libc.ts'
import { checkOptions, type LinkUrl } from './link-url.ts'
import type { TapNetIf, TapOptions } from './tap.ts'
import { uvWaker, type Waker } from './wake.ts'

/** System calls as there; `errno` as `linuxErrno` gives it. */
export interface BsdCalls extends DeviceCalls, Pick<Libc, 'open' | 'ioctl' | 'socket' | 'connect'> {
  fcntl(fd: number, command: number, value: number): number
  /** `length` is an int, which the system changes. */
  getsockopt(fd: number, level: number, option: number, value: Uint8Array, length: Int32Array): number
}

/** What opening one needs; tests give their own. */
export interface BsdSystem {
  /** As `process.platform` has it. */
  platform: string
  libc: BsdCalls
  waker: Waker
}

/** Which utun. macOS alone. */
export interface UtunOptions {
  /** `utun7`. The first that is free when left out. */
  name?: string | undefined
}

/**
 * Opens a utun of macOS: a link for IP packets. It is gone when closed. Untested on macOS.
 * @throws NetError ERR_UNSUPPORTED_PLATFORM (not macOS), ERR_INVALID_ARG_VALUE, EPERM (root is needed), EBUSY (it exists), ERR_KOFFI_UNAVAILABLE.
 */
export async function openUtun(options: UtunOptions = {}, system?: BsdSystem): Promise<TapNetIf> {
  const platform = required(system?.platform ?? process.platform, 'utun')
  const { name: asked = '' } = options
  const match = /^(?:utun(\d{1,6}))?$/.exec(asked)
  if (match === null)
    throw invalidArgument(`Invalid interface ${JSON.stringify(asked)}: utun and a number are expected, or nothing`)
  const unit = match[1] === undefined ? 0 : Number(match[1]) + 1
  const { libc, waker } = system ?? (await kernel())
  const label = asked || 'a utun'
  const fd = libc.socket(wire.PF_SYSTEM, SOCK_DGRAM, wire.SYSPROTO_CONTROL)
  if (fd < 0) throw failed(label, libc, 'socket')
  return opened(libc, fd, () => {
    const info = wire.controlNamed(wire.UTUN_CONTROL)
    if (libc.ioctl(fd, wire.CTLIOCGINFO, info) < 0) throw failed(label, libc, 'ioctl')
    const place = wire.controlPlace(wire.controlId(info), unit)
    if (libc.connect(fd, place, place.length) < 0) throw failed(label, libc, 'connect')
    const nameBytes = new Uint8Array(16)
    if (libc.getsockopt(fd, wire.SYSPROTO_CONTROL, wire.UTUN_OPT_IFNAME, nameBytes, Int32Array.of(nameBytes.length)) < 0) {
      throw failed(label, libc, 'getsockopt')
    }
    if (libc.fcntl(fd, wire.F_SETFD, wire.FD_CLOEXEC) < 0 || libc.fcntl(fd, wire.F_SETFL, wire.BSD_O_NONBLOCK) < 0) {
      throw failed(label, libc, 'fcntl')
    }
    const name = wire.nameIn(nameBytes)
    return new FrameDevice(libc, waker, {
      fd,
      name,
      medium: 'ip',
      mtu: mtuOf(libc, platform, name),
      ipv6Family: wire.DARWIN_AF_INET6,
      what: 'utun (untested on macOS itself)',
      gone: (errno) => gone(name, errno),
    })
  })
}

/** The systems whose taps are `openBsdTap`'s. */
export function hasBsdTap(platform: string): boolean {
  return wire.BSD_PLATFORMS.get(platform)?.hasTap === true
}

/**
 * Opens `/dev/tapN` of a BSD, which has to be there. `openTap` does, on those systems. Untested on them.
 * @throws NetError ERR_UNSUPPORTED_PLATFORM, ERR_INVALID_ARG_VALUE (an option that is `ifconfig`'s there), ENOENT, ENXIO, EBUSY, EPERM,
 *   ERR_KOFFI_UNAVAILABLE.
 */
export async function openBsdTap(options: TapOptions = {}, system?: BsdSystem): Promise<TapNetIf> {
  const host = system?.platform ?? process.platform
  const platform = required(host, 'tap')
  const { name: asked = 'tap0', offload: _, ...rest } = options
  if (!/^tap\d{0,6}$/.test(asked))
    throw invalidArgument(`Invalid interface ${JSON.stringify(asked)}: tap and a number are expected`)
  for (const [option, value] of Object.entries(rest)) {
    if (value !== undefined)
      throw invalidArgument(`Option ${option} of ${asked} is for Linux: on ${host} it is a matter of ifconfig`)
  }
  const { libc, waker } = system ?? (await kernel())
  const fd = libc.open(`/dev/${asked}`, O_RDWR | wire.BSD_O_NONBLOCK | platform.closeOnExec)
  if (fd < 0) throw failed(asked, libc, 'open')
  return opened(libc, fd, () => {
    let name = asked
    if (platform.TAPGIFNAME !== null) {
      const request = wire.ifreq(platform)
      if (libc.ioctl(fd, platform.TAPGIFNAME, request) < 0) throw failed(asked, libc, 'ioctl')
      name = wire.nameIn(request)
    }
    return new FrameDevice(libc, waker, {
      fd,
      name,
      medium: 'ethernet',
      mtu: mtuOf(libc, platform, name),
      what: `tap (untested on ${host} itself)`,
      gone: (errno) => gone(name, errno),
    })
  })
}

function required(platform: string, kind: 'utun' | 'tap'): wire.BsdPlatform {
  const found = wire.BSD_PLATFORMS.get(platform)
  if (found !== undefined && endianness() === 'LE' && (kind === 'tap' ? found.hasTap : platform === 'darwin')) return found
  throw new NetError('ERR_UNSUPPORTED_PLATFORM', {
    message: `${kind === 'utun' ? 'utun is an interface of macOS' : 'no tap is known'}: this is ${platform}-${process.arch}`,
  })
}

/** What `make` makes; the descriptor is closed if it fails. */
function opened(libc: BsdCalls, fd: number, make: () => FrameDevice): FrameDevice {
  try {
    return make()
  } catch (error) {
    libc.close(fd)
    throw error
  }
}

function mtuOf(libc: BsdCalls, platform: wire.BsdPlatform, name: string): number {
  const fd = libc.socket(wire.BSD_AF_INET, SOCK_DGRAM, 0)
  if (fd < 0) throw failed(name, libc, 'socket')
  try {
    const request = wire.ifreq(platform, name)
    if (libc.ioctl(fd, platform.SIOCGIFMTU, request) < 0) throw failed(name, libc, 'ioctl')
    return wire.mtuIn(request)
  } finally {
    libc.close(fd)
  }
}

function failed(name: string, libc: BsdCalls, syscall: string): NetError {
  const errno = libc.errno()
  const code = wire.bsdErrnoName(errno)
  let why = 'the system refused'
  if (errno === EPERM || errno === EACCES) why = 'permission denied: run it with sudo'
  else if (errno === EBUSY) why = 'it is in use'
  else if (errno === ENOENT || errno === ENXIO) why = 'there is none: make it with `ifconfig tap0 create`'
  return new NetError(code, { syscall, message: `Cannot open ${name} (${syscall}: ${code}): ${why}` })
}

function gone(name: string, errno: number): NetError {
  const code = wire.bsdErrnoName(errno)
  return new NetError(code, { syscall: 'read', message: `${name} has ended (${code}): reading failed` })
}

async function kernel(): Promise<BsdSystem> {
  const koffi = await loadKoffi()
  const waker = uvWaker(koffi)
  if (waker === null) {
    const message = `this kind of link needs the main thread of Node.js on ${process.platform}`
    throw new NetError('ERR_UNSUPPORTED_PLATFORM', { message })
  }
  return { platform: process.platform, libc: calls(koffi), waker }
}

/** ioctl and fcntl are called as what they are, variadic: on macOS's arm64 such arguments are elsewhere than others. */
function calls(koffi: Koffi): BsdCalls {
  const self = koffi.load(null)
  const ioctl = self.func('ioctl', 'int', ['int', 'ulong', '...'])
  const fcntl = self.func('fcntl', 'int', ['int', 'int', '...'])
  const open = self.func('open', 'int', ['str', 'int', '...'])
  return {
    open: (path, flags) => open(path, flags),
    close: self.func('close', 'int', ['int']) as BsdCalls['close'],
    read: self.func('read', 'long', ['int', 'void *', 'size_t']) as BsdCalls['read'],
    write: self.func('write', 'long', ['int', 'void *', 'size_t']) as BsdCalls['write'],
    socket: self.func('socket', 'int', ['int', 'int', 'int']) as BsdCalls['socket'],
    connect: self.func('connect', 'int', ['int', 'void *', 'uint']) as BsdCalls['connect'],
    getsockopt: self.func('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']) as BsdCalls['getsockopt'],
    ioctl: (fd, request, argument) => ioctl(fd, request, 'void *', argument),
    fcntl: (fd, command, value) => fcntl(fd, command, 'int', value),
    errno: () => wire.linuxErrno(koffi.errno()),
    addressOf: (buf) => koffi.address(buf),
  }
}

/** The options of `utun://utun7`: none but its name. */
export function utunOptions(url: LinkUrl): UtunOptions {
  checkOptions(url, [])
  return url.target === '' ? {} : { name: url.target }
}
