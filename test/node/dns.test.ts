import nodeDns from 'node:dns'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createStack, type NodeStack } from '../../src/node/stack.ts'
import { a, aaaa, cname, record, reply, type Script, soa, TestServer, zone } from '../support/dns-server.ts'

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0))

const EXAMPLE = zone(
  a('www.example.com', '10.0.0.2'),
  aaaa('www.example.com', 'fd00::2'),
  a('four.example.com', '10.0.0.2', 77),
  cname('alias.example.com', 'four.example.com'),
  record('example.com', 'MX', { preference: 10, exchange: 'mail.example.com' }),
  record('example.com', 'TXT', { strings: [bytes('v=spf1'), bytes('caf\xe9')] }),
  record('example.com', 'NS', { nsdname: 'ns.example.com' }),
  record('example.com', 'CAA', { flags: 0, tag: bytes('issue'), value: bytes('ca.example') }),
  record('example.com', 'NAPTR', {
    order: 1,
    preference: 2,
    flags: bytes('s'),
    services: bytes('SIP+D2U'),
    regexp: bytes(''),
    replacement: '_sip._udp.example.com',
  }),
  record('_sip._udp.example.com', 'SRV', { priority: 1, weight: 2, port: 5060, target: 'four.example.com' }),
  record('_443._tcp.example.com', 'TLSA', { usage: 3, selector: 1, matchingType: 1, data: Uint8Array.of(1, 2, 3) }),
  record('2.0.0.10.in-addr.arpa', 'PTR', { ptrdname: 'four.example.com' }),
  soa('example.com'),
  soa('0.10.in-addr.arpa'),
)

const open: NodeStack[] = []

afterEach(async () => {
  for (const stack of open.splice(0)) await stack.close()
})

/** Two stacks: the second one has the server, and whatever else is to be reached. */
function pair(script: Script = EXAMPLE, dns: object = {}): { stack: NodeStack; far: NodeStack; server: TestServer } {
  const options = { arp: { probe: false }, nd: { dadTransmits: 0 } }
  const stack = createStack({ ...options, dns: { servers: ['10.0.0.2'], ...dns } })
  const far = createStack(options)
  open.push(stack, far)
  const [left, right] = createPipe()
  stack.attach(left, { addresses: ['10.0.0.1/24', 'fd00::1/64'] })
  far.attach(right, { addresses: ['10.0.0.2/24', 'fd00::2/64'] })
  return { stack, far, server: new TestServer(far, script, '10.0.0.2') }
}

/** What a call comes to, as plain data: value, or the error with its fields; thrown at once or told. */
async function outcome(run: () => unknown): Promise<unknown> {
  try {
    return { value: await run() }
  } catch (thrown) {
    const { name, message, code, errno, syscall, hostname } = thrown as Record<string, unknown>
    return { name, message, code, errno, syscall, hostname }
  }
}

function called(run: (callback: (...args: unknown[]) => void) => unknown): Promise<unknown> {
  return outcome(
    () =>
      new Promise((resolve, reject) => {
        run((error, ...values) => (error ? reject(error) : resolve(values)))
      }),
  )
}

