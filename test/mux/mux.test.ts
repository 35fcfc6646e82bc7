import { describe, expect, it } from 'vitest'
import { formatMac } from '../../src/ethernet/mac.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { findMux, Mux } from '../../src/mux/mux.ts'
import { CSUM_MASK, CSUM_NONE, CSUM_PARTIAL, frameMeta, type NetIfSink } from '../../src/netif/netif.ts'
import { parseTransport, tcpFrame, udpFrame } from '../support/frames.ts'
import { DEVICE_MAC, EVERYBODY, MuxWorld } from '../support/mux-world.ts'
import { netifConformance } from '../support/netif-conformance.ts'

const GROUP = '01:00:5e:00:00:fb'
const hearAll = { filter: { promiscuous: true } }

netifConformance('client of a multiplexer, to its link', () => {
  const { host, mux, wire } = new MuxWorld()
  return { a: mux.open(hearAll), b: wire.link, host, settle: () => void host.run(), close: () => mux.close() }
})

netifConformance(
  'client of a multiplexer, from its link without offload',
  () => {
    const { host, mux, wire } = new MuxWorld({ pipe: { offload: false, mtu: 1400 } })
    return { a: wire.link, b: mux.open(hearAll), host, settle: () => void host.run(), close: () => mux.close() }
  },
  { refuses: false },
)

netifConformance(
  'two clients of a multiplexer, one without offload',
  () => {
    const { host, mux } = new MuxWorld()
    const [a, b] = [mux.open(hearAll), mux.open({ ...hearAll, offload: false })]
    return { a, b, host, settle: () => void host.run(), close: () => mux.close() }
  },
  { refuses: false },
)

describe('who gets which address', () => {
  const macs = (world: MuxWorld): string[] => world.mux.clients.map((client) => `${client.macRule} ${formatMac(client.mac)}`)

  it('by channel, the smallest that is free', () => {
    const world = new MuxWorld()
    const clients = [world.mux.open(), world.mux.open(), world.mux.open()]
    expect(clients.map((client) => client.channel)).toEqual([0, 1, 2])
    expect(macs(world)[0]).toBe('ore 04:ea:43:01:96:09')
    clients[1].close()
    clients[1].close()
    expect(world.mux.clients).toEqual([clients[0], clients[2]])
    expect(world.mux.open().channel).toBe(1)
    expect(macs(world)[1]).toBe('ore 04:ea:44:01:9a:09')
    expect(world.told).toEqual(['opened eth0#0', 'opened eth0#1', 'opened eth0#2', 'gone eth0#1', 'opened eth0#1'])
  })

  it("the device's own for the first who asks, and again when it was given back", () => {
    const world = new MuxWorld()
    const first = world.mux.open({ mac: 'device' })
    const second = world.mux.open({ mac: 'device' })
    expect(macs(world)).toEqual([`device ${DEVICE_MAC}`, 'ore 04:ea:44:01:9a:09'])
    first.close()
    second.close()
    expect(formatMac(world.mux.open({ mac: 'device' }).mac)).toBe(DEVICE_MAC)
    expect(world.mux.open({ device: 'lo', mac: 'device' }).macRule).toBe('ore') // its own is 00:00:00:00:00:00
  })

  it('no address twice', () => {
    const world = new MuxWorld()
    world.mux.open({ mac: '02:00:00:00:00:01' })
    expect(() => world.mux.open({ mac: '02:00:00:00:00:01' })).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }))
    expect(world.mux.open({ device: 'lo', mac: '02:00:00:00:00:01' }).channel).toBe(1) // another device
    expect(world.mux.clients.length).toBe(2)
  })
})

