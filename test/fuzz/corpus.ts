/**
 * Seeds of the fuzzer: every kind of frame that a stack may hear, as heard. Most are recorded from real conversations of two stacks
 * over good and bad links; what our own stack never says is written by hand. Each has a name, for messages.
 */
import { SeededRandom } from '../../src/base/random.ts'
import { fault } from '../../src/link/fault.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { CSUM_PARTIAL, frameMeta, GSO_MASK } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { Stack } from '../../src/stack/stack.ts'
import type { RawConnection } from '../../src/tcp/api.ts'
import { Anatomy, Repair, repair } from './anatomy.ts'
import { corpus6 } from './corpus6.ts'
import { Injector } from './injector.ts'
import { PEER_IP, PEER_MAC, TARGET_IP, TARGET_MAC, World } from './world.ts'

export interface Seed {
  name: string
  bytes: Uint8Array
  meta: number
}

const OUR_MAC = [2, 0, 0, 0, 0, 2]
const THEIR_MAC = [2, 0, 0, 0, 0, 1]
const BROADCAST = [255, 255, 255, 255, 255, 255]
const US = [10, 0, 0, 2]
const THEM = [10, 0, 0, 1]
const NOBODY = [0, 0, 0, 0]
const FAR = [192, 0, 2, 1]

const be16 = (v: number): number[] => [(v >> 8) & 255, v & 255]

/** Recorded frames of one name that are kept: enough to differ, few enough that rare kinds are not drowned. */
const PER_NAME = 12

export function buildCorpus(seed: number): Seed[] {
  const byName = new Map<string, Seed[]>()
  const keep = (buf: Uint8Array, start: number, end: number, meta: number): void => {
    const name = nameOf(buf, start, end, meta)
    const list = byName.get(name) ?? []
    if (list.length >= PER_NAME) return
    list.push({ name, bytes: buf.slice(start, end), meta })
    byName.set(name, list)
  }
  for (const offload of [true, false]) {
    const world = new World({ seed, offload })
    world.link.onFrame = keep
    for (let i = 0; i < 400; i++) {
      world.tick()
      world.host.advance(i % 20 === 0 ? 1500 : 5)
    }
    badLink(seed, offload, keep)
  }
  return [...[...byName.values()].flat(), ...byHand(), ...corpus6()]
}

/** Losses bring out SACK, D-SACK, retransmissions. */
function badLink(seed: number, offload: boolean, keep: (b: Uint8Array, s: number, e: number, m: number) => void): void {
  const host = new VirtualHost({ seed })
  const [a, b] = createPipe({ offload })
  const target = new Stack({ host, random: new SeededRandom(seed + 5) }, { name: 'target' })
  const peer = new Stack({ host, random: new SeededRandom(seed + 6) }, { name: 'peer' })
  const link = new Injector(a)
  link.onFrame = keep
  target.attach(link, { mac: TARGET_MAC, addresses: [`${TARGET_IP}/24`] })
  const harm = { loss: 0.05, reorder: 0.1, duplicate: 0.05, delay: 5, jitter: 3, seed }
  peer.attach(fault(b, harm), { mac: PEER_MAC, addresses: [`${PEER_IP}/24`] })
  const sink = new Uint8Array(1 << 16)
  const data = new Uint8Array(20_000).fill(7)
  const party = {
    onReadable(c: RawConnection): void {
      while (c.read(sink, 0, sink.length) > 0) {}
    },
    onConnect(c: RawConnection): void {
      c.writeUrgent(data, 0, 5)
      for (let i = 0; i < 6; i++) if (c.writable > 0) c.write(data, 0, Math.min(data.length, c.writable))
    },
  }
  const listener = {
    onConnection(c: RawConnection): void {
      c.handler = party
      party.onConnect(c)
    },
  }
  target.tcp.listen({ port: 7 }, listener)
  peer.tcp.listen({ port: 7 }, listener)
  for (let i = 0; i < 4; i++) {
    peer.tcp.open({ remoteAddress: TARGET_IP, remotePort: 7 }, party)
    target.tcp.open({ remoteAddress: PEER_IP, remotePort: 7 }, party)
  }
  host.advance(20_000)
}

const anatomy = new Anatomy()
const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR']

