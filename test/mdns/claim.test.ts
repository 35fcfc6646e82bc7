import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Stack } from '../../src/stack/stack.ts'
import { a, aaaa } from '../support/dns-server.ts'
import { counts, MdnsWorld, Peer } from '../support/mdns-world.ts'

let w: MdnsWorld
let peer: Peer

beforeEach(() => {
  w = new MdnsWorld()
  peer = w.peer()
})

afterEach(() => w.close())

const PROBE = '? ANY web.local QU | A web.local 10.0.0.2 120'
const ANNOUNCEMENT = '! A web.local 10.0.0.2 120*, PTR 2.0.0.10.in-addr.arpa web.local. 120*'

function web(): Stack {
  return w.stack(['10.0.0.2/24'], { host: 'web', ipv6: false })
}

describe('probing and announcing (section 8)', () => {
  it('three probes 250 ms apart, two announcements a second apart, all with TTL 255', () => {
    web()
    w.run(10_000)
    const { heard } = peer
    expect(heard.map((h) => h.words)).toEqual([PROBE, PROBE, PROBE, ANNOUNCEMENT, ANNOUNCEMENT])
    expect(heard[0].at).toBeLessThanOrEqual(250)
    expect(heard.slice(1).map((h, i) => h.at - heard[i].at)).toEqual([250, 250, 250, 1000])
    expect(heard.every((h) => h.ttl === 255 && h.port === 5353 && h.to === '224.0.0.251' && h.m.id === 0)).toBe(true)
    expect(heard.slice(3).every((h) => h.m.authoritative && h.m.questions.length === 0)).toBe(true)
  })

  it('who waits for the name is waited for by the process; a stack without a link is not', async () => {
    const stack = w.stack(['10.0.0.2/24'], { ipv6: false })
    const ready = stack.mdns.start('web')
    expect(w.world.host.holds).toBe(1)
    expect(await w.settle(ready)).toBe('web.local')
    expect(w.world.host.holds).toBe(0)
    expect(await w.settle(stack.mdns.start('web'))).toBe('web.local')
    const alone = w.world.stack({ mdns: { host: 'alone' } })
    expect([alone.mdns.hostname, w.world.host.holds]).toEqual(['alone.local', 0])
    const late = alone.mdns.start('other').catch((error) => error.code)
    await alone.close()
    expect([await late, w.world.host.holds]).toEqual(['ECANCELED', 0])
  })

  it('answers nothing before it is announced', () => {
    web()
    w.run(500)
    peer.take()
    peer.ask('A web.local')
    w.run(100)
    expect(peer.answers()).toEqual([])
  })

  it('a name that somebody has: another one, which is probed for from the beginning', async () => {
    const stack = web()
    w.run(400)
    peer.answer(a('web.local', '10.0.0.9', 120))
    const ready = stack.mdns.start()
    expect(await w.settle(ready)).toBe('web-2.local')
    w.run(2000)
    const all = peer.take()
    expect(all.filter((x) => x.startsWith('? ANY web-2.local'))).toHaveLength(3)
    expect(all.filter((x) => x.startsWith('!')).every((x) => x.startsWith('! A web-2.local 10.0.0.2 120*'))).toBe(true)
    expect(counts(stack)).toMatchObject({ conflicts: 1 })
  })

  it('taken by a record of any type, and by an answer to the probe alone (section 8.1)', async () => {
    const stack = web()
    w.run(300)
    const probe = peer.heard[0]
    peer.say({ isResponse: true, authoritative: true, answers: [aaaa('WEB.local', 'fd00::9', 120)] }, probe.from)
    expect(await w.settle(stack.mdns.start())).toBe('web-2.local')
  })

  it('not by a goodbye, nor by what we say ourselves', async () => {
    const stack = web()
    w.run(300)
    peer.answer(a('web.local', '10.0.0.9', 0), a('web.local', '10.0.0.2', 120))
    expect(await w.settle(stack.mdns.start())).toBe('web.local')
    expect(counts(stack).conflicts).toBeUndefined()
  })

  describe('simultaneous probes (section 8.2)', () => {
    const rival = (text: string): void => {
      const questions = [{ name: 'web.local', type: 'ANY', class: 0x8001 }]
      peer.say({ questions, authorities: [a('web.local', text, 120)] })
    }

    it('later data wins: we ask again after a second, and take the name when nobody objects', async () => {
      const stack = web()
      w.run(300)
      peer.take()
      const at = w.world.elapsedMs
      rival('10.0.0.9')
      expect(await w.settle(stack.mdns.start())).toBe('web.local')
      w.run(10)
      expect(peer.heard.map((h) => h.words)).toEqual([PROBE, PROBE, PROBE, ANNOUNCEMENT])
      expect(peer.heard[0].at - at).toBeGreaterThanOrEqual(1000)
      expect(counts(stack)).toMatchObject({ tieBreaksLost: 1 })
    })

    it.each([
      ['earlier', '10.0.0.1'],
      ['the same', '10.0.0.2'],
    ])('%s data is no reason to stop', async (_, text) => {
      const stack = web()
      w.run(300)
      rival(text)
      await w.settle(stack.mdns.start())
      expect(counts(stack).tieBreaksLost).toBeUndefined()
      expect(w.world.elapsedMs).toBeLessThan(1100)
    })

    it('of two stacks that come together one has the name, and the other the next', async () => {
      const one = w.stack(['10.0.0.2/24'], { host: 'twin' })
      const two = w.stack(['10.0.0.3/24'], { host: 'twin' })
      const names = [await w.settle(one.mdns.start()), await w.settle(two.mdns.start())]
      expect(names).toEqual(['twin-2.local', 'twin.local'])
    })
  })

  it('many conflicts, and each further attempt waits five seconds (section 8.1)', async () => {
    const stack = web()
    const renames: number[] = []
    stack.mdns.onRename = (name) => renames.push(w.world.elapsedMs, Number(/\d+/.exec(name)))
    for (let i = 0; i < 400 && renames.length < 34; i++) {
      w.run(50)
      const asked = peer.heard.splice(0).at(-1)
      if (asked?.m.authorities.length === 1) peer.answer(a(asked.m.questions[0].name, '10.0.0.9', 120))
    }
    expect(renames.slice(-1)).toEqual([18])
    const times = renames.filter((_, i) => i % 2 === 0)
    expect(times[13] - times[0]).toBeLessThan(14 * 350)
    expect(times[16] - times[15]).toBeGreaterThanOrEqual(5000)
  })
})

