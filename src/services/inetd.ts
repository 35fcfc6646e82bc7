/** The small services together, as inetd offers them: each over TCP and UDP, on its own port. */
import type { ConnectionHandler, ListenerHandler, RawListener } from '../tcp/api.ts'
import type { UdpSocket } from '../udp/socket.ts'
import { TcpChargen, UdpChargen } from './chargen.ts'
import { TcpDaytime, UdpDaytime } from './daytime.ts'
import { TcpDiscard, udpDiscard } from './discard.ts'
import { TcpEcho, udpEcho } from './echo.ts'
import { type Answerer, UdpResponder } from './responder.ts'
import type { ServiceStack, ServiceWatcher } from './service.ts'

/** Services and their assigned ports. */
export const SERVICES = { echo: 7, discard: 9, daytime: 13, chargen: 19 } as const
/** Echo (RFC 862), discard (RFC 863), daytime (RFC 867), chargen (RFC 864). */
export type ServiceName = keyof typeof SERVICES

/** Which services, on which ports. */
export interface ServicesOptions {
  /** Which. All when left out. */
  names?: readonly ServiceName[]
  /** Other ports than the assigned ones; 0: an ephemeral one. */
  ports?: Partial<Record<ServiceName, number>>
  watcher?: ServiceWatcher
}

/** Services that run, until they are closed. */
export interface Services {
  /** Where each one listens; TCP and UDP have the same port. */
  readonly ports: Partial<Record<ServiceName, number>>
  /** Of the UDP services. */
  counters(): Partial<Record<ServiceName, Record<string, number>>>
  /** Stops listening. Accepted connections live on. */
  close(): void
}

function tcpSide(name: ServiceName, stack: ServiceStack, watcher?: ServiceWatcher): ListenerHandler & ConnectionHandler {
  switch (name) {
    case 'echo':
      return new TcpEcho(watcher)
    case 'discard':
      return new TcpDiscard(watcher)
    case 'daytime':
      return new TcpDaytime(stack.host, watcher)
    case 'chargen':
      return new TcpChargen(watcher)
  }
}

function udpSide(name: ServiceName, stack: ServiceStack): Answerer {
  switch (name) {
    case 'echo':
      return udpEcho
    case 'discard':
      return udpDiscard
    case 'daytime':
      return new UdpDaytime(stack.host)
    case 'chargen':
      return new UdpChargen(stack.random)
  }
}

/** Starts services on every address of the stack. Throws NetError EADDRINUSE; nothing is left open then. */
export function startServices(stack: ServiceStack, options: ServicesOptions = {}): Services {
  const { names = Object.keys(SERVICES) as ServiceName[], watcher } = options
  const ports: Partial<Record<ServiceName, number>> = {}
  const responders: Partial<Record<ServiceName, UdpResponder>> = {}
  const listeners: RawListener[] = []
  const sockets: UdpSocket[] = []
  const close = (): void => {
    for (const listener of listeners) listener.close()
    for (const socket of sockets) socket.close()
  }
  try {
    for (const name of names) {
      const port = options.ports?.[name] ?? SERVICES[name]
      // Answers are whole when they are written: nothing is won by waiting for more (Nagle).
      const listener = stack.tcp.listen({ port, noDelay: true }, tcpSide(name, stack, watcher))
      listeners.push(listener)
      const responder = new UdpResponder(udpSide(name, stack), watcher)
      const socket = stack.udp.open(responder, { family: 6 }) // both families
      sockets.push(socket)
      socket.bind(socket.any, listener.localPort)
      responders[name] = responder
      ports[name] = listener.localPort
    }
  } catch (error) {
    close()
    throw error
  }
  return {
    ports,
    counters() {
      const out: Partial<Record<ServiceName, Record<string, number>>> = {}
      for (const name of names) out[name] = responders[name]!.counters.snapshot() as Record<string, number>
      return out
    },
    close,
  }
}
