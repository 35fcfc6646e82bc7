/** `createMux` without Node, on the web platform's timers and randomness unless others are given. */
import { WebHost, WebRandom } from '../host-web/web-host.ts'
import type { NetIf } from '../netif/netif.ts'
import { Mux, type MuxOptions, type MuxPlatform } from './mux.ts'

/**
 * Many clients on one link, each with a MAC address of its own: `createMux(link).open()` is a NetIf. The link is the multiplexer's from now on.
 * Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_MAC_ADDRESS, EADDRINUSE (the name is taken in this process).
 */
export function createMux(link: NetIf, options: MuxOptions & Partial<MuxPlatform> = {}): Mux {
  const { host = new WebHost(), random = new WebRandom(), ...rest } = options
  return new Mux({ host, random }, link, rest)
}
