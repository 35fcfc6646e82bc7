import { describe, expect, it } from 'vitest'
import {
  IFREQ,
  IFREQ_SIZE,
  ifreq,
  metaOf,
  OFFLOAD_STEPS,
  offloadNames,
  offloadOf,
  putVnetHeader,
  VNET,
  VNET_HEADER,
  vnetHeader,
} from '../../src/backend/tuntap-wire.ts'
import {
  CSUM_NONE,
  CSUM_PARTIAL,
  CSUM_VALID,
  frameMeta,
  GSO_NONE,
  GSO_TCP4,
  GSO_TCP6,
  GSO_UDP,
  Offload,
} from '../../src/netif/netif.ts'
import { ipFrame, noise, tcpFrame } from '../support/frames.ts'

/** The header as buffer-layout reads it: the oracle. */
function header(bytes: Uint8Array, start: number): Record<string, unknown> {
  return { ...vnetHeader.decode(Buffer.from(bytes.slice(start - VNET_HEADER, start))) }
}

const PLAIN = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 }

/** Puts the header of a frame in the middle of a dirty buffer; the rest must stay as it was. */
function put(frame: Uint8Array, meta: number, ethernet = true): Record<string, unknown> | null {
  const start = 50
  const buf = new Uint8Array(start + frame.length + 20).fill(0xa5)
  buf.set(frame, start)
  const done = putVnetHeader(buf, start, start + frame.length, meta, ethernet)
  expect([...buf.subarray(0, start - VNET_HEADER)].every((b) => b === 0xa5)).toBe(true)
  expect(buf.slice(start, start + frame.length)).toEqual(frame)
  return done ? header(buf, start) : null
}

describe('layouts', () => {
  it('are those of the kernel', () => {
    expect([VNET_HEADER, VNET.hdrLen, VNET.gsoSize, VNET.csumStart, VNET.csumOffset]).toEqual([10, 2, 4, 6, 8])
    expect([ifreq.span, IFREQ.name, IFREQ.value]).toEqual([IFREQ_SIZE, 0, 16])
    expect(OFFLOAD_STEPS).toEqual([0x6f, 0x0f, 0x07, 0x01, 0])
  })
})

describe('putVnetHeader', () => {
  it('is all zero for a frame that needs nothing', () => {
    expect(put(noise(60, 1), 0)).toEqual(PLAIN)
    expect(put(noise(60, 2), CSUM_VALID)).toEqual(PLAIN)
  })

  it.each([
    ['TCP over IPv4', { family: 4 as const }, true, 34, 16],
    ['TCP over IPv6', { family: 6 as const }, true, 54, 16],
    ['a VLAN tag', { family: 4 as const, vlans: [5] }, true, 38, 16],
    ['IPv4 options', { family: 4 as const, ipOptions: [1, 1, 1, 1, 1, 1, 1, 0] }, true, 42, 16],
    ['an IPv6 extension header', { family: 6 as const, ipOptions: [6, 0, 1, 4, 0, 0, 0, 0] }, true, 62, 16],
    ['TCP on a tun, IPv4', { family: 4 as const, medium: 'ip' as const }, false, 20, 16],
    ['TCP on a tun, IPv6', { family: 6 as const, medium: 'ip' as const }, false, 40, 16],
  ])('finds the checksum behind %s', (_, options, ethernet, csumStart, csumOffset) => {
    const tcp = new Uint8Array(24)
    tcp[12] = 0x60
    const frame = ipFrame(6, tcp, options)
    expect(put(frame, CSUM_PARTIAL, ethernet)).toEqual({ ...PLAIN, flags: 1, csumStart, csumOffset })
  })

  it('knows where UDP keeps its checksum', () => {
    expect(put(ipFrame(17, new Uint8Array(20)), CSUM_PARTIAL)).toEqual({ ...PLAIN, flags: 1, csumStart: 34, csumOffset: 6 })
  })

  it('describes super-segments: kind, size, length of all headers', () => {
    const v4 = tcpFrame({ payload: noise(5000, 3), gso: 1448, partial: true, options: [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2] })
    expect(put(v4.bytes, v4.meta)).toEqual({ flags: 1, gsoType: 1, hdrLen: 66, gsoSize: 1448, csumStart: 34, csumOffset: 16 })
    const v6 = tcpFrame({ family: 6, payload: noise(5000, 4), gso: 1440, partial: true })
    expect(put(v6.bytes, v6.meta)).toEqual({ flags: 1, gsoType: 4, hdrLen: 74, gsoSize: 1440, csumStart: 54, csumOffset: 16 })
    const udp = ipFrame(17, new Uint8Array(8 + 3000))
    const meta = frameMeta(CSUM_PARTIAL, GSO_UDP, 1200)
    expect(put(udp, meta)).toEqual({ flags: 1, gsoType: 5, hdrLen: 42, gsoSize: 1200, csumStart: 34, csumOffset: 6 })
  })

  it('says that a super-segment carries CWR', () => {
    const cwr = tcpFrame({ payload: noise(4000, 5), gso: 1460, partial: true, flags: 0x90 })
    expect(put(cwr.bytes, cwr.meta)).toMatchObject({ gsoType: 0x81 })
  })

  it('refuses to guess: no TCP or UDP, header cut off, kind and protocol at odds', () => {
    expect(put(noise(60, 6).fill(0x88, 12, 14), CSUM_PARTIAL)).toBeNull()
    expect(put(ipFrame(1, new Uint8Array(20)), CSUM_PARTIAL)).toBeNull()
    expect(put(ipFrame(6, new Uint8Array(19)), CSUM_PARTIAL)).toBeNull()
    expect(put(ipFrame(17, new Uint8Array(7)), CSUM_PARTIAL)).toBeNull()
    expect(put(ipFrame(17, new Uint8Array(100)), frameMeta(CSUM_PARTIAL, GSO_TCP4, 50))).toBeNull()
    expect(put(ipFrame(6, new Uint8Array(100)), frameMeta(CSUM_PARTIAL, GSO_UDP, 50))).toBeNull()
  })

  it('survives every truncation and any bytes', () => {
    const frames = [ipFrame(6, noise(40, 1)), ipFrame(17, noise(40, 2), { family: 6, ipOptions: [60, 200, 0, 0, 0, 0, 0, 0] })]
    for (const frame of frames) {
      for (let n = 0; n <= frame.length; n++) {
        put(frame.slice(0, n), CSUM_PARTIAL)
        put(frame.slice(0, n), frameMeta(CSUM_PARTIAL, GSO_TCP6, 1000))
      }
    }
    for (let seed = 0; seed < 500; seed++) put(noise(seed % 90, seed), CSUM_PARTIAL, (seed & 1) === 0)
  })
})

