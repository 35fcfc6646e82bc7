/**
 * The sending half of a connection: SND.*, the ring, and the answer to "what is to be said next" (RFC 9293 section 3.8).
 *
 * `next()` emits at most one segment or super-segment: first what is lost, then new data as far as cwnd, the peer's window, Nagle
 * (section 3.7.4) and silly-window avoidance (3.8.6.2.1) allow. SND.NXT advances only when the link took the segment. All limits count
 * bytes, so a super-segment is only a larger limit.
 *
 * Invariants: una <= nxt; offset 0 of the ring is una (from the handshake's end until our FIN is acknowledged); nxt - una never exceeds
 * ring.length + 1 (the FIN); the flight log ends at nxt.
 */
import type { TcpConfig } from '../base/config.ts'
import { ByteRing } from '../base/ring.ts'
import { type Chrono, Held, watchHolding } from './chrono.ts'
import { type CongestionControl, CongestionWindow } from './congestion.ts'
import type { Connection } from './connection.ts'
import { Flight } from './flight.ts'
import type { FlightPool } from './flight-pool.ts'
import { LEAST_BYTES, type Memory } from './memory.ts'
import { type MtuSearch, WAIT } from './mtu-probe.ts'
import { charge, mustWait, type Pacer, pacingQuantum } from './pacer.ts'
import { sendProbe } from './probe.ts'
import { Rate } from './rate.ts'
import { Recovery, RecoveryState } from './recovery.ts'
import { retransmit } from './retransmit.ts'
import type { Rto } from './rto.ts'
import { geq, gt, leq } from './seq.ts'
import { WindowUse } from './window-use.ts'
import { ACK, DEFAULT_MSS_V4, FIN, PSH } from './wire.ts'

/** What `next` did. LAST: something, and nothing follows it. */
export const Sent = { SOMETHING: 0, NOTHING: 1, BLOCKED: 2, LAST: 3 } as const

const Proof = { NONE: 0, SENT: 1, GIVEN: 2 } as const

export class Sender {
  iss = 0
  una = 0
  nxt = 0
  /** Peer's window in bytes, and the segment that last updated it. */
  wnd = 0
  wl1 = 0
  wl2 = 0
  /** Largest window the peer ever offered: silly-window avoidance and RFC 5961 go by it. */
  maxWnd = 0
  /** Peer's window scale. */
  scale = 0
  /** Payload bytes of a full segment, options that every segment carries already taken off. */
  mss = DEFAULT_MSS_V4
  /** What the peer's SYN said. */
  peerMss = DEFAULT_MSS_V4
  /** Largest payload of one super-segment: mss when the link has no TSO. */
  superLimit = DEFAULT_MSS_V4
  /** The same two with the SACK option of the moment taken off. */
  payloadLimit = DEFAULT_MSS_V4
  /** No super-segments: their flags would not survive segmentation (accurate-ecn.ts). */
  private single = false

  /** Whether a full segment of this size was sent, up to where, and acknowledged. */
  private proof: number = Proof.NONE
  private fullEnd = 0

  finQueued = false
  finSent = false
  /** Sequence number after the last urgent byte; valid while `urgent`. */
  up = 0
  urgent = false

  noDelay: boolean
  /** TCP_CORK: a small segment waits for company, for `corkMs` at most. */
  cork = false
  /** What was written up to now leaves at once, whatever Nagle and cork say. */
  push = false
  /** End of the last small segment (Minshall's variant of Nagle's algorithm). */
  private smallEnd = 0
  /** TCP_NOTSENT_LOWAT; 0 = none. */
  notSentLowat = 0
  /** The persist timer asked for a segment smaller than SWS avoidance likes. */
  override = false
  /** A write took less than it was given: tell when there is room. */
  wantWritable = false
  /** Size of the buffer, and how large it may become. */
  limit: number
  private maxLimit: number
  lastSendMs = 0
  /** The congestion window ended the burst that is being sent. */
  private cwndLimited = false

  /** Algorithms without a rate of their own are paced, too (pacer.ts). */
  readonly pacing: boolean
  /** Most bytes per second, whatever the algorithm says; 0 = as fast as it allows (Linux SO_MAX_PACING_RATE). */
  maxPacingRate = 0
  /** Made when there is a rate for the first time. */
  pacer: Pacer | null = null
  /** Pacing ended the burst that is being sent. */
  isPaced = false

  bytesSent = 0
  bytesAcked = 0
  retransmits = 0
  retransmittedBytes = 0

  /** What held the data back, and for how long; made with the first data. */
  chrono: Chrono | null = null

