/**
 * The link of a script: what the stack sends is kept with its time, what the script injects is handed over, each packet in a turn of its
 * own, as a kernel hears them. It takes no super-segments: what packetdrill sees as one large packet comes here as its segments, and the
 * comparison puts them together.
 */
import type { NetIf, NetIfSink } from '../../netif/netif.ts'
import { CSUM_VALID, frameMeta, GSO_TCP4, GSO_TCP6, HEADROOM } from '../../netif/netif.ts'
import type { VirtualHost } from '../virtual-host.ts'

/** A packet that the stack has sent, as it was. */
export interface Sent {
  bytes: Uint8Array
  /** Virtual microseconds since the host began. */
  atUs: number
}

const IP4_HEADER = 20
const IP6_HEADER = 40

export class ScriptLink implements NetIf {
  readonly name = 'tun0'
  readonly medium = 'ip'
  readonly mac = null
  readonly offload = 0
  readonly gsoMax = 0
  /** What was sent and nobody has looked at yet. */
  readonly sent: Sent[] = []
  private sink: NetIfSink | null = null
  private isFull = false
  private readonly waiting: { packet: Uint8Array; meta: number }[] = []

  constructor(
    private readonly host: VirtualHost,
    readonly mtu: number,
  ) {}

  attach(sink: NetIfSink): void {
    this.sink = sink
  }

  /** Hands a packet to the stack in its next turn; `mss`: as a super-segment if its payload is longer. */
  inject(packet: Uint8Array, mss = 0): void {
    const isV6 = packet[0] >> 4 === 6
    const at = isV6 ? IP6_HEADER : IP4_HEADER
    const isLong = mss > 0 && packet.length - at - ((packet[at + 12] >> 4) << 2) > mss
    this.waiting.push({ packet, meta: isLong ? frameMeta(CSUM_VALID, isV6 ? GSO_TCP6 : GSO_TCP4, mss) : 0 })
    this.sink!.readable()
  }

  receive(budget: number): boolean {
    for (let n = 0; n < budget && this.waiting.length > 0; n++) {
      const { packet, meta } = this.waiting.shift()!
      const lent = new Uint8Array(packet.length + HEADROOM)
      lent.set(packet, HEADROOM)
      this.sink!.input(lent, HEADROOM, lent.length, meta)
    }
    return this.waiting.length > 0
  }

  /** A queue without room: nothing is taken until it has some. */
  set full(on: boolean) {
    const hadRoom = !this.isFull
    this.isFull = on
    if (!on && !hadRoom) this.sink!.writable()
  }

  send(buf: Uint8Array, start: number, end: number): boolean {
    if (this.isFull) return false
    this.sent.push({ bytes: buf.slice(start, end), atUs: Math.round(this.host.elapsedMs * 1000) })
    return true
  }

  flush(): void {}

  close(): void {}
}
