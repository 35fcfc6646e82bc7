/** How large segments and windows may be: from the peer's MSS, the route, the options and the link's offloads (RFC 9293 section 3.7.1). */
import type { TcpConfig } from '../base/config.ts'
import { Offload } from '../netif/netif.ts'
import type { SocketOptions } from './api.ts'
import type { Connection } from './connection.ts'
import { MtuSearch } from './mtu-probe.ts'
import { MAX_WINDOW_SCALE, MIN_MSS, OPTION_SPACE, TCP_HEADER, TIMESTAMPS_SPACE } from './wire.ts'

/** Payload of a segment, whatever is announced or found: less is an attack on our CPU (CVE-2019-11479). Linux tcp_min_snd_mss. */
const LEAST_MSS = 48

/** Bytes of the IP and TCP headers without options. */
export function headersOf(v4: boolean): number {
  return (v4 ? 20 : 40) + TCP_HEADER
}

/** Segment sizes from the peer's MSS, the route's MTU, the options and the link's offloads. */
export function applySizes(c: Connection): void {
  const v4 = c.path.isV4
  const header = headerBytes(c)
  const bare = headersOf(v4)
  const { config } = c.tcp
  let mtu = mtuLimit(c)
  if (config.mtuProbing === 2 && c.snd.search === null)
    c.snd.recovery.search = new MtuSearch(c, config.mtuProbeBaseBytes + header, mtu, c.tcp.clock.nowMs)
  const { search } = c.snd
  if (search !== null) {
    search.limit(mtu)
    mtu = search.low
  }
  const mss = Math.max(LEAST_MSS, mtu - header)
  const netif = c.route.iface!.netif
  const tso = v4 ? Offload.TSO4 : Offload.TSO6
  const signed = c.keys !== null
  const offload = !signed && (netif.offload & (tso | Offload.TX_CHECKSUM)) === (tso | Offload.TX_CHECKSUM)
  const superLimit = offload ? Math.min(netif.gsoMax, 65535) - bare - OPTION_SPACE : mss
  c.rcv.signatureBytes = signed ? c.keys!.space : 0
  c.snd.setMss(mss, Math.max(mss, superLimit))
  c.rcv.mss = Math.min(c.rcv.mss, Math.max(MIN_MSS, c.announcedMss - (header - bare)))
}

/** Buffers of whole segments, options not counted, for those who have them so. */
export function roundBuffers(c: Connection): void {
  if (!c.tcp.config.wholeSegmentBuffers) return
  const { rcv, snd } = c
  const mss = Math.min(snd.peerMss, c.route.mtu - headersOf(c.path.isV4))
  if (rcv.limit > mss) rcv.limit = Math.ceil(rcv.limit / mss) * mss
  if (snd.limit > mss) snd.limit = Math.ceil(snd.limit / mss) * mss
}

/** Of a full segment: the headers and the options that every segment carries. */
export function headerBytes(c: Connection): number {
  return headersOf(c.path.isV4) + (c.timestamps ? TIMESTAMPS_SPACE : 0) + (c.keys === null ? 0 : c.keys.space)
}

/** The largest packet that the route, the peer and we ourselves allow. */
export function mtuLimit(c: Connection): number {
  const most = c.maxSegment > 0 ? Math.min(c.snd.peerMss, c.maxSegment) : c.snd.peerMss
  return Math.min(c.route.mtu, most + headersOf(c.path.isV4))
}

/** The window that a SYN-ACK offers: never scaled (RFC 7323 section 2.2). */
export function firstWindow(config: TcpConfig, o: SocketOptions): number {
  return Math.min(o.receiveBufferBytes ?? config.receiveBufferInitialBytes, o.windowClampBytes ?? 0xffff, 0xffff)
}

/** The largest window there can ever be: what the scale is chosen by. */
export function mostWindow(config: TcpConfig, o: SocketOptions): number {
  return Math.min(o.receiveBufferBytes ?? config.receiveBufferMaxBytes, o.windowClampBytes ?? 0x3fffffff)
}

/** The smallest shift that lets a 16-bit field express `bytes` (RFC 7323 section 2.3). */
export function scaleFor(bytes: number): number {
  let shift = 0
  while (shift < MAX_WINDOW_SCALE && 0xffff << shift < bytes) shift++
  return shift
}
