import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import type { ConfigOverrides } from '../../../src/base/config.ts'
import { encodeMessage, Rcode } from '../../../src/dns/message.ts'
import type { DnsServer } from '../../../src/dns/server/server.ts'
import { createWorld, type World } from '../../../src/sim/world.ts'
import type { StackDnsServerOptions } from '../../../src/stack/dns-server.ts'
import type { Stack } from '../../../src/stack/stack.ts'
import { anyMessage } from '../../support/dns-arbitrary.ts'
import { DnsAsker, edns, query, told } from '../../support/dns-asker.ts'
import { a, soa, TestServer, zone } from '../../support/dns-server.ts'
import { runs } from '../../support/runs.ts'

const worlds: World[] = []

afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

interface Setting {
  world: World
  /** 10.0.0.1 and fd00::1, who asks. */
  client: DnsAsker
  /** 10.0.0.2 and fd00::2, whose server it is. */
  stack: Stack
  server: DnsServer
}

const QUIET: ConfigOverrides = { arp: { probe: false }, nd: { dadTransmits: 0 } }

function setting(options: StackDnsServerOptions = {}, config: ConfigOverrides = {}): Setting {
  const world = createWorld()
  worlds.push(world)
  const near = world.stack(QUIET)
  const stack = world.stack({ ...QUIET, ...config })
  world.link(near, stack, { delay: 1 })
  return { world, stack, client: new DnsAsker(world, near, '10.0.0.2'), server: stack.dnsServer(options) }
}

const LAB = {
  lab: {
    www: { A: ['10.0.0.5', '10.0.0.6'], TXT: 'hello' },
    alias: { CNAME: 'www' },
    sub: { NS: 'ns.sub' },
    'ns.sub': { A: '10.0.0.9' },
  },
}
const BIG = {
  big: { t: { TXT: Array.from({ length: 40 }, (_, i) => `"${String(i).padStart(100, 'x')}"`) }, 's.t': { A: '10.0.0.1' } },
}

function counts({ stack }: Setting): Record<string, number> {
  return stack.counters(true)['dns.server']
}

