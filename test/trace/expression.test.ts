import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddress } from '../../src/base/address.ts'
import { put16, put32 } from '../../src/base/bytes.ts'
import { parseExpression } from '../../src/trace/expression.ts'
import { runs } from '../support/runs.ts'

const MACS = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]

/** `[etherType, ...]` after two MAC addresses, or after those that are given. */
function ethernet(type: number[], payload: number[], macs = MACS): Uint8Array {
  return Uint8Array.from([...macs, ...type, ...payload])
}

function ip4(protocol: number, source: string, destination: string, payload: number[], fragment = 0): number[] {
  const header = new Uint8Array(20)
  header[0] = 0x45
  put16(header, 2, 20 + payload.length)
  put16(header, 6, fragment)
  header[9] = protocol
  put32(header, 12, parseAddress(source)!.w3)
  put32(header, 16, parseAddress(destination)!.w3)
  return [...header, ...payload]
}

function ip6(next: number, source: string, destination: string, payload: number[]): number[] {
  const header = new Uint8Array(40)
  header[0] = 0x60
  put16(header, 4, payload.length)
  header[6] = next
  for (const [at, a] of [
    [8, parseAddress(source)!],
    [24, parseAddress(destination)!],
  ] as const)
    for (const [i, word] of [a.w0, a.w1, a.w2, a.w3].entries()) put32(header, at + 4 * i, word)
  return [...header, ...payload]
}

