/**
 * Datagrams that wait for the application: one byte ring per socket, each datagram behind a record of fixed length. Nothing is
 * allocated per datagram, an empty queue holds no memory, and what a peer can make it hold is bounded in bytes (records count).
 */
import { Address } from '../base/address.ts'
import { get16, get32, put16, put32 } from '../base/bytes.ts'
import type { BufferPool } from '../base/pool.ts'
import { ByteRing } from '../base/ring.ts'
import type { Interface } from '../ip/interface.ts'
import type { Packet } from '../ip/packet.ts'

/** A received datagram, as `receive` fills it. Reuse one for all. */
export class Datagram {
  /** The caller's: the payload is put at `buf[off]`. */
  buf: Uint8Array
  off: number
  /** Payload bytes put there: as many as there was room for. */
  len = 0
  /** Payload bytes of the datagram; what is beyond `len` is lost. */
  size = 0
  /** Who sent it, from which port, to which of our addresses. */
  readonly address = new Address()
  port = 0
  readonly localAddress = new Address()
  ttl = 0
  /** Traffic class: DSCP and ECN. */
  tos = 0
  /** The interface it came in by; null when that is gone since. */
  iface: Interface | null = null

  constructor(buf: Uint8Array, off = 0) {
    this.buf = buf
    this.off = off
  }

  /** It was sent to a group, or to everybody of a network: answers would be many. */
  get wasToMany(): boolean {
    const { localAddress: to, iface } = this
    if (to.isMulticast || to.isLimitedBroadcast) return true
    if (iface === null) return false
    const { addresses } = iface
    for (let i = 0; i < addresses.length; i++) if (addresses[i].broadcast?.equals(to)) return true
    return false
  }
}

/** length 4, source 16, destination 16, port 2, ttl 1, tos 1, interface index 4, zones of source and destination 2 + 2. */
const RECORD = 48
const SOURCE = 4
const DESTINATION = 20
const PORT = 36
const TTL = 38
const TOS = 39
const INTERFACE = 40
const SOURCE_ZONE = 44
const DESTINATION_ZONE = 46

export class ReceiveQueue {
  /** Datagrams waiting. */
  count = 0
  private readonly ring: ByteRing
  private readonly record = new Uint8Array(RECORD)

  constructor(pool: BufferPool) {
    this.ring = new ByteRing(pool)
  }

  /** Bytes that count against the limit. */
  get bytes(): number {
    return this.ring.length
  }

  /** Payload bytes of the first datagram; 0 when there is none (or it is empty: see `count`). */
  get nextLength(): number {
    if (this.count === 0) return 0
    this.ring.copyOut(0, 4, this.record, 0)
    return get32(this.record, 0)
  }

  /** Copies the payload `packet.buf[off, off + length)` in. False: it would pass `limit` bytes. */
  push(packet: Packet, port: number, off: number, length: number, limit: number): boolean {
    if (this.ring.length + RECORD + length > limit) return false
    const r = this.record
    put32(r, 0, length)
    putAddress(r, SOURCE, packet.source)
    putAddress(r, DESTINATION, packet.destination)
    put16(r, PORT, port)
    r[TTL] = packet.ttl
    r[TOS] = packet.tos
    put32(r, INTERFACE, packet.iface.index)
    put16(r, SOURCE_ZONE, packet.source.zone)
    put16(r, DESTINATION_ZONE, packet.destination.zone)
    this.ring.write(r, 0, RECORD)
    this.ring.write(packet.buf, off, length)
    this.count++
    return true
  }

  /** Moves the first datagram to `into`; its `iface` is left to the caller, who gets its index. Only if `count` > 0. */
  shift(into: Datagram): number {
    const r = this.record
    this.ring.read(r, 0, RECORD)
    into.size = get32(r, 0)
    into.len = Math.min(into.size, Math.max(0, into.buf.length - into.off))
    getAddress(r, SOURCE, into.address)
    getAddress(r, DESTINATION, into.localAddress)
    into.address.zone = get16(r, SOURCE_ZONE)
    into.localAddress.zone = get16(r, DESTINATION_ZONE)
    into.port = get16(r, PORT)
    into.ttl = r[TTL]
    into.tos = r[TOS]
    this.ring.copyOut(0, into.len, into.buf, into.off)
    this.ring.drop(into.size)
    this.count--
    return get32(r, INTERFACE)
  }

  clear(): void {
    this.ring.clear()
    this.count = 0
  }
}

function putAddress(r: Uint8Array, at: number, a: Address): void {
  put32(r, at, a.w0)
  put32(r, at + 4, a.w1)
  put32(r, at + 8, a.w2)
  put32(r, at + 12, a.w3)
}

function getAddress(r: Uint8Array, at: number, a: Address): void {
  a.w0 = get32(r, at)
  a.w1 = get32(r, at + 4)
  a.w2 = get32(r, at + 8)
  a.w3 = get32(r, at + 12)
}
