/**
 * Every parser survives every truncation of every frame kind: each prefix of each frame of the corpus is heard by a stack, as it is, with
 * checksums made right, and with lengths and checksums made right. And no frame vanishes: what is heard is delivered or counted as dropped.
 */
import { describe, expect, it } from 'vitest'
import type { Stack } from '../../src/stack/stack.ts'
import { Repair, repair } from './anatomy.ts'
import { buildCorpus, type Seed } from './corpus.ts'
import { World } from './world.ts'

/** Prefixes up to this length all; longer ones in steps, for nothing is parsed in payload. */
const ALL_UP_TO = 130
const HEADROOM = 64

function* lengthsOf(seed: Seed): Generator<number> {
  const { length } = seed.bytes
  for (let n = 0; n < Math.min(length, ALL_UP_TO); n++) yield n
  for (let n = ALL_UP_TO; n < length; n += 199) yield n
  yield length
}

const sum = (counters: Record<string, number>, names: RegExp, but: RegExp = /^$/): number => {
  let n = 0
  for (const [name, value] of Object.entries(counters)) if (names.test(name) && !but.test(name)) n += value
  return n
}

/** Each layer: what came in is what it dropped, with a reason, and what it handed on. */
function checkBooks(stack: Stack, injected: number): void {
  const c = stack.counters()
  const ethernet = c['eth0.ethernet']
  const arp = c['eth0.arp']
  const { ip, ip6, icmp, icmp6, udp, tcp } = c
  const tooShort = ethernet.dropTooShort
  const arpSeen = arp.inRequests + arp.inReplies + sum(arp, /^drop/, /NotForUs|Unsolicited|ReplyLimit|LinkFull|NoSource/)
  const handed = ip.ipInReceives + ip6.ip6InReceives + arpSeen
  const refused = sum(ethernet, /^drop/, /TooShort/)
  // Frames without a whole Ethernet header are not in inFrames; those with half a tag are.
  const halfTags = ethernet.inFrames - handed - refused
  expect(halfTags).toBeGreaterThanOrEqual(0)
  expect(ethernet.inFrames + tooShort - halfTags).toBe(injected)

  const ipDropped = ip.ipInHdrErrors + ip.ipInAddrErrors + ip.ipInTruncatedPkts + ip.ipInDiscards + ip.ipInUnknownProtos
  expect(sum(ip, /^ipDrop/)).toBe(ip.ipInHdrErrors + ip.ipInAddrErrors + ip.ipInDiscards)
  expect(ip.ipInReceives).toBe(ipDropped + ip.ipInDelivers + ip.ipReasmReqds - ip.ipReasmOKs)

  const datagrams = udp.udpInDatagrams + udp.udpNoPorts + udp.udpInErrors + udp.udpIgnoredMulti
  expect(icmp.icmpInMsgs + icmp6.icmp6InMsgs + datagrams + tcp.tcpInSegs).toBe(ip.ipInDelivers + ip6.ip6InDelivers)
  expect(sum(udp, /^udpDrop|udpInCsum|udpRcvbuf/)).toBe(udp.udpInErrors)
  expect(tcp.tcpInErrs).toBe(tcp.dropTooShort + tcp.dropBadChecksum)
}

describe('every prefix of every kind of frame', () => {
  const corpus = buildCorpus(11)
  const once = new Map<string, Seed>()
  // One super-frame of UDP is many datagrams in the books: it has a test of its own.
  for (const seed of corpus) if (!once.has(seed.name) && seed.name !== 'udp super-frame') once.set(seed.name, seed)

  it('has the kinds there are', () => {
    const names = [...once.keys()].join('\n')
    for (const kind of [
      'arp probe',
      'icmp 8/0',
      'icmp redirect',
      'ip fragment',
      'udp',
      'SYN options 20',
      'SYN+ACK',
      'FIN',
      'RST',
      'URG',
      'super',
      'tag',
      'llc',
    ])
      expect(names).toContain(kind)
    expect(once.size).toBeGreaterThan(120)
  })

  it('and of a super-frame of UDP', () => {
    const world = new World({ seed: 11 })
    world.quiet = true
    world.host.advance(5000)
    const seed = corpus.find((s) => s.name === 'udp super-frame')!
    const buf = new Uint8Array(1 << 17)
    for (let length = 0; length <= seed.bytes.length; length += length < ALL_UP_TO ? 1 : 97) {
      buf.set(seed.bytes.subarray(0, length), HEADROOM)
      repair(buf, HEADROOM, HEADROOM + length, Repair.LENGTHS_TOO, true)
      world.link.inject(buf, HEADROOM, HEADROOM + length, seed.meta)
    }
    world.host.advance(1000)
    expect(world.target.counters().udp.udpInDatagrams).toBeGreaterThan(100)
    world.proveAlive(50_000)
  })

  for (const [level, name] of [
    [Repair.NOTHING, 'as it is'],
    [Repair.ALL, 'with checksums made right'],
    [Repair.LENGTHS_TOO, 'with lengths and checksums made right'],
  ] as const) {
    it(`${name}: is parsed without a throw, and accounted for`, { timeout: 60_000 }, () => {
      const world = new World({ seed: 11 })
      world.host.advance(5000) // announcements are over: from here on the target hears forged frames only
      world.quiet = true
      const before = world.target.counters()
      expect(before['eth0.ethernet'].inFrames).toBe(before['eth0.arp'].inRequests)
      let frames = before['eth0.ethernet'].inFrames
      const buf = new Uint8Array(1 << 17)
      for (const seed of once.values()) {
        for (const length of lengthsOf(seed)) {
          buf.set(seed.bytes.subarray(0, length), HEADROOM)
          repair(buf, HEADROOM, HEADROOM + length, level, (seed.meta & 3) === 2)
          world.link.inject(buf, HEADROOM, HEADROOM + length, seed.meta)
          frames++
        }
        // The peer is asleep: nothing honest arrives but what it answers to us, and that is counted too.
        world.host.advance(20)
      }
      frames += honest(world)
      checkBooks(world.target, frames)
      world.host.advance(100_000)
      world.proveAlive(50_000)
    })
  }
})

/** Frames that arrived by themselves: what the peer said in answer. */
function honest(world: World): number {
  const peer = world.peer.counters()['eth0.ethernet']
  return peer.outFrames - announcements
}

/** The peer's own two, counted at the beginning. */
const announcements = 2