describe('a name of ours (section 9)', () => {
  it('disputed: probed again, and given up to who answers', async () => {
    const stack = web()
    w.run(5000)
    peer.take()
    peer.answer(a('web.local', '10.0.0.9', 120))
    w.run(300)
    expect(peer.take()[0]).toBe(PROBE)
    peer.answer(a('web.local', '10.0.0.9', 120))
    w.run(3000)
    expect(stack.mdns.hostname).toBe('web-2.local')
  })

  it('disputed by who is gone then: kept', () => {
    const stack = web()
    w.run(5000)
    peer.take()
    peer.answer(a('web.local', '10.0.0.9', 120))
    w.run(5000)
    expect(peer.take()).toEqual([PROBE, PROBE, PROBE, ANNOUNCEMENT, ANNOUNCEMENT])
    expect(stack.mdns.hostname).toBe('web.local')
  })

  it('a record of another type by that name is no dispute', () => {
    const stack = web()
    w.run(5000)
    peer.answer(aaaa('web.local', 'fd00::9', 120))
    w.run(5000)
    expect(counts(stack).conflicts).toBeUndefined()
  })

  it('somebody lets go of a record of ours, or remembers half of it: said again (sections 6.6 and 10.1)', () => {
    const stack = web()
    w.run(5000)
    peer.take()
    peer.answer(a('web.local', '10.0.0.2', 0))
    w.run(3000)
    expect(peer.take()).toEqual([ANNOUNCEMENT, ANNOUNCEMENT])
    peer.answer(a('web.local', '10.0.0.2', 59))
    w.run(3000)
    expect(peer.take()).toEqual([ANNOUNCEMENT, ANNOUNCEMENT])
    peer.answer(a('web.local', '10.0.0.2', 60))
    w.run(3000)
    expect(peer.take()).toEqual([])
    expect(counts(stack).rescued).toBe(2)
  })
})

