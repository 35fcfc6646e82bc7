/**
 * Packets that wait for a neighbour's link address. Each neighbour has its own short queue, so that a silent one holds up nobody
 * else; when it is full the oldest goes, because the latest must be kept (RFC 1122 section 2.3.2.2). All queues of a table share
 * one memory, with a limit of its own that never takes away a neighbour's one packet.
 */
import { copyBytes } from '../base/bytes.ts'
import type { BufferPool } from '../base/pool.ts'
import { type Frame, PAYLOAD_AT } from '../netif/frame.ts'

const NO_BYTES = new Uint8Array(0)

/** Where a queued packet is put into the frame: as if it had been built there with headers of 20 + 20 bytes. */
const PACKET_AT = PAYLOAD_AT - 40

/** One packet, `buf[0, length)`, with what must travel with it. */
export class QueuedPacket {
  buf: Uint8Array = NO_BYTES
  length = 0
  meta = 0
  etherType = 0
  next: QueuedPacket | null = null

  /** Puts it into the transmit frame. */
  load(frame: Frame): void {
    copyBytes(this.buf, 0, frame.buf, PACKET_AT, this.length)
    frame.start = PACKET_AT
    frame.end = PACKET_AT + this.length
    frame.meta = this.meta
  }
}

/** What all queues of a table have in common. */
export class QueueMemory {
  /** Bytes of buffers in all queues. */
  bytes = 0
  /** Records for reuse, never more than were once queued. */
  private spare: QueuedPacket | null = null

  /** @param limit bytes in all queues together */
  constructor(
    private readonly pool: BufferPool,
    readonly limit: number,
  ) {}

  copy(frame: Frame, etherType: number): QueuedPacket {
    const packet = this.spare ?? new QueuedPacket()
    this.spare = packet.next
    packet.next = null
    const length = frame.end - frame.start
    packet.buf = this.pool.take(length)
    copyBytes(frame.buf, frame.start, packet.buf, 0, length)
    packet.length = length
    packet.meta = frame.meta
    packet.etherType = etherType
    this.bytes += packet.buf.length
    return packet
  }

  release(packet: QueuedPacket): void {
    this.bytes -= packet.buf.length
    this.pool.give(packet.buf)
    packet.buf = NO_BYTES
    packet.next = this.spare
    this.spare = packet
  }
}

export class PacketQueue {
  head: QueuedPacket | null = null
  private tail: QueuedPacket | null = null
  count = 0
  /** Bytes of the buffers held: what the queue costs, not what the packets measure. */
  bytes = 0

  constructor(
    private readonly memory: QueueMemory,
    private readonly maxPackets: number,
    private readonly maxBytes: number,
  ) {}

  /** Appends a copy of the packet in `frame`. Returns how many older packets had to go. */
  push(frame: Frame, etherType: number): number {
    const packet = this.memory.copy(frame, etherType)
    const size = packet.buf.length
    let dropped = 0
    while (this.count > 0 && this.overflows(size)) {
      this.drop()
      dropped++
    }
    if (this.tail === null) this.head = packet
    else this.tail.next = packet
    this.tail = packet
    this.count++
    this.bytes += size
    return dropped
  }

  /** Takes the oldest packet out; the caller gives it to `release`. */
  take(): QueuedPacket | null {
    const packet = this.head
    if (packet === null) return null
    this.head = packet.next
    if (this.head === null) this.tail = null
    packet.next = null
    this.count--
    this.bytes -= packet.buf.length
    return packet
  }

  release(packet: QueuedPacket): void {
    this.memory.release(packet)
  }

  /** Drops the oldest packet. */
  drop(): void {
    const packet = this.take()
    if (packet !== null) this.memory.release(packet)
  }

  /** Drops everything. Returns how many packets that were. */
  clear(): number {
    const count = this.count
    while (this.count > 0) this.drop()
    return count
  }

  private overflows(size: number): boolean {
    return this.count >= this.maxPackets || this.bytes + size > this.maxBytes || this.memory.bytes > this.memory.limit
  }
}
