/**
 * UDP (RFC 768, RFC 1122 section 4.1), family-neutral.
 *
 * Theory of operation. In: length and checksum are judged, the best socket for (destination, port, source, port) is found in a list
 * per port, and the payload is copied into that socket's bounded queue; the socket goes on the tell list. Broadcasts and multicasts
 * go to every socket that fits. Nobody there: port unreachable. Out: the datagram is built in the stack's frame and sent at once,
 * since user code never runs inside protocol code; the checksum is left to the link where it can (PARTIAL). A full link is the
 * caller's to know: nothing is queued here, `onWritable` follows.
 */
import type { Address } from '../base/address.ts'
import { copyBytes, get16, put16 } from '../base/bytes.ts'
import { checksum, sumBytes } from '../base/checksum.ts'
import type { UdpConfig } from '../base/config.ts'
import { Counters } from '../base/counters.ts'
import { NetError, stackClosed } from '../base/errors.ts'
import type { BufferPool } from '../base/pool.ts'
import type { Random } from '../base/random.ts'
import type { TellList } from '../base/tell.ts'
import type { Interface } from '../ip/interface.ts'
import { ErrorKind, type ErrorReport, type Ip, type Protocol } from '../ip/ip.ts'
import { Packet, PROTO_UDP, To } from '../ip/packet.ts'
import { pseudoSum } from '../ip/pseudo-header.ts'
import { RouteKind } from '../ip/route.ts'
import { type Frame, PAYLOAD_AT } from '../netif/frame.ts'
import { CSUM_MASK, CSUM_NONE, CSUM_PARTIAL, GSO_MASK, GSO_UDP, gsoSize } from '../netif/netif.ts'
import { C, NAMES } from './counters.ts'
import { Memberships } from './memberships.ts'
import { fitness, Ports } from './ports.ts'
import { type UdpHandler, type UdpOptions, UdpSocket } from './socket.ts'
import { UDP, UDP_HEADER } from './wire.ts'

export interface UdpDependencies {
  ip: Ip
  /** The stack's transmit frame. */
  frame: Frame
  random: Random
  pool: BufferPool
  config: UdpConfig
  tells: TellList
  /** Something was sent outside a turn: schedule one, so that links are flushed. */
  wake: () => void
  /** A bound socket keeps the process alive (unless told otherwise); `release` is called as often as `hold`. */
  hold?: () => void
  release?: () => void
}

/** Largest IP packet. */
const IP_MAX = 65535

function nothing(): void {}

export class Udp implements Protocol {
  readonly counters = new Counters(NAMES)
  readonly ip: Ip
  readonly config: UdpConfig
  readonly pool: BufferPool
  readonly tells: TellList
  private readonly frame: Frame
  private readonly ports: Ports
  private readonly wake: () => void
  private readonly hold: () => void
  private readonly release: () => void
  /** Sockets whose last send found the link full. */
  private readonly waiting: UdpSocket[] = []

  /** Sockets that have joined groups, bound or not. */
  private readonly members = new Set<UdpSocket>()
  /** What is sent to groups, on its way back to us; made when the first is. */
  private looped: Packet | null = null
  private isClosed = false

  constructor(deps: UdpDependencies) {
    this.ip = deps.ip
    this.config = deps.config
    this.pool = deps.pool
    this.tells = deps.tells
    this.frame = deps.frame
    this.wake = deps.wake
    this.hold = deps.hold ?? nothing
    this.release = deps.release ?? nothing
    this.ports = new Ports(deps.config, deps.random)
    deps.ip.register(PROTO_UDP, this)
  }

  /** A new socket, bound to nothing. */
  open(handler: UdpHandler = {}, options: UdpOptions = {}): UdpSocket {
    return new UdpSocket(this, handler, options)
  }

  /** Bound sockets, for listings. */
  sockets(): UdpSocket[] {
    return [...this.ports]
  }

  /** The link of `iface` has room again. */
  linkWritable(iface: Interface): void {
    let kept = 0
    for (let i = 0; i < this.waiting.length; i++) {
      const socket = this.waiting[i]
      if (socket.blockedOn === iface) {
        socket.blockedOn = null
        socket.unblocked()
      } else this.waiting[kept++] = socket
    }
    this.waiting.length = kept
  }

  /** Closes every socket: the stack ends. */
  close(): void {
    this.isClosed = true
    for (const socket of [...this.sockets(), ...this.members]) socket.close()
  }

  // In

