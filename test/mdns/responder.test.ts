import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PublishOptions } from '../../src/mdns/service.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { a, record } from '../support/dns-server.ts'
import { counts, MdnsWorld, type Peer, question } from '../support/mdns-world.ts'

let w: MdnsWorld
let peer: Peer
let stack: Stack

const A = 'A web.local 10.0.0.2 120*'
const NSEC = 'NSEC web.local web.local. A 120*'
const SRV = 'SRV Site._http._tcp.local 0 0 80 web.local. 120*'
const TXT = 'TXT Site._http._tcp.local "a=1" 4500*'
const PTR = 'PTR _http._tcp.local Site._http._tcp.local. 4500'
const SERVICE: PublishOptions = { name: 'Site', type: '_http._tcp', port: 80, txt: { a: '1' }, subtypes: ['_blog'] }

beforeEach(() => {
  w = new MdnsWorld()
  peer = w.peer()
  stack = w.stack(['10.0.0.2/24'], { host: 'web', ipv6: false })
  stack.mdns.publish(SERVICE)
  w.run(5000)
  peer.take()
})

afterEach(() => w.close())

/** What is answered to a question within 600 ms, and how long after it. */
function answered(...questions: string[]): [words: string, after: number][] {
  const at = w.world.elapsedMs
  peer.ask(...questions)
  w.run(600)
  return peer.heard.splice(0).map((h) => [h.words, h.at - at])
}

const known = (ttl: number) => record('_http._tcp.local', 'PTR', { ptrdname: 'Site._http._tcp.local' }, ttl)

describe('answers (section 6)', () => {
  it('with what nobody else can have: at once, with what will be asked next', () => {
    expect(answered('A web.local')).toEqual([[`! ${A} + ${NSEC}`, 0]])
    expect(answered('SRV Site._http._tcp.local')).toEqual([[`! ${SRV}`, 0]])
    w.run(2000)
    expect(answered('srv site._HTTP._tcp.LOCAL'.replace('srv', 'SRV'))).toEqual([[`! ${SRV} + ${A}, ${NSEC}`, 0]])
  })

  it('with what others may have: after 20 to 120 ms; all in one message', () => {
    const [[words, after], ...more] = answered('PTR _http._tcp.local', 'PTR _blog._sub._http._tcp.local')
    expect(words).toBe(`! ${PTR}, PTR _blog._sub._http._tcp.local Site._http._tcp.local. 4500 + ${SRV}, ${TXT}, ${A}, ${NSEC}`)
    expect(after).toBeGreaterThanOrEqual(20)
    expect(after).toBeLessThanOrEqual(120)
    expect(more).toEqual([])
  })

  it('what there is of a name (ANY), the name of an address, the types that there are (RFC 6763 section 9)', () => {
    expect(answered('ANY Site._http._tcp.local')[0][0]).toBe(`! ${SRV}, ${TXT} + ${A}, ${NSEC}`)
    expect(answered('PTR 2.0.0.10.in-addr.arpa')[0][0]).toBe('! PTR 2.0.0.10.in-addr.arpa web.local. 120*')
    expect(answered('PTR _services._dns-sd._udp.local')[0][0]).toBe('! PTR _services._dns-sd._udp.local _http._tcp.local. 4500')
  })

  it('that there is nothing of a type, of names that are ours alone (section 6.1)', () => {
    expect(answered('AAAA web.local')).toEqual([[`! ${NSEC}`, 0]])
    expect(answered('A Site._http._tcp.local')[0][0]).toBe('! NSEC Site._http._tcp.local Site._http._tcp.local. TXT SRV 120*')
    expect(answered('TXT _http._tcp.local', 'A other.local')).toEqual([])
  })

  it('nothing of other classes', () => {
    peer.say({ questions: [{ name: 'web.local', type: 'A', class: 3 }] })
    w.run(500)
    expect(peer.take()).toEqual([])
    peer.say({ questions: [{ name: 'web.local', type: 'A', class: 255 }] })
    w.run(500)
    expect(peer.take()).toEqual([`! ${A} + ${NSEC}`])
  })

  it('a record once a second at most; to a probe after 250 ms', () => {
    expect(answered('A web.local')).toEqual([[`! ${A} + ${NSEC}`, 0]])
    expect(answered('A web.local')).toEqual([[`! ${A} + ${NSEC}`, 400]])
    const at = w.world.elapsedMs
    w.run(100)
    peer.say({ questions: [question('ANY web.local')], authorities: [a('web.local', '10.0.0.9', 120)] })
    w.run(100)
    expect(peer.heard.map((h) => [h.words, h.at - at])).toEqual([[`! ${A}`, 100]])
  })

  it('two who ask at once: one answer', () => {
    peer.ask('PTR _http._tcp.local')
    peer.ask('PTR _http._tcp.local')
    w.run(600)
    expect(peer.take()).toHaveLength(1)
  })

  it('too much for one packet goes in several, without what is optional; a record of many bytes in fragments', () => {
    for (let i = 0; i < 40; i++) stack.mdns.publish({ ...SERVICE, name: `Site number ${i} of a great many`, subtypes: [] })
    stack.mdns.publish({
      ...SERVICE,
      name: 'Long',
      txt: Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`k${i}`, 'x'.repeat(200)])),
    })
    w.run(5000)
    peer.heard.length = 0
    peer.ask('PTR _http._tcp.local')
    w.run(600)
    const said = peer.heard.splice(0)
    expect(said.length).toBeGreaterThan(1)
    expect(said.every((h) => h.length <= 1472 && h.m.additionals.length === 0)).toBe(true)
    expect(said.flatMap((h) => h.m.answers)).toHaveLength(42)
    peer.ask('TXT Long._http._tcp.local')
    w.run(600)
    expect(peer.heard.map((h) => h.length > 1472)).toEqual([true])
  })
})

