/**
 * The MD5 signature option (RFC 2385): a digest of pseudo-header, TCP header without options, data and key. Knows nothing of connections: one object
 * serves all that a key is for.
 */
import type { Address } from '../base/address.ts'
import { put16 } from '../base/bytes.ts'
import type { Segment } from './segment.ts'
import { HEAD_LENGTH, putHead, type Signature } from './signature.ts'
import { MD5_LENGTH, md5Of, sameBytes } from './signature-crypto.ts'
import type { MasterKey } from './signature-keys.ts'
import { C } from './tcp-counters.ts'
import { OPT_MD5, OPT_MD5_LENGTH, OPT_NOP, TCP, TCP_HEADER } from './wire.ts'

/** With two NOPs before, so that what follows is aligned. */
const PADDING = 2
const SPACE = PADDING + OPT_MD5_LENGTH

/** What is hashed before the data. Of one segment at a time: the digest is made at once. */
const head = new Uint8Array(HEAD_LENGTH)

export class Md5Signature implements Signature {
  readonly name = 'md5'
  readonly space = SPACE

  constructor(private readonly key: MasterKey) {}

  begin(): void {
    // Sequence numbers have no part in the digest but by the header.
  }

  sign(buf: Uint8Array, start: number, end: number, local: Address, remote: Address): void {
    const at = start + TCP_HEADER
    put16(buf, at, (OPT_NOP << 8) | OPT_NOP)
    put16(buf, at + PADDING, (OPT_MD5 << 8) | OPT_MD5_LENGTH)
    const digest = this.digest(buf, start, end, local, remote)
    for (let i = 0; i < MD5_LENGTH; i++) buf[at + PADDING + 2 + i] = digest[i]
  }

  verify(seg: Segment, n: Float64Array): boolean {
    const { buf, packet, signatureAt } = seg
    if (signatureAt === 0 || buf[signatureAt] !== OPT_MD5) {
      n[C.TCPMD5NotFound]++
      return false
    }
    const digest = this.digest(buf, packet.off, packet.end, packet.source, packet.destination)
    if (sameBytes(digest, 0, buf, signatureAt + 2, MD5_LENGTH)) return true
    n[C.TCPMD5Failure]++
    return false
  }

  private digest(buf: Uint8Array, start: number, end: number, source: Address, destination: Address): Uint8Array {
    const header = (buf[start + TCP.dataOffset] >> 4) << 2
    const n = putHead(head, 0, source, destination, buf, start, end)
    return md5Of(head.subarray(0, n), buf.subarray(start + header, end), this.key.secret)
  }
}