  readonly ring: ByteRing
  readonly window = new CongestionWindow()
  /** Made when something is sent, all at once: a connection that only listens, or waits, has none of them. */
  private madeFlight: Flight | null = null
  private madeRecovery: Recovery | null = null
  private madeUse: WindowUse | null = null
  /** There was nothing to send, before they were made. */
  private wasIdle = false

  constructor(
    private readonly memory: Memory,
    private readonly flights: FlightPool,
    public control: CongestionControl,
    readonly rto: Rto,
    private readonly config: TcpConfig,
  ) {
    this.noDelay = config.noDelay
    this.limit = config.sendBufferInitialBytes
    this.maxLimit = config.sendBufferMaxBytes
    this.pacing = config.pacing
    this.ring = new ByteRing(memory.pool)
  }

  get flight(): Flight {
    return this.madeFlight ?? this.made().flight
  }

  get recovery(): Recovery {
    return this.madeRecovery ?? this.made().recovery
  }

  get use(): WindowUse {
    return this.madeUse ?? this.made().use
  }

  private made(): this {
    const flight = new Flight(this.flights, new Rate(this.flights.newest))
    flight.una = this.una
    flight.mss = this.mss
    if (this.wasIdle) flight.rate.applicationLimited(0)
    const recovery = new Recovery(flight, this.window, this.control, this.config)
    recovery.point = this.iss
    this.madeFlight = flight
    this.madeRecovery = recovery
    this.madeUse = new WindowUse()
    return this
  }

  /** Segments and super-segments in flight, as the log has them. */
  get records(): number {
    return this.madeFlight === null ? 0 : this.madeFlight.count
  }

  /** See recovery.ts. */
  get isCurious(): boolean {
    return this.madeRecovery?.isCurious === true
  }

  /** The search for the path MTU, once it was begun. */
  get search(): MtuSearch | null {
    return this.madeRecovery === null ? null : this.madeRecovery.search
  }

  /** Another algorithm from now on; the window that was reached stays. */
  useCongestion(control: CongestionControl): void {
    const { cwnd, ssthresh } = this.window
    this.control = control
    if (this.madeRecovery !== null) this.madeRecovery.control = control
    this.window.pacingRate = 0
    if (cwnd === 0) return // not yet begun
    this.control.start(this.window, this.config.initialWindowSegments)
    this.window.cwnd = cwnd
    this.window.ssthresh = ssthresh
  }

  get rate(): Rate {
    return this.flight.rate
  }

  /** Sets una = nxt = the first byte after the SYN and the `acked` bytes that came with it: the handshake is over. */
  begin(nowMs: number, acked = 0): void {
    this.una = (this.iss + 1 + acked) | 0
    this.nxt = this.una
    this.smallEnd = this.nxt
    this.window.mss = this.mss
    if (this.madeFlight !== null) {
      this.madeFlight.una = this.una
      this.recovery.point = this.iss
      this.use.begin(this.nxt, nowMs)
    }
    this.control.start(this.window, this.config.initialWindowSegments)
  }

  /** Segment sizes changed (handshake, path MTU). */
  setMss(mss: number, superLimit: number): void {
    if (mss !== this.mss) this.proof = Proof.NONE
    this.mss = mss
    this.window.mss = mss
    if (this.madeFlight !== null) this.madeFlight.mss = mss
    this.superLimit = superLimit
    this.payloadLimit = mss
  }

  /** Everything before `ack` has arrived. */
  proveFull(ack: number): void {
    if (this.proof === Proof.SENT) this.prove(ack)
  }

  private prove(ack: number): void {
    if (geq(ack, this.fullEnd)) this.proof = Proof.GIVEN
  }

  /** Full segments of the present size have arrived. */
  get isFullProven(): boolean {
    return this.proof === Proof.GIVEN
  }

  /** Bytes in the ring that were never sent. */
  get unsent(): number {
    return this.finSent ? 0 : this.ring.length - ((this.nxt - this.una) | 0)
  }

  get inFlight(): number {
    return (this.nxt - this.una) | 0
  }

  /** Something waits to be sent for the first time. */
  get pending(): boolean {
    return !this.finSent && (this.finQueued || this.unsent > 0)
  }

  /** Room for the application's bytes. The limit follows twice the congestion window (RFC 9293 leaves it to us; Linux does this). */
  get room(): number {
    const wish = this.window.cwnd * 2
    if (wish > this.limit && !this.memory.underPressure) this.limit = wish < this.maxLimit ? wish : this.maxLimit
    const { length, capacity } = this.ring
    let room = this.limit - length
    if (this.memory.isShort) room = Math.min(room, Math.max(capacity, LEAST_BYTES) - length)
    if (this.notSentLowat > 0) {
      // At least a whole segment, so that a low mark makes no small ones.
      const most = this.unsent < this.notSentLowat ? Math.max(this.notSentLowat - this.unsent, this.mss) : 0
      if (room > most) room = most
    }
    return room > 0 ? room : 0
  }

