/**
 * The TCP layer of one stack: who gets a segment, ports, resets to strangers, the dirty list.
 *
 * Theory of operation. `input` checks the checksum, parses into the one `Segment` and asks the flow table; what no connection knows goes to
 * a listener by port, or gets a reset. Nothing but handshakes, resets and the ACKs of TIME-WAIT is sent while segments are heard: those have
 * no application behind them and leave at once. Connections that were touched stand on the dirty list; the turn calls `speak` at its end.
 */
import type { Address } from '../base/address.ts'
import { get16, get32 } from '../base/bytes.ts'
import { sumBytes } from '../base/checksum.ts'
import type { TcpConfig } from '../base/config.ts'
import { Counters } from '../base/counters.ts'
import { BufferPool } from '../base/pool.ts'
import type { Random } from '../base/random.ts'
import { HalfSipHash } from '../base/siphash.ts'
import type { TellList } from '../base/tell.ts'
import type { Timers } from '../base/timers.ts'
import type { ErrorReport, Ip, Protocol } from '../ip/ip.ts'
import { type Packet, PROTO_TCP, To } from '../ip/packet.ts'
import { pseudoSum } from '../ip/pseudo-header.ts'
import { Route } from '../ip/route.ts'
import { CSUM_MASK, CSUM_NONE } from '../netif/netif.ts'
import { congestionControl } from './algorithms.ts'
import type { ConnectionHandler, ListenerHandler, ListenOptions, OpenOptions, RawConnection, RawListener, RawTcp } from './api.ts'
import { ChallengeLimit } from './challenge.ts'
import { AckSample, type CongestionChoice, type CongestionControl } from './congestion.ts'
import { Connection } from './connection.ts'
import { forMany } from './control-maker.ts'
import type { TcpClock, TcpDeps } from './deps.ts'
import { FastOpenCache } from './fast-open-cache.ts'
import { checkKeys, FastOpenKeys } from './fast-open-keys.ts'
import { FlightPool } from './flight-pool.ts'
import { type Flow, FlowTable } from './flows.ts'
import { tellError } from './foreign-control.ts'
import { receiveIcmpError } from './icmp-errors.ts'
import type { Listener } from './listener.ts'
import { Listeners } from './listeners.ts'
import { Memory } from './memory.ts'
import { openConnection, openListener } from './opening.ts'
import { Output } from './output.ts'
import { type Path, Paths } from './path.ts'
import { Secrets } from './ports.ts'
import { RateSample } from './rate.ts'
import type { Rto } from './rto.ts'
import { Segment } from './segment.ts'
import { later } from './seq.ts'
import { isAuthentic } from './signature-check.ts'
import { headersOf } from './sizes.ts'
import { Spoken } from './speaking.ts'
import { State } from './state.ts'
import { SynCookies } from './syn-cookies.ts'
import { SynOptions } from './syn-options.ts'
import { SynReceived } from './syn-received.ts'
import { C, TCP_COUNTERS } from './tcp-counters.ts'
import { TimeWait, TimeWaits } from './time-wait.ts'
import { ACK, DEFAULT_MSS_V4, DEFAULT_MSS_V6, FIN, MIN_MSS, RST, SYN, TCP_HEADER } from './wire.ts'

export class Tcp implements Protocol, RawTcp {
  readonly counters = new Counters(TCP_COUNTERS)
  readonly ip: Ip
  readonly config: TcpConfig
  readonly timers: Timers
  readonly clock: TcpClock
  readonly tell: TellList
  readonly pool: BufferPool
  readonly memory: Memory
  readonly flights = new FlightPool()
  readonly flowTable: FlowTable
  readonly secrets: Secrets
  /** What the config said of congestion control when it was last looked at, and that for many connections. */
  private chosen: unknown = null
  private makers: CongestionChoice = ''
  readonly paths: Paths
  readonly output: Output
  readonly timeWaits: TimeWaits
  readonly defaultTtl: number
  /** What the ACK being processed said. */
  readonly sample = new AckSample(new RateSample())
  /** Full connections, whatever their state. */
  openConnections = 0
  isClosed = false
  /** Keys were given to some connection or listener, once. */
  signing = false
  readonly listeners = new Listeners()
  private readonly segment: Segment
  private readonly deps: TcpDeps
  /** Two arrays that only grow, as in TellList. */
  private dirty: (Connection | null)[] = []
  private spare: (Connection | null)[] = []
  private dirtyCount = 0
  private readonly challenges: ChallengeLimit
  readonly scratchRoute = new Route()
  private cookies: SynCookies | null = null
  private foKeys: FastOpenKeys | null = null
  private foCache: FastOpenCache | null = null

