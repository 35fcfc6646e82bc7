/**
 * `stack.fetch`, and undici on a stack: its connector is the one place where undici opens a connection, and takes any Duplex.
 *
 * undici is an optional peer dependency. The `fetch` that Node has built in is another copy of it, of another version: its dispatchers and
 * classes are not promised to fit those of the installed one (a `Request` of Node's is unknown to it, and taken apart here).
 */
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import { NetError } from '../base/errors.ts'
import type { Owned } from './deps.ts'
import type { NetModule } from './net.ts'
import type { TlsModule } from './tls.ts'

/** Where undici wants to go. */
export interface ConnectorOptions {
  hostname: string
  host?: string
  protocol: string
  port: string | number
  servername?: string | null
  localAddress?: string | null
}

/** Told of the socket, or why there is none. */
export type ConnectorCallback = (error: Error | null, socket: Duplex | null) => void
/** What undici's dispatchers take as `connect`. */
export type Connector = (options: ConnectorOptions, callback: ConnectorCallback) => void

/** Options of undici's `buildConnector`: those of `tls.connect`, and these. */
export interface ConnectSettings extends ConnectionOptions {
  /** How long a connection may take to come about, TLS included, in ms; 0: for ever. 10 s when left out, as undici has it. */
  timeout?: number
  /** HTTP/2 is offered to servers with TLS. */
  allowH2?: boolean
}

/** A dispatcher of undici, as far as we are concerned. */
interface Dispatcher {
  readonly destroyed?: boolean
  destroy(): Promise<void>
}

/** What is used of undici. */
interface Undici {
  Agent: new (options: object) => Dispatcher
  fetch(input: unknown, init: object): Promise<Response>
}

const TIMEOUT_MS = 10_000

/** Opens connections of the stack for undici: `new Agent({ connect: stack.undici.connector() })`. */
export function connector(net: NetModule, tls: TlsModule, settings: ConnectSettings = {}): Connector {
  const { timeout = TIMEOUT_MS, allowH2 = false, ...secure } = settings
  return ({ hostname, protocol, port, servername, localAddress }, callback) => {
    const isSecure = protocol === 'https:'
    const to = { host: hostname.replace(/^\[|\]$/g, ''), localAddress: localAddress ?? undefined }
    const socket = isSecure
      ? tls.connect({
          ALPNProtocols: allowH2 ? ['h2', 'http/1.1'] : ['http/1.1'],
          ...secure,
          ...to,
          servername: servername || secure.servername || (isIP(to.host) === 0 ? to.host : undefined),
          port: Number(port) || 443,
        })
      : net.connect({ ...to, port: Number(port) || 80 })
    const late = (): void => {
      const error = new NetError('UND_ERR_CONNECT_TIMEOUT', {
        message: `Connect Timeout Error (${to.host}:${port}, ${timeout} ms)`,
      })
      socket.destroy(error)
    }
    const timer = timeout > 0 ? setTimeout(late, timeout) : undefined
    const failed = (error: Error): void => {
      clearTimeout(timer)
      callback(error, null)
    }
    socket.setNoDelay(true)
    socket.once('error', failed)
    socket.once(isSecure ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer)
      socket.off('error', failed)
      callback(null, socket)
    })
  }
}

/** `stack.undici`. */
export class UndiciOnStack implements Owned {
  private loading: Promise<Undici> | null = null
  private agents: Dispatcher[] = []
  private ours: Promise<Dispatcher> | null = null

  constructor(
    private readonly net: () => NetModule,
    private readonly tls: () => TlsModule,
    private readonly load: () => Promise<unknown> = () => import('undici'),
  ) {}

  /** For dispatchers of one's own: `new Agent({ connect: stack.undici.connector() })`. */
  connector(settings: ConnectSettings = {}): Connector {
    return connector(this.net(), this.tls(), settings)
  }

  /** undici's Agent with these options of it, `connect` being those of the connector. It is destroyed with the stack. Rejects as `fetch` does. */
  async agent<T extends object = Dispatcher>(options: { connect?: ConnectSettings } & Record<string, unknown> = {}): Promise<T> {
    const { Agent } = await this.undici()
    const allowH2 = options.allowH2 === true
    const agent = new Agent({ ...options, connect: this.connector({ allowH2, ...options.connect }) })
    this.agents = this.agents.filter((made) => made.destroyed !== true) // closed by who asked for it
    this.agents.push(agent)
    return agent as unknown as T
  }

  /** Rejects with ERR_TAPSTACK_NO_UNDICI where undici is not installed. */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const { fetch } = await this.undici()
    const given = (init ?? {}) as { dispatcher?: unknown }
    this.ours ??= this.agent()
    const dispatcher = given.dispatcher ?? (await this.ours)
    if (!(input instanceof Request)) return fetch(input, { ...given, dispatcher })
    const { method, headers, body, redirect, signal, credentials, cache, integrity, keepalive, mode, referrer, referrerPolicy } =
      input
    const taken = {
      method,
      headers: [...headers],
      body,
      redirect,
      signal,
      credentials,
      cache,
      integrity,
      keepalive,
      mode,
      referrerPolicy,
    }
    const from = referrer === 'about:client' ? {} : { referrer }
    return fetch(input.url, { ...taken, ...from, duplex: 'half', ...given, dispatcher })
  }

  /** The stack ends. */
  end(): void {
    for (const agent of this.agents.splice(0)) agent.destroy().catch(() => undefined)
  }

  private undici(): Promise<Undici> {
    this.loading ??= this.load().then(
      (module) => module as Undici,
      (cause) => {
        this.loading = null
        const message = 'stack.fetch needs undici, which is not installed: npm install undici'
        throw new NetError('ERR_TAPSTACK_NO_UNDICI', { message, cause })
      },
    )
    return this.loading
  }
}
