/** How large segments and windows may be: from the peer's MSS, the route, the options and the link's offloads (RFC 9293 section 3.7.1). */
import type { TcpConfig } from '../base/config.ts'
import { Offload } from '../netif/netif.ts'
import type { SocketOptions } from './api.ts'
import type { Connection } from './connection.ts'
import { MAX_WINDOW_SCALE, TCP_HEADER, TIMESTAMPS_SPACE } from './wire.ts'

/** Segment sizes from the peer's MSS, the route's MTU, the options and the link's offloads. */
export function applySizes(c: Connection): void {
  const v4 = c.remoteAddress.isV4
  const ipHeader = v4 ? 20 : 40
  const options = c.timestamps ? TIMESTAMPS_SPACE : 0
  const most = c.maxSegment > 0 ? Math.min(c.snd.peerMss, c.maxSegment) : c.snd.peerMss
  const mss = Math.max(64, Math.min(most, c.route.mtu - ipHeader - TCP_HEADER) - options)
  const netif = c.route.iface!.netif
  const tso = v4 ? Offload.TSO4 : Offload.TSO6
  const offload = (netif.offload & (tso | Offload.TX_CHECKSUM)) === (tso | Offload.TX_CHECKSUM)
  const superLimit = offload ? Math.min(netif.gsoMax, 65535) - ipHeader - TCP_HEADER - 40 : mss
  c.snd.setMss(mss, Math.max(mss, superLimit))
  c.rcv.mss = Math.min(c.rcv.mss, Math.max(88, c.announcedMss - options))
}

/** A receive buffer of whole segments, options not counted. */
export function roundReceiveBuffer(c: Connection): void {
  const { rcv } = c
  const mss = Math.min(c.snd.peerMss, c.route.mtu - (c.remoteAddress.isV4 ? 20 : 40) - TCP_HEADER)
  if (rcv.limit > mss) rcv.limit = Math.ceil(rcv.limit / mss) * mss
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