  constructor(deps: TcpDeps, packet: Packet) {
    this.deps = deps
    this.ip = deps.ip
    this.config = deps.config
    this.timers = deps.timers
    this.clock = deps.clock
    this.tell = deps.tell
    this.pool = deps.pool ?? new BufferPool()
    this.memory = new Memory(this.pool, deps.config, this.counters.values)
    this.defaultTtl = deps.ttl
    this.flowTable = new FlowTable(new HalfSipHash(deps.random))
    this.secrets = new Secrets(deps.random)
    this.output = new Output(deps.ip, deps.frame, deps.ttl, this.counters.values, new SynOptions(deps.config.synOptions))
    this.paths = new Paths(this.secrets)
    this.timeWaits = new TimeWaits(this)
    this.segment = new Segment(packet)
    this.challenges = new ChallengeLimit(deps.config.challengeAcksPerSecond, deps.random)
    checkKeys(deps.config.fastOpenKeys)
    this.newControl(deps.config.congestion as CongestionChoice) // a wrong name is said now, not at the first connection
    this.adoptCongestion()
  }

  // -------------------------------------------------------------------- in

  input(packet: Packet): void {
    const n = this.counters.values
    n[C.tcpInSegs]++
    if (packet.to !== To.HOST) {
      n[C.dropNotUnicast]++ // RFC 9293 MUST-57
      return
    }
    const size = packet.end - packet.off
    if ((packet.meta & CSUM_MASK) === CSUM_NONE) {
      const sum = pseudoSum(packet.source, packet.destination, PROTO_TCP, size)
      if (size < TCP_HEADER || sumBytes(packet.buf, packet.off, size, sum) !== 0xffff) {
        n[size < TCP_HEADER ? C.dropTooShort : C.dropBadChecksum]++
        n[C.tcpInErrs]++
        return
      }
    }
    const seg = this.segment
    if (!seg.parse(packet)) {
      n[C.dropTooShort]++
      n[C.tcpInErrs]++
      return
    }
    if ((seg.flags & (SYN | FIN)) === (SYN | FIN) && this.config.synWithFin === 'drop') {
      n[C.dropSynWithFin]++
      return
    }
    const flow = this.flowTable.find(packet.destination, seg.destinationPort, packet.source, seg.sourcePort)
    if ((seg.signatureAt !== 0 || this.signing) && !isAuthentic(this, flow, seg)) return
    if (flow !== null) flow.receive(seg)
    else this.receiveUnknown(seg)
  }

  /** A segment that belongs to no connection. */
  receiveUnknown(seg: Segment): void {
    const { packet } = seg
    if (packet.source.isMulticast || packet.source.isUnspecified || packet.source.isLimitedBroadcast) {
      this.counters.values[C.dropBadSource]++ // RFC 9293 MUST-63
      return
    }
    const listener = this.listeners.find(packet.destination, seg.destinationPort)
    if (listener !== null) {
      listener.receive(seg, this.secrets.isn(packet.destination, seg.destinationPort, packet.source, seg.sourcePort, this.clock))
      return
    }
    this.counters.values[C.dropNoSocket]++
    if ((seg.flags & RST) === 0) this.resetFor(seg)
  }

  /**
   * A SYN for a four-tuple in TIME-WAIT that cannot be an old one (RFC 9293 MAY-2): our ISN must lie beyond all numbers used before, also
   * when those ran faster than the ISN clock. False: nobody listens.
   */
  succeed(old: TimeWait, seg: Segment): boolean {
    const { packet } = seg
    const listener = this.listeners.find(packet.destination, seg.destinationPort)
    if (listener === null) return false
    this.timeWaits.remove(old)
    this.counters.values[C.tcpTimeWaitRecycled]++
    const isn = this.secrets.isn(packet.destination, seg.destinationPort, packet.source, seg.sourcePort, this.clock)
    listener.receive(seg, later(isn, (old.sndNxt + 0x10000) | 0), true)
    return true
  }

