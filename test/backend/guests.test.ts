/** Guests on sockets of this machine: QEMU's framing over TCP and UNIX, WebSockets, and several of them at a switch. */
import { writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type GuestServer, guestServer } from '../../src/backend/guest-server.ts'
import { guestSocketOptions, openSocketLink } from '../../src/backend/guest-socket.ts'
import { splitLinkUrl } from '../../src/backend/link-url.ts'
import { openLink } from '../../src/backend/open-link.ts'
import { openWebSocketLink, webSocketOptions } from '../../src/backend/websocket.ts'
import { U16LE, U32BE } from '../../src/link/framing.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { NodeHost } from '../../src/node/host.ts'
import { createSwitch } from '../../src/node/switch.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame, tcpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'
import { scratchFolder } from '../support/scratch.ts'
import { turns } from '../support/stream-pair.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'
import { until } from '../support/until.ts'

const root = scratchFolder('guests')
let made = 0
const path = (): string => join(root, `s${made++}`)

/** A port of this machine that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function pair(listen: string, dial: string) {
  const a = await openLink(listen)
  const b = await openLink(dial)
  await until(() => (a as unknown as { isUp: boolean }).isUp)
  return { a, b, host: new VirtualHost(), settle: () => turns(16) }
}

/** Sockets hold megabytes: large frames fill them soonest. */
const LARGE = { fillBytes: 48_000 }

netifConformance(
  'a guest on a UNIX socket',
  () => {
    const at = path()
    return pair(`unix://${at}?listen&mtu=60000`, `unix://${at}?reconnect=off&mtu=60000`)
  },
  LARGE,
)

netifConformance(
  "a guest on a TCP port, in hyperkit's framing",
  async () => {
    const port = await freePort()
    return pair(`qemu://127.0.0.1:${port}?listen&framing=u16le&mtu=60000`, `qemu://127.0.0.1:${port}?framing=u16le&mtu=60000`)
  },
  LARGE,
)

netifConformance(
  'a guest on a WebSocket',
  async () => {
    const port = await freePort()
    return pair(`ws://127.0.0.1:${port}?listen&mtu=60000`, `ws://127.0.0.1:${port}/relay?token=1&mtu=60000`)
  },
  LARGE,
)

netifConformance(
  'a guest on a WebSocket within TLS',
  async () => {
    const port = await freePort()
    const [cert, key] = [join(root, 'cert.pem'), join(root, 'key.pem')]
    writeFileSync(cert, TEST_CERT)
    writeFileSync(key, TEST_KEY)
    return pair(
      `wss://127.0.0.1:${port}?listen&cert=${cert}&key=${key}&mtu=60000`,
      `wss://127.0.0.1:${port}/?ca=${cert}&mtu=60000`,
    )
  },
  LARGE,
)

function attached(link: NetIf): RecordingSink {
  const sink = new RecordingSink(new NodeHost())
  link.attach(sink)
  return sink
}

async function take(link: NetIf, sink: RecordingSink, frames: number): Promise<void> {
  await until(() => {
    sink.receiving = true
    while (sink.ready) sink.ready = link.receive(64)
    sink.receiving = false
    return sink.frames.length >= frames
  })
}

function send(link: NetIf, frame: Uint8Array): void {
  expect(link.send(frame, 0, frame.length, 0)).toBe(true)
  link.flush()
}

