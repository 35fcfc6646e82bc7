import { afterEach, describe, expect, it } from 'vitest'
import type { ConfigOverrides } from '../../src/base/config.ts'
import type { DnsConfig } from '../../src/base/dns-config.ts'
import { type Message, message, Rcode } from '../../src/dns/message.ts'
import type { Outcome } from '../../src/dns/outcome.ts'
import { isType } from '../../src/dns/records.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { a, aaaa, cname, record, reply, type Script, soa, TestServer, zone } from '../support/dns-server.ts'

const worlds: World[] = []

afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

interface Setting {
  world: World
  stack: Stack
  server: TestServer
  far: Stack
}

/** A stack, and a server behind a link of 1 ms. */
function setting(script: Script, dns: Partial<DnsConfig> = {}, more: ConfigOverrides = {}): Setting {
  const world = createWorld()
  worlds.push(world)
  const stack = world.stack({ dns: { servers: ['10.0.0.2'], ...dns }, ...more })
  const far = world.stack()
  world.link(stack, far, { delay: 1 })
  return { world, stack, far, server: new TestServer(far, script, '10.0.0.2') }
}

async function resolve({ world, stack }: Setting, name: string, type = 'A'): Promise<Outcome> {
  return world.settle(stack.resolver.resolve(name, type))
}

function shown(o: Outcome): string {
  const texts = o.records.map((r) => {
    return isType(r, 'A') || isType(r, 'AAAA') ? `${r.data.address}` : isType(r, 'CNAME') ? r.data.cname : r.type
  })
  return o.code === '' ? texts.join(' ') : o.code
}

function counts(s: Setting): Record<string, number> {
  return s.stack.counters(true).dns
}

const EXAMPLE = zone(
  a('www.example.com', '192.0.2.1'),
  a('www.example.com', '192.0.2.2', 30),
  aaaa('www.example.com', '2001:db8::1'),
  cname('alias.example.com', 'www.example.com', 20),
  cname('outside.example.com', 'nothing.example.com'),
  record('_sip._udp.example.com', 'SRV', { priority: 1, weight: 2, port: 5060, target: 'sip.example.com' }),
  soa('example.com', 60),
)

describe('questions and answers', () => {
  it('records of a name, once each, and the least TTL of them', async () => {
    const s = setting(EXAMPLE)
    const o = await resolve(s, 'WWW.example.com.')
    expect(shown(o)).toBe('192.0.2.1 192.0.2.2')
    expect(o).toMatchObject({ canonical: 'www.example.com', ttl: 30 })
    expect(s.server.log).toEqual(['A www.example.com'])
    expect(counts(s)).toEqual({ questions: 1, udpQueries: 1, answers: 1 })
  })

  it('the question wants recursion, has EDNS, another number, port and case each time', async () => {
    const s = setting((asked) => reply(asked, { answers: [a(asked.name, '192.0.2.1', 0)] }))
    for (let i = 0; i < 12; i++) expect(shown(await resolve(s, 'www.some-long-name.example.com'))).toBe('192.0.2.1')
    const { asked } = s.server
    expect(asked.length).toBe(12)
    expect(asked.every((q) => q.message.recursionDesired && q.message.edns?.udpPayloadBytes === 1232)).toBe(true)
    expect(new Set(asked.map((q) => q.message.id)).size).toBeGreaterThan(10)
    expect(new Set(asked.map((q) => q.port)).size).toBeGreaterThan(10)
    expect(new Set(asked.map((q) => q.message.questions[0].name)).size).toBe(12)
  })

  it('equal questions under way are one', async () => {
    const s = setting(EXAMPLE)
    const { resolver } = s.stack
    const all = await s.world.settle(Promise.all([1, 2, 3].map(() => resolver.resolve('www.example.com', 'A'))))
    expect(all.map(shown)).toEqual(Array(3).fill('192.0.2.1 192.0.2.2'))
    expect(counts(s)).toMatchObject({ questions: 3, coalesced: 2, udpQueries: 1 })
  })

  it('no such name, no such record, a name that is none, a type that is none', async () => {
    const s = setting(EXAMPLE)
    expect(shown(await resolve(s, 'nothing.example.com'))).toBe('ENOTFOUND')
    expect(shown(await resolve(s, 'www.example.com', 'MX'))).toBe('ENODATA')
    expect(shown(await resolve(s, 'www..com'))).toBe('EBADNAME')
    expect(shown(await resolve(s, 'www.example.com', 'BOGUS'))).toBe('EBADNAME')
  })

  it('names that no server is asked for (RFC 6761, RFC 6762)', async () => {
    const s = setting(EXAMPLE)
    expect(shown(await resolve(s, 'localhost'))).toBe('127.0.0.1')
    expect(shown(await resolve(s, 'app.localhost.', 'AAAA'))).toBe('::1')
    expect(shown(await resolve(s, 'localhost', 'MX'))).toBe('ENODATA')
    for (const name of ['printer.local', 'no.invalid', 'hidden.onion']) expect(shown(await resolve(s, name))).toBe('ENOTFOUND')
    expect(s.server.log).toEqual([])
    expect(counts(s)).toEqual({ questions: 6, ownAnswers: 6 })
  })

  it('without a server it is said so', async () => {
    const s = setting(EXAMPLE, { servers: [] })
    expect(await resolve(s, 'www.example.com')).toMatchObject({
      code: 'ENOTFOUND',
      why: expect.stringContaining('no DNS server'),
    })
  })

  it('a type that nobody knows is its bytes (RFC 3597)', async () => {
    const s = setting((asked) =>
      reply(asked, { answers: [{ name: 'x.example', type: 'TYPE731', class: 1, ttl: 9, data: { bytes: Uint8Array.of(1, 2) } }] }),
    )
    expect((await resolve(s, 'x.example', 'TYPE731')).records[0].data).toEqual({ bytes: Uint8Array.of(1, 2) })
  })
})

