/**
 * A UDP socket in the raw shape: synchronous and non-blocking. What its owner does leaves at once; what happens to it is told by the
 * handler, in the tell step of a turn, when no protocol code is on the stack.
 */
import { Address, ANY, ANY_V4 } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import type { Tellable } from '../base/tell.ts'
import { FilterMode } from '../ip/groups.ts'
import type { Interface } from '../ip/interface.ts'
import type { Packet } from '../ip/packet.ts'
import { Route } from '../ip/route.ts'
import { parseScoped } from '../ip/zone.ts'
import { changeSource, joinGroup, leaveGroup, setMulticastInterface, setSources } from './join.ts'
import type { Memberships } from './memberships.ts'
import { type Datagram, ReceiveQueue } from './receive-queue.ts'
import type { Udp } from './udp.ts'

/** What a socket calls. Methods not needed may be left out. */
export interface UdpHandler {
  /** Datagrams arrived. Called again only after more arrive. */
  onReadable?(socket: UdpSocket): void
  /** There is room again after a `send` that returned false. */
  onWritable?(socket: UdpSocket): void
  /** An error came back for something sent by a connected socket (ECONNREFUSED, EHOSTUNREACH, ...). The socket lives on. */
  onError?(socket: UdpSocket, error: NetError): void
}

/** Where to bind, and what the socket is to be like. */
export interface UdpOptions {
  /** 4 (default): IPv4 only. 6: IPv6, and IPv4 as well unless `ipv6Only`. */
  family?: 4 | 6
  ipv6Only?: boolean
  /** SO_REUSEADDR: several sockets may share an address and port if all of them say so. */
  reuseAddress?: boolean
  /** Hear and send by this interface only (SO_BINDTODEVICE). */
  iface?: Interface
  /** False: does not keep the process alive while bound. True when left out. */
  ref?: boolean
}

/** A UDP socket in the raw shape. Made by `stack.udp.open`. */
export class UdpSocket implements Tellable {
  handler: UdpHandler
  readonly family: 4 | 6
  readonly ipv6Only: boolean
  readonly reuseAddress: boolean
  readonly ref: boolean
  /** The kept route has a source that a single send asked for. */
  pinned = false
  /** The only one to hear and send by; binding to a group with a zone sets it. */
  boundInterface: Interface | null
  /** SO_BROADCAST: without it, sending to a broadcast address is EACCES. */
  broadcast = false
  /** 0: the stack's default. */
  ttl = 0
  /** RFC 1112 section 6.1: 1 unless asked; 0: not beyond this stack. */
  multicastTtl = 1
  /** What is sent to a group is heard by sockets of this stack, too, where it has joined the group (IP_MULTICAST_LOOP). */
  multicastLoop = true
  /** Groups that others of this stack have joined are heard as well (IP_MULTICAST_ALL). */
  multicastAll = true
  /** Where groups are sent by; null: routing's choice (IP_MULTICAST_IF). */
  multicastInterface: Interface | null = null
  /** The source address for groups, when nothing else says one. */
  readonly multicastSource = new Address()
  /** What was joined; null: nothing ever. */
  memberships: Memberships | null = null
  /** Traffic class of what is sent: DSCP and ECN. */
  tos = 0
  /** Never fragment: what does not fit the path is EMSGSIZE. */
  dontFragment = false
  /** Bytes of waiting datagrams, 48 more for each of them. */
  receiveBufferBytes: number
  /** What bind asked for; `localAddress` is more precise once connected. */
  readonly boundAddress = new Address()
  readonly localAddress = new Address()
  localPort = 0
  readonly remoteAddress = new Address()
  remotePort = 0
  connected = false
  closed = false
  /** Datagrams dropped because the queue was full. */
  drops = 0
  told = false
  /** The way to the last destination; kept while it holds. Owned by Udp. */
  readonly route = new Route()
  /** The interface that was full when we last wanted to send; null while nothing waits. Owned by Udp. */
  blockedOn: Interface | null = null
  private readonly queue: ReceiveQueue
  private hasArrivals = false
  private hasRoom = false
  /** Code of an error not yet told. */
  private fault = ''

