/**
 * Path MTU discovery by packets that get through instead of ICMP that may not come (RFC 4821), with the search of RFC 8899 and the moments of Linux.
 *
 * Theory of operation. Segments never exceed `low`, which is known to pass. When there is enough to send, one segment of a larger size is sent as
 * a probe, made of ordinary data; it is acknowledged, and `low` rises, or it is lost, and after a few losses `high` falls. The loss of a probe alone is no
 * sign of congestion (RFC 4821 section 7.5): its data goes out again in segments that fit, and the window stays. What follows a probe at once
 * is enough to detect its loss by SACK or duplicate ACKs, without the timer.
 *
 * A search exists from the start (`tcp.mtuProbing: 2`) or from when a black hole is suspected (1): time-outs in a row while segments are larger than
 * `mtuProbeBaseBytes`. It first tries the largest size at once, for most paths are not holes and most suspicions are wrong; then sizes that links
 * have, the middle one of those that are left, at last the middle between. When less than `mtuProbeThresholdBytes` is left the search rests for
 * `mtuProbeIntervalMs`. A connection without suspicion has no search.
 */
import type { Connection } from './connection.ts'
import type { Flight } from './flight.ts'
import { LOST } from './flight-record.ts'
import { RecoveryState } from './recovery.ts'
import { geq, lt } from './seq.ts'
import { applySizes, headerBytes, mtuLimit } from './sizes.ts'
import { C } from './tcp-counters.ts'

/** Losses of one size before it is believed too large (RFC 8899 section 5.1.2, MAX_PROBES); of the first, already suspected, one. */
const MAX_PROBES = 3
/** Segments of cwnd below which nothing is probed (Linux): a lost probe would leave too little to be detected by. */
const LEAST_WINDOW = 11
/** Segments that must follow a probe: by them its loss is detected (RFC 4821 section 7.4). */
const FOLLOWERS = 4

/** MTUs of links and tunnels: jumbo frames, token ring, Ethernet, and Ethernet less PPPoE, IPIP, GRE, ESP, VXLAN, WireGuard, 6in4, the least of IPv6. */
const USUAL = [9000, 8000, 4352, 2002, 1500, 1492, 1480, 1476, 1472, 1460, 1450, 1440, 1420, 1400, 1380, 1358, 1300, 1280]

/** What `size` says when there is something to be probed and no room for it yet. */
export const WAIT = -1

export class MtuSearch {
  /** IP packets of `low` bytes pass, of more than `high` do not. */
  low: number
  high: number
  /** The probe in flight: the size of its packet (0: none), and its data. */
  private probe = 0
  private start = 0
  private end = 0
  /** The data of a probe that failed is still being sent again. */
  private repairing = false
  private losses = 0
  /** The largest size is tried before anything else. */
  private bold = true

  constructor(
    private readonly c: Connection,
    low: number,
    high: number,
    /** When the search began, or began anew. */
    private sinceMs: number,
  ) {
    this.high = high
    this.low = Math.min(low, high)
  }

  /**
   * Payload bytes of a probe that may leave now, 0 for none, or WAIT. `usable`: of the peer's window, `room`: of ours, `pipe`: in the network.
   */
  size(unsent: number, usable: number, room: number, pipe: number): number {
    if (this.probe !== 0 || this.repairing) return 0
    const { c } = this
    const { snd } = c
    const { config, clock } = c.tcp
    const { mss } = snd
    if (this.high - this.low < config.mtuProbeThresholdBytes) {
      if (((clock.nowMs - this.sinceMs) | 0) >= config.mtuProbeIntervalMs) this.again()
      return 0
    }
    // With SACK blocks to send there is less room in a segment than the size says.
    if (snd.recovery.state !== RecoveryState.OPEN || snd.payloadLimit !== mss) return 0
    if (snd.window.cwnd < LEAST_WINDOW * mss) return 0
    const payload = this.candidate() - headerBytes(c)
    const enough = payload + FOLLOWERS * mss
    if (payload <= mss || unsent < enough || usable < enough) return 0
    if (room < payload) return pipe > 0 ? WAIT : 0
    return payload
  }

