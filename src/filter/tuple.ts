/** One direction of a connection as its packets show it, and the connection: an entry has two tuples. */
import { Address } from '../base/address.ts'

/** States of TCP as a middle box sees them: no sequence numbers are watched (tcp-track.ts). */
export const TcpState = {
  NONE: 0,
  SYN_SENT: 1,
  SYN_RECEIVED: 2,
  ESTABLISHED: 3,
  FIN_WAIT: 4,
  CLOSE_WAIT: 5,
  LAST_ACK: 6,
  TIME_WAIT: 7,
  CLOSE: 8,
} as const

/** Who talks to whom: the headers of a packet, or a tuple. */
export interface Ends {
  readonly source: Address
  readonly destination: Address
  readonly sourcePort: number
  readonly destinationPort: number
  readonly protocol: number
}

export class Tuple implements Ends {
  readonly source = new Address()
  readonly destination = new Address()
  sourcePort = 0
  destinationPort = 0
  protocol = 0
  hash = 0
  /** Next in the bucket. */
  next: Tuple | null = null

  constructor(
    /** Null: a question, not an answer. */
    readonly entry: Entry | null,
    readonly isReply: boolean,
  ) {}

  set(from: Ends): this {
    this.source.copy(from.source)
    this.destination.copy(from.destination)
    this.sourcePort = from.sourcePort
    this.destinationPort = from.destinationPort
    this.protocol = from.protocol
    return this
  }

  /** The tuple of what answers `from`. */
  invert(from: Ends): this {
    this.source.copy(from.destination)
    this.destination.copy(from.source)
    this.sourcePort = from.destinationPort
    this.destinationPort = from.sourcePort
    this.protocol = from.protocol
    return this
  }

  equals(o: Tuple): boolean {
    return (
      this.sourcePort === o.sourcePort &&
      this.destinationPort === o.destinationPort &&
      this.protocol === o.protocol &&
      this.source.equals(o.source) &&
      this.destination.equals(o.destination)
    )
  }
}

/** A host's port as others see it: shared by all its connections where mapping does not depend on the destination (RFC 4787 REQ-1). */
export interface Mapping {
  readonly inside: string
  readonly outside: string
  readonly address: Address
  readonly port: number
  /** Connections that use it. */
  count: number
}

/** A connection. */
export class Entry {
  readonly original: Tuple = new Tuple(this, false)
  readonly reply: Tuple = new Tuple(this, true)
  /** In the table at all; false again when it is taken out: then nobody may use it. */
  alive = false
  /** Its first packet has got through. */
  confirmed = false
  /** Packets were seen in both directions. */
  replied = false
  /** Not to be given up when the table is full: both sides have shown that they mean it. */
  assured = false
  /** What translation does: to sources, to destinations, of packets in the original direction. */
  sourceNat = false
  destinationNat = false
  /** Whether translation of destinations and sources has been decided. */
  destinationBound = false
  sourceBound = false
  /** If it turns out to leave by the way it came, its source has to be ours, so that the answer comes back. */
  hairpin = false
  /** It borrows an address of ours. `generation`: of IP, when it was last looked whether we still have that. */
  isMasqueraded = false
  generation = 0
  mapping: Mapping | null = null
  mark = 0
  tcpState = 0
  /** FIN was seen from the original side, from the reply side. */
  finOriginal = false
  finReply = false
  /** When it is forgotten, wrapping ms. */
  expires = 0
  packetsOriginal = 0
  bytesOriginal = 0
  packetsReply = 0
  bytesReply = 0
}
