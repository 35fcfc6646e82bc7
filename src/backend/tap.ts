/**
 * Opening a kernel tap (Ethernet) or tun (IP) interface.
 *
 * Theory of operation. Everything that can be checked is checked before the first system call. Then: open, TUNSETIFF (which creates
 * the interface or attaches to it), offload, ownership, and only what was asked for of the kernel's side. A failure on the way
 * closes the descriptor, and with it the interface, unless that was there before. What the open device does is in frame-device.ts.
 *
 * The interface lives as long as the descriptor (unless made persistent), which the kernel closes however the process ends: there is
 * nothing to undo on a signal or a crash.
 */
import { type Prefix, address as parseAddress, prefix as parsePrefix } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import type { NetIf } from '../netif/netif.ts'
import { hasBsdTap, openBsdTap } from './bsd-device.ts'
import { FrameDevice } from './frame-device.ts'
import { HostSide } from './host-side.ts'
import { kernelHasAddress } from './kernel-addresses.ts'
import type { Libc } from './libc.ts'
import * as os from './libc.ts'
import type { System } from './system.ts'
import { loadSystem } from './system.ts'
import type { Kind } from './tuntap-errors.ts'
import { attachFailed, checkName, deviceGone, openFailed, setupFailed } from './tuntap-errors.ts'
import * as wire from './tuntap-wire.ts'

/** Which tap or tun, and how the kernel's side of it is set up. */
export interface TapOptions {
  /** Interface name, up to 15 bytes; `tap%d` takes the first free number. Created, or attached to if it is there. Default `tap0` or `tun0`. */
  name?: string
  /** Addresses of the kernel's side with their prefix lengths, IPv4 and IPv6: `10.0.0.1/24`. Also sets the interface up. */
  host?: string | readonly string[]
  /** MTU of the interface, 68 to 65521 (tap) or 65535 (tun). Left out, the interface keeps what it has: 1500 when new. */
  mtu?: number
  /** Super-segments and unfinished checksums, as far as the kernel has them. Default true; false: plain MTU-sized frames. */
  offload?: boolean
  /** Also receive UDP super-datagrams (UDP_SEGMENT senders), as frames of kind GSO_UDP. Default false: the kernel splits them. */
  uso?: boolean
  /** Number of queues. Only 1. */
  queues?: number
  /** True: the interface stays when closed. False: it goes, even if it was persistent. Left out: as it is. */
  persist?: boolean
  /** Who may attach to a persistent interface without privilege: user or group, by name or number. */
  owner?: string | number
  group?: string | number
  /** Set the kernel's side up or down. Default: up when `host` is given, else untouched. */
  up?: boolean
  /** TUNSETSNDBUF in bytes: what may be under way in the kernel before `send()` answers false. Default: the kernel's, unlimited. */
  sendBufferBytes?: number
}

/** What opening a device needs of its surroundings; tests give their own. */
export interface TapSystem extends System {
  /** Whether the interface already has the address. */
  hasAddress(index: number, prefix: Prefix): boolean
}

/** An open tap or tun. */
export interface TapNetIf extends NetIf {
  /** The virtio_net_hdr is in use. */
  readonly vnetHeader: boolean
  close(): Promise<void> | void
  counters(): Record<string, number>
  describe(): string
  ref(on: boolean): void
}

/**
 * Opens a tap: an Ethernet link to the kernel of this machine. Creates the interface, or attaches to a persistent one.
 * @throws NetError with one line that says what to do: EPERM, EACCES, ENOENT (no tun driver), EBUSY (someone has it), EINVAL
 *   (another kind of device), ERR_INVALID_ARG_VALUE, ERR_KOFFI_UNAVAILABLE, ERR_UNSUPPORTED_PLATFORM.
 */
export async function openTap(options: TapOptions = {}, system?: TapSystem): Promise<TapNetIf> {
  if (system === undefined && hasBsdTap(process.platform)) return openBsdTap(options)
  return open('tap', options, system ?? (await kernel()))
}

/** Opens a tun: as `openTap`, but frames are bare IP packets. */
export async function openTun(options: TapOptions = {}, system?: TapSystem): Promise<TapNetIf> {
  return open('tun', options, system ?? (await kernel()))
}

async function kernel(): Promise<TapSystem> {
  const system = await loadSystem()
  return { ...system, hasAddress: (index, prefix) => kernelHasAddress(system.libc, index, prefix) }
}

const MTU_MIN = 68
/** MAX_MTU - dev->hard_header_len in the kernel's drivers/net/tun.c. */
const MTU_MAX = { tap: 65535 - 14, tun: 65535 } as const

interface Plan {
  name: string
  host: Prefix[]
  owner: number
  group: number
}

/** Checks everything that can be checked before a system call is made. */
function plan(kind: Kind, options: TapOptions, libc: Libc): Plan {
  const name = options.name ?? `${kind}0`
  checkName(kind, name)
  const { mtu, queues = 1 } = options
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= MTU_MIN && mtu <= MTU_MAX[kind])) {
    throw invalidArgument(`Invalid MTU ${mtu} for ${name}: ${MTU_MIN} to ${MTU_MAX[kind]} expected`)
  }
  if (queues !== 1) throw invalidArgument(`Invalid number of queues ${queues} for ${name}: only 1 is supported`)
  const texts = options.host === undefined ? [] : typeof options.host === 'string' ? [options.host] : options.host
  const host = texts.map((text) => {
    if (!text.includes('/')) {
      parseAddress(text)
      throw invalidArgument(`Invalid host address ${text} for ${name}: a prefix length is missing, as in ${text}/24`)
    }
    return parsePrefix(text)
  })
  return {
    name,
    host,
    owner: identity('user', options.owner, (n) => libc.uidOf(n)),
    group: identity('group', options.group, (n) => libc.gidOf(n)),
  }
}

