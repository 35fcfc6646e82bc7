/** The application's OPEN, active and passive (RFC 9293 section 3.10.1): checks what is asked for, finds the way and a port. */
import { Address, ANY } from '../base/address.ts'
import { invalidArgument, NetError, stackClosed, wordsOf } from '../base/errors.ts'
import { RouteKind } from '../ip/route.ts'
import { parseScoped } from '../ip/zone.ts'
import type { ConnectionHandler, ListenerHandler, ListenOptions, OpenOptions, RawConnection, RawListener } from './api.ts'
import type { Connection } from './connection.ts'
import { beginFastOpen } from './fast-open.ts'
import { Listener } from './listener.ts'
import { later } from './seq.ts'
import { openSigned } from './signature-check.ts'
import { applyOptions, checkListenerOptions, checkOptions } from './socket-options.ts'
import type { Tcp } from './tcp.ts'
import { C } from './tcp-counters.ts'
import { TimeWait } from './time-wait.ts'

/** Options of the calls themselves; the rest are socket options. */
const OPEN_OPTIONS = ['remoteAddress', 'remotePort', 'localAddress', 'localPort', 'ref']
const LISTEN_OPTIONS = ['port', 'address', 'backlog', 'ref', 'ipv6Only']

export function openConnection(tcp: Tcp, options: OpenOptions, handler: ConnectionHandler): RawConnection {
  const hasSocketOptions = checkOptions(options, OPEN_OPTIONS)
  checkHandler(handler)
  const { remoteAddress } = options
  if (typeof remoteAddress !== 'string' && !(remoteAddress instanceof Address))
    throw invalidArgument(`remoteAddress must be an address, not ${String(remoteAddress)}`, 'ERR_INVALID_ARG_TYPE')
  const remote = typeof remoteAddress === 'string' ? parseScoped(tcp.ip, remoteAddress) : remoteAddress.clone()
  checkPort(options.remotePort, 'remotePort', 1)
  if (tcp.isClosed) throw stackClosed()
  if (remote.isMulticast || remote.isLimitedBroadcast) throw connectError('ENETUNREACH', remote, options.remotePort) // RFC 9293 MUST-46
  const wanted =
    options.localAddress === undefined
      ? ANY
      : typeof options.localAddress === 'string'
        ? parseScoped(tcp.ip, options.localAddress)
        : options.localAddress.clone()
  tcp.ip.settle(wanted)
  const route = tcp.scratchRoute
  // Connecting to the unspecified address means this host, as in every kernel.
  if (remote.isUnspecified) remote.copy(remote.isV4 ? Address.v4(0x7f000001) : new Address(0, 0, 0, 1))
  const problem = tcp.ip.route(remote, wanted, null, route)
  if (problem !== null) {
    if (problem === 'EADDRNOTAVAIL' && !wanted.isUnspecified)
      throw new NetError(problem, { syscall: 'bind', address: wanted.toString() })
    throw connectError(problem, remote, options.remotePort)
  }
  remote.copy(route.destination) // with its zone
  // A directed broadcast is no peer either (MUST-46).
  if (route.kind !== RouteKind.UNICAST && route.kind !== RouteKind.LOCAL)
    throw connectError('ENETUNREACH', remote, options.remotePort)
  const path = tcp.paths.get(route.source, remote)
  const { local } = path
  path.resolve(tcp.ip)
  tcp.wake() // before anything asks for the time: outside a turn the clock may be old
  const localPort = choosePort(tcp, local, options.localPort ?? 0, remote, options.remotePort)
  const old = tcp.flowTable.find(local, localPort, remote, options.remotePort)
  const c = tcp.newConnection(path, localPort, options.remotePort, null)
  c.handler = handler
  c.snd.iss = tcp.secrets.isn(local, localPort, remote, options.remotePort, tcp.clock)
  if (old instanceof TimeWait) takeOver(c, old)
  openSigned(c, options.keys)
  if (hasSocketOptions) {
    applyOptions(c, options)
    if (c.keys === null) beginFastOpen(c, options)
  }
  tcp.flowTable.add(c)
  tcp.opened(c, options.ref !== false)
  tcp.counters.values[C.tcpActiveOpens]++
  c.open()
  return c
}

