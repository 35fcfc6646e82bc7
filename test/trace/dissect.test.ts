import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CSUM_VALID, frameMeta, type Medium } from '../../src/netif/netif.ts'
import { dissect } from '../../src/trace/dissect.ts'
import { type BuiltFrame, ipFrame, naiveSum, noise, plainFrame, pseudoSum, tcpFrame, udpFrame } from '../support/frames.ts'

function line(frame: Uint8Array | BuiltFrame, medium: Medium = 'ethernet'): string {
  const { bytes, meta } = frame instanceof Uint8Array ? { bytes: frame, meta: 0 } : frame
  return dissect(bytes, 0, bytes.length, medium, meta)
}

function arp(operation: number, sender: number, target: number): Uint8Array {
  const out = new Uint8Array(42)
  out.set([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, operation, 2, 0, 0, 0, 0, 1])
  if (sender > 0) out.set([10, 0, 0, sender], 28)
  out.set([10, 0, 0, target], 38)
  return out
}

function icmp(bytes: number[], family: 4 | 6 = 4): Uint8Array {
  const body = Uint8Array.from(bytes)
  const sum = ~naiveSum(body, 0, body.length, family === 6 ? pseudoSum(6, 58, body.length, 1, 2) : 0) & 0xffff
  body[2] = sum >> 8
  body[3] = sum & 255
  return ipFrame(family === 4 ? 1 : 58, body, { family })
}

const LINK_LOCAL = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]

