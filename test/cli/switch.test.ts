import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run } from '../../src/cli/run.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { createWorld } from '../../src/sim/world.ts'
import { tcpFrame } from '../support/frames.ts'
import { readPcapng } from '../support/pcapng-reader.ts'
import { scratchFolder } from '../support/scratch.ts'
import { BROADCAST, frame, Station, station } from '../support/switch-lab.ts'

/** Stations at the far ends of the links, and the command between them; with `loop` both ends of one link are its. */
function lab(count = 3, loop = false, mtus: readonly number[] = []) {
  const world = createWorld({ seed: 21 })
  const pipes = Array.from({ length: count }, (_, i) =>
    createPipe({ names: [`tap${i}`, `far${i}`], hangUp: true, mtu: mtus[i] ?? 1500 }),
  )
  const stations = loop ? [] : pipes.map(([, far]) => new Station(far, world.host))
  const out: string[] = []
  const err: string[] = []
  const stop = new AbortController()
  let report: (() => void) | null = null
  let next = 0
  /** Who serves guests: what it was told, and who is still there. */
  const guests: { url: string; target: { join(link: NetIf): unknown }; refused: (why: string) => void; closed: boolean }[] = []
  const context = {
    serveGuests: async (target: { join(link: NetIf): unknown }, url: string, refused: (why: string) => void) => {
      if (url.includes('broken')) throw new Error('listen EACCES')
      const entry = { url, target, refused, closed: false }
      guests.push(entry)
      return {
        close: async () => {
          entry.closed = true
        },
      }
    },
    out: (line: string) => void out.push(line),
    err: (line: string) => void err.push(line),
    openLink: async (): Promise<NetIf> => (loop ? pipes[0][next++] : pipes[next++][0]),
    platform: { host: world.host, random: world.host.random },
    stop: stop.signal,
    onReport: (call: () => void) => {
      report = call
      return () => {
        report = null
      }
    },
  }
  const urls = pipes.map((_, i) => `tap://tap${i}`).join(' ')
  /** Runs the command until it is ready, or has ended. */
  const start = async (options: string, links = urls): Promise<Promise<number>[]> => {
    let ended = false
    const done = run(`switch ${links} ${options}`.split(' ').filter(Boolean), context, '1')
    const mark = (): void => {
      ended = true
    }
    done.then(mark, mark)
    while (!ended && !out.some((l) => l.startsWith('ready'))) await undefined
    return [done] // not the promise itself, or it would be awaited
  }
  const ask = (): string[] => {
    out.length = 0
    report?.()
    return [...out]
  }
  const heard = (): number[] => {
    world.run(1)
    return stations.map((s) => s.heard().length)
  }
  return { guests, world, stations, pipes, out, err, stop, start, ask, heard, isAsked: () => report !== null }
}

