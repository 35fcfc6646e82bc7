/** The resolver and the server of the house, one against the other, in the shape of node:dns. */
import type { LookupAddress } from 'node:dns'
import { afterEach, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createStack, type NodeStack } from '../../src/node/stack.ts'

const open: NodeStack[] = []

afterEach(async () => {
  for (const stack of open.splice(0)) await stack.close()
})

const ZONE = `
@ SOA ns host 1 2 3 4 60
@ NS ns
@ MX 10 mail
@ TXT "v=spf1" "two \\"words\\""
@ CAA 0 issue "ca.example"
@ NAPTR 1 2 "s" "SIP+D2U" "" _sip._udp
@ HTTPS 1 . alpn="h2" ipv4hint=10.0.0.2
ns 77 A 10.0.0.2
mail A 10.0.0.3
mail AAAA fd00::3
web A 10.0.0.66
web AAAA fd00::2
www CNAME web
_sip._udp SRV 1 2 5060 mail
_443._tcp TLSA 3 1 1 010203
_svc SVCB 0 svc.example.net.
moved DNAME below
x.below A 10.0.0.5
x TYPE731 \\# 2 abcd
*.wild A 10.0.0.6
${Array.from({ length: 100 }, (_, i) => `many A 10.2.0.${i}`).join('\n')}
`

function pair(): { stack: NodeStack; far: NodeStack } {
  const options = { arp: { probe: false }, nd: { dadTransmits: 0 } }
  const stack = createStack({ ...options, dns: { servers: ['10.0.0.2'], searchDomains: ['lab.test'] } })
  const far = createStack(options)
  open.push(stack, far)
  const [left, right] = createPipe()
  stack.attach(left, { addresses: ['10.0.0.1/24', 'fd00::1/64'] })
  far.attach(right, { addresses: ['10.0.0.2/24', 'fd00::2/64'] })
  far.dnsServer({ zones: { 'lab.test': ZONE } })
  return { stack, far }
}

it('every type that there is a call for', async () => {
  const { promises: dns } = pair().stack.dns
  expect(await dns.resolve4('ns.lab.test', { ttl: true })).toEqual([{ address: '10.0.0.2', ttl: 77 }])
  expect(await dns.resolve6('mail.lab.test')).toEqual(['fd00::3'])
  expect(await dns.resolve4('www.lab.test')).toEqual(['10.0.0.66'])
  expect(await dns.resolveCname('www.lab.test')).toEqual(['web.lab.test'])
  expect(await dns.resolveMx('lab.test')).toEqual([{ exchange: 'mail.lab.test', priority: 10 }])
  expect(await dns.resolveNs('lab.test')).toEqual(['ns.lab.test'])
  expect(await dns.resolveTxt('lab.test')).toEqual([['v=spf1', 'two "words"']])
  expect(await dns.resolveCaa('lab.test')).toEqual([{ critical: 0, issue: 'ca.example' }])
  expect(await dns.resolveNaptr('lab.test')).toEqual([
    { flags: 's', service: 'SIP+D2U', regexp: '', replacement: '_sip._udp.lab.test', order: 1, preference: 2 },
  ])
  expect(await dns.resolveSrv('_sip._udp.lab.test')).toEqual([{ name: 'mail.lab.test', port: 5060, priority: 1, weight: 2 }])
  expect(await dns.resolveSoa('lab.test')).toMatchObject({
    nsname: 'ns.lab.test',
    hostmaster: 'host.lab.test',
    serial: 1,
    minttl: 60,
  })
  expect(await dns.resolveTlsa('_443._tcp.lab.test')).toEqual([
    { certUsage: 3, selector: 1, match: 1, data: Uint8Array.of(1, 2, 3).buffer },
  ])
  expect(await dns.resolvePtr('3.0.0.10.in-addr.arpa')).toEqual(['mail.lab.test'])
  expect(await dns.reverse('fd00::3')).toEqual(['mail.lab.test'])
  expect((await dns.resolveAny('mail.lab.test')).map((r) => r.type)).toEqual(['A'])
  expect(await dns.resolve4('x.moved.lab.test')).toEqual(['10.0.0.5'])
  expect(await dns.resolve4('any.wild.lab.test')).toEqual(['10.0.0.6'])
  expect(await dns.resolve4('localhost')).toEqual(['127.0.0.1'])
})

it('types without a call of their own, with their fields or bytes', async () => {
  const { resolver } = pair().stack
  const data = async (name: string, type: string) => (await resolver.resolve(name, type)).records.map((r) => r.data)
  expect(await data('lab.test', 'HTTPS')).toMatchObject([{ priority: 1, target: '', params: [{ key: 1 }, { key: 4 }] }])
  expect(await data('_svc.lab.test', 'SVCB')).toEqual([{ priority: 0, target: 'svc.example.net', params: [] }])
  expect(await data('moved.lab.test', 'DNAME')).toEqual([{ target: 'below.lab.test' }])
  expect(await data('x.lab.test', 'TYPE731')).toEqual([{ bytes: Uint8Array.of(0xab, 0xcd) }])
})

it('what is too long for UDP comes over TCP; what is not there is remembered for as long as the server says', async () => {
  const { stack, far } = pair()
  const { promises: dns } = stack.dns
  expect((await dns.resolve4('many.lab.test')).length).toBe(100)
  expect(stack.counters(true).dns).toMatchObject({ truncated: 1, tcpQueries: 1 })
  for (let i = 0; i < 3; i++) await expect(dns.resolve4('nothing.lab.test')).rejects.toMatchObject({ code: 'ENOTFOUND' })
  await expect(dns.resolveMx('mail.lab.test')).rejects.toMatchObject({ code: 'ENODATA' })
  await expect(dns.resolve4('www.example.org')).rejects.toMatchObject({ code: 'EREFUSED' })
  expect(far.counters(true)['dns.server']).toMatchObject({ nxDomain: 1, refused: 2, truncated: 1 })
  expect((await stack.resolver.resolve('nothing.lab.test', 'A')).ttl).toBeGreaterThan(50)
})

it('connections by name: of two families the one that answers (RFC 8305), by the search list', async () => {
  const { stack, far } = pair()
  const server = far.net.createServer((socket) => {
    socket.on('error', () => undefined) // the stacks are closed with it
    socket.end('hello')
  })
  await new Promise<void>((resolve) => server.listen(80, '::', resolve))
  const both = (await stack.dns.promises.lookup('web', { all: true })) as LookupAddress[]
  expect(both.map((one) => one.address).sort()).toEqual(['10.0.0.66', 'fd00::2'])
  const got = await new Promise<string>((resolve, reject) => {
    // Nobody has 10.0.0.66: only the other one can be it.
    const socket = stack.net.connect({ host: 'web', port: 80, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 20 })
    socket.setEncoding('utf8')
    socket.on('data', (text) => resolve(`${text} from ${socket.remoteAddress}`))
    socket.on('error', reject)
  })
  expect(got).toBe('hello from fd00::2')
  server.close()
})
