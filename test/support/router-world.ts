/**
 * A host that listens to routers (or a router), on a wire whose other end is the test: router advertisements and solicitations are made by the
 * declarations of their headers, and those that it sends are read by them.
 */
import { address, prefix } from '../../src/base/address.ts'
import type { ConfigOverrides } from '../../src/base/config.ts'
import { parseMac } from '../../src/ethernet/mac.ts'
import { ETH_HEADER, ETHERTYPE_IPV6 } from '../../src/ethernet/wire.ts'
import { AddressState } from '../../src/ip/interface.ts'
import { ipv6Header } from '../../src/ipv6/wire.ts'
import {
  ndDns,
  ndLinkAddress,
  ndMtu,
  ndNeighbor,
  ndPrefix,
  ndRoute,
  ndRouterAdvertisement,
  ndRouterSolicitation,
} from '../../src/nd/wire.ts'
import { HEADROOM, type NetIf, type NetIfSink } from '../../src/netif/netif.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface, AttachOptions } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { HEADERS, sealed } from './nd-world.ts'

export const HOUR = 3_600_000
export const DAY = 24 * HOUR
export const ROUTER_MAC = '02:00:00:00:00:01'
const HOST_MAC = '02:00:00:00:00:02'
export const ROUTER = 'fe80::1'
export const OTHER_ROUTER = 'fe80::9'

const PREFERENCES: { readonly [name: string]: number } = { high: 1, medium: 0, low: 3, reserved: 2 }

export interface RouterWords {
  from?: string
  to?: string
  /** Of the IPv6 header. */
  hops?: number
  code?: number
  /** Of the message: what hosts are to use. */
  hopLimit?: number
  /** `managed`, `other`, and a preference. */
  flags?: string
  lifetime?: number
  reachable?: number
  retrans?: number
  /**
   * `sll 02:..`, `mtu 1400`, `prefix fd00:1::/64 LA 3600 1800`, `route fd99::/32 high 600`, `rdnss 600 fd00::53`, `dnssl 600 a.b c`,
   * `raw 0102..`. A lifetime may be `inf`.
   */
  options?: string[]
  frameFrom?: string
  /** Bytes to cut off the end. */
  cut?: number
}

/** A message that was sent: header fields, and options as text. */
export interface Said {
  at: number
  type: number
  from: string
  to: string
  lifetime?: number
  flags?: number
  hopLimit?: number
  reachable?: number
  retrans?: number
  target?: string
  options: string[]
}

/** A link whose other end is the test. */
class Wire implements NetIf {
  readonly name = 'wire0'
  readonly medium = 'ethernet'
  readonly mac = null
  readonly mtu = 1500
  readonly offload = 0
  readonly gsoMax = 0
  /** Nothing more is taken. */
  full = false
  private readonly waiting: Uint8Array[] = []
  private sink: NetIfSink | null = null

  constructor(private readonly heard: (frame: Uint8Array) => void) {}

  attach(sink: NetIfSink): void {
    this.sink = sink
  }

  receive(budget: number): boolean {
    for (let n = 0; n < budget && this.waiting.length > 0; n++) {
      const frame = this.waiting.shift()!
      const buf = new Uint8Array(HEADROOM + frame.length)
      buf.set(frame, HEADROOM)
      this.sink!.input(buf, HEADROOM, buf.length, 0)
    }
    return this.waiting.length > 0
  }

  send(buf: Uint8Array, start: number, end: number): boolean {
    if (this.full) return false
    this.heard(buf.slice(start, end))
    return true
  }

  flush(): void {}
  close(): void {}

  deliver(frame: Uint8Array): void {
    this.waiting.push(frame)
    this.sink!.readable()
  }
}

