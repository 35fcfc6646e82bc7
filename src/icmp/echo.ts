/** What an echo client (ping.ts) and the ICMP of either family are to each other. */
import { NetError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { ErrorReport, Ip } from '../ip/ip.ts'
import type { Packet } from '../ip/packet.ts'
import type { Route } from '../ip/route.ts'
import type { Outbox } from './outbox.ts'

/** Who asked: an echo client, found by the identifier of its requests. */
export interface EchoClient {
  /** An echo reply with this client's identifier; `packet.off` is the ICMP header. False: it answers nothing that was asked. */
  reply(packet: Packet): boolean
  /** An error about a request of this client; `report.quote[off]` is the ICMP header. False: that request was never sent. */
  error(report: ErrorReport): boolean
  /** The stack is closed: nothing can be asked any more. */
  closed(): void
}

/** ICMP or ICMPv6, as far as it carries echo requests: their layout is the same (RFC 792, RFC 4443 section 4.1). */
export interface EchoLayer {
  readonly ip: Ip
  readonly outbox: Outbox
  /** Echo clients by identifier. */
  readonly clients: Map<number, EchoClient>
  /** The stack was closed: no client may be added. */
  readonly isClosed: boolean
  /** Type of an echo request. */
  readonly echoType: number
  /** Bytes of the IP header before a message, and most bytes of a message's payload. */
  readonly headerBytes: number
  readonly maxEchoBytes: number
  /** Sends the echo request in the outbox by `route`. False: the link is full. `ttl` 0: the default. */
  request(route: Route, tos: number, ttl: number, dontFragment: boolean): boolean
}

/** Enters `client` under an identifier that nobody has, at random. Throws NetError EADDRINUSE when all 65,536 are taken. */
export function claimIdentifier(layer: EchoLayer, random: Random, client: EchoClient): number {
  const { clients } = layer
  if (clients.size >= 0x10000) throw new NetError('EADDRINUSE', { message: 'ping: all identifiers are in use' })
  let id = random.int32() & 0xffff
  while (clients.has(id)) id = (id + 1) & 0xffff
  clients.set(id, client)
  return id
}
