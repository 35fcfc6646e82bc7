/**
 * Virtual machines and gateways on a socket: QEMU's `-netdev stream` and `-netdev socket`, passt, libkrun, socket_vmnet, gvproxy. Each frame stands behind its
 * length, in four bytes, big-endian; hyperkit's relatives have two bytes, little-endian (`framing=u16le`).
 *
 *   qemu://HOST:PORT           connects, and again when it was cut
 *   qemu://:PORT?listen        waits for the guest
 *   unix:///PATH               the same over a UNIX socket: passt's, or one that QEMU listens on
 *   unix:///PATH?listen        waits there, over what a killed process may have left
 *
 * Short frames leave without the padding of a wire: passt (2023) takes no padded TCP segment for one, and QEMU pads where a guest's card needs it.
 *
 * A link has two ends: who listens serves one guest, and the one that is there keeps its place, for two guests with one address by mistake would push
 * each other out forever. Several guests are a matter of guest-server.ts.
 */
import { invalidArgument } from '../base/errors.ts'
import { type Framing, U16BE, U16LE, U32BE } from '../link/framing.ts'
import { checkOptions, flagOption, type LinkUrl, numberOption, splitLinkUrl } from './link-url.ts'
import { openFramedSocket, type SocketLinkOptions } from './socket-link.ts'
import type { StreamLink } from './stream-link.ts'
import { parsePlace, type StreamPlace } from './stream-socket.ts'

/** Everything of `SocketLinkOptions`; `keep` is true and `framing` four bytes, big-endian, when left out. */
export type GuestSocketOptions = Omit<SocketLinkOptions, 'medium'>

/**
 * Opens a link to one guest or gateway, by options or by its URL.
 * @throws NetError ERR_INVALID_ARG_VALUE, and what connecting or listening says (`connect ENOENT /tmp/passt_1.socket`).
 */
export async function openSocketLink(options: GuestSocketOptions | string): Promise<StreamLink> {
  if (typeof options !== 'string')
    return openFramedSocket({ kind: 'guest', framing: U32BE, keep: true, unpadded: true, ...options })
  return openSocketLink(guestSocketOptions(guestUrl(options, SOCKET_SCHEMES)))
}

export const SOCKET_SCHEMES: readonly string[] = ['qemu', 'unix']

/** The URL of a guest, taken apart. Throws ERR_INVALID_ARG_VALUE for one of another scheme. */
export function guestUrl(text: string, schemes: readonly string[]): LinkUrl {
  const url = splitLinkUrl(text)
  if (url !== null && schemes.includes(url.scheme)) return url
  throw invalidArgument(`Invalid guest ${JSON.stringify(text)}: one of ${schemes.map((s) => `${s}://`).join(', ')} is expected`)
}

const OPTIONS = ['listen', 'name', 'mtu', 'framing', 'reconnect', 'wait', 'allow', 'keep']

const FRAMINGS: ReadonlyMap<string, Framing> = new Map([
  ['u32be', U32BE],
  ['u16be', U16BE],
  ['u16le', U16LE],
])

/** Where the socket of a guest's URL is. Throws ERR_INVALID_ARG_VALUE. */
export function guestPlace(url: LinkUrl, listen: boolean): StreamPlace {
  const place = parsePlace(url.target, url.text)
  if (url.scheme === 'unix' && place.path === undefined) {
    throw invalidArgument(`Invalid link ${url.text}: a path is expected, as in unix:///tmp/passt_1.socket`)
  }
  if (!listen && place.path === undefined && place.host === undefined) {
    throw invalidArgument(`Invalid link ${url.text}: a host to connect to is missing, or ?listen`)
  }
  return place
}

/** The framing that a URL names. Throws ERR_INVALID_ARG_VALUE. */
export function framingOption(url: LinkUrl): Framing {
  const word = url.options.get('framing') ?? 'u32be'
  const framing = FRAMINGS.get(word)
  if (framing === undefined) {
    throw invalidArgument(`Option framing=${word} in ${url.text} is none of ${[...FRAMINGS.keys()].join(', ')}`)
  }
  return framing
}

/** The options of a guest's URL, ready for `openSocketLink`. */
export function guestSocketOptions(url: LinkUrl): GuestSocketOptions {
  checkOptions(url, OPTIONS)
  const listen = flagOption(url, 'listen') ?? false
  return {
    place: guestPlace(url, listen),
    listen,
    name: url.options.get('name'),
    mtu: numberOption(url, 'mtu'),
    framing: framingOption(url),
    reconnect: flagOption(url, 'reconnect'),
    wait: flagOption(url, 'wait'),
    allow: url.options.get('allow')?.split(','),
    keep: flagOption(url, 'keep') ?? true,
  }
}
