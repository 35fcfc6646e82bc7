/**
 * SYN cookies (Bernstein 1996; RFC 4987 section 3.6): when more handshakes come than may be remembered, the SYN-ACK's sequence number
 * remembers for us, and a SYN costs no memory at all.
 *
 *   cookie = F(addresses, ports) + IRS + (slot << 24) + ((F(addresses, ports, slot, IRS) + (index of the MSS << 21)) mod 2^24)
 *
 * F is SipHash with a key of this stack; a slot is 65 s, and the ACK must come in the same or the next. What else the SYN said goes into the low
 * six bits of our timestamp, which the peer echoes: window scale (15: none), SACK, ECN as in RFC 3168. That is Linux's way, but
 * for the index in high bits and IRS in both hashes: a number that is off by one is no cookie. A peer without timestamps gets a
 * connection without them, so cookies are only sent when the SYN queue is full (`auto`, Linux tcp_syncookies = 1), or for tests `always` (2).
 * An ACK is taken for a cookie only if one was sent lately: at other times a guess has no chance at all.
 */
import type { Address } from '../base/address.ts'
import type { Random } from '../base/random.ts'
import { SipHash } from '../base/siphash.ts'
import type { EcnMode } from './api.ts'
import type { Listener } from './listener.ts'
import { words } from './ports.ts'
import type { Segment } from './segment.ts'
import { firstWindow, mostWindow, scaleFor } from './sizes.ts'
import { leavesRoom, SynReceived } from './syn-received.ts'
import { C } from './tcp-counters.ts'
import { ACK, CWR, DEFAULT_MSS_V4, DEFAULT_MSS_V6, ECE, MAX_WINDOW_SCALE, MIN_MSS, SYN } from './wire.ts'

/** A slot is 2^16 ms: the slots of an int32 clock wrap where the clock does. */
const SLOT_SHIFT = 16
const SLOT_MASK = 0xffff
/** Slots in which a cookie is good. Linux MAX_SYNCOOKIE_AGE. */
const MAX_AGE_SLOTS = 2
const MAX_AGE_MS = MAX_AGE_SLOTS << SLOT_SHIFT
const HASH_BITS = 24
const HASH_MASK = (1 << HASH_BITS) - 1
const INDEX_SHIFT = 21
const INDEX_REST = (1 << INDEX_SHIFT) - 1

/** The MSS is rounded down to one of these: our floor, both families' defaults, tunnels, PPPoE, IPv6 and IPv4 on Ethernet, jumbo frames. */
const MSS_TABLE = [MIN_MSS, DEFAULT_MSS_V4, DEFAULT_MSS_V6, 1300, 1400, 1440, 1460, 8940]

/** The low bits of the timestamp, as Linux has them. */
const SCALE_MASK = 0xf
const NO_SCALE = 0xf
const SACK_BIT = 0x10
const ECN_BIT = 0x20
const OPTION_BITS = 6
const OPTION_MASK = (1 << OPTION_BITS) - 1

export class SynCookies {
  private readonly hash: SipHash

  constructor(random: Random) {
    this.hash = new SipHash(random)
  }

  /** The ISN of a SYN-ACK that stands for a SYN with number `irs` and MSS `mss`. */
  make(local: Address, localPort: number, remote: Address, remotePort: number, irs: number, mss: number, nowMs: number): number {
    let index = MSS_TABLE.length - 1
    while (index > 0 && MSS_TABLE[index] > mss) index--
    const slot = (nowMs >>> SLOT_SHIFT) & SLOT_MASK
    const ports = (localPort << 16) | remotePort
    const low = (this.digest(local, remote, ports, slot + 1, irs) + (index << INDEX_SHIFT)) & HASH_MASK
    return (this.digest(local, remote, ports, 0, 0) + irs + (slot << HASH_BITS) + low) | 0
  }

  /** The MSS that is in a cookie, or 0: it is none of ours, or too old. */
  check(
    local: Address,
    localPort: number,
    remote: Address,
    remotePort: number,
    irs: number,
    cookie: number,
    nowMs: number,
  ): number {
    const ports = (localPort << 16) | remotePort
    const rest = (cookie - this.digest(local, remote, ports, 0, 0) - irs) | 0
    const now = (nowMs >>> SLOT_SHIFT) & SLOT_MASK
    const age = (now - (rest >>> HASH_BITS)) & 0xff
    if (age >= MAX_AGE_SLOTS) return 0
    const low = (rest - this.digest(local, remote, ports, ((now - age) & SLOT_MASK) + 1, irs)) & HASH_MASK
    return (low & INDEX_REST) === 0 ? MSS_TABLE[low >> INDEX_SHIFT] : 0
  }

  private digest(local: Address, remote: Address, ports: number, salt: number, irs: number): number {
    return words(this.hash.begin(), local, remote).word(ports).word(salt).word(irs).end()
  }
}

