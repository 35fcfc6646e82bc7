/** What Linux's calls know of Fast Open before they connect: whether data may go with the SYN, and how much. */
import type { Stack } from '../../stack/stack.ts'
import { FastOpenMode } from '../../tcp/fast-open.ts'
import type { Settings } from './settings.ts'

/** Left free for options in a SYN with data, as the stack does. */
const OPTION_SPACE = 40

/** May a client use it (Linux tcp_fastopen)? */
export function isFastOpenAllowed(stack: Stack): boolean {
  return (stack.config.tcp.fastOpen & FastOpenMode.CLIENT) !== 0
}

/** Bytes that a SYN to the peer of the script would carry; 0: it would ask for a cookie, or must not carry any. `maxSegmentBytes`: TCP_MAXSEG, 0: none. */
export function fastOpenRoom(stack: Stack, s: Settings, noCookie: boolean, maxSegmentBytes: number): number {
  const { tcp } = stack
  const { config } = tcp
  if (!isFastOpenAllowed(stack)) return 0
  const entry = tcp.fastOpenCache.find(tcp.paths.get(s.localAddress, s.remoteAddress))
  if (entry?.isSuspended(tcp.clock.nowMs, config.fastOpenPauseMs)) return 0
  const free = noCookie || (config.fastOpen & FastOpenMode.CLIENT_NO_COOKIE) !== 0
  if (!free && (entry === null || entry.cookieLength <= 0)) return 0
  const most = stack.interfaces[0].mtu - (s.ipVersion === 'ipv6' ? 60 : 40)
  const own = maxSegmentBytes > 0 ? Math.min(most, maxSegmentBytes) : most
  const mss = entry !== null && entry.mss > 0 ? Math.min(own, entry.mss) : own
  return Math.max(0, mss - OPTION_SPACE)
}
