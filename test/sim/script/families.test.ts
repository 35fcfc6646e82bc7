/** What scripts say about the two families: definitions, sockets, addresses, labels, and what is refused because it would not be true. */
import { describe, expect, it } from 'vitest'
import { address } from '../../../src/base/address.ts'
import { flowFault } from '../../../src/sim/script/compare.ts'
import { Endpoint } from '../../../src/sim/script/endpoint.ts'
import type { LivePacket } from '../../../src/sim/script/live-packet.ts'
import { runScript } from '../../../src/sim/script/script.ts'
import { IP_VERSIONS, type IpVersion } from '../../../src/sim/script/settings.ts'
import { addressFault } from '../../../src/sim/script/socket-address.ts'

const SOCKET = '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n'
const LISTEN = `${SOCKET}+0 setsockopt(3, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = 0\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n`
const ACCEPT = `${LISTEN}+0 < S 0:0(0) win 32792 <mss 1000>\n+0 > S. 0:0(0) ack 1 <mss 1460>\n+0 < . 1:1(0) ack 1 win 32792\n`

function played(text: string, ipVersion?: IpVersion): { result: string; reason?: string } {
  return runScript(text, { file: 'a.pkt', ipVersion })
}

const PASSED = { result: 'passed' }

describe('what runners define', () => {
  it.each([
    ['ipv4', 'SOL_IP', 'IP_RECVERR'],
    ['ipv6', 'SOL_IPV6', 'IPV6_RECVERR'],
    ['ipv4-mapped-ipv6', 'SOL_IPV6', 'IPV6_RECVERR'],
  ] as const)('%s: the error queue tells at level %s', (version, level, type) => {
    const script = (l: string, t: string): string => `${ACCEPT}
      +0 accept(3, ..., ...) = 4
      +0 send(4, ..., 100, MSG_ZEROCOPY) = 100
      +0 > P. 1:101(100) ack 1
      +0 < . 1:1(0) ack 101 win 32792
      +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{...,0}], msg_flags=MSG_ERRQUEUE,
           msg_control=[{cmsg_level=${l}, cmsg_type=${t}, cmsg_data={ee_errno=0, ee_origin=SO_EE_ORIGIN_ZEROCOPY,
             ee_type=0, ee_code=SO_EE_CODE_ZEROCOPY_COPIED, ee_info=0, ee_data=0}}]}, MSG_ERRQUEUE) = 0`
    expect(played(script('CMSG_LEVEL_IP', 'CMSG_TYPE_RECVERR'), version)).toEqual(PASSED)
    expect(played(script(level, type), version)).toEqual(PASSED)
    expect(played(script(level === 'SOL_IP' ? 'SOL_IPV6' : 'SOL_IP', type), version).reason).toMatch(/cmsg_level 0/)
  })

  it.each(IP_VERSIONS)('%s: the cookies are those that Linux makes of the addresses', (version) => {
    for (const [key, name] of [
      ['a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4', 'TFO_COOKIE'],
      ['00000000-00000000-00000000-00000000', 'TFO_COOKIE_ZERO'],
    ]) {
      const text = `\`sysctl -q net.ipv4.tcp_fastopen=0x70403 net.ipv4.tcp_fastopen_key=${key}\`
        ${LISTEN}+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN, [5], 4) = 0
        +0 < S 0:0(0) win 32792 <mss 1460,FO,nop,nop>
        +0 > S. 0:0(0) ack 1 <mss 1460,FO ${name},nop,nop>`
      expect(played(text, version), name).toEqual(PASSED)
    }
  })

  it('is of the version that the script names itself, in an option of the caller too', () => {
    const text = `${SOCKET}+0...0.1 connect(3, ..., ...) = -1 EHOSTUNREACH (No route to host)
      +0 > S 0:0(0) <...>
      +.1 < icmp unreachable CODE [0:0(0)]`
    expect(played(`--ip_version=ipv6\n${text}`)).toEqual(PASSED)
    expect(runScript(text, { options: { ip_version: 'ipv6' } })).toEqual(PASSED)
    expect(played(text)).toEqual(PASSED)
  })

  it('is of a family by the name of its file, as google has it', () => {
    const of = (file: string, ipVersion?: IpVersion): string => runScript(`${SOCKET}`, { file, ipVersion }).result
    expect(IP_VERSIONS.map((v) => of('a-v4.pkt', v))).toEqual(['passed', 'skipped', 'passed'])
    expect(IP_VERSIONS.map((v) => of('a-v6.pkt', v))).toEqual(['skipped', 'passed', 'skipped'])
    expect(of('a-v6.pkt')).toBe('passed')
  })

  it('an MTU that is the largest already stays', () => {
    expect(
      played(
        `--mtu=65535\n${SOCKET}+0...0.1 connect(3, ..., ...) = 0
      +0 > S 0:0(0) <mss 65475,sackOK,TS val 1 ecr 0,nop,wscale 8>
      +.1 < S. 0:0(0) ack 1 win 1000 <mss 1000>
      +0 > . 1:1(0) ack 1`,
        'ipv6',
      ),
    ).toEqual(PASSED)
  })
})

