/** A client of a multiplexer in another process, found by its server's name, by a path or by a port. */
import type { Socket } from 'node:net'
import { abortError, onAbort } from '../base/abort.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import { parseMac } from '../ethernet/mac.ts'
import type { MuxSwitches } from '../mux/filter.ts'
import { findMux } from '../mux/mux.ts'
import {
  MUX_PROTOCOL,
  RemoteControls,
  type RemoteMuxClient,
  type RemoteOpenOptions,
  readWelcome,
  type Welcome,
} from '../mux/remote.ts'
import type { NetIf } from '../netif/netif.ts'
import { checkOptions, flagOption, type LinkUrl } from './link-url.ts'
import { type MuxPlace, muxPath } from './mux-server.ts'
import { greet, greeting, MuxWire } from './mux-wire.ts'
import { connectStream } from './stream-socket.ts'

/** ORe's own name, of the server that is asked when none is named. */
export const DEFAULT_MUX = 'ORe'

/** The queue in front of it is the server's affair. */
export interface MuxConnectOptions extends Omit<RemoteOpenOptions, 'queueFrames' | 'queueBytes' | 'signal'>, MuxPlace {
  /** Gives up opening, and ends the link later, with the signal's reason. */
  signal?: AbortSignal | undefined
  /** The server's name. With a path or a port: the one that must answer there. */
  name?: string
}

class SocketClient extends MuxWire implements RemoteMuxClient {
  override readonly mac: Uint8Array
  readonly server: string
  readonly device: string
  readonly channel: number
  readonly macRule: string
  private readonly controls: RemoteControls
  private forgetSignal: (() => void) | null = null

  constructor(welcome: Welcome, mac: Uint8Array, socket: Socket, rest: Uint8Array) {
    super({ name: welcome.name, mac, mtu: welcome.mtu, offload: welcome.offload }, socket, rest)
    this.mac = mac
    this.server = welcome.server
    this.device = welcome.device
    this.channel = welcome.channel
    this.macRule = welcome.macRule
    this.controls = new RemoteControls(
      welcome,
      (message) => this.control(message),
      (on) => super.ref(on),
    )
    this.onControl = (message) => this.controls.heard(message)
    this.onEnd = () => {
      this.forgetSignal?.()
      this.controls.ended()
    }
  }

  /** The link ends when the signal is aborted. */
  endBy(signal: AbortSignal, socket: Socket): void {
    this.forgetSignal = onAbort(signal, (error) => socket.destroy(error))
  }

  get filter(): Required<MuxSwitches> {
    return this.controls.filter
  }

  setFilter(changes: MuxSwitches): void {
    this.controls.setFilter(changes)
  }

  remoteCounters(): Promise<Record<string, number>> {
    // The answer comes between frames, and nobody takes those yet.
    if (!this.isAttached)
      return Promise.reject(new NetError('ENOTCONN', { message: `${this.name}: nothing is attached to it yet` }))
    return this.controls.counters()
  }

  override ref(on: boolean): void {
    this.controls.ref(on)
  }
}

/**
 * Opens a client of a multiplexer that is served elsewhere (`serveMux`, `tapstack mux`).
 * @throws NetError ENODEV, EMFILE, EADDRINUSE, ERR_INVALID_ARG_VALUE as the multiplexer's own `open`; ENOENT (another one answers), EPROTO (none does),
 *   ETIMEDOUT; the signal's reason; and Node's own: `connect ENOENT /run/user/1000/tapstack/ORe.mux`.
 */
export async function openMux(options: MuxConnectOptions = {}): Promise<RemoteMuxClient> {
  const { name, path, host, port, device, mac, filter, offload, signal = new AbortController().signal } = options
  const isNamed = path === undefined && port === undefined
  const place = isNamed
    ? { path: muxPath(name ?? DEFAULT_MUX) }
    : path === undefined
      ? { host: host ?? '127.0.0.1', port: port! }
      : { path }
  let socket: Socket | null = null
  const stop = (): void => void socket?.destroy()
  signal.addEventListener('abort', stop)
  try {
    socket = (await connectStream(place, null, signal)) as Socket
    socket.write(
      greeting({ version: MUX_PROTOCOL, server: isNamed ? (name ?? DEFAULT_MUX) : name, device, mac, filter, offload }),
    )
    const { message, rest } = await greet(socket)
    const welcome = readWelcome(message)
    const client = new SocketClient(welcome, parseMac(welcome.mac), socket, rest)
    client.endBy(signal, socket)
    return client
  } catch (error) {
    stop()
    throw signal.aborted ? abortError(signal) : withAdvice(error as Error, isNamed ? (name ?? DEFAULT_MUX) : undefined)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** What to do when nobody is there. */
function withAdvice(error: Error, name: string | undefined): Error {
  const { code, syscall } = error as NodeJS.ErrnoException
  if (syscall !== 'connect' || (code !== 'ENOENT' && code !== 'ECONNREFUSED')) return error
  const command = name === undefined ? 'tapstack mux' : `tapstack mux --name ${name}`
  return new NetError(code, {
    syscall,
    message: `${error.message}: no multiplexer is served there: \`${command}\` serves one`,
    cause: error,
  })
}

const OPTIONS = ['device', 'mac', 'offload', 'active', 'unicast', 'broadcast', 'multicast', 'promiscuous', 'name']

/** What `mux://ORe?device=eth0&mac=ore`, `mux:///run/mux.sock` or `mux://10.0.0.1:5000` asks for. Throws ERR_INVALID_ARG_VALUE. */
export function muxOptions(url: LinkUrl): MuxConnectOptions {
  checkOptions(url, OPTIONS)
  const filter: MuxSwitches = {}
  for (const name of ['active', 'unicast', 'broadcast', 'promiscuous'] as const) {
    const on = flagOption(url, name)
    if (on !== undefined) filter[name] = on
  }
  const multicast = url.options.get('multicast')
  if (multicast !== undefined) filter.multicast = multicast.includes(':') ? multicast.split(',') : flagOption(url, 'multicast')!
  const { options } = url
  return {
    ...muxPlace(url),
    device: options.get('device'),
    mac: options.get('mac'),
    offload: flagOption(url, 'offload'),
    filter,
  }
}

function muxPlace({ target, options, text }: LinkUrl): MuxConnectOptions {
  const name = options.get('name')
  if (target.startsWith('/')) return { path: target, name }
  const m = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(target)
  if (m !== null) return { host: m[1] ?? (m[2] === '' ? undefined : m[2]), port: Number(m[3]), name }
  if (name !== undefined) throw invalidArgument(`${text}: the name stands before the question mark, or behind a path or a port`)
  return { name: target === '' ? DEFAULT_MUX : target }
}

/** A client by URL: in this process if a multiplexer of that name is there, else where it is served. */
export async function openMuxLink(url: LinkUrl): Promise<NetIf> {
  const options = muxOptions(url)
  const here = options.path === undefined && options.port === undefined ? findMux(options.name!) : undefined
  return here === undefined ? openMux(options) : here.open(options)
}