  /** So much room that it is worth telling (Linux sk_stream_write_space, tcp_stream_memory_free). */
  get isRoomy(): boolean {
    const room = this.room
    if (this.notSentLowat > 0 && this.unsent << 1 >= this.notSentLowat) return false
    return room >= this.limit / 3 || (room > 0 && (this.notSentLowat > 0 || this.ring.length === 0))
  }

  /** SO_SNDBUF: this size, and no other. What is in it already stays. */
  fixLimit(bytes: number): void {
    this.limit = bytes
    this.maxLimit = bytes
  }

  /** The urgent pointer of a segment at `seq`: distance to the end of urgent data, 0 = none (RFC 9293 section 3.8.5). */
  urgentAt(seq: number): number {
    if (!this.urgent || !gt(this.up, seq)) return 0
    const d = (this.up - seq) | 0
    return d > 0xffff ? 0xffff : d
  }

  /** Emits one segment if there is reason to. Returns one of `Sent`. */
  next(c: Connection, nowUs: number, nowMs: number): number {
    const { ecn } = c
    const accurate = ecn === null ? null : ecn.accurate
    const options = accurate !== null ? accurate.fit(c) : c.sackPermitted ? c.rcv.sackLength(c.timestamps) : 0
    this.payloadLimit = this.mss - options
    this.single = accurate?.hasCwr === true
    if (this.madeUse === null) {
      if (!this.pending) {
        this.wasIdle = true
        return Sent.NOTHING
      }
      this.use.begin(this.nxt, nowMs)
    }
    const { flight, recovery } = this
    const pipe = recovery.pipe(this.nxt)
    if (recovery.probeDue) return sendProbe(c, pipe, nowUs, nowMs)
    if (recovery.preferNew) {
      const sent = this.pending ? this.fresh(c, pipe, nowUs, nowMs) : Sent.NOTHING
      if (sent !== Sent.NOTHING || this.nxt !== recovery.point) return sent
      recovery.stopPreferringNew()
    }
    const lost = flight.nextLost()
    if (lost >= 0) return retransmit(c, lost, pipe, nowUs, nowMs)
    if (this.pending) return this.fresh(c, pipe, nowUs, nowMs)
    this.empty(pipe)
    return Sent.NOTHING
  }

  /** Nothing more is to be sent, with `pipe` bytes in the network. */
  private empty(pipe: number): void {
    if (pipe < this.window.cwnd) this.rate.applicationLimited(pipe)
  }

  /** Emits new data, and FIN after it, as the windows and Nagle allow. The probe of the tail asks neither cwnd nor Nagle. */
  fresh(c: Connection, pipe: number, nowUs: number, nowMs: number): number {
    let mss = this.payloadLimit
    const outstanding = (this.nxt - this.una) | 0
    const unsent = this.finSent ? 0 : this.ring.length - outstanding
    if (outstanding === 0 && this.lastSendMs !== 0) this.restart(nowMs)
    const usable = (this.una + this.wnd - this.nxt) | 0
    const cwndRoom = this.window.cwnd - pipe
    const { flight, recovery } = this
    const { search } = recovery
    const isTail = recovery.probeDue
    const probe = search === null || isTail ? 0 : search.size(unsent, usable, cwndRoom, pipe)
    if (probe === WAIT) return Sent.NOTHING
    if (probe > 0) {
      mss = probe
      this.payloadLimit = probe
      this.single = true
    }
    let n = unsent
    if (n > mss) n = Math.min(n, isTail ? mss : this.superLimitNow())
    if (n > usable) n = usable > 0 ? usable : 0
    if (n > cwndRoom && !isTail) {
      this.cwndLimited = true
      n = cwndRoom >= mss ? cwndRoom - (cwndRoom % mss) : pipe === 0 ? Math.min(n, mss) : 0
      if (n === 0 && unsent > 0) return Sent.NOTHING
    }
    if (n < unsent) {
      if (n >= mss) n -= n % mss
      else if (!(n > 0 && (this.override || n >= this.maxWnd >> 1))) return Sent.NOTHING // sender SWS avoidance
    } else {
      const tail = n % mss
      if (tail > 0) {
        const mayHold = this.cork || (!this.noDelay && outstanding > 0)
        if (mayHold && !isTail && this.holdsBack(outstanding)) n -= tail
        else this.smallEnd = (this.nxt + n) | 0
      }
      if (n === 0 && unsent > 0) return Sent.NOTHING
    }
    const empties = n === unsent
    const withFin = empties && this.finQueued && usable > n
    if (n === 0 && !withFin) return Sent.NOTHING
    const hasRate = this.window.pacingRate > 0 || this.maxPacingRate > 0
    if (hasRate && n > 0 && !isTail && mustWait(c, nowUs)) return Sent.NOTHING
    const flags = ACK | (empties ? PSH : 0) | (withFin ? FIN : 0)
    if (!c.tcp.output.segment(c, this.nxt, n, withFin && n === 0 ? ACK | FIN : flags)) return Sent.BLOCKED
    if (probe > 0) search!.sent(this.nxt, n)
    else if (this.proof === Proof.NONE && n >= mss) {
      this.proof = Proof.SENT
      this.fullEnd = (this.nxt + n) | 0
    }
    const start = this.nxt
    const end = (start + n + (withFin ? 1 : 0)) | 0
    this.nxt = end
    flight.add(end, nowUs, pipe + n, mss)
    if (hasRate) charge(this, n, nowUs)
    if (withFin) {
      this.finSent = true
      c.finSent()
    }
    this.override = false
    if (empties) this.push = false
    this.bytesSent += n
    this.lastSendMs = nowMs
    const isOpen = recovery.state === RecoveryState.OPEN
    if (!isOpen) recovery.sent(n, false, nowMs)
    c.sentData(n)
    c.deadlines.sentNew()
    // Whether something follows: losses, the probe of the tail, the FIN that did not fit.
    if (!empties || (this.finQueued && !withFin) || !isOpen || flight.lostBytes > 0) return Sent.SOMETHING
    if (recovery.probeDue || recovery.preferNew) return Sent.SOMETHING
    this.empty(pipe + (end - start))
    return Sent.LAST
  }