describe('questions', () => {
  it('get answers of the zones, with the number, the question and the flags that they had', () => {
    const s = setting({ zones: LAB })
    const m = s.client.udp(query('WWW.lab', 'A', { id: 77, checkingDisabled: true, recursionDesired: false }))
    expect(told(m)).toBe('NOERROR aa: WWW.lab A 10.0.0.5, WWW.lab A 10.0.0.6')
    expect(m).toMatchObject({ id: 77, checkingDisabled: true, recursionDesired: false, edns: null })
    expect(m!.questions).toEqual([{ name: 'WWW.lab', type: 'A', class: 1 }])
    expect(s.client.ask('alias.lab')).toBe('NOERROR aa: alias.lab CNAME www.lab., www.lab A 10.0.0.5, www.lab A 10.0.0.6')
    expect(s.client.ask('x.lab')).toBe('NXDOMAIN aa: | lab SOA')
    expect(s.client.ask('www.lab', 'MX')).toBe('NOERROR aa: | lab SOA')
    expect(s.client.ask('a.sub.lab')).toBe('NOERROR: | sub.lab NS ns.sub.lab. & ns.sub.lab A 10.0.0.9')
    expect(counts(s)).toEqual({ udpQueries: 5, answers: 5, noError: 4, nxDomain: 1, fromZones: 5 })
  })

  it.each([
    ['of no zone: REFUSED', query('www.example'), 'REFUSED:'],
    ['of another class: REFUSED', query('www.lab', 'A', { questions: [{ name: 'www.lab', type: 'A', class: 3 }] }), 'REFUSED:'],
    [
      'two at once: FORMERR (RFC 9619)',
      query('', '', { questions: [...query('a.lab').questions, ...query('b.lab').questions] }),
      'FORMERR:',
    ],
    ['none at all: FORMERR', query('', '', { questions: [] }), 'FORMERR:'],
    ['for OPT: FORMERR', query('www.lab', 'OPT'), 'FORMERR:'],
    ['for TKEY: NOTIMP', query('www.lab', 'TYPE249'), 'NOTIMP:'],
    ['for a whole zone over UDP, without leave: REFUSED', query('lab', 'TYPE252'), 'REFUSED:'],
    ['of another opcode: NOTIMP', query('lab', 'SOA', { opcode: 5 }), 'NOTIMP:'],
    ['with a version that is to come: BADVERS', query('www.lab', 'A', { edns: edns(1232, { version: 1 }) }), 'BADVERS:'],
  ])('%s', (_, m, expected) => {
    const s = setting({ zones: LAB })
    expect(told(s.client.udp(m))).toBe(expected)
    expect(counts(s).answers).toBe(1)
  })

  it('that cannot be read get a header that says so, what is none gets nothing', () => {
    const s = setting({ zones: LAB })
    const bytes = encodeMessage(query('www.lab'))
    const [answer] = s.client.raw(bytes.slice(0, 20))
    expect([...answer]).toEqual([0x12, 0x34, 0x81, 0x01, 0, 0, 0, 0, 0, 0, 0, 0])
    expect(s.client.raw(bytes.slice(0, 11))).toEqual([])
    expect(s.client.raw(encodeMessage(query('www.lab', 'A', { isResponse: true })))).toEqual([])
    expect(counts(s)).toEqual({ udpQueries: 3, formErr: 1, answers: 1, dropShort: 1, dropResponse: 1 })
  })

  it('to everybody are not answered', () => {
    const s = setting({ zones: LAB })
    const socket = s.client.stack.udp.open()
    socket.broadcast = true
    const bytes = encodeMessage(query('www.lab'))
    socket.send(bytes, 0, bytes.length, s.stack.interfaces[0].iface.addresses[0].broadcast!.clone(), 53)
    s.world.run(100)
    expect([socket.readable, counts(s)]).toEqual([0, { dropToMany: 1 }])
  })

  it('at random, and changed on the way, neither throw nor hang nor get answers longer than they may', () => {
    const s = setting({ zones: { ...LAB, ...BIG }, hosts: '10.0.0.9 nine' })
    const sent: number[] = []
    const asker = {
      address: s.client.stack.interfaces[0].iface.addresses[0].address,
      overTcp: false,
      answer: (bytes: Uint8Array) => void sent.push(bytes.length),
      stream: () => undefined,
      dropped: () => void sent.push(0),
    }
    let n = 0
    const ask = (bytes: Uint8Array): void => {
      s.server.ask(bytes, 0, bytes.length, asker)
      expect(sent.length).toBe(++n)
      expect(sent[n - 1]).toBeLessThanOrEqual(1232)
    }
    fc.assert(
      fc.property(anyMessage, (m) => ask(encodeMessage({ ...m, isResponse: false }))),
      { numRuns: runs(300) },
    )
    const valid = encodeMessage(query('t.big', 'TXT', { edns: edns(4096) }))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(valid.length),
        (changes, cut) => {
          const bytes = valid.slice(0, valid.length - (cut % 8))
          for (const [at, value] of changes) bytes[at % bytes.length] = value
          ask(bytes)
        },
      ),
      { numRuns: runs(500) },
    )
  })
})