describe('devices and servers', () => {
  it('are found by name', () => {
    const world = new MuxWorld({ name: 'ORe' })
    expect(world.mux.deviceNames).toEqual(['lo', 'eth0'])
    expect(findMux('ORe')).toBe(world.mux)
    expect(() => new MuxWorld({ name: 'ORe' })).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }))
    const other = new MuxWorld({ name: 'other' })
    expect(findMux('other')).toBe(other.mux)
    void world.mux.close()
    void other.mux.close()
    expect([findMux('ORe'), findMux('other')]).toEqual([undefined, undefined])
    const again = new MuxWorld({ name: 'ORe' })
    expect(findMux('ORe')).toBe(again.mux)
    void again.mux.close()
  })

  it('refuses what cannot be', () => {
    const world = new MuxWorld()
    const { mux } = world
    const code = (run: () => unknown): unknown => {
      try {
        return run()
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(code(() => mux.open({ device: 'eth7' }))).toBe('ENODEV')
    expect(code(() => mux.add('eth0', createPipe()[0]))).toBe('EEXIST')
    expect(code(() => mux.add('a b', createPipe()[0]))).toBe('ERR_INVALID_ARG_VALUE')
    expect(code(() => mux.add('tun0', createPipe({ medium: 'ip' })[0]))).toBe('ERR_INVALID_ARG_VALUE')
    expect(code(() => mux.open({ filter: { multicast: ['02:00:00:00:00:01'] } }))).toBe('ERR_INVALID_ARG_VALUE')
    expect(code(() => mux.open({ mac: 'nobody' }))).toBe('ERR_INVALID_ARG_VALUE')
    expect(code(() => mux.open({ mac: '00:00:00:00:00:00' }))).toBe('ERR_INVALID_ARG_VALUE')
    expect(code(() => mux.add('eth1', createPipe()[0], '00:00:00:00:00:00'))).toBe('ERR_INVALID_ARG_VALUE')
    expect(code(() => mux.open({ mac: 5 as never }))).toBe('ERR_INVALID_ARG_VALUE')
    for (const bad of [{ active: 1 }, { promiscuous: null }, { accept: true }, { multicast: 5 }, { multicast: 'all' }])
      expect(
        code(() => mux.open({ filter: bad as never })),
        JSON.stringify(bad),
      ).toBe('ERR_INVALID_ARG_VALUE')
    for (const limit of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '5' as never]) {
      expect(code(() => mux.open({ queueFrames: limit }))).toBe('ERR_INVALID_ARG_VALUE')
      expect(code(() => mux.open({ queueBytes: limit }))).toBe('ERR_INVALID_ARG_VALUE')
    }
    expect([mux.clients, world.told]).toEqual([[], []])
    for (let i = 0; i < 1024; i++) mux.open()
    expect(code(() => mux.open())).toBe('EMFILE')
    void mux.close()
    expect(code(() => mux.open())).toBe('ENODEV')
  })

  it('who is told and throws harms nobody: clients open, go and end as if he had not', async () => {
    const world = new MuxWorld()
    const [first, second] = [world.open(), world.open()]
    const { mux, host } = world
    const thrown: string[] = []
    const fail = (what: string) => (): never => {
      thrown.push(what)
      throw new Error(what)
    }
    mux.onOpened = fail('opened')
    mux.onGone = fail('gone')
    mux.onDeviceGone = fail('device')
    const third = world.open()
    expect(mux.clients).toEqual([first.link, second.link, third.link])
    third.link.close()
    mux.clients[0].end(new Error('away'))
    expect([mux.clients, first.sink.closes]).toEqual([[second.link], 1])
    await mux.close()
    expect([mux.clients, second.sink.closes, thrown]).toEqual([[], 1, ['opened', 'gone', 'gone', 'gone']])
    host.soon({ run: () => undefined })
    expect(() => host.run()).toThrow(/4 uncaught errors/)
  })

  it('ends a client when its signal is aborted, and opens none when it was before', () => {
    const world = new MuxWorld()
    const abort = new AbortController()
    const ear = world.open({ mac: 'device', signal: abort.signal })
    const other = world.open({ signal: abort.signal })
    other.link.close()
    abort.abort()
    expect([ear.sink.closes, ear.link.isClosed, other.sink.closes, world.mux.clients]).toEqual([1, true, 0, []])
    expect(world.told.slice(-1)).toEqual(['gone eth0#0: This operation was aborted'])
    expect(() => world.mux.open({ signal: abort.signal })).toThrow(expect.objectContaining({ name: 'AbortError' }))
    expect(() => world.mux.open({ signal: AbortSignal.abort('enough') })).toThrow(expect.objectContaining({ code: 'ECANCELED' }))
    expect(formatMac(world.mux.open({ mac: 'device' }).mac)).toBe(DEVICE_MAC)
  })

  it('a second device is apart from the first', () => {
    const world = new MuxWorld()
    world.mux.add('eth1', createPipe()[0], '02:00:00:00:00:77')
    const [a, b] = [world.open(), world.open({ device: 'eth1' })]
    expect(formatMac(world.mux.device('eth1').mac)).toBe('02:00:00:00:00:77')
    a.send(world.frame(EVERYBODY, 100))
    a.send(world.frame(b.link.mac, 101))
    world.host.run()
    expect([b.heard(), world.wire.heard()]).toEqual([[], [100, 101]])
    expect(world.mux.device().clients).toEqual([a.link])
  })
})