describe('metaOf', () => {
  const meta = (fields: Partial<typeof PLAIN>): number => {
    const bytes = Buffer.alloc(VNET_HEADER)
    vnetHeader.encode({ ...PLAIN, ...fields }, bytes)
    return metaOf(new Uint8Array(bytes), 0)
  }

  it('tells who vouches for the checksum', () => {
    expect(meta({})).toBe(frameMeta(CSUM_NONE, GSO_NONE, 0))
    expect(meta({ flags: 2 })).toBe(frameMeta(CSUM_VALID, GSO_NONE, 0))
    expect(meta({ flags: 1, csumStart: 34, csumOffset: 16 })).toBe(frameMeta(CSUM_PARTIAL, GSO_NONE, 0))
    expect(meta({ flags: 3 })).toBe(frameMeta(CSUM_PARTIAL, GSO_NONE, 0))
  })

  it('tells kind and size of a super-segment', () => {
    expect(meta({ flags: 1, gsoType: 1, gsoSize: 1448 })).toBe(frameMeta(CSUM_PARTIAL, GSO_TCP4, 1448))
    expect(meta({ flags: 1, gsoType: 4, gsoSize: 65535 })).toBe(frameMeta(CSUM_PARTIAL, GSO_TCP6, 65535))
    expect(meta({ flags: 1, gsoType: 5, gsoSize: 1200 })).toBe(frameMeta(CSUM_PARTIAL, GSO_UDP, 1200))
    expect(meta({ flags: 1, gsoType: 0x81, gsoSize: 1448 })).toBe(frameMeta(CSUM_PARTIAL, GSO_TCP4, 1448))
  })

  it('refuses kinds that nobody asked for', () => {
    expect(meta({ flags: 1, gsoType: 3, gsoSize: 1000 })).toBe(-1)
    expect(meta({ flags: 1, gsoType: 2, gsoSize: 1000 })).toBe(-1)
  })
})

describe('offload bits', () => {
  it('follow what the kernel accepted', () => {
    const tx = Offload.TX_CHECKSUM | Offload.TSO4 | Offload.TSO6
    expect(offloadOf(0)).toBe(tx)
    expect(offloadOf(0x0f)).toBe(tx | Offload.RX_CHECKSUM)
    expect(offloadOf(0x6f)).toBe(tx | Offload.RX_CHECKSUM | Offload.USO)
  })

  it('have names', () => {
    expect(offloadNames(0x6f)).toBe('csum,tso4,tso6,ecn,uso4,uso6')
    expect(offloadNames(0)).toBe('')
  })
})
