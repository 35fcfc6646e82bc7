/** Who has which UDP port: binding, ephemeral ports, and the best socket for a datagram. */
import type { Address } from '../base/address.ts'
import type { UdpConfig } from '../base/config.ts'
import { type Random, randomBelow } from '../base/random.ts'
import type { Interface } from '../ip/interface.ts'
import type { UdpSocket } from './socket.ts'

export class Ports {
  private readonly byPort = new Map<number, UdpSocket[]>()

  constructor(
    private readonly config: UdpConfig,
    private readonly random: Random,
  ) {}

  /** Sockets bound to a port, in the order of their binding. */
  at(port: number): readonly UdpSocket[] | undefined {
    return this.byPort.get(port)
  }

  /** All bound sockets. */
  *[Symbol.iterator](): Iterator<UdpSocket> {
    for (const list of this.byPort.values()) yield* list
  }

  /** May `socket` have `address` and `port`? */
  isFree(socket: UdpSocket, address: Address, port: number): boolean {
    const list = this.byPort.get(port)
    if (list === undefined) return true
    return list.every((other) => !conflict(socket, address, other))
  }

  /**
   * A free ephemeral port, or 0 when all are taken. RFC 6056 section 3.3.1: a random one, then on from there, so that a stranger
   * can neither guess ports nor learn from one which comes next.
   */
  ephemeral(socket: UdpSocket, address: Address): number {
    const { ephemeralFirst, ephemeralLast } = this.config
    const count = ephemeralLast - ephemeralFirst + 1
    const begin = randomBelow(this.random, count)
    for (let i = 0; i < count; i++) {
      const port = ephemeralFirst + ((begin + i) % count)
      if (this.isFree(socket, address, port)) return port
    }
    return 0
  }

  add(socket: UdpSocket): void {
    const list = this.byPort.get(socket.localPort)
    if (list === undefined) this.byPort.set(socket.localPort, [socket])
    else list.push(socket)
  }

  remove(socket: UdpSocket): void {
    const list = this.byPort.get(socket.localPort)
    if (list === undefined) return
    const at = list.indexOf(socket)
    if (at >= 0) list.splice(at, 1)
    if (list.length === 0) this.byPort.delete(socket.localPort)
  }

  /** The socket that fits best; of equals the one bound last, as Linux has it. `iface` null: any. */
  find(local: Address, port: number, remote: Address, remotePort: number, iface: Interface | null): UdpSocket | null {
    const list = this.byPort.get(port)
    if (list === undefined) return null
    let best: UdpSocket | null = null
    let bestScore = 0
    for (let i = 0; i < list.length; i++) {
      const score = fitness(list[i], local, remote, remotePort, iface)
      if (score > 0 && score >= bestScore) {
        best = list[i]
        bestScore = score
      }
    }
    return best
  }
}

/** How well a socket fits a datagram between `remote` and `local`; 0: not at all. */
export function fitness(s: UdpSocket, local: Address, remote: Address, remotePort: number, iface: Interface | null): number {
  let score = 1
  if (s.boundInterface !== null) {
    if (iface !== null && s.boundInterface !== iface) return 0
    score += 4
  }
  if (s.localAddress.isUnspecified) {
    if (!covers(s, local)) return 0
    if (s.localAddress.isV4 === local.isV4) score += 1
  } else {
    if (!s.localAddress.equals(local)) return 0
    score += 4
  }
  if (s.connected) {
    if (s.remotePort !== remotePort || !s.remoteAddress.equals(remote)) return 0
    score += 8
  }
  return score
}

/** A socket bound to the unspecified address of its family hears `a`: `::` hears IPv4 as well unless told otherwise. */
function covers(s: UdpSocket, a: Address): boolean {
  return s.localAddress.isV4 ? a.isV4 : !(a.isV4 && s.ipv6Only)
}

/** Binding `socket` to `address` at the port of `other` would take datagrams from it. */
function conflict(socket: UdpSocket, address: Address, other: UdpSocket): boolean {
  if (socket === other) return false
  if (socket.reuseAddress && other.reuseAddress) return false
  const i = socket.boundInterface
  if (i !== null && other.boundInterface !== null && i !== other.boundInterface) return false
  // What the other was bound to counts, not what connecting made of it.
  const theirs = other.boundAddress
  if (address.isUnspecified && theirs.isUnspecified) {
    if (address.isV4 === theirs.isV4) return true
    return !(address.isV4 ? other.ipv6Only : socket.ipv6Only)
  }
  if (address.isUnspecified) return address.isV4 ? theirs.isV4 : !(theirs.isV4 && socket.ipv6Only)
  if (theirs.isUnspecified) return theirs.isV4 ? address.isV4 : !(address.isV4 && other.ipv6Only)
  return address.equals(theirs)
}