describe('who hears what', () => {
  it('from the wire: his own, and what everybody and groups are told', () => {
    const world = new MuxWorld()
    const [a, b] = [world.open(), world.open()]
    world.arrive(a.link.mac, 61)
    world.arrive(EVERYBODY, 62)
    world.arrive(GROUP, 63)
    world.arrive('02:00:00:00:00:42', 64)
    expect([a.heard(), b.heard()]).toEqual([
      [61, 62, 63],
      [62, 63],
    ])
    expect(world.mux.device().counters()).toMatchObject({ muxIn: 4, muxDropNoClient: 1 })
  })

  it('by filter, which may change at any time', () => {
    const world = new MuxWorld()
    const ear = world.open({ filter: { broadcast: false, multicast: [GROUP.toUpperCase(), GROUP] } })
    const { link } = ear
    const other = '02:00:00:00:00:42'
    const all = (): number[] => {
      for (const [i, to] of [link.mac, EVERYBODY, GROUP, '33:33:00:00:00:01', other].entries()) world.arrive(to, 60 + i)
      return ear.heard()
    }
    expect(all()).toEqual([60, 62])
    expect(link.filter).toEqual({
      active: true,
      unicast: true,
      broadcast: false,
      multicast: [GROUP],
      promiscuous: false,
      accept: null,
    })
    link.setFilter({ broadcast: true, multicast: false })
    expect(all()).toEqual([60, 61])
    link.setFilter({ multicast: true, unicast: false })
    expect(all()).toEqual([61, 62, 63])
    link.setFilter({ promiscuous: true })
    expect(all()).toEqual([60, 61, 62, 63, 64])
    link.setFilter({ accept: (_buf, start, end) => (end - start) % 2 === 0 })
    expect(all()).toEqual([60, 62, 64])
    link.setFilter({ active: false })
    expect(all()).toEqual([])
    link.setFilter({ active: true, promiscuous: false, accept: null, unicast: true })
    expect(all()).toEqual([60, 61, 62, 63])
    expect(() => link.setFilter({ broadcast: false, multicast: ['x'] })).toThrow(/Invalid MAC/)
    expect(link.filter.broadcast).toBe(true) // nothing was changed
    // Frames to another's address are not offered but to the promiscuous.
    expect(link.counters()).toMatchObject({
      inFrames: 2 + 2 + 3 + 5 + 3 + 4,
      inDropInactive: 5,
      inDropFiltered: 2 + 2 + 1 + 0 + 2,
    })
  })

  it("a filter's function that throws is the application's fault, and hears nothing", () => {
    const world = new MuxWorld()
    const thrown = new Error('of the application')
    const ear = world.open({
      filter: {
        accept: () => {
          throw thrown
        },
      },
    })
    world.wire.send(world.frame(ear.link.mac, 60))
    expect(() => world.host.run()).toThrow(thrown)
    expect([ear.heard(), ear.link.counters().inDropFiltered]).toEqual([[], 1])
  })

  it('from another client: inside only, but for groups; and nobody hears himself', () => {
    const world = new MuxWorld()
    const [a, b, c] = [world.open(), world.open(), world.open({ filter: { broadcast: false } })]
    a.send(world.frame(b.link.mac, 61))
    a.send(world.frame(EVERYBODY, 62))
    a.send(world.frame(GROUP, 63))
    a.send(world.frame(a.link.mac, 64))
    a.send(world.frame('02:00:00:00:00:42', 65))
    world.host.run()
    expect([a.heard(), b.heard(), c.heard()]).toEqual([[], [61, 62, 63], [63]])
    expect(world.wire.heard()).toEqual([62, 63, 65])
    expect(a.link.counters()).toMatchObject({ outFrames: 5, outOctets: 61 + 62 + 63 + 64 + 65 })
  })

  it('the promiscuous hear what others send, inside and out, once', () => {
    const world = new MuxWorld()
    const [a, b, spy] = [world.open(), world.open(hearAll), world.open(hearAll)]
    a.send(world.frame(b.link.mac, 61))
    a.send(world.frame('02:00:00:00:00:42', 62))
    spy.send(world.frame(a.link.mac, 63))
    world.arrive(spy.link.mac, 64)
    expect([a.heard(), b.heard(), spy.heard()]).toEqual([[63], [61, 62, 63, 64], [61, 62, 64]])
    expect(world.wire.heard()).toEqual([62])
    spy.link.setFilter({ promiscuous: false })
    a.send(world.frame(b.link.mac, 65))
    expect([b.heard(), spy.heard()]).toEqual([[65], []])
  })

  it('lo has no wire: its clients reach each other and themselves', () => {
    const world = new MuxWorld()
    const [a, b] = [world.open({ device: 'lo' }), world.open({ device: 'lo' })]
    const big = world.frame(a.link.mac, 60_000)
    a.send(big)
    b.send(world.frame(a.link.mac, 61))
    b.send(world.frame(EVERYBODY, 62))
    b.send(world.frame('02:00:00:00:00:42', 63))
    expect([a.heard(), b.heard(), world.wire.heard()]).toEqual([[60_000, 61, 62], [], []])
    expect(world.mux.device('lo').counters()).toMatchObject({ muxDropNoLink: 1, muxInside: 2 })
  })
})