export class RouterWorld {
  readonly world: World
  readonly stack: Stack
  readonly eth: AttachedInterface
  readonly wire = new Wire((frame) => this.hear(frame))
  private readonly frames: { at: number; bytes: Uint8Array }[] = []
  /** Spoils a message before its length and checksum are made right. */
  mangle: ((message: Uint8Array) => Uint8Array) | null = null
  /** Addresses that somebody else claims whenever they are asked for. */
  readonly taken: (address: string) => boolean

  constructor(
    attach: AttachOptions = { slaac: true },
    config: ConfigOverrides = {},
    { seed = 3, taken = () => false }: { seed?: number; taken?: (address: string) => boolean } = {},
  ) {
    this.taken = taken
    this.world = createWorld({ seed })
    this.stack = this.world.stack(config)
    this.eth = this.stack.attach(this.wire, { mac: HOST_MAC, ...attach })
  }

  get now(): number {
    return this.world.elapsedMs
  }

  run(ms: number): void {
    this.world.run(ms)
  }

  /** A router advertisement; what is left out is a good one of a default router for 1800 s. */
  ra(words: RouterWords = {}): void {
    const { lifetime = 1800, hopLimit = 0, reachable = 0, retrans = 0, flags = '' } = words
    const head = Buffer.alloc(ndRouterAdvertisement.span)
    const bits = flags.split(' ').reduce((all, f) => {
      if (f === 'managed') return all | 0x80
      if (f === 'other') return all | 0x40
      return all | ((PREFERENCES[f] ?? 0) << 3)
    }, 0)
    ndRouterAdvertisement.encode(
      {
        ...{ type: 134, code: words.code ?? 0, checksum: 0, hopLimit, flags: bits, lifetime },
        reachableTime: reachable,
        retransTimer: retrans,
      },
      head,
    )
    this.message(head, { from: ROUTER, to: 'ff02::1', options: [`sll ${ROUTER_MAC}`], ...words })
  }

  /** A router solicitation of a host. */
  rs(words: RouterWords = {}): void {
    const head = Buffer.alloc(ndRouterSolicitation.span)
    ndRouterSolicitation.encode({ type: 133, code: words.code ?? 0, checksum: 0, reserved: 0 }, head)
    this.message(head, { from: 'fe80::5', to: 'ff02::2', options: [], ...words })
  }

  /** A neighbour advertisement by `target`; `flags`: its first byte. */
  na(target: string, flags: number, to = 'ff02::1', mac = ROUTER_MAC): void {
    const head = Buffer.alloc(ndNeighbor.span)
    ndNeighbor.encode({ type: 136, code: 0, checksum: 0, flags: (flags << 24) >>> 0, target: bytesOf(target) }, head)
    this.message(head, { from: target, to, options: [`tll ${mac}`], frameFrom: mac })
  }

  /** Messages of the given types that were sent since the last call. */
  said(...types: number[]): Said[] {
    return this.frames
      .splice(0)
      .filter((f) => f.bytes[12] === 0x86 && f.bytes[13] === 0xdd && f.bytes[ETH_HEADER + 6] === 58)
      .map((f) => saidOf(f.at, f.bytes))
      .filter((s) => types.length === 0 || types.includes(s.type))
  }

  /** Addresses that are not link-local, as `fd00:1::5/64 PREFERRED`. */
  get globals(): string[] {
    return globals(this.eth)
  }

  /** Routes that routers have announced: `::/0 fe80::1`. */
  get routes(): string[] {
    return this.stack.routes
      .filter((r) => r.origin === 'ra')
      .map((r) => `${r.destination} ${r.gateway === null ? 'link' : r.gateway.replace(/%.*/, '')}`)
  }

  /** Non-zero counters of router discovery. */
  get counters(): Record<string, number> {
    return this.stack.counters(true).routers
  }

