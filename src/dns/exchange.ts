/**
 * One question, asked of servers until one of them answers.
 *
 * Theory of operation. Servers are asked one after the other, in rounds, as resolv.conf(5) has it: each gets its time, in later rounds a longer one. Every
 * attempt has a socket of its own, connected to the server, so that port (RFC 5452 section 9.2), number and the case of the letters are new each time, and so
 * that ICMP errors come back. A datagram counts as the answer only when source and port (which UDP checks), number, question and
 * the case of its letters are right (RFC 5452 section 9.1). The rest is dropped and counted; when much of it comes, somebody is guessing, and the question
 * is put over TCP, whose handshake cannot be guessed. The same happens when the letters alone are wrong (some servers lower them), and when the answer was
 * cut (RFC 7766 section 5). A server that does not know EDNS is asked again without (RFC 6891 section 6.2.2).
 */
import type { Address } from '../base/address.ts'
import type { Host, Task, TimerHandle } from '../base/clock.ts'
import type { DnsConfig } from '../base/dns-config.ts'
import type { Random } from '../base/random.ts'
import type { RawTcp } from '../tcp/api.ts'
import { Datagram } from '../udp/receive-queue.ts'
import type { UdpHandler, UdpSocket } from '../udp/socket.ts'
import type { Udp } from '../udp/udp.ts'
import { isLame } from './answer.ts'
import { BAD, C } from './counters.ts'
import { decodeMessage, encodeMessage, type Message, QUERY, question, Rcode } from './message.ts'
import { labelsOf, sameName } from './names.ts'
import type { DnsCode } from './outcome.ts'
import { CLASS_IN, type TypeName } from './records.ts'
import { isNear, type Server } from './servers.ts'
import { TcpQuery, type TcpQueryOwner } from './tcp-query.ts'

export interface ExchangeDeps {
  readonly udp: Pick<Udp, 'open'>
  readonly tcp: RawTcp
  readonly host: Host
  readonly random: Random
  readonly config: DnsConfig
  readonly counts: Float64Array
  /** The address of a server, with its zone. Throws when there is no such interface. */
  addressOf(server: Server): Address
  /** Our address to ask from, by the family of the server; null: routing's choice. */
  localFor(server: Address): Address | null
  readonly edns: EdnsMemory
}

/** Servers that did not understand EDNS, by their text, and until when that is believed. */
export class EdnsMemory {
  private readonly until = new Map<string, number>()

  constructor(
    private readonly host: Host,
    private readonly config: DnsConfig,
  ) {}

  isKnown(server: Server): boolean {
    const until = this.until.get(server.text)
    if (until === undefined) return true
    if (((until - this.host.ms()) | 0) > 0) return false
    this.until.delete(server.text)
    return true
  }

  forget(server: Server): void {
    if (this.until.size >= MOST_REMEMBERED) this.until.clear()
    this.until.set(server.text, (this.host.ms() + this.config.noEdnsMs) | 0)
  }
}

/** Servers may be named by routers: what is remembered of them is bounded. */
const MOST_REMEMBERED = 64
/** A timeout of a later round is never less (glibc). */
const LEAST_MS = 1000
/** Without EDNS an answer has at most 512 bytes, with it what we said; more is a server's mistake, and read as far as it fits. */
const LARGEST = 4096
const HEADER = 12

const CODES: ReadonlyMap<number, DnsCode> = new Map([
  [Rcode.FORMERR, 'EFORMERR'],
  [Rcode.SERVFAIL, 'ESERVFAIL'],
  [Rcode.NOTIMP, 'ENOTIMP'],
  [Rcode.REFUSED, 'EREFUSED'],
])

/** Called once. `code` is empty with a message: one that says NOERROR or NXDOMAIN. */
export type ExchangeDone = (code: DnsCode | '', message: Message | null, bytes: number) => void

export class Exchange implements UdpHandler, TcpQueryOwner, Task {
  private step = 0
  private server: Server | null = null
  private id = 0
  /** The name as this attempt writes it. */
  private name: string
  private edns = false
  /** The server is in this stack: nobody is between, so it is asked in the plainest way. */
  private near = false
  private socket: UdpSocket | null = null
  private stream: TcpQuery | null = null
  private timer: TimerHandle | null = null
  private mismatches = 0
  private query: Uint8Array = new Uint8Array(0)
  /** Why it failed, if it does: what a server said counts more than that none did. */
  private code: DnsCode = 'ETIMEOUT'
  private ended = false
  private readonly datagram = new Datagram(new Uint8Array(LARGEST))

