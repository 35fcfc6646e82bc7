/** The DNS server and the host's tools over a tap: dig, kdig, host, nslookup, getent, dnsperf; dnsmasq as who else knows; tshark as the judge of the messages. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DnsServer } from '../../../src/dns/server/server.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { endTcpdump, HOST, judged, Lab, OURS, quietKernel, run, type Served, serve, tcpdump } from './lab.ts'

const dir = scratchFolder('dns-server')
const wire = join(dir, 'dns.pcap')

/** Every type, as dig shows its data. */
const DATA: Readonly<Record<string, string>> = {
  A: '10.0.0.5',
  AAAA: 'fd00::5',
  MX: '10 mail.lab.test.',
  TXT: '"v=spf1 -all" "a;b \\"c\\" \\001"',
  SRV: '1 2 5060 sip.lab.test.',
  NAPTR: '1 2 "s" "SIP+D2U" "" _sip._udp.lab.test.',
  CAA: '128 issue "ca.example; x=1"',
  TLSA: '3 1 1 ABCDEF',
  HTTPS: '1 . alpn="h3,h2" port=443 ipv4hint=10.0.0.5 ipv6hint=fd00::5',
  SVCB: '0 svc.lab.test.',
  DNAME: 'elsewhere.lab.test.',
  PTR: 'www.lab.test.',
  TYPE731: '\\# 4 ABCDEF01',
}

const ZONE = `$ORIGIN lab.test.
@ 3600 SOA ns host 1 2 3 4 60
@ NS ns
ns A ${OURS}
${Object.entries(DATA)
  .map(([type, data]) => `${type.toLowerCase()} 300 ${type} ${data}`)
  .join('\n')}
www CNAME a
* A 10.0.0.99
sub NS ns.sub
ns.sub A 10.0.0.77
${Array.from({ length: 30 }, (_, i) => `big TXT "${String(i).padStart(2, '0').repeat(50)}"`).join('\n')}
${Array.from({ length: 2000 }, (_, i) => `host-${i} A 10.1.${i >> 8}.${i & 255}`).join('\n')}
`

const DNSMASQ = `
  no-resolv
  no-hosts
  bind-interfaces
  listen-address=${HOST}
  user=root
  local=/example/
  local-ttl=60
  host-record=www.example,192.0.2.7
  cname=alias.example,www.example
`

let lab: Lab
let server: DnsServer
let dnsmasq: Served
let dump: Served

const dig = async (words: string): Promise<string> => {
  const { out, err } = await run(`exec dig -r +tries=1 +time=5 @${OURS} ${words}`)
  return (out + err).trim()
}
const short = (words: string): Promise<string> => dig(`+short ${words}`)

beforeAll(async () => {
  quietKernel()
  lab = await Lab.open()
  server = lab.stack.dnsServer({
    zones: [ZONE],
    hosts: '10.0.0.7 nas nas.home',
    forward: [HOST],
    allowTransfer: ['attached'],
  })
  const config = join(dir, 'dnsmasq.conf')
  writeFileSync(config, DNSMASQ.replace(/^ +/gm, ''))
  dump = await tcpdump(wire, 65535)
  dnsmasq = await serve('dnsmasq', ['-d', '-C', config, '-x', join(dir, 'pid')], /started, version/)
})

afterAll(async () => {
  await dnsmasq.stop()
  await lab.close()
})

