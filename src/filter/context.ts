/** A packet on its way through the hooks, and what is known of it: one reused record for what comes in, one for what we send. */
import type { Interface } from '../ip/interface.ts'
import type { Packet } from '../ip/packet.ts'
import { Headers } from './headers.ts'
import type { Entry } from './tuple.ts'

export const State = { UNTRACKED: 0, INVALID: 1, NEW: 2, ESTABLISHED: 3, RELATED: 4 } as const
export const STATE_NAMES = ['untracked', 'invalid', 'new', 'established', 'related'] as const

export class Context {
  packet: Packet
  readonly headers = new Headers()
  /** What an ICMP error quotes; meaningful while `state` is RELATED. */
  readonly quote = new Headers()
  inIface: Interface | null = null
  outIface: Interface | null = null
  state = 0
  /** The packet's connection; null: untracked or invalid. */
  entry: Entry | null = null
  /** It goes against the direction of the connection's first packet. */
  isReply = false
  /** It was translated before (what comes back over the loopback, what was put together). */
  isTranslated = false
  /** Of the packet where it has no connection. */
  private ownMark = 0

  constructor(packet: Packet) {
    this.packet = packet
  }

  /** A packet that came in. False: it has no headers that could be read. */
  begin(packet: Packet): boolean {
    this.packet = packet
    this.inIface = packet.iface
    this.outIface = null
    this.forget()
    const { headers } = this
    if (!headers.parse(packet.buf, packet.start, packet.end)) return false
    // These have their zones.
    headers.source.copy(packet.source)
    headers.destination.copy(packet.destination)
    return true
  }

  /** A packet that we send: `packet` has addresses and all else but the IP header. */
  beginOwn(packet: Packet, out: Interface): void {
    this.packet = packet
    this.inIface = null
    this.outIface = out
    this.forget()
    const { headers } = this
    headers.parseOwn(packet.buf, packet.off, packet.end, packet.destination.isV4 ? 4 : 6, packet.protocol)
    headers.source.copy(packet.source)
    headers.destination.copy(packet.destination)
  }

  get mark(): number {
    return this.entry === null ? this.ownMark : this.entry.mark
  }

  set mark(mark: number) {
    if (this.entry === null) this.ownMark = mark
    else this.entry.mark = mark
  }

  /** Bytes of the IP packet, header and all. */
  get length(): number {
    return this.packet.end - this.packet.start
  }

  private forget(): void {
    this.state = State.UNTRACKED
    this.entry = null
    this.isReply = false
    this.isTranslated = false
    this.ownMark = 0
  }
}
