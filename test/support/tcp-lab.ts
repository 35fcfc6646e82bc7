/**
 * A bench for one stack under test and a hand-driven peer, on virtual time.
 *
 * The link is a fake NetIf of medium `ip`. Every segment that the stack emits is decoded through the buffer-layout declarations
 * (the oracle), its checksums verified by a naive twin, its payload compared with a pattern that depends only on the sequence number,
 * and held against laws that are always true (`law`). Segments are written as in packetdrill, with relative sequence numbers:
 *
 *   lab.inject('S 0:0(0) win 65535 <mss 1460,sackOK,nop,wscale 7>')
 *   lab.expect('S. 0:0(0) ack 1 <mss 1460>')
 *
 * In an expectation, what is not written (ack, win, options) is not compared; segments missing or too many fail.
 */

import type { ConfigOverrides } from '../../src/base/config.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { ipv4Header } from '../../src/ipv4/wire.ts'
import { CSUM_MASK, CSUM_PARTIAL, frameMeta, GSO_TCP4, gsoSize } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { Stack } from '../../src/stack/stack.ts'
import type { ListenOptions, OpenOptions, RawConnection, RawListener } from '../../src/tcp/api.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { isTransition, STATE_NAMES } from '../../src/tcp/state.ts'
import { ACK, FIN, RST, SYN, tcpHeader, URG } from '../../src/tcp/wire.ts'
import { naiveSum, pseudoSum } from './frames.ts'
import { LabNetIf, Recorder } from './tcp-lab-ends.ts'
import { b16, b32, type Emitted, FLAGS, law, matches, optionBytes, pattern, patternAt, readOptions } from './tcp-notation.ts'

export { Recorder } from './tcp-lab-ends.ts'
export { type Emitted, pattern, patternAt } from './tcp-notation.ts'

const PEER = 1
const US = 2

interface FlowState {
  iss: number | null
  irs: number
  /** Highest right edge that we have advertised, relative to irs; the scale of our window. */
  edge: number
  scale: number
}

export interface LabOptions {
  startMs?: number
  seed?: number
  mtu?: number
  offload?: number
  gsoMax?: number
  config?: ConfigOverrides
  /** Our initial sequence number; by hash when left out. */
  iss?: number
  /** The peer's. */
  irs?: number
  addresses?: string[]
  /** Compare emitted payload with the pattern. */
  verifyPayload?: boolean
}

export interface InjectOptions {
  localPort?: number
  remotePort?: number
  /** Last byte of the peer's address (10.0.0.x), and of ours. */
  from?: number
  to?: number
  badChecksum?: boolean
  /** As a super-segment of this many payload bytes each. */
  gso?: number
  urgent?: number
  /** The ECN field of the IP header. */
  ecn?: number
  /** Only queue it: the turn comes with the next call that runs. */
  hold?: boolean
}

export class TcpLab {
  readonly host: VirtualHost
  readonly stack: Stack
  readonly link: LabNetIf
  readonly listenPort = 7
  remotePort = 40000
  localPort = 7
  irs: number
  /** When not null: segments injected without options carry timestamps, this value plus the time. */
  peerTs: number | null = null
  /** All that was emitted, and where the next `expect` begins. */
  readonly out: Emitted[] = []
  private seen = 0
  readonly app = new Recorder()
  listener: RawListener | null = null
  /** The connection last opened or accepted. */
  c!: Connection
  readonly accepted: Connection[] = []
  readonly verifyPayload: boolean
  /** Bytes that `write` has produced. */
  written = 0
  readonly transitions: string[] = []
  private readonly flows = new Map<string, FlowState>()
  private readonly iss: number | undefined