describe('chains', () => {
  it('of CNAMEs in one answer are followed; the least TTL holds for the whole', async () => {
    const s = setting(EXAMPLE)
    expect(await resolve(s, 'alias.example.com')).toMatchObject({ code: '', canonical: 'www.example.com', ttl: 20 })
    expect(shown(await resolve(s, 'alias.example.com', 'CNAME'))).toBe('www.example.com')
    expect(shown(await resolve(s, 'outside.example.com'))).toBe('ENOTFOUND')
  })

  it('that lead out of the answer are asked for', async () => {
    const inner = zone(a('far.example.net', '192.0.2.7'), soa('example.net'))
    const s = setting((asked) =>
      asked.name === 'near.example.com' ? reply(asked, { answers: [cname(asked.name, 'far.example.net')] }) : inner(asked),
    )
    expect(shown(await resolve(s, 'near.example.com'))).toBe('192.0.2.7')
    expect(s.server.log).toEqual(['A near.example.com', 'A far.example.net'])
  })

  it('DNAME moves a whole tree (RFC 6672)', async () => {
    const dname = record('example.com', 'DNAME', { target: 'example.net' })
    const s = setting((asked) => reply(asked, { answers: [dname, a('a.b.example.net', '192.0.2.8')] }))
    expect(shown(await resolve(s, 'a.b.example.com'))).toBe('192.0.2.8')
  })

  it('circles end, in one answer and over several', async () => {
    const one = setting((asked) => reply(asked, { answers: [cname('a.example', 'b.example'), cname('b.example', 'a.example')] }))
    expect(shown(await resolve(one, 'a.example'))).toBe('EBADRESP')
    const many = setting((asked) => reply(asked, { answers: [cname(asked.name, `x${asked.name}`.slice(0, 40))] }), {
      maxChain: 5,
    })
    expect(shown(await resolve(many, 'a.example'))).toBe('EBADRESP')
    expect(many.server.asked.length).toBe(6)
    expect(counts(many).chainTooLong).toBe(1)
  })

  it('what else an answer tells is neither used nor remembered', async () => {
    const other = a('bank.example', '203.0.113.66')
    const s = setting((asked) => {
      if (asked.name === 'bank.example') return reply(asked, { answers: [a('bank.example', '192.0.2.9')] })
      return reply(asked, { answers: [a('www.example', '192.0.2.1'), other], authorities: [other], additionals: [other] })
    })
    expect(shown(await resolve(s, 'www.example'))).toBe('192.0.2.1')
    expect(shown(await resolve(s, 'bank.example'))).toBe('192.0.2.9')
  })
})

