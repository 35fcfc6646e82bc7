/**
 * Two stacks in conversation, for fuzzing one of them: `target` (10.0.0.2) serves and asks, `peer` (10.0.0.1) asks and serves, and an
 * `Injector` stands before the target's link. Everything runs on virtual time from one seed.
 */
import type { Address } from '../../src/base/address.ts'
import { address } from '../../src/base/address.ts'
import type { ConfigOverrides } from '../../src/base/config.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { Ping } from '../../src/icmp/ping.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { Medium } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { Stack } from '../../src/stack/stack.ts'
import type { ConnectionHandler, ListenerHandler, RawConnection } from '../../src/tcp/api.ts'
import { Connection } from '../../src/tcp/connection.ts'
import type { SynReceived } from '../../src/tcp/syn-received.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import type { UdpSocket } from '../../src/udp/socket.ts'
import { checkTransition } from '../support/tcp-invariants.ts'
import { Injector } from './injector.ts'

export const TARGET_IP = '10.0.0.2'
export const PEER_IP = '10.0.0.1'
export const TARGET_IP6 = 'fd00::2'
export const PEER_IP6 = 'fd00::1'
export const TARGET_MAC = '02:00:00:00:00:02'
export const PEER_MAC = '02:00:00:00:00:01'
export const ECHO = 7
/** Takes connections and never reads. */
export const DEAF = 9
/** Writes without end. */
export const FOUNTAIN = 19
/** Nobody is there. */
export const CLOSED_PORT = 81

const piece = new Uint8Array(1 << 16)
for (let i = 0; i < piece.length; i++) piece[i] = (i * 7 + (i >> 8)) & 255
const sink = new Uint8Array(1 << 16)
/** The proof's pattern repeats after this. */
const PATTERN = 60_000

/** What was not read is given back: the end of a connection alone does not say that nobody will read. */
function release(c: RawConnection): void {
  c.close()
}

class Echo implements ConnectionHandler, ListenerHandler {
  onConnection(c: RawConnection): void {
    c.handler = this
  }

  onReadable(c: RawConnection): void {
    while (c.readable > 0) {
      const room = Math.min(c.writable, sink.length)
      if (room === 0) {
        if (c.stateName === 'ESTABLISHED' || c.stateName === 'CLOSE-WAIT') c.write(sink, 0, 1)
        return
      }
      c.write(sink, 0, c.read(sink, 0, room))
    }
    if (c.ended) c.shutdown()
  }

  onWritable(c: RawConnection): void {
    this.onReadable(c)
  }

  onClose(c: RawConnection): void {
    c.close()
  }
}

class Deaf implements ListenerHandler {
  private readonly handler: ConnectionHandler = { onClose: release }

  onConnection(c: RawConnection): void {
    c.handler = this.handler
  }
}

class Fountain implements ConnectionHandler, ListenerHandler {
  onConnection(c: RawConnection): void {
    c.handler = this
    this.onWritable(c)
  }

  onWritable(c: RawConnection): void {
    while (c.stateName !== 'CLOSED' && c.writable > 0) if (c.write(piece, 0, 4000) < 4000) return // asks to be told again
  }

  onReadable(c: RawConnection): void {
    if (c.ended) c.close()
  }

  onClose(c: RawConnection): void {
    c.close()
  }
}

/** A client that talks for a while in one of several manners, ends in one of several ways, and begins again. */
class Talker implements ConnectionHandler {
  connection: RawConnection | null = null
  conversations = 0
  private left = 0
  private manner = 0

  constructor(
    private readonly world: World,
    private readonly from: Stack,
    private readonly to: string,
  ) {}

  begin(): void {
    const { random } = this.world
    this.manner = random.int32() & 15
    this.left = 1 + ((random.int32() >>> 1) % 60_000)
    const port = this.manner === 0 ? DEAF : this.manner === 1 ? FOUNTAIN : this.manner === 2 ? CLOSED_PORT : ECHO
    this.conversations++
    try {
      const { manner } = this
      const options = { noDelay: (manner & 1) === 0, fastOpen: (manner & 2) === 0, fastOpenNoCookie: true }
      this.connection = this.from.tcp.open({ remoteAddress: this.to, remotePort: port, ...options }, this)
      if ((manner & 4) === 0) this.onWritable(this.connection) // in the SYN, if it may be
    } catch {
      this.connection = null // no way, or no port: the next tick tries again
    }
  }

  /** From time to time: says something, ends, or begins anew. */
  tick(): void {
    const c = this.connection
    if (c === null) {
      if (!this.world.quiet) this.begin()
      return
    }
    const dice = (this.world.random.int32() >>> 1) % 400
    if (dice === 0) c.abort()
    else if (dice === 1) c.close()
    else if (dice === 2) c.shutdown()
    else if (dice === 3 && c.writable > 9) c.writeUrgent(piece, 0, 9)
    else this.onWritable(c)
  }