  private message(head: Uint8Array, words: RouterWords): void {
    const from = address(words.from!)
    const to = address(words.to!)
    const options = (words.options ?? []).flatMap((o) => [...optionOf(o)])
    let message: Uint8Array = Buffer.concat([head, Buffer.from(options)])
    if (words.cut !== undefined) message = message.slice(0, message.length - words.cut)
    if (this.mangle !== null) message = this.mangle(message)
    const packet = Buffer.alloc(ipv6Header.span)
    ipv6Header.encode(
      {
        versionClassFlow: 0x60000000,
        payloadLength: message.length,
        nextHeader: 58,
        hopLimit: words.hops ?? 255,
        source: bytesOf(`${from}`),
        destination: bytesOf(`${to}`),
      },
      packet,
    )
    const group = Uint8Array.of(0x33, 0x33, to.w3 >>> 24, to.w3 >>> 16, to.w3 >>> 8, to.w3)
    const mac = to.isMulticast ? group : parseMac(HOST_MAC)
    const type = Buffer.from([ETHERTYPE_IPV6 >> 8, ETHERTYPE_IPV6 & 255])
    const frame = sealed(Buffer.concat([mac, parseMac(words.frameFrom ?? ROUTER_MAC), type, packet, message]))
    this.wire.deliver(frame)
    this.run(0)
  }

  private hear(bytes: Uint8Array): void {
    this.frames.push({ at: this.now, bytes })
    if (bytes[HEADERS] !== 135) return
    const asked = `${address('::').read(bytes, HEADERS + 8)}`
    const isProbe = `${address('::').read(bytes, ETH_HEADER + 8)}` === '::'
    if (isProbe && this.taken(asked)) this.world.host.soon({ run: () => this.na(asked, 0x20, 'ff02::1', '02:00:00:00:00:77') })
  }
}

/** Addresses that are not link-local, as `fd00:1::5/64 PREFERRED`. */
export function globals(eth: AttachedInterface): string[] {
  const names = Object.keys(AddressState)
  return eth.iface.addresses
    .filter((o) => !o.address.isLinkLocal)
    .map((o) => `${o.address}/${o.prefix.length} ${names[o.state]}${o.temporary === true ? ' temporary' : ''}`)
}

function bytesOf(text: string): Buffer {
  const out = Buffer.alloc(16)
  address(text).write(out, 0)
  return out
}

function seconds(text: string): number {
  return text === 'inf' ? 0xffffffff : Number(text)
}

function optionOf(text: string): Uint8Array {
  const [name, ...rest] = text.split(' ')
  switch (name) {
    case 'sll':
    case 'tll': {
      const out = Buffer.alloc(ndLinkAddress.span)
      ndLinkAddress.encode({ type: name === 'sll' ? 1 : 2, length: 1, address: Buffer.from(parseMac(rest[0])) }, out)
      return out
    }
    case 'mtu': {
      const out = Buffer.alloc(ndMtu.span)
      ndMtu.encode({ type: 5, length: 1, reserved: 0, mtu: Number(rest[0]) }, out)
      return out
    }
    case 'prefix': {
      const [where, flags, valid, preferred] = rest
      const [a, length] = where.split('/')
      const bits = (flags.includes('L') ? 0x80 : 0) | (flags.includes('A') ? 0x40 : 0)
      const lifetimes = { validLifetime: seconds(valid), preferredLifetime: seconds(preferred) }
      const out = Buffer.alloc(ndPrefix.span)
      ndPrefix.encode(
        { type: 3, length: 4, prefixLength: Number(length), flags: bits, ...lifetimes, reserved: 0, prefix: bytesOf(a) },
        out,
      )
      return out
    }
    case 'route': {
      const [where, preference, lifetime] = rest
      const p = prefix(where)
      const bytes = p.length === 0 ? 0 : p.length <= 64 ? 8 : 16
      const out = Buffer.alloc(ndRoute.span + bytes)
      ndRoute.encode(
        {
          ...{ type: 24, length: 1 + bytes / 8, prefixLength: p.length },
          flags: PREFERENCES[preference] << 3,
          lifetime: seconds(lifetime),
        },
        out,
      )
      bytesOf(`${p.address}`).copy(out, ndRoute.span, 0, bytes)
      return out
    }
    case 'rdnss':
      return dnsOption(25, rest[0], Buffer.concat(rest.slice(1).map(bytesOf)))
    case 'dnssl': {
      const names = rest
        .slice(1)
        .map((n) => Buffer.from(`${n.replace(/[^.]+\.?/g, (l) => label(l.replace('.', '')))}\0`, 'latin1'))
      const all = Buffer.concat(names)
      return dnsOption(31, rest[0], Buffer.concat([all, Buffer.alloc((8 - (all.length % 8)) % 8)]))
    }
    default:
      return Buffer.from(rest[0], 'hex')
  }
}