describe('tapstack switch', () => {
  it('joins links, shows what it knows when asked, and leaves nothing', async () => {
    const { world, stations, out, err, stop, start, ask, heard, isAsked } = lab()
    const [done] = await start('')
    expect(out).toEqual(['ready: tap0, tap1, tap2'])
    expect(world.host.holds).toBe(1)
    stations[0].send(frame(BROADCAST, station(1)))
    expect(heard()).toEqual([0, 1, 1])
    stations[1].send(frame(station(1), station(2)))
    expect(heard()).toEqual([1, 0, 0])
    expect(ask()).toEqual([
      'PORT  STATE  ADDRESSES  IN  OUT  DROPPED',
      'tap0  up             1   1    1        0',
      'tap1  up             1   1    1        0',
      'tap2  up             0   0    1        0',
      'ADDRESS            VLAN  PORT  AGE',
      '02:00:00:00:00:02     1  tap1    0',
      '02:00:00:00:00:01     1  tap0    0',
    ])
    stop.abort()
    expect(await done).toBe(0)
    expect([err, world.host.holds, isAsked(), stations[0].sink.closes]).toEqual([[], 0, false, 1])
  })

  it('has VLANs, a mirror, isolated ports and rates', async () => {
    const vlans = lab()
    await vlans.start('--vlan tap0=10 --vlan 2=trunk:10,20,native:30 --vlan tap2=20')
    vlans.stations[0].send(frame(BROADCAST, station(1)))
    expect(vlans.heard()).toEqual([0, 1, 0])
    expect(
      vlans
        .ask()
        .slice(1, 4)
        .map((l) => l.replace(/ {2,}.*/, '')),
    ).toEqual(['tap0', 'tap1', 'tap2'])
    expect(vlans.ask()[2]).toContain('up trunk 10,20 native 30')

    const mirror = lab()
    await mirror.start('--mirror tap2 --isolate tap0,tap1')
    mirror.stations[0].send(frame(BROADCAST, station(1)))
    expect(mirror.heard()).toEqual([0, 0, 1])
    expect(mirror.ask()[3]).toContain('mirror')

    const slow = lab(2)
    await slow.start('--rate tap1=1k --hub')
    for (let i = 0; i < 10; i++) slow.stations[0].send(frame(BROADCAST, station(1), i, [], 60_000))
    for (let i = 0; i < 10; i++) slow.stations[0].send(frame(BROADCAST, station(1), i, [], 1400))
    expect(slow.heard()[1]).toBe(10)
    for (let i = 0; i < 60; i++) slow.stations[0].send(frame(BROADCAST, station(1), i, [], 1400))
    expect(slow.heard()[1]).toBe(36) // 65600 bytes at once, at 1000 bit/s
  })

  it('has a spanning tree that finds a loop', async () => {
    const { world, out, stop, start } = lab(2, true)
    const [done] = await start('--stp --verbose --interval 40')
    world.run(41_000)
    expect(out.slice(1, 4).map((l) => l.replace(/ {2,}[\d ]+$/, ''))).toEqual([
      'PORT  STATE                     ADDRESSES  IN  OUT  DROPPED',
      'tap0  up designated forwarding',
      'far0  up backup discarding',
    ])
    expect(out[4]).toMatch(/^spanning tree: 8000[0-9a-f]{12} is the root$/)
    stop.abort()
    expect(await done).toBe(0)
    expect(out.some((l) => l.startsWith('tap0: ') && l.includes('bpduOut'))).toBe(true)
  })

  it.each([
    ['', [1360, 1460]],
    [' --clamp off', [1460, 1460]],
    [' --clamp 900', [900, 900]],
  ])('tells TCP what fits a link with a smaller MTU, and only behind it%s', async (option, wanted) => {
    const { world, stations, stop, start } = lab(3, false, [1500, 1400, 1500])
    const [done] = await start(`-q${option}`)
    const { bytes } = tcpFrame({ flags: 2, options: [2, 4, 1460 >> 8, 1460 & 255] })
    bytes.set(frame(BROADCAST, station(1)).subarray(0, 12))
    stations[0].send(bytes)
    world.run(1)
    const mss = stations.slice(1).map((s) => s.heard().map((syn) => syn[56] * 256 + syn[57]))
    expect(mss).toEqual(wanted.map((size) => [size]))
    stop.abort()
    expect(await world.settle(done)).toBe(0)
  })

  it('captures each port', async () => {
    const { stations, stop, start, heard } = lab(2)
    const dir = scratchFolder('switch')
    const [done] = await start(`--pcap ${join(dir, 'deep')}`)
    stations[0].send(frame(BROADCAST, station(1)))
    heard()
    stop.abort()
    await done
    expect(readdirSync(join(dir, 'deep')).sort()).toEqual(['tap0.pcapng', 'tap1.pcapng'])
    for (const file of ['tap0', 'tap1']) {
      expect(readPcapng(readFileSync(join(dir, 'deep', `${file}.pcapng`))).packets.length).toBe(1)
    }
  })

  it('serves guests, goes on without any, and serves no more when it ends', async () => {
    const { guests, world, out, err, stop, start } = lab(2)
    const [done] = await start('--guests unix:///tmp/vm.sock --guests ws://:8080', '')
    expect(out).toEqual(['ready: whoever connects to unix:///tmp/vm.sock, whoever connects to ws://:8080'])
    const [near, far] = createPipe({ names: ['guest1', 'vm'], hangUp: true })
    guests[0].target.join(near)
    guests[1].refused('10.0.0.7:1: no room')
    void far.close()
    world.run(1)
    expect(err).toEqual(['tapstack switch: refused at ws://:8080: 10.0.0.7:1: no room', 'tapstack switch: guest1 has ended'])
    stop.abort()
    expect([await done, guests.map((guest) => guest.closed)]).toEqual([0, [true, true]])

    const broken = lab(2)
    const [failed] = await broken.start('--guests unix:///ok --guests unix:///broken')
    expect([await failed, broken.guests.map((guest) => guest.closed)]).toEqual([2, [true]])
    expect(broken.err).toEqual(['tapstack switch: listen EACCES'])
  })

  it('goes on without a link that ends, and ends with the last', async () => {
    const { world, stations, pipes, err, start, heard } = lab()
    const [done] = await start('')
    void pipes[1][1].close()
    world.run(1)
    expect(err).toEqual(['tapstack switch: tap1 has ended'])
    stations[0].send(frame(BROADCAST, station(1)))
    expect(heard()).toEqual([0, 0, 1])
    void pipes[0][1].close()
    void pipes[2][1].close()
    world.run(1)
    expect(await done).toBe(2)
    expect(err.at(-1)).toBe('tapstack switch: no link is left')
  })

  it.each([
    ['--vlan tap0=5000', /a number, trunk/],
    ['--vlan tap0=bridge:7', /a number, trunk/],
    ['--vlan tap9=7', /there is no such port, only tap0, tap1/],
    ['--vlan 7', /PORT=/],
    ['--rate tap0=fast', /bits a second/],
    ['--isolate 3', /no such port/],
    ['--mirror nowhere', /no such port/],
    ['--mirror tap0=tap0', /itself/],
    ['--hub --stp', /hub has no spanning tree/],
    ['--stp --stp-priority 7', /steps of 4096/],
    ['--stp-priority 4096', /without --stp/],
    ['--pcap /nowhere/at/all', /ENOENT.*\/nowhere\/at\/all/],
    ['-q -v', /one of them/],
  ])('refuses %s', async (options, words) => {
    const { err, start, world } = lab(2)
    const [done] = await start(options)
    expect(await done).toBe(2)
    expect(err[0]).toMatch(words)
    expect([err.length, world.host.holds]).toEqual([1, 0])
  })
})