describe('full and gone', () => {
  it('a full link refuses, once for all; whoever waits is told', () => {
    const world = new MuxWorld({ pipe: { queueFrames: 2 } })
    const [a, b, c] = [world.open(), world.open(), world.open()]
    const out = world.frame(EVERYBODY, 100)
    expect([a.send(out), a.send(out), a.send(out), b.send(out)]).toEqual([true, true, false, false])
    expect(c.heard()).toEqual([100, 100]) // those that were refused were heard by nobody
    expect([a.link.counters().outBlocked, world.wire.heard()]).toEqual([1, [100, 100]])
    expect([a.sink.writables, b.sink.writables, c.sink.writables]).toEqual([1, 1, 0])
    expect(a.send(out)).toBe(true)
  })

  it('a full client loses its own frames and nobody else’s', () => {
    const world = new MuxWorld()
    const [slow, fast] = [world.open({ queueFrames: 3 }), world.open()]
    for (let i = 0; i < 5; i++) world.arrive(EVERYBODY, 100 + i)
    expect(slow.link.counters()).toMatchObject({ inFrames: 3, inQueued: 3, inDropQueueFull: 2 })
    expect([slow.heard(), fast.heard()]).toEqual([
      [100, 101, 102],
      [100, 101, 102, 103, 104],
    ])
    expect(slow.link.counters().inQueued).toBe(0)
  })

  it('a client that closes loses what waited, and its frames go nowhere', () => {
    const world = new MuxWorld()
    const ear = world.open()
    world.arrive(EVERYBODY, 100)
    ear.link.close()
    world.arrive(ear.link.mac, 100)
    expect([ear.send(world.frame(EVERYBODY, 100)), ear.heard(), ear.sink.closes]).toEqual([true, [], 0])
    expect(ear.link.counters()).toMatchObject({ inFrames: 1, dropClosed: 2, outFrames: 0 })
    expect(world.mux.device().counters()).toMatchObject({ muxDropNoClient: 1 })
  })

  it('when the link ends so do its clients, and only they', () => {
    const world = new MuxWorld()
    const sinks: NetIfSink[] = []
    world.mux.add('eth1', Object.assign(createPipe()[0], { attach: (sink: NetIfSink) => void sinks.push(sink) }))
    const [lo, other, ear] = ['lo', 'eth0', 'eth1'].map((device) => world.open({ device }))
    let gone = ''
    world.mux.onDeviceGone = (device, error) => (gone = `${device}: ${error.message}`)
    sinks[0].closed(new Error('unplugged'))
    expect([gone, ear.sink.closes, lo.sink.closes, other.sink.closes]).toEqual(['eth1: unplugged', 1, 0, 0])
    expect(world.told.slice(3)).toEqual(['gone eth1#2: unplugged'])
    expect(() => world.mux.open({ device: 'eth1' })).toThrow(/No device eth1: lo, eth0 can be opened/)
  })

  it('close ends all clients and the link', async () => {
    const world = new MuxWorld()
    const ears = [world.open(), world.open({ device: 'lo' })]
    await world.mux.close()
    await world.mux.close()
    expect(ears.map((ear) => ear.sink.closes)).toEqual([1, 1])
    world.wire.send(world.frame(EVERYBODY, 60))
    expect(world.wire.link.counters?.()).toMatchObject({ dropNoPeer: 1 })
  })

  it('the link stays alive while one client wants it', () => {
    const calls: boolean[] = []
    const [link] = createPipe()
    const { host } = new MuxWorld()
    const mux = new Mux({ host, random: host.random }, Object.assign(link, { ref: (on: boolean) => void calls.push(on) }))
    const [a, b] = [mux.open(), mux.open()]
    a.ref(true)
    b.ref(true)
    a.ref(false)
    b.close()
    expect(calls).toEqual([true, true, true, false])
  })
})