  isListening(address: Address, port: number): boolean {
    return this.listeners.find(address, port) !== null
  }

  /** RFC 9293 section 3.10.7.1: the reset that fits a segment of no connection. */
  resetFor(seg: Segment): void {
    const { packet } = seg
    if (seg.signatureAt !== 0 && seg.keys === null) return // its sender could not believe a reset
    const b = this.output.bareSegment
    b.keys = seg.keys
    b.sourcePort = seg.destinationPort
    b.destinationPort = seg.sourcePort
    if ((seg.flags & ACK) !== 0) {
      b.seq = seg.ack
      b.ack = 0
      b.flags = RST
    } else {
      b.seq = 0
      b.ack = (seg.seq + seg.span) | 0
      b.flags = RST | ACK
    }
    b.wnd = 0
    b.mss = 0
    b.windowScale = -1
    b.sackPermitted = false
    b.hasTimestamps = false
    this.counters.values[C.tcpOutRsts]++
    this.sendBare(packet.destination, packet.source)
  }

  /** Sends the bare segment from one of our addresses, by whatever way there is now. */
  sendBare(local: Address, remote: Address): void {
    if (this.ip.route(remote, local, null, this.scratchRoute) !== null) {
      this.counters.values[C.dropNoRoute]++
      return
    }
    this.output.bare(this.scratchRoute, local, remote)
  }

  error(report: ErrorReport): void {
    if (report.end - report.off < 8) return
    const localPort = get16(report.quote, report.off)
    const remotePort = get16(report.quote, report.off + 2)
    const seq = get32(report.quote, report.off + 4)
    const flow = this.flowTable.find(report.source, localPort, report.destination, remotePort)
    if (flow instanceof Connection) receiveIcmpError(flow, report, seq)
    else this.counters.values[C.dropIcmpNoSocket]++
  }

  // ------------------------------------------------------------------- out

  markDirty(c: Connection): void {
    if (c.dirty) return
    c.dirty = true
    this.dirty[this.dirtyCount++] = c
    this.deps.wake() // also when others are dirty: those may be waiting for a full link
  }

  /** Made when the first is needed. */
  get synCookies(): SynCookies {
    this.cookies ??= new SynCookies(this.random)
    return this.cookies
  }

  /** The same for Fast Open: keys of the server, memory of the client. */
  get fastOpenKeys(): FastOpenKeys {
    const { fastOpenKeys } = this.config
    if (this.foKeys?.keys !== fastOpenKeys) this.foKeys = new FastOpenKeys(fastOpenKeys, this.random)
    return this.foKeys
  }

  get fastOpenCache(): FastOpenCache {
    this.foCache ??= new FastOpenCache(this.config.fastOpenCacheEntries)
    return this.foCache
  }

  get random(): Random {
    return this.deps.random
  }

  wake(): void {
    this.deps.wake()
  }

  /** Somebody waits to speak. */
  get hasDirty(): boolean {
    return this.dirtyCount > 0
  }

  /**
   * Lets every dirty connection speak. Those that have more to say, or found the link full, stay dirty. Returns true when another turn
   * should follow at once (a full link calls back by itself).
   */
  speak(quantum: number): boolean {
    this.memory.look()
    const round = this.dirty
    const n = this.dirtyCount
    if (n === 0) return false
    this.dirty = this.spare
    this.spare = round
    this.dirtyCount = 0
    let more = false
    for (let i = 0; i < n; i++) {
      const c = round[i]!
      round[i] = null
      c.dirty = false
      const result = c.speak(quantum)
      if (result === Spoken.DONE || c.dirty) continue
      if (result === Spoken.MORE) more = true
      c.dirty = true
      this.dirty[this.dirtyCount++] = c
    }
    return more
  }

