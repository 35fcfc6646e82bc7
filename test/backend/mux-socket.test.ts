import { renameSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { splitLinkUrl } from '../../src/backend/link-url.ts'
import { muxOptions, openMux } from '../../src/backend/mux-client.ts'
import { muxPath, serveMux } from '../../src/backend/mux-server.ts'
import { WIRE_MAX_PACKET } from '../../src/backend/mux-wire.ts'
import { openLink } from '../../src/backend/open-link.ts'
import { formatMac } from '../../src/ethernet/mac.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { MuxClient } from '../../src/mux/client.ts'
import { nodeHost } from '../../src/node/host.ts'
import { createMux } from '../../src/node/mux.ts'
import { tcpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { RecordingSink } from '../support/recording-sink.ts'
import { scratchFolder } from '../support/scratch.ts'
import { until } from '../support/until.ts'

const dir = scratchFolder('mux')
let paths = 0
const newPath = (): string => join(dir, `${paths++}.sock`)

/** Sockets take rounds of the event loop. */
async function settle(): Promise<void> {
  for (let i = 0; i < 6; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function served(options: { name?: string; offload?: boolean } = {}) {
  const [link, wire] = createPipe({ offload: options.offload })
  const mux = createMux(link, { mac: '52:54:00:12:34:56', name: options.name })
  const gone: string[] = []
  mux.onGone = (client) => gone.push(client.name)
  const path = newPath()
  const refused: Error[] = []
  const server = await serveMux(mux, { path }, { onRefused: (why) => refused.push(why) })
  const close = async (): Promise<void> => {
    await server.close()
    await mux.close()
  }
  return { mux, wire, server, path, gone, refused, close }
}

const hearAll = { filter: { promiscuous: true } }

netifConformance(
  'client of a multiplexer over a socket',
  async () => {
    const { wire, path, close } = await served()
    return { a: await openMux({ path, ...hearAll }), b: wire, host: nodeHost, settle, close }
  },
  { burst: 16 },
)

netifConformance(
  'client of a multiplexer over a socket, without offload, hearing',
  async () => {
    const { wire, path, close } = await served({ offload: false })
    return { a: wire, b: await openMux({ path, ...hearAll, offload: false }), host: nodeHost, settle, close }
  },
  { refuses: false, burst: 16 },
)

describe('a multiplexer on a socket', () => {
  it('gives clients of other processes what those of its own have', async () => {
    const { mux, path, close, gone } = await served({ name: 'Sock' })
    const link = await openMux({ path, name: 'Sock', mac: 'device', filter: { broadcast: false } })
    expect([link.name, link.server, link.device, link.channel, link.macRule]).toEqual(['eth0#0', 'Sock', 'eth0', 0, 'device'])
    expect([formatMac(link.mac), link.mtu, link.filter.broadcast]).toEqual(['52:54:00:12:34:56', 1500, false])
    link.attach(new RecordingSink(nodeHost))
    link.setFilter({ multicast: ['01:00:5e:00:00:01'] })
    const asked = link.remoteCounters()
    await until(() => link.receive(64) || mux.clients[0].filter.multicast !== true)
    await until(() => {
      link.receive(64)
      return link.counters!().inControls > 0
    })
    expect(await asked).toMatchObject({ inFrames: 0, outFrames: 0 })
    expect(mux.clients[0].filter).toMatchObject({ broadcast: false, multicast: ['01:00:5e:00:00:01'] })
    expect(() => link.setFilter({ multicast: ['02:00:00:00:00:01'] })).toThrow(/no group/)
    await link.close()
    await until(() => gone.length === 1)
    expect((await openMux({ path, mac: 'device' })).macRule).toBe('device')
    await close()
  })

  it('a question keeps the process alive until its answer is there', async () => {
    const { path, close } = await served()
    const alive = (): number => process.getActiveResourcesInfo().filter((what) => what === 'PipeWrap').length
    const link = await openMux({ path })
    await expect(link.remoteCounters()).rejects.toMatchObject({ code: 'ENOTCONN' })
    link.attach(new RecordingSink(nodeHost))
    const before = alive()
    const asked = link.remoteCounters()
    expect(alive()).toBe(before + 1)
    await until(() => {
      link.receive(64)
      return link.counters!().inControls > 0
    })
    await asked
    await until(() => alive() === before)
    link.ref!(true)
    const again = link.remoteCounters().catch((error: { code: string }) => error.code)
    await link.close()
    expect(await again).toBe('ENETDOWN')
    await close()
  })

  it('a change of the filter waits for room where frames fill the socket', async () => {
    const { mux, path, close } = await served()
    const link = await openMux({ path })
    const sink = new RecordingSink(nodeHost)
    link.attach(sink)
    const buf = new Uint8Array(64 + 1000).fill(0xff)
    let frames = 0
    while (link.send(buf, 64, buf.length, 0)) frames++
    link.setFilter({ broadcast: false })
    expect(link.counters!()).toMatchObject({ outControls: 0 })
    await until(() => !mux.clients[0].filter.broadcast)
    expect([link.counters!().outControls, sink.writables, mux.clients[0].counters().outFrames]).toEqual([1, 1, frames])
    for (let i = 0; i < 100; i++) link.setFilter({ broadcast: true })
    await until(() => mux.clients[0].filter.broadcast)
    await close()
    link.setFilter({ broadcast: false }) // to nobody
  })

  it('the largest super-segments are split where they do not fit a message', async () => {
    const { mux, path, close } = await served()
    const link = await openMux({ path })
    expect(link.gsoMax).toBe(WIRE_MAX_PACKET)
    const sink = new RecordingSink(nodeHost)
    link.attach(sink)
    const from: MuxClient = mux.open()
    from.attach(new RecordingSink(nodeHost))
    for (const payload of [20_000, 65_535 - 40]) {
      const { bytes, meta } = tcpFrame({ payload: new Uint8Array(payload), gso: 1460 })
      bytes.set(link.mac)
      const buf = new Uint8Array(64 + bytes.length)
      buf.set(bytes, 64)
      from.send(buf, 64, buf.length, meta)
    }
    sink.receiving = true
    await until(() => {
      link.receive(64)
      return sink.frames.length >= 1 + 45
    })
    expect([sink.frames[0].length, sink.frames[1].length, sink.frames[45].length]).toEqual([20_054, 1514, 54 + (65_495 % 1460)])
    await close()
  })

  it('ends when its client is ended, and when the multiplexer is served no more', async () => {
    const { mux, server, path } = await served()
    const sinks: RecordingSink[] = []
    for (let i = 0; i < 2; i++) {
      const link = await openMux({ path })
      sinks.push(new RecordingSink(nodeHost))
      link.attach(sinks[i])
      if (i === 0) mux.clients[0].end(new Error('sent away'))
      else await server.close()
      await until(() => {
        link.receive(64)
        return sinks[i].closes === 1
      })
    }
    expect([mux.clients, server.clients.size]).toEqual([[], 0])
    await mux.close()
  })

  it('one that ended before it was attached to says so then', async () => {
    const { path, close } = await served()
    const link = await openMux({ path })
    await close()
    await settle()
    const sink = new RecordingSink(nodeHost)
    link.attach(sink)
    await until(() => {
      link.receive(64)
      return sink.closes === 1
    })
  })

  it('says why it refuses', async () => {
    const { mux, path, refused, close } = await served({ name: 'Refuser' })
    const code = (options: object) => openMux({ path, ...options }).then(undefined, (error: { code: string }) => error.code)
    expect(await code({ device: 'eth9' })).toBe('ENODEV')
    expect(await code({ mac: 'mine' })).toBe('ERR_INVALID_ARG_VALUE')
    expect(await code({ name: 'Other' })).toBe('ENOENT')
    expect(await code({ path: join(dir, 'nobody') })).toBe('ENOENT')
    await expect(openMux({ path: join(dir, 'nobody') })).rejects.toThrow(/nobody: no multiplexer is served there: `tapstack mux`/)
    await expect(serveMux(mux, { path: '/nowhere/x' })).rejects.toThrow(/^listen ENOENT .*there is no directory \/nowhere$/)
    expect([mux.clients, refused.length]).toEqual([[], 3])
    await close()
  })

  it('hangs up on whom it refused, though he does not', async () => {
    const { path, refused, server, close } = await served()
    const stranger = connect({ path, allowHalfOpen: true })
    const ended = new Promise<void>((resolve) => stranger.resume().once('end', resolve))
    stranger.write('GET / HTTP/1.1\r\n\r\n')
    await ended
    await until(() => server.connections === 0)
    expect(refused.length).toBe(1)
    stranger.destroy()
    await close()
  })

  it('ends a client by its signal, wherever it is', async () => {
    const { mux, path, gone, close } = await served()
    const abort = new AbortController()
    const sink = new RecordingSink(nodeHost)
    const link = await openMux({ path, signal: abort.signal })
    link.attach(sink)
    await until(() => mux.clients.length === 1)
    const late = openMux({ path, signal: abort.signal })
    abort.abort()
    await expect(late).rejects.toMatchObject({ name: 'AbortError' })
    await expect(openMux({ path, signal: abort.signal })).rejects.toMatchObject({ name: 'AbortError' })
    await until(() => {
      link.receive(64)
      return sink.closes === 1 && mux.clients.length === 0
    })
    expect(gone).toContain('eth0#0')
    await close()
  })

  it('takes no nonsense from strangers', async () => {
    const { mux, path, refused, close } = await served()
    const say = (bytes: Uint8Array): Promise<string> =>
      new Promise((resolve) => {
        let heard = ''
        const socket = connect(path)
        socket.on('data', (chunk: Buffer) => (heard += chunk.subarray(8).toString()))
        socket.on('close', () => resolve(heard))
        socket.write(bytes)
        if (bytes.length < 8) socket.end()
      })
    const text = (body: string): Buffer => {
      const head = Buffer.from([0, 0, 0, 0, 1, 0, 0, 0])
      head.writeUInt32BE(4 + body.length, 0)
      return Buffer.concat([head, Buffer.from(body)])
    }
    expect(await say(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toContain('EPROTO')
    expect(await say(Buffer.from([255, 255, 255, 255, 1, 0, 0, 0]))).toContain('EPROTO')
    expect(await say(Buffer.from([0, 0, 0, 20, 0, 0, 0, 0]))).toContain('EPROTO')
    expect(await say(text('{"version":'))).toContain('EPROTO')
    expect(await say(text('{"version":99}'))).toContain('version 1')
    await say(Buffer.from([0, 0]))
    await until(() => refused.length === 6)
    expect(mux.clients).toEqual([])
    await close()
  })

  it('drops messages that are none, and goes on', async () => {
    const { mux, path, close } = await served()
    const socket = await new Promise<Socket>((resolve) => {
      const s = connect(path, () => resolve(s))
    })
    const message = (word: number, body: Uint8Array): Buffer => {
      const out = Buffer.alloc(8 + body.length)
      out.writeUInt32BE(4 + body.length, 0)
      out.writeUInt32BE(word, 4)
      out.set(body, 8)
      return out
    }
    socket.write(message(0x01000000, Buffer.from('{"version":1}')))
    await until(() => mux.clients.length === 1)
    const broadcast = Buffer.alloc(60, 0xff)
    const heard = mux.open()
    const sink = new RecordingSink(nodeHost)
    heard.attach(sink)
    socket.write(
      Buffer.concat([
        message(0x02000000, broadcast), // no kind
        message(0x00800000, broadcast), // no meta
        message(16, broadcast), // no super-segment
        message(0, broadcast.subarray(0, 13)),
        message(0x01000000, Buffer.from('{')),
        message(0x01000000, Buffer.alloc(20_000, 32)),
        message(0, broadcast),
      ]),
    )
    sink.receiving = true
    await until(() => {
      heard.receive(64)
      return sink.frames.length === 1
    })
    expect(mux.clients[0].counters()).toMatchObject({ outFrames: 1 })
    socket.destroy()
    await until(() => mux.clients.length === 1)
    await close()
  })

  it('takes the path over from one that was killed, and from nobody else', async () => {
    const { path, close } = await served()
    const other = createMux(createPipe()[0])
    await expect(serveMux(other, { path })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await close()
    // What a killed process leaves behind: a socket's path, and nobody behind it. (A server that closes removes its own.)
    const [born, left] = [newPath(), newPath()]
    const killed = createServer()
    await new Promise<void>((resolve) => killed.listen(born, resolve))
    renameSync(born, left)
    killed.close()
    await expect(openMux({ path: left })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const server = await serveMux(other, { path: left })
    expect((await openMux({ path: left })).channel).toBe(0)
    await server.close()
    const file = newPath()
    writeFileSync(file, '')
    await expect(serveMux(other, { path: file })).rejects.toMatchObject({ code: 'EADDRINUSE' }) // a file is not ours to remove
    await other.close()
  })

  it('listens on a port of this machine alone, when one is asked for', async () => {
    const mux = createMux(createPipe()[0])
    const server = await serveMux(mux, { port: 0 })
    expect(server.at).toMatch(/^127\.0\.0\.1:\d+$/)
    const link = await openLink(`mux://${server.at}?mac=02:11:22:33&broadcast=off&multicast=01:00:5e:00:00:01`)
    expect(formatMac(link.mac!)).toBe('02:11:22:33:00:00')
    await until(() => mux.clients.length === 1)
    expect(mux.clients[0].filter).toMatchObject({ broadcast: false, multicast: ['01:00:5e:00:00:01'] })
    await server.close()
    await mux.close()
  })
})

describe('URLs', () => {
  it.each([
    ['ore:', { name: 'ORe' }],
    ['mux://lab', { name: 'lab' }],
    ['mux:///run/x.sock', { path: '/run/x.sock' }],
    ['mux:///run/x.sock?name=lab', { path: '/run/x.sock', name: 'lab' }],
    ['mux://10.0.0.1:5000', { host: '10.0.0.1', port: 5000 }],
    ['mux://:5000', { host: undefined, port: 5000 }],
    ['mux://[::1]:5000', { host: '::1', port: 5000 }],
    ['ore:ORe?device=lo&mac=device&offload=off', { name: 'ORe', device: 'lo', mac: 'device', offload: false }],
    ['ore:?promiscuous&multicast=off&active=no', { name: 'ORe', filter: { promiscuous: true, multicast: false, active: false } }],
  ])('%s', (text, options) => {
    expect(muxOptions(splitLinkUrl(text)!)).toMatchObject(options)
  })

  it.each(['ore:?colour=red', 'mux://lab?name=other', 'ore:?broadcast=perhaps', 'ore:?multicast=some'])('refuses %s', (text) => {
    expect(() => muxOptions(splitLinkUrl(text)!)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })

  it('a name is found in this process first', async () => {
    const mux = createMux(createPipe()[0], { name: 'Here' })
    const link = await openLink('mux://Here?mac=device')
    expect(mux.clients).toEqual([link])
    await mux.close()
    await expect(openLink('mux://Here')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('a name has a place of its own on this machine', () => {
    expect(muxPath('ORe')).toMatch(/\/tapstack(-\d+)?\/ORe\.mux$/)
    expect(() => muxPath('../x')).toThrow(/Invalid name/)
    expect(() => muxPath('')).toThrow(/Invalid name/)
  })
})
