/**
 * A port of a switch: the sink of one link, what is allowed there, and what was counted. What becomes of a frame is relay.ts.
 *
 * A port takes frames from its link only in the switch's turn and never waits to give one away: what the link refuses is lost and counted
 * (`dropOutFull`), because a frame that waited would hold up those for other ports. What the link cannot (super-segments, partial checksums) is done
 * in software by src/offload around it.
 */
import type { Host } from '../base/clock.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument } from '../base/errors.ts'
import { type SwitchConfig, TREE } from '../base/switch-config.ts'
import { GSO_MASK, GSO_UDP, type NetIf, type NetIfSink, Offload } from '../netif/netif.ts'
import { segment } from '../offload/segment.ts'
import { withoutOffload } from '../offload/soften.ts'
import { PortVlan, type PortVlanOptions } from './port-vlan.ts'
import { TokenBucket } from './token-bucket.ts'

/** Everything may be left out. */
export interface SwitchPortOptions {
  /** Its name in listings. The link's when left out. */
  name?: string
  /** Its VLANs. When left out: all frames pass as they are, tags included, in VLAN 1. */
  vlan?: PortVlanOptions
  /** It reaches only ports that are not isolated. */
  isolated?: boolean
  /** Addresses learned behind it, at most. */
  maxAddresses?: number
  /** Bits a second that may come in, and go out; what is above is dropped. */
  rateIn?: number
  rateOut?: number
  /** Storm control: frames a second that are flooded from here; 0: no limit. The switch's when left out. */
  broadcastPerSecond?: number
  multicastPerSecond?: number
  unknownPerSecond?: number
  /** A multicast router is here, whether it is heard or not. */
  router?: boolean
  /** A leave ends a membership at once: for ports with one host. RFC 4541 has no word for it, switches call it "fast leave". */
  fastLeave?: boolean
  /** Path cost of the spanning tree (20000: a gigabit). */
  pathCost?: number
  /** Priority of the port in the spanning tree, 0 to 240 in steps of 16 (128). */
  priority?: number
  /** No switch is behind it: it forwards at once. `auto` (left out): found out in three seconds. */
  edge?: boolean | 'auto'
  /** A BPDU switches the port off. */
  bpduGuard?: boolean
  /** Exactly one other switch can be behind it (true when left out): only then the spanning tree is rapid. */
  pointToPoint?: boolean
}

const NAMES = [
  // RFC 2863, without the HC of its 64-bit twins
  'ifInOctets',
  'ifInUcastPkts',
  'ifInMulticastPkts',
  'ifInBroadcastPkts',
  'ifOutOctets',
  'ifOutUcastPkts',
  'ifOutMulticastPkts',
  'ifOutBroadcastPkts',
  // RFC 4188
  'dot1dTpLearnedEntryDiscards',
  'dot1dStpPortForwardTransitions',
  'bpduIn',
  'bpduOut',
  'macMoves',
  'mirrored',
  'softSegmented',
  'dropTooShort',
  'dropBadSource',
  'dropReserved',
  'dropBadBpdu',
  'dropDown',
  'dropBlocked',
  'dropVlan',
  'dropRate',
  'dropStormBroadcast',
  'dropStormMulticast',
  'dropStormUnknown',
  'dropSamePort',
  'dropIsolated',
  'dropMirror',
  'dropOutFull',
  'dropOutRate',
  'dropOutBlocked',
  'dropOutVlan',
] as const
export const P = indexOf(NAMES)

/** Added to `ifInUcastPkts` and `ifOutUcastPkts`. */
export const Kind = { UNICAST: 0, MULTICAST: 1, BROADCAST: 2 } as const

/** What a frame that may be a super-segment needs at once, at most. */
const LARGEST_BITS = 8 * 65_600
const SEGMENTS = Offload.TX_CHECKSUM | Offload.TSO4 | Offload.TSO6

/** The switch, as its ports see it. */
export interface PortOwner {
  readonly host: Host
  readonly nowUs: number
  /** A lent frame came in. */
  heard(port: SwitchPort, buf: Uint8Array, start: number, end: number, meta: number): void
  /** The port has frames, or news. */
  wake(): void
  /** The port has sent something since the last flush. */
  sent(port: SwitchPort): void
}

/** A port's place in the spanning tree. */
export interface PortTree {
  /** A lent frame to the spanning tree's address. */
  bpdu(buf: Uint8Array, start: number, end: number): void
}

/** A port of a switch, with its link. Made by `join`. */
export class SwitchPort implements NetIfSink {
  readonly host: Host
  readonly name: string
  readonly link: NetIf
  readonly vlan: PortVlan
  readonly count = new Counters(NAMES)
  /** Addresses learned behind it. */
  addresses = 0
  readonly maxAddresses: number
  /** Switched on by whoever runs the switch. */
  isUp = true
  /** What the spanning tree allows (IEEE 802.1D-2004 section 7.4); both true without one. */
  learning = true
  forwarding = true
  tree: PortTree | null = null
  /** A multicast router is here: by order, or heard and believed for so long. */
  hasRouter: boolean
  routerHeard = false
  routerUntil = 0
  /** The port whose copies of other ports' frames leave here. */
  isMirror = false
  mirrorIn: SwitchPort | null = null
  mirrorOut: SwitchPort | null = null
  /** Frames wait in the link. */
  ready = false
  /** The link has ended; what waits in it is still taken. */
  ended = false
  endedWith: Error | undefined = undefined
  /** Sent since the last flush. */
  dirty = false
  readonly isolated: boolean
  readonly stormBroadcast: TokenBucket | null
  readonly stormMulticast: TokenBucket | null
  readonly stormUnknown: TokenBucket | null
  readonly rateIn: TokenBucket | null
  private readonly rateOut: TokenBucket | null
  /** The link leaves frames that it is lent as they are. */
  readonly careful: boolean
  /** Super-datagrams are split here: the link takes everything else, so there is no other help around it. */
  private readonly splitsUdp: boolean

