/** The host of ip-world.ts with IPv6: packets made and read by the declarations of their headers, not by the code under test. */
import { Address, address } from '../../src/base/address.ts'
import { Cast } from '../../src/ethernet/ethernet.ts'
import { Icmp6 } from '../../src/icmp6/icmp6.ts'
import { Ipv6 } from '../../src/ipv6/ipv6.ts'
import { ipv6Fragment, ipv6Header } from '../../src/ipv6/wire.ts'
import { naiveChecksum, World, type WorldOptions } from './ip-world.ts'

export const US = 'fd00::2'
export const THEM = 'fd00::1'

export class World6 extends World {
  readonly ipv6: Ipv6
  readonly icmp6: Icmp6

  constructor(options: WorldOptions = {}) {
    super({ addresses: [`${US}/64`, 'fe80::2/64'], ...options })
    const { clock, timers, random, pool, frame, ip, config } = this
    this.ipv6 = new Ipv6({ ip, timers, clock, random, pool, config: config.ipv6 })
    this.icmp6 = new Icmp6({ ip, ipv6: this.ipv6, frame, timers, clock, random, config: config.icmp })
    this.iface.groups.join(address('ff02::1'))
  }

  /** An IPv6 packet arrives, lent from the middle of a larger buffer. */
  arrive6(bytes: Uint8Array, meta = 0, cast: number = Cast.UNICAST): void {
    const buf = new Uint8Array(bytes.length + 96)
    buf.fill(0xee)
    buf.set(bytes, 64)
    this.ipv6.port(this.iface).etherInput(buf, 64, 64 + bytes.length, meta, cast, -1)
    buf.fill(0xdd)
  }

  /** What was sent since the last call, read and checked. */
  read(): ReadIp6[] {
    return this.link.take().map((s) => readIp6(s.bytes))
  }

  /** All counters of IPv6 and ICMPv6 that are not zero. */
  counters6(): Record<string, number> {
    return { ...this.ipv6.counters.snapshot(true), ...this.icmp6.counters.snapshot(true) } as Record<string, number>
  }
}

export interface Fields6 {
  from?: string
  to?: string
  next: number
  hops?: number
  class?: number
  flow?: number
  /** Instead of the true one. */
  length?: number
}

const bytesOf = (text: string): Buffer => {
  const out = Buffer.alloc(16)
  address(text).write(out, 0)
  return out
}

export function packet6(fields: Fields6, payload: Uint8Array): Buffer {
  const out = Buffer.alloc(40 + payload.length)
  ipv6Header.encode(
    {
      versionClassFlow: (0x60000000 | ((fields.class ?? 0) << 20) | (fields.flow ?? 0)) >>> 0,
      payloadLength: fields.length ?? payload.length,
      nextHeader: fields.next,
      hopLimit: fields.hops ?? 64,
      source: bytesOf(fields.from ?? THEM),
      destination: bytesOf(fields.to ?? US),
    },
    out,
  )
  out.set(payload, 40)
  return out
}

function pseudo(from: string, to: string, protocol: number, length: number): Buffer {
  const tail = Buffer.alloc(8)
  tail.writeUInt32BE(length, 0)
  tail[7] = protocol
  return Buffer.concat([bytesOf(from), bytesOf(to), tail])
}

/** An ICMPv6 message between two addresses, with its checksum. */
export function icmp6(type: number, code: number, rest: ArrayLike<number>, from = THEM, to = US): Buffer {
  const out = Buffer.from([type, code, 0, 0, ...Array.from(rest)])
  out.writeUInt16BE(naiveChecksum(Buffer.concat([pseudo(from, to, 58, out.length), out])), 2)
  return out
}

/** A packet with an ICMPv6 message. */
export function icmp6Packet(type: number, code: number, rest: ArrayLike<number>, fields: Partial<Fields6> = {}): Buffer {
  return packet6({ next: 58, ...fields }, icmp6(type, code, rest, fields.from, fields.to))
}

/** A UDP datagram with its checksum. */
export function udp6(sport: number, dport: number, payload: Uint8Array, from = THEM, to = US): Buffer {
  const out = Buffer.alloc(8 + payload.length)
  out.writeUInt16BE(sport, 0)
  out.writeUInt16BE(dport, 2)
  out.writeUInt16BE(out.length, 4)
  out.set(payload, 8)
  out.writeUInt16BE(naiveChecksum(Buffer.concat([pseudo(from, to, 17, out.length), out])) || 0xffff, 6)
  return out
}

/** An extension header of the usual form (RFC 8200 section 4): `body` is padded with zeros (Pad1) to whole units of eight. */
export function extension(next: number, body: ArrayLike<number>): Buffer {
  const length = Math.ceil((body.length + 2) / 8) * 8
  const out = Buffer.alloc(length)
  out.set([next, length / 8 - 1, ...Array.from(body)])
  return out
}

/** A fragment header and what follows it. */
export function fragment6(next: number, offset: number, more: boolean, id: number, bytes: Uint8Array): Buffer {
  const out = Buffer.alloc(8)
  ipv6Fragment.encode({ nextHeader: next, reserved: 0, offsetFlags: offset | (more ? 1 : 0), identification: id }, out)
  return Buffer.concat([out, bytes])
}

export interface ReadIp6 {
  class: number
  flow: number
  next: number
  hops: number
  from: string
  to: string
  /** Behind a fragment header, if there is one. */
  payload: Buffer
  fragment: { offset: number; more: boolean; id: number } | null
  bytes: Buffer
}

/** Decodes a packet by the declarations of its headers and checks what must hold: version, length, the sum of an ICMPv6 message. */
export function readIp6(bytes: Buffer): ReadIp6 {
  const h = ipv6Header.decode(bytes) as Record<string, number> & { source: Uint8Array; destination: Uint8Array }
  if (h.versionClassFlow >>> 28 !== 6) throw new Error('not IPv6')
  if (h.payloadLength !== bytes.length - 40) throw new Error(`payload length ${h.payloadLength} of ${bytes.length - 40}`)
  const from = new Address().read(h.source, 0).toString()
  const to = new Address().read(h.destination, 0).toString()
  let next = h.nextHeader
  let payload = bytes.subarray(40)
  let fragment: ReadIp6['fragment'] = null
  if (next === 44) {
    const f = ipv6Fragment.decode(payload) as Record<string, number>
    fragment = { offset: f.offsetFlags & 0xfff8, more: (f.offsetFlags & 1) !== 0, id: f.identification }
    next = f.nextHeader
    payload = payload.subarray(8)
  } else if (next === 58 && naiveChecksum(Buffer.concat([pseudo(from, to, 58, payload.length), payload])) !== 0) {
    throw new Error('bad ICMPv6 checksum')
  }
  const { versionClassFlow: first } = h
  return {
    class: (first >>> 20) & 255,
    flow: first & 0xfffff,
    next,
    hops: h.hopLimit,
    from,
    to,
    payload: Buffer.from(payload),
    fragment,
    bytes,
  }
}
