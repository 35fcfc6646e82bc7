import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'
import { CommandRun } from '../support/command-lab.ts'
import { a, aaaa, cname, record, reply, type Script, soa, TestServer, zone } from '../support/dns-server.ts'

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0))

const EXAMPLE = zone(
  a('www.example.com', '10.0.0.1'),
  aaaa('six.example.com', 'fd00::1'),
  cname('alias.example.com', 'www.example.com'),
  record('example.com', 'MX', { preference: 10, exchange: 'mail.example.com' }),
  record('example.com', 'TXT', { strings: [bytes('a "b"'), Uint8Array.of(7)] }),
  record('example.com', 'CAA', { flags: 128, tag: bytes('issue'), value: bytes('ca.example') }),
  record('example.com', 'TLSA', { usage: 3, selector: 1, matchingType: 1, data: Uint8Array.of(0xab, 1) }),
  record('example.com', 'HTTPS', {
    priority: 1,
    target: '',
    params: [
      { key: 1, value: bytes('\x02h2\x02h3') },
      { key: 2, value: bytes('') },
      { key: 3, value: Uint8Array.of(1, 187) },
      { key: 4, value: Uint8Array.of(10, 0, 0, 1) },
      { key: 6, value: Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) },
      { key: 4000, value: Uint8Array.of(1, 2) },
    ],
  }),
  { name: 'example.com', type: 'TYPE731', class: 1, ttl: 1, data: { bytes: Uint8Array.of(0xab, 0xcd) } },
  record('1.0.0.10.in-addr.arpa', 'PTR', { ptrdname: 'www.example.com' }),
  soa('example.com'),
)

/** Runs a command to its end, beside a stack with a server. */
async function exec(line: string, script: Script = EXAMPLE) {
  const world = createWorld({ seed: 3 })
  const far = world.stack({ arp: { probe: false }, nd: { dadTransmits: 0 } })
  const [left, right] = createPipe()
  far.attach(right, { addresses: ['10.0.0.1/24', 'fd00::1/64'] })
  new TestServer(far, script, '10.0.0.1')
  const said = await new CommandRun(world, [left]).exec(line)
  await far.close()
  return said
}

describe('tapstack resolve', () => {
  it.each([
    ['www.example.com', ['10.0.0.1']],
    ['alias.example.com', ['10.0.0.1']],
    ['six.example.com', ['fd00::1']],
    ['10.0.0.1', ['www.example.com.']],
    ['-t mx example.com', ['10 mail.example.com.']],
    ['-t TXT example.com', ['"a \\"b\\"" "\\007"']],
    ['-t CAA example.com', ['128 issue "ca.example"']],
    ['-t TLSA example.com', ['3 1 1 AB01']],
    [
      '-t HTTPS example.com',
      ['1 . alpn="h2,h3" no-default-alpn port=443 ipv4hint=10.0.0.1 ipv6hint=fd00::1 key4000="\\001\\002"'],
    ],
    ['-t TYPE731 example.com', ['\\# 2 abcd']],
    ['-t SOA example.com', ['ns.example.com. host.example.com. 1 2 3 4 60']],
  ])('%s', async (words, lines) => {
    expect(await exec(`resolve -s 10.0.0.1 ${words}`)).toEqual({ code: 0, out: lines, err: [] })
  })

  it.each([
    ['-s 10.0.0.1 nothing.example.com', 'nothing.example.com: there is no such name'],
    ['-s 10.0.0.1 -t MX www.example.com', 'www.example.com: it has no such records'],
    ['-s 10.0.0.1:54 www.example.com', 'www.example.com: no server can be reached'],
    ['-s 10.0.0.9 www.example.com', 'www.example.com: no server can be reached'],
    ['www.example.com', 'no DNS server is known'],
    ['-s 10.0.0.1 a..b', 'a..b: that is no domain name'],
  ])('%s: exit code 1', async (words, why) => {
    const { code, out, err } = await exec(`resolve ${words}`)
    expect({ code, out }).toEqual({ code: 1, out: [] })
    expect(err).toEqual([expect.stringContaining(why)])
  })

  it.each([
    ['resolve', 'a name is missing'],
    ['resolve -t NONE a', '--type NONE'],
    ['resolve -s nobody a', 'Invalid IP address: nobody'],
  ])('%s: exit code 2', async (line, why) => {
    const { code, err } = await exec(line)
    expect(code).toBe(2)
    expect(err).toEqual([expect.stringContaining(why)])
  })
})

describe('names in the other commands', () => {
  it('ping', async () => {
    const { code, out } = await exec('ping -c 1 --dns 10.0.0.1 alias.example.com')
    expect(code).toBe(0)
    expect(out[0]).toBe('PING alias.example.com (10.0.0.1) 56(84) bytes of data.')
    expect(out[1]).toMatch(/^64 bytes from 10\.0\.0\.1: icmp_seq=1/)
    expect(out[3]).toBe('--- alias.example.com ping statistics ---')
  })

  it('traceroute, tracepath', async () => {
    const traced = await exec('traceroute -q 1 --dns 10.0.0.1 www.example.com')
    expect(traced.out).toEqual([
      'traceroute to www.example.com (10.0.0.1), 30 hops max, 60 byte packets',
      expect.stringMatching(/^ 1 {2}10\.0\.0\.1/),
    ])
    expect((await exec('tracepath --dns 10.0.0.1 www.example.com')).out.join('\n')).toContain('hops 1')
  })

  it.each([
    ['ping -c 1 --dns 10.0.0.1 nothing.example.com', 'nothing.example.com: name or service not known'],
    ['ping -6 -c 1 --dns 10.0.0.1 www.example.com', 'www.example.com: name or service not known'],
    ['ping -c 1 www.example.com', 'name or service not known: give a server by --dns'],
    ['traceroute 10.0.0.300', '10.0.0.300 is not an IP address'],
  ])('%s', async (line, why) => {
    const { code, err } = await exec(line)
    expect(code).toBe(2)
    expect(err).toEqual([expect.stringContaining(why)])
  })

  it('a server that fails', async () => {
    const { code, err } = await exec('ping -c 1 --dns 10.0.0.1 www.example.com', (asked) => reply(asked, { rcode: 2 }))
    expect(code).toBe(2)
    expect(err[0]).toContain('temporary failure in name resolution')
  })
})