describe('what is remembered', () => {
  it('for as long as the TTL says, with what is left of it', async () => {
    const s = setting(EXAMPLE)
    await resolve(s, 'www.example.com')
    s.world.run(10_500)
    expect((await resolve(s, 'www.example.com')).records.map((r) => r.ttl)).toEqual([290, 20])
    s.world.run(19_400)
    await resolve(s, 'www.example.com')
    expect(s.server.asked.length).toBe(1)
    s.world.run(200)
    await resolve(s, 'www.example.com')
    expect(s.server.asked.length).toBe(2)
    expect(counts(s)).toMatchObject({ cacheHits: 2, cacheExpired: 1 })
  })

  it("that a name is not there, for all types, for the SOA's minimum (RFC 2308)", async () => {
    const s = setting(EXAMPLE)
    await resolve(s, 'nothing.example.com')
    expect(shown(await resolve(s, 'nothing.example.com', 'MX'))).toBe('ENOTFOUND')
    await resolve(s, 'www.example.com', 'MX')
    expect(shown(await resolve(s, 'www.example.com', 'MX'))).toBe('ENODATA')
    expect(s.server.asked.length).toBe(2)
    s.world.run(61_000)
    await resolve(s, 'nothing.example.com')
    await resolve(s, 'www.example.com', 'MX')
    expect(s.server.asked.length).toBe(4)
  })

  it('not without an SOA, nor with a TTL of zero', async () => {
    const s = setting(zone(a('zero.example', '192.0.2.1', 0)))
    for (let i = 0; i < 2; i++) {
      await resolve(s, 'nothing.example')
      await resolve(s, 'zero.example')
    }
    expect(s.server.asked.length).toBe(4)
  })

  it('within bounds: the one that was used longest ago goes', async () => {
    const s = setting((asked) => reply(asked, { answers: [a(asked.name, '192.0.2.1')] }), { cacheEntries: 2 })
    for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await resolve(s, `${name}.example`)
    expect(s.server.log).toEqual(['A a.example', 'A b.example', 'A c.example', 'A b.example'])
    expect(s.stack.resolver.cache.size).toBe(2)
    expect(counts(s).cacheEvicted).toBe(2)
  })

  it('within the seconds that the configuration allows; and what is old goes when nobody asks', async () => {
    const s = setting(zone(a('long.example', '192.0.2.1', 0x7fffffff)), { cacheMaxSeconds: 100 })
    await resolve(s, 'long.example')
    expect(s.stack.resolver.cache.size).toBe(1)
    s.world.run(3_700_000)
    expect(s.stack.resolver.cache.size).toBe(0)
    expect(s.world.host.nextMs).toBe(-1)
  })
})