describe('dissect', () => {
  it('tells ARP', () => {
    expect(line(arp(1, 1, 2))).toBe('ARP who-has 10.0.0.2 tell 10.0.0.1')
    expect(line(arp(1, 0, 2))).toBe('ARP who-has 10.0.0.2 tell 0.0.0.0 (probe)')
    expect(line(arp(1, 2, 2))).toBe('ARP who-has 10.0.0.2 tell 10.0.0.2 (announcement)')
    expect(line(arp(2, 2, 1))).toBe('ARP reply 10.0.0.2 is-at 02:00:00:00:00:01')
    expect(line(arp(9, 2, 1))).toBe('ARP operation 9, 10.0.0.2 to 10.0.0.1')
    expect(line(arp(1, 1, 2).slice(0, 41))).toBe('ARP malformed: 27 bytes')
    const odd = arp(1, 1, 2)
    odd[18] = 8
    expect(line(odd)).toBe('ARP malformed: hardware 1, protocol 0x800, lengths 8 and 4')
  })

  it('tells DHCPv6, and relays', () => {
    const between = (source: number, destination: number, payload: number[]): string => {
      const head = [source >> 8, source & 255, destination >> 8, destination & 255, 0, 8 + payload.length, 0, 0]
      return line(ipFrame(17, Uint8Array.from([...head, ...payload]), { family: 6 }))
    }
    const ports = (a: number, b: number): string => `IP6 fd00::1.${a} > fd00::2.${b}:`
    expect(between(546, 547, [1, 0, 0xab, 0xcd])).toContain(`${ports(546, 547)} DHCPv6 SOLICIT, xid 0xabcd, length 4`)
    expect(between(547, 547, [12, 0, 0, 0, 0, 0])).toContain(`${ports(547, 547)} DHCPv6 RELAY-FORW, length 6`)
    expect(between(547, 546, [99, 0, 0, 0])).toContain(`${ports(547, 546)} UDP, length 4`)
    expect(between(547, 546, [7, 0, 0])).toContain('UDP, length 3')
  })

  it('tells ICMP echo', () => {
    const data = [...noise(56, 1)]
    expect(line(icmp([8, 0, 0, 0, 0, 1, 0, 1, ...data]))).toBe(
      'IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 64',
    )
    expect(line(icmp([0, 0, 0, 0, 255, 255, 1, 0]))).toBe('IP 10.0.0.1 > 10.0.0.2: ICMP echo reply, id 65535, seq 256, length 8')
    expect(line(icmp([128, 0, 0, 0, 0, 1, 0, 1, ...data], 6))).toBe(
      'IP6 fd00::1 > fd00::2: ICMP6 echo request, id 1, seq 1, length 64',
    )
  })

  it('tells ICMP errors with the packet that they are about', () => {
    const quoted = [...udpFrame({ medium: 'ip', payload: [1, 2, 3] }).bytes]
    const way = 'IP 10.0.0.1 > 10.0.0.2:'
    const about = ', about IP 10.0.0.1.40000 > 10.0.0.2.7: UDP, length 3'
    const error = (type: number, code: number, a = 0, b = 0) =>
      line(icmp([type, code, 0, 0, a >> 8, a & 255, b >> 8, b & 255, ...quoted]))
    expect(error(3, 3)).toBe(`${way} ICMP port unreachable, length 39${about}`)
    expect(error(3, 4, 0, 1400)).toBe(`${way} ICMP need to frag (mtu 1400), length 39${about}`)
    expect(error(3, 99)).toBe(`${way} ICMP unreachable code 99, length 39${about}`)
    expect(error(11, 0)).toBe(`${way} ICMP time exceeded in-transit, length 39${about}`)
    expect(error(12, 0, 0x1400)).toBe(`${way} ICMP parameter problem at octet 20, length 39${about}`)
    expect(error(5, 1, 0x0a00, 9)).toBe(`${way} ICMP redirect host to 10.0.0.9, length 39${about}`)
    const tcp = [...tcpFrame({ medium: 'ip', seq: 77, payload: [1] }).bytes.slice(0, 28)]
    expect(line(icmp([3, 1, 0, 0, 0, 0, 0, 0, ...tcp]))).toBe(
      `${way} ICMP host unreachable, length 36, about IP 10.0.0.1.40000 > 10.0.0.2.7: TCP seq 77`,
    )
    const nested = [...icmp([3, 3, 0, 0, 0, 0, 0, 0, ...quoted]).slice(14)]
    expect(line(icmp([3, 3, 0, 0, 0, 0, 0, 0, ...nested]))).toBe(
      `${way} ICMP port unreachable, length 67, about IP 10.0.0.1 > 10.0.0.2: ICMP port unreachable, length 39`,
    )
    expect(line(icmp([77, 1, 0, 0, 0, 0, 0, 0]))).toBe(`${way} ICMP type 77 code 1, length 8`)
  })

  it('tells TCP with its options', () => {
    const syn = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7]
    expect(line(tcpFrame({ seq: 123, flags: 2, options: syn }))).toBe(
      'IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [S], seq 123, win 65535, options [mss 1460,sackOK,TS val 9 ecr 0,nop,wscale 7], length 0',
    )
    expect(line(tcpFrame({ seq: -1, ack: -2, flags: 0x18, payload: noise(100, 1) }))).toBe(
      'IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [P.], seq 4294967295:99, ack 4294967294, win 65535, length 100',
    )
    expect(line(tcpFrame({ family: 6, flags: 0xff, seq: 1 }))).toBe(
      'IP6 fd00::1.40000 > fd00::2.7: Flags [FSRP.UEW], seq 1, ack 1, win 65535, urg 0, length 0',
    )
    const sack = [1, 1, 5, 18, 0, 0, 0, 10, 0, 0, 0, 20, 0, 0, 0, 30, 0, 0, 0, 40]
    expect(line(tcpFrame({ flags: 0x10, options: sack }))).toContain('options [nop,nop,sack 2 {10:20}{30:40}], length 0')
    expect(line(tcpFrame({ flags: 0, options: [254, 4, 1, 1] }))).toContain(
      'Flags [none], seq 1, win 65535, options [option 254 length 4]',
    )
    expect(line(tcpFrame({ flags: 0x1d0, options: [174, 11, 0, 0, 1, 1, 2, 3, 0, 0, 9, 1] }))).toContain('Flags [.EWe]')
    expect(line(tcpFrame({ options: [174, 11, 0, 0, 1, 1, 2, 3, 0, 0, 9, 1] }))).toContain(
      'options [accecn e1b 1 ceb 66051 e0b 9,nop]',
    )
    expect(line(tcpFrame({ options: [172, 5, 255, 255, 255, 1, 1, 1] }))).toContain('options [accecn e0b 16777215,nop,nop,nop]')
    expect(line(tcpFrame({ options: [172, 2, 174, 4, 1, 1, 1, 1] }))).toContain('options [accecn,option 174 length 4,nop,nop]')
    const zeros = new Array<number>(16).fill(0)
    expect(line(tcpFrame({ options: [1, 1, 19, 18, ...zeros] }))).toContain('options [nop,nop,md5]')
    expect(line(tcpFrame({ options: [29, 16, 61, 84, ...zeros.slice(4)] }))).toContain('options [ao keyid 61 rnextkeyid 84]')
    expect(line(tcpFrame({ options: [2, 9, 0, 0] }))).toContain('options [malformed option 2]')
    expect(line(tcpFrame({ options: [1, 1, 1, 8] }))).toContain('options [nop,nop,nop,malformed option 8]')
  })

  it('names super-segments and does not call partial checksums bad', () => {
    expect(line(tcpFrame({ payload: noise(5000, 1), gso: 1460, flags: 0x18 }))).toBe(
      'IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [P.], seq 1:5001, ack 1, win 65535, length 5000 (super-segment of 1460)',
    )
    expect(line(udpFrame({ payload: [1], partial: true }))).toBe('IP 10.0.0.1.40000 > 10.0.0.2.7: UDP, length 1')
  })

  it('says which checksum is bad', () => {
    const { bytes } = tcpFrame({ payload: noise(10, 1) })
    bytes[bytes.length - 1] ^= 1
    expect(line(bytes)).toMatch(/length 10 \[bad checksum\]$/)
    expect(dissect(bytes, 0, bytes.length, 'ethernet', frameMeta(CSUM_VALID, 0, 0))).toMatch(/length 10$/)
    bytes[bytes.length - 1] ^= 1
    bytes[22]-- // TTL
    expect(line(bytes)).toMatch(/length 10 \[bad header checksum\]$/)
    const echo = icmp([8, 0, 0, 0, 0, 1, 0, 1])
    echo[41] ^= 4
    expect(line(echo)).toMatch(/\[bad checksum\]$/)
    const none = udpFrame({ payload: [1, 2] }).bytes
    none[40] = 0
    none[41] = 0
    expect(line(none)).toBe('IP 10.0.0.1.40000 > 10.0.0.2.7: UDP, length 2')
  })

  it('tells fragments', () => {
    const piece = (fragment: number) => line(ipFrame(17, noise(16, 1), { fragment, id: 9 }))
    expect(piece(0x2000)).toBe('IP 10.0.0.1 > 10.0.0.2: UDP fragment id 9, offset 0, length 16, more')
    expect(piece(0x2001)).toBe('IP 10.0.0.1 > 10.0.0.2: UDP fragment id 9, offset 8, length 16, more')
    expect(piece(185)).toBe('IP 10.0.0.1 > 10.0.0.2: UDP fragment id 9, offset 1480, length 16, last')
    const six = ipFrame(44, [58, 0, 0x05, 0xa9, 0, 0, 0, 5, 1, 2, 3], { family: 6 })
    expect(line(six)).toBe('IP6 fd00::1 > fd00::2: ICMP6 fragment id 5, offset 1448, length 3, more')
  })

  it('tells tags, other EtherTypes, LLC and other protocols', () => {
    expect(line(udpFrame({ vlans: [5, 0x6007], payload: [1] }))).toBe(
      'vlan 5, vlan 7 priority 3, IP 10.0.0.1.40000 > 10.0.0.2.7: UDP, length 1',
    )
    expect(line(plainFrame('ethernet', 60, 1))).toBe('02:00:00:00:00:0a > 02:00:00:00:00:0b, ethertype 0x88b5, length 46')
    const llc = plainFrame('ethernet', 60, 1)
    llc.set([0, 38], 12)
    expect(line(llc)).toBe('02:00:00:00:00:0a > 02:00:00:00:00:0b, 802.3, length 38')
    expect(line(ipFrame(253, noise(9, 1)))).toBe('IP 10.0.0.1 > 10.0.0.2: protocol 253, length 9')
    expect(line(ipFrame(2, noise(8, 1), { medium: 'ip' }), 'ip')).toBe('IP 10.0.0.1 > 10.0.0.2: IGMP, length 8')
  })

  it('tells neighbour discovery and ICMPv6 errors', () => {
    const way = 'IP6 fd00::1 > fd00::2:'
    expect(line(icmp([135, 0, 0, 0, 0, 0, 0, 0, ...LINK_LOCAL], 6))).toBe(
      `${way} ICMP6 neighbor solicitation, who has fe80::7, length 24`,
    )
    expect(line(icmp([136, 0, 0, 0, 0, 0, 0, 0, ...LINK_LOCAL], 6))).toBe(
      `${way} ICMP6 neighbor advertisement, tgt is fe80::7, length 24`,
    )
    expect(line(icmp([135, 0, 0, 0, 0, 0, 0, 0], 6))).toBe(
      `${way} ICMP6 neighbor solicitation, who has malformed target, length 8`,
    )
    const quoted = [...udpFrame({ family: 6, medium: 'ip', payload: [1, 2] }).bytes]
    expect(line(icmp([2, 0, 0, 0, 0, 0, 5, 0, ...quoted], 6))).toBe(
      `${way} ICMP6 packet too big (mtu 1280), length 58, about IP6 fd00::1.40000 > fd00::2.7: UDP, length 2`,
    )
  })

  it('tells options of neighbour discovery, routers and their prefixes', () => {
    const way = 'IP6 fd00::1 > fd00::2: ICMP6'
    const be32 = (n: number): number[] => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]
    const mac = [2, 0, 0, 0, 0, 9]
    const prefix = [3, 4, 64, 0xc0, ...be32(-1), ...be32(600), 0, 0, 0, 0, ...LINK_LOCAL]
    const dns = [25, 3, 0, 0, ...be32(60), ...LINK_LOCAL, 31, 1, 0, 0, ...be32(60)]
    const route = [24, 1, 48, 0, ...be32(9)]
    expect(
      line(icmp([134, 0, 0, 0, 64, 0xc0, 7, 8, ...be32(0), ...be32(0), 1, 1, ...mac, 5, 1, 0, 0, ...be32(1400), ...prefix], 6)),
    ).toBe(
      `${way} router advertisement, lifetime 1800s [managed other], hop limit 64, source 02:00:00:00:00:09, mtu 1400, prefix fe80::7/64 [onlink auto] valid forever preferred 600s, length 64`,
    )
    expect(line(icmp([134, 0, 0, 0, 0, 0, 0, 0, ...be32(0), ...be32(0), ...dns, ...route, 99, 1, ...mac, 7, 0, ...mac], 6))).toBe(
      `${way} router advertisement, lifetime 0s, rdnss fe80::7 60s, dnssl 60s, route of 48 bits, 9s, option 99, malformed option 7, length 72`,
    )
    expect(line(icmp([133, 0, 0, 0, 0, 0, 0, 0, 1, 1, ...mac], 6))).toBe(
      `${way} router solicitation, source 02:00:00:00:00:09, length 16`,
    )
    expect(line(icmp([136, 0, 0, 0, 0xe0, 0, 0, 0, ...LINK_LOCAL, 2, 1, ...mac], 6))).toBe(
      `${way} neighbor advertisement, tgt is fe80::7 [router solicited override], target 02:00:00:00:00:09, length 32`,
    )
    expect(line(icmp([137, 0, 0, 0, 0, 0, 0, 0, ...LINK_LOCAL, ...LINK_LOCAL], 6))).toBe(
      `${way} redirect, fe80::7 to fe80::7, length 40`,
    )
    expect(line(icmp([4, 1, 0, 0, 0, 0, 0, 6], 6))).toBe(`${way} parameter problem (next header) at octet 6, length 8`)
    expect(line(icmp([134, 0, 0, 0, 0, 0, 0, 0], 6))).toBe(`${way} router advertisement cut short, length 8`)
  })

  it('tells who listens to which groups (MLD)', () => {
    const way = 'IP6 fd00::1 > fd00::2: ICMP6 multicast listener'
    const group = [0xff, 5, ...new Array<number>(13).fill(0), 9]
    const none = new Array<number>(16).fill(0)
    expect(line(icmp([130, 0, 0, 0, 3, 232, 0, 0, ...none, 2, 125, 0, 0], 6))).toBe(
      `${way} query v2, max response 1000 ms, length 28`,
    )
    expect(line(icmp([130, 0, 0, 0, 3, 232, 0, 0, ...group, 2, 125, 0, 1, ...LINK_LOCAL], 6))).toBe(
      `${way} query v2 of ff05::9, 1 sources, max response 1000 ms, length 44`,
    )
    expect(line(icmp([130, 0, 0, 0, 3, 232, 0, 0, ...group], 6))).toBe(
      `${way} query v1 of ff05::9, max response 1000 ms, length 24`,
    )
    expect(line(icmp([131, 0, 0, 0, 0, 0, 0, 0, ...group], 6))).toBe(`${way} report, ff05::9, length 24`)
    expect(line(icmp([132, 0, 0, 0, 0, 0, 0, 0, ...group], 6))).toBe(`${way} done, ff05::9, length 24`)
    expect(line(icmp([143, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, ...group, 3, 0, 0, 1, ...group, ...LINK_LOCAL], 6))).toBe(
      `${way} report v2, ff05::9 to exclude {}, ff05::9 to include {fe80::7}, length 64`,
    )
    expect(line(icmp([143, 0, 0, 0, 0, 0, 0, 9, 4, 0, 0, 0, ...group], 6))).toBe(
      `${way} report v2, ff05::9 to exclude {}, malformed, length 28`,
    )
  })

  it('looks past IPv6 extension headers', () => {
    expect(line(udpFrame({ family: 6, ipOptions: [17, 0, 1, 4, 0, 0, 0, 0], payload: [1] }))).toBe(
      'IP6 fd00::1.40000 > fd00::2.7: UDP, length 1',
    )
  })

  it('says that malformed frames are so', () => {
    expect(line(new Uint8Array(13))).toBe('Ethernet malformed: 13 bytes')
    expect(line(new Uint8Array(0), 'ip')).toBe('IP malformed: empty')
    expect(line(Uint8Array.of(0x50), 'ip')).toBe('IP malformed: version 5')
    const { bytes } = tcpFrame({ payload: noise(10, 1) })
    expect(line(bytes.slice(0, 30))).toBe('IP malformed: 16 bytes')
    expect(line(bytes.slice(0, 60))).toBe('IP 10.0.0.1 > 10.0.0.2: malformed: 46 bytes of 50')
    const short = bytes.slice()
    short[14] = 0x43
    expect(line(short)).toBe('IP 10.0.0.1 > 10.0.0.2: malformed: header length 12')
    const offset = bytes.slice()
    offset[46] = 0x10
    expect(line(offset)).toContain('malformed: header length 4')
    expect(line(ipFrame(6, noise(10, 1)))).toBe('IP 10.0.0.1 > 10.0.0.2: TCP malformed: 10 bytes')
    expect(line(ipFrame(17, [0, 1, 0, 2, 0, 99, 0, 0]))).toContain('UDP malformed: length 99 in 8 bytes')
    expect(line(ipFrame(1, [8, 0]))).toContain('ICMP malformed: 2 bytes')
    expect(line(udpFrame({ family: 6 }).bytes.slice(0, 50))).toBe('IP6 malformed: 36 bytes')
  })

  it('never throws, reads only the frame, and stays on one line, whatever is cut off or changed', () => {
    const samples: Uint8Array[] = [
      arp(1, 1, 2),
      icmp([3, 3, 0, 0, 0, 0, 0, 0, ...udpFrame({ medium: 'ip', payload: [1] }).bytes]),
      icmp([2, 0, 0, 0, 0, 0, 5, 0, ...udpFrame({ family: 6, medium: 'ip' }).bytes], 6),
      tcpFrame({ flags: 2, options: [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7] }).bytes,
      tcpFrame({ family: 6, vlans: [1, 2], payload: [1, 2] }).bytes,
      udpFrame({ family: 6, ipOptions: [17, 0, 1, 4, 0, 0, 0, 0] }).bytes,
      ipFrame(44, [58, 0, 5, 0xa9, 0, 0, 0, 5, 1, 2, 3], { family: 6 }),
    ]
    const check = (bytes: Uint8Array, medium: Medium, meta: number): void => {
      // Around the frame lie other bytes, which must not matter.
      const tail = noise(64, 1)
      const one = new Uint8Array(bytes.length + 128)
      const other = new Uint8Array(bytes.length + 128)
      for (const buf of [one, other]) {
        if (buf === other) {
          buf.set(tail)
          buf.set(tail, bytes.length + 64)
        }
        buf.set(bytes, 64)
      }
      const text = dissect(one, 64, 64 + bytes.length, medium, meta)
      expect(dissect(other, 64, 64 + bytes.length, medium, meta)).toBe(text)
      expect(text).toMatch(/^[ -~]+$/)
      expect(text).not.toMatch(/undefined|NaN|null/)
    }
    for (const sample of samples) {
      for (let n = 0; n <= sample.length; n++) {
        check(sample.slice(0, n), 'ethernet', 0)
        if (n >= 14) check(sample.slice(14, n), 'ip', 0)
      }
    }
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.array(change, { maxLength: 6 }),
        fc.nat(),
        fc.nat(0x1fffff),
        (sample, changes, cut, meta) => {
          const bytes = sample.slice(0, sample.length - (cut % 4 === 0 ? cut % sample.length : 0))
          for (const [at, value] of changes) bytes[at % bytes.length] = value
          check(bytes, 'ethernet', meta)
          check(bytes.slice(14), 'ip', meta)
        },
      ),
      { numRuns: 3000 },
    )
  })
})
