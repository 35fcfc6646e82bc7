/** Connections as plain objects: what `conntrack -L` prints. */
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import { TCP_STATE_NAMES } from './tcp-track.ts'
import type { Entry, Tuple } from './tuple.ts'

/** One direction of a tracked connection. */
export interface TrackedDirection {
  source: string
  destination: string
  /** Of TCP and UDP. */
  sourcePort?: number
  destinationPort?: number
  /** Of ICMP queries. */
  identifier?: number
  packets: number
  bytes: number
}

/** A connection that the filter follows, as plain data. */
export interface TrackedConnection {
  family: 4 | 6
  /** `tcp`, `udp`, `icmp`, or a number. */
  protocol: string
  /** `SYN-SENT`, ...: of TCP. */
  tcpState?: string
  /** Packets were seen in both directions. */
  replied: boolean
  /** It does not give way to others when the table is full. */
  assured: boolean
  mark: number
  /** Milliseconds until it is forgotten unless another packet comes. */
  expiresInMs: number
  original: TrackedDirection
  /** What answers look like when they arrive: another address or port than the original's says that it is translated. */
  reply: TrackedDirection
}

export function describeEntry(entry: Entry, nowMs: number): TrackedConnection {
  const { original, reply } = entry
  const { protocol } = original
  return {
    family: original.source.family,
    protocol: nameOf(protocol),
    ...(protocol === PROTO_TCP ? { tcpState: TCP_STATE_NAMES[entry.tcpState] } : {}),
    replied: entry.replied,
    assured: entry.assured,
    mark: entry.mark,
    expiresInMs: Math.max(0, (entry.expires - nowMs) | 0),
    original: direction(original, entry.packetsOriginal, entry.bytesOriginal),
    reply: direction(reply, entry.packetsReply, entry.bytesReply),
  }
}

function direction(t: Tuple, packets: number, bytes: number): TrackedDirection {
  const out: TrackedDirection = { source: t.source.toString(), destination: t.destination.toString(), packets, bytes }
  if (t.protocol === PROTO_TCP || t.protocol === PROTO_UDP) {
    out.sourcePort = t.sourcePort
    out.destinationPort = t.destinationPort
  } else if (t.protocol === PROTO_ICMP || t.protocol === PROTO_ICMPV6)
    out.identifier = t.isReply ? t.destinationPort : t.sourcePort
  return out
}

function nameOf(protocol: number): string {
  switch (protocol) {
    case PROTO_TCP:
      return 'tcp'
    case PROTO_UDP:
      return 'udp'
    case PROTO_ICMP:
    case PROTO_ICMPV6:
      return 'icmp'
    default:
      return String(protocol)
  }
}