describe('sizes (RFC 6891, RFC 2181 section 9)', () => {
  it.each([
    [null, 512],
    [edns(100), 512],
    [edns(800), 800],
    [edns(65535), 1232],
  ])('EDNS %o: answers over UDP have at most %i bytes, and what is cut ends with a whole record set', (given, most) => {
    const s = setting({ zones: BIG })
    const bytes = encodeMessage(query('t.big', 'TXT', { edns: given }))
    const [answer] = s.client.raw(bytes)
    expect(answer.length).toBeLessThanOrEqual(most)
    const m = s.client.udp(query('t.big', 'TXT', { edns: given }))!
    expect([m.truncated, m.answers.length, m.edns?.udpPayloadBytes]).toEqual([true, 0, given === null ? undefined : 1232])
    expect(counts(s).truncated).toBe(2)
  })

  it('over TCP they are whole', () => {
    const s = setting({ zones: BIG })
    const [m] = s.client.tcp(query('t.big', 'TXT'))
    expect([m.truncated, m.answers.length]).toEqual([false, 40])
  })

  it('additional records that do not fit are left out without TC; glue is not (RFC 9471)', () => {
    const records = {
      sub: { NS: Array.from({ length: 20 }, (_, i) => `ns${i}.sub`) },
      '@': { MX: Array.from({ length: 18 }, (_, i) => `${i} mx${i}`) },
    }
    const hosts = Array.from({ length: 20 }, (_, i) => [
      [`ns${i}.sub`, { A: '10.0.0.1', AAAA: 'fd00::1' }],
      [`mx${i}`, { A: '10.0.0.1', AAAA: 'fd00::1' }],
    ]).flat()
    const s = setting({ zones: { lab: { ...records, ...Object.fromEntries(hosts) } } })
    const mail = s.client.udp(query('lab', 'MX'))!
    expect([mail.truncated, mail.answers.length, mail.additionals.length > 0 && mail.additionals.length < 36]).toEqual([
      false,
      18,
      true,
    ])
    const referral = s.client.udp(query('x.sub.lab'))!
    expect([referral.truncated, referral.authorities.length, referral.additionals.length > 0]).toEqual([true, 20, true])
  })

  it('ANY over UDP is one set, over TCP all of them (RFC 8482)', () => {
    const s = setting({ zones: LAB })
    expect(s.client.ask('www.lab', 'ANY')).toBe('NOERROR aa: www.lab A 10.0.0.5, www.lab A 10.0.0.6')
    expect(s.client.tcp(query('www.lab', 'ANY')).map(told)).toEqual([
      'NOERROR aa: www.lab A 10.0.0.5, www.lab A 10.0.0.6, www.lab TXT "hello"',
    ])
  })

  it('DO comes back (RFC 3225)', () => {
    const s = setting({ zones: LAB })
    expect(s.client.udp(query('www.lab', 'A', { edns: edns(1232, { dnssecOk: true }) }))!.edns).toEqual(
      edns(1232, { dnssecOk: true }),
    )
  })
})

describe('TCP (RFC 7766)', () => {
  it('many questions over one connection, in any pieces', () => {
    const s = setting({ zones: LAB })
    const connection = s.client.connect()
    const names = Array.from({ length: 50 }, (_, i) => `n${i}.lab`)
    connection.send(...names.map((name, id) => encodeMessage(query(name, 'A', { id }))))
    s.world.run(100)
    expect(connection.messages.map((m) => m.id).sort((x, y) => x - y)).toEqual(names.map((_, id) => id))
    const bytes = encodeMessage(query('www.lab', 'A', { id: 99 }))
    for (const byte of [0, bytes.length, ...bytes]) {
      connection.connection.write(Uint8Array.of(byte), 0, 1)
      s.world.run(10)
    }
    expect(connection.messages.length).toBe(51)
    connection.connection.shutdown()
    s.world.run(100)
    expect(connection.ended).toBe('')
    expect(counts(s)).toMatchObject({ tcpQueries: 51, answers: 51, connections: 1 })
    expect(s.stack.connections().filter((c) => c.state !== 'TIME-WAIT')).toEqual([])
  })

  it('idle connections are closed, and those that say half of something', () => {
    const s = setting({ zones: LAB })
    const idle = s.client.connect()
    const half = s.client.connect()
    s.world.run(9_000)
    half.connection.write(Uint8Array.of(0, 50, 1), 0, 3)
    s.world.run(500)
    expect([idle.ended, half.ended]).toEqual([null, null])
    s.world.run(1_000)
    expect([idle.ended, half.ended]).toEqual(['', ''])
    expect(counts(s)).toMatchObject({ connections: 2, idleConnections: 2 })
  })

  it('so many connections at once, and so many of one client', () => {
    const s = setting({ zones: LAB }, { dnsServer: { maxConnectionsPerClient: 2 } })
    const all = [1, 2, 3].map(() => s.client.connect())
    s.world.run(100)
    expect(all.map((one) => one.ended)).toEqual([null, null, 'ECONNRESET'])
    expect(counts(s)).toMatchObject({ connections: 2, refusedConnections: 1 })
    all[0].close()
    s.world.run(100)
    expect(s.client.tcp(query('www.lab')).length).toBe(1)
  })

  it('who does not read his answers is not read from', () => {
    const s = setting(
      { zones: BIG },
      { dnsServer: { maxOutputBytes: 20_000 }, tcp: { sendBufferMaxBytes: 20_000, sendBufferInitialBytes: 20_000 } },
    )
    const deaf = s.client.connect()
    deaf.reads = false
    const bytes = encodeMessage(query('t.big', 'TXT'))
    // 45 bytes a question, 4.5 KB an answer.
    for (let i = 0; i < 40; i++) {
      deaf.send(...Array(25).fill(bytes))
      s.world.run(100)
    }
    expect(counts(s).tcpQueries).toBeLessThan(600)
    // Nobody reads: in the end it is closed like any idle one.
    s.world.run(20_000)
    expect(counts(s).idleConnections).toBe(1)
  })

  it('ends with the server, and with the stack', async () => {
    const s = setting({ zones: LAB })
    const one = s.client.connect()
    s.world.run(50)
    s.server.close()
    s.world.run(50)
    expect(one.ended).toBe('')
    expect(s.client.raw(encodeMessage(query('www.lab')))).toEqual([])
    const again = s.stack.dnsServer({ zones: LAB })
    expect(s.client.ask('www.lab', 'TXT')).toBe('NOERROR aa: www.lab TXT "hello"')
    await s.stack.close()
    expect(s.stack.dnsServers.size).toBe(0)
    again.close()
    expect(s.world.host.holds).toBe(0)
  })
})

