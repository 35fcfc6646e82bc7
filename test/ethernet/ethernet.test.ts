/** Frames on Ethernet: RFC 894, RFC 1042, RFC 1122 sections 2.3.3 and 2.4. */
import { describe, expect, it } from 'vitest'
import { Cast, type EthernetPort } from '../../src/ethernet/ethernet.ts'
import type { Packet } from '../../src/ip/packet.ts'
import { etherOf, OUR_MAC, PEER_MAC, packetOf, World } from '../support/ip-world.ts'

const EVERYBODY = new Uint8Array(6).fill(255)
const GROUP = Uint8Array.of(1, 0, 0x5e, 0, 0, 1)
const SNAP = [0xaa, 0xaa, 3, 0, 0, 0]

function ipPacket(destination: string): Buffer {
  return packetOf({ source: '10.0.0.1', destination, protocol: 253 }, Buffer.from('payload'))
}

function world(): { w: World; port: EthernetPort; heard: string[] } {
  const w = new World({ medium: 'ethernet' })
  const heard: string[] = []
  w.ip.register(253, {
    input: (p: Packet) => void heard.push(`${p.destination} ${p.cast} ${Buffer.from(p.buf.subarray(p.off, p.end))}`),
    error: () => {},
  })
  return { w, port: w.iface.ethernet!, heard }
}

/** An IEEE 802.3 frame: `length`, what stands for LLC and SNAP's OUI, and an EtherType; padded as short frames are. */
function ieee(llc: number[], payload: Uint8Array, etherType = 0x0800, length = 8 + payload.length): Buffer {
  const head = Uint8Array.of(length >> 8, length & 255, ...llc, etherType >> 8, etherType & 255)
  return Buffer.concat([OUR_MAC, PEER_MAC, head, payload, Buffer.alloc(Math.max(0, 38 - payload.length))])
}

describe('frames in', () => {
  it('RFC 894: the EtherType decides, padding is cut off', () => {
    const { w, heard } = world()
    w.arrive(Buffer.concat([etherOf(OUR_MAC, PEER_MAC, ipPacket('10.0.0.2')), Buffer.alloc(19, 9)]))
    expect(heard).toEqual([`10.0.0.2 ${Cast.UNICAST} payload`])
  })

  it('RFC 1042: LLC and SNAP are looked through', () => {
    const { w, heard } = world()
    w.arrive(ieee(SNAP, ipPacket('10.0.0.2')))
    expect(heard).toEqual([`10.0.0.2 ${Cast.UNICAST} payload`])
  })

  it('other LLC, another OUI, a length beyond the frame, no EtherType: dropped, counted', () => {
    const packet = ipPacket('10.0.0.2')
    for (const frame of [
      ieee([6, 6, 3, 0, 0, 0], packet), // K1 = 6
      ieee([0xaa, 0xaa, 3, 0, 0, 1], packet),
      ieee(SNAP, packet, 0x0800, 200),
      ieee(SNAP, packet, 0x0800, 7),
      ieee(SNAP, packet, 0x0100),
    ]) {
      const { w, port, heard } = world()
      w.arrive(frame)
      expect([heard.length, port.counters.snapshot(true).dropBadLlc]).toEqual([0, 1])
    }
  })

  it('IP is told how the link addressed them; those for other cards are dropped', () => {
    const { w, port, heard } = world()
    w.arrive(etherOf(EVERYBODY, PEER_MAC, ipPacket('10.0.0.255')))
    w.arrive(etherOf(GROUP, PEER_MAC, ipPacket('224.0.0.1')))
    w.arrive(etherOf(Uint8Array.of(2, 0, 0, 0, 0, 9), PEER_MAC, ipPacket('10.0.0.2')))
    expect(heard).toEqual([`10.0.0.255 ${Cast.BROADCAST} payload`, `224.0.0.1 ${Cast.MULTICAST} payload`])
    expect(port.counters.snapshot(true)).toMatchObject({ dropNotForUs: 1, inBroadcast: 1, inMulticast: 1 })
  })
})

describe('a promiscuous port', () => {
  it('hears frames for other cards by those who asked for them, never by IP', () => {
    const { w, port, heard } = world()
    const other = Uint8Array.of(2, 9, 9, 9, 9, 9)
    const overheard: number[] = []
    port.others.set(0x0800, {
      etherInput: (_buf, start, end, _meta, _cast, frame) => void overheard.push(start - frame, end - start),
    })
    const frame = etherOf(other, PEER_MAC, ipPacket('10.0.0.2'))
    w.arrive(frame)
    expect([heard, overheard, port.counters.snapshot(true).dropNotForUs]).toEqual([[], [], 1])
    port.promiscuous = true
    w.arrive(frame)
    expect([heard, overheard]).toEqual([[], [14, frame.length - 14]])
    w.arrive(etherOf(OUR_MAC, PEER_MAC, ipPacket('10.0.0.2')))
    expect([heard.length, overheard.length]).toEqual([1, 2])
  })
})

describe('frames out', () => {
  it('are RFC 894, never IEEE 802.3; short ones padded with zeros', () => {
    const { w, port } = world()
    const frame = w.frame.reset()
    frame.buf.fill(0x77) // what was there before must not leave
    frame.end = frame.start + 3
    frame.buf.set([1, 2, 3], frame.start)
    expect(port.output(frame, 0x0200, 1, 0x0800)).toBe(true)
    const [{ bytes }] = w.link.take()
    expect([...bytes]).toEqual([...PEER_MAC, ...OUR_MAC, 8, 0, 1, 2, 3, ...new Array<number>(43).fill(0)])
  })
})
