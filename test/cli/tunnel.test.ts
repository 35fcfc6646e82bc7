import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { LinkChange } from '../../src/backend/dialer.ts'
import { run } from '../../src/cli/run.ts'
import { createPipe, type PipeOptions } from '../../src/link/pipe.ts'
import { splice } from '../../src/link/splice.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { createWorld } from '../../src/sim/world.ts'
import type { ListenerHandler, RawConnection } from '../../src/tcp/api.ts'
import { Sink } from '../support/bulk.ts'
import { scratchFolder } from '../support/scratch.ts'

/** Two hosts on Ethernets of 1500 bytes; between them the command, and behind its second link another wire, with a carrier of its own. */
function lab(carrier: PipeOptions = {}) {
  const world = createWorld({ seed: 5 })
  const hosts = [world.stack({ name: 'one' }), world.stack({ name: 'two' })]
  const nears = hosts.map((host, i) => {
    const [near, far] = createPipe({ names: [`tap${i}`, `far${i}`] })
    host.attach(far, { addresses: [`10.0.0.${i + 1}/24`, `fd00::${i + 1}/64`], probe: false })
    return near
  })
  const [own, other] = createPipe({ names: ['tap1', 'there'], ...carrier })
  splice(other, nears[1], world.host)
  const ends: NetIf[] = [nears[0], own]
  const out: string[] = []
  const err: string[] = []
  const changes: (((change: LinkChange) => void) | undefined)[] = []
  const stop = new AbortController()
  let next = 0
  const context = {
    out: (line: string) => void out.push(line),
    err: (line: string) => void err.push(line),
    openLink: async (_url: string, onChange?: (change: LinkChange) => void): Promise<NetIf> => {
      changes.push(onChange)
      return ends[next++]
    },
    platform: { host: world.host, random: world.host.random },
    stop: stop.signal,
  }
  /** The command once it is ready; `end` is its exit code. */
  const start = async (line: string): Promise<{ end: Promise<number> }> => {
    const end = run(line.split(' '), context, '1')
    while (!out.some((l) => l.startsWith('ready'))) {
      await world.settle(new Promise<void>((r) => world.host.after(10, { run: r })))
    }
    return { end }
  }
  return { world, hosts, ends, changes, out, err, stop, start, context }
}

/** Sends so many bytes from the first host to the second; returns how many came in five seconds. */
function transfer({ world, hosts }: ReturnType<typeof lab>, to: string, bytes: number): number {
  const sink = new Sink()
  const accept: ListenerHandler = {
    onConnection(c) {
      c.handler = sink
    },
  }
  const listener = hosts[1].tcp.listen({ port: 9 }, accept)
  const text = new Uint8Array(bytes)
  let sent = 0
  const more = (c: RawConnection): void => {
    sent += c.write(text, sent, bytes - sent)
  }
  const connection = hosts[0].tcp.open({ remoteAddress: to, remotePort: 9 }, { onConnect: more, onWritable: more })
  world.run(5000)
  connection.abort()
  world.run(100)
  listener.close()
  return sink.bytes
}