  /** Made by `Udp.open`. */
  constructor(
    private readonly udp: Udp,
    handler: UdpHandler,
    options: UdpOptions,
  ) {
    this.handler = handler
    this.family = options.family ?? 4
    this.ipv6Only = options.ipv6Only ?? false
    this.reuseAddress = options.reuseAddress ?? false
    this.ref = options.ref ?? true
    this.boundInterface = options.iface ?? null
    this.receiveBufferBytes = udp.config.receiveBufferBytes
    this.queue = new ReceiveQueue(udp.pool)
    this.boundAddress.copy(this.any)
    this.localAddress.copy(this.any)
  }

  /** The unspecified address of the socket's family. */
  get any(): Address {
    return this.family === 4 ? ANY_V4 : ANY
  }

  /** Datagrams waiting. */
  get readable(): number {
    return this.queue.count
  }

  /** Payload bytes of the first waiting datagram. */
  get nextLength(): number {
    return this.queue.nextLength
  }

  /** Bytes of waiting datagrams, with what they cost to keep. */
  get queuedBytes(): number {
    return this.queue.bytes
  }

  /**
   * Takes a local address and port (0: an ephemeral one, at random). Throws NetError: EINVAL when bound already, EADDRINUSE,
   * EADDRNOTAVAIL when the address is not one of the stack's, EAFNOSUPPORT.
   */
  bind(local: Address | string, port: number): void {
    this.udp.bindSocket(this, typeof local === 'string' ? parseScoped(this.udp.ip, local) : local, port)
  }

  /**
   * Sends to and hears only this peer from now on, and hears of its errors. Throws NetError: ENETUNREACH and its like, EACCES for a
   * broadcast address, EINVAL for port 0.
   */
  connect(remote: Address | string, port: number): void {
    this.udp.connect(this, typeof remote === 'string' ? parseScoped(this.udp.ip, remote) : remote, port)
  }

  /** Ends `connect`. */
  disconnect(): void {
    if (!this.connected) throw new NetError('ENOTCONN', { syscall: 'disconnect' })
    this.connected = false
    this.remotePort = 0
    this.remoteAddress.copy(this.any)
    this.localAddress.copy(this.boundAddress)
    this.route.generation = (this.udp.ip.generation - 1) | 0
  }

  /**
   * Sends one datagram of `len` bytes at `buf[off]`, to the connected peer when `remote` is null. True: sent (which, with UDP,
   * promises nothing). False: the link is full, nothing was sent, `onWritable` follows. Binds first if that was not done. Throws
   * NetError: EDESTADDRREQ, EISCONN, EMSGSIZE, EACCES, ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, ENETDOWN, EINVAL, EAFNOSUPPORT,
   * EBADF once closed. `source`: one of our addresses to send from, as an answer comes from the address that was asked
   * (RFC 1122 section 4.1.3.5); otherwise the bound one, or routing's choice.
   */
  send(buf: Uint8Array, off: number, len: number, remote: Address | null, port: number, source: Address | null = null): boolean {
    return this.udp.send(this, buf, off, len, remote, port, source)
  }

  /** Moves the first waiting datagram to `into`. False: there is none. */
  receive(into: Datagram): boolean {
    if (this.queue.count === 0) return false
    const index = this.queue.shift(into)
    into.iface = null
    for (const i of this.udp.ip.interfaces) if (i.index === index) into.iface = i
    return true
  }

  /**
   * Joins a multicast group, for all sources or for `source` (again for another). `iface`: an interface, its name, or one of its addresses;
   * null: the group's zone, or routing's choice. Throws NetError: EINVAL for what is no group, ENODEV, EADDRINUSE (joined already), ENOBUFS
   * (too many groups, or sources), EADDRNOTAVAIL (the source is there already), EAFNOSUPPORT, ENOPROTOOPT (the other family), EBADF.
   */
  joinGroup(group: Address | string, iface: Interface | string | null = null, source: Address | string | null = null): void {
    joinGroup(this.udp, this, group, iface, source)
  }

