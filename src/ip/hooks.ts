/**
 * The places where a packet filter looks at packets. IP calls them when `Ip.hooks` is not null, and knows nothing else of filters:
 *
 *   link -> prerouting -> (whose is it?) -> input -> protocol
 *                              |
 *                              +-> forward -> postrouting -> link
 *   protocol -> output, postrouting -> link
 *
 * A hook that answers false (or null) has done with the packet: it was dropped, answered or kept, and is counted there. Prerouting and
 * postrouting may rewrite the lent bytes in place, addresses in `packet` included; header and payload keep their places and lengths.
 */
import type { Frame } from '../netif/frame.ts'
import type { Interface } from './interface.ts'
import type { Packet } from './packet.ts'
import type { Route } from './route.ts'

export interface PacketHooks {
  /** Every packet whose header is right, fragments too, before it is decided whose it is: `packet.to` means nothing yet. */
  prerouting(packet: Packet): boolean
  /** A whole datagram for us, before its protocol sees it. */
  input(packet: Packet): boolean
  /** A packet for others, once the way is known; fragments come as they are. */
  forward(packet: Packet, out: Interface): boolean
  /** A packet for others, after `forward`, before it is cut up or sent. */
  postrouting(packet: Packet, out: Interface): boolean
  /**
   * What we send: output and postrouting in one. The frame begins with the transport header and is not cut up yet. Gives the route to
   * take, which may be another; its `source` and `destination` are what the IP header has to say. Null: the packet is gone.
   */
  output(frame: Frame, route: Route, protocol: number, tos: number, ttl: number): Route | null
  /**
   * `buf[start, end)` left by postrouting or output, and could not be delivered. True: it was translated on its way through us, and its source
   * only looks like ours: an error about it finds its sender.
   */
  isOfOthers(buf: Uint8Array, start: number, end: number): boolean
  /** The link had no room for what `output` let pass: the frame is as it was before. */
  refused(frame: Frame): void
}
