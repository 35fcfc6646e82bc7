import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BrowseEvent, Browser } from '../../src/mdns/browser.ts'
import type { ServiceInfo } from '../../src/mdns/instance.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { a, aaaa, record } from '../support/dns-server.ts'
import { counts, flushed, MdnsWorld, type Peer } from '../support/mdns-world.ts'

let w: MdnsWorld
let peer: Peer

beforeEach(() => {
  w = new MdnsWorld()
  peer = w.peer()
})

afterEach(() => w.close())

function host(name: string, n: number): Stack {
  return w.stack([`10.0.0.${n}/24`], { host: name, ipv6: false })
}

function watch(browser: Browser): string[] {
  const events: string[] = []
  browser.onEvent = ({ kind, service }) => events.push(`${kind} ${service.name} ${service.host}:${service.port}`)
  return events
}

const srv = (name: string, target: string, port = 80, ttl = 120) =>
  flushed(record(name, 'SRV', { priority: 0, weight: 0, port, target }, ttl))
const txt = (name: string, ...strings: string[]) =>
  flushed(record(name, 'TXT', { strings: strings.map((s) => Uint8Array.from(s, (c) => c.charCodeAt(0))) }, 4500))
const pointer = (instance: string, ttl = 4500) => record('_http._tcp.local', 'PTR', { ptrdname: instance }, ttl)

describe('a service', () => {
  it('is probed for with SRV and TXT, announced with all of its names, taken back with them', async () => {
    const stack = host('web', 2)
    w.run(5000)
    peer.take()
    const service = stack.mdns.publish({ name: 'Büro 1.2', type: '_http._tcp', port: 80, txt: { path: '/x', secure: true } })
    expect(await w.settle(service.ready)).toBe('Büro 1.2')
    w.run(3000)
    const name = 'B\\195\\188ro\\0321\\.2._http._tcp.local'
    const records = (ptr: number, own: number, star: string): string =>
      [
        `SRV ${name} 0 0 80 web.local. ${own}${star}`,
        `TXT ${name} "path=/x" "secure" ${ptr}${star}`,
        `PTR _http._tcp.local ${name}. ${ptr}`,
        `PTR _services._dns-sd._udp.local _http._tcp.local. ${ptr}`,
      ].join(', ')
    const probe = `? ANY ${name} QU | SRV ${name} 0 0 80 web.local. 120, TXT ${name} "path=/x" "secure" 4500`
    expect(peer.take()).toEqual([probe, probe, probe, `! ${records(4500, 120, '*')}`, `! ${records(4500, 120, '*')}`])
    service.close()
    service.close()
    w.run(100)
    expect(peer.take()).toEqual([`! ${records(0, 0, '*')}`])
  })

  it('the type lives on while another service has it; a closed one never becomes ready', async () => {
    const stack = host('web', 2)
    const [one, two] = ['One', 'Two'].map((name) => stack.mdns.publish({ name, type: '_http._tcp.local.', port: 80 }))
    w.run(5000)
    peer.take()
    one.close()
    w.run(100)
    expect(peer.take().join()).not.toContain('_services')
    two.close()
    w.run(100)
    expect(peer.take().join()).toContain('PTR _services._dns-sd._udp.local _http._tcp.local. 0')
    const three = stack.mdns.publish({ name: 'Three', type: '_http._tcp', port: 80 })
    three.close()
    await expect(w.settle(three.ready)).rejects.toMatchObject({ code: 'ECANCELED' })
  })

  it('of a name that is there: another one (RFC 6763 appendix D), as often as need be', async () => {
    const renamed: string[] = []
    const services = [2, 3, 4].map((n) => {
      const service = host(`h${n}`, n).mdns.publish({ name: 'Site', type: '_http._tcp', port: n })
      service.onRename = (name) => renamed.push(name)
      w.run(3000)
      return service
    })
    expect(services.map((s) => s.name)).toEqual(['Site', 'Site (2)', 'Site (3)'])
    expect(renamed).toEqual(['Site (2)', 'Site (2)', 'Site (3)'])
  })

  it('of the same name and another type is no conflict', () => {
    const one = host('h2', 2).mdns.publish({ name: 'Site', type: '_http._tcp', port: 1 })
    const two = host('h3', 3).mdns.publish({ name: 'Site', type: '_ftp._tcp', port: 1 })
    w.run(3000)
    expect([one.name, two.name]).toEqual(['Site', 'Site'])
  })

  it('says what is new without a probe: its TXT, its host by another name', () => {
    const stack = host('web', 2)
    const service = stack.mdns.publish({ name: 'Site', type: '_http._tcp', port: 80, txt: { v: '1' } })
    w.run(5000)
    peer.take()
    service.setTxt({ v: '2' })
    w.run(3000)
    expect(peer.answers()).toHaveLength(2)
    peer.answer(a('web.local', '10.0.0.9', 120))
    w.run(300)
    peer.answer(a('web.local', '10.0.0.9', 120))
    w.run(5000)
    expect(stack.mdns.hostname).toBe('web-2.local')
    const said = peer.take()
    expect(said.some((x) => x.startsWith('! SRV Site._http._tcp.local 0 0 80 web-2.local. 120*'))).toBe(true)
    expect(said.some((x) => x.startsWith('? ANY Site'))).toBe(false)
  })

  it.each([
    ['a type without an underscore', { type: 'http._tcp' }],
    ['another protocol', { type: '_http._sctp' }],
    ['a type too long', { type: '_sixteen-letters-x._tcp' }],
    ['no name', { name: '' }],
    ['a name too long', { name: 'ü'.repeat(32) }],
    ['control characters', { name: 'a\nb' }],
    ['a port that is none', { port: 65536 }],
    ['a key with =', { txt: { 'a=b': '' } }],
    ['a value too long', { txt: { a: 'x'.repeat(254) } }],
    ['a key twice', { txt: { a: '1', A: '2' } }],
  ])('is refused with %s', (_, wrong) => {
    const stack = host('web', 2)
    expect(() => stack.mdns.publish({ name: 'Site', type: '_http._tcp', port: 80, ...wrong })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    )
  })
})