describe('side by side with node:dns, where no network is needed', () => {
  type Case = [what: string, run: (dns: typeof nodeDns) => Promise<unknown>]
  const bad = (value: unknown): never => value as never
  const cases: Case[] = [
    ['lookup of a literal', (dns) => called((cb) => dns.lookup('127.0.0.1', cb))],
    ['of all of them', (dns) => called((cb) => dns.lookup('::1', { all: true, family: 4 }, cb))],
    ['of nothing', (dns) => called((cb) => dns.lookup('', { all: true }, cb))],
    ['promisified', (dns) => outcome(() => promisify(dns.lookup)('10.1.2.3'))],
    ['promisified, all', (dns) => outcome(() => promisify(dns.lookup)('10.1.2.3', { all: true }))],
    ['as a promise', (dns) => outcome(() => dns.promises.lookup('fd00::1'))],
    ['localhost', (dns) => called((cb) => dns.lookup('localhost', { family: 4 }, cb))],
    ['without a callback', (dns) => outcome(() => dns.lookup('a', bad(undefined)))],
    ['of a number', (dns) => outcome(() => dns.lookup(bad(5), () => undefined))],
    ['a family that is none', (dns) => outcome(() => dns.lookup('a', 5, () => undefined))],
    ['hints that are none', (dns) => outcome(() => dns.lookup('a', { hints: 1 }, () => undefined))],
    ['all that is no boolean', (dns) => outcome(() => dns.lookup('a', { all: bad(1) }, () => undefined))],
    ['resolve4 of a number', (dns) => outcome(() => dns.resolve4(bad(5), () => undefined))],
    ['resolve4 without a callback', (dns) => outcome(() => dns.resolve4('a', bad(undefined)))],
    ['a type that is none', (dns) => outcome(() => dns.resolve('a', bad('NONE'), () => undefined))],
    ['a type that is a number', (dns) => outcome(() => dns.resolve('a', bad(1), () => undefined))],
    ['reverse of a name', (dns) => outcome(() => dns.reverse('name', () => undefined))],
    ['reverse of a name, as a promise', (dns) => outcome(() => dns.promises.reverse('name'))],
    ['lookupService with too few', (dns) => outcome(() => (dns.lookupService as (...args: unknown[]) => void)('127.0.0.1', 22))],
    ['lookupService of a name', (dns) => outcome(() => dns.lookupService('name', 22, () => undefined))],
    ['lookupService of no port', (dns) => outcome(() => dns.lookupService('127.0.0.1', 65536, () => undefined))],
    ['lookupService of localhost', (dns) => called((cb) => dns.lookupService('127.0.0.1', 22, cb))],
    ['servers that are none', (dns) => outcome(() => new dns.Resolver().setServers(['nobody']))],
    ['servers that are no list', (dns) => outcome(() => new dns.Resolver().setServers(bad('10.0.0.1')))],
    ['a server that is a number', (dns) => outcome(() => new dns.Resolver().setServers(bad([1])))],
    [
      'servers, shown again',
      (dns) =>
        outcome(() => {
          const resolver = new dns.Resolver()
          resolver.setServers([
            '10.0.0.1',
            '10.0.0.1:53',
            '10.0.0.1:5353',
            '2001:DB8::1',
            '[2001:db8::2]:53',
            '[2001:db8::2]:5353',
          ])
          return resolver.getServers()
        }),
    ],
    ['no such order', (dns) => outcome(() => dns.setDefaultResultOrder(bad('random')))],
    ['tries that cannot be', (dns) => outcome(() => new dns.Resolver({ tries: 0 }))],
    ['a timeout that cannot be', (dns) => outcome(() => new dns.Resolver({ timeout: -2 }))],
  ]

  it.each(cases)('%s', async (_, run) => {
    const stack = createStack()
    open.push(stack)
    const ours = await run(stack.dns as unknown as typeof nodeDns)
    const theirs = await run(nodeDns)
    // Newer versions of Node know more orders.
    const plain = (x: unknown): unknown => JSON.parse(JSON.stringify(x).replace(/, 'ipv6first'|'ipv6first', /g, ''))
    expect(plain(ours)).toEqual(plain(theirs))
  })

  it('the module has what that of Node has', () => {
    const stack = createStack()
    open.push(stack)
    const names = (of: object): string[] => Object.keys(of).filter((n) => n !== 'default')
    expect(names(stack.dns)).toEqual(expect.arrayContaining(names(nodeDns)))
    expect(names(stack.dns.promises)).toEqual(expect.arrayContaining(names(nodeDns.promises)))
    for (const name of names(nodeDns)) {
      const theirs = nodeDns[name as keyof typeof nodeDns]
      if (typeof theirs !== 'object') expect(typeof stack.dns[name as keyof typeof stack.dns], name).toBe(typeof theirs)
      if (typeof theirs === 'string') expect(stack.dns[name as keyof typeof stack.dns]).toBe(theirs)
    }
    for (const method of ['resolve', 'resolve4', 'reverse', 'cancel', 'getServers', 'setServers', 'setLocalAddress']) {
      expect(typeof (stack.dns.Resolver.prototype as unknown as Record<string, unknown>)[method]).toBe('function')
    }
  })
})

