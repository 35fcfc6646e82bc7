/** TCP-AO and its algorithms against the published vectors: RFC 9235 for all of it, RFC 4493 and RFC 2202 for what it is made of. */
import { describe, expect, it } from 'vitest'
import { Address } from '../../src/base/address.ts'
import type { Interface } from '../../src/ip/interface.ts'
import { Packet } from '../../src/ip/packet.ts'
import { Segment } from '../../src/tcp/segment.ts'
import { AoSignature } from '../../src/tcp/signature-ao.ts'
import { AO_ALGORITHMS } from '../../src/tcp/signature-crypto.ts'
import { MasterKey } from '../../src/tcp/signature-keys.ts'
import { C, TCP_COUNTERS } from '../../src/tcp/tcp-counters.ts'
import { naiveSum } from '../support/frames.ts'
import { CLIENT_ID, MASTER_KEY, SERVER_ID, VECTORS, type Vectors } from '../support/rfc9235.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

function addressAt(buf: Uint8Array, at: number, length: number): Address {
  const word = (i: number): number => Buffer.from(buf).readInt32BE(at + i)
  return length === 4 ? Address.v4(word(0)) : new Address(word(0), word(4), word(8), word(12))
}

/** A packet as IP hands it up. */
function segment(text: string): Segment {
  const packet = new Packet(null as unknown as Interface)
  const buf = bytes(text)
  const v4 = buf[0] >> 4 === 4
  packet.buf = buf
  packet.off = v4 ? 20 : 40
  packet.end = buf.length
  packet.source.copy(addressAt(buf, v4 ? 12 : 8, v4 ? 4 : 16))
  packet.destination.copy(addressAt(buf, v4 ? 16 : 24, v4 ? 4 : 16))
  const seg = new Segment(packet)
  expect(seg.parse(packet)).toBe(true)
  return seg
}

function ends(v: Vectors): { client: AoSignature; server: AoSignature } {
  const syn = segment(v.packets[0])
  const { source, destination } = syn.packet
  const key = (sendId: number, receiveId: number): MasterKey =>
    new MasterKey({ algorithm: v.algorithm, key: MASTER_KEY, sendId, receiveId, excludeOptions: v.excludeOptions })
  return {
    client: new AoSignature([key(CLIENT_ID, SERVER_ID)], source.clone(), syn.sourcePort, destination.clone(), 179),
    server: new AoSignature([key(SERVER_ID, CLIENT_ID)], destination.clone(), 179, source.clone(), syn.sourcePort),
  }
}

describe.each(VECTORS)('RFC 9235 section $section, $algorithm', (v) => {
  it('both ends believe the other', () => {
    const n = new Float64Array(TCP_COUNTERS.length)
    const { client, server } = ends(v)
    const [syn, synAck, out, back] = v.packets.map(segment)
    expect(server.verify(syn, n)).toBe(true)
    server.begin(v.serverIsn | 0)
    client.begin(v.clientIsn | 0)
    expect(client.verify(synAck, n)).toBe(true)
    expect(server.verify(out, n)).toBe(true)
    expect(client.verify(back, n)).toBe(true)
    expect(n[C.TCPAOGood]).toBe(4)
    expect(n[C.TCPAOBad]).toBe(0)
  })

  it('every bit counts, but those of the checksum, and of options that are excluded', () => {
    const n = new Float64Array(TCP_COUNTERS.length)
    const { client, server } = ends(v)
    client.begin(v.clientIsn | 0)
    server.verify(segment(v.packets[0]), n)
    server.begin(v.serverIsn | 0)
    const seg = segment(v.packets[2])
    const { off } = seg.packet
    const { buf } = seg
    for (let i = off; i < buf.length; i++) {
      buf[i] ^= 1
      const believed = server.verify(seg, n)
      const inChecksum = i === off + 16 || i === off + 17
      const inTimestamps = i >= off + 20 && i < off + 32
      // The header was parsed before: what was changed in it is changed for the digest alone. KeyID and RNextKeyID are signed, too.
      expect(believed, `byte ${i - off}`).toBe(inChecksum || (v.excludeOptions && inTimestamps))
      buf[i] ^= 1
    }
    expect(server.verify(seg, n)).toBe(true)
  })

  it('what one end signs the other believes', () => {
    const n = new Float64Array(TCP_COUNTERS.length)
    const { client, server } = ends(v)
    client.begin(v.clientIsn | 0)
    const resigned = (text: string, by: AoSignature): Segment => {
      const seg = segment(text)
      const { buf, packet, signatureAt } = seg
      // We put the option first: it changes places with what is there.
      const option = buf.slice(signatureAt, signatureAt + 16)
      const first = packet.off + 20
      buf.copyWithin(first + 16, first, signatureAt)
      buf.set(option.fill(0), first)
      buf[packet.off + 16] = 0
      buf[packet.off + 17] = 0
      by.sign(buf, packet.off, packet.end, packet.source, packet.destination)
      expect(seg.parse(packet)).toBe(true)
      expect(seg.signatureAt).toBe(first)
      return seg
    }
    expect(server.verify(resigned(v.packets[0], client), n)).toBe(true)
    server.begin(v.serverIsn | 0)
    expect(client.verify(resigned(v.packets[1], server), n)).toBe(true)
    expect(server.verify(resigned(v.packets[2], client), n)).toBe(true)
    expect(client.verify(resigned(v.packets[3], server), n)).toBe(true)
  })

  it('the vectors are whole', () => {
    for (const text of v.packets) {
      const buf = bytes(text)
      if (buf[0] >> 4 === 4) expect(naiveSum(buf, 0, 20)).toBe(0xffff)
    }
  })
})