  /** @param careful the link itself leaves frames that it is lent as they are. */
  constructor(
    private readonly owner: PortOwner,
    /** Number in the switch, from 0. */
    readonly index: number,
    link: NetIf,
    readonly options: SwitchPortOptions,
    config: SwitchConfig,
    careful: boolean,
  ) {
    const { priority = TREE.portPriority, pathCost = TREE.pathCost } = options
    if (!(Number.isInteger(priority) && priority >= 0 && priority <= 240 && priority % 16 === 0))
      throw invalidArgument(`the priority of a port is 0 to 240 in steps of 16, not ${priority}`)
    if (!(Number.isInteger(pathCost) && pathCost >= 1 && pathCost <= 200_000_000))
      throw invalidArgument(`a path cost is from 1 to 200000000, not ${pathCost}`)
    this.host = owner.host
    this.name = options.name ?? link.name
    this.vlan = new PortVlan(options.vlan)
    this.isolated = options.isolated ?? false
    this.hasRouter = options.router ?? false
    this.maxAddresses = limitOf(options, config, 'maxAddresses')
    this.stormBroadcast = this.storm(limitOf(options, config, 'broadcastPerSecond'))
    this.stormMulticast = this.storm(limitOf(options, config, 'multicastPerSecond'))
    this.stormUnknown = this.storm(limitOf(options, config, 'unknownPerSecond'))
    this.rateIn = this.rate(options.rateIn, config.burstMs)
    this.rateOut = this.rate(options.rateOut, config.burstMs)
    const isWhole = (link.offload & SEGMENTS) === SEGMENTS && link.gsoMax === 65535
    this.link = isWhole ? link : withoutOffload(link)
    this.careful = careful && isWhole
    this.splitsUdp = isWhole && (link.offload & Offload.USO) === 0
  }

  /** One lent frame leaves; `kind` is `Kind`. Changed by the link, perhaps, when this returns. */
  transmit(buf: Uint8Array, start: number, end: number, meta: number, kind: number): void {
    const n = this.count.values
    if (this.rateOut !== null && !this.rateOut.take((end - start) * 8, this.owner.nowUs)) {
      n[P.dropOutRate]++
      return
    }
    if (this.splitsUdp && (meta & GSO_MASK) === GSO_UDP) {
      n[P.softSegmented]++
      this.kind = kind
      segment(buf, start, end, meta, 'ethernet', this)
    } else this.give(buf, start, end, meta, kind)
  }

  /** A frame of the switch itself, to which no rate applies: lent, not changed afterwards. */
  control(buf: Uint8Array, start: number, end: number): void {
    this.give(buf, start, end, 0, Kind.MULTICAST)
  }

  /** Of the super-datagram that is being split. */
  private kind = 0

  /** One datagram of a super-datagram. */
  frame(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    this.give(buf, start, end, meta, this.kind)
    return true
  }

  private give(buf: Uint8Array, start: number, end: number, meta: number, kind: number): void {
    const n = this.count.values
    if (!this.link.send(buf, start, end, meta)) {
      n[P.dropOutFull]++
      return
    }
    n[P.ifOutUcastPkts + kind]++
    n[P.ifOutOctets] += end - start
    if (this.dirty) return
    this.dirty = true
    this.owner.sent(this)
  }

  // The sink of the link.

  input(buf: Uint8Array, start: number, end: number, meta: number): void {
    this.owner.heard(this, buf, start, end, meta)
  }

  readable(): void {
    this.ready = true
    this.owner.wake()
  }

  writable(): void {
    // Nothing waits for it: what was refused is lost.
  }

  closed(error?: Error): void {
    if (this.ended) return
    this.ended = true
    this.endedWith = error
    this.owner.wake()
  }

  /** A tenth of a second's frames may come at once. */
  private storm(perSecond: number): TokenBucket | null {
    return perSecond === 0 ? null : new TokenBucket(perSecond, Math.max(1, perSecond / 10), this.owner.host.us())
  }

  private rate(bits: number | undefined, burstMs: number): TokenBucket | null {
    if (bits === undefined) return null
    if (!(Number.isFinite(bits) && bits > 0)) throw invalidArgument(`a rate in bits per second is expected, not ${bits}`)
    return new TokenBucket(bits, Math.max(LARGEST_BITS, (bits * burstMs) / 1000), this.owner.host.us())
  }
}

/** A limit of the port, or else the switch's. Throws ERR_INVALID_ARG_VALUE for what is no whole number of at least 0. */
function limitOf(
  options: SwitchPortOptions,
  config: SwitchConfig,
  name: 'maxAddresses' | 'broadcastPerSecond' | 'multicastPerSecond' | 'unknownPerSecond',
): number {
  const { [name]: value = config[name] } = options
  if (Number.isInteger(value) && value >= 0) return value
  throw invalidArgument(`option ${name} of a port: a whole number of at least 0 is expected, not ${value}`)
}