describe('a link to one guest', () => {
  it('speaks four bytes, big-endian', async () => {
    const at = path()
    const link = await openSocketLink(`unix://${at}?listen`)
    attached(link)
    const guest = connect(at)
    const heard: Buffer[] = []
    guest.on('data', (chunk: Buffer) => heard.push(chunk))
    await until(() => link.isUp)
    const frame = plainFrame('ethernet', 60, 1)
    send(link, frame)
    await until(() => heard.length > 0)
    expect(Buffer.concat(heard)).toEqual(Buffer.concat([Uint8Array.of(0, 0, 0, 60), frame]))
    guest.destroy()
    await link.close()
  })

  it('sends no padding, which passt does not put up with', async () => {
    const at = path()
    const a = await openSocketLink(`unix://${at}?listen`)
    const b = await openSocketLink(`unix://${at}`)
    attached(a)
    const sink = attached(b)
    await until(() => a.isUp)
    const { bytes } = tcpFrame({ medium: 'ethernet', payload: new Uint8Array(0), seq: 1 })
    const padded = new Uint8Array(60)
    padded.set(bytes)
    send(a, padded)
    await take(b, sink, 1)
    expectFrames(sink.frames, [bytes])
    await a.close()
    await b.close()
  })

  it('keeps the guest that is there, and takes the next when it has gone', async () => {
    const at = path()
    const link = await openSocketLink({ place: { path: at }, listen: true })
    attached(link)
    const first = connect(at)
    await until(() => link.isUp)
    const second = connect(at).on('error', () => undefined)
    await new Promise((resolve) => second.once('close', resolve))
    expect([link.isUp, first.destroyed]).toEqual([true, false])
    first.destroy()
    await until(() => !link.isUp)
    const third = connect(at)
    await until(() => link.isUp)
    third.destroy()
    await link.close()
  })

  it('reads its URL', () => {
    const given = (text: string): Record<string, unknown> =>
      JSON.parse(JSON.stringify(guestSocketOptions(splitLinkUrl(text) ?? expect.fail())))
    expect(given('qemu://10.0.0.1:5000?mtu=9000')).toEqual({
      place: { host: '10.0.0.1', port: 5000 },
      listen: false,
      mtu: 9000,
      framing: U32BE,
      keep: true,
    })
    expect(given('qemu://[::]:5000?listen&allow=10.0.0.0/8&keep=off&framing=u16le')).toEqual({
      place: { host: '::', port: 5000 },
      listen: true,
      allow: ['10.0.0.0/8'],
      framing: U16LE,
      keep: false,
    })
    expect(given('unix:///tmp/passt_1.socket?wait')).toMatchObject({ place: { path: '/tmp/passt_1.socket' }, wait: true })
    for (const [wrong, what] of [
      ['qemu://:5000', /host to connect to is missing/],
      ['unix://host:5000', /a path is expected/],
      ['qemu://h:1?framing=u8', /none of u32be/],
      ['qemu://h:1?colour=red', /Unknown option colour/],
    ] as const) {
      expect(() => given(wrong)).toThrow(what)
    }
  })

  it('says what is wrong', async () => {
    const at = path()
    await expect(openSocketLink(`unix://${at}`)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(openSocketLink('tap://x')).rejects.toThrow(/one of qemu:\/\/, unix:\/\/ is expected/)
    await expect(openWebSocketLink(`ws://127.0.0.1:${await freePort()}/`)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('a WebSocket', () => {
  it('carries one frame in each binary message, and nothing else', async () => {
    const port = await freePort()
    const link = await openWebSocketLink(`ws://127.0.0.1:${port}?listen`)
    const sink = attached(link)
    const page = new WebSocket(`ws://127.0.0.1:${port}/`)
    const heard: Buffer[] = []
    page.on('message', (data, isBinary) => isBinary && heard.push(data as Buffer))
    await until(() => link.isUp && page.readyState === page.OPEN)
    const frames = [60, 1514, 80].map((length, i) => plainFrame('ethernet', length, i))
    page.send('hello')
    page.send(new Uint8Array(0))
    for (const frame of frames) page.send(frame)
    await take(link, sink, 3)
    expectFrames(sink.frames, frames)
    for (const frame of frames) link.send(frame, 0, frame.length, 0)
    link.flush()
    await until(() => heard.length === 3)
    expectFrames(heard, frames)
    const left = new Promise((resolve) => page.once('close', resolve))
    await link.close()
    expect(await left).toBe(1000)
  })

  it('is closed to pages from elsewhere, unless their origin is named', async () => {
    const port = await freePort()
    const link = await openWebSocketLink(`ws://127.0.0.1:${port}?listen&origin=https://copy.sh&keep=off`)
    const outcome = (origin: string): Promise<string> =>
      new Promise((resolve) => {
        const page = new WebSocket(`ws://127.0.0.1:${port}/`, { origin })
        page.once('open', () => {
          resolve('open')
          page.terminate()
        })
        page.once('error', (error) => resolve(error.message))
      })
    expect(await outcome('https://evil.example')).toMatch(/401/)
    expect(await outcome('https://copy.sh')).toBe('open')
    expect(await outcome(`http://127.0.0.1:${port}`)).toBe('open')
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(426)
    await link.close()
  })

  it('ends with a peer that sends what no frame can be', async () => {
    const port = await freePort()
    const link = await openWebSocketLink(`ws://127.0.0.1:${port}?listen`)
    attached(link)
    const page = new WebSocket(`ws://127.0.0.1:${port}/`)
    await until(() => link.isUp && page.readyState === page.OPEN)
    const left = new Promise((resolve) => page.once('close', resolve))
    page.send(new Uint8Array(200_000))
    expect(await left).toBe(1009)
    await until(() => !link.isUp)
    await link.close()
  })

  it('gives the relay what it does not know itself', () => {
    const read = (text: string) => webSocketOptions(splitLinkUrl(text) ?? expect.fail())
    expect(read('wss://relay.widgetry.org/?token=a%20b&mtu=1400')).toMatchObject({
      place: { host: 'relay.widgetry.org', port: 443 },
      path: '/?token=a%20b',
      mtu: 1400,
    })
    expect(read('ws://[::1]:8080')).toMatchObject({ place: { host: '::1', port: 8080 }, path: '/', tls: null })
    expect(() => read('ws:///x')).toThrow(/a host to connect to is missing/)
  })
})

describe('guests at a switch', () => {
  const servers: GuestServer[] = []

  it('are ports of it, of every kind, and go with their sockets', async () => {
    const sw = createSwitch()
    const at = path()
    const refused: string[] = []
    servers.push(await guestServer(sw, `unix://${at}?name=vm&max=2`, (why) => refused.push(why)))
    servers.push(await guestServer(sw, 'ws://127.0.0.1:0?name=page'))
    const qemu = await openSocketLink(`unix://${at}`)
    const page = await openWebSocketLink(`ws://127.0.0.1:${servers[1].port}/`)
    const own = sw.port('own')
    const sinks = [qemu, page, own].map(attached)
    await until(() => sw.list.length === 3)
    expect(sw.list.map((port) => port.name).sort()).toEqual(['own', 'page1', 'vm1'])
    const frame = plainFrame('ethernet', 60, 1).fill(0xff, 0, 6)
    send(qemu, frame)
    await take(page, sinks[1], 1)
    await take(own, sinks[2], 1)
    expectFrames(sinks[1].frames, [frame])
    expectFrames(sinks[2].frames, [frame])

    const more = [connect(at), connect(at)]
    for (const socket of more) socket.on('error', () => undefined).resume()
    await until(() => refused.length === 1)
    expect(refused[0]).toMatch(/2 guests already/)
    expect([servers[0].refused, servers[0].count, servers[1].count]).toEqual([1, 2, 1])
    for (const socket of more) socket.destroy()
    await qemu.close()
    await page.close()
    await until(() => sw.list.length === 1)
    expect([servers[0].count, servers[1].count]).toEqual([0, 0])
    await sw.close()
    for (const server of servers) await server.close()
  })

  it('of two servers at one switch have names of their own', async () => {
    const sw = createSwitch()
    sw.port('guest2')
    const paths = [path(), path()]
    const refused: string[] = []
    const servers = await Promise.all(paths.map((at) => guestServer(sw, `unix://${at}`, (why) => refused.push(why))))
    const links: NetIf[] = []
    for (const [i, at] of [paths[0], paths[1], paths[1]].entries()) {
      links.push(await openSocketLink(`unix://${at}`))
      await until(() => sw.list.length === 2 + i || refused.length > 0)
    }
    expect([refused, sw.list.map((port) => port.name).sort()]).toEqual([[], ['guest1', 'guest2', 'guest3', 'guest4']])
    for (const link of links) await link.close()
    await sw.close()
    for (const server of servers) await server.close()
  })

  it('are refused by whoever does not want them', async () => {
    const refused: string[] = []
    const seen: string[] = []
    const server = await guestServer(
      (_, guest) => {
        seen.push(`${guest.number} ${guest.peer.replace(/\d+$/, 'PORT')}`)
        throw new Error('no room')
      },
      'qemu://127.0.0.1:0?allow=127.0.0.0/8',
      (why) => refused.push(why),
    )
    const guest = connect(server.port, '127.0.0.1').on('error', () => undefined)
    await new Promise((resolve) => guest.resume().once('close', resolve))
    expect([seen, refused.length, server.count]).toEqual([['1 127.0.0.1:PORT'], 1, 0])
    await server.close()
    await expect(guestServer(() => undefined, 'unix:///tmp/x?keep')).rejects.toThrow(/Unknown option keep/)
    for (const max of [0, -1, Number.NaN])
      await expect(guestServer(() => undefined, { place: { port: 0 }, maxGuests: max })).rejects.toThrow(/maxGuests/)
    await expect(guestServer(() => undefined, { place: { port: 0 }, mtu: 1 })).rejects.toThrow(/Invalid MTU/)
  })
})