  onConnect(c: RawConnection): void {
    this.onWritable(c)
  }

  onWritable(c: RawConnection): void {
    if (this.left > 0 && c.writable > 0) this.left -= c.write(piece, 0, Math.min(this.left, 1 + ((this.left * 7) % 9000)))
    else if (this.left <= 0 && c.writable > 0) c.shutdown()
  }

  onReadable(c: RawConnection): void {
    // Manner 1 hears the fountain's first bytes and then lets the window close.
    if (this.manner !== 1 || c.bytesRead < 50_000) while (c.read(sink, 0, sink.length) > 0) {}
    this.onWritable(c)
    if (c.ended) c.close()
  }

  onClose(c: RawConnection): void {
    c.close()
    this.connection = null
  }
}

export interface WorldOptions {
  seed: number
  offload?: boolean
  medium?: Medium
  config?: ConfigOverrides
  /** Bits of the network that both are on. */
  prefix?: number
  /** Both have addresses of IPv6 too, and half of the talk is over it. */
  ipv6?: boolean
}

export class World {
  readonly host: VirtualHost
  readonly random: SeededRandom
  readonly target: Stack
  readonly peer: Stack
  readonly link: Injector
  readonly ipv6: boolean
  /** The talkers begin nothing new. */
  quiet = false
  private readonly talkers: Talker[] = []
  private readonly udp: UdpSocket
  private readonly pings: Ping[]
  private pingSeq = 0
  private readonly peerAddress: Address = address(PEER_IP)
  private readonly targetAddress: Address = address(TARGET_IP)

  constructor(options: WorldOptions) {
    const { seed, offload = true, medium = 'ethernet', config = {}, prefix = 24, ipv6 = false } = options
    this.host = new VirtualHost({ seed })
    this.random = new SeededRandom(seed + 1000)
    const [a, b] = createPipe({ offload, medium, queueFrames: 4096, queueBytes: 8 << 20 })
    this.target = new Stack({ host: this.host, random: new SeededRandom(seed * 2 + 1) }, { name: 'target', ...config })
    // A forged reset ends the target's half alone: the peer must find out by itself, or its half stays for good and looks like our growth.
    const tcp = {
      keepAlive: true,
      keepAliveIdleMs: 20_000,
      keepAliveIntervalMs: 5_000,
      keepAliveProbes: 3,
      ecn: 'accurate' as const,
    }
    this.peer = new Stack({ host: this.host, random: new SeededRandom(seed * 2 + 2) }, { name: 'peer', tcp })
    this.link = new Injector(a)
    this.ipv6 = ipv6
    const of = (v4: string, v6: string): string[] => (ipv6 ? [`${v4}/${prefix}`, `${v6}/64`] : [`${v4}/${prefix}`])
    this.target.attach(this.link, { mac: TARGET_MAC, addresses: of(TARGET_IP, TARGET_IP6), gateway: PEER_IP })
    this.peer.attach(b, { mac: PEER_MAC, addresses: of(PEER_IP, PEER_IP6) })
    this.target.tcp.onStateChange = checkTransition
    // Whoever forges ARP well enough makes a host give its address up (RFC 5227 section 2.4 b): what an operator does then.
    this.target.onAddressConflict = (iface, text) => {
      iface.removeAddress(text)
      void iface.addAddress(`${text}/${text.includes(':') ? 64 : prefix}`)
    }
    for (const stack of [this.target, this.peer]) {
      stack.tcp.listen({ port: ECHO, fastOpen: 8, fastOpenNoCookie: true }, new Echo())
      stack.tcp.listen({ port: DEAF, fastOpen: 8, fastOpenNoCookie: true }, new Deaf())
      stack.tcp.listen({ port: FOUNTAIN }, new Fountain())
      this.serveUdp(stack)
    }
    this.udp = this.peer.udp.open()
    for (let i = 0; i < 4; i++) {
      const six = ipv6 && i % 2 === 1
      this.talkers.push(new Talker(this, this.peer, six ? TARGET_IP6 : TARGET_IP))
      this.talkers.push(new Talker(this, this.target, six ? PEER_IP6 : PEER_IP))
    }
    const [target, peer] = ipv6 ? [address(TARGET_IP6), address(PEER_IP6)] : [this.targetAddress, this.peerAddress]
    this.pings = [
      this.pinger(this.peer, this.targetAddress, 56),
      this.pinger(this.target, this.peerAddress, 2000),
      this.pinger(this.peer, target, 3000),
      this.pinger(this.target, peer, 56),
    ]
  }