describe('servers', () => {
  it('that are silent are asked in rounds, as resolv.conf(5) has it', async () => {
    const s = setting(() => null, { servers: ['10.0.0.2', '10.0.0.3'] })
    await s.far.interfaces[0].addAddress('10.0.0.3/24', { probe: false })
    const other = new TestServer(s.far, () => null, '10.0.0.3')
    const o = await s.world.settle(s.stack.resolver.resolve('www.example.com', 'A'))
    expect(o.code).toBe('ETIMEOUT')
    expect([s.server.asked.length, other.asked.length]).toEqual([2, 2])
    // 5 s each, then twice that shared by two.
    expect(Math.round(s.world.elapsedMs / 100)).toBe(200)
    expect(counts(s)).toMatchObject({ timeouts: 4, udpQueries: 4 })
  })

  it.each([
    ['ESERVFAIL', Rcode.SERVFAIL],
    ['EREFUSED', Rcode.REFUSED],
    ['ENOTIMP', Rcode.NOTIMP],
  ])('%s: the next one is asked at once, and it is what is said when no other knows', async (code, rcode) => {
    const s = setting((asked) => reply(asked, { rcode }), { servers: ['10.0.0.2', '10.0.0.3'], attempts: 1 })
    await s.far.interfaces[0].addAddress('10.0.0.3/24', { probe: false })
    const other = new TestServer(s.far, EXAMPLE, '10.0.0.3')
    expect(shown(await resolve(s, 'www.example.com'))).toBe('192.0.2.1 192.0.2.2')
    expect(s.world.elapsedMs).toBeLessThan(20)
    other.script = s.server.script
    expect(shown(await resolve(s, 'other.example.com'))).toBe(code)
  })

  it('that have nobody on the port, or are not recursive, or are on no network, are passed over', async () => {
    const s = setting(EXAMPLE, { servers: ['10.0.0.2:54', '192.0.2.99', '10.0.0.2:55', '10.0.0.2'] })
    const lame = (asked: Parameters<Script>[0]): Message => reply(asked, { recursionAvailable: false })
    new TestServer(s.far, lame, '10.0.0.2', 55)
    expect(shown(await resolve(s, 'www.example.com'))).toBe('192.0.2.1 192.0.2.2')
    expect(counts(s)).toMatchObject({ unreachable: 2, lame: 1, answers: 1 })
    s.stack.resolver.setServers(['10.0.0.2:54'])
    expect(shown(await resolve(s, 'www.example.com'))).toBe('ECONNREFUSED')
  })

  it('rotate begins with another one each time', async () => {
    const s = setting(EXAMPLE, { servers: ['10.0.0.2', '10.0.0.3'], resolvConf: 'options rotate', cacheEntries: 0 })
    await s.far.interfaces[0].addAddress('10.0.0.3/24', { probe: false })
    const other = new TestServer(s.far, EXAMPLE, '10.0.0.3')
    for (let i = 0; i < 4; i++) await resolve(s, 'www.example.com')
    expect([s.server.asked.length, other.asked.length]).toEqual([2, 2])
  })

  it('over IPv6, by a link-local address', async () => {
    const world = createWorld()
    worlds.push(world)
    const stack = world.stack({ nd: { dadTransmits: 0 } })
    const far = world.stack({ nd: { dadTransmits: 0 } })
    const link = world.link(stack, far, { addresses: ['fd00::1/64', 'fd00::2/64'] })
    const local = link.b.addresses.find((x) => x.startsWith('fe80'))!.replace(/[%/].*/, '')
    stack.resolver.setServers([`${local}%eth0`])
    expect(stack.resolver.servers.map((x) => x.text)).toEqual([`${local}%eth0`])
    const server = new TestServer(far, EXAMPLE, '::')
    expect(shown(await world.settle(stack.resolver.resolve('www.example.com', 'AAAA')))).toBe('2001:db8::1')
    expect(server.asked.length).toBe(1)
  })

  it('of the interfaces are asked when none was set', async () => {
    const s = setting(EXAMPLE, { servers: [] })
    Object.defineProperty(s.stack.interfaces[0], 'nameservers', { value: ['10.0.0.2'] })
    expect(shown(await resolve(s, 'www.example.com'))).toBe('192.0.2.1 192.0.2.2')
  })
})

describe('EDNS', () => {
  it.each([
    [
      'FORMERR without a question',
      (asked: Parameters<Script>[0]) => reply(asked, { rcode: Rcode.FORMERR, edns: null, questions: [] }),
    ],
    ['NOTIMP', (asked: Parameters<Script>[0]) => reply(asked, { rcode: Rcode.NOTIMP, edns: null })],
    ['BADVERS', (asked: Parameters<Script>[0]) => reply(asked, { rcode: Rcode.BADVERS })],
  ])('a server that answers %s is asked without, and the next time at once', async (_, refuse) => {
    const s = setting((asked) => (asked.message.edns === null ? EXAMPLE(asked) : refuse(asked)))
    expect(shown(await resolve(s, 'www.example.com'))).toBe('192.0.2.1 192.0.2.2')
    expect(shown(await resolve(s, 'www.example.com', 'AAAA'))).toBe('2001:db8::1')
    expect(s.server.asked.map((q) => q.message.edns !== null)).toEqual([true, false, false])
    expect(counts(s).ednsFallbacks).toBe(1)
    s.world.run(900_000)
    await resolve(s, 'www.example.com')
    expect(counts(s).ednsFallbacks).toBe(2)
  })

  it('none at all when it is switched off', async () => {
    const s = setting(EXAMPLE, { udpPayloadBytes: 0 })
    await resolve(s, 'www.example.com')
    expect(s.server.asked[0].message.edns).toBe(null)
  })
})