describe('dig', () => {
  it('reads every type as it was written', async () => {
    for (const [type, data] of Object.entries(DATA))
      expect([type, await short(`${type.toLowerCase()}.lab.test ${type}`)]).toEqual([type, data])
    expect(await short('lab.test SOA')).toBe('ns.lab.test. host.lab.test. 1 2 3 4 60')
  })

  it('chains, wildcards, DNAME, referrals, nothing, names of addresses, hosts', async () => {
    expect(await short('www.lab.test')).toBe('a.lab.test.\n10.0.0.5')
    expect(await short('any.thing.lab.test')).toBe('10.0.0.99')
    expect(await short('x.dname.lab.test')).toBe('elsewhere.lab.test.\nx.elsewhere.lab.test.\n10.0.0.99')
    expect(await dig('+norecurse x.sub.lab.test')).toMatch(
      /NOERROR[\s\S]*flags: qr ra;[\s\S]*AUTHORITY SECTION:\nsub\.lab\.test\.[\s\S]*ADDITIONAL SECTION:\nns\.sub/,
    )
    expect(await dig('mx.lab.test AAAA')).toMatch(/NOERROR[\s\S]*flags: qr aa rd ra;[\s\S]*lab\.test\.\s+60\s+IN\s+SOA/)
    expect(await short('-x 10.0.0.5')).toBe('a.lab.test.')
    expect(await short('-x 10.0.0.7')).toBe('nas.')
    expect(await short('nas.home')).toBe('10.0.0.7')
  })

  it('over TCP, with several questions in one connection', async () => {
    expect(await short('+tcp +keepopen a.lab.test A aaaa.lab.test AAAA mx.lab.test MX')).toBe(
      '10.0.0.5\nfd00::5\n10 mail.lab.test.',
    )
  })

  it('sizes: what is cut is asked for again over TCP; EDNS versions, cookies', async () => {
    const lines = async (words: string): Promise<number> =>
      (await short(`${words} big.lab.test TXT`)).split('\n').filter((l) => l.startsWith('"')).length
    expect([await lines('+noedns'), await lines('+bufsize=512'), await lines('+bufsize=4096')]).toEqual([30, 30, 30])
    expect(await dig('+ignore +bufsize=1232 big.lab.test TXT')).toMatch(/flags: qr aa tc rd ra;/)
    expect(await dig('+edns=1 +noednsnegotiation a.lab.test')).toMatch(/status: BADVERS/)
    expect(await dig('+cookie a.lab.test')).toMatch(/COOKIE: [0-9a-f]{48} \(good\)/)
    expect(await dig('+opcode=notify lab.test SOA')).toMatch(/status: NOTIMP/)
    expect(await dig('-c CH version.bind TXT')).toMatch(/status: REFUSED/)
  })

  it('gets the whole zone (AXFR), and the SOA alone when nothing is new (IXFR)', async () => {
    const all = (await dig('+noall +answer lab.test AXFR')).split('\n')
    expect(all.length).toBe(server.zone('lab.test')!.size + 1)
    expect([all[0], all.at(-1)!].map((l) => l.split(/\s+/)[3])).toEqual(['SOA', 'SOA'])
    expect(all.filter((l) => /^host-\d+/.test(l)).length).toBe(2000)
    expect((await dig('+noall +answer lab.test IXFR=1')).split('\n').length).toBe(1)
  })

  it('has others asked: dnsmasq, by way of us; what is remembered comes at once', async () => {
    expect(await short('alias.example')).toBe('www.example.\n192.0.2.7')
    expect(await dig('nothing.example')).toMatch(/status: NXDOMAIN/)
    expect(await dig('www.example.org')).toMatch(/status: REFUSED/)
    const before = lab.counter('udp', 'udpOutDatagrams')
    expect(await short('www.example')).toBe('192.0.2.7')
    expect(await short('www.example')).toBe('192.0.2.7')
    expect(lab.counter('udp', 'udpOutDatagrams') - before).toBe(3)
  })

  it('sees what changes', async () => {
    server.zone('lab.test')!.set('new', 'A', '10.0.0.200')
    expect(await short('new.lab.test')).toBe('10.0.0.200')
    expect(await short('lab.test SOA')).toBe('ns.lab.test. host.lab.test. 2 2 3 4 60')
  })
})

describe('other tools', () => {
  it('kdig, host, nslookup', async () => {
    expect((await run(`exec kdig +short @${OURS} https.lab.test HTTPS`)).out.trim()).toBe(
      '1 . alpn=h3,h2 port=443 ipv4hint=10.0.0.5 ipv6hint=fd00::5',
    )
    expect((await run(`exec host www.lab.test ${OURS}`)).out).toMatch(
      /www\.lab\.test is an alias for a\.lab\.test\.\na\.lab\.test has address 10\.0\.0\.5/,
    )
    expect((await run(`exec nslookup a.lab.test ${OURS}`)).out).toMatch(/Address: 10\.0\.0\.5/)
  })

  it('getent: the resolver of glibc', async () => {
    const conf = join(dir, 'resolv.conf')
    writeFileSync(conf, `nameserver ${OURS}\nsearch lab.test\n`)
    const mounted = `mount --bind ${conf} /etc/resolv.conf && exec getent -s dns ahostsv4 www`
    expect((await run(`exec unshare -m sh -c '${mounted}'`)).out).toMatch(/^10\.0\.0\.5 +STREAM a\.lab\.test/)
  })
})

it('tshark finds nothing wrong with any of it', async () => {
  expect(await endTcpdump(dump)).toBe(0)
  expect((await judged(wire, `dns && ip.src == ${OURS} && dns.flags.response == 1`)).length).toBe(20) // as many as are shown
  expect(await judged(wire, '_ws.malformed || dns.flags.z == 1')).toEqual([])
  expect(await judged(wire, `dns && ip.src == ${OURS} && udp.length > 1240`)).toEqual([])
})

it('dnsperf: thousands of questions a second, none lost', async () => {
  const questions = join(dir, 'questions')
  writeFileSync(questions, Array.from({ length: 2000 }, (_, i) => `host-${i}.lab.test A`).join('\n'))
  const { out } = await run(`exec dnsperf -s ${OURS} -d ${questions} -l 2 -c 4 -q 50`)
  const number = (label: string): number => Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(out)?.[1] ?? -1)
  expect([number('Queries lost'), /Response codes:\s+(\S+)/.exec(out)?.[1]]).toEqual([0, 'NOERROR'])
  expect(number('Queries sent')).toBe(number('Queries completed'))
  // On a quiet machine it is twenty times that: this is for those that are not.
  expect(number('Queries per second')).toBeGreaterThan(500)
})
