/**
 * Gives a link its streams by listening. One peer at a time, for a link has two ends: by default the newest wins, because a peer whose connection was cut
 * comes back before we have noticed the cut; with `keep` the first stays until it has gone. With TLS a newcomer takes the place only
 * after its handshake, and without it the list of who may connect is all that guards it.
 */
import type { Host } from '../base/clock.ts'
import { type LinkChange, tell } from './dialer.ts'
import type { Carrier, StreamLink } from './stream-link.ts'
import {
  AllowList,
  acceptStream,
  placeText,
  type StreamServer,
  type StreamSocket,
  type StreamTls,
  serverTls,
} from './stream-socket.ts'

export interface AcceptorOptions {
  tls?: StreamTls | null
  /** Addresses and prefixes of those who may connect; all when there are none. */
  allow?: readonly string[]
  /** A peer that is there keeps its place. False when left out: the newest takes it. */
  keep?: boolean
  onChange?: (change: LinkChange) => void
}

/** Handshakes of TLS under way; who comes beyond is refused. */
const MOST_HANDSHAKES = 16

export class Acceptor implements Carrier {
  private readonly allow: AllowList
  private readonly tls: ReturnType<typeof serverTls> | null
  private readonly abort = new AbortController()
  private link: StreamLink | null = null
  private host: Host | null = null
  private handshakes = 0

  /** @param server that listens. Throws for addresses that are none, and for a certificate that is none. */
  constructor(
    private readonly server: StreamServer,
    private readonly options: AcceptorOptions = {},
  ) {
    this.allow = new AllowList(options.allow ?? [])
    this.tls = options.tls == null ? null : serverTls(options.tls)
    server.on('connection', (socket) => void this.connection(socket))
    server.unref?.()
  }

  get text(): string {
    const at = this.server.address()
    return `listening on ${at === null ? 'nothing' : typeof at === 'string' ? at : placeText({ host: at.address ?? '', port: at.port ?? 0 })}`
  }

  /** The port that was got, of a server on TCP. */
  get port(): number {
    const at = this.server.address()
    return at === null || typeof at === 'string' ? 0 : (at.port ?? 0)
  }

  /** The link that gets the streams, attached or not. */
  serve(link: StreamLink): void {
    this.link = link
  }

  start(_link: StreamLink, host: Host): void {
    // Who connected before the link was attached is in use already.
    this.host = host
  }

  ended(error?: Error): boolean {
    tell(this.options, this.host, { state: 'waiting', error })
    return true
  }

  async close(): Promise<void> {
    this.abort.abort()
    await new Promise<void>((resolve) => this.server.close(() => resolve()))
  }

  ref(on: boolean): void {
    if (on) this.server.ref?.()
    else this.server.unref?.()
  }

  private async connection(socket: StreamSocket): Promise<void> {
    socket.on('error', () => undefined) // told by its end
    const { link } = this
    const { remoteAddress, remotePort } = socket
    const peer = remoteAddress === undefined ? 'a local process' : placeText({ host: remoteAddress, port: remotePort ?? 0 })
    if (link === null || !this.allow.admits(remoteAddress) || this.isTaken(link) || this.handshakes >= MOST_HANDSHAKES) {
      this.refuse(socket, peer)
      return
    }
    this.handshakes++
    try {
      const stream = await acceptStream(socket, this.tls, this.abort.signal)
      if (this.abort.signal.aborted || this.isTaken(link)) this.refuse(socket, peer)
      else {
        link.use(stream)
        tell(this.options, this.host, { state: 'connected', peer })
      }
    } catch (error) {
      this.refuse(socket, peer, error as Error)
    } finally {
      this.handshakes--
    }
  }

  private isTaken(link: StreamLink): boolean {
    return this.options.keep === true && link.isUp
  }

  private refuse(socket: StreamSocket, peer: string, error?: Error): void {
    socket.destroy()
    if (!this.abort.signal.aborted) tell(this.options, this.host, { state: 'refused', peer, error })
  }
}