describe('TCP', () => {
  const many = Array.from({ length: 200 }, (_, i) => a('big.example', `10.1.0.${i}`))

  it.each([65537, 1, 100])('what was cut is asked for again, and comes in pieces of %i', async (piece) => {
    const world = createWorld()
    worlds.push(world)
    const stack = world.stack({ dns: { servers: ['10.0.0.2:5300'] } })
    const far = world.stack()
    world.link(stack, far, { delay: 1 })
    const few = many.slice(0, piece === 1 ? 3 : 200)
    const server = new TestServer(
      far,
      (q) => reply(q, q.overTcp ? { answers: few } : { truncated: true }),
      '10.0.0.2',
      5300,
      piece,
    )
    const o = await world.settle(stack.resolver.resolve('big.example', 'A'))
    expect(o.records.length).toBe(few.length)
    expect(server.log).toEqual(['A big.example', 'A big.example/tcp'])
    expect(stack.counters(true).dns).toEqual({ questions: 1, udpQueries: 1, truncated: 1, tcpQueries: 1, answers: 1 })
  })

  it('a server without TCP, one that hangs up, one that is cut there too: the next', async () => {
    const s = setting((q) => reply(q, { truncated: true }), { servers: ['10.0.0.2:54', '10.0.0.2:55', '10.0.0.2'], attempts: 1 })
    new TestServer(s.far, (q) => reply(q, { truncated: true }), '10.0.0.2', 54, 0)
    new TestServer(s.far, (q) => (q.overTcp ? null : reply(q, { truncated: true })), '10.0.0.2', 55)
    expect(shown(await resolve(s, 'www.example.com'))).toBe('EBADRESP')
    expect(s.world.elapsedMs).toBeLessThan(100)
    expect(counts(s)).toMatchObject({ truncated: 3, tcpQueries: 3, unreachable: 1 })
  })
})

describe('answers that are none', () => {
  const right = (asked: Parameters<Script>[0]): Message => reply(asked, { answers: [a(asked.name, '192.0.2.1')] })
  const forged = (asked: Parameters<Script>[0], given: Partial<Message>): Message => {
    return { ...reply(asked, { answers: [a(asked.name, '203.0.113.66')] }), ...given }
  }

  it('a wrong number, a question, another question, another name are dropped; the right one counts', async () => {
    const s = setting((asked) => {
      const [q] = asked.message.questions
      asked.more(forged(asked, { id: asked.message.id ^ 1 }))
      asked.more(Uint8Array.of(1))
      asked.more(forged(asked, { isResponse: false }))
      asked.more(forged(asked, { opcode: 5 }))
      asked.more(forged(asked, { questions: [{ ...q, type: 'AAAA' }] }))
      asked.more(forged(asked, { questions: [{ ...q, name: 'www.example.net' }] }))
      asked.more(forged(asked, { questions: [] }))
      return right(asked)
    })
    expect(shown(await resolve(s, 'www.example.com'))).toBe('192.0.2.1')
    expect(counts(s)).toMatchObject({ dropId: 4, dropQuestion: 3, answers: 1 })
  })

  it('from another address or port: UDP knows no socket for them', async () => {
    const s = setting((asked) => {
      const elsewhere = s.far.udp.open()
      elsewhere.bind('10.0.0.2', 5353)
      asked.more(forged(asked, {}), elsewhere)
      const stranger = s.far.udp.open()
      stranger.bind('10.0.0.9', 53)
      asked.more(forged(asked, {}), stranger)
      return right(asked)
    })
    await s.far.interfaces[0].addAddress('10.0.0.9/24', { probe: false })
    expect(shown(await resolve(s, 'www.example.com'))).toBe('192.0.2.1')
    expect(s.stack.counters(true).udp.udpNoPorts).toBe(2)
  })

  it('who guesses is led to TCP, where nobody can', async () => {
    const s = setting((asked) => {
      if (asked.overTcp) return right(asked)
      for (let i = 0; i < 8; i++) asked.more(forged(asked, { id: (asked.message.id + 1 + i) & 0xffff }))
      return forged(asked, {})
    })
    expect(shown(await resolve(s, 'www.example.com'))).toBe('192.0.2.1')
    expect(counts(s)).toMatchObject({ dropId: 8, tcpForMismatches: 1, tcpQueries: 1 })
  })

  it('letters in another case are asked for over TCP; not when that is switched off', async () => {
    const lowers: Script = (asked) =>
      reply(asked, { questions: [{ name: asked.name, type: 'A', class: 1 }], answers: [a(asked.name, '192.0.2.1')] })
    const s = setting(lowers)
    expect(shown(await resolve(s, 'www.example.com'))).toBe('192.0.2.1')
    expect(counts(s)).toMatchObject({ dropCase: 1, tcpForCase: 1 })
    const off = setting(lowers, { caseRandomization: false })
    expect(shown(await resolve(off, 'www.example.com'))).toBe('192.0.2.1')
    expect(off.server.log).toEqual(['A www.example.com'])
  })

  it('what cannot be read is counted, and the next server asked', async () => {
    const s = setting(
      (asked) => {
        const { id } = asked.message
        return Uint8Array.of(id >> 8, id, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1)
      },
      { servers: ['10.0.0.2', '10.0.0.2:54'] },
    )
    new TestServer(s.far, EXAMPLE, '10.0.0.2', 54)
    expect(shown(await resolve(s, 'www.example.com'))).toBe('192.0.2.1 192.0.2.2')
    expect(counts(s)).toMatchObject({ dropBadPointer: 1, answers: 1 })
    s.stack.resolver.setServers(['10.0.0.2'])
    expect(shown(await resolve(s, 'www.example.com'))).toBe('EBADRESP')
  })

  it('late ones find nobody', async () => {
    const s = setting(
      (asked) => {
        const late = right(asked)
        s.world.host.after(5_500, { run: () => asked.more(late) })
        return null
      },
      { attempts: 1 },
    )
    expect(shown(await resolve(s, 'www.example.com'))).toBe('ETIMEOUT')
    s.world.run(2_000)
    expect(counts(s)).toEqual({ questions: 1, udpQueries: 1, timeouts: 1 })
    expect(shown({ ...(await resolve(s, 'localhost')) })).toBe('127.0.0.1')
  })
})