  input(packet: Packet): void {
    const n = this.counters.values
    const { buf, off, source, destination } = packet
    const available = packet.end - off
    if (available < UDP_HEADER) {
      this.bad(C.udpDropTooShort)
      return
    }
    const length = get16(buf, off + UDP.length)
    if (length < UDP_HEADER || length > available) {
      this.bad(C.udpDropBadLength)
      return
    }
    if ((packet.meta & CSUM_MASK) === CSUM_NONE) {
      if (get16(buf, off + UDP.checksum) === 0) {
        // RFC 768: zero says that none was made. IPv6 has no header checksum that would make up for it (RFC 8200 section 8.1).
        if (!destination.isV4) {
          this.bad(C.udpDropNoChecksum)
          return
        }
      } else if (sumBytes(buf, off, length, pseudoSum(source, destination, PROTO_UDP, length)) !== 0xffff) {
        this.bad(C.udpInCsumErrors)
        return
      }
    }
    const port = get16(buf, off + UDP.destinationPort)
    const remotePort = get16(buf, off + UDP.sourcePort)
    if (packet.to === To.BROADCAST || packet.to === To.MULTICAST) {
      this.inputToMany(packet, port, remotePort, length)
      return
    }
    const socket = this.ports.find(destination, port, source, remotePort, packet.iface)
    if (socket !== null) {
      this.arrive(socket, packet, remotePort, length)
      return
    }
    n[C.udpNoPorts]++
    if (this.config.portUnreachable) this.ip.errors.unreachable(packet, ErrorKind.PORT_UNREACHABLE)
  }

  private inputToMany(packet: Packet, port: number, remotePort: number, length: number): void {
    const list = this.ports.at(port)
    let heard = false
    if (list !== undefined) {
      for (let i = 0; i < list.length; i++) {
        if (fitness(list[i], packet.destination, packet.source, remotePort, packet.iface) === 0) continue
        if (packet.to === To.MULTICAST && !list[i].hears(packet)) continue
        heard = true
        this.arrive(list[i], packet, remotePort, length)
      }
    }
    if (!heard) this.counters.values[C.udpIgnoredMulti]++
  }

  /** Gives a datagram to a socket: or several, when the link has put a train of them together (UDP super-segments). */
  private arrive(socket: UdpSocket, packet: Packet, remotePort: number, length: number): void {
    const n = this.counters.values
    const end = packet.off + length
    const size = (packet.meta & GSO_MASK) === GSO_UDP ? gsoSize(packet.meta) : 0
    let at = packet.off + UDP_HEADER
    do {
      const part = size > 0 && end - at > size ? size : end - at
      if (socket.arrived(packet, remotePort, at, part)) n[C.udpInDatagrams]++
      else {
        n[C.udpInErrors]++
        n[C.udpRcvbufErrors]++
      }
      at += part
    } while (at < end)
  }

  error(report: ErrorReport): void {
    const n = this.counters.values
    const port = get16(report.quote, report.off + UDP.sourcePort)
    const remotePort = get16(report.quote, report.off + UDP.destinationPort)
    const socket = this.ports.find(report.source, port, report.destination, remotePort, null)
    if (socket === null) {
      n[C.udpErrorsNoSocket]++
      return
    }
    const tooBig = report.kind === ErrorKind.PACKET_TOO_BIG
    if (tooBig) this.ip.pathMtu?.learn(report)
    // RFC 1122 section 4.1.3.3. Unconnected sockets would not know whose error it is; soft errors may pass by themselves.
    if (socket.connected && (report.local || (tooBig ? socket.dontFragment : isHard(report.kind))))
      socket.failed(report.errorCode)
    else if (!tooBig) n[C.udpErrorsIgnored]++
  }

  // What sockets ask

  bindSocket(socket: UdpSocket, wanted: Address, port: number): void {
    let local = wanted
    if (local.isLinkLocal && local.zone === 0) {
      local = local.clone()
      this.ip.settle(local)
    }
    if (this.isClosed) throw stackClosed()
    if (socket.closed) throw new NetError('EBADF', { syscall: 'bind' })
    if (socket.localPort !== 0 || !isPort(port)) throw refusal('EINVAL', 'bind', local, port)
    if (local.isMulticast && local.zone !== 0) {
      // What comes in to a group has no zone: the interface is it.
      const zone = this.ip.zoneOf(local, socket.boundInterface)
      if (zone === null) throw refusal('EINVAL', 'bind', local, port)
      socket.boundInterface = zone
      local = local.clone()
      local.zone = 0
    }
    if (local.isV4 ? socket.ipv6Only : socket.family === 4) throw refusal('EAFNOSUPPORT', 'bind', local, port)
    if (!local.isUnspecified && !this.isBindable(local)) throw refusal('EADDRNOTAVAIL', 'bind', local, port)
    const chosen = port === 0 ? this.ports.ephemeral(socket, local) : port
    if (chosen === 0 || !this.ports.isFree(socket, local, chosen)) throw refusal('EADDRINUSE', 'bind', local, port)
    socket.boundAddress.copy(local)
    socket.localAddress.copy(local)
    socket.localPort = chosen
    this.ports.add(socket)
    if (socket.ref) this.hold()
  }