describe('answers in the shapes of node:dns', () => {
  it.each([
    ['resolve4', 'four.example.com', ['10.0.0.2']],
    ['resolve6', 'www.example.com', ['fd00::2']],
    ['resolveCname', 'alias.example.com', ['four.example.com']],
    ['resolveMx', 'example.com', [{ exchange: 'mail.example.com', priority: 10 }]],
    ['resolveTxt', 'example.com', [['v=spf1', 'caf\xe9']]],
    ['resolveNs', 'example.com', ['ns.example.com']],
    ['resolveCaa', 'example.com', [{ critical: 0, issue: 'ca.example' }]],
    ['resolveSrv', '_sip._udp.example.com', [{ name: 'four.example.com', port: 5060, priority: 1, weight: 2 }]],
    ['resolvePtr', '2.0.0.10.in-addr.arpa', ['four.example.com']],
    ['resolveTlsa', '_443._tcp.example.com', [{ certUsage: 3, selector: 1, match: 1, data: Uint8Array.of(1, 2, 3).buffer }]],
    [
      'resolveNaptr',
      'example.com',
      [{ flags: 's', service: 'SIP+D2U', regexp: '', replacement: '_sip._udp.example.com', order: 1, preference: 2 }],
    ],
    [
      'resolveSoa',
      'example.com',
      { nsname: 'ns.example.com', hostmaster: 'host.example.com', serial: 1, refresh: 2, retry: 3, expire: 4, minttl: 60 },
    ],
  ] as const)('%s %s', async (call, name, shape) => {
    const { stack } = pair()
    const promises = stack.dns.promises as unknown as Record<string, (name: string) => Promise<unknown>>
    expect(await promises[call](name)).toEqual(shape)
    const callbacks = stack.dns as unknown as Record<string, (name: string, callback: (...args: unknown[]) => void) => void>
    expect(await called((cb) => callbacks[call](name, cb))).toEqual({ value: [shape] })
  })

  it('with TTLs, of any type, by the name of the type', async () => {
    const { stack } = pair()
    const { promises } = stack.dns
    expect(await promises.resolve4('four.example.com', { ttl: true })).toEqual([{ address: '10.0.0.2', ttl: 77 }])
    expect(await promises.resolve('example.com', 'MX')).toEqual([{ exchange: 'mail.example.com', priority: 10 }])
    expect(await promises.resolve('four.example.com')).toEqual(['10.0.0.2'])
    expect(await promises.resolveAny('www.example.com')).toEqual([
      { address: '10.0.0.2', ttl: 300, type: 'A' },
      { address: 'fd00::2', ttl: 300, type: 'AAAA' },
    ])
    const any = await promises.resolveAny('example.com')
    expect(any.map((one) => one.type).sort()).toEqual(['CAA', 'MX', 'NAPTR', 'NS', 'SOA', 'TXT'])
    expect(any).toContainEqual({ entries: ['v=spf1', 'caf\xe9'], type: 'TXT' })
  })

  it('reverse and lookupService', async () => {
    const { stack } = pair()
    expect(await stack.dns.promises.reverse('10.0.0.2')).toEqual(['four.example.com'])
    expect(await stack.dns.promises.lookupService('10.0.0.2', 443)).toEqual({ hostname: 'four.example.com', service: 'https' })
    expect(await promisify(stack.dns.lookupService)('10.0.0.2', 9999)).toEqual({ hostname: 'four.example.com', service: '9999' })
    expect(await outcome(() => stack.dns.promises.reverse('10.0.0.3'))).toMatchObject({
      message: 'getHostByAddr ENOTFOUND 10.0.0.3',
      code: 'ENOTFOUND',
      syscall: 'getHostByAddr',
      hostname: '10.0.0.3',
    })
    expect(await outcome(() => stack.dns.promises.lookupService('10.0.0.3', 1))).toMatchObject({
      message: 'getnameinfo ENOTFOUND 10.0.0.3',
      code: 'ENOTFOUND',
    })
  })

  it.each([
    ['ENOTFOUND', 'nothing.example.com', 'resolve4', 'queryA'],
    ['ENODATA', 'four.example.com', 'resolveMx', 'queryMx'],
    ['EBADNAME', 'a..b', 'resolve6', 'queryAaaa'],
  ] as const)('%s', async (code, name, call, syscall) => {
    const { stack } = pair()
    expect(await outcome(() => stack.dns.promises[call](name))).toEqual({
      name: 'Error',
      message: `${syscall} ${code} ${name}`,
      code,
      errno: undefined,
      syscall,
      hostname: name,
    })
  })
})

