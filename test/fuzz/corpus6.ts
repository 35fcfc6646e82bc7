/** Seeds of IPv6, written by hand: what our own stack never says, and of what it says a sample of each kind. */
import { Repair, repair } from './anatomy.ts'
import type { Seed } from './corpus.ts'

const OUR_MAC = [2, 0, 0, 0, 0, 2]
const THEIR_MAC = [2, 0, 0, 0, 0, 1]
const be16 = (v: number): number[] => [(v >> 8) & 255, v & 255]
const be32 = (v: number): number[] => [(v >>> 24) & 255, (v >>> 16) & 255, (v >>> 8) & 255, v & 255]
const zeros = (n: number): number[] => new Array<number>(n).fill(0)

/** Last bytes of a prefix of two. */
const at = (high: number, low: number, ...tail: number[]): number[] => [high, low, ...zeros(14 - tail.length), ...tail]
const US = at(0xfd, 0, 2)
const THEM = at(0xfd, 0, 1)
const FAR = at(0x20, 1, 9)
const THEIR_LOCAL = [0xfe, 0x80, ...zeros(6), 0, 0, 0, 0xff, 0xfe, 0, 0, 1]
const OUR_LOCAL = [0xfe, 0x80, ...zeros(6), 0, 0, 0, 0xff, 0xfe, 0, 0, 2]
const NOBODY = zeros(16)
const ALL_NODES = at(0xff, 2, 1)
const ALL_ROUTERS = at(0xff, 2, 2)
const SOLICITED = [0xff, 2, ...zeros(9), 1, 0xff, 0, 0, 2]

interface Fields {
  from?: number[]
  to?: number[]
  hops?: number
  mac?: number[]
}

function packet(next: number, body: number[], { from = THEM, to = US, hops = 64 }: Fields = {}): number[] {
  return [0x60, 0, 0, 0, ...be16(body.length), next, hops, ...from, ...to, ...body]
}

function frame(next: number, body: number[], fields: Fields = {}): Uint8Array {
  const { to = US } = fields
  const mac = fields.mac ?? (to[0] === 0xff ? [0x33, 0x33, ...to.slice(12)] : OUR_MAC)
  return Uint8Array.from([...mac, ...THEIR_MAC, 0x86, 0xdd, ...packet(next, body, fields)])
}

