/** `createMux` on Node's clock and randomness. */
import { Mux, type MuxOptions, type MuxPlatform } from '../mux/mux.ts'
import type { NetIf } from '../netif/netif.ts'
import { nodeHost, nodeRandom } from './host.ts'

/**
 * Many clients on one link, each with a MAC address of its own: `createMux(link).open()` is a NetIf. The link is the multiplexer's from now on.
 * Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_MAC_ADDRESS, EADDRINUSE (the name is taken in this process).
 */
export function createMux(link: NetIf, options: MuxOptions & Partial<MuxPlatform> = {}): Mux {
  const { host = nodeHost, random = nodeRandom, ...rest } = options
  return new Mux({ host, random }, link, rest)
}