/** A uid or gid; -1 when none was given. */
function identity(what: string, given: string | number | undefined, find: (name: string) => number): number {
  if (given === undefined) return -1
  const id = typeof given === 'number' ? given : /^\d+$/.test(given) ? Number(given) : find(given)
  if (Number.isInteger(id) && id >= 0 && id < 0xffffffff) return id
  throw invalidArgument(`Invalid ${what} ${JSON.stringify(given)}: this machine has no ${what} of that name`)
}

function open(kind: Kind, options: TapOptions, system: TapSystem): TapNetIf {
  const { libc } = system
  const { name: asked, host, owner, group } = plan(kind, options, libc)
  const fd = libc.open(wire.TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
  if (fd < 0) throw openFailed(kind, asked, libc.errno())
  let side: HostSide | null = null
  try {
    const { name, vnet } = attach(libc, fd, kind, asked, options.offload ?? true)
    const setInt = (request: number, value: number, what: string): void => {
      if (libc.ioctl(fd, request, new Uint8Array(Int32Array.of(value).buffer)) < 0) throw setupFailed(what, libc.errno())
    }
    const setValue = (request: number, value: number, what: string): void => {
      if (libc.ioctlValue(fd, request, value) < 0) throw setupFailed(what, libc.errno())
    }
    // A persistent interface keeps what its last user set: say all of it again.
    const accepted = negotiate(libc, fd, vnet, options.uso ?? false)
    if (vnet) {
      setInt(wire.TUNSETVNETHDRSZ, wire.VNET_HEADER, `set the frame header of ${name}`)
      setInt(wire.TUNSETVNETLE, 1, `set the byte order of ${name}`)
    }
    if (options.sendBufferBytes !== undefined) {
      setInt(wire.TUNSETSNDBUF, options.sendBufferBytes, `set the send buffer of ${name} to ${options.sendBufferBytes} bytes`)
    }
    if (owner >= 0) setValue(wire.TUNSETOWNER, owner, `give ${name} to user ${options.owner}`)
    if (group >= 0) setValue(wire.TUNSETGROUP, group, `give ${name} to group ${options.group}`)
    if (options.persist !== undefined) setValue(wire.TUNSETPERSIST, options.persist ? 1 : 0, `make ${name} persistent`)

    side = new HostSide(libc, name)
    if (options.mtu !== undefined) side.setMtu(options.mtu)
    for (const prefix of host) side.addAddress(prefix, system.hasAddress)
    const up = options.up ?? (host.length > 0 ? true : undefined)
    if (up !== undefined) side.setUp(up)
    return new FrameDevice(libc, system.waker, {
      fd,
      name,
      medium: kind === 'tap' ? 'ethernet' : 'ip',
      mtu: side.mtu,
      vnet: vnet ? accepted : undefined,
      what: kind,
      more: host.length > 0 ? `, host ${host.join(' ')}` : '',
      gone: (errno) => deviceGone(name, errno),
    })
  } catch (error) {
    libc.close(fd)
    throw error
  } finally {
    side?.close()
  }
}

/** TUNSETIFF, with a vnet header if wanted and had. The kernel writes the real name back (`tap%d`). */
function attach(libc: Libc, fd: number, kind: Kind, asked: string, wantVnet: boolean): { name: string; vnet: boolean } {
  const request = Buffer.alloc(wire.IFREQ_SIZE)
  const mode = (kind === 'tap' ? wire.IFF_TAP : wire.IFF_TUN) | wire.IFF_NO_PI
  for (const vnet of wantVnet ? [true, false] : [false]) {
    request.fill(0)
    request.write(asked, wire.IFREQ.name, 'utf8')
    request.writeUInt16LE(mode | (vnet ? wire.IFF_VNET_HDR : 0), wire.IFREQ.value)
    if (libc.ioctl(fd, wire.TUNSETIFF, request) === 0) {
      const end = request.indexOf(0)
      return { name: request.toString('utf8', 0, Math.min(end, wire.IFNAMSIZ - 1)), vnet }
    }
    const errno = libc.errno()
    // A kernel without the vnet header says EINVAL, as it does to a device of another kind: trying without tells them apart.
    if (errno !== os.EINVAL || !vnet) throw attachFailed(kind, asked, errno)
  }
  throw attachFailed(kind, asked, os.EINVAL)
}

/** TUNSETOFFLOAD, as much as the kernel takes: `known` to it, and set `now`. */
function negotiate(libc: Libc, fd: number, vnet: boolean, uso: boolean): { known: number; accepted: number } {
  if (!vnet) {
    // Left over from a former user it would give us super-segments without a header to tell.
    libc.ioctlValue(fd, wire.TUNSETOFFLOAD, 0)
    return { known: 0, accepted: 0 }
  }
  const known = wire.OFFLOAD_STEPS.find((bits) => libc.ioctlValue(fd, wire.TUNSETOFFLOAD, bits) === 0) ?? 0
  const now = uso ? known : known & ~(wire.TUN_F_USO4 | wire.TUN_F_USO6)
  if (now === known || libc.ioctlValue(fd, wire.TUNSETOFFLOAD, now) === 0) return { known, accepted: now }
  return { known, accepted: known }
}
