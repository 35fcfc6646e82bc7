/** What sockets of a script have from where they are: the stack, the system that they are like, the addresses of the script. */
import type { Address } from '../../base/address.ts'
import type { TcpConfig } from '../../base/config.ts'
import type { RawTcp } from '../../tcp/api.ts'
import type { SocketManners } from './profiles.ts'

/** What a call returns, the name of its error, or null: it would block. */
export type Answer = number | string | null

export interface SocketPlace {
  readonly tcp: RawTcp
  readonly manners: SocketManners
  /** Of the stack: what options are that nobody set. */
  readonly config: TcpConfig
  /** Sockets are of AF_INET6; packets may be of IPv4 all the same. */
  readonly isV6: boolean
  /** Of packets on the wire. */
  readonly wireVersion: 4 | 6
  /** Of packets whose socket says nothing. */
  readonly hopLimit: number
  readonly localAddress: Address
  readonly bindPort: number
  /** Of the script. */
  readonly nowUs: number
  /** How far from its time a thing may be. */
  readonly toleranceUs: number
  readonly remoteAddress: Address
  readonly connectPort: number
  /** SO_SNDBUF and SO_RCVBUF of a socket that has no connection yet. */
  readonly sendBuffer: number
  readonly receiveBuffer: number
  /** Bytes that a SYN would carry now: 0 without a cookie of the peer. `noCookie`: none is needed. */
  fastOpenRoom(noCookie: boolean, maxSegmentBytes: number): number
  /** What `open` gives when the ports of connects are these; 0: those of the stack. */
  withPorts<T>(first: number, last: number, open: () => T): T
  /** Something happened that a blocking call may wait for. What it then writes leaves in the same turn, as from a thread that is woken. */
  woken(): void
  /** May a client use Fast Open at all? */
  readonly fastOpenAllowed: boolean
  /** May sockets be bound to it? */
  isLocal(address: Address): boolean
  /** The number of an error, as the system of the script counts. */
  errnoOf(name: string): number
}