describe('ends', () => {
  it('cancel tells ECANCELLED to all who asked; one place of a flight is given up alone', async () => {
    const s = setting(() => null)
    const { resolver } = s.stack
    const told: string[] = []
    const first = resolver.ask('www.example.com', 'A', (o) => told.push(`first ${o.code}`))
    resolver.ask('www.example.com', 'A', (o) => told.push(`second ${o.code}`))
    first.cancel()
    s.world.run(100)
    expect(told).toEqual([])
    resolver.cancel()
    s.world.run(0)
    expect(told).toEqual(['second ECANCELLED'])
    expect(s.world.host.holds).toBe(0)
    const last = resolver.ask('www.example.com', 'A', () => told.push('third'))
    s.world.run(10)
    last.cancel()
    s.world.run(20_000)
    expect(told.length).toBe(1)
    expect(s.stack.udp.sockets()).toEqual([])
    expect(s.world.host.holds).toBe(0)
  })

  it('of the stack: everything under way is told, nothing stays', async () => {
    const s = setting(() => null)
    const under = s.stack.resolver.resolve('www.example.com', 'A')
    s.world.run(10)
    expect(s.world.host.holds).toBe(1)
    await s.stack.close()
    expect((await s.world.settle(under)).code).toBe('ECANCELLED')
    expect((await s.world.settle(s.stack.resolver.resolve('other.example.com', 'A'))).code).toBe('ECANCELLED')
    expect(s.world.host.holds).toBe(0)
  })

  it('so many at once, so many in line, and no more', async () => {
    const s = setting((asked) => reply(asked, { answers: [a(asked.name, '192.0.2.1')] }), { maxQueries: 2, maxWaiting: 3 })
    const all = Array.from({ length: 7 }, (_, i) => s.stack.resolver.resolve(`n${i}.example`, 'A'))
    s.world.run(1)
    expect(s.server.asked.length).toBeLessThanOrEqual(2)
    const codes = (await s.world.settle(Promise.all(all))).map((o) => o.code)
    expect(codes).toEqual(['', '', '', '', '', 'ENOMEM', 'ENOMEM'])
    expect(counts(s)).toMatchObject({ tooMany: 2, answers: 5 })
  })

  it('answers at random neither throw nor hang', async () => {
    const s = setting(EXAMPLE, { attempts: 1, timeoutMs: 50, cacheEntries: 0 })
    const { random } = s.world.host
    s.server.script = (asked) => {
      const valid = message({ ...reply(asked), answers: [a(asked.name, '192.0.2.1'), cname(asked.name, 'b.example')] })
      asked.more(valid)
      return null
    }
    const send = s.server.socket.send.bind(s.server.socket)
    s.server.socket.send = (buf, off, len, to, port) => {
      for (let i = 0; i < 3; i++) buf[off + 2 + ((random.int32() >>> 1) % (len - 2))] = random.int32()
      return send(buf, off, len, to, port)
    }
    for (let i = 0; i < 150; i++) {
      const o = await resolve(s, 'a.example')
      expect(typeof o.code).toBe('string')
    }
    expect(s.stack.udp.sockets()).toEqual([])
  })
})
