/**
 * `openLink(url)`: any link by its URL. One line of `SCHEMES` per kind of link; a kind that is not there does not exist.
 */
import { invalidArgument, NetError } from '../base/errors.ts'
import type { NetIf } from '../netif/netif.ts'
import { openUtun, utunOptions } from './bsd-device.ts'
import type { LinkChange } from './dialer.ts'
import { guestSocketOptions, openSocketLink } from './guest-socket.ts'
import { checkOptions, flagOption, type LinkUrl, numberOption, splitLinkUrl } from './link-url.ts'
import { openMuxLink } from './mux-client.ts'
import { openPacket, packetOptions } from './packet.ts'
import { openStdio, stdioOptions } from './stdio.ts'
import type { TapOptions } from './tap.ts'
import { openTap, openTun } from './tap.ts'
import { openTunnel, tunnelOptions } from './tunnel.ts'
import { openTuntap2Url } from './tuntap2.ts'
import { openUdpLink, udpOptions } from './udp-link.ts'
import { openUnixgramLink, unixgramOptions } from './unixgram.ts'
import { openVde, vdeOptions } from './vde.ts'
import { openVxlan, vxlanOptions } from './vxlan.ts'
import { openVxvde, vxvdeOptions } from './vxvde.ts'
import { openWebSocketLink, webSocketOptions } from './websocket.ts'

/** What no URL can say. */
export interface OpenLinkOptions {
  /** Told when the stream of a tunnel, a guest or a WebSocket comes, goes or is refused. Links without a stream have no such moments. */
  onChange?: ((change: LinkChange) => void) | undefined
}

const SCHEMES: { readonly [scheme: string]: (url: LinkUrl, options: OpenLinkOptions) => Promise<NetIf> } = {
  tap: (url) => openTap(tapOptions(url)),
  tun: (url) => openTun(tapOptions(url)),
  utun: (url) => openUtun(utunOptions(url)),
  vxvde: (url) => openVxvde(vxvdeOptions(url)),
  vde: (url) => openVde(vdeOptions(url)),
  stdio: (url) => openStdio(stdioOptions(url)),
  mux: openMuxLink,
  ore: openMuxLink,
  'tunnel+tcp': (url, { onChange }) => openTunnel({ ...tunnelOptions(url), onChange }),
  'tunnel+tls': (url, { onChange }) => openTunnel({ ...tunnelOptions(url), onChange }),
  qemu: (url, { onChange }) => openSocketLink({ ...guestSocketOptions(url), onChange }),
  unix: (url, { onChange }) => openSocketLink({ ...guestSocketOptions(url), onChange }),
  unixgram: (url) => openUnixgramLink(unixgramOptions(url)),
  ws: (url, { onChange }) => openWebSocketLink({ ...webSocketOptions(url), onChange }),
  wss: (url, { onChange }) => openWebSocketLink({ ...webSocketOptions(url), onChange }),
  packet: (url) => openPacket(packetOptions(url)),
  tuntap2: (url) => openTuntap2Url(url),
  udp: (url) => openUdpLink(udpOptions(url)),
  vxlan: (url) => openVxlan(vxlanOptions(url)),
}

/**
 * Opens the link that a URL names, as `tap://tap0?host=10.0.0.1/24,fd00::1/64&mtu=1500&offload=on`.
 * @throws NetError ERR_UNKNOWN_LINK, ERR_INVALID_ARG_VALUE (with the option in its words), and what the link's own function throws.
 */
export async function openLink(url: string | { toString(): string }, options: OpenLinkOptions = {}): Promise<NetIf> {
  const parsed = parseLinkUrl(String(url))
  return SCHEMES[parsed.scheme](parsed, options)
}

/** @throws NetError ERR_UNKNOWN_LINK, ERR_INVALID_ARG_VALUE. */
export function parseLinkUrl(text: string): LinkUrl {
  const url = splitLinkUrl(text)
  if (url === null || !Object.hasOwn(SCHEMES, url.scheme)) {
    const known = Object.keys(SCHEMES).map((name) => `${name}://`)
    throw new NetError('ERR_UNKNOWN_LINK', {
      message: `Unknown link ${JSON.stringify(text)}: a URL that begins with one of ${known.join(', ')} is expected`,
    })
  }
  return url
}

const TAP_OPTIONS = ['host', 'mtu', 'offload', 'uso', 'queues', 'persist', 'owner', 'group', 'up']

/** The options of a tap's URL, ready for `openTap`. */
export function tapOptions(url: LinkUrl): TapOptions {
  checkOptions(url, TAP_OPTIONS)
  if (url.target.includes('/'))
    throw invalidArgument(`Invalid link ${url.text}: an interface name is expected after ${url.scheme}://`)
  return {
    name: url.target === '' ? undefined : url.target,
    host: url.options.get('host')?.split(','),
    mtu: numberOption(url, 'mtu'),
    offload: flagOption(url, 'offload'),
    uso: flagOption(url, 'uso'),
    queues: numberOption(url, 'queues'),
    persist: flagOption(url, 'persist'),
    owner: url.options.get('owner'),
    group: url.options.get('group'),
    up: flagOption(url, 'up'),
  }
}
