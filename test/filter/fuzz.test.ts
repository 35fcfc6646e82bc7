/** Random packets through a router that translates: what was right stays right, nothing throws, and memory has an end. */
import { expect, it } from 'vitest'
import { parseAddress } from '../../src/base/address.ts'
import { randomBelow, SeededRandom } from '../../src/base/random.ts'
import { checksumFault, echoServer, FAMILIES, filterWorld, hear } from '../support/filter-world.ts'
import { naiveChecksum, packetOf } from '../support/ip-world.ts'

type Family = 4 | 6

function addressBytes(text: string): Buffer {
  const out = Buffer.alloc(16)
  const a = parseAddress(text)!
  a.write(out, 0)
  return a.isV4 ? out.subarray(12) : out
}

/** An IP packet whose payload has its checksum at `field` made right. */
function build(family: Family, source: string, destination: string, protocol: number, payload: Buffer, field: number): Buffer {
  const pseudo = Buffer.concat([
    addressBytes(source),
    addressBytes(destination),
    Buffer.from([0, 0, payload.length >> 8, payload.length & 255, 0, 0, 0, protocol]),
  ])
  payload.writeUInt16BE(0, field)
  const sum = naiveChecksum(protocol === 1 ? payload : Buffer.concat([pseudo, payload]))
  payload.writeUInt16BE(sum === 0 && protocol === 17 ? 0xffff : sum, field)
  if (family === 4) return packetOf({ source, destination, protocol }, payload)
  const header = Buffer.alloc(8)
  header[0] = 0x60
  header.writeUInt16BE(payload.length, 4)
  header[6] = protocol
  header[7] = 64
  return Buffer.concat([header, addressBytes(source), addressBytes(destination), payload])
}

class Maker {
  readonly random: SeededRandom
  /** Packets made before: what errors quote. */
  private readonly made: { family: Family; bytes: Buffer; destination: string }[] = []

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  below(n: number): number {
    return randomBelow(this.random, n)
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)))
  }

  /** A packet that is right in itself. */
  right(fromInside: boolean): Buffer {
    const family = this.pick([4, 6] as const)
    const { inside, near, far, outside } = FAMILIES[family]
    const source = fromInside ? inside : outside
    const destination = fromInside ? this.pick([outside, outside, far, near]) : this.pick([far, far, inside])
    const ports = [80, 53, 5000 + this.below(4), 8080]
    const kind = this.below(4)
    let out: Buffer
    if (kind === 0) {
      const tcp = Buffer.concat([Buffer.alloc(20), this.bytes(this.below(40))])
      tcp.writeUInt16BE(this.pick(ports), 0)
      tcp.writeUInt16BE(this.pick(ports), 2)
      tcp.writeInt32BE(this.random.int32(), 4)
      tcp[12] = 0x50
      tcp[13] = this.pick([2, 18, 16, 24, 17, 4, 20])
      out = build(family, source, destination, 6, tcp, 16)
    } else if (kind === 1) {
      const udp = Buffer.concat([Buffer.alloc(8), this.bytes(this.below(40))])
      udp.writeUInt16BE(this.pick(ports), 0)
      udp.writeUInt16BE(this.pick(ports), 2)
      udp.writeUInt16BE(udp.length, 4)
      out = build(family, source, destination, 17, udp, 6)
    } else {
      const about = this.made.filter((m) => m.family === family)
      const isError = kind === 3 && about.length > 0
      const rest = isError ? this.pick(about).bytes : this.bytes(16)
      const v4 = isError ? this.pick([3, 11, 12, 5]) : this.pick([8, 0])
      const v6 = isError ? this.pick([1, 2, 3, 4]) : this.pick([128, 129])
      const icmp = Buffer.concat([Buffer.alloc(8), rest])
      icmp[0] = family === 4 ? v4 : v6
      icmp.writeUInt16BE(this.below(4), 4)
      out = build(family, source, destination, family === 4 ? 1 : 58, icmp, 2)
    }
    this.made.push({ family, bytes: out.subarray(0, 28 + this.below(out.length)), destination })
    if (this.made.length > 50) this.made.shift()
    return out
  }
}

