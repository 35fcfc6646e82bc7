/** A link over a stream socket, of either role: what tunnels, QEMU's and passt's sockets have in common (stream-link.ts, dialer.ts, acceptor.ts). */
import { invalidArgument, NetError } from '../base/errors.ts'
import type { Framing } from '../link/framing.ts'
import type { Medium } from '../netif/netif.ts'
import { Acceptor } from './acceptor.ts'
import { Dialer, type LinkChange } from './dialer.ts'
import { StreamLink } from './stream-link.ts'
import { connectStream, listenStream, placeText, type StreamNet, type StreamPlace, type StreamTls } from './stream-socket.ts'

export interface SocketLinkOptions {
  /** Where to connect to, or to listen. */
  place: StreamPlace
  /** Waits for the other end instead of connecting to it. False when left out. */
  listen?: boolean | undefined
  /** Name of the link. `tunnel` (or whatever `kind` is) and the place when left out. */
  name?: string | undefined
  kind?: string
  framing?: Framing
  medium?: Medium
  /** Largest IP packet of a frame in bytes. 1500 when left out. */
  mtu?: number | undefined
  mac?: Uint8Array | null
  /** Sends short Ethernet frames without their padding. False when left out. */
  unpadded?: boolean
  /** Whose sockets: anything with the shape of node:net, as `stack.net`. Node's when left out. */
  net?: StreamNet | undefined
  tls?: StreamTls | null
  /** Interval of keep-alives (empty frames) in ms; 0: none. */
  keepAliveMs?: number | undefined
  /** Who connects: connects again when it was cut. True when left out; false: the link ends then. */
  reconnect?: boolean | undefined
  /** Who connects: opens even if the other end is not there yet, and goes on trying. False when left out: that is an error. */
  wait?: boolean | undefined
  /** Who listens: addresses and prefixes of those who may connect. All when left out. */
  allow?: readonly string[] | undefined
  /** Who listens: the peer that is there keeps its place. False when left out: the newest takes it. */
  keep?: boolean | undefined
  /** Told when the stream comes, goes or is refused. */
  onChange?: ((change: LinkChange) => void) | undefined
}

/** Opens a link over a socket, of any framing. @throws NetError, or Node's own errors of connecting and listening. */
export async function openFramedSocket(options: SocketLinkOptions): Promise<StreamLink> {
  const {
    place,
    listen = false,
    kind = 'socket',
    net,
    tls = null,
    framing,
    medium,
    mtu,
    mac,
    keepAliveMs,
    unpadded,
    onChange,
  } = options
  const name = options.name ?? `${kind}:${placeText(place)}`
  const shape = {
    name,
    ...(framing === undefined ? {} : { framing }),
    ...(medium === undefined ? {} : { medium }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(mac === undefined ? {} : { mac }),
    ...(unpadded === undefined ? {} : { unpadded }),
    ...(keepAliveMs === undefined ? {} : { keepAliveMs }),
  }
  const told = onChange === undefined ? {} : { onChange }
  if (listen) {
    if (tls !== null && (tls.cert === undefined || tls.key === undefined)) {
      throw invalidArgument(`${name} listens with TLS: a certificate and its key are missing (cert=FILE, key=FILE)`)
    }
    const server = await listenStream(place, net)
    try {
      const acceptor = new Acceptor(server, { tls, allow: options.allow ?? [], keep: options.keep ?? false, ...told })
      const link = new StreamLink({ ...shape, carrier: acceptor })
      acceptor.serve(link)
      return link
    } catch (error) {
      server.close()
      throw error
    }
  }
  const dialer = new Dialer({
    connect: (signal) => connectStream(place, tls, signal, net),
    text: `to ${placeText(place)}`,
    reconnect: options.reconnect ?? true,
    ...told,
  })
  const link = new StreamLink({ ...shape, carrier: dialer })
  try {
    link.use(await dialer.first())
  } catch (error) {
    if (options.wait !== true || options.reconnect === false) throw withAdvice(error as NodeJS.ErrnoException)
  }
  return link
}

/** What to do when nobody listens. */
function withAdvice(error: NodeJS.ErrnoException & { address?: string; port?: number }): Error {
  const { code, syscall, address, port, message } = error
  if (code !== 'ECONNREFUSED' && code !== 'ENOENT') return error
  return new NetError(code, {
    ...(syscall === undefined ? {} : { syscall }),
    ...(address === undefined ? {} : { address }),
    ...(port === undefined ? {} : { port }),
    message: `${message}: nobody listens there: start the other end first, or let this one wait for it (?wait)`,
    cause: error,
  })
}