describe('where it listens', () => {
  it('both families; another port; a port twice is EADDRINUSE', () => {
    const world = createWorld()
    worlds.push(world)
    const [near, stack] = [world.stack(QUIET), world.stack(QUIET)]
    world.link(near, stack, { addresses: ['fd00::1/64', 'fd00::2/64'] })
    const server = stack.dnsServer({ zones: LAB, port: 5353 })
    expect(new DnsAsker(world, near, 'fd00::2', 5353).ask('www.lab', 'TXT')).toBe('NOERROR aa: www.lab TXT "hello"')
    expect(() => stack.dnsServer({ port: 5353 })).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }))
    expect([...stack.dnsServers]).toEqual([server])
    expect(stack.dnsServer({ port: 0 }).port).toBeGreaterThan(0)
  })

  it('some interfaces: what comes in by others is not heard', () => {
    const world = createWorld()
    worlds.push(world)
    const [left, stack, right] = [world.stack(QUIET), world.stack(QUIET), world.stack(QUIET)]
    const { b: eth0 } = world.link(left, stack)
    world.link(right, stack)
    stack.dnsServer({ zones: LAB, interfaces: [eth0] })
    const [inside, outside] = [new DnsAsker(world, left, '10.0.0.2'), new DnsAsker(world, right, '10.0.1.2')]
    expect(inside.ask('www.lab', 'TXT')).toBe('NOERROR aa: www.lab TXT "hello"')
    expect(outside.ask('www.lab', 'TXT')).toBe('nothing')
    expect([inside.tcp(query('www.lab')).length, outside.tcp(query('www.lab')).length]).toEqual([1, 0])
  })
})