  /** A challenge ACK may be sent; counted either way. */
  mayChallenge(): boolean {
    const may = this.challenges.take(this.clock.nowMs)
    this.counters.values[may ? C.tcpChallengeAcks : C.dropChallengeLimit]++
    return may
  }

  // ----------------------------------------------------------------- calls

  open(options: OpenOptions, handler: ConnectionHandler): RawConnection {
    return openConnection(this, options, handler)
  }

  listen(options: ListenOptions, handler: ListenerHandler): RawListener {
    return openListener(this, options, handler)
  }

  hold(): void {
    this.deps.hold()
  }

  removeListener(l: Listener): void {
    if (this.listeners.remove(l) && l.ref) this.deps.release()
  }

  /** Every connection, handshake and TIME-WAIT, for listings. */
  *flows(): Generator<Connection | SynReceived | TimeWait> {
    const all: Flow[] = []
    this.flowTable.forEach((f) => {
      all.push(f)
    })
    for (const f of all) if (f instanceof Connection || f instanceof SynReceived || f instanceof TimeWait) yield f
  }

  allListeners(): Listener[] {
    return this.listeners.all()
  }

  /** Resets and forgets everything. Nothing new is begun: who connects again when told of the end would keep the process alive. */
  shutdown(): void {
    this.isClosed = true
    for (const l of this.allListeners()) l.close()
    for (const f of this.flows()) {
      if (f instanceof Connection) f.abort()
      else if (f instanceof SynReceived) f.end(true)
    }
    this.timeWaits.clear()
  }

  // --------------------------------------------------------- for connections

  newConnection(path: Path, localPort: number, remotePort: number, rto: Rto | null): Connection {
    const choice = this.adoptCongestion()
    const control = rto === null ? this.newControl(choice) : this.acceptedControl(choice)
    return new Connection(this, path, localPort, remotePort, control, rto)
  }

  /** The config may change while the stack runs, as a sysctl does. */
  private adoptCongestion(): CongestionChoice {
    const { congestion } = this.config
    if (congestion !== this.chosen) {
      this.chosen = congestion
      this.makers = forMany(congestion as CongestionChoice)
    }
    return this.makers
  }

  newControl(choice: CongestionChoice): CongestionControl {
    return congestionControl(choice, this.config, this.deps.random, this.tell)
  }

  /** The same for a connection that a packet has made: nobody is there to be told but by `uncaught`, and it goes on with the default. */
  acceptedControl(choice: CongestionChoice): CongestionControl {
    try {
      return this.newControl(choice)
    } catch (error) {
      tellError(this.tell, error)
      return this.newControl('cubic')
    }
  }

  /** A connection counts from now on. */
  opened(c: Connection, ref: boolean): void {
    this.openConnections++
    c.ref = ref
    if (ref) this.deps.hold()
  }

  private ended(c: Connection): void {
    this.openConnections--
    if (c.ref) this.deps.release()
    c.ref = false
  }

  removeFlow(c: Connection): void {
    if (this.flowTable.remove(c)) this.ended(c)
  }

  enterTimeWait(c: Connection): void {
    const t = new TimeWait(this, c)
    this.flowTable.replace(c, t)
    this.ended(c)
    this.counters.values[C.tcpTimeWaited]++
    this.timeWaits.add(t)
  }

  /** Hook for tests and traces: every change of state passes here. */
  stateChanged(from: number, to: number): void {
    this.onStateChange?.(from, to)
    if (to === State.CLOSED && from === State.SYN_SENT) this.counters.values[C.tcpAttemptFails]++
  }

  onStateChange: ((from: number, to: number) => void) | null = null

  /** The MSS to announce: what fits the interface (RFC 9293 section 3.7.1; options are not subtracted, RFC 6691). */
  mssFor(route: Route, v4: boolean): number {
    const mss = Math.min(route.iface!.mtu, 65535) - headersOf(v4)
    const most = this.config.maxSegmentBytes
    return most > 0 && most < mss ? most : mss
  }

  /** The peer's MSS option, with the default when absent, and a floor. */
  peerMss(option: number, v4: boolean): number {
    if (option === 0) return v4 ? DEFAULT_MSS_V4 : DEFAULT_MSS_V6
    return Math.max(option, MIN_MSS)
  }
}
