/**
 * Asking for routers (RFC 4861 section 6.3.7): the first time after a random moment, then with waits that double and are random by a
 * tenth (RFC 7559), until a router offers itself. Without limit: a host without a router has nothing better to do, and at last it asks once
 * an hour.
 */
import { Address } from '../base/address.ts'
import { put16, put32 } from '../base/bytes.ts'
import type { NdConfig } from '../base/ipv6-config.ts'
import { type Random, randomBelow, randomFraction } from '../base/random.ts'
import { Timed, type Timers } from '../base/timers.ts'
import { ND_ROUTER_SOLICITATION } from '../icmp6/wire.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import { IP6_MIN_MTU } from '../ipv6/wire.ts'
import type { Frame } from '../netif/frame.ts'
import { putLinkAddress, usableLinkLocal } from './link-local.ts'
import type { NdInterface } from './nd-interface.ts'
import { RC } from './router-counters.ts'
import { ND_RS_LENGTH, OPTION_SOURCE_LINK } from './wire.ts'

const UNSPECIFIED = new Address()
const ALL_ROUTERS = new Address(0xff020000 | 0, 0, 0, 2)
/** A message that the full link refused is tried again after this. */
const RETRY_MS = 100

export class RouterSolicitor extends Timed {
  /** The last wait; 0: nothing was asked yet. */
  private waitMs = 0
  private readonly config: NdConfig

  constructor(
    private readonly nd: NdInterface,
    private readonly timers: Timers,
    private readonly clock: NeighborClock,
    private readonly random: Random,
    /** For this one message; others use it as well. */
    private readonly frame: Frame,
    /** Of ROUTER_COUNTERS. */
    private readonly counts: Float64Array,
  ) {
    super()
    this.config = nd.config
  }

  /** Begins, or begins anew: the link may be another. */
  start(): void {
    this.waitMs = 0
    this.timers.arm(this, (this.clock.nowMs + randomBelow(this.random, this.config.routerSolicitDelayMs + 1)) | 0)
  }

  /** A router was found (RFC 7559 section 2.1). */
  stop(): void {
    this.timers.remove(this)
  }

  get running(): boolean {
    return this.timerArmed
  }

  override onTimer(now: number): void {
    const { iface } = this.nd
    if (!iface.up || iface.mtu < IP6_MIN_MTU) return // until the link is up again, or wide enough
    if (!this.send()) {
      this.counts[RC.dropLinkFull]++
      this.timers.arm(this, (now + RETRY_MS) | 0)
      return
    }
    const { routerSolicitMs, routerSolicitMaxMs } = this.config
    // RFC 7559 section 2, after RFC 8415 section 15: RT = 2 RTprev, at most MRT; RAND is within a tenth.
    const base = this.waitMs === 0 ? routerSolicitMs : Math.min(2 * this.waitMs, routerSolicitMaxMs)
    this.waitMs = Math.max(1, Math.round(base * (0.9 + 0.2 * randomFraction(this.random))))
    this.timers.arm(this, (now + this.waitMs) | 0)
  }

  /** From our link-local address, or from nobody while that is being asked for (section 4.1): no link address then. */
  private send(): boolean {
    const { frame } = this
    const { buf, start } = frame.reset()
    put16(buf, start, ND_ROUTER_SOLICITATION << 8)
    put32(buf, start + 4, 0)
    frame.end = start + ND_RS_LENGTH
    const source = usableLinkLocal(this.nd)
    if (source !== null) putLinkAddress(frame, OPTION_SOURCE_LINK, this.nd)
    const sent = this.nd.multicast(frame, source ?? UNSPECIFIED, ALL_ROUTERS)
    if (sent) this.counts[RC.outRouterSolicits]++
    return sent
  }
}
