/**
 * TCP of a stack with the web's shape beside the raw one: `connect` gives a socket with streams, `listen` without a handler an async iterator.
 */

import type { AbortLike } from '../base/abort.ts'
import { webDefaults } from '../base/web-config.ts'
import type { Packet } from '../ip/packet.ts'
import { endpointText } from '../ip/zone.ts'
import type { ListenerHandler, ListenOptions, OpenOptions, RawConnection, RawListener } from '../tcp/api.ts'
import type { TcpDeps } from '../tcp/deps.ts'
import { Tcp } from '../tcp/tcp.ts'
import type { WebDeps } from './deps.ts'
import { portOf, wrongArgument } from './errors.ts'
import { TcpListener, type WebListenOptions } from './listener.ts'
import { Opening } from './opening.ts'
import {
  openedOf,
  type SecureTransport,
  type SocketSettings,
  type StartTlsOptions,
  secured,
  secureOf,
  TcpSocket,
} from './tcp-socket.ts'

/** Where to: a name or literal, and a port. */
export interface SocketAddress {
  hostname: string
  port: number
}

/** Where to connect, and with TLS or not. */
export interface ConnectOptions extends StartTlsOptions, Omit<OpenOptions, 'remoteAddress' | 'remotePort'> {
  /** TLS: from the start (`on`), by `startTls()` later (`starttls`), or not (`off`, the default). */
  secureTransport?: SecureTransport
  /** False when left out: when the peer has ended and that was read, our direction ends as well. */
  allowHalfOpen?: boolean
  /** Ends the attempt, or the connection. */
  signal?: AbortLike
}

export class WebTcp extends Tcp {
  private readonly iterated = new Set<TcpListener>()

  constructor(
    deps: TcpDeps,
    packet: Packet,
    readonly web: WebDeps,
  ) {
    super(deps, packet)
  }

  /**
   * Connects to `{ hostname, port }` or `'host:port'`, as the Sockets API has it; besides its options all of `open` may be given. Throws SocketError
   * ERR_INVALID_ARG_VALUE for an address that cannot be; everything else is told by `opened`.
   */
  connect(address: SocketAddress | string, options: ConnectOptions = {}): TcpSocket {
    const { hostname, port } = typeof address === 'string' ? parse(address) : address
    if (typeof hostname !== 'string' || hostname === '') throw wrongArgument('an address needs a hostname')
    const remotePort = portOf(port, 1)
    const { secureTransport = 'off', allowHalfOpen = false, signal, sni, alpn, tls, ...open } = options
    const { secure: tlsOf, memory } = this.web
    const settings: SocketSettings = { secureTransport, allowHalfOpen, signal, hostname, secure: tlsOf, memory }
    if (secureTransport !== 'off' && secureTransport !== 'on' && secureTransport !== 'starttls') {
      throw wrongArgument(`secureTransport is off, on or starttls, not ${String(secureTransport)}`)
    }
    const secure = secureTransport === 'off' ? null : secureOf(settings)
    return new TcpSocket(settings, ({ opened, failed }) => {
      let raw: RawConnection | null = null
      const plain = (connection: RawConnection): void => {
        raw = connection
        const found = openedOf(connection, this.endpoint)
        if (secure === null || secureTransport !== 'on') opened(found)
        else secured(found, secure, hostname, { sni, alpn, tls }).then(opened, failed)
      }
      const opening = new Opening(
        this.web,
        hostname,
        { notSentLowatBytes, ...open, remotePort },
        (o, handler) => this.open(o, handler),
        plain,
        failed,
      )
      return () => {
        opening.cancel()
        raw?.abort() // TLS may still be at its handshake
      }
    })
  }

  /** With a handler the raw shape, without one an async iterator of sockets. Throws NetError: EADDRINUSE, EADDRNOTAVAIL. */
  override listen(options: ListenOptions, handler: ListenerHandler): RawListener
  override listen(options: WebListenOptions): TcpListener
  override listen(options: ListenOptions | WebListenOptions, handler?: ListenerHandler): RawListener | TcpListener {
    if (handler !== undefined) return super.listen(options as ListenOptions, handler)
    const { hostname, allowHalfOpen, signal, ...raw } = options as WebListenOptions
    const open = (h: ListenerHandler): RawListener =>
      super.listen({ notSentLowatBytes, ...raw, address: hostname, port: portOf(raw.port, 0) }, h)
    const forget = (l: TcpListener): boolean => this.iterated.delete(l)
    const listener = new TcpListener(open, { ...raw, allowHalfOpen, signal }, this.endpoint, this.web.memory, forget)
    this.iterated.add(listener)
    return listener
  }

  override shutdown(): void {
    for (const listener of [...this.iterated]) listener.close()
    super.shutdown()
  }

  private readonly endpoint = (c: RawConnection, remote: boolean): string => {
    return remote ? endpointText(this.ip, c.remoteAddress, c.remotePort) : endpointText(this.ip, c.localAddress, c.localPort)
  }
}

const { notSentLowatBytes } = webDefaults

/** `10.0.0.2:80`, `name:80`, `[fd00::2]:80`. */
function parse(text: string): SocketAddress {
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(text)
  if (parts === null) throw wrongArgument(`an address is host:port, with IPv6 in brackets, not ${text}`)
  return { hostname: parts[1] ?? parts[2], port: Number(parts[3]) }
}