const echo = [128, 0, 0, 0, 0x12, 0x34, 0, 1, ...Array.from({ length: 32 }, (_, i) => i)]
const udp = [0x9c, 0x40, 0, 7, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
const syn = [0x9c, 0x41, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 160]
const PAD = [1, 4, 0, 0, 0, 0]
const extension = (next: number, body: number[] = PAD): number[] => [next, (body.length + 2) / 8 - 1, ...body]
const fragment = (next: number, offset: number, more: number, body: number[], id = 3): number[] => [
  next,
  0,
  ...be16(offset | more),
  ...be32(id),
  ...body,
]

export function corpus6(): Seed[] {
  const seeds: Seed[] = []
  const add = (name: string, bytes: Uint8Array): void => {
    repair(bytes, 0, bytes.length, Repair.ALL)
    seeds.push({ name: `v6 ${name}`, bytes, meta: 0 })
  }
  const icmp = (name: string, body: number[], fields: Fields = {}): void => add(`icmp ${name}`, frame(58, body, fields))
  icmp('echo', echo)
  icmp('echo to all nodes', echo, { to: ALL_NODES, from: THEIR_LOCAL })
  icmp('echo to the link-local address', echo, { to: OUR_LOCAL, from: THEIR_LOCAL })
  icmp('echo reply', [129, ...echo.slice(1)])
  const quotes: [string, number[]][] = [
    ['udp', packet(17, udp, { from: US, to: THEM })],
    ['tcp', packet(6, syn, { from: US, to: THEM })],
    ['echo', packet(58, echo, { from: US, to: THEM })],
    ['options and a fragment', packet(60, [...extension(44), ...fragment(17, 0, 1, udp)], { from: US, to: FAR })],
  ]
  for (const [what, quote] of quotes) {
    for (let code = 0; code < 8; code++) icmp(`unreachable ${code} ${what}`, [1, code, 0, 0, 0, 0, 0, 0, ...quote])
    icmp(`too big ${what}`, [2, 0, 0, 0, ...be32(1300), ...quote])
    icmp(`time exceeded ${what}`, [3, 0, 0, 0, 0, 0, 0, 0, ...quote])
    for (let code = 0; code < 4; code++) icmp(`parameter problem ${code} ${what}`, [4, code, 0, 0, ...be32(40), ...quote])
    icmp(`unknown error ${what}`, [99, 0, 0, 0, 0, 0, 0, 0, ...quote])
  }
  const lla = [1, 1, ...THEIR_MAC]
  const target = [2, 1, ...THEIR_MAC]
  const near = { hops: 255 }
  icmp('neighbor solicitation', [135, 0, 0, 0, 0, 0, 0, 0, ...US, ...lla], { ...near, to: SOLICITED })
  icmp('neighbor solicitation, unicast', [135, 0, 0, 0, 0, 0, 0, 0, ...US, ...lla], near)
  icmp('neighbor solicitation, from nobody', [135, 0, 0, 0, 0, 0, 0, 0, ...US, 14, 1, 1, 2, 3, 4, 5, 6], {
    ...near,
    from: NOBODY,
    to: SOLICITED,
  })
  icmp('neighbor advertisement', [136, 0, 0, 0, 0x60, 0, 0, 0, ...THEM, ...target], near)
  icmp('neighbor advertisement to all', [136, 0, 0, 0, 0x20, 0, 0, 0, ...THEM, ...target], { ...near, to: ALL_NODES })
  icmp('router solicitation', [133, 0, 0, 0, 0, 0, 0, 0, ...lla], { ...near, from: THEIR_LOCAL, to: ALL_ROUTERS })
  const prefix = [3, 4, 64, 0xc0, ...be32(86400), ...be32(14400), 0, 0, 0, 0, ...at(0xfd, 0)]
  const info = [...lla, ...prefix, 5, 1, 0, 0, ...be32(1400), 25, 3, 0, 0, ...be32(600), ...THEM, 24, 1, 48, 8, ...be32(600)]
  icmp('router advertisement', [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, ...info], {
    ...near,
    from: THEIR_LOCAL,
    to: ALL_NODES,
  })
  icmp('redirect', [137, 0, 0, 0, 0, 0, 0, 0, ...THEIR_LOCAL, ...FAR, ...target], { ...near, from: THEIR_LOCAL })
  const alert = (body: number[]): number[] => [...extension(58, [5, 2, 0, 0, 1, 0]), ...body]
  const link = { from: THEIR_LOCAL, hops: 1 }
  add('mld query', frame(0, alert([130, 0, 0, 0, 3, 232, 0, 0, ...NOBODY, 2, 125, 0, 0]), { ...link, to: ALL_NODES }))
  add('mld query v1', frame(0, alert([130, 0, 0, 0, 3, 232, 0, 0, ...NOBODY]), { ...link, to: ALL_NODES }))
  const sources = [130, 0, 0, 0, 3, 232, 0, 0, ...at(0xff, 5, 9), 2, 125, 0, 1, ...THEM]
  add('mld query of sources', frame(0, alert(sources), { ...link, to: at(0xff, 5, 9) }))
  add('mld report', frame(0, alert([143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, ...SOLICITED]), { ...link, to: at(0xff, 2, 22) }))
  add('udp', frame(17, udp))
  add('udp to all nodes', frame(17, udp, { to: ALL_NODES, from: THEIR_LOCAL }))
  add('syn', frame(6, syn))
  add('no next header', frame(59, echo))
  add('unknown next header', frame(253, echo))
  const headers: [string, number, number[]][] = [
    ['padding', 60, PAD],
    ['an option to skip', 60, [0x1e, 4, 1, 2, 3, 4]],
    ['an option to drop', 60, [0x5e, 4, 1, 2, 3, 4]],
    ['an option to tell', 60, [0x9e, 4, 1, 2, 3, 4]],
    ['a home address', 60, [201, 20, ...FAR, ...zeros(4)]],
    ['router alert', 0, [5, 2, 0, 0, 1, 0]],
    ['a jumbo payload', 0, [0xc2, 4, 0, 1, 0, 0]],
    ['a route gone', 43, [0, 0, ...zeros(4)]],
    ['a route of type 0', 43, [0, 1, ...zeros(4), ...FAR]],
    ['a route of segments', 43, [4, 1, 0, 0, 0, 0, ...FAR]],
    ['authentication', 51, [2, 0, 0, 0, ...zeros(14)]],
  ]
  for (const [what, type, body] of headers) {
    add(`echo with ${what}`, frame(type, [...extension(58, body), ...echo]))
    add(`udp with ${what}`, frame(type, [...extension(17, body), ...udp]))
    add(`echo with options and ${what}`, frame(60, [...extension(type), ...extension(58, body), ...echo]))
  }
  const long = Array.from({ length: 48 }, (_, i) => i)
  add('first fragment', frame(44, fragment(17, 0, 1, [0x9c, 0x40, 0, 7, 0, 48, 0, 0, ...long.slice(0, 16)])))
  add('middle fragment', frame(44, fragment(17, 24, 1, long.slice(0, 8))))
  add('last fragment', frame(44, fragment(17, 32, 0, long.slice(0, 16))))
  add('atomic fragment', frame(44, fragment(58, 0, 0, echo)))
  add('fragment at the far edge', frame(44, fragment(17, 65_520, 0, long.slice(0, 8))))
  add('first fragment without its transport', frame(44, fragment(60, 0, 1, extension(17))))
  add('fragment behind options', frame(0, [...extension(44), ...fragment(58, 0, 1, echo)]))
  return seeds
}