function label(text: string): string {
  return String.fromCharCode(text.length) + text
}

function dnsOption(type: number, lifetime: string, body: Buffer): Buffer {
  const head = Buffer.alloc(ndDns.span)
  ndDns.encode({ type, length: 1 + body.length / 8, reserved: 0, lifetime: seconds(lifetime) }, head)
  return Buffer.concat([head, body])
}

function saidOf(at: number, frame: Uint8Array): Said {
  const bytes = Buffer.from(frame)
  const from = `${address('::').read(frame, ETH_HEADER + 8)}`
  const to = `${address('::').read(frame, ETH_HEADER + 24)}`
  if (bytes[ETH_HEADER + 7] !== 255) throw new Error('a hop limit that nobody would take')
  const type = bytes[HEADERS]
  const said: Said = { at, type, from, to, options: [] }
  let span: number = ndRouterSolicitation.span
  if (type === 134) {
    const m = ndRouterAdvertisement.decode(bytes, HEADERS) as Record<string, number>
    Object.assign(said, {
      lifetime: m.lifetime,
      flags: m.flags,
      hopLimit: m.hopLimit,
      reachable: m.reachableTime,
      retrans: m.retransTimer,
    })
    span = ndRouterAdvertisement.span
  } else if (type !== 133) {
    if (type === 135 || type === 136) said.target = `${address('::').read(frame, HEADERS + 8)}`
    return said
  }
  const end = HEADERS + bytes.readUInt16BE(ETH_HEADER + 4)
  for (let i = HEADERS + span; i < end; i += bytes[i + 1] << 3) said.options.push(optionText(bytes, i))
  return said
}

function optionText(bytes: Buffer, at: number): string {
  const length = bytes[at + 1] << 3
  const where = (i: number): string => `${address('::').read(bytes, i)}`
  const life = (i: number): string => (bytes.readUInt32BE(i) === 0xffffffff ? 'inf' : `${bytes.readUInt32BE(i)}`)
  switch (bytes[at]) {
    case 1:
      return `sll ${[...bytes.subarray(at + 2, at + 8)].map((b) => b.toString(16).padStart(2, '0')).join(':')}`
    case 3: {
      const flags = `${(bytes[at + 3] & 0x80) !== 0 ? 'L' : ''}${(bytes[at + 3] & 0x40) !== 0 ? 'A' : ''}`
      return `prefix ${where(at + 16)}/${bytes[at + 2]} ${flags} ${life(at + 4)} ${life(at + 8)}`
    }
    case 5:
      return `mtu ${bytes.readUInt32BE(at + 4)}`
    case 24: {
      const full = Buffer.alloc(16)
      bytes.copy(full, 0, at + 8, at + length)
      const name = Object.keys(PREFERENCES).find((n) => PREFERENCES[n] === bytes[at + 3] >> 3)
      return `route ${address('::').read(full, 0)}/${bytes[at + 2]} ${name} ${life(at + 4)}`
    }
    case 25: {
      const all: string[] = []
      for (let i = at + 8; i < at + length; i += 16) all.push(where(i))
      return `rdnss ${life(at + 4)} ${all.join(' ')}`
    }
    case 31:
      return `dnssl ${life(at + 4)} ${bytes.subarray(at + 8, at + length).toString('latin1')}`
    default:
      return `${bytes[at]}`
  }
}
