/**
 * Several guests by one socket: each that connects is a link of its own, given to whoever is to have it, a switch most often.
 *
 *   const sw = createSwitch()
 *   await guestServer(sw, 'unix:///tmp/guests.sock')    // -netdev stream,id=n,addr.type=unix,addr.path=/tmp/guests.sock
 *   await guestServer(sw, 'ws://:8080?origin=*')        // network_relay_url: 'ws://localhost:8080/'
 *
 * A guest that goes takes its link along, and a switch its port.
 */
import { invalidArgument } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { type Framing, U32BE } from '../link/framing.ts'
import type { NetIf } from '../netif/netif.ts'
import { framingOption, guestPlace, guestUrl, SOCKET_SCHEMES } from './guest-socket.ts'
import { checkOptions, numberOption } from './link-url.ts'
import { type Carrier, StreamLink } from './stream-link.ts'
import {
  AllowList,
  acceptStream,
  listenStream,
  placeText,
  type StreamNet,
  type StreamPlace,
  type StreamServer,
  type StreamSocket,
} from './stream-socket.ts'
import { WEBSOCKET_SCHEMES, webSocketNet, webSocketOptions } from './websocket.ts'
import { wholeNumber } from './whole-number.ts'

/** Who connected. */
export interface Guest {
  /** From 1, in the order of coming; one is passed over whose name a port of the switch has. */
  readonly number: number
  /** `10.0.0.7:41234`, `a local process`. */
  readonly peer: string
}

/** Takes the link of each guest: a switch, or a function. One that throws refuses the guest. */
export type GuestTarget = ((link: NetIf, guest: Guest) => void) | { join(link: NetIf): unknown; find?(name: string): unknown }

/** Where guests may come, which, and how many. */
export interface GuestServerOptions {
  /** Where to listen. */
  place: StreamPlace
  /** Four bytes, big-endian, as QEMU has it, when left out. */
  framing?: Framing
  /** Largest IP packet of a frame in bytes. 1500 when left out. */
  mtu?: number | undefined
  /** Names of links begin with it: `guest1` when left out. */
  name?: string | undefined
  /** Addresses and prefixes of those who may connect. All when left out. */
  allow?: readonly string[] | undefined
  /** At most so many at a time; who comes beyond is refused. 256 when left out. */
  maxGuests?: number | undefined
  /** Whose sockets. Node's when left out. */
  net?: StreamNet
  /** Told of those that were refused. */
  onRefused?: ((why: string) => void) | undefined
}

/**
 * Serves guests on a socket: by options, or a URL with `qemu:`, `unix:`, `ws:` or `wss:`, without `listen`.
 * @throws NetError ERR_INVALID_ARG_VALUE, ERR_WS_UNAVAILABLE, and what listening says (`listen EADDRINUSE ...`).
 */
export async function guestServer(
  target: GuestTarget,
  where: GuestServerOptions | string,
  onRefused?: (why: string) => void,
): Promise<GuestServer> {
  const options = typeof where === 'string' ? await serverOptions(where) : where
  const allow = new AllowList(options.allow ?? [])
  const { name = 'guest', framing = U32BE, mtu, maxGuests = LINK_DEFAULTS.maxGuests } = options
  wholeNumber('maxGuests', maxGuests, 1)
  // What no guest's link could be is said now.
  void new StreamLink({ name, framing, ...(mtu === undefined ? {} : { mtu }) })
  const server = await listenStream(options.place, options.net)
  return new GuestServer(target, server, allow, { onRefused, ...options })
}

const OPTIONS = ['listen', 'name', 'mtu', 'framing', 'allow', 'max']