describe('lookup', () => {
  it('both families, in the order of RFC 6724 or with one family first', async () => {
    const { stack } = pair()
    const { lookup } = stack.dns.promises
    const six = { address: 'fd00::2', family: 6 }
    const four = { address: '10.0.0.2', family: 4 }
    expect(await lookup('www.example.com', { all: true })).toEqual([four, six])
    expect(await lookup('www.example.com', { all: true, verbatim: false })).toEqual([four, six])
    stack.dns.setDefaultResultOrder('ipv6first' as 'ipv4first')
    expect(stack.dns.getDefaultResultOrder()).toBe('ipv6first')
    expect(await lookup('www.example.com', { all: true })).toEqual([six, four])
    expect(await lookup('www.example.com', 4)).toEqual(four)
    expect(await lookup('www.example.com', { family: 6 })).toEqual(six)
    expect(await lookup('alias.example.com')).toEqual(four)
  })

  it('hints: IPv4 in the clothes of IPv6', async () => {
    const { stack } = pair()
    const { lookup } = stack.dns.promises
    const { V4MAPPED, ALL } = stack.dns
    const mapped = { address: '::ffff:10.0.0.2', family: 6 }
    expect(await lookup('four.example.com', { family: 6, hints: V4MAPPED })).toEqual(mapped)
    expect(await lookup('www.example.com', { family: 6, hints: V4MAPPED, all: true })).toEqual([
      { address: 'fd00::2', family: 6 },
    ])
    expect(await lookup('www.example.com', { family: 6, hints: V4MAPPED | ALL, all: true })).toEqual([
      { address: 'fd00::2', family: 6 },
      mapped,
    ])
    expect(await outcome(() => lookup('four.example.com', 6))).toMatchObject({ code: 'ENOTFOUND' })
  })

  it('there is none, and nobody could say', async () => {
    const { stack, server } = pair()
    expect(await called((cb) => stack.dns.lookup('nothing.example.com', cb))).toEqual({
      name: 'Error',
      message: 'getaddrinfo ENOTFOUND nothing.example.com',
      code: 'ENOTFOUND',
      errno: -3008,
      syscall: 'getaddrinfo',
      hostname: 'nothing.example.com',
    })
    server.script = (asked) => reply(asked, { rcode: 2 })
    expect(await outcome(() => stack.dns.promises.lookup('broken.example.com'))).toMatchObject({
      code: 'EAI_AGAIN',
      errno: -3001,
    })
  })

  it('search domains, ndots, hosts, letters beyond ASCII', async () => {
    const hosts = '10.9.9.9 printer Printer.Home # the one upstairs\nfd00::9 printer\nnonsense here\n'
    const { stack, server } = pair(EXAMPLE, { searchDomains: ['example.net', 'example.com'], hosts })
    const { lookup, reverse } = stack.dns.promises
    expect((await lookup('four')).address).toBe('10.0.0.2')
    expect(server.log).toEqual(['A four.example.net', 'AAAA four.example.net', 'A four.example.com', 'AAAA four.example.com'])
    expect(await outcome(() => lookup('four.'))).toMatchObject({ code: 'ENOTFOUND' })
    expect(await lookup('PRINTER', { all: true, family: 4 })).toEqual([{ address: '10.9.9.9', family: 4 }])
    expect((await lookup('printer', { family: 6 })).address).toBe('fd00::9')
    expect(await reverse('10.9.9.9')).toEqual(['printer', 'Printer.Home'])
    await outcome(() => lookup('bücher.example.'))
    expect(server.log.at(-1)).toMatch(/ xn--bcher-kva\.example$/)
  })
})