/** What a recorded frame is, roughly: frames of one name take one path. */
function nameOf(buf: Uint8Array, start: number, end: number, meta: number): string {
  const a = anatomy.look(buf, start, end)
  if (a.arp >= 0) return `arp ${buf[a.arp + 7]}`
  if (a.ip < 0 && a.ip6 < 0) return 'other'
  const { transport } = a
  const six = a.ip < 0 ? 'v6 ' : ''
  if (transport < 0) return `${six}ip fragment`
  const more = a.ip >= 0 && (buf[a.ip + 6] & 0x20) !== 0 ? ' first fragment' : ''
  if (a.protocol === 58) return `v6 icmp ${buf[transport]}/${buf[transport + 1]}`
  if (a.protocol === 1) return `icmp ${buf[transport]}/${buf[transport + 1]}${more}`
  if (a.protocol === 17) return `${six}udp${more}`
  if (a.protocol !== 6) return `protocol ${a.protocol}`
  const header = (buf[transport + 12] >> 4) << 2
  const flags = FLAGS.filter((_, i) => (buf[transport + 13] >> i) & 1).join('+')
  const size = a.end - transport - header
  return `${six}tcp ${flags} options ${header - 20} ${size === 0 ? 'empty' : size < 100 ? 'small' : 'data'}${(meta & GSO_MASK) !== 0 ? ' super' : ''}`
}

function ethernet(type: number, body: number[], to = OUR_MAC): Uint8Array {
  return Uint8Array.from([...to, ...THEIR_MAC, ...be16(type), ...body])
}

function arp(operation: number, senderMac: number[], sender: number[], targetMac: number[], target: number[]): number[] {
  return [0, 1, 8, 0, 6, 4, 0, operation, ...senderMac, ...sender, ...targetMac, ...target]
}

interface IpFields {
  options?: number[]
  from?: number[]
  to?: number[]
  fragment?: number
  ttl?: number
  id?: number
}

function ip(protocol: number, body: number[], fields: IpFields = {}): number[] {
  const { options = [], from = THEM, to = US, fragment = 0, ttl = 64, id = 77 } = fields
  const header = 20 + options.length
  const first = [0x40 | (header >> 2), 0, ...be16(header + body.length), ...be16(id), ...be16(fragment), ttl, protocol, 0, 0]
  return [...first, ...from, ...to, ...options, ...body]
}