describe('sockets', () => {
  it('of IPv4 have no options of IPv6, those of IPv6 have both', () => {
    const text = (result: string): string => `${SOCKET}
      +0 setsockopt(3, IPPROTO_IPV6, IPV6_TCLASS, [8], 4) = ${result}
      +0 setsockopt(3, IPPROTO_IP, IP_TOS, [8], 4) = 0`
    expect(played(text('-1 ENOPROTOOPT (no)'))).toEqual(PASSED)
    expect(played(text('0'), 'ipv6')).toEqual(PASSED)
    expect(played(text('0'), 'ipv4-mapped-ipv6')).toEqual(PASSED)
    expect(played(`${SOCKET}+0 getsockopt(3, SOL_IPV6, IPV6_V6ONLY, [0], [4]) = -1 EOPNOTSUPP (no)`)).toEqual(PASSED)
  })

  it('refuse what cannot be, and skip what the stack does not do', () => {
    const set = (name: string, value: number, result = '0'): string =>
      `${SOCKET}+0 setsockopt(3, SOL_IPV6, ${name}, [${value}], 4) = ${result}`
    expect(played(set('IPV6_TCLASS', 256, '-1 EINVAL (no)'), 'ipv6')).toEqual(PASSED)
    expect(played(set('IPV6_UNICAST_HOPS', -2, '-1 EINVAL (no)'), 'ipv6')).toEqual(PASSED)
    expect(played(set('IPV6_AUTOFLOWLABEL', 1), 'ipv6')).toEqual(PASSED)
    for (const [name, value] of [
      ['IPV6_AUTOFLOWLABEL', 0],
      ['IPV6_UNICAST_HOPS', 0],
      ['IPV6_FLOWINFO_SEND', 1],
    ] as const)
      expect(played(set(name, value), 'ipv6')).toMatchObject({
        result: 'skipped',
        reason: expect.stringContaining(name) as string,
      })
    expect(played(`${SOCKET}+0 getsockopt(3, SOL_IPV6, IPV6_MTU, ..., [4]) = -1 ENOTCONN (no)`, 'ipv6')).toEqual(PASSED)
  })

  it('take addresses of their family, in all the ways they are written', () => {
    const bind = (to: string, result = '0'): string => `${SOCKET}+0 bind(3, ${to}, ...) = ${result}`
    for (const to of [
      '{sa_family = AF_INET6, sin_port = htons(80), sin_addr = inet_addr("::")}',
      '{sa_family=AF_INET6, sin6_port=htons(80), sin6_addr=inet6_addr("::")}',
      '{sa_family=AF_INET6, sin6_port=htons(80), sin6_addr=inet_pton(AF_INET6, "::")}',
      '{sa_family=AF_INET6, sin6_addr="::"}',
    ])
      expect(played(bind(to), 'ipv6'), to).toEqual(PASSED)
    expect(played(bind('{sa_family=AF_INET, sin_port=htons(80), sin_addr=INADDR_ANY}'))).toEqual(PASSED)
    expect(played(bind('{sa_family=AF_INET6, sin6_port=htons(80), sin6_addr="::"}', '-1 EAFNOSUPPORT (no)'))).toEqual(PASSED)
    expect(played(bind('{sa_family=AF_INET6, sin6_addr="nobody"}'), 'ipv6').reason).toMatch(/an address is expected/)
    expect(played(bind('{sa_family=AF_UNIX}'), 'ipv6').result).toBe('skipped')
    expect(played(`${SOCKET}+0 connect(3, {sa_family=AF_INET6, sin6_addr="2001:db8::77"}, ...) = 0`, 'ipv6').reason).toMatch(
      /others/,
    )
  })

  it('know their peer', () => {
    const accept = (to: string): string => `${ACCEPT}+0 accept(3, ${to}, ...) = 4`
    const four = (a: string): string => accept(`{sa_family=AF_INET, sin_port=..., sin_addr=inet_addr("${a}")}`)
    const six = (a: string): string => accept(`{sa_family=AF_INET6, sin6_port=..., sin6_addr=inet6_addr("${a}")}`)
    expect(played(four('192.0.2.1'))).toEqual(PASSED)
    expect(played(four('192.0.2.2')).reason).toMatch(/address: expected 192\.0\.2\.2, got 192\.0\.2\.1/)
    expect(played(six('::ffff:192.0.2.1'), 'ipv4-mapped-ipv6')).toEqual(PASSED)
    expect(played(four('192.0.2.1'), 'ipv4-mapped-ipv6').reason).toMatch(/got ::ffff:192\.0\.2\.1/)
    expect(played(six('fd3d:fa7b:d17d::1'), 'ipv6')).toEqual(PASSED)
    const wanted = { isV6: true, port: 9, address: null }
    expect(addressFault(wanted, true, address('::1'), 9)).toBe(null)
    expect(addressFault(wanted, true, address('::1'), 8)).toBe('port: expected 9, got 8')
  })
})

