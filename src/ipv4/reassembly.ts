/** What reassembly (ip/reassembly.ts) has of IPv4's own: RFC 791 section 3.2. */
import { get16, put16 } from '../base/bytes.ts'
import { checksum } from '../base/checksum.ts'
import type { Packet } from '../ip/packet.ts'
import type { ReassemblyLimits, ReassemblyRules } from '../ip/reassembly-rules.ts'
import { C } from './counters.ts'
import { MAX_OPTIONS } from './options.ts'
import { IP4, IP4_DONT_FRAGMENT, IP4_HEADER, IP4_MAX } from './wire.ts'

const INDEX = {
  requests: C.ipReasmReqds,
  oks: C.ipReasmOKs,
  fails: C.ipReasmFails,
  timeout: C.ipReasmTimeout,
  length: C.ipReasmDropLength,
  tooBig: C.ipReasmDropTooBig,
  header: C.ipReasmDropTooBig, // no header of IPv4 is larger than its room
  overlap: C.ipReasmDropOverlap,
  duplicate: C.ipReasmDropDuplicate,
  ecn: C.ipReasmDropEcn,
  fragments: C.ipReasmDropFragments,
  memory: C.ipReasmDropMemory,
}

export class ReassemblyRules4 implements ReassemblyRules {
  readonly index = INDEX
  readonly headerRoom = IP4_HEADER + MAX_OPTIONS
  readonly headerLeast = IP4_HEADER
  readonly most = IP4_MAX
  /** Sixteen bits of identification come again soon: a datagram that overlapped must not keep others out. */
  readonly remembersOverlap = false

  constructor(readonly limits: ReassemblyLimits) {}

  /** The header says what the whole is: it may be quoted. */
  finish(packet: Packet, tos: number): void {
    const { buf, start, off, end } = packet
    put16(buf, start + IP4.totalLength, end - start)
    put16(buf, start + IP4.flagsFragment, get16(buf, start + IP4.flagsFragment) & IP4_DONT_FRAGMENT)
    buf[start + IP4.tos] = tos
    put16(buf, start + IP4.checksum, 0)
    put16(buf, start + IP4.checksum, checksum(buf, start, off - start))
  }
}
