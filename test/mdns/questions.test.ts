import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MdnsConfig } from '../../src/base/mdns-config.ts'
import type { LookupResult } from '../../src/dns/lookup.ts'
import { lookup } from '../../src/dns/lookup.ts'
import type { Browser } from '../../src/mdns/browser.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { a, aaaa, cname, record } from '../support/dns-server.ts'
import { counts, flushed, MdnsWorld, type Peer, question } from '../support/mdns-world.ts'

let w: MdnsWorld
let peer: Peer

beforeEach(() => {
  w = new MdnsWorld()
  peer = w.peer()
})

afterEach(() => w.close())

function asker(mdns: Partial<MdnsConfig> = {}): Stack {
  return w.stack(['10.0.0.2/24'], { listen: true, ipv6: false, ...mdns })
}

const pointer = (name: string, ttl = 4500) => record('_x._tcp.local', 'PTR', { ptrdname: `${name}._x._tcp.local` }, ttl)
const ASKED = '? PTR _x._tcp.local'

/** When and what was asked for services, since `from`. */
function asked(from = 0): [at: number, words: string][] {
  return peer.heard
    .splice(0)
    .filter((h) => h.words.startsWith(ASKED))
    .map((h) => [h.at - from, h.words])
}

describe('a question that stays (section 5.2)', () => {
  let browser: Browser
  let stack: Stack

  beforeEach(() => {
    stack = asker()
    browser = stack.mdns.browse('_x._tcp')
  })

  it('first after 20 to 120 ms and for a unicast answer, then after 1, 2, 4, ... seconds, at last every hour', () => {
    w.run(4 * 3_600_000)
    const all = asked()
    expect(all[0][1]).toBe(`${ASKED} QU`)
    expect(all[0][0]).toBeGreaterThanOrEqual(20)
    expect(all[0][0]).toBeLessThanOrEqual(120)
    expect(all.slice(1).every(([, words]) => words === ASKED)).toBe(true)
    const gaps = all.slice(1).map(([at], i) => (at - all[i][0]) / 1000)
    expect(gaps).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600])
    browser.close()
    w.run(8 * 3_600_000)
    expect(asked()).toEqual([])
  })

  it('with the answers that are known for half of their life still (section 7.1)', () => {
    w.run(500)
    peer.answer(pointer('one'), pointer('two', 120))
    w.run(70_000)
    const all = asked().map(([, words]) => words)
    expect(all).toHaveLength(7)
    const one = `${ASKED} known PTR _x._tcp.local one._x._tcp.local.`
    expect(all[1]).toBe(`${one} 4499, PTR _x._tcp.local two._x._tcp.local. 119`)
    expect(all[6]).toBe(`${one} 4437`)
  })

  it('too many of them for a packet: in several messages, all but the last say so (TC, section 7.2)', () => {
    w.run(500)
    for (let i = 0; i < 60; i++) peer.answer(pointer(`instance number ${i} of many`.replaceAll(' ', '\\032')))
    w.run(7000)
    const from = peer.heard.findIndex((h) => h.m.truncated && h.m.questions.some((q) => q.type === 'PTR'))
    const rest = peer.heard.slice(from + 1)
    const parts = rest.slice(0, rest.findIndex((h) => !h.m.truncated) + 1)
    expect(parts.length).toBeGreaterThan(1)
    expect(peer.heard[from].m.answers).toEqual([])
    expect(parts.every((h) => h.length <= 1472 && h.m.questions.length === 0)).toBe(true)
    expect(parts.flatMap((h) => h.m.answers).filter((r) => r.type === 'PTR')).toHaveLength(60)
  })

  it('a record that grows old is asked for at 80, 85, 90 and 95 % of its life, and then is gone', () => {
    w.run(20_000)
    asked()
    const from = w.world.elapsedMs
    peer.answer(
      pointer('one', 1000),
      flushed(record('one._x._tcp.local', 'SRV', { priority: 0, weight: 0, port: 1, target: 'h.local' }, 1000)),
      flushed(record('one._x._tcp.local', 'TXT', { strings: [new Uint8Array(0)] }, 1000)),
      flushed(a('h.local', '10.0.0.9', 1000)),
    )
    const events: string[] = []
    browser.onEvent = ({ kind }) => events.push(`${kind} ${w.world.elapsedMs - from}`)
    w.run(990_000)
    const times = asked(from).map(([at]) => at / 10_000)
    // The series goes on beside it: 32, 64, ... s after the first.
    const refreshes = times.filter((t) => t > 78)
    expect(refreshes).toHaveLength(4)
    for (const [i, t] of refreshes.entries()) {
      expect(t).toBeGreaterThanOrEqual(80 + 5 * i)
      expect(t).toBeLessThanOrEqual(82 + 5 * i)
    }
    expect(events).toEqual(['up 0'])
    w.run(20_000)
    expect(events).toEqual(['up 0', expect.stringMatching(/^down 10000/)])
  })

  it('somebody else puts the same question, and knows no more: it was ours (section 7.3)', () => {
    w.run(2000)
    asked()
    w.run(600) // the next is due in half a second or so
    peer.ask('PTR _x._tcp.local')
    w.run(1000)
    expect(asked()).toEqual([])
    expect(counts(stack)).toMatchObject({ duplicateQuestions: 1 })
    w.run(2500)
    peer.say({ questions: [question('PTR _x._tcp.local')], answers: [pointer('unknown')] })
    w.run(5000)
    expect(asked()).toHaveLength(1)
    expect(counts(stack)).toMatchObject({ duplicateQuestions: 1 })
  })

  it('is put on a link that comes later', () => {
    void stack.interfaces[0].removeAddress('10.0.0.2/24')
    w.run(5000)
    asked()
    void stack.interfaces[0].addAddress('10.0.0.3/24', { probe: false })
    w.run(500)
    expect(asked().map(([, words]) => words)).toEqual([`${ASKED} QU`])
  })
})