const echo = [8, 0, 0, 0, 0x12, 0x34, 0, 1, ...Array.from({ length: 32 }, (_, i) => i)]
const udp = [0x9c, 0x40, 0, 7, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
const syn = [0x9c, 0x41, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]

function withOptions(options: number[]): number[] {
  const t = [...syn, ...options]
  t[12] = (t.length / 4) << 4
  return t
}

function byHand(): Seed[] {
  const seeds: Seed[] = []
  const add = (name: string, bytes: Uint8Array, meta = 0): void => {
    repair(bytes, 0, bytes.length, Repair.ALL, (meta & 3) === CSUM_PARTIAL)
    seeds.push({ name, bytes, meta })
  }
  add('arp probe', ethernet(0x806, arp(1, THEIR_MAC, NOBODY, NOBODY.concat(0, 0), US), BROADCAST))
  add('arp announcement', ethernet(0x806, arp(1, THEIR_MAC, THEM, NOBODY.concat(0, 0), THEM), BROADCAST))
  add('arp gratuitous reply', ethernet(0x806, arp(2, THEIR_MAC, THEM, BROADCAST, THEM), BROADCAST))
  add('arp padded request', ethernet(0x806, [...arp(1, THEIR_MAC, THEM, NOBODY.concat(0, 0), US), ...new Array(18).fill(0)]))
  add('icmp echo', ethernet(0x800, ip(1, echo)))
  add('icmp echo to everybody, to one card', ethernet(0x800, ip(1, echo, { to: [255, 255, 255, 255] })))
  add('icmp echo to everybody', ethernet(0x800, ip(1, echo, { to: [10, 0, 0, 255] }), BROADCAST))
  add('icmp timestamp', ethernet(0x800, ip(1, [13, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0])))
  add('icmp echo from nobody', ethernet(0x800, ip(1, echo, { from: NOBODY, to: [255, 255, 255, 255] })))
  const quotes: [string, number[]][] = [
    ['udp', ip(17, udp, { from: US, to: THEM })],
    ['tcp', ip(6, syn, { from: US, to: THEM })],
    ['echo', ip(1, echo, { from: US, to: THEM })],
    ['far udp', ip(17, udp, { from: US, to: FAR })],
  ]
  for (const [what, quote] of quotes) {
    for (let code = 0; code < 16; code++) {
      const tooBig = code === 4 ? be16(576) : [0, 0]
      add(`icmp unreachable ${code} ${what}`, ethernet(0x800, ip(1, [3, code, 0, 0, 0, 0, ...tooBig, ...quote])))
    }
    for (const code of [0, 1])
      add(`icmp time exceeded ${code} ${what}`, ethernet(0x800, ip(1, [11, code, 0, 0, 0, 0, 0, 0, ...quote])))
    for (const code of [0, 1, 2])
      add(`icmp parameter problem ${code} ${what}`, ethernet(0x800, ip(1, [12, code, 0, 0, 20, 0, 0, 0, ...quote])))
    for (const code of [0, 1, 2, 3])
      add(`icmp redirect ${code} ${what}`, ethernet(0x800, ip(1, [5, code, 0, 0, 10, 0, 0, 77, ...quote])))
    add(`icmp source quench ${what}`, ethernet(0x800, ip(1, [4, 0, 0, 0, 0, 0, 0, 0, ...quote])))
  }
  const options: [string, number[]][] = [
    ['record route', [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['timestamp', [68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['timestamp with addresses', [68, 12, 5, 1, 10, 0, 0, 2, 0, 0, 0, 0]],
    ['timestamp prespecified', [68, 12, 5, 3, 10, 0, 0, 2, 0, 0, 0, 0]],
    ['loose source route', [131, 7, 4, 10, 0, 0, 9, 0]],
    ['strict source route', [137, 7, 4, 10, 0, 0, 9, 0]],
    ['router alert', [148, 4, 0, 0]],
    ['two of them', [7, 7, 4, 0, 0, 0, 0, 1, 68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
  ]
  for (const [what, bytes] of options) {
    add(`echo with ${what}`, ethernet(0x800, ip(1, echo, { options: bytes })))
    add(`udp with ${what}`, ethernet(0x800, ip(17, udp, { options: bytes })))
  }
  const long = Array.from({ length: 40 }, (_, i) => i)
  add('first fragment', ethernet(0x800, ip(17, [0x9c, 0x40, 0, 7, 0, 48, 0, 0, ...long.slice(0, 24)], { fragment: 0x2000 })))
  add('last fragment', ethernet(0x800, ip(17, long.slice(24), { fragment: 4 })))
  add('fragment at the far edge', ethernet(0x800, ip(17, long.slice(0, 8), { fragment: 0x1ffe })))
  add('all hosts', ethernet(0x800, ip(17, udp, { to: [224, 0, 0, 1] }), [1, 0, 0x5e, 0, 0, 1]))
  add('udp broadcast', ethernet(0x800, ip(17, udp, { to: [10, 0, 0, 255] }), BROADCAST))
  add('unknown protocol', ethernet(0x800, ip(253, long)))
  add('priority tag', ethernet(0x8100, [0x20, 0, 8, 0, ...ip(1, echo)]))
  add('tagged', ethernet(0x8100, [0, 5, 8, 0, ...ip(1, echo)]))
  add('two tags', ethernet(0x88a8, [0, 0, 0x81, 0, 0, 0, 8, 0, ...ip(1, echo)]))
  const inSnap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0, ...ip(1, echo)]
  add('llc snap', ethernet(inSnap.length, inSnap))
  add('llc spanning tree', ethernet(38, [0x42, 0x42, 3, ...new Array(35).fill(0)], [1, 0x80, 0xc2, 0, 0, 0]))
  add('ipv6', ethernet(0x86dd, [0x60, ...new Array(39).fill(0)]))
  add('unknown ethertype', ethernet(0x88b5, long))
  add(
    'syn with the usual options',
    ethernet(0x800, ip(6, withOptions([2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7]))),
  )
  add('syn with data', ethernet(0x800, ip(6, [...withOptions([2, 4, 5, 180]), ...long])))
  add('syn with four sack blocks', ethernet(0x800, ip(6, withOptions([1, 1, 5, 34, ...new Array(32).fill(3)]))))
  add('syn with fast open', ethernet(0x800, ip(6, withOptions([34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1]))))
  for (const [name, flags] of [
    ['null', 0],
    ['xmas', 0x29],
    ['syn+fin', 3],
    ['syn+rst', 6],
    ['all', 255],
  ] as const) {
    const t = syn.slice()
    t[13] = flags
    add(`tcp ${name}`, ethernet(0x800, ip(6, t)))
  }
  const big = new Array(9000).fill(5)
  add(
    'udp super-frame',
    ethernet(0x800, ip(17, [0x9c, 0x40, 0, 7, ...be16(9008), 0, 0, ...big])),
    frameMeta(CSUM_PARTIAL, 3 << 2, 1000),
  )
  return seeds
}
