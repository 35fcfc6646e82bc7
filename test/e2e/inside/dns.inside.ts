/** The resolver against dnsmasq on the host, over a tap; tshark is the judge of the messages. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scratchFolder } from '../../support/scratch.ts'
import { endTcpdump, HOST, judged, Lab, quietKernel, type Served, serve, tcpdump } from './lab.ts'

const dir = scratchFolder('dns')
const wire = join(dir, 'dns.pcap')
const BIG = Array.from({ length: 12 }, (_, i) => String.fromCharCode(97 + i).repeat(200))

const CONFIG = `
  no-resolv
  no-hosts
  bind-interfaces
  listen-address=${HOST}
  user=root
  local=/example.test/10.in-addr.arpa/
  local-ttl=60
  host-record=www.example.test,${HOST},fd00::1
  cname=alias.example.test,www.example.test
  cname=twice.example.test,alias.example.test
  mx-host=example.test,www.example.test,10
  srv-host=_sip._udp.example.test,www.example.test,5060,1,2
  txt-record=example.test,v=spf1,"a b"
  caa-record=example.test,0,issue,ca.example
  naptr-record=example.test,1,2,s,SIP+D2U,,_sip._udp.example.test
  ${BIG.map((text) => `txt-record=big.example.test,${text}`).join('\n  ')}
`

let lab: Lab
let dnsmasq: Served
let dump: Served

beforeAll(async () => {
  quietKernel()
  lab = await Lab.open({ config: { dns: { servers: [HOST], searchDomains: ['example.test'] } } })
  const config = join(dir, 'dnsmasq.conf')
  writeFileSync(config, CONFIG.replace(/^ +/gm, ''))
  dump = await tcpdump(wire, 65535)
  dnsmasq = await serve('dnsmasq', ['-d', '-C', config, '-x', join(dir, 'pid')], /started, version/)
})

afterAll(async () => {
  await lab.close()
})

describe('dnsmasq answers', () => {
  it('records of every kind', async () => {
    const { promises } = lab.stack.dns
    expect(await promises.resolve4('www.example.test', { ttl: true })).toEqual([{ address: HOST, ttl: 60 }])
    expect(await promises.resolve6('www.example.test')).toEqual(['fd00::1'])
    expect(await promises.resolve4('twice.example.test')).toEqual([HOST])
    expect(await promises.resolveCname('twice.example.test')).toEqual(['alias.example.test'])
    expect(await promises.resolveMx('example.test')).toEqual([{ exchange: 'www.example.test', priority: 10 }])
    expect(await promises.resolveSrv('_sip._udp.example.test')).toEqual([
      { name: 'www.example.test', port: 5060, priority: 1, weight: 2 },
    ])
    expect(await promises.resolveTxt('example.test')).toEqual([['v=spf1', 'a b']])
    expect(await promises.resolveCaa('example.test')).toEqual([{ critical: 0, issue: 'ca.example' }])
    expect(await promises.resolveNaptr('example.test')).toEqual([
      { flags: 's', service: 'SIP+D2U', regexp: '', replacement: '_sip._udp.example.test', order: 1, preference: 2 },
    ])
    expect(await promises.reverse(HOST)).toEqual(['www.example.test'])
    expect((await promises.resolveAny('www.example.test')).length).toBe(2)
  })

  it('no such name, no such record', async () => {
    const { promises } = lab.stack.dns
    await expect(promises.resolve4('nothing.example.test')).rejects.toMatchObject({ code: 'ENOTFOUND', syscall: 'queryA' })
    await expect(promises.resolveMx('www.example.test')).rejects.toMatchObject({ code: 'ENODATA' })
    await expect(promises.resolve4('elsewhere.example.org')).rejects.toMatchObject({ code: 'EREFUSED' })
    await expect(promises.reverse('10.0.0.77')).rejects.toMatchObject({ code: 'ENOTFOUND' })
  })

  it('what is too long for UDP, over TCP', async () => {
    const texts = await lab.stack.dns.promises.resolveTxt('big.example.test')
    expect(texts.map(([text]) => text).sort()).toEqual(BIG)
    expect(lab.stack.counters(true).dns).toMatchObject({ truncated: 1, tcpQueries: 1 })
  })

  it('names of the search list, for everything that takes a name', async () => {
    expect(await lab.stack.dns.promises.lookup('alias')).toEqual({ address: HOST, family: 4 })
    const replies = []
    for await (const reply of lab.stack.ping('www', { count: 2, intervalMs: 10 })) replies.push(reply.error)
    expect(replies).toEqual([undefined, undefined])
  })

  it('and tshark finds nothing wrong with any of it', async () => {
    expect(await endTcpdump(dump)).toBe(0)
    const dns = await judged(wire, 'dns')
    expect(dns.length).toBe(20)
    expect(await judged(wire, '_ws.malformed || dns.flags.z == 1')).toEqual([])
    expect(await judged(wire, 'dns && ip.src == 10.0.0.2 && udp && !(dns.count.add_rr == 1)')).toEqual([])
  })

  it('a server that has ended: at once, by ICMP', async () => {
    await dnsmasq.stop('SIGTERM')
    const start = performance.now()
    await expect(lab.stack.dns.promises.resolve4('gone.example.test')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(performance.now() - start).toBeLessThan(4900) // an answer is waited for for five seconds
  })
})
