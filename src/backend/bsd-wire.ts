/**
 * Numbers and structures of macOS and the BSDs for utun and tap devices: from their headers (sys/kern_control.h, net/if_utun.h, net/if_tap.h, sys/sockio.h,
 * sys/ioccom.h, sys/fcntl.h, sys/errno.h) and manuals (tap(4)), for little-endian machines. Untested on the systems themselves.
 */
import * as layout from 'buffer-layout'
import { EADDRINUSE, EAGAIN, ECONNREFUSED, ECONNRESET, EMSGSIZE, ENETDOWN, ENOBUFS, ENOTCONN, errnoName } from './libc.ts'

/** sys/ioccom.h: `_IOR` and `_IOWR` of a group's letter, a number, and the argument's size in bytes. */
export function ioctlRead(group: string, number: number, size: number): number {
  return (0x40000000 | ((size & 0x1fff) << 16) | (group.charCodeAt(0) << 8) | number) >>> 0
}

export function ioctlReadWrite(group: string, number: number, size: number): number {
  return (ioctlRead(group, number, size) | 0x80000000) >>> 0
}

/** The same in all of them. */
export const BSD_O_NONBLOCK = 0x4
export const BSD_AF_INET = 2
export const F_SETFD = 2
export const F_SETFL = 4
export const FD_CLOEXEC = 1

export interface BsdPlatform {
  readonly closeOnExec: number
  /** sizeof(struct ifreq): NetBSD's has room for a sockaddr_storage. */
  readonly ifreqBytes: number
  readonly SIOCGIFMTU: number
  /** Null on OpenBSD, where /dev/tap0 is tap0; macOS has no taps. */
  readonly TAPGIFNAME: number | null
  readonly hasTap: boolean
}

export const BSD_PLATFORMS: ReadonlyMap<string, BsdPlatform> = new Map([
  [
    'darwin',
    { closeOnExec: 0x1000000, ifreqBytes: 32, SIOCGIFMTU: ioctlReadWrite('i', 51, 32), TAPGIFNAME: null, hasTap: false },
  ],
  [
    'freebsd',
    {
      closeOnExec: 0x100000,
      ifreqBytes: 32,
      SIOCGIFMTU: ioctlReadWrite('i', 51, 32),
      TAPGIFNAME: ioctlRead('t', 93, 32),
      hasTap: true,
    },
  ],
  ['openbsd', { closeOnExec: 0x10000, ifreqBytes: 32, SIOCGIFMTU: ioctlReadWrite('i', 126, 32), TAPGIFNAME: null, hasTap: true }],
  [
    'netbsd',
    {
      closeOnExec: 0x400000,
      ifreqBytes: 144,
      SIOCGIFMTU: ioctlReadWrite('i', 126, 144),
      TAPGIFNAME: ioctlRead('e', 0, 144),
      hasTap: true,
    },
  ],
])

const NAME_BYTES = 16

/** A struct ifreq that names an interface, or nothing. */
export function ifreq(platform: BsdPlatform, name = ''): Uint8Array {
  const bytes = new Uint8Array(platform.ifreqBytes)
  bytes.set(new TextEncoder().encode(name).subarray(0, NAME_BYTES - 1))
  return bytes
}

/** The name in a struct ifreq, or any other bytes that end with a NUL. */
export function nameIn(bytes: Uint8Array): string {
  const name = bytes.subarray(0, NAME_BYTES)
  const end = name.indexOf(0)
  return new TextDecoder().decode(end < 0 ? name : name.subarray(0, end))
}

/** ifr_mtu, an int behind the name. */
export function mtuIn(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getInt32(NAME_BYTES, true)
}

// macOS's kernel controls.

export const PF_SYSTEM = 32
export const SYSPROTO_CONTROL = 2
const AF_SYS_CONTROL = 2
export const UTUN_CONTROL = 'com.apple.net.utun_control'
export const UTUN_OPT_IFNAME = 2
/** The family that stands before an IPv6 packet; IPv4's is 2 everywhere. */
export const DARWIN_AF_INET6 = 30

const controlInfo = layout.struct([layout.u32('id'), layout.blob(96, 'name')])
export const CTLIOCGINFO = ioctlReadWrite('N', 3, controlInfo.span)

const controlAddress = layout.struct([
  layout.u8('length'),
  layout.u8('family'),
  layout.u16('system'),
  layout.u32('id'),
  layout.u32('unit'),
  layout.blob(20, 'reserved'),
])

/** A struct ctl_info that asks for a control's number. */
export function controlNamed(name: string): Uint8Array {
  const bytes = new Uint8Array(controlInfo.span)
  bytes.set(new TextEncoder().encode(name), 4)
  return bytes
}

export function controlId(info: Uint8Array): number {
  return new DataView(info.buffer, info.byteOffset).getUint32(0, true)
}

/** A struct sockaddr_ctl. The unit is one more than the number in the interface's name; 0: the first that is free. */
export function controlPlace(id: number, unit: number): Uint8Array {
  const bytes = Buffer.alloc(controlAddress.span)
  controlAddress.encode(
    { length: bytes.length, family: PF_SYSTEM, system: AF_SYS_CONTROL, id, unit, reserved: Buffer.alloc(20) },
    bytes,
  )
  return new Uint8Array(bytes)
}

/** Errors that have other numbers than Linux's, with Linux's, which the links of this folder know. Those to 34 are the same, but for 11. */
const ERRORS: readonly [bsd: number, linux: number, name: string][] = [
  [11, 35, 'EDEADLK'],
  [35, EAGAIN, 'EAGAIN'],
  [40, EMSGSIZE, 'EMSGSIZE'],
  [48, EADDRINUSE, 'EADDRINUSE'],
  [50, ENETDOWN, 'ENETDOWN'],
  [54, ECONNRESET, 'ECONNRESET'],
  [55, ENOBUFS, 'ENOBUFS'],
  [57, ENOTCONN, 'ENOTCONN'],
  [61, ECONNREFUSED, 'ECONNREFUSED'],
]
const TO_LINUX = new Map(ERRORS.map(([bsd, linux]) => [bsd, linux]))
const NAMES = new Map(ERRORS.map(([, linux, name]) => [linux, name]))
/** What else there is above 34 keeps its number, far from Linux's. */
const OTHER = 1000

/** An error's number as the links know it. */
export function linuxErrno(errno: number): number {
  return TO_LINUX.get(errno) ?? (errno <= 34 ? errno : OTHER + errno)
}

/** The name of what `linuxErrno` gave. */
export function bsdErrnoName(errno: number): string {
  return NAMES.get(errno) ?? errnoName(errno >= OTHER ? errno - OTHER : errno)
}
