/**
 * `packet://eth0`: a stack, a switch or a multiplexer straight on a network card (or any other Ethernet interface of Linux), beside the kernel.
 *
 * Theory of operation. An AF_PACKET socket is bound to the interface and joins its promiscuous mode, so that frames for our own MAC address come in
 * although the card has another. Each frame has a virtio_net_hdr before it, as on a tap: the kernel gives what the card's receive offload has
 * put together, and takes super-segments and unfinished checksums, which the card finishes or the kernel does. frame-device.ts is the link. What this
 * machine itself sends by the card is not heard, nor does it hear us: as with macvlan, the two reach each other over a switch outside only.
 * The kernel hears all that we hear, and will answer for its own addresses; ours are to be others.
 */
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { FrameDevice } from './frame-device.ts'
import { HostSide } from './host-side.ts'
import { EAGAIN, ENETDOWN, ENODEV, EPERM, errnoName, loadKoffi, O_NONBLOCK, SOCK_CLOEXEC, SOCK_RAW } from './libc.ts'
import { checkOptions, flagOption, type LinkUrl, numberOption } from './link-url.ts'
import * as sock from './packet-socket.ts'
import { loadSystem, type System } from './system.ts'
import type { TapNetIf } from './tap.ts'
import { TUN_F_CSUM, TUN_F_TSO_ECN, TUN_F_TSO4, TUN_F_TSO6, VNET_HEADER } from './tuntap-wire.ts'
import { wholeNumber } from './whole-number.ts'

/** Which network card of the host, and which of its frames are heard. */
export interface PacketOptions {
  /** The interface: `eth0`. */
  name: string
  /** Frames for whomever. True when left out; false: those for the card's own address, broadcasts and groups that the kernel has joined. */
  promiscuous?: boolean | undefined
  /** What may wait in the kernel, in bytes. 4 MiB when left out. */
  receiveBufferBytes?: number | undefined
}

/** What opening one needs; tests give their own. */
export interface PacketSystem extends System {
  calls: sock.PacketCalls
}

/**
 * Opens an interface of this machine as a link.
 * @throws NetError EPERM (CAP_NET_RAW is needed), ENODEV (no such interface), ERR_INVALID_ARG_VALUE (no Ethernet), ERR_KOFFI_UNAVAILABLE,
 *   ERR_UNSUPPORTED_PLATFORM.
 */
export async function openPacket(options: PacketOptions, system?: PacketSystem): Promise<TapNetIf> {
  const { name, promiscuous = true, receiveBufferBytes = LINK_DEFAULTS.packetBufferBytes } = options
  if (name === '' || new TextEncoder().encode(name).length > 15)
    throw invalidArgument(`Invalid interface ${JSON.stringify(name)}`)
  wholeNumber('receiveBufferBytes', receiveBufferBytes, 0)
  const { libc, waker, calls } = system ?? (await kernel())
  const fd = libc.socket(sock.AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | O_NONBLOCK, 0)
  if (fd < 0) throw failed(name, 'open a packet socket', libc.errno(), 'socket')
  let side: HostSide | null = null
  try {
    side = new HostSide(libc, name)
    const index = indexOf(side, name)
    const { hardware, mtu } = side
    if (hardware !== sock.ARPHRD_ETHER && hardware !== sock.ARPHRD_LOOPBACK) {
      throw invalidArgument(`Invalid interface ${name}: it carries no Ethernet (hardware type ${hardware})`)
    }
    const set = (level: number, option: number, value: Uint8Array): boolean =>
      calls.setsockopt(fd, level, option, value, value.length) === 0
    const must = (option: number, value: Uint8Array, what: string): void => {
      if (!set(sock.SOL_PACKET, option, value)) throw failed(name, what, libc.errno(), 'setsockopt')
    }
    must(sock.PACKET_VNET_HDR, int32(1), 'have offloads')
    must(sock.PACKET_IGNORE_OUTGOING, int32(1), 'hear but what comes in (Linux 4.20 is needed)')
    must(sock.PACKET_AUXDATA, int32(1), 'hear of VLAN tags')
    const room = int32(receiveBufferBytes)
    if (!set(sock.SOL_SOCKET, sock.SO_RCVBUFFORCE, room)) set(sock.SOL_SOCKET, sock.SO_RCVBUF, room)
    const address = sock.packetAddress(index)
    if (libc.bind(fd, address, address.length) < 0) throw failed(name, 'bind to it', libc.errno(), 'bind')
    if (promiscuous) must(sock.PACKET_ADD_MEMBERSHIP, sock.promiscuous(index), 'make it promiscuous')
    const offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN
    return new FrameDevice(libc, waker, {
      fd,
      name,
      medium: 'ethernet',
      mtu,
      vnet: { known: offloads, accepted: offloads },
      what: 'packet socket',
      more: promiscuous ? ', promiscuous' : '',
      reader: (rx, at, rxAddress, most) => {
        const reader = new sock.PacketReader(libc, calls, fd, rx, at, rxAddress, most, VNET_HEADER)
        return () => {
          const got = reader.read()
          // An interface that goes down says so once, and is there again when it comes up; one that is deleted says the same.
          return got === -ENETDOWN && isThere(libc, name, index) ? -EAGAIN : got
        }
      },
      gone: (errno) => gone(name, errno),
    })
  } catch (error) {
    libc.close(fd)
    throw error
  } finally {
    side?.close()
  }
}

async function kernel(): Promise<PacketSystem> {
  const system = await loadSystem()
  const koffi = await loadKoffi()
  if (koffi.sizeof('void *') !== 8) {
    throw new NetError('ERR_UNSUPPORTED_PLATFORM', {
      message: `packet sockets need a machine of 64 bits, this is ${process.arch}`,
    })
  }
  return { ...system, calls: sock.packetCalls(koffi) }
}

function int32(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer)
}

function indexOf(side: HostSide, name: string): number {
  try {
    return side.index
  } catch {
    throw new NetError('ENODEV', {
      syscall: 'ioctl',
      message: `Cannot open ${name} (ENODEV): this machine has no such interface: see \`ip link\``,
    })
  }
}

function isThere(libc: System['libc'], name: string, index: number): boolean {
  try {
    const side = new HostSide(libc, name)
    try {
      return side.index === index
    } finally {
      side.close()
    }
  } catch {
    return false
  }
}

function failed(name: string, what: string, errno: number, syscall: string): NetError {
  const code = errnoName(errno)
  const why =
    errno === EPERM
      ? 'permission denied: run it with sudo, or give the program the right, `sudo setcap cap_net_raw+ep $(which node)`'
      : 'the kernel refused'
  return new NetError(code, { syscall, message: `Cannot open ${name}: cannot ${what} (${code}): ${why}` })
}

function gone(name: string, errno: number): NetError {
  const code = errnoName(errno)
  const why = errno === ENETDOWN || errno === ENODEV ? 'the interface was deleted' : 'reading failed'
  return new NetError(code, { syscall: 'recvmsg', message: `${name} has ended (${code}): ${why}` })
}

/** The options of `packet://eth0?promisc=off&buffer=BYTES`. */
export function packetOptions(url: LinkUrl): PacketOptions {
  checkOptions(url, ['promisc', 'buffer'])
  return { name: url.target, promiscuous: flagOption(url, 'promisc'), receiveBufferBytes: numberOption(url, 'buffer') }
}
