/** Every truncation and many mutations of every kind of packet: nothing throws, everything is counted, nothing is kept for ever. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { address } from '../../src/base/address.ts'
import { checksum } from '../../src/base/checksum.ts'
import { Ping } from '../../src/icmp/ping.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import { etherOf, icmpOf, OUR_MAC, PEER_MAC, packetOf, udpOf, World } from '../support/ip-world.ts'

const US = { source: '10.0.0.1', destination: '10.0.0.2' }
const quoted = packetOf(
  { source: '10.0.0.2', destination: '10.0.0.1', protocol: 17 },
  udpOf('10.0.0.2', '10.0.0.1', 7, 5000, Buffer.alloc(4)),
)

const KINDS: Record<string, Buffer> = {
  echo: packetOf({ ...US, protocol: 1 }, icmpOf(8, 0, [1, 2, 3, 4, 5, 6, 7, 8])),
  'echo by MAC': packetOf({ ...US, destination: '255.255.255.255', protocol: 1 }, icmpOf(8, 0, [1, 2, 3, 4, 5, 6, 7, 8])),
  'echo with options': packetOf(
    { ...US, protocol: 1, options: Uint8Array.of(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 1, 68, 8, 5, 0, 0, 0, 0, 0) },
    icmpOf(8, 0, [1, 2, 3, 4]),
  ),
  'echo reply': packetOf({ ...US, protocol: 1 }, icmpOf(0, 0, [1, 2, 0, 1, 0, 1, 2, 3])),
  timestamp: packetOf({ ...US, protocol: 1 }, icmpOf(13, 0, new Uint8Array(16))),
  'port unreachable': packetOf({ ...US, protocol: 1 }, icmpOf(3, 3, [0, 0, 0, 0, ...quoted])),
  'fragmentation needed': packetOf({ ...US, protocol: 1 }, icmpOf(3, 4, [0, 0, 2, 0, ...quoted])),
  'time exceeded': packetOf({ ...US, protocol: 1 }, icmpOf(11, 0, [0, 0, 0, 0, ...quoted])),
  'parameter problem': packetOf({ ...US, protocol: 1 }, icmpOf(12, 0, [20, 0, 0, 0, ...quoted])),
  redirect: packetOf({ ...US, protocol: 1 }, icmpOf(5, 1, [10, 0, 0, 9, ...quoted])),
  udp: packetOf({ ...US, protocol: 17 }, udpOf('10.0.0.1', '10.0.0.2', 5000, 7, Buffer.from('hello'))),
  'udp to nobody': packetOf({ ...US, protocol: 17 }, udpOf('10.0.0.1', '10.0.0.2', 5000, 8, Buffer.from('hello'))),
  'first fragment': packetOf({ ...US, protocol: 17, flagsFragment: 0x2000 }, Buffer.alloc(16)),
  'last fragment': packetOf({ ...US, protocol: 17, flagsFragment: 2 }, Buffer.alloc(5)),
  'source route': packetOf({ ...US, protocol: 17, options: Uint8Array.of(131, 7, 4, 10, 0, 0, 9, 0) }, Buffer.alloc(12)),
  'unknown protocol': packetOf({ ...US, protocol: 200 }, Buffer.alloc(12)),
}

function world(medium: 'ip' | 'ethernet'): World {
  const w = new World({ medium, config: { ipv4: { reassemblyDatagrams: 16, reassemblyBytes: 65536 } } })
  const into = new Datagram(new Uint8Array(64))
  const s = w.udp.open({
    onReadable: (socket) => {
      while (socket.receive(into)) expect(into.len).toBeLessThanOrEqual(64)
    },
  })
  s.bind('0.0.0.0', 7)
  s.connect('10.0.0.1', 5000)
  new Ping(
    { icmp: w.icmp, host: new VirtualHost(), random: w.random, tells: w.tells, wake: () => {} },
    address('10.0.0.1'),
    {},
    { size: 4 },
  ).send(1)
  w.link.take()
  return w
}

/** Lets a packet in, on either medium: one answer at most, and nobody throws. */
function arrive(w: World, bytes: Buffer): void {
  w.arrive(w.iface.ethernet === null ? bytes : etherOf(OUR_MAC, PEER_MAC, bytes))
  w.tell()
  expect(w.thrown).toEqual([])
  const sent = w.link.take()
  expect(sent.length).toBeLessThanOrEqual(1)
}

function total(w: World): number {
  return w.ipv4.counters.values[0]
}

describe.each(['ip', 'ethernet'] as const)('on %s', (medium) => {
  test('every truncation of every kind', () => {
    const w = world(medium)
    let count = 0
    for (const bytes of Object.values(KINDS)) {
      for (let length = 0; length <= bytes.length; length++) {
        const cut = Buffer.from(bytes.subarray(0, length))
        arrive(w, cut)
        count++
        if (length < 20) continue
        // The same with a header that admits to it.
        cut.writeUInt16BE(length, 2)
        seal(cut)
        arrive(w, cut)
        count++
      }
    }
    expect(total(w)).toBe(count)
    w.advance(60_000)
    w.tell()
    expect(w.pool.inUse).toBe(0)
  })

  test('mutations, with header and ICMP checksums made right again so that they get deep', () => {
    const names = Object.keys(KINDS)
    const w = world(medium)
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.array(fc.tuple(fc.nat(79), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (name, changes, deep) => {
          const bytes = Buffer.from(KINDS[name])
          for (const [at, value] of changes) bytes[at % bytes.length] = value
          seal(bytes)
          if (deep) sealIcmp(bytes)
          arrive(w, bytes)
          w.advance(7)
          w.link.take()
          expect(w.pool.inUse).toBeLessThanOrEqual(65536 + 262144)
        },
      ),
      { numRuns: 3000 },
    )
    w.advance(60_000)
    expect(w.ip.routes.entries.length).toBeLessThanOrEqual(1 + 64)
  })
})

function seal(bytes: Buffer): void {
  const header = (bytes[0] & 15) * 4
  if (header < 20 || header > bytes.length) return
  bytes.writeUInt16BE(0, 10)
  bytes.writeUInt16BE(checksum(bytes, 0, header), 10)
}

function sealIcmp(bytes: Buffer): void {
  const header = (bytes[0] & 15) * 4
  const end = Math.min(bytes.length, bytes.readUInt16BE(2))
  if (bytes[9] !== 1 || end < header + 8) return
  bytes.writeUInt16BE(0, header + 2)
  bytes.writeUInt16BE(checksum(bytes, header, end - header), header + 2)
}
