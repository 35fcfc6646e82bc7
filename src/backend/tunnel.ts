/**
 * usertunnel over TCP: the frames of a link, each behind a two-byte length, in one connection. Both ends do the same; one connects, the other listens.
 *
 *   tunnel+tcp://HOST:PORT            connects, and again when it was cut
 *   tunnel+tcp://:PORT?listen         waits for the other end
 *   tunnel+tls://...?ca=&cert=&key=   the same within TLS
 *
 * The length is big-endian, as vde_plug has it (`order=le` for others), and with `pad=2` counts the two bytes that an old tap device put
 * before a frame, as usertunnel had them.
 */

import { invalidArgument } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import type { Framing } from '../link/framing.ts'
import { checkOptions, flagOption, type LinkUrl, numberOption, splitLinkUrl } from './link-url.ts'
import { openFramedSocket, type SocketLinkOptions } from './socket-link.ts'
import type { StreamLink } from './stream-link.ts'
import { parsePlace, tlsFromFiles } from './stream-socket.ts'

/** The two ends of a tunnel over TCP or TLS, its framing, and when it connects again. */
export interface TunnelOptions extends Omit<SocketLinkOptions, 'framing' | 'medium'> {
  /** Order of the two bytes of the length. Big-endian when left out. */
  order?: 'be' | 'le'
  /** Bytes between length and frame, counted by the length: 2 for usertunnel's own. 0 when left out. */
  pad?: number
}

/** Opens a tunnel over TCP, or by its URL. @throws NetError what connecting or listening says, ERR_INVALID_ARG_VALUE. */
export async function openTunnel(options: TunnelOptions | string): Promise<StreamLink> {
  if (typeof options === 'string') {
    const url = splitLinkUrl(options)
    if (url === null || !TUNNEL_SCHEMES.includes(url.scheme)) {
      throw invalidArgument(`Invalid tunnel ${JSON.stringify(options)}: tunnel+tcp://HOST:PORT is expected`)
    }
    return openTunnel(tunnelOptions(url))
  }
  const { order = 'be', pad = 0, keepAliveMs = LINK_DEFAULTS.keepAliveMs, ...rest } = options
  if (!Number.isInteger(pad) || pad < 0 || pad > MOST_PAD) throw invalidArgument(`Invalid pad ${pad}: 0 to ${MOST_PAD} expected`)
  const framing: Framing = { lengthBytes: 2, order, pad }
  return openFramedSocket({ kind: 'tunnel', ...rest, keepAliveMs, framing })
}

export const TUNNEL_SCHEMES: readonly string[] = ['tunnel+tcp', 'tunnel+tls']
/** No format has more; room for the frame must be left. */
const MOST_PAD = 64

/** Options of every link over sockets, as they stand in a URL. */
const OPTIONS = [
  'listen',
  'name',
  'mtu',
  'order',
  'pad',
  'keepalive',
  'reconnect',
  'wait',
  'allow',
  'keep',
  'tls',
  'ca',
  'cert',
  'key',
  'servername',
]

/** The options of a tunnel's URL, ready for `openTunnel`. */
export function tunnelOptions(url: LinkUrl): TunnelOptions {
  checkOptions(url, OPTIONS)
  const order = url.options.get('order')
  if (order !== undefined && order !== 'be' && order !== 'le') {
    throw invalidArgument(`Option order=${order} in ${url.text} is neither be nor le`)
  }
  const place = parsePlace(url.target, url.text)
  const listen = flagOption(url, 'listen') ?? false
  if (!listen && place.path === undefined && place.host === undefined) {
    throw invalidArgument(`Invalid tunnel ${url.text}: a host to connect to is missing, or ?listen`)
  }
  const keepAlive = numberOption(url, 'keepalive')
  const options = url.options
  const secure = flagOption(url, 'tls') ?? url.scheme === 'tunnel+tls'
  const servername = options.get('servername')
  return {
    place,
    listen,
    name: options.get('name'),
    mtu: numberOption(url, 'mtu'),
    order,
    pad: numberOption(url, 'pad'),
    keepAliveMs: keepAlive === undefined ? undefined : keepAlive * 1000,
    reconnect: flagOption(url, 'reconnect'),
    wait: flagOption(url, 'wait'),
    allow: options.get('allow')?.split(','),
    keep: flagOption(url, 'keep'),
    tls: secure
      ? {
          ...tlsFromFiles({ ca: options.get('ca'), cert: options.get('cert'), key: options.get('key') }),
          ...(servername === undefined ? {} : { servername }),
        }
      : null,
  }
}