describe('who may ask', () => {
  /** A stranger: 192.0.2.1, behind the client as a router. */
  function far(options: StackDnsServerOptions, config: ConfigOverrides = {}): Setting & { stranger: DnsAsker } {
    const world = createWorld()
    worlds.push(world)
    const [outside, router, stack] = [
      world.stack(QUIET),
      world.stack({ ...QUIET, forwarding: true }),
      world.stack({ ...QUIET, ...config }),
    ]
    world.link(outside, router, { addresses: ['192.0.2.1/24', '192.0.2.2/24'] })
    world.link(router, stack, { addresses: ['10.0.0.1/24', '10.0.0.2/24'] })
    outside.addRoute('0.0.0.0/0', '192.0.2.2')
    stack.addRoute('0.0.0.0/0', '10.0.0.1')
    return {
      world,
      stack,
      client: new DnsAsker(world, router, '10.0.0.2'),
      stranger: new DnsAsker(world, outside, '10.0.0.2', 53, 5),
      server: stack.dnsServer(options),
    }
  }

  it('prefixes, and networks that are attached', () => {
    const s = far({ zones: LAB, allow: ['attached', '198.51.100.0/24'] })
    expect(s.client.ask('www.lab', 'TXT')).toBe('NOERROR aa: www.lab TXT "hello"')
    expect(s.stranger.ask('www.lab')).toBe('REFUSED:')
    expect(counts(s).refusedAccess).toBe(1)
  })

  it('strangers get short answers, and so many a second; some of the others are told to come over TCP', () => {
    const s = far({ zones: { ...LAB, ...BIG } }, { dnsServer: { responsesPerSecond: 4 } })
    expect(s.stranger.raw(encodeMessage(query('t.big', 'TXT', { edns: edns(4096) })))[0].length).toBeLessThan(512)
    const rest = Array.from({ length: 7 }, () => s.stranger.ask('www.lab', 'TXT'))
    const [answer, cut] = ['NOERROR aa: www.lab TXT "hello"', 'NOERROR tc:']
    expect(rest).toEqual([answer, answer, answer, cut, 'nothing', cut, 'nothing'])
    expect(s.stranger.tcp(query('www.lab')).length).toBe(1)
    expect(s.client.ask('www.lab', 'TXT')).toBe(answer)
    expect(counts(s)).toMatchObject({ slipped: 2, dropRate: 2 })
    s.world.run(1000)
    expect(s.stranger.ask('www.lab', 'TXT')).toBe(answer)
  })

  it('a cookie shows that one is where he says (RFC 7873)', () => {
    const s = far({ zones: BIG }, { dnsServer: { responsesPerSecond: 1 } })
    const cookie = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
    const first = s.stranger.udp(query('s.t.big', 'A', { edns: edns(4096, { options: [{ code: 10, data: cookie }] }) }))!
    const [{ code, data }] = first.edns!.options
    expect([code, data.length, [...data.slice(0, 8)]]).toEqual([10, 24, [...cookie]])
    for (let i = 0; i < 3; i++) {
      const m = s.stranger.udp(query('s.t.big', 'A', { edns: edns(4096, { options: [{ code: 10, data }] }) }))!
      expect(told(m)).toBe('NOERROR aa: s.t.big A 10.0.0.1')
    }
    const stolen = data.slice()
    stolen[23] ^= 1
    expect(told(s.stranger.udp(query('s.t.big', 'A', { edns: edns(4096, { options: [{ code: 10, data: stolen }] }) })))).toBe(
      'NOERROR tc:',
    )
    const none = edns(1232, { options: [{ code: 10, data: Uint8Array.of(1, 2, 3) }] })
    expect(told(s.client.udp(query('s.t.big', 'A', { edns: none })))).toBe('FORMERR:')
    // RFC 7873 section 5.4: for the cookie alone.
    const only = s.client.udp(query('', '', { questions: [], edns: edns(1232, { options: [{ code: 10, data: cookie }] }) }))!
    expect([only.rcode, only.edns!.options[0].data.length]).toEqual([Rcode.NOERROR, 24])
    expect(counts(s)).toMatchObject({ cookiesGood: 3, cookiesBad: 3 })
  })

  it('only those on attached networks have others asked for them', () => {
    const upstream = ['10.0.0.1']
    const s = far({ zones: LAB, forward: upstream })
    new TestServer(s.client.stack, zone(a('www.example', '192.0.2.7')), '10.0.0.1')
    expect(s.client.ask('www.example')).toBe('NOERROR ra: www.example A 192.0.2.7')
    expect(s.stranger.ask('www.example')).toBe('REFUSED:')
    expect(s.stranger.ask('www.lab', 'TXT')).toBe('NOERROR aa: www.lab TXT "hello"')
  })
})

