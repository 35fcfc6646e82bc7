/** A packet as a function of the user's sees it: one reused object, lent for the call. Texts are made when they are asked for. */
import type { Address } from '../base/address.ts'
import { type Context, STATE_NAMES } from './context.ts'

/** A packet as a rule that is a function sees it. Lent for the call. */
export class FilterPacket {
  private ctx: Context | null = null

  /** @internal */
  show(ctx: Context): this {
    this.ctx = ctx
    return this
  }

  get family(): 4 | 6 {
    return this.ctx!.headers.family
  }

  /** Number of the transport protocol, behind extension headers. */
  get protocol(): number {
    return this.ctx!.headers.protocol
  }

  get source(): string {
    return this.sourceAddress.toString()
  }

  get destination(): string {
    return this.destinationAddress.toString()
  }

  /** Lent: keep a `clone()`. */
  get sourceAddress(): Address {
    return this.ctx!.headers.source
  }

  get destinationAddress(): Address {
    return this.ctx!.headers.destination
  }

  /** -1 where there is none. */
  get sourcePort(): number {
    const h = this.ctx!.headers
    return h.hasPorts && h.icmpType < 0 ? h.sourcePort : -1
  }

  get destinationPort(): number {
    const h = this.ctx!.headers
    return h.hasPorts && h.icmpType < 0 ? h.destinationPort : -1
  }

  /** FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128. */
  get tcpFlags(): number {
    return this.ctx!.headers.tcpFlags
  }

  /** -1: not ICMP. */
  get icmpType(): number {
    return this.ctx!.headers.icmpType
  }

  get icmpCode(): number {
    return this.ctx!.headers.icmpCode
  }

  /** Name of the interface it came in by; null: it is ours. */
  get in(): string | null {
    return this.ctx!.inIface?.name ?? null
  }

  /** Name of the interface it leaves by; null: not known, or it is for us. */
  get out(): string | null {
    return this.ctx!.outIface?.name ?? null
  }

  get state(): (typeof STATE_NAMES)[number] {
    return STATE_NAMES[this.ctx!.state]
  }

  /** Of the connection, or of the packet where it has none. May be set. */
  get mark(): number {
    return this.ctx!.mark
  }

  set mark(mark: number) {
    this.ctx!.mark = mark | 0
  }

  get ttl(): number {
    return this.ctx!.packet.ttl
  }

  get dscp(): number {
    return this.ctx!.packet.tos >> 2
  }

  /** Bytes of the IP packet. */
  get length(): number {
    return this.ctx!.length
  }

  /** The transport header and what follows, lent. A new object for each call. */
  payload(): Uint8Array {
    const h = this.ctx!.headers
    return h.buf.subarray(h.at, h.end)
  }
}