  /** A small segment that would be the last waits for an ACK, or for company. */
  private holdsBack(outstanding: number): boolean {
    if (this.finQueued || this.urgent || this.push) return false
    if (this.cork) return !this.override
    if (this.noDelay || outstanding === 0) return false
    // Minshall: what holds back is another small segment in flight; the tail of full ones goes out with them.
    return this.config.nagle !== 'minshall' || (gt(this.smallEnd, this.una) && leq(this.smallEnd, this.nxt))
  }

  /** Largest payload of the next segment. */
  superLimitNow(): number {
    const mss = this.payloadLimit
    if (this.superLimit <= this.mss || this.single) return mss
    const rate = this.pacingRate
    const limit = rate > 0 ? Math.min(this.superLimit, pacingQuantum(rate, mss)) : this.superLimit
    return limit - (limit % mss)
  }

  /** Sending begins again with nothing in flight. Algorithms that keep a model hear of every time, others of pauses longer than an RTO. */
  private restart(nowMs: number): void {
    const idleMs = (nowMs - this.lastSendMs) | 0
    const { ms } = this.rto
    if (this.control.model === undefined && !(this.config.slowStartAfterIdle && idleMs > ms)) return
    this.control.idle(this.window, this.config.initialWindowSegments, idleMs, ms)
    this.use.restart(nowMs)
  }

  /** Bytes per second at which data leaves now; 0 = no limit. */
  get pacingRate(): number {
    return this.maxPacingRate === 0 ? this.window.pacingRate : this.cappedRate // short, to be inlined: a call would return a heap number
  }

  private get cappedRate(): number {
    const rate = this.window.pacingRate
    const most = this.maxPacingRate
    return rate === 0 || most < rate ? most : rate
  }

  /** A burst is over, whatever ended it: was the window in use? */
  noteUse(nowMs: number): void {
    const { window, una } = this
    const { cwnd } = window
    // The pipe is never more than what is outstanding.
    const isFull = this.cwndLimited || (((this.nxt - una) | 0) >= cwnd && this.recovery.pipe(this.nxt) >= cwnd)
    this.use.note(window, isFull, una, this.nxt, nowMs)
    this.cwndLimited = false
  }

  /** Nothing more can be said for now: for what does the data wait? */
  watch(nowMs: number): void {
    if (this.madeUse === null) return
    this.noteUse(nowMs)
    const { use, recovery, config } = this
    recovery.reduction?.spoke()
    if (this.isPaced) this.isPaced = false
    else this.pacer?.rest()
    const isHeld = this.wantWritable || recovery.state !== RecoveryState.OPEN
    if (use.isPart && !isHeld && config.slowStartAfterIdle && this.control.model === undefined)
      use.decay(this.window, config.initialWindowSegments, this.rto.ms, nowMs)
    watchHolding(this, nowMs)
  }

  release(nowMs: number): void {
    this.chrono?.turn(Held.NOT, nowMs)
    this.ring.clear()
    this.madeFlight?.clear()
  }
}