describe('names for everybody', () => {
  const look = (stack: Stack, name: string, family: 0 | 4 | 6 = 0): Promise<LookupResult> =>
    w.settle(lookup(stack.resolver, name, { family }))
  const shown = (r: LookupResult): string => (r.code === '' ? r.addresses.join(' ') : r.code)

  it('both families are asked for together; the answer is remembered, and asked for no more', async () => {
    const stack = asker()
    const found = look(stack, 'nas.local')
    w.run(120)
    expect(peer.take()).toEqual(['? A nas.local QU, AAAA nas.local QU'])
    peer.answer(a('nas.local', '10.0.0.7', 120), aaaa('nas.local', 'fd00::7', 120))
    expect(shown(await found)).toBe('10.0.0.7 fd00::7')
    expect(shown(await look(stack, 'NAS.local.'))).toBe('10.0.0.7 fd00::7')
    expect(peer.take()).toEqual([])
    expect(stack.counters(true).dns).toMatchObject({ localQuestions: 4 })
  })

  it('a host without the other family, with word of it (NSEC) and without', async () => {
    const stack = asker()
    const first = look(stack, 'nas.local')
    w.run(120)
    peer.answer(a('nas.local', '10.0.0.7', 120), record('nas.local', 'NSEC', { next: 'nas.local', types: ['A'] }, 120))
    let at = w.world.elapsedMs
    expect(shown(await first)).toBe('10.0.0.7')
    expect(w.world.elapsedMs - at).toBeLessThan(5)
    const second = look(stack, 'old.local')
    w.run(120)
    peer.answer(a('old.local', '10.0.0.8', 120))
    at = w.world.elapsedMs
    expect(shown(await second)).toBe('10.0.0.8')
    expect(w.world.elapsedMs - at).toBeLessThan(320)
    expect(shown(await look(stack, 'old.local', 6))).toBe('ENOTFOUND')
  })

  it('nobody answers: asked three times, then ENOTFOUND', async () => {
    const stack = asker()
    const at = w.world.elapsedMs
    expect(shown(await look(stack, 'none.local', 4))).toBe('ENOTFOUND')
    expect(w.world.elapsedMs - at).toBe(5000)
    expect(peer.take()).toHaveLength(3)
  })

  it('our own name, without a packet; a name by an alias', async () => {
    const stack = asker({ host: 'me' })
    await w.settle(stack.mdns.start())
    w.run(3000)
    peer.take()
    expect(shown(await look(stack, 'me.local'))).toBe('10.0.0.2')
    expect(peer.take().filter((x) => x.startsWith('? A '))).toEqual([])
    peer.answer(cname('alias.local', 'me.local', 120))
    expect(shown(await look(stack, 'alias.local', 4))).toBe('10.0.0.2')
  })

  it('ping by name, and the name of a link-local address, with its zone', async () => {
    const stack = w.stack(['10.0.0.3/24', 'fd00::3/64'], { listen: true })
    const other = w.stack(['10.0.0.4/24', 'fd00::4/64'], { host: 'other' })
    await w.settle(other.mdns.start())
    const { value } = await w.settle(stack.ping('other.local', { count: 1 })[Symbol.asyncIterator]().next())
    expect(value.error).toBeUndefined()
    const found = await look(stack, 'other.local', 6)
    const linkLocal = found.code === '' ? found.addresses.find((x) => x.isLinkLocal) : undefined
    expect(linkLocal?.zone).toBe(stack.interfaces[0].index)
    const reverse = `4.0.0.10.in-addr.arpa`
    expect((await w.settle(stack.resolver.resolve(reverse, 'PTR'))).code).toBe('ENOTFOUND') // not a name of the link: no server
  })

  it('a flushed record ends a second later, one that was taken back too; what is said again stays (10.1, 10.2)', async () => {
    const stack = asker()
    peer.answer(a('nas.local', '10.0.0.7', 120), a('gone.local', '10.0.0.6', 120), a('kept.local', '10.0.0.5', 120))
    w.run(3000)
    peer.answer(a('nas.local', '10.0.0.8', 120), a('gone.local', '10.0.0.6', 0), a('kept.local', '10.0.0.5', 0))
    w.run(500)
    peer.answer(a('kept.local', '10.0.0.5', 120))
    expect(shown(await look(stack, 'gone.local', 4))).toBe('10.0.0.6')
    w.run(600)
    expect(shown(await look(stack, 'nas.local', 4))).toBe('10.0.0.8')
    expect(shown(await look(stack, 'kept.local', 4))).toBe('10.0.0.5')
    expect(shown(await look(stack, 'gone.local', 4))).toBe('ENOTFOUND')
    expect(counts(stack)).toMatchObject({ goodbyes: 2, cacheFlushed: 1 })
  })

  it('answers of several messages within a second are one set', async () => {
    const stack = asker()
    peer.answer(a('nas.local', '10.0.0.7', 120))
    w.run(800)
    peer.answer(a('nas.local', '10.0.0.8', 120))
    w.run(2000)
    expect(shown(await look(stack, 'nas.local', 4))).toBe('10.0.0.8 10.0.0.7')
  })

  it('off: no such name, and why; nothing is sent', async () => {
    const stack = w.stack(['10.0.0.2/24'])
    const found = await look(stack, 'nas.local')
    expect(found).toMatchObject({ code: 'ENOTFOUND', why: expect.stringContaining('mdns.listen') })
    w.run(1000)
    expect(peer.take()).toEqual([])
  })

  it('the stack is closed meanwhile', async () => {
    const stack = asker()
    const found = look(stack, 'none.local')
    w.run(500)
    await stack.close()
    expect(shown(await found)).toBe('ECANCELLED')
  })
})

describe('the cache', () => {
  it('has an end: what nobody waits for has no place then, and makes room for what somebody does', async () => {
    const stack = asker({ cacheEntries: 10 })
    for (let i = 0; i < 20; i++) peer.answer(a(`h${i}.local`, '10.0.0.7', 120))
    w.run(100)
    expect(counts(stack)).toMatchObject({ cacheFull: 10 })
    const found = lookup(stack.resolver, 'wanted.local', { family: 4 })
    w.run(200)
    peer.answer(a('wanted.local', '10.0.0.7', 120))
    expect((await w.settle(found)).code).toBe('')
    expect(counts(stack)).toMatchObject({ cacheFull: 10, cacheEvicted: 1 })
  })

  it('forgets', () => {
    const stack = asker()
    peer.answer(a('h.local', '10.0.0.7', 120))
    w.run(119_000)
    expect(counts(stack).cacheExpired).toBeUndefined()
    w.run(2000)
    expect(counts(stack)).toMatchObject({ cacheExpired: 1 })
  })
})