const ports = (from: number, to: number): number[] => [from >> 8, from & 255, to >> 8, to & 255, 0, 8, 0, 0]
const V4 = [8, 0]
const V6 = [0x86, 0xdd]
const FRAMES: Record<string, Uint8Array> = {
  tcp4: ethernet(V4, ip4(6, '10.0.0.1', '10.0.0.2', ports(40_000, 80))),
  udp4: ethernet(V4, ip4(17, '10.0.0.2', '10.1.0.53', ports(5353, 53))),
  icmp4: ethernet(V4, ip4(1, '10.0.0.1', '10.0.0.2', [8, 0, 0, 0])),
  later: ethernet(V4, ip4(17, '10.0.0.2', '10.1.0.53', ports(53, 53), 185)),
  tcp6: ethernet(V6, ip6(6, 'fd00::1', 'fd00::2', ports(40_000, 443))),
  // Hop-by-hop options, a first fragment and an authentication header (RFC 4302: 16 bytes are length 2) before it.
  udp6: ethernet(
    V6,
    ip6(0, 'fd00::1', 'fd01::2', [
      ...[44, 0, 0, 0, 0, 0, 0, 0],
      ...[51, 0, 0, 1, 0, 0, 0, 7],
      ...[17, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
      ...ports(53, 53),
    ]),
  ),
  icmp6: ethernet(V6, ip6(58, 'fe80::1', 'ff02::1', [135, 0, 0, 0])),
  arp: ethernet(
    [8, 6],
    [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2],
    [...Array(6).fill(255), 2, 0, 0, 0, 0, 1],
  ),
  tagged: ethernet([0x81, 0, 0, 42, ...V4], ip4(6, '10.0.0.9', '10.0.0.2', ports(40_000, 80))),
  other: ethernet([0x88, 0xcc], [1, 2, 3], [1, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 1]),
}

function taken(expression: string): string {
  const filter = parseExpression(expression)
  return Object.entries(FRAMES)
    .filter(([, f]) => filter.matches(f, 0, f.length, 'ethernet'))
    .map(([name]) => name)
    .join(' ')
}

describe('filter expressions', () => {
  it.each([
    ['', 'tcp4 udp4 icmp4 later tcp6 udp6 icmp6 arp tagged other'],
    ['ip', 'tcp4 udp4 icmp4 later tagged'],
    ['ip6', 'tcp6 udp6 icmp6'],
    ['arp', 'arp'],
    ['tcp', 'tcp4 tcp6 tagged'],
    ['udp', 'udp4 later udp6'],
    ['icmp or icmp6', 'icmp4 icmp6'],
    ['port 53', 'udp4 udp6'],
    ['src port 53', 'udp6'],
    ['tcp dst port 80', 'tcp4 tagged'],
    ['tcp port 80 or 443', 'tcp4 tcp6 tagged'],
    ['portrange 80-443', 'tcp4 tcp6 tagged'],
    ['ip6 port 443', 'tcp6'],
    ['host 10.0.0.2', 'tcp4 udp4 icmp4 later arp tagged'],
    ['10.0.0.9', 'tagged'],
    ['src 10.0.0.2', 'udp4 later'],
    ['src host 10.0.0.1 or 10.0.0.9', 'tcp4 icmp4 arp tagged'],
    ['arp host 10.0.0.1', 'arp'],
    ['ip host 10.0.0.1', 'tcp4 icmp4'],
    ['net 10.1.0.0/16', 'udp4 later'],
    ['dst net fd01::/16', 'udp6'],
    ['src and dst net 10.0.0.0/24', 'tcp4 icmp4 arp tagged'],
    ['src or dst host fd00::2', 'tcp6'],
    ['net 0.0.0.0/0', 'tcp4 udp4 icmp4 later arp tagged'],
    ['ether host 02:00:00:00:00:02', 'tcp4 udp4 icmp4 later tcp6 udp6 icmp6 tagged'],
    ['ether dst 2:0:0:0:0:2 and udp', 'udp4 later udp6'],
    ['ether proto 0x88cc', 'other'],
    ['ether proto arp', 'arp'],
    ['ip proto 17', 'udp4 later'],
    ['proto udp', 'udp4 later udp6'],
    ['vlan', 'tagged'],
    ['vlan 42 and tcp', 'tagged'],
    ['vlan 7', ''],
    ['broadcast', 'arp'],
    ['ether multicast', 'arp other'],
    ['less 17', 'other'],
    ['greater 70 && !arp', 'udp6'],
    ['not tcp and not udp', 'icmp4 icmp6 arp other'],
    // Of the same rank, from left to right.
    ['arp or tcp and ip6', 'tcp6'],
    ['arp or (tcp and ip6)', 'tcp6 arp'],
    ['!(tcp||udp||arp)', 'icmp4 icmp6 other'],
    ['TCP Port 80', 'tcp4 tagged'],
  ])('%s', (expression, names) => {
    expect(taken(expression)).toBe(names)
  })

  it('on links without Ethernet look at IP alone', () => {
    const packet = Uint8Array.from(ip4(6, '10.0.0.1', '10.0.0.2', ports(1, 80)))
    const matches = (text: string): boolean => parseExpression(text).matches(packet, 0, packet.length, 'ip')
    expect(['tcp port 80', 'ip', 'ip6', 'ether host 2:0:0:0:0:1', 'broadcast'].map(matches)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ])
  })

  it.each([
    ['tcp and', 'something is missing at its end'],
    ['(tcp', 'a ) is missing'],
    ['tcp)', ') is not expected there'],
    ['tcp udp', 'udp is not expected there'],
    ['port http', 'http is no port'],
    ['port 65536', '65536 is no port'],
    ['portrange 9-8', '9-8 is no range of ports'],
    ['host', 'its end is no address'],
    ['host 10.0.0.0/8', '10.0.0.0/8 is no host'],
    ['net 10.0.0.0/33', '10.0.0.0/33 is no net'],
    ['host 2:0:0:0:0:1', 'is a MAC address: ether host'],
    ['ether host 10.0.0.1', '10.0.0.1 is no MAC address'],
    ['arp port 80', 'arp has no ports'],
    ['tcp host 10.0.0.1', 'tcp has no hosts'],
    ['less', 'its end is no number'],
    ['tcp[13] = 2', 'tcp[13] is not known'],
    ['nonsense', 'nonsense is not known'],
    ['('.repeat(200), 'nested too deep'],
  ])('%s is wrong', (expression, why) => {
    expect(() => parseExpression(expression)).toThrow(why)
  })

  it('take any bytes, and any words, without a fault of their own', () => {
    const words = [
      'tcp',
      'host',
      '10.0.0.1',
      '(',
      ')',
      'and',
      'or',
      'not',
      'port',
      '80',
      'ether',
      'src',
      'net',
      'fd00::/8',
      'vlan',
      'x',
    ]
    const filter = parseExpression('tcp port 80 or net fd00::/8 or ether host 2:0:0:0:0:1 or vlan 5 or udp')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.array(fc.constantFrom(...words), { maxLength: 12 }), (bytes, text) => {
        filter.matches(bytes, 0, bytes.length, 'ethernet')
        filter.matches(bytes, 0, bytes.length, 'ip')
        try {
          parseExpression(text.join(' '))
        } catch (error) {
          expect((error as { code?: string }).code).toBe('ERR_INVALID_ARG_VALUE')
        }
      }),
      { numRuns: runs(300) },
    )
    for (const frame of Object.values(FRAMES)) for (let n = 0; n < frame.length; n++) filter.matches(frame, 0, n, 'ethernet')
  })
})
