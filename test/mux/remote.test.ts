import { describe, expect, it } from 'vitest'
import { muxConfig } from '../../src/base/mux-config.ts'
import { formatMac } from '../../src/ethernet/mac.ts'
import { MUX_PROTOCOL, obey, openFor, RemoteControls, readWelcome, welcomeOf } from '../../src/mux/remote.ts'
import { DEVICE_MAC, EVERYBODY, MuxWorld } from '../support/mux-world.ts'

/** As it is after a way through text. */
const sent = (message: unknown): unknown => JSON.parse(JSON.stringify(message))

describe('what a client elsewhere and the multiplexer say', () => {
  it('hello, welcome: the client knows what it is', () => {
    const { mux } = new MuxWorld({ name: 'talk' })
    const hello = {
      version: MUX_PROTOCOL,
      server: 'talk',
      device: 'eth0',
      mac: 'device',
      filter: { broadcast: false, multicast: ['01:00:5E:00:00:01'] },
    }
    const client = openFor(mux, sent(hello))
    expect([formatMac(client.mac), client.filter.broadcast, client.offload > 0]).toEqual([DEVICE_MAC, false, true])
    const welcome = readWelcome(sent(welcomeOf(mux, client)))
    expect(welcome).toEqual(welcomeOf(mux, client))
    expect(welcome).toMatchObject({
      server: 'talk',
      name: 'eth0#0',
      device: 'eth0',
      channel: 0,
      mac: DEVICE_MAC,
      macRule: 'device',
      mtu: 1500,
    })
    expect(welcome.filter.multicast).toEqual(['01:00:5e:00:00:01'])
    expect(openFor(mux, { version: MUX_PROTOCOL, offload: false }).offload).toBe(0)
    void mux.close()
  })

  it.each([
    [{}, 'EPROTO'],
    ['hello', 'EPROTO'],
    [null, 'EPROTO'],
    [{ version: 2 }, 'EPROTO'],
    [{ version: 1, server: 'other' }, 'ENOENT'],
    [{ version: 1, device: 'eth9' }, 'ENODEV'],
    [{ version: 1, device: '__proto__' }, 'ENODEV'],
    [{ version: 1, mac: 'mine' }, 'ERR_INVALID_ARG_VALUE'],
    [{ version: 1, filter: { broadcast: 1 } }, 'ERR_INVALID_ARG_VALUE'],
    [{ version: 1, filter: { multicast: [1] } }, 'ERR_INVALID_ARG_VALUE'],
    [{ version: 1, filter: { multicast: 'all' } }, 'ERR_INVALID_ARG_VALUE'],
  ])('refuses %j with %s, and opens nothing', (hello, code) => {
    const { mux } = new MuxWorld()
    expect(() => openFor(mux, hello)).toThrow(expect.objectContaining({ code }))
    expect(mux.clients).toEqual([])
  })

  it('an answer that is none is no multiplexer; a refusal is thrown as it was', () => {
    const { mux } = new MuxWorld()
    const good = sent(welcomeOf(mux, mux.open())) as Record<string, unknown>
    for (const bad of [
      null,
      7,
      {},
      { ...good, mtu: -1 },
      { ...good, channel: 'one' },
      { ...good, version: 9 },
      { ...good, name: undefined },
    ])
      expect(() => readWelcome(bad)).toThrow(expect.objectContaining({ code: 'EPROTO' }))
    expect(() => readWelcome({ ...good, mac: 'none' })).toThrow(/Invalid MAC/)
    expect(() => readWelcome({ code: 'EMFILE', message: 'full' })).toThrow(
      expect.objectContaining({ code: 'EMFILE', message: 'full' }),
    )
  })

  it('changes of the filter, and numbers for who asks', async () => {
    const world = new MuxWorld()
    const ear = world.open()
    const answers: unknown[] = []
    const held: boolean[] = []
    const controls = new RemoteControls(
      welcomeOf(world.mux, ear.link),
      (message) => answers.push(obey(ear.link, sent(message))) > 0,
      (on) => held.push(on),
    )
    controls.setFilter({ broadcast: false })
    expect([controls.filter.broadcast, ear.link.filter.broadcast, controls.filter.unicast]).toEqual([false, false, true])
    expect(() => controls.setFilter({ multicast: ['02:00:00:00:00:00'] })).toThrow(/no group/)
    world.arrive(EVERYBODY, 60)
    const counters = controls.counters()
    controls.heard(sent(answers.pop()))
    expect(await counters).toMatchObject({ inFrames: 0, inDropFiltered: 1 })
    expect(answers).toEqual([null])
    expect(held).toEqual([true, false]) // a question keeps the process alive until its answer is there
    controls.ref(true)
    const never = controls.counters()
    controls.ref(false)
    controls.ended()
    expect(held).toEqual([true, false, true, true, true, false])
    await expect(never).rejects.toMatchObject({ code: 'ENETDOWN' })
    await expect(controls.counters()).rejects.toMatchObject({ code: 'ENETDOWN' }) // asked of nobody
  })

  it('an answer is that of its own question, whatever was lost before, and who asks too often is told', async () => {
    const { mux } = new MuxWorld()
    const asked: { number: number }[] = []
    let room = true
    const controls = new RemoteControls(
      welcomeOf(mux, mux.open()),
      (message) => room && asked.push(message as never) > 0,
      () => undefined,
    )
    const promises = Array.from({ length: muxConfig.maxQuestions + 1 }, () => controls.counters().catch(({ code }) => code))
    expect([asked.length, await promises[muxConfig.maxQuestions]]).toEqual([muxConfig.maxQuestions, 'ENOBUFS'])
    const answer = (index: number) => ({ counters: { inFrames: index }, number: asked[index].number })
    controls.heard({ counters: { inFrames: 9 } })
    controls.heard({ counters: { inFrames: 9 }, number: 99 })
    controls.heard(answer(2)) // those of 0 and 1 were lost
    controls.heard(answer(1)) // nobody waits for it any more
    controls.heard(answer(3))
    expect(await Promise.all(promises.slice(0, 4))).toEqual(['ENOBUFS', 'ENOBUFS', { inFrames: 2 }, { inFrames: 3 }])
    // No room on the way: nothing is changed, and it is said.
    room = false
    await expect(controls.counters()).rejects.toMatchObject({ code: 'ENOBUFS' })
    expect(() => controls.setFilter({ broadcast: false })).toThrow(expect.objectContaining({ code: 'ENOBUFS' }))
    expect(controls.filter.broadcast).toBe(true)
    controls.ended()
  })

  it('nonsense changes nothing', () => {
    const { mux } = new MuxWorld()
    const client = mux.open()
    const before = client.filter
    for (const message of [null, 1, 'x', {}, { change: { broadcast: 'no' } }, { change: { multicast: ['x'] } }, { ask: 'money' }])
      expect(obey(client, message)).toBe(null)
    expect(client.filter).toEqual(before)
  })
})