  connect(socket: UdpSocket, remote: Address, port: number): void {
    if (socket.closed) throw new NetError('EBADF', { syscall: 'connect' })
    if (port === 0 || !isPort(port)) throw refusal('EINVAL', 'connect', remote, port)
    if (socket.localPort === 0) this.bindSocket(socket, socket.any, 0)
    if (socket.connected) socket.disconnect()
    this.findRoute(socket, remote, port, 'connect')
    if (socket.route.kind === RouteKind.BROADCAST && !socket.broadcast) throw refusal('EACCES', 'connect', remote, port)
    socket.connected = true
    socket.remoteAddress.copy(socket.route.destination) // with its zone
    socket.remotePort = port
    // As connect(2): the source address is settled now.
    if (socket.localAddress.isUnspecified) socket.localAddress.copy(socket.route.source)
  }

  send(
    socket: UdpSocket,
    buf: Uint8Array,
    off: number,
    len: number,
    remote: Address | null,
    port: number,
    source: Address | null,
  ): boolean {
    if (socket.closed) throw new NetError('EBADF', { syscall: 'send' })
    if (socket.connected) {
      if (remote !== null) throw refusal('EISCONN', 'send', remote, port)
    } else if (remote === null) throw new NetError('EDESTADDRREQ', { syscall: 'send' })
    const to = remote ?? socket.remoteAddress
    const toPort = socket.connected ? socket.remotePort : port
    if (toPort === 0 || !isPort(toPort)) throw refusal('EINVAL', 'send', to, toPort)
    if (off < 0 || len < 0 || off + len > buf.length) throw refusal('EINVAL', 'send', to, toPort)
    if (socket.localPort === 0) this.bindSocket(socket, socket.any, 0)
    const { route } = socket
    const isKept = source === null ? !socket.pinned : socket.pinned && route.source.equals(source)
    if (!isKept || route.generation !== this.ip.generation || !route.destination.equals(to)) {
      this.findRoute(socket, to, toPort, 'send', source)
    }
    if (route.kind === RouteKind.BROADCAST && !socket.broadcast) throw refusal('EACCES', 'send', to, toPort)
    const family = to.isV4 ? this.ip.v4! : this.ip.v6!
    const length = UDP_HEADER + len
    const total = family.headerBytes + length
    if (total > IP_MAX || (socket.dontFragment && total > route.mtu)) throw refusal('EMSGSIZE', 'send', to, toPort)

    const frame = this.frame.reset()
    const at = PAYLOAD_AT - UDP_HEADER
    frame.start = at
    frame.end = PAYLOAD_AT + len
    copyBytes(buf, off, frame.buf, PAYLOAD_AT, len)
    put16(frame.buf, at + UDP.sourcePort, socket.localPort)
    put16(frame.buf, at + UDP.destinationPort, toPort)
    put16(frame.buf, at + UDP.length, length)
    const pseudo = pseudoSum(route.source, route.destination, PROTO_UDP, length)
    if (route.iface!.checksumOffload && total <= route.mtu) {
      put16(frame.buf, at + UDP.checksum, pseudo)
      frame.meta = CSUM_PARTIAL
    } else {
      put16(frame.buf, at + UDP.checksum, 0)
      // RFC 768: a sum of zero is sent as all ones.
      put16(frame.buf, at + UDP.checksum, checksum(frame.buf, at, length, pseudo) || 0xffff)
    }
    const group = route.kind === RouteKind.MULTICAST
    const ttl = group ? socket.multicastTtl : socket.ttl
    // RFC 1112 section 6.1: with a TTL of 0 it stays here.
    if ((!group || ttl > 0) && !family.output(frame, route, PROTO_UDP, socket.tos, ttl, socket.dontFragment)) {
      this.counters.values[C.udpOutBlocked]++
      if (socket.blockedOn === null) this.waiting.push(socket)
      socket.blockedOn = route.iface
      return false
    }
    this.counters.values[C.udpOutDatagrams]++
    if (group && socket.multicastLoop) this.loop(socket, buf, off, length, toPort)
    this.wake()
    return true
  }