describe('traffic keys', () => {
  it.each(VECTORS.filter((v) => v.keys !== undefined))('RFC 9235 section $section', (v) => {
    const syn = segment(v.packets[0])
    const from = syn.packet.off - (syn.packet.source.isV4 ? 8 : 32)
    const half = syn.packet.source.isV4 ? 4 : 16
    const master = new TextEncoder().encode(MASTER_KEY)
    const derive = (server: boolean, a: number, b: number): string => {
      const isn = Buffer.alloc(8)
      isn.writeUInt32BE(a, 0)
      isn.writeUInt32BE(b, 4)
      const client = syn.buf.slice(from, from + half)
      const other = syn.buf.slice(from + half, from + 2 * half)
      const ports = syn.buf.slice(syn.packet.off, syn.packet.off + 4)
      const context = server
        ? [...other, ...client, ports[2], ports[3], ports[0], ports[1], ...isn]
        : [...client, ...other, ...ports, ...isn]
      return hex(AO_ALGORITHMS[v.algorithm].derive(master, new Uint8Array(context)))
    }
    expect([
      derive(false, v.clientIsn, 0),
      derive(true, v.serverIsn, v.clientIsn),
      derive(false, v.clientIsn, v.serverIsn),
    ]).toEqual(v.keys)
  })
})

describe('the algorithms', () => {
  it('AES-128-CMAC: RFC 4493 section 4', () => {
    const key = bytes('2b7e151628aed2a6abf7158809cf4f3c')
    const message = bytes(
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
    )
    const { mac } = AO_ALGORITHMS['aes-128-cmac-96']
    for (const [length, tag] of [
      [0, 'bb1d6929e95937287fa37d129b756746'],
      [16, '070a16b46b4d4144f79bdd9dd04a287c'],
      [40, 'dfa66747de9ae63030ca32611497c827'],
      [64, '51f0bebf7e3b9d92fc49741779363cfe'],
    ] as const)
      for (let cut = 0; cut <= length; cut++) expect(hex(mac(key, message.slice(0, cut), message.slice(cut, length)))).toBe(tag)
  })

  it('HMAC-SHA-1: RFC 2202 section 3', () => {
    const { mac } = AO_ALGORITHMS['hmac-sha-1-96']
    const text = new TextEncoder().encode('Hi There')
    expect(hex(mac(new Uint8Array(20).fill(0x0b), text.slice(0, 3), text.slice(3)))).toBe(
      'b617318655057264e28bc0b6fb378c8ef146be00',
    )
  })
})
