/**
 * A multiplexer's socket: clients in other processes, and on other machines if it listens on a port.
 *
 * Theory of operation. Each connection says hello (mux/remote.ts), gets a client of the multiplexer, and is spliced to it. The connection is the client: when it
 * ends, and the kernel ends it however the process died, the client is closed, and its channel and address are free again. A slow reader loses frames
 * in its own queue, a fast sender is held back by its own socket.
 *
 * A path's permissions say who may be a client (those of its directory, and the process's umask). A port has no such thing: whoever reaches it is on the network.
 */
import { lstatSync, mkdirSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { invalidArgument, NetError } from '../base/errors.ts'
import { muxConfig } from '../base/mux-config.ts'
import { splice } from '../link/splice.ts'
import type { MuxClient } from '../mux/client.ts'
import type { Mux } from '../mux/mux.ts'
import { obey, openFor, welcomeOf } from '../mux/remote.ts'
import { greet, greeting, MuxWire } from './mux-wire.ts'
import { listenAt } from './socket-places.ts'
import { prepare } from './stream-socket.ts'

/** Where a multiplexer is served: a path, a port (of `host`, or of this machine alone), or by its name. */
export interface MuxPlace {
  path?: string
  host?: string
  port?: number
}

/** Who hears of clients that were refused. */
export interface MuxServerOptions {
  /** Told of who was refused, and why. */
  onRefused?: (why: Error) => void
}

/** Where the multiplexer of this name is served when no other place is said: a directory that only its user may enter. */
export function muxPath(name: string): string {
  if (!/^[\w.-]{1,63}$/.test(name)) throw invalidArgument(`Invalid name of a multiplexer ${JSON.stringify(name)}`)
  const { XDG_RUNTIME_DIR = '' } = process.env
  const directory =
    XDG_RUNTIME_DIR === '' ? join(tmpdir(), `tapstack-${process.getuid?.() ?? 0}`) : join(XDG_RUNTIME_DIR, 'tapstack')
  return join(directory, `${name}.mux`)
}

/**
 * Serves `mux` at a place; at `muxPath` of its name when none is said.
 * @throws NetError ERR_INVALID_ARG_VALUE, EACCES (the directory is somebody else's), and Node's own errors: `listen EADDRINUSE ...`.
 */
export async function serveMux(mux: Mux, place: MuxPlace = {}, options: MuxServerOptions = {}): Promise<MuxServer> {
  const isNamed = place.path === undefined && place.port === undefined
  const path = isNamed ? muxPath(mux.name) : place.path
  if (isNamed) own(dirname(path!))
  const server = new MuxServer(mux, options)
  await server.listen(path === undefined ? { host: '127.0.0.1', ...place } : { path })
  return server
}

/** Makes the directory, or sees that it is ours alone: a stranger's would give him our clients. */
function own(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const { uid, mode } = lstatSync(directory)
  if ((process.getuid !== undefined && uid !== process.getuid()) || (mode & 0o022) !== 0)
    throw new NetError('EACCES', { message: `${directory} is not ours alone: say where to serve with a path of your own` })
}

/** Listens for clients of a multiplexer in other processes until it is closed. Made by `serveMux`. */
export class MuxServer {
  /** Where it listens: a path, or `host:port`. */
  at = ''
  /** Clients that it serves. */
  readonly clients = new Set<MuxClient>()
  private readonly server: Server
  private readonly sockets = new Set<Socket>()

  constructor(
    private readonly mux: Mux,
    private readonly options: MuxServerOptions,
  ) {
    this.server = createServer((socket) => void this.visit(socket))
    this.server.maxConnections = muxConfig.maxClients
    this.server.unref()
  }

  /** Connections, of clients and of those that have not said yet what they are. */
  get connections(): number {
    return this.sockets.size
  }

  async listen(place: MuxPlace): Promise<void> {
    await listenAt(this.server, place)
    const at = this.server.address()
    if (at !== null) this.at = typeof at === 'string' ? at : `${at.family === 'IPv6' ? `[${at.address}]` : at.address}:${at.port}`
  }

  /** Ends its clients and listens no more. The multiplexer stays. */
  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.server.close(() => resolve()))
    for (const client of [...this.clients])
      client.end(new NetError('ENETDOWN', { message: 'the multiplexer is not served any more' }))
    for (const socket of this.sockets) socket.destroy()
    await ended
  }

  private async visit(socket: Socket): Promise<void> {
    this.sockets.add(socket)
    socket.unref()
    socket.on('error', () => undefined) // 'close' follows
    socket.once('close', () => this.sockets.delete(socket))
    prepare(socket)
    try {
      const { message, rest } = await greet(socket)
      this.serve(socket, openFor(this.mux, message), rest)
    } catch (error) {
      const { code = 'EPROTO', message } = error as NetError
      // Who was told why has lost his place, whether he hangs up or not.
      socket.end(greeting({ code, message }), () => socket.destroy())
      this.options.onRefused?.(error as Error)
    }
  }

  private serve(socket: Socket, client: MuxClient, rest: Uint8Array): void {
    socket.write(greeting(welcomeOf(this.mux, client)))
    const { name, mac, mtu, offload } = client
    const wire = new MuxWire({ name, mac, mtu, offload }, socket, rest)
    wire.onControl = (message) => {
      const answer = obey(client, message)
      if (answer !== null) wire.control(answer)
    }
    wire.onEnd = () => this.clients.delete(client)
    this.clients.add(client)
    splice(wire, client, this.mux.host)
  }
}
