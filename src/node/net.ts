/**
 * `node:net` on a stack of one's own. Everything that opens a connection or listens does it through the stack; what only computes
 * (`isIP`, `BlockList`, `SocketAddress`) is Node's.
 */
import nodeNet, {
  BlockList,
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  isIP,
  isIPv4,
  isIPv6,
  Server as NodeServer,
  Socket as NodeSocket,
  SocketAddress,
} from 'node:net'
import { type Callable, callable, countAs } from './callable.ts'
import { clientSocket } from './channels.ts'
import { checkAttemptMs } from './connect.ts'
import type { NetContext, NodeDeps } from './deps.ts'
import { checkBoolean } from './errors.ts'
import { lengthsAs, showAs } from './face.ts'
import { type Normalized, normalizeArgs } from './normalize-args.ts'
import { Server, type ServerOptions } from './server.ts'
import { type Accepted, Socket } from './socket.ts'
import type { SocketOptions } from './socket-args.ts'

/** A listener of `connection`. */
export type ConnectionListener = (socket: Socket) => void
export type SocketConstructor = Callable<[options?: SocketOptions | null], Socket>
export type ServerConstructor = Callable<
  [options?: ServerOptions | ConnectionListener | null, listener?: ConnectionListener],
  Server
>

/** `stack.net`: node:net on the stack. */
export interface NetModule {
  readonly Socket: SocketConstructor
  readonly Server: ServerConstructor
  /** An old name of `Socket`. */
  readonly Stream: SocketConstructor
  createServer(options?: ServerOptions | ConnectionListener | null, listener?: ConnectionListener): Server
  /** `(options, cb)` or `(port, host, cb)`. */
  connect(...args: unknown[]): Socket
  createConnection(...args: unknown[]): Socket
  isIP: typeof isIP
  isIPv4: typeof isIPv4
  isIPv6: typeof isIPv6
  BlockList: typeof BlockList
  SocketAddress: typeof SocketAddress
  getDefaultAutoSelectFamily(): boolean
  setDefaultAutoSelectFamily(value: boolean): void
  getDefaultAutoSelectFamilyAttemptTimeout(): number
  setDefaultAutoSelectFamilyAttemptTimeout(ms: number): void
  /** Not Node's interface, but used by tracers. */
  _normalizeArgs(args: unknown[]): Normalized
  /** Does nothing, as in Node where it is not Windows. */
  _setSimultaneousAccepts(): void
}

export function createNet(deps: NodeDeps): NetModule {
  // From Node's: the command line may have set them.
  const autoSelect = { family: getDefaultAutoSelectFamily(), attemptMs: getDefaultAutoSelectFamilyAttemptTimeout() }
  const context: NetContext = { deps, autoSelect }
  let hasWarned = false

  class StackSocket extends Socket {
    constructor(options?: SocketOptions | null, accepted?: Accepted) {
      super(context, options, accepted ?? null)
    }
  }
  const SocketFace = callable<[SocketOptions?, Accepted?], Socket>('Socket', StackSocket)
  const makeSocket = (options: SocketOptions, accepted: Accepted): Socket => new StackSocket(options, accepted)

  class StackServer extends Server {
    constructor(options?: ServerOptions | ConnectionListener | null, listener?: ConnectionListener) {
      super(deps, makeSocket, options, listener)
    }
  }
  const ServerFace = callable<[(ServerOptions | ConnectionListener | null)?, ConnectionListener?], Server>('Server', StackServer)

  showAs(SocketFace, NodeSocket)
  showAs(ServerFace, NodeServer)
  // As in Node: TLS sockets are sockets, servers of http are servers.
  countAs(SocketFace, NodeSocket)
  countAs(ServerFace, NodeServer)

  function connect(...args: unknown[]): Socket {
    const normalized = normalizeArgs(args)
    const [options] = normalized
    const socket = new StackSocket(options)
    if (clientSocket.hasSubscribers) clientSocket.publish({ socket })
    if (options.timeout) socket.setTimeout(options.timeout)
    return socket.connect(normalized)
  }

  const net: NetModule = {
    Socket: SocketFace as SocketConstructor,
    Server: ServerFace,
    Stream: SocketFace as SocketConstructor,
    createServer: (options, listener) => new ServerFace(options, listener),
    connect,
    createConnection: connect,
    isIP,
    isIPv4,
    isIPv6,
    BlockList,
    SocketAddress,
    getDefaultAutoSelectFamily: () => autoSelect.family,
    setDefaultAutoSelectFamily(value) {
      checkBoolean(value, 'value')
      autoSelect.family = value
    },
    getDefaultAutoSelectFamilyAttemptTimeout: () => autoSelect.attemptMs,
    setDefaultAutoSelectFamilyAttemptTimeout(ms) {
      autoSelect.attemptMs = checkAttemptMs(ms, 'value')
    },
    _normalizeArgs: normalizeArgs,
    _setSimultaneousAccepts() {
      if (hasWarned) return
      hasWarned = true
      process.emitWarning('net._setSimultaneousAccepts() is deprecated and will be removed.', 'DeprecationWarning', 'DEP0121')
    },
  }
  lengthsAs(net, nodeNet)
  return net
}