  constructor(options: LabOptions = {}) {
    this.host = new VirtualHost({ startMs: options.startMs ?? 5000, seed: options.seed ?? 1 })
    this.irs = options.irs ?? 1000
    this.iss = options.iss
    this.verifyPayload = options.verifyPayload ?? true
    this.stack = new Stack({ host: this.host, random: new SeededRandom((options.seed ?? 1) + 77) }, options.config)
    this.link = new LabNetIf(options.mtu ?? 1500, options.offload ?? 0, options.gsoMax ?? 0, (bytes, meta) =>
      this.emitted(bytes, meta),
    )
    this.stack.attach(this.link, { addresses: options.addresses ?? ['10.0.0.2/24'] })
    if (options.iss !== undefined) this.stack.tcp.secrets.isn = () => options.iss! | 0
    this.stack.tcp.onStateChange = (from, to) => {
      if (from === to) return
      this.transitions.push(STATE_NAMES[to])
      if (!isTransition(from, to)) throw new Error(`illegal transition ${STATE_NAMES[from]} -> ${STATE_NAMES[to]}`)
    }
    this.host.run(0)
  }

  get counters(): Record<string, number> {
    return this.stack.tcp.counters.snapshot(true) as Record<string, number>
  }

  get state(): string {
    return this.c.stateName
  }

  // ------------------------------------------------------------ application

  listen(options: Partial<ListenOptions> = {}, take = true): RawListener {
    this.listener = this.stack.tcp.listen(
      { port: this.listenPort, ...options },
      take
        ? {
            onConnection: (c) => {
              this.c = c as Connection
              this.accepted.push(this.c)
              c.handler = this.app
            },
          }
        : {},
    )
    return this.listener
  }