  /** What was sent to a group is heard here as well, where it is listened to on that interface (RFC 1112 section 6.1). */
  private loop(socket: UdpSocket, buf: Uint8Array, off: number, length: number, port: number): void {
    const { source, destination, iface } = socket.route
    if (iface === null || iface.isLoopback || !iface.groups.accepts(destination, source)) return
    if (this.looped === null) this.looped = new Packet(iface)
    const packet = this.looped
    packet.iface = iface
    packet.buf = buf
    packet.off = off - UDP_HEADER // where the header would be; nobody looks at it any more
    packet.end = packet.off + length
    packet.source.copy(source)
    packet.destination.copy(destination)
    packet.destination.zone = 0
    packet.ttl = socket.multicastTtl
    packet.tos = socket.tos
    packet.meta = 0
    packet.to = To.MULTICAST
    this.inputToMany(packet, port, socket.localPort, length)
  }

  /** An interface goes: what was joined there is left. */
  dropInterface(iface: Interface): void {
    for (const socket of this.members) {
      socket.memberships?.drop(iface)
      if (socket.multicastInterface === iface) socket.multicastInterface = null
    }
    if (this.looped?.iface === iface) this.looped = null
  }

  /** The groups of a socket that is about to join one. Throws EBADF. */
  membershipsOf(socket: UdpSocket): Memberships {
    if (this.isClosed) throw stackClosed()
    if (socket.closed) throw new NetError('EBADF', { syscall: 'setsockopt' })
    if (socket.memberships === null) {
      socket.memberships = new Memberships(this.config)
      this.members.add(socket)
    }
    this.wake() // routers are told in the next turn
    return socket.memberships
  }

  /** A socket has closed. */
  closed(socket: UdpSocket): void {
    if (socket.localPort !== 0) {
      this.ports.remove(socket)
      if (socket.ref) this.release()
    }
    if (socket.memberships !== null) {
      this.members.delete(socket)
      this.wake()
    }
    if (socket.blockedOn !== null) this.waiting.splice(this.waiting.indexOf(socket), 1)
  }

  /** Makes the socket's route lead to `to`; throws what stands against it. */
  private findRoute(socket: UdpSocket, to: Address, port: number, syscall: string, source: Address | null = null): void {
    const { route, localAddress: local } = socket
    if (to.isV4 ? socket.ipv6Only : socket.family === 4)
      throw refusal(to.isV4 ? 'ENETUNREACH' : 'EAFNOSUPPORT', syscall, to, port)
    if (!local.isUnspecified && local.isV4 !== to.isV4) throw refusal('EAFNOSUPPORT', syscall, to, port)
    // Groups and broadcast addresses can be heard at, not sent from.
    const usual = local.isMulticast || this.isBroadcast(local) ? socket.any : local
    socket.pinned = source !== null
    let iface = socket.boundInterface
    let from = source ?? usual
    if (to.isMulticast) {
      iface ??= socket.multicastInterface
      if (from.isUnspecified && !socket.multicastSource.isUnspecified && socket.multicastSource.isV4 === to.isV4)
        from = socket.multicastSource
    }
    const code = this.ip.route(to, from, iface, route)
    if (code === null) return
    route.generation = (this.ip.generation - 1) | 0
    throw refusal(code, syscall, to, port)
  }

  /** One of our addresses, a group, or a broadcast address of ours. */
  private isBindable(a: Address): boolean {
    return a.isMulticast || this.ip.isLocal(a) || this.isBroadcast(a)
  }

  private isBroadcast(a: Address): boolean {
    return a.isLimitedBroadcast || this.ip.interfaces.some((i) => i.addresses.some((own) => own.broadcast?.equals(a)))
  }

  private bad(reason: number): void {
    this.counters.values[C.udpInErrors]++
    this.counters.values[reason]++
  }
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65535
}

/** Errors that will not pass by waiting (what Linux calls fatal in icmp_err_convert). */
function isHard(kind: number): boolean {
  return (
    kind === ErrorKind.PORT_UNREACHABLE ||
    kind === ErrorKind.PROTOCOL_UNREACHABLE ||
    kind === ErrorKind.PROHIBITED ||
    kind === ErrorKind.PARAMETER_PROBLEM
  )
}

function refusal(code: string, syscall: string, to: Address, port: number): NetError {
  return new NetError(code, { syscall, address: to.toString(), port })
}