describe('browsing', () => {
  it('up, changed, down: as services of other stacks come and go', async () => {
    const events = watch(w.stack(['10.0.0.3/24']).mdns.browse('_http._tcp'))
    const stack = host('web', 2)
    const service = stack.mdns.publish({ name: 'Site', type: '_http._tcp', port: 80 })
    w.run(3000)
    expect(events).toEqual(['up Site web.local:80'])
    service.setTxt({ a: 'b' })
    w.run(3000)
    expect(events.splice(0)).toEqual(['up Site web.local:80', 'changed Site web.local:80'])
    service.close()
    w.run(3000)
    expect(events.splice(0)).toEqual(['down Site web.local:80'])
    stack.mdns.publish({ name: 'Next', type: '_http._tcp', port: 81 })
    w.run(3000)
    await stack.close()
    w.run(3000)
    expect(events).toEqual(['up Next web.local:81', 'down Next web.local:81'])
  })

  it('all that is known of one; our own among them', async () => {
    const stack = w.stack(['10.0.0.2/24', 'fd00::2/64'], { host: 'web' })
    stack.mdns.publish({ name: 'Bü.ro', type: '_http._tcp', port: 80, txt: { a: 'ü', b: '', c: true }, subtypes: ['_blog'] })
    w.run(3000)
    const found = await w.settle(stack.mdns.resolve('Bü.ro', '_http._tcp'))
    const expected: ServiceInfo = {
      name: 'Bü.ro',
      type: '_http._tcp',
      fullName: 'B\\195\\188\\.ro._http._tcp.local',
      host: 'web.local',
      port: 80,
      priority: 0,
      weight: 0,
      addresses: ['10.0.0.2', 'fd00::2', expect.stringMatching(/^fe80::.*%eth0$/)],
      txt: { a: 'ü', b: '', c: true },
      interfaces: ['eth0'],
    }
    expect(found).toEqual(expected)
    const other = w.stack(['10.0.0.3/24', 'fd00::3/64'])
    for (const browser of [other.mdns.browse('_http._tcp', { subtype: '_blog' }), stack.mdns.browse('_http._tcp')]) {
      const { value } = await w.settle(browser.next())
      expect((value as BrowseEvent).kind).toBe('up')
      expect((value as BrowseEvent).service).toEqual(expected)
      browser.close()
    }
    expect(await w.settle(other.mdns.types())).toEqual(['_http._tcp'])
    const nothing = other.mdns.browse('_http._tcp', { subtype: '_other' })
    w.run(3000)
    expect(nothing.services).toEqual([])
  })

  it('is up when all of it is known, whatever comes first; of two places the last said counts', () => {
    const browser = w.stack(['10.0.0.3/24'], { ipv6: false }).mdns.browse('_http._tcp')
    const events = watch(browser)
    const name = 'P._http._tcp.local'
    peer.answer(pointer(name))
    w.run(1000)
    peer.answer(txt(name, 'a=1', '=x', 'A=2', '__proto__=y', 'b'))
    w.run(1000)
    peer.answer(srv(name, 'p.local', 90))
    w.run(1000)
    expect(peer.take().some((x) => x.includes('A p.local'))).toBe(true)
    expect(events).toEqual([])
    peer.answer(a('p.local', '10.0.0.7', 120))
    w.run(1000)
    expect(events.splice(0)).toEqual(['up P p.local:90'])
    expect(Object.entries(browser.services[0].txt)).toEqual([
      ['a', '1'],
      ['__proto__', 'y'],
      ['b', true],
    ])
    peer.answer(srv(name, 'q.local', 91), a('q.local', '10.0.0.8', 120))
    w.run(5000)
    expect(events.splice(0)).toEqual(['changed P q.local:91'])
    expect(browser.services[0].addresses).toEqual(['10.0.0.8'])
    peer.answer(pointer(name, 0))
    w.run(3000)
    expect(events).toEqual(['down P q.local:91'])
  })

  it('a slow reader is told what is true when he asks', async () => {
    const browser = w.stack(['10.0.0.3/24']).mdns.browse('_http._tcp')
    const one = host('web', 2).mdns.publish({ name: 'One', type: '_http._tcp', port: 1 })
    w.run(3000)
    expect((await w.settle(browser.next())).value).toMatchObject({ kind: 'up', service: { name: 'One' } })
    for (const v of ['1', '2', '3']) {
      one.setTxt({ v })
      w.run(3000)
    }
    expect((await w.settle(browser.next())).value).toMatchObject({ kind: 'changed', service: { txt: { v: '3' } } })
    const next = browser.next()
    w.run(3000)
    one.close()
    w.run(3000)
    expect((await next).value).toMatchObject({ kind: 'down', service: { txt: { v: '3' } } })
    const last = browser.next()
    browser.close()
    expect(await last).toEqual({ done: true, value: undefined })
    expect(await browser.next()).toEqual({ done: true, value: undefined })
  })

  it('follows so many instances and no more', () => {
    const stack = w.stack(['10.0.0.3/24'], { maxInstances: 5, ipv6: false })
    const browser = stack.mdns.browse('_http._tcp')
    for (let i = 0; i < 20; i++) {
      const name = `i${i}._http._tcp.local`
      peer.answer(pointer(name), srv(name, 'h.local'), txt(name, ''), a('h.local', '10.0.0.9', 120))
    }
    w.run(1000)
    expect(browser.services).toHaveLength(5)
  })

  it('an instance that is not there; the stack is closed meanwhile', async () => {
    const stack = w.stack(['10.0.0.3/24'])
    await expect(w.settle(stack.mdns.resolve('No', '_http._tcp'))).rejects.toMatchObject({ code: 'ENOTFOUND' })
    const [pending, browser] = [stack.mdns.resolve('No', '_http._tcp'), stack.mdns.browse('_http._tcp')]
    const next = browser.next()
    pending.catch(() => undefined)
    await stack.close()
    await expect(pending).rejects.toMatchObject({ code: 'ECANCELED' })
    expect(await next).toEqual({ done: true, value: undefined })
    expect(() => stack.mdns.browse('_http._tcp')).toThrow(expect.objectContaining({ code: 'ERR_STACK_CLOSED' }))
  })

  it('addresses of one family only, and of both', async () => {
    const stack = w.stack(['10.0.0.3/24'], { ipv6: false })
    const browser = stack.mdns.browse('_http._tcp')
    const name = 'P._http._tcp.local'
    peer.answer(pointer(name), srv(name, 'p.local'), txt(name, ''), flushed(aaaa('p.local', 'fd00::9', 120)))
    w.run(500)
    expect(browser.services[0].addresses).toEqual(['fd00::9'])
    peer.answer(a('p.local', '10.0.0.9', 120))
    w.run(500)
    expect(browser.services[0].addresses).toEqual(['10.0.0.9', 'fd00::9'])
    expect(counts(stack).conflicts).toBeUndefined()
  })
})