  constructor(
    private readonly deps: ExchangeDeps,
    private readonly asked: string,
    private readonly type: TypeName,
    private readonly servers: readonly Server[],
    private readonly done: ExchangeDone,
  ) {
    this.name = asked
  }

  /** Asks the first server. `done` may be called before this returns. */
  start(): void {
    this.next()
  }

  /** Ends it; nothing is told. */
  cancel(): void {
    this.ended = true
    this.quiet()
  }

  /** The next server, until there is none. */
  private next(): void {
    const { attempts } = this.deps.config
    while (!this.ended) {
      this.quiet()
      if (this.step >= attempts * this.servers.length) {
        this.finish(this.code, null, 0)
        return
      }
      this.server = this.servers[this.step++ % this.servers.length]
      this.near = isNear(this.server)
      this.edns = !this.near && this.deps.config.udpPayloadBytes > 0 && this.deps.edns.isKnown(this.server)
      if (this.askUdp()) return
    }
  }

  /** False: it cannot be asked at all. */
  private askUdp(): boolean {
    const { deps, server } = this
    this.quiet()
    this.compose(deps.config.caseRandomization && !this.near)
    try {
      const to = deps.addressOf(server!)
      const local = deps.localFor(to)
      const socket = deps.udp.open(this, { family: to.isV4 ? 4 : 6, ref: false })
      this.socket = socket
      if (local !== null) socket.bind(local, 0)
      socket.connect(to, server!.port)
      this.transmit()
    } catch {
      return this.unreachable()
    }
    this.startTimer()
    return true
  }

  private askTcp(): boolean {
    const { deps, server } = this
    this.quiet()
    this.compose(false)
    try {
      const to = deps.addressOf(server!)
      this.stream = new TcpQuery(deps.tcp, to, server!.port, deps.localFor(to) ?? undefined, this.query, this)
    } catch {
      return this.unreachable()
    }
    deps.counts[C.tcpQueries]++
    this.startTimer()
    return true
  }

  private unreachable(): false {
    this.deps.counts[C.unreachable]++
    this.blame('ECONNREFUSED')
    return false
  }

  private compose(randomCase: boolean): void {
    const { random, config } = this.deps
    this.id = random.int32() & 0xffff
    this.mismatches = 0
    this.name = randomCase ? shuffleCase(this.asked, random) : this.asked
    this.query = encodeMessage(question(this.id, this.name, this.type, this.edns ? config.udpPayloadBytes : 0))
  }

  private transmit(): void {
    const { socket, query, deps } = this
    if (socket!.send(query, 0, query.length, null, 0)) deps.counts[C.udpQueries]++
  }

  private startTimer(): void {
    const { host, config } = this.deps
    const n = this.servers.length
    const round = Math.floor((this.step - 1) / n)
    // As glibc: in later rounds twice the time, shared by all servers.
    const ms =
      round === 0 ? config.timeoutMs : Math.max(Math.min(LEAST_MS, config.timeoutMs), (config.timeoutMs * 2 ** round) / n)
    this.timer = host.after(Math.min(ms, config.timeoutMaxMs), this)
  }

  /** Its time is over. */
  run(): void {
    this.timer = null
    this.deps.counts[C.timeouts]++
    this.next()
  }

  // UDP

  onWritable(): void {
    if (this.socket === null) return
    try {
      this.transmit()
    } catch {
      this.unreachable()
      this.next()
    }
  }

  onError(socket: UdpSocket): void {
    if (socket !== this.socket) return
    this.unreachable()
    this.next()
  }

  onReadable(socket: UdpSocket): void {
    const { datagram } = this
    while (socket === this.socket && socket.receive(datagram))
      this.hear(datagram.buf, datagram.off, datagram.off + datagram.len, false)
  }

  // TCP

  onTcpMessage(message: Uint8Array): void {
    this.hear(message, 0, message.length, true)
  }

  onTcpEnd(code: string): void {
    if (code === '') this.blame('EBADRESP')
    else this.unreachable()
    this.next()
  }

  // Both