describe('tapstack tunnel', () => {
  it('joins two links, says so, counts, and leaves nothing', async () => {
    const bench = lab()
    const { world, hosts, out, err, stop, start } = bench
    const { end } = await start('tunnel tap://tap0 tap://tap1 --quiet')
    expect(world.host.holds).toBe(1)
    expect(transfer(bench, '10.0.0.2', 300_000)).toBe(300_000)
    expect(hosts[0].neighbors.length).toBeGreaterThan(0)
    stop.abort()
    expect([await world.settle(end), out, err]).toEqual([0, ['ready: tap0 and tap1 are one wire'], []])
    expect(world.host.holds).toBe(0)
  })

  it.each([
    ['IPv4', '10.0.0.2'],
    ['IPv6', 'fd00::2'],
  ])('tells TCP over %s what fits the smaller MTU, so that full segments pass', async (_family, to) => {
    const bench = lab({ mtu: 1400, offload: false })
    const { world, hosts, out, stop, start } = bench
    const { end } = await start('tunnel tap://tap0 tap://tap1 --verbose')
    expect(transfer(bench, to, 300_000)).toBe(300_000)
    expect(hosts[0].counters().tcp.tcpRetransSegs).toBe(0)
    stop.abort()
    await world.settle(end)
    const said = out.join('\n')
    expect(said).toContain('MSS at most 1360 (IPv4), 1340 (IPv6)')
    expect(said).toMatch(/tap0: .*mssClamped 2/)
    expect(said).toMatch(/a>b: frames \d+/)
  })

  it('does not when it is told so, or tells what it is told', async () => {
    const off = lab({ mtu: 1400, offload: false })
    const { end } = await off.start('tunnel tap://tap0 tap://tap1 --clamp off -q')
    transfer(off, '10.0.0.2', 100_000)
    // Full segments vanish: TCP notices, and after time-outs finds a size of its own (RFC 4821).
    expect(off.hosts[0].counters().tcp.tcpRetransSegs).toBeGreaterThan(3)
    off.stop.abort()
    await off.world.settle(end)
    const less = lab()
    const { end: over } = await less.start('tunnel tap://tap0 tap://tap1 --clamp 900 -v')
    expect(transfer(less, '10.0.0.2', 50_000)).toBe(50_000)
    less.stop.abort()
    await less.world.settle(over)
    expect(less.out.join('\n')).toContain('MSS at most 900 (IPv4), 900 (IPv6)')
  })

  it('says when the other end of a tunnel comes and goes, unless it is to be quiet', async () => {
    const loud = lab()
    const { end } = await loud.start('tunnel tap://tap0 tunnel+tcp://192.0.2.1:5000?pad=2')
    loud.out.length = 0
    loud.changes[1]?.({ state: 'waiting', error: new Error('read ECONNRESET'), pauseMs: 216 })
    loud.changes[1]?.({ state: 'connected', peer: '192.0.2.1:4000' })
    expect(loud.out).toEqual([
      'tunnel+tcp://192.0.2.1:5000: waiting (read ECONNRESET), again in 216 ms',
      'tunnel+tcp://192.0.2.1:5000: connected 192.0.2.1:4000',
    ])
    loud.stop.abort()
    await loud.world.settle(end)
    const quiet = lab()
    const { end: silent } = await quiet.start('tunnel tap://tap0 tap://tap1 -q')
    expect(quiet.changes).toEqual([undefined, undefined])
    quiet.stop.abort()
    await quiet.world.settle(silent)
  })

  it('captures the first link', async () => {
    const dir = scratchFolder('tunnel')
    const bench = lab()
    const { end } = await bench.start(`tunnel tap://tap0 tap://tap1 -q --pcap ${dir}/x.pcapng`)
    transfer(bench, '10.0.0.2', 1000)
    bench.stop.abort()
    await bench.world.settle(end)
    const file = readFileSync(join(dir, 'x.pcapng'))
    expect(file.readUInt32LE(0)).toBe(0x0a0d0d0a)
    expect(file.length).toBeGreaterThan(1500)
  })

  it('ends, with one line, when a link does', async () => {
    const bench = lab()
    const { world, err, start, ends } = bench
    let sink: { closed(error?: Error): void } | null = null
    ends[1] = Object.assign(Object.create(ends[1]) as NetIf, {
      attach: (s: { closed(error?: Error): void }) => {
        sink = s
      },
    })
    const { end } = await start('tunnel tap://tap0 tap://tap1 -q')
    sink!.closed(new Error('tap1 was deleted'))
    expect(await world.settle(end)).toBe(2)
    expect(err).toEqual(['tapstack tunnel: tap1 was deleted'])
  })

  it('says what is wrong with a command line, before anything is opened', async () => {
    for (const [line, words] of [
      ['tunnel tap://tap0', /two links are expected/],
      ['tunnel a b c', /unexpected "c"/],
      ['tunnel a b --clamp little', /--clamp little/],
      ['tunnel a b -q -v', /one of them is expected/],
    ] as const) {
      const { world, err, context } = lab()
      const opened = { ...context, openLink: () => Promise.reject(new Error('opened')) }
      expect(await world.settle(run(line.split(' '), opened, '1'))).toBe(2)
      expect(err[0]).toMatch(words)
    }
  })
})
