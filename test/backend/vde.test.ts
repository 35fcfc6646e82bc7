/** Ports of a VDE switch over the sockets of this machine, in a directory of the test's own: our client against our server, and against liars. */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { splitLinkUrl } from '../../src/backend/link-url.ts'
import { loadSystem } from '../../src/backend/system.ts'
import { bindUnix, connectUnix, unixDatagram } from '../../src/backend/unix-datagram.ts'
import { openVde, vdeOptions } from '../../src/backend/vde.ts'
import { encodeRequest, encodeUnixAddress, request1 } from '../../src/backend/vde-control.ts'
import { serveVde, type VdeServerOptions, type VdeVisitor, vdeServerOptions } from '../../src/backend/vde-server.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { NodeHost } from '../../src/node/host.ts'
import { plainFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'
import { scratchFolder } from '../support/scratch.ts'
import { until } from '../support/until.ts'

const linux = process.platform === 'linux'
const root = scratchFolder('vde')
const host = new NodeHost()
let made = 0

const directory = (): string => join(root, `sw${made++}`)

async function served(options: VdeServerOptions = {}) {
  const path = directory()
  const links: NetIf[] = []
  const visitors: VdeVisitor[] = []
  const refused: string[] = []
  const server = await serveVde(
    (link, visitor) => {
      links.push(link)
      visitors.push(visitor)
    },
    path,
    { onRefused: (why) => refused.push(why), ...options },
  )
  return { path, server, links, visitors, refused }
}

function attached(link: NetIf): RecordingSink {
  const sink = new RecordingSink(host)
  link.attach(sink)
  return sink
}

function send(link: NetIf, bytes: Uint8Array): boolean {
  const buf = new Uint8Array(64 + bytes.length)
  buf.set(bytes, 64)
  return link.send(buf, 64, buf.length, 0)
}

function drain(link: NetIf, sink: RecordingSink): void {
  sink.receiving = true
  while (sink.ready) sink.ready = link.receive(64)
  sink.receiving = false
}

/** A stream to a control socket that says what it is told, and hears the end. */
async function visitor(path: string, words: Uint8Array): Promise<{ socket: Socket; closed: () => boolean; heard: () => Buffer }> {
  let closed = false
  let heard = Buffer.alloc(0)
  const socket = connect(join(path, 'ctl'))
  socket.on('data', (data: Buffer) => {
    heard = Buffer.concat([heard, data])
  })
  socket
    .on('error', () => undefined)
    .on('close', () => {
      closed = true
    })
  socket.write(words)
  return { socket, closed: () => closed, heard: () => heard }
}

if (linux) {
  netifConformance('a port of a VDE switch, and the switch', async () => {
    const { path, server, links } = await served()
    const a = await openVde({ path })
    return {
      a,
      b: links[0],
      host,
      settle: async () => {
        for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
      },
      close: () => server.close(),
    }
  })
}

describe.runIf(linux)('a VDE control socket of ours', () => {
  it('gives each visitor a port, and the number that it asks for', async () => {
    const { path, server, visitors, links, refused } = await served()
    const first = await openVde(`vde://${path}`)
    const third = await openVde(`vde://${path}[3]?description=lab&name=v3`)
    const zero = await openVde({ path, port: 0 })
    const next = await openVde({ path })
    expect(visitors.map((v) => v.port)).toEqual([1, 3, 0, 2])
    expect(visitors[1].description).toMatch(/^lab user=\S+ pid=\d+$/)
    expect(third.describe?.()).toBe(`v3: port 3 of the VDE switch ${path} through koffi, mtu 1500, no offload, woken by libuv`)
    expect(links[1].describe?.()).toMatch(/port 3 of our VDE switch .*\(lab user=/)
    await expect(openVde({ path, port: 3 })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      message: expect.stringMatching(/did not give us port 3/),
    })
    expect(refused).toEqual([expect.stringMatching(/port 3 is taken/)])
    expect([server.count, server.refused]).toEqual([4, 1])
    // Those of the switch remain; ours were needed for the handshake only.
    expect(
      readdirSync(path)
        .sort()
        .map((name) => name.replace(/\.\d+$/, '')),
    ).toEqual(['000', '001', '002', '003', 'ctl'])
    for (const link of [first, third, zero, next]) await link.close()
    await until(() => server.count === 0)
    expect(readdirSync(path)).toEqual(['ctl'])
    await server.close()
    expect(existsSync(path)).toBe(false)
  })

  it('hears the unplugging on both sides', async () => {
    const { path, server, links } = await served()
    const [a, b] = [await openVde({ path }), await openVde({ path })]
    const sinks = [a, b, ...links].map(attached)
    await a.close()
    await until(() => sinks[2].closes === 1)
    expect(sinks.map((s) => s.closes)).toEqual([0, 0, 1, 0])
    await links[1].close()
    await until(() => sinks[1].closes === 1)
    expect(sinks.map((s) => s.closes)).toEqual([0, 1, 1, 0])
    const c = await openVde({ path })
    await server.close()
    await until(() => !existsSync(path))
    const late = attached(c) // a link that ended before anybody was there to be told
    await until(() => late.closes === 1)
    expect(send(c, plainFrame('ethernet', 60, 1))).toBe(true)
  })

  it('is a switch when frames are told what to do', async () => {
    const { path, server, links } = await served({ mtu: 9000 })
    const [a, b] = [await openVde({ path, mtu: 9000 }), await openVde({ path, mtu: 9000 })]
    const [, sinkB, portA] = [attached(a), attached(b), attached(links[0])]
    attached(links[1])
    portA.onFrame = (buf, start, end) => void links[1].send(buf, start, end, 0)
    const frame = plainFrame('ethernet', 9014, 3)
    expect(send(a, frame)).toBe(true)
    await until(() => {
      drain(links[0], portA)
      return sinkB.ready
    })
    drain(b, sinkB)
    expectFrames(sinkB.frames, [frame])
    await server.close()
    await Promise.all([a.close(), b.close()])
  })

  it('knows version 1, and refuses what it does not know without falling over', async () => {
    const { path, server, visitors, refused } = await served()
    const { libc } = await loadSystem()
    const fd = unixDatagram(libc)
    const own = join(root, 'v1')
    expect(bindUnix(libc, fd, own)).toBeNull()
    const v1 = Buffer.alloc(request1.span)
    request1.encode({ magic: 0xfeedface, type: 0, mac: Buffer.alloc(6), socket: encodeUnixAddress(own) }, v1)
    const old = await visitor(path, Buffer.concat([v1, Buffer.from('old')]))
    await until(() => old.heard().length === 110)
    expect(visitors).toEqual([{ port: 1, description: 'old' }])
    const answered = old.heard().toString('utf8', 2).replace(/\0+$/, '')
    expect(answered).toMatch(/\/001\.\d+$/)
    expect(connectUnix(libc, fd, answered)).toBeNull()
    old.socket.destroy()
    await until(() => server.count === 0)
    libc.close(fd)

    const nobody = encodeRequest({ path: join(root, 'nobody'), port: 0, description: '' })
    const wrong = [Buffer.from('GET / HTTP/1.0\r\n'), nobody, Buffer.alloc(4096, 1)]
    for (const [i, words] of wrong.entries()) {
      const guest = await visitor(path, words)
      await until(guest.closed)
      expect([server.refused, guest.heard().length]).toEqual([i + 1, 0])
    }
    expect(refused).toEqual([
      'not a request of VDE',
      expect.stringMatching(/nobody.*(ENOENT|ECONNREFUSED)/),
      'not a request of VDE',
    ])
    const gone = await visitor(path, nobody.subarray(0, 50))
    gone.socket.destroy()
    await until(gone.closed)
    await server.close()
  })

  it('lets a target say no', async () => {
    const path = directory()
    const server = await serveVde(
      () => {
        throw new Error('no port is left')
      },
      path,
      {},
    )
    await expect(openVde({ path })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect([server.count, readdirSync(path)]).toEqual([0, ['ctl']])
    await server.close()
  })

  it('has the permissions of vde_switch, and those that are asked for', async () => {
    const mode = (path: string): string => (statSync(path).mode & 0o7777).toString(8)
    const usual = await served()
    expect([mode(usual.path), mode(join(usual.path, 'ctl'))]).toEqual(['2700', '600'])
    const open = await served({ mode: 0o666 })
    expect([mode(open.path), mode(join(open.path, 'ctl'))]).toEqual(['2777', '666'])
    await Promise.all([usual.server.close(), open.server.close()])
  })

  it('takes over what a killed switch left, and nothing else', async () => {
    const { path, server } = await served()
    await expect(serveVde(() => undefined, path)).rejects.toMatchObject({
      code: 'EADDRINUSE',
      message: expect.stringMatching(/another switch serves it/),
    })
    expect(existsSync(join(path, 'ctl'))).toBe(true)
    await server.close()

    // A socket that nobody listens to: bound, and its owner gone.
    const { libc } = await loadSystem()
    mkdirSync(path)
    const fd = unixDatagram(libc)
    bindUnix(libc, fd, join(path, 'ctl'))
    libc.close(fd)
    const again = await serveVde(() => undefined, path)
    await again.close()
    expect(readdirSync(path)).toEqual([]) // it was there before us
    writeFileSync(join(root, 'file'), '')
    await expect(serveVde(() => undefined, join(root, 'file'))).rejects.toMatchObject({
      message: expect.stringMatching(/Cannot serve/),
    })
    await expect(serveVde(() => undefined, join(root, 'not', 'there'))).rejects.toThrow(/the directory above it is not there/)
    await expect(serveVde(() => undefined, join(root, 'x'.repeat(100)))).rejects.toMatchObject({ code: 'ENAMETOOLONG' })
  })
})

describe.runIf(linux)('a VDE switch that is not as it should be', () => {
  const refusal = async (path: string): Promise<{ code: string; message: string }> => {
    const error = await openVde({ path, by: 'koffi' }).then(
      () => null,
      (e: unknown) => e,
    )
    expect(error).toBeInstanceOf(Error)
    return error as { code: string; message: string }
  }

  it('is told of in a line that says what to do', async () => {
    expect(await refusal(join(root, 'none'))).toMatchObject({
      code: 'ENOENT',
      message: expect.stringMatching(/vde_switch -s .*none/),
    })
    writeFileSync(join(root, 'no-directory'), '')
    expect(await refusal(join(root, 'no-directory'))).toMatchObject({ code: 'ENOTDIR' })
  })

  const liar = async (answer: (socket: Socket) => void): Promise<{ path: string; server: Server }> => {
    const path = directory()
    mkdirSync(path)
    const server = createServer((socket) => {
      socket.on('error', () => undefined).once('data', () => answer(socket))
    })
    await new Promise<void>((resolve) => server.listen(join(path, 'ctl'), resolve))
    return { path, server }
  }

  it.each([
    ['closes', (socket: Socket): unknown => socket.end(), 'ECONNREFUSED', /did not give us a port/],
    [
      'answers nonsense',
      (socket: Socket): unknown => socket.write(Buffer.alloc(110, 7)),
      'ECONNREFUSED',
      /did not give us a port/,
    ],
    [
      'names a socket that is not there',
      (socket: Socket): unknown => socket.write(encodeUnixAddress('/nowhere/001.5')!),
      'ENOENT',
      /Cannot join/,
    ],
  ])('%s', async (_, answer, code, words) => {
    const { path, server } = await liar(answer)
    expect(await refusal(path)).toMatchObject({ code, message: expect.stringMatching(words) })
    expect(readdirSync(path)).toEqual(['ctl']) // nothing of ours is left
    server.close()
  })
})

describe("a server's directory", () => {
  it('has options in brackets', () => {
    const read = (text: string): unknown => JSON.parse(JSON.stringify(vdeServerOptions(text)))
    expect(read('/tmp/vde.ctl')).toEqual({ directory: '/tmp/vde.ctl', options: {} })
    expect(read('/tmp/x[mode=660/dirmode=2770/group=vde/mtu=9000]')).toEqual({
      directory: '/tmp/x',
      options: { mode: 0o660, directoryMode: 0o2770, group: 'vde', mtu: 9000 },
    })
    for (const [text, words] of [
      ['', /directory is expected/],
      ['/x[mode=rw]', /octal/],
      ['/x[port=3]', /Unknown option port/],
      ['/x[mtu=1]', /mtu=1/],
    ] as const)
      expect(() => vdeServerOptions(text)).toThrow(words)
  })
})

describe("a port's name", () => {
  const read = (url: string): Record<string, unknown> => JSON.parse(JSON.stringify(vdeOptions(splitLinkUrl(url)!)))

  it('has the options of vdeplug in brackets, and ours behind a question mark', () => {
    expect(read('vde://')).toEqual({})
    expect(read('vde:///run/vde.ctl')).toEqual({ path: '/run/vde.ctl' })
    expect(read('vde:///run/vde.ctl[3]')).toEqual({ path: '/run/vde.ctl', port: 3 })
    expect(read('vde://lab[port=0/group=vde/mode=770]?mtu=9000&by=vde_plug&name=v&description=x')).toEqual({
      path: 'lab',
      port: 0,
      group: 'vde',
      mode: 0o770,
      mtu: 9000,
      by: 'vde_plug',
      name: 'v',
      description: 'x',
    })
    expect(read('vde:///run/vde.ctl[privatelan]')).toEqual({ path: '/run/vde.ctl', portGroup: 'privatelan' })
  })

  it.each([
    ['vde:///x[mode=9]', /mode=9.*octal/],
    ['vde:///x[hops=9]', /Unknown option hops/],
    ['vde:///x[99999999]', /port=99999999/],
    ['vde:///x?by=magic', /by=magic/],
    ['vde:///x?mtu=9217', /MTU 9217/],
    ['vde:///x?mtu=20', /MTU 20/],
  ])('is refused when it cannot be meant: %s', async (url, words) => {
    await expect(openVde(url)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', message: expect.stringMatching(words) })
  })
})
