/**
 * The transmit frame: one per stack, reused for everything that is sent. Payload is placed first, at `PAYLOAD_AT`; then each layer,
 * from the transport down, moves `start` back and writes its header into the room before it ("headers backwards").
 */
import { arena } from '../base/arena.ts'
import { HEADROOM, type NetIf, type Place } from './netif.ts'

/**
 * Where a transport payload begins: room for TCP (60), IPv6 with a few extension headers or IPv4 with options (100), Ethernet with
 * two tags (22) and the NetIf's own header. `PAYLOAD_AT - 20 - 20` is a multiple of four, so that checksums run over aligned words.
 */
const HEADERS = 200
export const PAYLOAD_AT = HEADERS + HEADROOM

export class Frame implements Place {
  /** Its own memory; for a moment the buffer of a lent packet (a router), or room of the link's (`place`). */
  buf: Uint8Array
  private readonly own: Uint8Array
  /** First byte of what is built so far. */
  start = PAYLOAD_AT
  /** One past the last byte. */
  end = PAYLOAD_AT
  /** See netif.ts: checksum state and super-segment size. */
  meta = 0

  /** @param room payload bytes it must hold (64 KiB for super-segments and reassembled datagrams). */
  constructor(room = 0x10000) {
    this.own = arena.take(PAYLOAD_AT + room + 64)
    this.buf = this.own
  }

  /**
   * Moves an empty frame to where the link can keep it, if the link has such a place for `payload` bytes; `leave` afterwards. False: the link is full.
   */
  moveTo(netif: NetIf, payload: number): boolean {
    return netif.place === undefined || netif.place(this, HEADERS, payload)
  }

  /** Back into its own memory, empty. */
  leave(): void {
    this.buf = this.own
    this.reset()
  }

  /** Begins a new frame with an empty payload. */
  reset(): this {
    this.start = PAYLOAD_AT
    this.end = PAYLOAD_AT
    this.meta = 0
    return this
  }

  get length(): number {
    return this.end - this.start
  }
}
