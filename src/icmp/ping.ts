/**
 * The echo client in the raw shape (RFC 1122 section 3.2.2.6): sends echo requests, tells what came back.
 *
 * A request is found again by identifier (one per `Ping`, random), sequence number and the address asked; the payload must come back
 * as it went. What arrives is noted during input in a bounded list of reused records and told in the tell step of a turn.
 */
import { Address, ANY, ANY_V4 } from '../base/address.ts'
import { get16, put16 } from '../base/bytes.ts'
import type { Host } from '../base/clock.ts'
import { NetError, stackClosed } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Tellable, TellList } from '../base/tell.ts'
import type { Interface } from '../ip/interface.ts'
import type { ErrorReport } from '../ip/ip.ts'
import type { Packet } from '../ip/packet.ts'
import { Route, RouteKind } from '../ip/route.ts'
import { claimIdentifier, type EchoClient, type EchoLayer } from './echo.ts'
import { ICMP, ICMP_HEADER } from './wire.ts'

/** What a ping tells. Methods not needed may be left out; `from` is lent. */
export interface PingHandler {
  /** `rttUs`: microseconds. `bytes`: of payload. `duplicate`: this request was answered before. */
  onReply?(seq: number, rttUs: number, ttl: number, bytes: number, from: Address, duplicate: boolean): void
  /** `code`: EHOSTUNREACH and its like. `kind`: ErrorKind. `from`: who says so. */
  onError?(seq: number, code: string, from: Address, kind: number): void
  /** The stack was closed. The last call. */
  onClose?(): void
}

/** What an echo request is like. */
export interface PingSettings {
  /** Payload bytes: 0 to 65507, or 65527 over IPv6. 56 unless given, as everybody's ping. */
  size?: number
  /** 0: the stack's default. */
  ttl?: number
  tos?: number
  dontFragment?: boolean
  /** Repeated to fill the payload; 0, 1, 2, ... unless given. */
  pattern?: Uint8Array
  /** One of our addresses to ask from. */
  source?: Address
  /** Ask by this interface only. */
  iface?: Interface
}

export interface PingDependencies {
  /** That of the destination's family. */
  icmp: EchoLayer
  host: Host
  random: Random
  tells: TellList
  /** Something was sent outside a turn. */
  wake: () => void
}

/** Requests that are remembered: replies to older ones are not recognised. */
const WINDOW = 1024
/** Replies that wait to be told; a turn brings fewer. */
const MAX_NEWS = 256

class News {
  seq = 0
  rttUs = 0
  ttl = 0
  bytes = 0
  duplicate = false
  /** ErrorKind, or -1 for a reply. */
  kind = -1
  code = ''
  readonly from = new Address()
}

/** Echo requests with an identifier of their own; what comes back is told to its handler. */
export class Ping implements EchoClient, Tellable {
  /** Identifier of our requests: 16 bits. */
  readonly id: number
  readonly destination: Address
  told = false
  private readonly size: number
  private readonly ttl: number
  private readonly tos: number
  private readonly dontFragment: boolean
  private readonly source: Address
  private readonly iface: Interface | null
  private readonly pattern: Uint8Array
  private readonly route = new Route()
  /** Per place in the window: which request (-1: none), when sent, whether answered. */
  private readonly seqs = new Int32Array(WINDOW).fill(-1)
  private readonly sentUs = new Int32Array(WINDOW)
  private readonly answered = new Uint8Array(WINDOW)
  private readonly news: News[] = []
  private newsCount = 0

  /** Throws NetError: EMSGSIZE for a size that no datagram has, EADDRINUSE when all 65,536 identifiers are taken. */
  constructor(
    private readonly deps: PingDependencies,
    destination: Address,
    private readonly handler: PingHandler,
    settings: PingSettings = {},
  ) {
    this.size = settings.size ?? 56
    const most = deps.icmp.maxEchoBytes
    if (!(this.size >= 0 && this.size <= most)) {
      throw new NetError('EMSGSIZE', { message: `ping: ${this.size} bytes of payload; 0 to ${most} can be sent` })
    }
    this.destination = destination.clone()
    this.ttl = settings.ttl ?? 0
    this.tos = settings.tos ?? 0
    this.dontFragment = settings.dontFragment ?? false
    this.source = settings.source?.clone() ?? (destination.isV4 ? ANY_V4 : ANY)
    this.iface = settings.iface ?? null
    this.pattern = settings.pattern !== undefined && settings.pattern.length > 0 ? settings.pattern.slice() : COUNTING
    this.route.generation = (deps.icmp.ip.generation - 1) | 0
    if (deps.icmp.isClosed) throw stackClosed()
    this.id = claimIdentifier(deps.icmp, deps.random, this)
  }