describe("a Resolver of one's own", () => {
  it('has its servers, its time, its address, and ends when it is told to', async () => {
    const { stack, far } = pair(EXAMPLE, { servers: ['10.0.0.77'] })
    const other = new TestServer(far, EXAMPLE, '10.0.0.2', 5300)
    const resolver = new stack.dns.promises.Resolver({ timeout: 5, tries: 1 })
    resolver.setServers(['10.0.0.2:5300'])
    expect(resolver.getServers()).toEqual(['10.0.0.2:5300'])
    expect(stack.dns.getServers()).toEqual(['10.0.0.77'])
    expect(await resolver.resolve4('four.example.com')).toEqual(['10.0.0.2'])
    await stack.interfaces[0].addAddress('10.0.0.5/24', { probe: false })
    resolver.setLocalAddress('10.0.0.5')
    const seen: string[] = []
    other.socket.handler = {
      onReadable: (socket) => {
        seen.push('asked')
        TestServer.prototype.onReadable.call(other, socket)
      },
    }
    expect(await resolver.resolve4('four.example.com')).toEqual(['10.0.0.2'])
    expect(seen).toEqual(['asked'])
    other.script = () => null
    expect(await outcome(() => resolver.resolve4('four.example.com'))).toMatchObject({ code: 'ETIMEOUT', syscall: 'queryA' })
    const slow = new stack.dns.Resolver()
    slow.setServers(['10.0.0.2:5300'])
    const cancelled = called((cb) => slow.resolveMx('example.com', cb))
    setImmediate(() => slow.cancel())
    expect(await cancelled).toMatchObject({ code: 'ECANCELLED', message: 'queryMx ECANCELLED example.com' })
    const ended = outcome(() => new stack.dns.promises.Resolver().resolve4('four.example.com'))
    await stack.close()
    expect(await ended).toMatchObject({ code: 'ECANCELLED' })
  })
})

describe('names in place of addresses', () => {
  it('net.connect, http.get, dgram, ping', async () => {
    const { stack, far } = pair()
    const server = far.http.createServer((request, response) => response.end(`hello ${request.headers.host}`))
    await new Promise<void>((done) => server.listen(80, () => done()))
    const body = await new Promise<string>((resolve, reject) => {
      stack.http
        .get('http://www.example.com/', (response) => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (chunk) => {
            text += chunk
          })
          response.on('end', () => resolve(text))
        })
        .on('error', reject)
    })
    expect(body).toBe('hello www.example.com')
    const connected = stack.net.connect({ host: 'alias.example.com', port: 80 })
    await new Promise<void>((done) => connected.once('connect', () => done()))
    expect(connected.remoteAddress).toBe('10.0.0.2')
    connected.destroy()
    const hears = far.dgram.createSocket('udp4')
    const heard = new Promise<string>((done) => hears.on('message', (message) => done(message.toString())))
    await new Promise<void>((done) => hears.bind(4000, () => done()))
    const speaks = stack.dgram.createSocket('udp4')
    speaks.send('by name', 4000, 'four.example.com')
    expect(await heard).toBe('by name')
    const replies: unknown[] = []
    for await (const one of stack.ping('four.example.com', { count: 1 })) replies.push(one)
    expect(replies).toMatchObject([{ seq: 1, from: '10.0.0.2' }])
    await expect(stack.ping('nothing.example.com').next()).rejects.toMatchObject({ code: 'ENOTFOUND' })
    const hops = stack.traceroute('www.example.com', { queries: 1, source: undefined })
    expect((await hops.next()).value).toMatchObject({ hop: 1, reached: true })
    await hops.return?.()
    server.close()
  })

  it('a name that is not there: the error of Node', async () => {
    const { stack } = pair()
    const socket = stack.net.connect({ host: 'nothing.example.com', port: 80 })
    const error = await new Promise<NodeJS.ErrnoException>((done) => socket.once('error', done))
    expect(error).toMatchObject({
      code: 'ENOTFOUND',
      syscall: 'getaddrinfo',
      message: 'getaddrinfo ENOTFOUND nothing.example.com',
    })
  })
})
