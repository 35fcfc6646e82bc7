/**
 * One stack on an IP link whose other end is the test: what it says of groups comes as words, and queries are made from the declarations
 * of the headers (buffer-layout), not with the code under test.
 */
import { Address, address } from '../../src/base/address.ts'
import { checksum } from '../../src/base/checksum.ts'
import type { ConfigOverrides } from '../../src/base/config.ts'
import { pseudoSum } from '../../src/ip/pseudo-header.ts'
import { ipv4Header } from '../../src/ipv4/wire.ts'
import { ipv6Header } from '../../src/ipv6/wire.ts'
import { createPipe } from '../../src/link/pipe.ts'
import * as wire from '../../src/multicast/wire.ts'
import type { NetIf, NetIfSink } from '../../src/netif/netif.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'
import type { UdpSocket } from '../../src/udp/socket.ts'
import { packetOf } from './ip-world.ts'

const KINDS = ['', 'IS_IN', 'IS_EX', 'TO_IN', 'TO_EX', 'ALLOW', 'BLOCK']

/** A message of ours: `TO_EX 239.1.2.3 {}`, `v2 report 239.1.2.3`. */
export interface Said {
  at: number
  from: string
  to: string
  hops: number
  words: string
}

export interface Asking {
  /** `''`: all groups. */
  group?: string
  sources?: string[]
  /** The code as the field has it. */
  code?: number
  version?: number
  robustness?: number
  /** The code as the field has it. */
  interval?: number
  from?: string
  to?: string
  hops?: number
  alert?: boolean
}

export interface Family {
  name: string
  family: 4 | 6
  groups: string[]
  sources: string[]
  routers: string
  allHosts: string
  oldLeaveTo: string
  newest: number
  /** Codes per second of a Maximum Response Code. */
  codesPerSecond: number
  query(asking: Asking): Buffer
  oldReport(version: number, group: string, from?: string): Buffer
  read(packet: Buffer): Omit<Said, 'at'> | null
}

function int(a: string): number {
  return address(a).w3 >>> 0
}

function sixteen(a: string): Buffer {
  const out = Buffer.alloc(16)
  address(a).write(out, 0)
  return out
}

function igmp(body: Buffer, asking: Asking, to: string): Buffer {
  body.writeUInt16BE(0, 2)
  body.writeUInt16BE(checksum(body, 0, body.length), 2)
  const { from = '10.0.0.1', hops = 1, alert = true } = asking
  const options = alert ? Uint8Array.of(0x94, 4, 0, 0) : undefined
  return packetOf({ source: from, destination: to, protocol: 2, ttl: hops, options }, body)
}

export const V4: Family = {
  name: 'IGMP',
  family: 4,
  groups: ['239.1.2.3', '239.1.2.4', '224.0.0.251'],
  sources: ['10.9.0.1', '10.9.0.2', '10.9.0.3', '10.9.0.4'],
  routers: '224.0.0.22',
  allHosts: '224.0.0.1',
  oldLeaveTo: '224.0.0.2',
  newest: 3,
  codesPerSecond: 10,
  query(asking) {
    const { group = '', sources = [], code = 100, version = 3, robustness = 2, interval = 125 } = asking
    const to = asking.to ?? (group === '' ? V4.allHosts : group)
    const fields = { type: 0x11, maxResponse: version === 1 ? 0 : code, checksum: 0, group: group === '' ? 0 : int(group) }
    const body = Buffer.alloc(version === 3 ? 12 + 4 * sources.length : 8)
    if (version !== 3) wire.igmpHeader.encode(fields, body)
    else wire.igmpQuery.encode({ ...fields, flags: robustness, interval, count: sources.length }, body)
    for (const [i, s] of sources.entries()) body.writeUInt32BE(int(s), 12 + 4 * i)
    return igmp(body, asking, to)
  },
  oldReport(version, group, from) {
    const body = Buffer.alloc(8)
    wire.igmpHeader.encode({ type: version === 1 ? 0x12 : 0x16, maxResponse: 0, checksum: 0, group: int(group) }, body)
    return igmp(body, { from }, group)
  },
  read(packet) {
    const ip = ipv4Header.decode(packet) as {
      versionIhl: number
      tos: number
      ttl: number
      protocol: number
      source: number
      destination: number
    }
    if (ip.protocol !== 2) return null
    if (ip.versionIhl !== 0x46 || packet.readUInt32BE(20) !== 0x94040000) throw new Error('no router alert')
    if (ip.tos !== 0xc0 || checksum(packet, 0, 24) !== 0) throw new Error('a wrong header')
    const body = packet.subarray(24)
    if (checksum(body, 0, body.length) !== 0) throw new Error('a wrong checksum')
    const at = { from: Address.v4(ip.source).toString(), to: Address.v4(ip.destination).toString(), hops: ip.ttl }
    const group = Address.v4(body.readInt32BE(4)).toString()
    if (body[0] === 0x12) return { ...at, words: `v1 report ${group}` }
    if (body[0] === 0x16) return { ...at, words: `v2 report ${group}` }
    if (body[0] === 0x17) return { ...at, words: `leave ${group}` }
    if (body[0] !== 0x22) throw new Error(`type ${body[0]}`)
    const records: string[] = []
    let off = 8
    for (let i = (wire.igmpReport.decode(body) as { count: number }).count; i > 0; i--) {
      const r = wire.igmpRecord.decode(body, off) as { type: number; auxiliary: number; count: number; group: number }
      off += 8
      const sources: string[] = []
      for (let j = 0; j < r.count; j++, off += 4) sources.push(Address.v4(body.readInt32BE(off)).toString())
      records.push(`${KINDS[r.type]} ${Address.v4(r.group)} {${sources}}`)
    }
    if (off !== body.length) throw new Error('bytes are left')
    return { ...at, words: records.join('; ') }
  },
}