describe('unicast answers (section 5.4)', () => {
  it('to who wants one, if the link has heard it lately', () => {
    const heard = (): unknown[] => peer.heard.splice(0).map((h) => [h.words, h.to, h.ttl, h.port])
    peer.ask('A web.local QU')
    w.run(10)
    expect(heard()).toEqual([[`! ${A} + ${NSEC}`, '10.0.0.9', 255, 5353]])
    w.run(40_000) // more than a quarter of its life
    peer.ask('A web.local QU')
    w.run(10)
    expect(heard()).toEqual([[`! ${A} + ${NSEC}`, '224.0.0.251', 255, 5353]])
  })

  it('and to a question to us alone (section 5.5), but not from beyond the link (section 11)', () => {
    peer.say({ questions: [question('A web.local')] }, '10.0.0.2')
    w.run(10)
    expect(peer.take()).toEqual([`! ${A} + ${NSEC}`])
    stack.addRoute('0.0.0.0/0', '10.0.0.9')
    peer.stack.interfaces[0].removeAddress('10.0.0.9/24')
    void peer.stack.interfaces[0].addAddress('192.0.2.9/24', { probe: false })
    peer.stack.addRoute('10.0.0.0/24', null, peer.eth0)
    peer.say({ questions: [question('A web.local')] }, '10.0.0.2')
    peer.say({ isResponse: true, answers: [a('other.local', '10.0.0.9')] }, '10.0.0.2')
    w.run(3000)
    expect(peer.take()).toEqual([])
    expect(counts(stack)).toMatchObject({ dropOffLink: 2 })
  })

  it('for resolvers that know nothing of all this (section 6.7)', () => {
    const socket = peer.open(40000)
    peer.say({ id: 77, questions: [question('SRV Site._http._tcp.local')] }, undefined, socket)
    w.run(10)
    const [{ m, to, words }] = peer.heard
    expect(words).toBe('! SRV Site._http._tcp.local 0 0 80 web.local. 10 + A web.local 10.0.0.2 10')
    expect(m).toMatchObject({ id: 77, questions: [{ name: 'Site._http._tcp.local', type: 'SRV', class: 1 }] })
    expect(to).toBe('10.0.0.9')
    expect(peer.heard).toHaveLength(1)
    socket.close()
  })
})

describe('what the asker knows (section 7)', () => {
  it('is not said again, if he knows it for half of its life at least (7.1)', () => {
    peer.say({ questions: [question('PTR _http._tcp.local')], answers: [known(2250)] })
    w.run(500)
    expect(peer.take()).toEqual([])
    expect(counts(stack)).toMatchObject({ knownAnswers: 1 })
    peer.say({ questions: [question('PTR _http._tcp.local')], answers: [known(2249)] })
    w.run(500)
    expect(peer.take()).toEqual([`! ${PTR} + ${SRV}, ${TXT}, ${A}, ${NSEC}`])
  })

  it('and may come in more messages than one (TC, 7.2)', () => {
    const ask = (): void => peer.say({ questions: [question('PTR _http._tcp.local'), question('A web.local')], truncated: true })
    ask()
    w.run(300)
    peer.say({ answers: [known(4500)] })
    w.run(300)
    expect(peer.take()).toEqual([`! ${A} + ${NSEC}`])
    w.run(2000)
    const at = w.world.elapsedMs
    ask()
    w.run(600)
    expect(peer.heard[0].words).toBe(`! ${PTR}, ${A} + ${SRV}, ${TXT}, ${NSEC}`)
    expect(peer.heard[0].at - at).toBeGreaterThanOrEqual(400)
    expect(peer.heard[0].at - at).toBeLessThanOrEqual(500)
  })

  it('and of the same host alone; each further part of it is waited for', () => {
    const other = w.peer('10.0.0.8/24')
    peer.say({ questions: [question('PTR _http._tcp.local')], truncated: true })
    w.run(300)
    other.say({ answers: [known(4500)] })
    peer.say({ answers: [a('x.local', '10.0.0.7')], truncated: true })
    w.run(300)
    expect(peer.answers()).toEqual([])
    w.run(300)
    expect(peer.answers()).toHaveLength(1)
  })

  it('what somebody else answers meanwhile is not said again (7.4)', () => {
    peer.ask('PTR _http._tcp.local')
    peer.answer(known(4500))
    w.run(500)
    expect(peer.take()).toEqual([])
    expect(counts(stack)).toMatchObject({ duplicateAnswers: 1 })
    peer.ask('PTR _http._tcp.local')
    peer.answer(known(4499)) // less than ours
    w.run(500)
    expect(peer.take()).toHaveLength(1)
  })
})

describe('what is not for us', () => {
  it('answers from another port, other opcodes, codes, malformed and cut messages', () => {
    const socket = peer.open(40000)
    peer.say({ isResponse: true, answers: [a('web.local', '10.0.0.9', 120)] }, undefined, socket)
    peer.say({ opcode: 4, questions: [question('A web.local')] })
    peer.say({ rcode: 3, questions: [question('A web.local')] })
    peer.say(new Uint8Array(11))
    w.run(5000)
    expect(peer.take()).toEqual([])
    expect(counts(stack)).toMatchObject({ dropIgnored: 3, dropBad: 1 })
  })

  it('more long questions than are waited for', () => {
    for (let i = 0; i < 70; i++) peer.say({ questions: [question('A web.local')], truncated: true })
    w.run(600)
    expect(counts(stack)).toMatchObject({ dropReplies: 6 })
  })
})