describe('the end, and changes (sections 8.4, 10.1)', () => {
  it('goodbye with TTL 0 when the stack is closed', async () => {
    const stack = web()
    w.run(5000)
    peer.take()
    await stack.close()
    w.run(100)
    expect(peer.take()).toEqual(['! A web.local 10.0.0.2 0*, PTR 2.0.0.10.in-addr.arpa web.local. 0*'])
  })

  it('no goodbye for what was never announced', async () => {
    const stack = web()
    w.run(400)
    peer.take()
    await stack.close()
    w.run(100)
    expect(peer.take()).toEqual([])
  })

  it('another address: announced without a probe; of one that goes, its name is taken back', () => {
    const stack = web()
    w.run(5000)
    peer.take()
    void stack.interfaces[0].addAddress('10.0.0.22/24', { probe: false })
    w.run(3000)
    const both =
      '! A web.local 10.0.0.2 120*, PTR 2.0.0.10.in-addr.arpa web.local. 120*, A web.local 10.0.0.22 120*, PTR 22.0.0.10.in-addr.arpa web.local. 120*'
    expect(peer.take()).toEqual([both, both])
    stack.interfaces[0].removeAddress('10.0.0.2/24')
    w.run(3000)
    const one = '! A web.local 10.0.0.22 120*, PTR 22.0.0.10.in-addr.arpa web.local. 120*'
    expect(peer.take()).toEqual(['! PTR 2.0.0.10.in-addr.arpa web.local. 0*', one, one])
  })

  it('the first address comes later, the link goes down and up, the host was asleep: probed and announced', () => {
    const stack = w.stack([], { host: 'web', ipv6: false })
    w.run(3000)
    expect(peer.take()).toEqual([])
    void stack.interfaces[0].addAddress('10.0.0.2/24', { probe: false })
    const whole = [PROBE, PROBE, PROBE, ANNOUNCEMENT, ANNOUNCEMENT]
    w.run(5000)
    expect(peer.take()).toEqual(whole)
    stack.interfaces[0].setUp(false)
    stack.interfaces[0].setUp(true)
    w.run(5000)
    expect(peer.take()).toEqual(whole)
    stack.mdns.announce()
    w.run(5000)
    expect(peer.take()).toEqual(whole)
  })

  it('another name: the old one is taken back', async () => {
    const stack = web()
    w.run(5000)
    peer.take()
    expect(await w.settle(stack.mdns.start('db.local'))).toBe('db.local')
    const said = peer.take()
    expect(said[0]).toBe('! A web.local 10.0.0.2 0*, PTR 2.0.0.10.in-addr.arpa web.local. 0*')
    expect(said[1]).toBe('? ANY db.local QU | A db.local 10.0.0.2 120')
  })

  it('is silent unless it is asked for', () => {
    const stack = w.stack(['10.0.0.2/24'])
    w.run(5000)
    expect(peer.take()).toEqual([])
    expect(stack.counters().mdns).toBeUndefined()
    expect(stack.groups.map((g) => g.group)).not.toContain('224.0.0.251')
  })
})

describe('several interfaces and families', () => {
  it('each interface is told its own addresses alone; a conflict on one is a new name on all', async () => {
    const stack = web()
    const { b } = w.world.link(stack, w.world.stack({ name: 'far' }), { addresses: ['10.1.0.2/24', '10.1.0.9/24'] })
    const far = new Peer(w.world, w.world.stacks[2], b, 4)
    w.run(5000)
    for (const one of [peer, far]) {
      one.take()
      one.ask('A web.local')
    }
    w.run(100)
    expect(peer.take()).toEqual(['! A web.local 10.0.0.2 120* + NSEC web.local web.local. A 120*'])
    expect(far.take()).toEqual(['! A web.local 10.1.0.2 120* + NSEC web.local web.local. A 120*'])
    for (let i = 0; i < 2; i++) {
      far.answer(a('web.local', '10.1.0.9', 120))
      w.run(300)
    }
    w.run(5000)
    expect(stack.mdns.hostname).toBe('web-2.local')
    expect(peer.answers()).toContain('! A web.local 10.0.0.2 0*, PTR 2.0.0.10.in-addr.arpa web.local. 0*')
    expect(far.answers().at(-1)).toBe('! A web-2.local 10.1.0.2 120*, PTR 2.0.1.10.in-addr.arpa web-2.local. 120*')
  })

  it('over IPv6, from a link-local address, with all addresses of the interface', () => {
    const six = w.peer('fd00::9/64')
    w.stack(['10.0.0.2/24', 'fd00::2/64'], { host: 'web' })
    w.run(5000)
    const said = six.heard.filter((h) => h.m.isResponse)
    expect(said).toHaveLength(2)
    expect(said[0].from).toMatch(/^fe80::/)
    expect(said[0].to).toMatch(/^ff02::fb/)
    expect(said[0].m.answers.filter((r) => r.name === 'web.local').map((r) => r.type)).toEqual(['A', 'AAAA', 'AAAA'])
  })
})