  /** Ends what `joinGroup` began, for all sources or for `source`. Throws NetError as `joinGroup`; EADDRNOTAVAIL: not joined. */
  leaveGroup(group: Address | string, iface: Interface | string | null = null, source: Address | string | null = null): void {
    leaveGroup(this.udp, this, group, iface, source)
  }

  /** Hears the group, which was joined for all sources, no more from `source`. Throws NetError as `joinGroup`. */
  blockSource(group: Address | string, source: Address | string, iface: Interface | string | null = null): void {
    changeSource(this.udp, this, group, iface, source, FilterMode.EXCLUDE, true)
  }

  /** Ends `blockSource`. */
  unblockSource(group: Address | string, source: Address | string, iface: Interface | string | null = null): void {
    changeSource(this.udp, this, group, iface, source, FilterMode.EXCLUDE, false)
  }

  /**
   * Says at once from whom the group is heard: `include` only these (none: leaves it), `exclude` all but these (none: everybody). Joins it if
   * that was not done. Throws NetError as `joinGroup`.
   */
  setSourceFilter(
    group: Address | string,
    mode: 'include' | 'exclude',
    sources: readonly (Address | string)[],
    iface: Interface | string | null = null,
  ): void {
    setSources(this.udp, this, group, iface, mode === 'include' ? FilterMode.INCLUDE : FilterMode.EXCLUDE, sources)
  }

  /**
   * Sends to groups by this interface: itself, its name, or one of its addresses, which then is the source as well; null: routing's choice.
   * Throws NetError: ENODEV, EADDRNOTAVAIL, EINVAL when the socket is bound to another.
   */
  setMulticastInterface(iface: Interface | string | null): void {
    setMulticastInterface(this.udp, this, iface)
  }

  /** The interface of that name or number; null: there is none. */
  interfaceNamed(name: string): Interface | null {
    const { interfaces } = this.udp.ip
    return interfaces.find((i) => i.name === name) ?? interfaces.find((i) => String(i.index) === name) ?? null
  }

  /** Releases everything; no handler is called any more. Idempotent. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.memberships?.clear()
    this.udp.closed(this)
    this.queue.clear()
  }

  // What Udp calls

  /** A multicast datagram that fits otherwise is wanted. */
  hears(packet: Packet): boolean {
    const { memberships, multicastAll } = this
    return memberships === null ? multicastAll : memberships.hears(packet.destination, packet.source, packet.iface, multicastAll)
  }

  /** A datagram for us. False: no room. */
  arrived(packet: Packet, port: number, off: number, length: number): boolean {
    if (!this.queue.push(packet, port, off, length, this.receiveBufferBytes)) {
      this.drops++
      return false
    }
    this.hasArrivals = true
    this.udp.tells.add(this)
    return true
  }

  /** An error to tell; of several the first is told, as SO_ERROR has it. */
  failed(code: string): void {
    if (this.fault === '') this.fault = code
    this.udp.tells.add(this)
  }

  unblocked(): void {
    this.hasRoom = true
    this.udp.tells.add(this)
  }

  tell(): void {
    try {
      if (this.fault !== '' && !this.closed) {
        const code = this.fault
        this.fault = ''
        this.handler.onError?.(this, new NetError(code, { syscall: 'recvmsg' }))
      }
      if (this.hasArrivals && !this.closed) {
        this.hasArrivals = false
        this.handler.onReadable?.(this)
      }
      if (this.hasRoom && !this.closed) {
        this.hasRoom = false
        this.handler.onWritable?.(this)
      }
    } finally {
      // A handler that threw must not cost the others their news.
      if (!this.closed && (this.hasArrivals || this.hasRoom || this.fault !== '')) this.udp.tells.add(this)
    }
  }
}