function mld(body: Buffer, asking: Asking, to: string): Buffer {
  const { from = 'fe80::1', hops = 1, alert = true } = asking
  body.writeUInt16BE(0, 2)
  body.writeUInt16BE(checksum(body, 0, body.length, pseudoSum(address(from), address(to), 58, body.length)), 2)
  const options = Buffer.from(alert ? [58, 0, 5, 2, 0, 0, 1, 0] : [58, 0, 1, 4, 0, 0, 0, 0])
  const head = Buffer.alloc(40)
  ipv6Header.encode(
    {
      versionClassFlow: 0x60000000,
      payloadLength: options.length + body.length,
      nextHeader: 0,
      hopLimit: hops,
      source: sixteen(from),
      destination: sixteen(to),
    },
    head,
  )
  return Buffer.concat([head, options, body])
}

export const V6: Family = {
  name: 'MLD',
  family: 6,
  groups: ['ff15::1:2:3', 'ff15::1:2:4', 'ff02::fb'],
  sources: ['fd09::1', 'fd09::2', 'fd09::3', 'fd09::4'],
  routers: 'ff02::16',
  allHosts: 'ff02::1',
  oldLeaveTo: 'ff02::2',
  newest: 2,
  codesPerSecond: 1000,
  query(asking) {
    const { group = '', sources = [], code = 10_000, version = 2, robustness = 2, interval = 125 } = asking
    const to = asking.to ?? (group === '' ? V6.allHosts : group)
    const fields = {
      type: 130,
      code: 0,
      checksum: 0,
      maxResponse: code,
      reserved: 0,
      group: sixteen(group === '' ? '::' : group),
    }
    const body = Buffer.alloc(version === 2 ? 28 + 16 * sources.length : 24)
    if (version !== 2) wire.mldHeader.encode(fields, body)
    else wire.mldQuery.encode({ ...fields, flags: robustness, interval, count: sources.length }, body)
    for (const [i, s] of sources.entries()) body.set(sixteen(s), 28 + 16 * i)
    return mld(body, asking, to)
  },
  oldReport(_version, group, from) {
    const body = Buffer.alloc(24)
    wire.mldHeader.encode({ type: 131, code: 0, checksum: 0, maxResponse: 0, reserved: 0, group: sixteen(group) }, body)
    return mld(body, { from }, group)
  },
  read(packet) {
    const ip = ipv6Header.decode(packet) as { nextHeader: number; hopLimit: number }
    if (ip.nextHeader !== 0) return null
    const [from, to] = [8, 24].map((off) => new Address().read(packet, off))
    if (packet.subarray(40, 48).toString('hex') !== '3a00050200000100') throw new Error('no router alert')
    const body = packet.subarray(48)
    if (checksum(body, 0, body.length, pseudoSum(from, to, 58, body.length)) !== 0) throw new Error('a wrong checksum')
    const at = { from: from.toString(), to: to.toString(), hops: ip.hopLimit }
    const group = (off: number): string => new Address().read(body, off).toString()
    if (body[0] === 131) return { ...at, words: `v1 report ${group(8)}` }
    if (body[0] === 132) return { ...at, words: `leave ${group(8)}` }
    if (body[0] !== 143) throw new Error(`type ${body[0]}`)
    const records: string[] = []
    let off = 8
    for (let i = (wire.mldReport.decode(body) as { count: number }).count; i > 0; i--) {
      const r = wire.mldRecord.decode(body, off) as { type: number; count: number }
      const name = group(off + 4)
      off += 20
      const sources: string[] = []
      for (let j = 0; j < r.count; j++, off += 16) sources.push(group(off))
      records.push(`${KINDS[r.type]} ${name} {${sources}}`)
    }
    if (off !== body.length) throw new Error('bytes are left')
    return { ...at, words: records.join('; ') }
  },
}

export class GroupWorld implements NetIfSink {
  readonly world: World = createWorld()
  readonly host = this.world.host
  readonly stack: Stack
  readonly iface: AttachedInterface
  private readonly link: NetIf
  private readonly said: Said[] = []

  constructor(
    readonly family: Family,
    config: ConfigOverrides = {},
    addresses = family.family === 4 ? ['10.0.0.2/24'] : ['fe80::2/64'],
  ) {
    this.stack = this.world.stack({ nd: { dadTransmits: 0 }, ...config })
    const [left, right] = createPipe({ medium: 'ip' })
    this.link = right
    right.attach(this)
    this.iface = this.stack.attach(left, { name: 'tun0', addresses })
    this.take()
  }

  /** What was said since the last time, in `ms` from now. */
  take(ms = 0): Said[] {
    this.world.run(ms)
    return this.said.splice(0)
  }

  /** Only the words of it. */
  words(ms: number): string[] {
    return this.take(ms).map((s) => s.words)
  }

  ask(asking: Asking = {}): void {
    this.send(this.family.query(asking))
  }

  send(packet: Buffer): void {
    const buf = Buffer.concat([Buffer.alloc(64), packet])
    this.link.send(buf, 64, buf.length, 0)
    this.world.run(0)
  }

  socket(): UdpSocket {
    return this.stack.udp.open({}, { family: this.family.family })
  }

  counters(): Record<string, number> {
    const all = this.stack.counters(true)
    return this.family.family === 4 ? all.igmp : all.mld
  }

  input(buf: Uint8Array, start: number, end: number): void {
    const said = this.family.read(Buffer.from(buf.slice(start, end)))
    if (said !== null) this.said.push({ at: this.world.elapsedMs, ...said })
  }

  readable(): void {
    this.host.soon({ run: () => void this.link.receive(1000) })
  }

  writable(): void {}
  closed(): void {}
}