describe('offload', () => {
  it('super-segments stay whole inside, and are split for a link or a client that has none', () => {
    const world = new MuxWorld({ pipe: { offload: false } })
    const [a, whole, plain] = [world.open(), world.open(), world.open({ offload: false })]
    const big = tcpFrame({ payload: new Uint8Array(5000).fill(7), gso: 1460 })
    for (const to of [whole.link.mac, plain.link.mac, new Uint8Array([2, 0, 0, 0, 0, 0x42])]) {
      const bytes = big.bytes.slice()
      bytes.set(to)
      expect(a.send(bytes, big.meta)).toBe(true)
    }
    world.host.run()
    const split = [1514, 1514, 1514, 674]
    expect(whole.sink.metas).toEqual([])
    expect([whole.heard(), plain.heard(), world.wire.heard()]).toEqual([[5054], split, split])
    expect([whole.sink.metas, plain.sink.metas]).toEqual([[big.meta], [0, 0, 0, 0]])
  })

  it('a partial checksum is completed for who needs it, whoever else hears the frame', () => {
    const world = new MuxWorld()
    const [a, plain, whole, other] = [world.open(), world.open({ offload: false }), world.open(), world.open({ offload: false })]
    const { bytes, meta } = udpFrame({ payload: new Uint8Array(50).fill(3), partial: true })
    bytes.set([255, 255, 255, 255, 255, 255])
    expect(parseTransport(bytes).checksumOk).toBe(false)
    a.send(bytes, meta)
    for (const ear of [plain, whole, other, world.wire]) {
      let seen = -1
      ear.sink.onFrame = (buf, start, end, state) => {
        seen = state & CSUM_MASK
        const ok = parseTransport(buf.slice(start, end)).checksumOk
        expect(ok).toBe(seen !== CSUM_PARTIAL)
      }
      expect(ear.heard()).toEqual([bytes.length])
      expect(seen).toBe(ear === world.wire ? CSUM_PARTIAL : CSUM_NONE)
    }
  })

  it('a client without offload vouches for nothing and may send nothing unfinished', () => {
    const world = new MuxWorld()
    const [plain, other] = [world.open({ offload: false }), world.open()]
    expect([plain.link.offload, plain.link.gsoMax]).toEqual([0, 0])
    const frame = world.frame(other.link.mac, 200)
    plain.send(frame, 1)
    plain.send(frame, frameMeta(CSUM_PARTIAL, 0, 0))
    plain.send(new Uint8Array(13))
    plain.send(world.frame(other.link.mac, 1515))
    expect(other.heard()).toEqual([200])
    expect(other.sink.metas).toEqual([0])
    expect(plain.link.counters()).toMatchObject({ dropNotOffloaded: 1, dropTooShort: 1, dropTooLong: 1, outFrames: 1 })
  })
})