/** The latest timestamp not after `nowMs` whose low bits are `bits`. */
function stamp(nowMs: number, bits: number): number {
  const ts = (nowMs & ~OPTION_MASK) | bits
  return ((ts - nowMs) | 0) > 0 ? (ts - (1 << OPTION_BITS)) | 0 : ts
}

function modeOf(listener: Listener): EcnMode {
  return listener.options.ecn ?? listener.tcp.config.ecn
}

/** Answers a SYN with a cookie and forgets it. */
export function sendCookie(listener: Listener, seg: Segment): void {
  const { tcp, options } = listener
  const { config, counters, scratchRoute, output } = tcp
  const { source: remote, destination: local } = seg.packet
  if (tcp.ip.route(remote, local, null, scratchRoute) !== null) {
    counters.values[C.dropNoRoute]++
    return
  }
  const nowMs = tcp.clock.nowMs
  listener.cookiesSent(nowMs)
  const timestamps = config.timestamps && seg.hasTimestamps
  const sack = timestamps && config.sack && seg.sackPermitted && leavesRoom(seg.keys, true) // the cookie needs the timestamps
  const scaling = timestamps && config.windowScale && seg.windowScale >= 0
  const ecn = timestamps && modeOf(listener) !== 'off' && (seg.flags & (ECE | CWR)) === (ECE | CWR)
  const bits = (scaling ? Math.min(seg.windowScale, MAX_WINDOW_SCALE) : NO_SCALE) | (sack ? SACK_BIT : 0) | (ecn ? ECN_BIT : 0)
  const { sourcePort, destinationPort, seq } = seg
  const mss = tcp.peerMss(seg.mss, remote.isV4)
  const b = output.bareSegment
  b.sourcePort = destinationPort
  b.destinationPort = sourcePort
  b.seq = tcp.synCookies.make(local, destinationPort, remote, sourcePort, seq, mss, nowMs)
  b.ack = (seq + 1) | 0
  b.flags = ecn ? SYN | ACK | ECE : SYN | ACK
  b.wnd = firstWindow(config, options)
  b.mss = Math.min(tcp.mssFor(scratchRoute, remote.isV4), options.maxSegmentBytes ?? 0xffff)
  b.windowScale = scaling ? scaleFor(mostWindow(config, options)) : -1
  b.sackPermitted = sack
  b.hasTimestamps = timestamps
  b.tsVal = timestamps ? (stamp(nowMs, bits) + tcp.secrets.timestampOffset(local, remote)) | 0 : 0
  b.tsEcr = seg.tsVal
  b.keys = seg.keys
  if (seg.keys !== null) seg.keys.begin(b.seq)
  counters.values[C.SyncookiesSent]++
  output.bare(scratchRoute, local, remote, ecn ? (options.tos ?? 0) & 0xfc : options.tos, options.ttl)
}

/** An ACK that no connection knows, while cookies are about. False: it is no cookie, and gets its reset. */
export function receiveCookie(listener: Listener, seg: Segment): boolean {
  const { tcp } = listener
  const { config } = tcp
  const n = tcp.counters.values
  if (!listener.awaitsCookies(tcp.clock.nowMs, MAX_AGE_MS)) return false
  const { source: remote, destination: local } = seg.packet
  const irs = (seg.seq - 1) | 0
  const iss = (seg.ack - 1) | 0
  const mss = tcp.synCookies.check(local, seg.destinationPort, remote, seg.sourcePort, irs, iss, tcp.clock.nowMs)
  if (mss === 0) {
    n[C.SyncookiesFailed]++
    return false
  }
  n[C.SyncookiesRecv]++
  // What the SYN said is put into the segment, as if it were the SYN.
  seg.mss = mss
  seg.windowScale = -1
  seg.sackPermitted = false
  let ecn = false
  if (seg.hasTimestamps) {
    const bits = (seg.tsEcr - tcp.secrets.timestampOffset(local, remote)) & OPTION_MASK
    seg.sackPermitted = (bits & SACK_BIT) !== 0
    ecn = (bits & ECN_BIT) !== 0 && modeOf(listener) !== 'off'
    if ((bits & SCALE_MASK) !== NO_SCALE) seg.windowScale = bits & SCALE_MASK
    // What we do not speak we cannot have offered.
    if (!config.timestamps || (seg.sackPermitted && !config.sack) || (seg.windowScale >= 0 && !config.windowScale)) return false
  }
  if (listener.overflows()) return true
  const path = tcp.paths.get(local, remote)
  if (path.resolve(tcp.ip) !== null) {
    n[C.dropNoRoute]++
    return true
  }
  new SynReceived(listener, path, seg, irs, iss).completeFromCookie(seg, ecn)
  return true
}