function busyRouter(): ReturnType<typeof filterWorld> {
  const w = filterWorld({ filter: { maxConnections: 200, fragmentDatagrams: 16, fragmentHoldBytes: 16_384 } }, { offload: false })
  const { filter } = w.router
  filter.masquerade({ out: 'eth1', ports: '20000-20040', endpointIndependent: true, protocol: 'udp' })
  filter.masquerade({ out: 'eth1' })
  filter.dnat({ destination: '192.0.2.1', destinationPort: 80, to: '10.0.0.2:8080' })
  filter.dnat({ destination: '2001:db8::1', destinationPort: 80, to: '[fd00::2]:8080' })
  filter.redirect({ protocol: ['tcp', 'udp'], in: 'eth0', destinationPort: 53, toPort: 8080 })
  filter.add('forward', { state: 'invalid', tcpFlags: ['rst'] }, 'drop')
  filter.add('forward', { protocol: 'udp', destinationPort: 5003 }, 'reject')
  echoServer(w.inside, 8080)
  echoServer(w.router, 8080)
  return w
}

it.each([1, 2, 3])('checksums are right afterwards (seed %i)', (seed) => {
  const w = busyRouter()
  // Nobody outside knows of the inside.
  w.router.filter.add('prerouting', { in: 'eth1', destination: ['10.0.0.0/24', 'fd00::/64'] }, 'drop')
  const maker = new Maker(seed)
  for (let i = 0; i < 600; i++) {
    const fromInside = maker.below(2) === 0
    hear(w.router, fromInside ? w.eth0 : w.eth1, maker.right(fromInside))
    if (i % 20 === 19) w.world.run(maker.below(5) === 0 ? 40_000 : 5)
  }
  w.world.run(100)
  expect(w.seen.length).toBeGreaterThan(300)
  expect(w.seen.map((s) => [checksumFault(s), s.bytes.toString('hex')]).filter(([fault]) => fault !== '')).toEqual([])
  const n = w.router.filter.counters.snapshot(true)
  expect(n.natTranslated).toBeGreaterThan(100)
  expect(n.natErrorsTranslated).toBeGreaterThan(0)
  // What the inside sends gets out translated, or not at all; errors about connections that are not translated have their own source.
  const inner = addressBytes(FAMILIES[4].inside)
  const isError = (b: Buffer): boolean => b[9] === 1 && ![0, 8].includes(b[20])
  const leaked = w.seen.filter(
    ({ at, bytes: b }) => at === 'outside' && b[0] >> 4 === 4 && b.subarray(12, 16).equals(inner) && !isError(b),
  )
  expect(leaked).toEqual([])
})

it.each([4, 5])('nothing throws, and nothing grows without end (seed %i)', (seed) => {
  const w = busyRouter()
  const maker = new Maker(seed)
  for (let i = 0; i < 1500; i++) {
    const fromInside = maker.below(2) === 0
    const packet = maker.right(fromInside)
    for (let flips = maker.below(4); flips > 0; flips--) packet[maker.below(packet.length)] = maker.below(256)
    // A header checksum that is right lets more through.
    if (packet[0] >> 4 === 4 && maker.below(4) > 0) {
      const header = Math.min(packet.length, (packet[0] & 15) * 4)
      if (header >= 20) {
        packet.writeUInt16BE(0, 10)
        packet.writeUInt16BE(naiveChecksum(packet.subarray(0, header)), 10)
      }
    }
    const end = maker.below(10) === 0 ? maker.below(packet.length) : packet.length
    hear(w.router, fromInside ? w.eth0 : w.eth1, packet.subarray(0, end))
    if (i % 50 === 49) w.world.run(5)
  }
  expect(w.router.filter.connections().length).toBeLessThanOrEqual(200)
  w.router.filter.forget()
  expect(w.router.filter.connections()).toEqual([])
})