  private serveUdp(stack: Stack): void {
    const into = new Datagram(new Uint8Array(65536))
    const socket = stack.udp.open({
      onReadable(s) {
        while (s.receive(into)) {
          if (into.port === ECHO) continue // two echo services must not talk to each other for ever
          try {
            s.send(into.buf, 0, into.len, into.address, into.port)
          } catch {
            // port 0, a broadcast address, no way: what was forged is not answered
          }
        }
      },
    })
    socket.bind('0.0.0.0', ECHO)
  }

  private pinger(stack: Stack, to: Address, size: number): Ping {
    const { tellList, turn, random } = stack
    const icmp = to.isV4 ? stack.icmp : stack.icmp6
    return new Ping({ icmp, host: this.host, random, tells: tellList, wake: turn.wake }, to, {}, { size })
  }

  /** One round of honest traffic; it happens when time next moves. */
  tick(): void {
    for (const t of this.talkers) t.tick()
    const dice = (this.random.int32() >>> 1) % 64
    if (this.quiet || dice >= (this.ipv6 ? 6 : 4)) return
    try {
      if (dice < 2) this.udp.send(piece, 0, dice === 0 ? 100 : 5000, this.targetAddress, ECHO)
      else this.pings[dice - 2].send(this.pingSeq++)
    } catch {
      // no way to the other just now
    }
  }

  /** Ends every conversation. */
  hush(): void {
    this.quiet = true
    for (const t of this.talkers) t.connection?.abort()
    for (const stack of [this.target, this.peer]) for (const f of [...stack.tcp.flows()]) if (f instanceof Connection) f.abort()
  }

  get conversations(): number {
    let n = 0
    for (const t of this.talkers) n += t.conversations
    return n
  }

  /** The target's connections: what forged segments are aimed at. */
  connections(): Connection[] {
    return [...this.target.tcp.flows()].filter((f): f is Connection => f instanceof Connection)
  }

  halfOpen(): SynReceived[] {
    return [...this.target.tcp.flows()].filter((f): f is SynReceived => 'begin' in f)
  }

  /** Echo over TCP, both ways at once, and ping, afresh. Throws when anything is amiss. */
  proveAlive(bytes = 200_000): void {
    this.provePing(this.peer, this.targetAddress)
    this.provePing(this.target, this.peerAddress)
    const clients = [new Proof(bytes), new Proof(bytes)]
    if (this.ipv6) {
      this.provePing(this.peer, address(TARGET_IP6))
      this.provePing(this.target, address(PEER_IP6))
      clients.push(new Proof(bytes))
      this.peer.tcp.open({ remoteAddress: TARGET_IP6, remotePort: ECHO }, clients[2])
    }
    this.peer.tcp.open({ remoteAddress: TARGET_IP, remotePort: ECHO }, clients[0])
    this.target.tcp.open({ remoteAddress: PEER_IP, remotePort: ECHO }, clients[1])
    this.host.advance(60_000)
    for (const c of clients) c.judge()
  }

  private provePing(stack: Stack, to: Address): void {
    const { tellList, turn, random } = stack
    const icmp = to.isV4 ? stack.icmp : stack.icmp6
    const deps = { icmp, host: this.host, random, tells: tellList, wake: turn.wake }
    let replies = 0
    const handler = {
      onReply(): void {
        replies++
      },
    }
    const ping = new Ping(deps, to, handler, { size: 56 })
    for (let i = 0; i < 3; i++) {
      turn.readClock()
      ping.send(i)
      this.host.advance(3000)
    }
    ping.close()
    if (replies !== 3) throw new Error(`${stack.name}: ${replies} of 3 pings to ${to} were answered`)
  }
}

/** Sends a pattern and compares what comes back. */
class Proof implements ConnectionHandler {
  private sent = 0
  private received = 0
  private wrong = false
  private outcome = 'never closed'
  private readonly buf = new Uint8Array(65536)

  constructor(private readonly bytes: number) {}

  onConnect(c: RawConnection): void {
    this.onWritable(c)
  }

  onWritable(c: RawConnection): void {
    while (this.sent < this.bytes) {
      const at = this.sent % PATTERN
      const n = c.write(piece, at, Math.min(5000, PATTERN - at, this.bytes - this.sent))
      if (n === 0) return
      this.sent += n
    }
    c.shutdown()
  }

  onReadable(c: RawConnection): void {
    for (let n = c.read(this.buf, 0, 1000); n > 0; n = c.read(this.buf, 0, 1000)) {
      for (let i = 0; i < n; i++) {
        if (this.buf[i] !== piece[(this.received + i) % PATTERN]) this.wrong = true
      }
      this.received += n
    }
  }

  onClose(_c: RawConnection, error: Error | null): void {
    this.outcome = error === null ? 'closed' : error.message
  }

  judge(): void {
    if (this.wrong || this.received !== this.bytes || this.outcome !== 'closed') {
      throw new Error(`echo of ${this.bytes} bytes: ${this.received} came back${this.wrong ? ' changed' : ''}, ${this.outcome}`)
    }
  }
}