async function serverOptions(text: string): Promise<GuestServerOptions> {
  const url = guestUrl(text, [...SOCKET_SCHEMES, ...WEBSOCKET_SCHEMES])
  const listening = { ...url, options: new Map([...url.options, ['listen', 'on']]) }
  const maxGuests = numberOption(url, 'max')
  if (WEBSOCKET_SCHEMES.includes(url.scheme)) {
    const { path = '/', tls = null, origins = [], place, mtu, name, allow } = webSocketOptions(listening)
    if (tls !== null && (tls.cert === undefined || tls.key === undefined)) {
      throw invalidArgument(`${text}: a certificate and its key are missing (cert=FILE&key=FILE)`)
    }
    return { place, mtu, name, allow, maxGuests, net: await webSocketNet({ path, tls, origins }) }
  }
  checkOptions(url, OPTIONS)
  return {
    place: guestPlace(listening, true),
    framing: framingOption(url),
    mtu: numberOption(url, 'mtu'),
    name: url.options.get('name'),
    allow: url.options.get('allow')?.split(','),
    maxGuests,
  }
}

/** Listens for guests until it is closed. Made by `guestServer`. */
export class GuestServer {
  /** Guests that were refused. */
  refused = 0
  private readonly links = new Set<StreamLink>()
  private readonly abort = new AbortController()
  private numbers = 0
  private readonly maxGuests: number

  constructor(
    private readonly target: GuestTarget,
    private readonly server: StreamServer,
    private readonly allow: AllowList,
    private readonly options: GuestServerOptions,
  ) {
    this.maxGuests = options.maxGuests ?? LINK_DEFAULTS.maxGuests
    server.on('connection', (socket) => void this.connection(socket))
    server.unref?.()
  }

  /** Guests that are there. */
  get count(): number {
    return this.links.size
  }

  /** Where it listens: `[::]:5000`, or a path. */
  get text(): string {
    const at = this.server.address()
    if (at === null || typeof at === 'string') return at ?? ''
    return placeText({ host: at.address ?? '', port: at.port ?? 0 })
  }

  /** The port that was got; 0 of a path. */
  get port(): number {
    const at = this.server.address()
    return at === null || typeof at === 'string' ? 0 : (at.port ?? 0)
  }

  /** Keeps the process alive (true) or not, as it is at first. */
  ref(on: boolean): void {
    if (on) this.server.ref?.()
    else this.server.unref?.()
  }

  /** Ends all guests' links and listens no more. */
  async close(): Promise<void> {
    this.abort.abort()
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    await Promise.all([...this.links].map((link) => link.close()))
    await closed
  }

  private async connection(socket: StreamSocket): Promise<void> {
    socket.on('error', () => undefined) // told by its end
    const { remoteAddress, remotePort } = socket
    const peer = remoteAddress === undefined ? 'a local process' : placeText({ host: remoteAddress, port: remotePort ?? 0 })
    if (this.abort.signal.aborted) socket.destroy()
    else if (!this.allow.admits(remoteAddress)) this.refuse(socket, `${peer} is not among those who may connect`)
    else if (this.links.size >= this.maxGuests) this.refuse(socket, `${peer}: there are ${this.maxGuests} guests already`)
    else {
      await acceptStream(socket, null, this.abort.signal)
      this.take(socket, peer)
    }
  }

  private take(socket: StreamSocket, peer: string): void {
    const { framing = U32BE, mtu, name = 'guest' } = this.options
    const { target } = this
    let number = this.numbers + 1
    // Another server's guests, and whatever else is joined, have names of the same switch.
    if (typeof target !== 'function') while (target.find?.(`${name}${number}`) !== undefined) number++
    let link: StreamLink | null = null
    const gone = (): void => {
      if (link !== null) this.links.delete(link)
    }
    const carrier: Carrier = {
      text: `from ${peer}`,
      start: () => undefined,
      ended: () => {
        gone()
        return false
      },
      close: gone,
    }
    try {
      link = new StreamLink({ name: `${name}${number}`, framing, unpadded: true, carrier, ...(mtu === undefined ? {} : { mtu }) })
      if (typeof target === 'function') target(link, { number, peer })
      else target.join(link)
    } catch (error) {
      this.refuse(socket, `${peer}: ${(error as Error).message}`)
      return
    }
    this.numbers = number
    this.links.add(link)
    link.use(socket)
  }

  private refuse(socket: StreamSocket, why: string): void {
    this.refused++
    socket.destroy()
    this.options.onRefused?.(why)
  }
}