describe('packets', () => {
  it('have one flow label for a connection', () => {
    const e = new Endpoint()
    const packet = (flowLabel: number): LivePacket => ({ flowLabel }) as LivePacket
    expect([5, 5, 6, 6].map((n) => flowFault(packet(n), e))).toEqual([null, null, 'flowlabel: expected 5, got 6', null])
    expect(flowFault(packet(-1), e)).toBe(null)
    const text = `${SOCKET}+0...0.1 connect(3, ..., ...) = 0\n+0 > (flowlabel 0) S 0:0(0) <...>`
    expect(played(text, 'ipv6').reason).toMatch(/flowlabel: expected 0, got [1-9]/)
  })

  it('of ICMP have the names of their family', () => {
    const text = (icmp: string): string =>
      `${SOCKET}+0...0.1 connect(3, ..., ...) = 0\n+0 > S 0:0(0) <...>\n+0 < icmp ${icmp} [0:0(0)]`
    expect(played(text('unreachable frag_needed mtu 1000'), 'ipv6').reason).toMatch(/ICMPv6 code frag_needed/)
    expect(played(text('packet_too_big mtu 1300')).reason).toMatch(/ICMP type packet_too_big/)
  })
})

describe('commands', () => {
  it('about the other family are not played as if they were about this one', () => {
    const four = `\`ip route add 192.0.2.1 via 192.168.0.2 dev tun0 mtu 1400\`\n${SOCKET}`
    const six = `\`ip -6 route add 2001:db8::1 via fd3d:fa7b:d17d::2 dev tun0 mtu 1400\`\n${SOCKET}`
    expect([played(four), played(six, 'ipv6')]).toEqual([PASSED, PASSED])
    expect(played(four, 'ipv6').reason).toMatch(/routes of IPv4 where packets are of IPv6/)
    expect(played(six).reason).toMatch(/routes of IPv6/)
    const advertised = `\`ip -6 route add 2001:db8::1 dev tun0 mtu 1400 advmss 1340\`\n${SOCKET}`
    expect(played(advertised, 'ipv6')).toEqual(PASSED)
  })

  it('know the variables of IPv6, and skip for others', () => {
    expect(played(`\`sysctl -q net.ipv6.conf.tun0.accept_dad=0 net.ipv6.route.flush=1\`\n${SOCKET}`, 'ipv6')).toEqual(PASSED)
    for (const variable of ['net.ipv6.conf.all.no_such_thing=1', 'net.ipv6.bindv6only=1', 'net.ipv6.conf.all.disable_ipv6=1'])
      expect(played(`\`sysctl -q ${variable}\`\n${SOCKET}`, 'ipv6').result).toBe('skipped')
  })
})