function choosePort(tcp: Tcp, local: Address, wanted: number, remote: Address, remotePort: number): number {
  const { config, secrets } = tcp
  if (wanted !== 0) {
    checkPort(wanted, 'localPort', 0)
    if (!isTupleFree(tcp, local, wanted, remote, remotePort, true)) {
      throw new NetError('EADDRINUSE', { syscall: 'bind', address: local.toString(), port: wanted })
    }
    return wanted
  }
  const port = secrets.pickPort(local, remote, remotePort, config.ephemeralFirst, config.ephemeralLast, (p) =>
    isTupleFree(tcp, local, p, remote, remotePort, false),
  )
  if (port === 0) throw connectError('EADDRNOTAVAIL', remote, remotePort)
  return port
}

/** `asked`: for this port and no other, and TIME-WAIT gives way at once (Linux: a port that was bound). */
function isTupleFree(tcp: Tcp, local: Address, localPort: number, remote: Address, remotePort: number, asked: boolean): boolean {
  const flow = tcp.flowTable.find(local, localPort, remote, remotePort)
  if (flow === null) return !tcp.listeners.has(localPort)
  return flow instanceof TimeWait && flow.isReusable(asked ? -1 : tcp.config.timeWaitReuseMs)
}

/** RFC 6191 section 2: later timestamps keep the two apart; numbers beyond all of before do so, too. */
function takeOver(c: Connection, old: TimeWait): void {
  const { tcp } = c
  tcp.timeWaits.remove(old)
  tcp.counters.values[C.tcpTimeWaitRecycled]++
  c.snd.iss = later(c.snd.iss, (old.sndNxt + 0x10000) | 0)
}

export function openListener(tcp: Tcp, options: ListenOptions, handler: ListenerHandler): RawListener {
  checkListenerOptions(options, LISTEN_OPTIONS)
  checkHandler(handler)
  checkPort(options.port, 'port', 0)
  if (tcp.isClosed) throw stackClosed()
  const local =
    options.address === undefined
      ? ANY
      : typeof options.address === 'string'
        ? parseScoped(tcp.ip, options.address)
        : options.address.clone()
  tcp.ip.settle(local)
  if (!local.isUnspecified && !tcp.ip.isLocal(local)) {
    throw listenError('EADDRNOTAVAIL', local, options.port)
  }
  const ipv6Only = options.ipv6Only === true
  const port = options.port !== 0 ? options.port : freeListenPort(tcp, local, ipv6Only)
  if (tcp.listeners.isTaken(local, ipv6Only, port)) {
    throw listenError('EADDRINUSE', local, port)
  }
  const listener = new Listener(tcp, local, port, handler, options.backlog ?? tcp.config.backlog, options)
  listener.ref = options.ref !== false
  listener.ipv6Only = ipv6Only
  if (listener.ref) tcp.hold()
  tcp.listeners.add(listener)
  return listener
}

function freeListenPort(tcp: Tcp, local: Address, ipv6Only: boolean): number {
  const { ephemeralFirst, ephemeralLast } = tcp.config
  const port = tcp.secrets.pickPort(
    local,
    ANY,
    0,
    ephemeralFirst,
    ephemeralLast,
    (p) => !tcp.listeners.isTaken(local, ipv6Only, p),
  )
  if (port === 0) throw listenError('EADDRINUSE', local, 0)
  return port
}

function connectError(code: string, remote: Address, port: number): NetError {
  return new NetError(code, { syscall: 'connect', address: remote.toString(), port })
}

function listenError(code: string, local: Address, port: number): NetError {
  const address = local.toString()
  return new NetError(code, { syscall: 'listen', address, port, message: `listen ${code}: ${wordsOf(code)} ${address}:${port}` })
}

/** A handler may be empty, but it must be there: it is asked for its methods later, when nobody can be told. */
function checkHandler(handler: unknown): void {
  if (typeof handler !== 'object' || handler === null)
    throw invalidArgument(`a handler must be an object, not ${String(handler)}`, 'ERR_INVALID_ARG_TYPE')
}

function checkPort(port: number, name: string, min: number): void {
  if (!Number.isInteger(port) || port < min || port > 65535) {
    throw invalidArgument(`${name} should be >= ${min} and < 65536. Received ${port}.`, 'ERR_SOCKET_BAD_PORT')
  }
}