describe('whole zones (RFC 5936, RFC 1995)', () => {
  it('all records between two SOAs, in as many messages as it takes', () => {
    const s = setting({
      zones: {
        lab: Object.fromEntries(
          Array.from({ length: 800 }, (_, i) => [`host-${i}`, { A: '10.0.0.1', TXT: `"${'x'.repeat(200)}"` }]),
        ),
      },
      allowTransfer: ['attached'],
    })
    const connection = s.client.connect()
    connection.send(encodeMessage(query('lab', 'TYPE252')), encodeMessage(query('host-1.lab', 'A', { id: 2 })))
    s.world.run(3000)
    const messages = connection.messages.filter((m) => m.id !== 2)
    const records = messages.flatMap((m) => m.answers)
    expect(messages.length).toBeGreaterThan(5)
    expect(messages.map((m) => m.questions.length)).toEqual([1, ...Array(messages.length - 1).fill(0)])
    expect(messages.every((m) => m.authoritative && m.rcode === 0)).toBe(true)
    expect([records.length, records[0].type, records.at(-1)!.type]).toEqual([1602, 'SOA', 'SOA'])
    expect(records.filter((r) => r.type === 'SOA').length).toBe(2)
    expect(connection.messages.at(-1)!.id).toBe(2)
    expect(counts(s).transfers).toBe(1)
  })

  it('the SOA alone to those who have it, and over UDP; FORMERR for AXFR there; REFUSED for others', () => {
    const s = setting({ zones: LAB, allowTransfer: ['attached'] })
    const theirs = (serial: number) =>
      [{ ...soa('lab'), data: { ...(soa('lab').data as object), serial } }] as ReturnType<typeof soa>[]
    expect(s.client.tcp(query('lab', 'TYPE251', { authorities: theirs(1) })).map((m) => m.answers.length)).toEqual([1])
    expect(s.client.tcp(query('lab', 'TYPE251', { authorities: theirs(0) }))[0].answers.length).toBe(8)
    expect(s.client.ask('lab', 'TYPE251')).toBe('NOERROR aa: lab SOA')
    expect(s.client.ask('lab', 'TYPE252')).toBe('FORMERR:')
    expect(s.client.tcp(query('www.lab', 'TYPE252')).map(told)).toEqual(['REFUSED:'])
    const closed = setting({ zones: LAB })
    expect(closed.client.tcp(query('lab', 'TYPE252')).map(told)).toEqual(['REFUSED:'])
  })
})

describe('zones while they are served', () => {
  it('records change, zones come and go', () => {
    const s = setting({ zones: LAB })
    const lab = s.server.zone('lab')!
    lab.set('new', 'A', '10.0.0.77')
    expect(s.client.ask('new.lab')).toBe('NOERROR aa: new.lab A 10.0.0.77')
    expect(s.client.ask('77.0.0.10.in-addr.arpa', 'PTR')).toBe('NOERROR aa: 77.0.0.10.in-addr.arpa PTR new.lab.')
    lab.delete('new')
    expect(s.client.ask('new.lab')).toBe('NXDOMAIN aa: | lab SOA')
    expect(s.server.removeZone('lab')).toBe(true)
    expect(s.server.removeZone('lab')).toBe(false)
    expect(s.client.ask('www.lab')).toBe('REFUSED:')
    expect(s.client.ask('5.0.0.10.in-addr.arpa', 'PTR')).toBe('NXDOMAIN aa: | 10.in-addr.arpa SOA')
  })

  it('what is wrong with one is said when it is given', () => {
    expect(() => setting({ zones: { lab: 'www A x' } })).toThrow('line 1: A: its address: x is no IPv4 address')
    expect(() => setting({ zones: ['@ A 10.0.0.1'] })).toThrow('line 1: @ is relative, and no origin is known')
    for (const zones of [['lab. SOA ns host 1 2 3 4 5', 'LAB. SOA ns host 1 2 3 4 5'], { lab: {}, 'lab.': {} }])
      expect(() => setting({ zones })).toThrow('zones: lab is there twice')
    expect(setting({ zones: ['lab. SOA ns host 1 2 3 4 5'] }).server.zones.map((z) => z.name)).toEqual(['lab'])
  })
})