  open(options: Partial<OpenOptions> = {}): Connection {
    this.remotePort = options.remotePort ?? 80
    this.c = this.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: this.remotePort, ...options }, this.app) as Connection
    this.localPort = this.c.localPort
    this.run()
    return this.c
  }

  /** A connection that was accepted: the peer's SYN options as given; nothing is left to expect. */
  accept(options = '<mss 1460>', win = 65535, ackWin = win): this {
    if (this.listener === null) this.listen()
    const ts = /TS val (-?\d+)/.exec(options)
    this.inject(`S 0:0(0) win ${win} ${options}`)
    if (ts !== null) this.peerTs = (Number(ts[1]) - Math.floor(this.host.elapsedMs)) | 0
    this.inject(`. 1:1(0) ack 1 win ${ackWin}`)
    this.clear()
    this.app.take()
    return this
  }

  /** A connection that was opened by us; the peer's SYN-ACK options as given. */
  connect(options = '<mss 1460>', win = 65535, open: Partial<OpenOptions> = {}): this {
    this.open(open)
    const ts = /TS val (-?\d+)/.exec(options)
    this.inject(`S. 0:0(0) ack 1 win ${win} ${options}`)
    if (ts !== null) this.peerTs = (Number(ts[1]) - Math.floor(this.host.elapsedMs)) | 0
    this.clear()
    this.app.take()
    return this
  }

  /** Writes the next `n` bytes of the pattern; returns how many were taken. `run` false: no turn yet. */
  write(n: number, run = true, c: RawConnection = this.c): number {
    const taken = c.write(pattern(this.written + 1, n), 0, n)
    this.written += taken
    if (run) this.run()
    return taken
  }

  // ------------------------------------------------------------------- peer

  private flow(localPort: number, remotePort: number, from: number): FlowState {
    const key = `${localPort} ${remotePort} ${from}`
    let f = this.flows.get(key)
    if (f === undefined) {
      f = { iss: this.iss ?? null, irs: this.irs, edge: Number.NEGATIVE_INFINITY, scale: 0 }
      this.flows.set(key, f)
    }
    return f
  }

  /** Forgets what the laws remember of the current addresses and ports: a new incarnation begins. */
  forget(): void {
    this.flows.clear()
  }

  /** Sends a segment to the stack; see the notation above. */
  inject(text: string, o: InjectOptions = {}): void {
    const { localPort = this.localPort, remotePort = this.remotePort, from = PEER, to = US } = o
    const m = /^([FSRP.UEWA-]+) (-?\d+):(-?\d+)\((\d+)\)(?: ack (-?\d+))?(?: win (\d+))?(?: urg (\d+))?(?: <(.*)>)?$/.exec(text)
    if (m === null) throw new Error(`cannot read segment: ${text}`)
    const flow = this.flow(localPort, remotePort, from)
    let flags = 0
    for (const f of m[1]) if (f !== '-') flags |= 1 << FLAGS.indexOf(f)
    const start = Number(m[2])
    const len = Number(m[4])
    if (Number(m[3]) !== start + len) throw new Error(`length does not fit: ${text}`)
    if (m[5] !== undefined) flags |= ACK
    const seq = (flow.irs + start) | 0
    const ack = m[5] === undefined ? 0 : ((flow.iss ?? 0) + Number(m[5])) | 0
    const options = m[8] !== undefined ? this.optionBytes(m[8]) : this.defaultOptions(flags)
    const win = m[6] === undefined ? 65535 : Number(m[6])
    const urgent = m[7] === undefined ? 0 : Number(m[7])
    const payload = pattern((flags & SYN) !== 0 ? start + 1 : start, len)
    const tcp = [
      ...b16(remotePort),
      ...b16(localPort),
      ...b32(seq),
      ...b32(ack),
      ((5 + options.length / 4) << 4) | (flags >> 8),
      flags & 0xff,
      ...b16(win),
      0,
      0,
      ...b16(urgent),
      ...options,
    ]
    const bytes = new Uint8Array(20 + tcp.length + len)
    bytes.set(tcp, 20)
    bytes.set(payload, 20 + tcp.length)
    const gso = o.gso ?? 0
    const pseudo = pseudoSum(4, 6, tcp.length + len, from, to)
    const sum = gso > 0 ? pseudo : ~naiveSum(bytes, 20, bytes.length, pseudo) & 0xffff
    bytes[36] = sum >> 8
    bytes[37] = (sum & 0xff) ^ (o.badChecksum ? 1 : 0)
    this.injectIp(bytes, 6, from, to, gso > 0 ? frameMeta(CSUM_PARTIAL, len > gso ? GSO_TCP4 : 0, len > gso ? gso : 0) : 0, o.ecn)
    if (!o.hold) this.run()
  }

  private injectIp(bytes: Uint8Array, protocol: number, from: number, to: number, meta: number, tos = 0): void {
    const head = [0x45, tos, ...b16(bytes.length), 0, 1, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, from, 10, 0, 0, to]
    if (to === 255) head.splice(16, 4, 255, 255, 255, 255)
    const sum = ~naiveSum(head) & 0xffff
    head[10] = sum >> 8
    head[11] = sum & 255
    bytes.set(head, 0)
    this.link.inbound.push({ bytes, meta })
    this.link.sink!.readable()
  }

  /** An ICMP error about the segment of ours that began at relative `seq`, from the peer. */
  icmp(type: number, code: number, o: { seq: number; mtu?: number; length?: number }): void {
    const flow = this.flow(this.localPort, this.remotePort, PEER)
    const quote = [0x45, 0, ...b16(o.length ?? 1500), 0, 1, 0x40, 0, 63, 6, 0, 0, 10, 0, 0, US, 10, 0, 0, PEER]
    const tcp = [...b16(this.localPort), ...b16(this.remotePort), ...b32(((flow.iss ?? 0) + o.seq) | 0)]
    const message = [type, code, 0, 0, 0, 0, ...b16(o.mtu ?? 0), ...quote, ...tcp]
    const sum = ~naiveSum(message) & 0xffff
    message[2] = sum >> 8
    message[3] = sum & 255
    const bytes = new Uint8Array(20 + message.length)
    bytes.set(message, 20)
    this.injectIp(bytes, 1, PEER, US, 0)
    this.run()
  }

  private defaultOptions(flags: number): number[] {
    if (this.peerTs === null || (flags & (SYN | RST)) !== 0) return []
    return this.optionBytes(`nop,nop,TS val ${this.tsNow()} ecr ${this.lastTsVal()}`)
  }

  /** What the peer's timestamp clock says. */
  tsNow(): number {
    return ((this.peerTs ?? 0) + Math.floor(this.host.elapsedMs)) | 0
  }

  private lastTsVal(): number {
    for (let i = this.out.length - 1; i >= 0; i--) if (this.out[i].tsVal !== 0) return this.out[i].tsVal
    return 0
  }

  private optionBytes(text: string): number[] {
    return optionBytes(text, this.flow(this.localPort, this.remotePort, PEER).iss ?? 0)
  }

  // ------------------------------------------------------------------- time

  /** Runs what is due now. */
  run(): void {
    this.host.advance(0)
  }

  advance(ms: number): void {
    this.host.advance(ms)
  }

  // ----------------------------------------------------------------- oracle

  /** Called by the link for every packet that leaves. */
  emitted(bytes: Uint8Array, meta: number): void {
    const ip = ipv4Header.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)) as Record<string, number>
    law(ip.versionIhl === 0x45, 'IPv4 without options')
    law(ip.totalLength === bytes.length, 'total length')
    law(naiveSum(bytes, 0, 20) === 0xffff, 'IP header checksum')
    if (ip.protocol !== 6) return
    law((ip.flagsFragment & 0x4000) !== 0, 'DF')
    const from = ip.destination & 255
    const tcp = tcpHeader.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), 20) as Record<string, number>
    const header = (tcp.dataOffset >> 4) * 4
    const len = bytes.length - 20 - header
    law(header >= 20 && len >= 0 && (tcp.dataOffset & 14) === 0, 'data offset')
    const pseudo = naiveSum([...bytes.slice(12, 20), 0, 6, (header + len) >> 8, (header + len) & 255])
    if ((meta & CSUM_MASK) === CSUM_PARTIAL) law(tcp.checksum === pseudo, 'partial checksum holds the pseudo-header sum')
    else law(naiveSum(bytes, 20, bytes.length, pseudo) === 0xffff, 'TCP checksum')
    const gso = gsoSize(meta)
    const flags = tcp.flags | ((tcp.dataOffset & 1) << 8)
    const flow = this.flow(tcp.sourcePort, tcp.destinationPort, from)
    if ((flags & SYN) !== 0) {
      flow.iss = tcp.sequence | 0
      flow.edge = Number.NEGATIVE_INFINITY
    }
    const parsed = readOptions(bytes, 40, 20 + header)
    const e: Emitted = {
      flags,
      seq: tcp.sequence | 0,
      ack: tcp.acknowledgment | 0,
      len,
      win: tcp.window,
      urgent: tcp.urgent,
      options: [],
      tsVal: parsed.tsVal,
      tsEcr: parsed.tsEcr,
      localPort: tcp.sourcePort,
      remotePort: tcp.destinationPort,
      remote: from,
      tos: ip.tos,
      ttl: ip.ttl,
      gso,
      atMs: this.host.elapsedMs,
      payload: bytes.slice(20 + header),
      text: '',
    }
    e.options = parsed.list.map((o) =>
      o.replace(/-?\d+:-?\d+/g, (b) =>
        b
          .split(':')
          .map((n) => (Number(n) - flow.irs) | 0)
          .join(':'),
      ),
    )
    const seq = (e.seq - (flow.iss ?? 0)) | 0
    const ack = (e.ack - flow.irs) | 0
    let names = ''
    for (let i = 0; i < FLAGS.length; i++) if ((flags & (1 << i)) !== 0 && i !== 4) names += FLAGS[i]
    if ((flags & ACK) !== 0) names += '.'
    e.text = `${names} ${seq}:${seq + len}(${len})${(flags & ACK) !== 0 ? ` ack ${ack}` : ''} win ${e.win}${(flags & URG) !== 0 ? ` urg ${e.urgent}` : ''}`
    if (e.options.length > 0) e.text += ` <${e.options.join(',')}>`
    this.laws(e, flow, seq, ack, meta)
    this.out.push(e)
  }

  private laws(e: Emitted, flow: FlowState, seq: number, ack: number, meta: number): void {
    const syn = (e.flags & SYN) !== 0
    law(
      syn || !e.options.some((o) => o.startsWith('mss') || o === 'sackOK' || o.startsWith('wscale')),
      'MUST-65: SYN options only on SYN',
    )
    law((e.flags & (SYN | FIN)) !== (SYN | FIN), 'never SYN and FIN together')
    law((e.flags & RST) !== 0 || syn || (e.flags & ACK) !== 0, 'every segment of a connection carries ACK')
    if (e.gso === 0) law(20 + (e.text.includes('<') ? 0 : 20) + e.len <= this.link.mtu, 'fits the MTU')
    else law((meta & GSO_TCP4) !== 0 && e.len > e.gso, 'a super-segment is larger than its segments')
    if (syn) flow.scale = Number(e.options.find((o) => o.startsWith('wscale'))?.split(' ')[1] ?? 0)
    if ((e.flags & (RST | ACK)) === ACK && flow.iss !== null) {
      const scale = syn || !this.peerScales ? 0 : flow.scale
      const edge = ack + e.win * 2 ** scale
      // RFC 7323 section 2.4 allows less than one unit of the scale.
      law(edge > flow.edge - 2 ** scale, `SHLD-14: the right edge moved left, ${flow.edge} to ${edge}: ${e.text}`)
      if (edge > flow.edge) flow.edge = edge
    }
    if (this.verifyPayload && e.len > 0 && !syn) {
      for (let i = 0; i < e.len; i++) law(e.payload[i] === patternAt(seq + i), `payload at ${seq + i}: ${e.text}`)
    }
  }

  /** The peer has offered window scaling: our windows are scaled. */
  get peerScales(): boolean {
    return this.c?.windowScaling === true
  }

  /** Segments since the last call. */
  take(): Emitted[] {
    const out = this.out.slice(this.seen)
    this.seen = this.out.length
    return out
  }

  clear(): void {
    this.take()
  }

  /** Exactly these segments were emitted since the last call, in this order. */
  expect(...lines: string[]): Emitted[] {
    const got = this.take()
    const ok = got.length === lines.length && lines.every((line, i) => matches(line, got[i]))
    if (!ok) {
      const rows = [`at ${this.host.elapsedMs} ms`]
      for (let i = 0; i < Math.max(got.length, lines.length); i++) {
        const same = i < got.length && i < lines.length && matches(lines[i], got[i])
        if (same) rows.push(`    ${got[i].text}`)
        else {
          if (i < lines.length) rows.push(`  - ${lines[i]}`)
          if (i < got.length) rows.push(`  + ${got[i].text}   (at ${got[i].atMs})`)
        }
      }
      const error = new Error(`segments differ (- expected, + emitted) ${rows.join('\n')}`)
      Error.captureStackTrace(error, this.expect)
      throw error
    }
    return got
  }

  /** Advances in steps of a millisecond until something is emitted, at most `ms`; returns how long it took. */
  untilEmitted(ms: number): number {
    const from = this.host.elapsedMs
    const count = this.out.length
    while (this.out.length === count && this.host.elapsedMs - from < ms) {
      const next = this.host.nextMs
      this.host.advance(next < 0 ? ms : Math.min(Math.max(next, 0), ms - (this.host.elapsedMs - from)))
      if (next < 0) break
    }
    return Math.round((this.host.elapsedMs - from) * 1000) / 1000
  }
}