  private hear(buf: Uint8Array, start: number, end: number, overTcp: boolean): void {
    const { counts, config } = this.deps
    // The number first: what has another one is not looked at any further.
    if (end - start < 2 || ((buf[start] << 8) | buf[start + 1]) !== this.id) {
      this.mismatch(C.dropId, overTcp)
      return
    }
    const { message, reason } = decodeMessage(buf, start, end)
    if (message === null) {
      counts[BAD[reason]]++
      this.blame('EBADRESP')
      this.next()
      return
    }
    if (!message.isResponse || message.opcode !== QUERY) {
      this.mismatch(C.dropId, overTcp)
      return
    }
    const [asked] = message.questions
    const isRefusal = message.rcode === Rcode.FORMERR || message.rcode === Rcode.NOTIMP
    // Servers that did not understand the question may leave it out.
    if (!(isRefusal && message.questions.length === 0)) {
      if (
        message.questions.length !== 1 ||
        asked.class !== CLASS_IN ||
        asked.type !== this.type ||
        !sameName(asked.name, this.asked)
      ) {
        this.mismatch(C.dropQuestion, overTcp)
        return
      }
      if (!overTcp && !this.near && config.caseRandomization && asked.name !== this.name) {
        counts[C.dropCase]++
        this.overTcp(C.tcpForCase)
        return
      }
    }
    this.accept(this.asWritten(message, buf, start, end), end - start, overTcp)
  }

  /** Names of an answer point at the question: its letters are put back as they were, so that nobody sees our game with them. */
  private asWritten(message: Message, buf: Uint8Array, start: number, end: number): Message {
    if (this.name === this.asked || message.questions.length === 0) return message
    let at = start + HEADER
    for (const label of labelsOf(this.asked)!) {
      buf.set(label, at + 1)
      at += label.length + 1
    }
    return decodeMessage(buf, start, end).message ?? message
  }

  /** Somebody's guess, or an answer to another question. */
  private mismatch(counter: number, overTcp: boolean): void {
    const { counts, config } = this.deps
    counts[counter]++
    if (overTcp) {
      this.blame('EBADRESP')
      this.next()
    } else if (++this.mismatches >= config.maxMismatches) this.overTcp(C.tcpForMismatches)
  }

  private overTcp(counter: number): void {
    this.deps.counts[counter]++
    if (!this.askTcp()) this.next()
  }

  private accept(message: Message, bytes: number, overTcp: boolean): void {
    const { counts, edns } = this.deps
    const { rcode } = message
    const noEdns = rcode === Rcode.BADVERS || (message.edns === null && (rcode === Rcode.FORMERR || rcode === Rcode.NOTIMP))
    if (this.edns && noEdns) {
      counts[C.ednsFallbacks]++
      edns.forget(this.server!)
      this.edns = false
      if (!(overTcp ? this.askTcp() : this.askUdp())) this.next()
      return
    }
    if (message.truncated) {
      if (overTcp) {
        this.blame('EBADRESP')
        this.next()
      } else this.overTcp(C.truncated)
      return
    }
    if ((rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN) && !isLame(message)) {
      counts[C.answers]++
      this.finish('', message, bytes)
      return
    }
    counts[rcode === Rcode.NOERROR ? C.lame : C.failures]++
    this.blame(CODES.get(rcode) ?? 'ESERVFAIL')
    this.next()
  }

  private blame(code: DnsCode): void {
    if (this.code === 'ETIMEOUT' || this.code === 'ECONNREFUSED') this.code = code
  }

  private finish(code: DnsCode | '', message: Message | null, bytes: number): void {
    if (this.ended) return
    this.ended = true
    this.quiet()
    this.done(code, message, bytes)
  }

  /** Nothing of the attempt before is left. */
  private quiet(): void {
    if (this.timer !== null) this.deps.host.cancel(this.timer)
    this.timer = null
    this.socket?.close()
    this.socket = null
    this.stream?.close()
    this.stream = null
  }
}

/** The name with each of its letters in either case (draft-vixie-dnsext-dns0x20). */
export function shuffleCase(name: string, random: Random): string {
  let out = ''
  let bits = 0
  for (let i = 0; i < name.length; i++) {
    if ((i & 31) === 0) bits = random.int32()
    const c = name[i]
    out += (bits >>> (i & 31)) & 1 ? c.toUpperCase() : c.toLowerCase()
  }
  return out
}
