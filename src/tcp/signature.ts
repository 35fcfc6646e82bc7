/**
 * Signed segments, for BGP speakers: MD5 (RFC 2385) and TCP-AO (RFC 5925, RFC 5926).
 *
 * Theory of operation. Who has keys for a peer signs every segment to it, from the SYN to the last ACK of TIME-WAIT, and hears nothing that is not
 * signed. What arrives is verified before anything else looks at it, by the keys of its flow: those of a connection, a handshake or a TIME-WAIT
 * record; a segment of no flow by those of the listener for its port, which then become those of the handshake. Segment.keys hands them on,
 * also to a reset that answers. A signature covers one segment and not a super-segment, so those are not used; its option takes room from
 * payload and SACK blocks.
 *
 * A stack that was never given keys looks at an option only if there is one. Signing makes garbage: a few objects per segment. BGP has few.
 *
 * Deviations: a signed segment for which we have no key gets no reset, which its sender could not believe (Linux does the same). Fast Open is not
 * used with signatures: no cookie would fit beside them.
 */
import type { Address } from '../base/address.ts'
import { put16, put32 } from '../base/bytes.ts'
import { PROTO_TCP } from '../ip/packet.ts'
import type { Segment } from './segment.ts'
import { TCP, TCP_HEADER } from './wire.ts'

/** How the segments of a connection are signed. */
export interface Signature {
  readonly name: 'md5' | 'ao'
  /** Bytes of options that each segment has less. */
  readonly space: number
  /** Our initial sequence number is this. */
  begin(iss: number): void
  /** Signs the segment buf[start, end): its checksum is zero, its first `space` bytes of options are free, everything else is written. */
  sign(buf: Uint8Array, start: number, end: number, local: Address, remote: Address): void
  /** Is it the peer's? Counts if it is not. */
  verify(seg: Segment, counters: Float64Array): boolean
}

/** Most that `putHead` writes: the pseudo-header of IPv6 and a TCP header. */
export const HEAD_LENGTH = 40 + TCP_HEADER

/** Writes pseudo-header and TCP header without options, the checksum zero, to `out`; returns where it ended. Both kinds of signature begin so. */
export function putHead(
  out: Uint8Array,
  at: number,
  source: Address,
  destination: Address,
  buf: Uint8Array,
  start: number,
  end: number,
): number {
  let o = putAddress(out, at, source)
  o = putAddress(out, o, destination)
  if (source.isV4) {
    put16(out, o, PROTO_TCP)
    put16(out, o + 2, end - start)
    o += 4
  } else {
    put32(out, o, end - start)
    put32(out, o + 4, PROTO_TCP)
    o += 8
  }
  for (let i = 0; i < TCP_HEADER; i++) out[o + i] = buf[start + i]
  put16(out, o + TCP.checksum, 0)
  return o + TCP_HEADER
}

/** Four bytes or sixteen. Returns where they end. */
export function putAddress(out: Uint8Array, at: number, a: Address): number {
  if (a.isV4) {
    put32(out, at, a.w3)
    return at + 4
  }
  put32(out, at, a.w0)
  put32(out, at + 4, a.w1)
  put32(out, at + 8, a.w2)
  put32(out, at + 12, a.w3)
  return at + 16
}
