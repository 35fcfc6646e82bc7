/** Fragments of IPv6 that come in (RFC 8200 section 4.5): what reassembly (ip/reassembly.ts) has of IPv6's own. */
import { get16, get32, put16 } from '../base/bytes.ts'
import type { ErrorSender } from '../ip/ip.ts'
import { type Packet, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import { Reassembly, type ReassemblyDependencies } from '../ip/reassembly.ts'
import { Added, type ReassemblyLimits, type ReassemblyRules } from '../ip/reassembly-rules.ts'
import { C } from './counters.ts'
import { HeaderChain } from './header-chain.ts'
import {
  IP6,
  IP6_EXT,
  IP6_FRAG,
  IP6_FRAGMENT_HEADER,
  IP6_HEADER,
  IP6_MAX_PAYLOAD,
  IP6_MORE_FRAGMENTS,
  IP6_OFFSET_MASK,
  NEXT_FRAGMENT,
  PROBLEM_FIRST_FRAGMENT,
  PROBLEM_HEADER,
} from './wire.ts'

const INDEX = {
  requests: C.ip6ReasmReqds,
  oks: C.ip6ReasmOKs,
  fails: C.ip6ReasmFails,
  timeout: C.ip6ReasmTimeout,
  length: C.ip6ReasmDropLength,
  tooBig: C.ip6ReasmDropTooBig,
  header: C.ip6ReasmDropHeader,
  overlap: C.ip6ReasmDropOverlap,
  duplicate: C.ip6ReasmDropDuplicate,
  ecn: C.ip6ReasmDropEcn,
  fragments: C.ip6ReasmDropFragments,
  memory: C.ip6ReasmDropMemory,
}

/** What fragments may carry before what makes them fragments: more is no honest chain. */
const MOST_UNFRAGMENTABLE = 512

class ReassemblyRules6 implements ReassemblyRules {
  readonly index = INDEX
  readonly headerRoom = MOST_UNFRAGMENTABLE
  readonly headerLeast = IP6_HEADER + IP6_FRAGMENT_HEADER
  readonly most = IP6_HEADER + IP6_FRAGMENT_HEADER + IP6_MAX_PAYLOAD
  /** RFC 5722 section 4, RFC 8200 section 4.5: "including those constituent fragments not yet received". */
  readonly remembersOverlap = true

  constructor(readonly limits: ReassemblyLimits) {}

  /** Takes out the fragment header, the last before `packet.off`, and lets the header before it name what follows. */
  finish(packet: Packet, tos: number): void {
    const { buf } = packet
    const fragment = packet.off - IP6_FRAGMENT_HEADER
    let name = packet.start + IP6.nextHeader
    for (let at = packet.start + IP6_HEADER; at < fragment && buf[name] !== NEXT_FRAGMENT; ) {
      name = at + IP6_EXT.nextHeader
      at += 8 + (buf[at + IP6_EXT.length] << 3)
    }
    buf[name] = packet.protocol
    packet.protocolAt = name + IP6_FRAGMENT_HEADER
    buf.copyWithin(packet.start + IP6_FRAGMENT_HEADER, packet.start, fragment)
    packet.start += IP6_FRAGMENT_HEADER
    put16(buf, packet.start + IP6.payloadLength, packet.end - packet.start - IP6_HEADER)
    put16(buf, packet.start, (get16(buf, packet.start) & 0xf00f) | (tos << 4))
  }
}

/** What a fragment is. */
export const Piece = { DROPPED: 0, ATOMIC: 1, WAITS: 2, WHOLE: 3 } as const

export class Fragments {
  /** Null until there is something to put together. */
  reassembly: Reassembly | null = null
  private readonly chain = new HeaderChain()

  constructor(
    private readonly deps: ReassemblyDependencies,
    private readonly limits: ReassemblyLimits,
    private readonly counters: Float64Array,
    private readonly errors: ErrorSender,
  ) {}

  /**
   * The packet with a fragment header at `packet.off`. ATOMIC: it is no fragment at all, and `packet` is past that header. WHOLE: its datagram
   * is complete, `packet` describes it, and `release` must follow.
   */
  take(packet: Packet): number {
    const { buf, off } = packet
    if (off + IP6_FRAGMENT_HEADER > packet.end) {
      this.counters[C.ip6InHdrErrors]++
      this.counters[C.ip6DropHeaderLength]++
      return Piece.DROPPED
    }
    const field = get16(buf, off + IP6_FRAG.offsetFlags)
    const from = field & IP6_OFFSET_MASK
    const more = (field & IP6_MORE_FRAGMENTS) !== 0
    packet.protocolAt = off + IP6_EXT.nextHeader
    packet.protocol = buf[packet.protocolAt]
    packet.off = off + IP6_FRAGMENT_HEADER
    if (from === 0 && !more) {
      // RFC 6946: alone, whatever else has the same identification; but a fragment to those who take none (RFC 6980).
      packet.reassembled = true
      return Piece.ATOMIC
    }
    if (from === 0 && !this.isChainWhole(packet)) {
      this.drop(packet, C.ip6DropFirstFragment, 0, PROBLEM_FIRST_FRAGMENT)
      return Piece.DROPPED
    }
    this.reassembly ??= new Reassembly(this.deps, new ReassemblyRules6(this.limits), this.counters)
    const added = this.reassembly.add(packet, get32(buf, off + IP6_FRAG.identification), from, more)
    if (added === Added.WHOLE) return Piece.WHOLE
    // RFC 8200 section 4.5 has both: a length that is no multiple of eight, and a whole that would be too long.
    if (added === Added.BAD_LENGTH) this.tell(packet, IP6.payloadLength)
    else if (added === Added.TOO_BIG) this.tell(packet, off + IP6_FRAG.offsetFlags - packet.start)
    return Piece.WAITS
  }

  /** RFC 7112, RFC 8200 section 4.5: the first fragment has all headers up to and with that of the transport. */
  private isChainWhole(packet: Packet): boolean {
    const { chain } = this
    if (!chain.followFrom(packet.buf, packet.off, packet.end, packet.protocol)) return false
    const { protocol } = chain
    const least = protocol === PROTO_TCP ? 20 : protocol === PROTO_UDP || protocol === PROTO_ICMPV6 ? 8 : 1
    return chain.off + least <= packet.end
  }

  private tell(packet: Packet, pointer: number): void {
    this.counters[C.ip6InHdrErrors]++
    this.errors.parameterProblem(packet, pointer, PROBLEM_HEADER)
  }

  private drop(packet: Packet, reason: number, pointer: number, code: number): void {
    this.counters[C.ip6InHdrErrors]++
    this.counters[reason]++
    this.errors.parameterProblem(packet, pointer, code)
  }
}