  /** A segment of `payload` bytes from `start` left as a probe. */
  sent(start: number, payload: number): void {
    this.probe = payload + headerBytes(this.c)
    this.start = start
    this.end = (start + payload) | 0
    this.repairing = false
  }

  private candidate(): number {
    if (this.bold) return this.high
    let above = 0
    let inside = 0
    for (const mtu of USUAL) {
      if (mtu > this.high) above++
      else if (mtu > this.low) inside++
    }
    return inside > 0 ? USUAL[above + (inside >> 1)] : (this.low + this.high + 1) >> 1
  }

  /** Everything before `una` has arrived. */
  acknowledged(una: number): void {
    if ((this.probe === 0 && !this.repairing) || lt(una, this.end)) return
    const size = this.probe
    this.probe = 0
    this.repairing = false
    if (size === 0) return
    this.low = size
    this.losses = 0
    this.bold = false
    this.c.tcp.counters.values[C.TCPMTUPSuccess]++
    applySizes(this.c)
  }

  /**
   * Losses were found. True: the probe is all that was lost, which says something about its size and nothing about congestion. For peers without
   * SACK it is marked here.
   */
  explains(flight: Flight): boolean {
    if (this.probe === 0 && !this.repairing) return false
    if (flight.una !== this.start && flight.lostBytes === 0) return false
    if (!this.c.sackPermitted && flight.una === this.start) {
      for (let i = 0; i < flight.count && lt(flight.startOf(i), this.end); i++) flight.lose(i)
    }
    let inProbe = 0
    for (let i = 0; i < flight.count; i++) {
      const from = flight.startOf(i)
      if (geq(from, this.end)) break
      if (geq(from, this.start) && (flight.flagsOf(i) & LOST) !== 0) inProbe += (flight.endOf(i) - from) | 0
    }
    if (inProbe !== flight.lostBytes) return false
    this.failed()
    return true
  }

  /** Data from `seq` is sent again. Without the probe nothing can be said of its size; if it was the oldest, it was what the peer waits for. */
  resent(seq: number): void {
    if (this.probe === 0 || lt(seq, this.start) || !lt(seq, this.end)) return
    if (this.c.snd.una === this.start) this.failed()
    else this.probe = 0
  }

  private failed(): void {
    if (this.probe === 0) return
    this.repairing = true
    this.c.tcp.counters.values[C.TCPMTUPFail]++
    this.losses++
    if (this.bold || this.losses >= MAX_PROBES) {
      this.high = Math.max(this.low, this.probe - 1)
      this.losses = 0
      this.bold = false
    }
    this.probe = 0
  }

  /** Routes, options or what the peer takes have changed. */
  limit(mtu: number): void {
    if (this.high > mtu) this.high = mtu
    if (this.low > this.high) this.low = this.high
  }

  /** Time-outs again: even `low` may be too large. */
  lower(mtu: number, mtuNow: number): void {
    this.probe = 0
    this.repairing = false
    if (mtu < this.low) this.low = mtu
    this.high = Math.max(this.low, Math.min(this.high, mtuNow))
    this.bold = true
  }

  private again(): void {
    this.sinceMs = this.c.tcp.clock.nowMs
    this.high = mtuLimit(this.c)
    this.losses = 0
    this.bold = true
  }
}

/** Time-outs in a row, and segments that may be why: smaller ones from now on (Linux tcp_mtu_probing). */
export function suspectBlackHole(c: Connection): void {
  const { snd, tcp } = c
  const { mtuProbing, mtuProbeBaseBytes, mtuProbeFloorBytes } = tcp.config
  if (mtuProbing === 0) return
  const header = headerBytes(c)
  const old = snd.mss
  if (snd.recovery.search === null) {
    if (old <= mtuProbeBaseBytes) return
    snd.recovery.search = new MtuSearch(c, mtuProbeBaseBytes + header, mtuLimit(c), tcp.clock.nowMs)
  } else {
    const mss = Math.max(Math.min(mtuProbeBaseBytes, old >> 1), mtuProbeFloorBytes)
    snd.recovery.search.lower(Math.min(mss, old) + header, mtuLimit(c))
  }
  applySizes(c)
  if (snd.mss < old) tcp.counters.values[C.tcpMtuBlackHoles]++
}