  /**
   * Sends request number `seq` (its low 16 bits are on the wire). False: the link is full. Throws NetError when there is no way to
   * the destination (ENETUNREACH, EADDRNOTAVAIL, ENETDOWN), or the request is too large for the path and must not be fragmented.
   */
  send(seq: number): boolean {
    const { icmp, host } = this.deps
    const { ip } = icmp
    if (icmp.isClosed) throw stackClosed()
    const { route } = this
    if (route.generation !== ip.generation) {
      const code = ip.route(this.destination, this.source, this.iface, route)
      if (code !== null) {
        route.generation = (ip.generation - 1) | 0
        throw new NetError(code, { syscall: 'ping', address: this.destination.toString() })
      }
    }
    if (this.dontFragment && this.size + ICMP_HEADER + icmp.headerBytes > route.mtu) {
      throw new NetError('EMSGSIZE', { syscall: 'ping', address: this.destination.toString() })
    }
    const at = icmp.outbox.begin(ICMP_HEADER + this.size)
    const { buf } = icmp.outbox.frame
    buf[at + ICMP.type] = icmp.echoType
    buf[at + ICMP.code] = 0
    put16(buf, at + ICMP.identifier, this.id)
    put16(buf, at + ICMP.sequence, seq)
    const { pattern } = this
    for (let i = 0, p = 0; i < this.size; i++) {
      buf[at + ICMP_HEADER + i] = pattern[p]
      if (++p === pattern.length) p = 0
    }
    const place = seq & (WINDOW - 1)
    this.seqs[place] = seq
    this.answered[place] = 0
    this.sentUs[place] = host.us()
    if (!icmp.request(route, this.tos, this.ttl, this.dontFragment)) {
      this.seqs[place] = -1
      return false
    }
    this.deps.wake()
    return true
  }

  /** No more replies. Idempotent. */
  close(): void {
    if (this.deps.icmp.clients.get(this.id) === this) this.deps.icmp.clients.delete(this.id)
    this.newsCount = 0
  }

  closed(): void {
    this.close()
    this.handler.onClose?.()
  }

  reply(packet: Packet): boolean {
    const { buf, off } = packet
    const place = this.find(get16(buf, off + ICMP.sequence))
    if (place < 0) return false
    // A question to many is answered by each from its own address.
    const toMany = this.route.kind === RouteKind.BROADCAST || this.route.kind === RouteKind.MULTICAST
    if (!toMany && !packet.source.equals(this.route.destination)) return false
    const bytes = packet.end - off - ICMP_HEADER
    if (bytes !== this.size || !this.isPattern(buf, off + ICMP_HEADER)) return false
    const news = this.note()
    if (news === null) return true
    news.kind = -1
    news.seq = this.seqs[place]
    news.rttUs = (this.deps.host.us() - this.sentUs[place]) | 0
    news.ttl = packet.ttl
    news.bytes = bytes
    news.duplicate = this.answered[place] === 1
    news.from.copy(packet.source)
    this.answered[place] = 1
    return true
  }

  error(report: ErrorReport): boolean {
    const place = this.find(get16(report.quote, report.off + ICMP.sequence))
    if (place < 0 || !report.destination.equals(this.route.destination)) return false
    const news = this.note()
    if (news === null) return true
    news.kind = report.kind
    news.code = report.errorCode
    news.seq = this.seqs[place]
    news.from.copy(report.reporter)
    return true
  }

  tell(): void {
    const { news, handler } = this
    for (let i = 0; i < this.newsCount; i++) {
      const n = news[i]
      if (n.kind >= 0) handler.onError?.(n.seq, n.code, n.from, n.kind)
      else handler.onReply?.(n.seq, n.rttUs, n.ttl, n.bytes, n.from, n.duplicate)
    }
    this.newsCount = 0
  }

  /** The place in the window of a request with this number on the wire, or -1. */
  private find(wireSeq: number): number {
    const place = wireSeq & (WINDOW - 1)
    return this.seqs[place] >= 0 && (this.seqs[place] & 0xffff) === wireSeq ? place : -1
  }

  private isPattern(buf: Uint8Array, off: number): boolean {
    const { pattern } = this
    for (let i = 0, p = 0; i < this.size; i++) {
      if (buf[off + i] !== pattern[p]) return false
      if (++p === pattern.length) p = 0
    }
    return true
  }

  /** A record to fill, on the tell list; null when too many wait. */
  private note(): News | null {
    if (this.newsCount >= MAX_NEWS) return null
    if (this.newsCount === this.news.length) this.news.push(new News())
    this.deps.tells.add(this)
    return this.news[this.newsCount++]
  }
}

const COUNTING = Uint8Array.from({ length: 256 }, (_, i) => i)
