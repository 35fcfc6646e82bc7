/** Frames as UNIX datagrams between two paths: ours against ours, and against sockets that come and go as QEMU's do. */
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { Libc } from '../../src/backend/libc.ts'
import { splitLinkUrl } from '../../src/backend/link-url.ts'
import { openLink } from '../../src/backend/open-link.ts'
import { loadSystem } from '../../src/backend/system.ts'
import { bindUnix, connectUnix, unixDatagram } from '../../src/backend/unix-datagram.ts'
import { openUnixgramLink, unixgramOptions } from '../../src/backend/unixgram.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { NodeHost } from '../../src/node/host.ts'
import { plainFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'
import { until } from '../support/until.ts'

const linux = process.platform === 'linux'
const root = mkdtempSync(join(tmpdir(), 'tapstack-unixgram-'))
const host = new NodeHost()
let made = 0

afterAll(() => rmSync(root, { recursive: true, force: true }))

const path = (): string => join(root, `s${made++}`)

function attached(link: NetIf): RecordingSink {
  const sink = new RecordingSink(host)
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
}

/** A socket that is bound and sends by connecting: what another program does. */
function stranger(libc: Libc, at: string): number {
  const fd = unixDatagram(libc)
  expect(bindUnix(libc, fd, at)).toBeNull()
  return fd
}

if (linux) {
  netifConformance('UNIX datagrams', async () => {
    const [one, other] = [path(), path()]
    const a = await openLink(`unixgram://${one}->${other}`)
    const b = await openLink(`unixgram://${other}->${one}`)
    return {
      a,
      b,
      host,
      settle: async () => {
        for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
      },
    }
  })
}

describe.runIf(linux)('a link by UNIX datagrams', () => {
  it('waits for its peer, hears the next at the same path, and leaves nothing behind', async () => {
    const [ours, theirs] = [path(), path()]
    const link = await openUnixgramLink({ path: ours, peer: theirs })
    const sink = attached(link)
    const frame = plainFrame('ethernet', 60, 1)
    send(link, frame)
    expect(link.counters()).toMatchObject({ outFrames: 0, dropOutNoPeer: 1 })
    for (let life = 1; life <= 2; life++) {
      const peer = await openUnixgramLink({ path: theirs, peer: ours })
      const peerSink = attached(peer)
      // The dead peer is found out by the frame that is to be sent, which is not lost.
      send(link, frame)
      await take(peer, peerSink, 1)
      send(peer, plainFrame('ethernet', 70, life))
      await take(link, sink, life)
      await peer.close()
      await peer.close()
    }
    expectFrames(sink.frames, [plainFrame('ethernet', 70, 1), plainFrame('ethernet', 70, 2)])
    expect(existsSync(theirs)).toBe(false)
    send(link, frame)
    expect(link.counters()).toMatchObject({ outFrames: 2, dropOutNoPeer: 2 })
    expect(link.describe()).toContain(`unixgram:${ours}: UNIX datagrams ${ours} -> ${theirs}, mtu 1500, no offload, woken by `)
    expect(sink.closes).toBe(0)
    await link.close()
    expect(readdirSync(root)).toEqual([])
  })

  it('answers a peer that is not connected to it, and hears nobody else meanwhile', async () => {
    const { libc } = await loadSystem()
    const [ours, theirs, others] = [path(), path(), path()]
    const link = await openUnixgramLink({ path: ours, peer: theirs })
    const sink = attached(link)
    const guest = stranger(libc, theirs)
    const other = stranger(libc, others)
    expect(connectUnix(libc, other, ours)).toBeNull() // nobody is there yet, so it may
    const frame = plainFrame('ethernet', 60, 2)
    send(link, frame)
    const got = new Uint8Array(2000)
    expect(libc.read(guest, got, got.length)).toBe(60)
    expectFrames([got.slice(0, 60)], [frame])
    expect([libc.write(other, frame, 60), libc.errno()]).toEqual([-1, 1]) // EPERM
    expect(connectUnix(libc, guest, ours)).toBeNull()
    expect(libc.write(guest, frame, 60)).toBe(60)
    await take(link, sink, 1)
    for (const fd of [guest, other]) libc.close(fd)
    await link.close()
    rmSync(theirs)
    rmSync(others)
  })

  it('looks once a second who its peer is, and hears the next one though it says nothing itself', async () => {
    const { libc } = await loadSystem()
    const [ours, theirs] = [path(), path()]
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      const first = stranger(libc, theirs)
      const link = await openUnixgramLink({ path: ours, peer: theirs })
      const sink = attached(link)
      libc.close(first)
      rmSync(theirs)
      const next = stranger(libc, theirs)
      expect(connectUnix(libc, next, ours)).toBe('EPERM') // the kernel takes us for the dead one's
      vi.advanceTimersByTime(1000)
      expect(connectUnix(libc, next, ours)).toBeNull()
      const frame = plainFrame('ethernet', 60, 3)
      expect(libc.write(next, frame, 60)).toBe(60)
      await take(link, sink, 1)
      libc.close(next)
      await link.close()
      expect(vi.getTimerCount()).toBe(0)
      rmSync(theirs)
    } finally {
      vi.useRealTimers()
    }
  })

  it('takes over what a killed process left, and nothing else', async () => {
    const { libc } = await loadSystem()
    const [ours, theirs] = [path(), path()]
    libc.close(stranger(libc, ours))
    expect(lstatSync(ours).isSocket()).toBe(true)
    const link = await openUnixgramLink({ path: ours, peer: theirs })
    await expect(openUnixgramLink({ path: ours, peer: theirs })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      message: expect.stringMatching(/somebody else's/),
    })
    // Somebody removes the file and takes the path: it is theirs.
    rmSync(ours)
    writeFileSync(ours, 'theirs')
    await link.close()
    await expect(openUnixgramLink({ path: ours, peer: theirs })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    rmSync(ours)
  })

  it('says what is wrong', async () => {
    const peer = path()
    const open = (at: string, to = peer): Promise<unknown> => openUnixgramLink({ path: at, peer: to })
    await expect(open(join(root, 'none', 's'))).rejects.toMatchObject({ code: 'ENOENT', message: expect.stringMatching(/none$/) })
    await expect(open(join(root, 'x'.repeat(100)))).rejects.toMatchObject({ code: 'ENAMETOOLONG' })
    await expect(open(peer)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    await expect(openUnixgramLink({ path: path(), peer, mtu: 67 })).rejects.toThrow(/Invalid MTU 67/)
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(peer, resolve))
    await expect(open(path())).rejects.toMatchObject({ code: 'EPROTOTYPE', message: expect.stringMatching(/unix:\/\//) })
    await new Promise((resolve) => server.close(resolve))
    expect(readdirSync(root)).toEqual([]) // nothing of ours is left
  })

  it('reads its URL', () => {
    const options = (text: string) => unixgramOptions(splitLinkUrl(text)!)
    expect(options('unixgram:///run/us->/run/vm?name=vm&mtu=9000')).toEqual({
      path: '/run/us',
      peer: '/run/vm',
      name: 'vm',
      mtu: 9000,
    })
    expect(options('unixgram://us.sock-%3Evm.sock')).toMatchObject({ path: 'us.sock', peer: 'vm.sock' })
    for (const wrong of [
      'unixgram:///run/us',
      'unixgram://->/run/vm',
      'unixgram:///a->',
      'unixgram:///a->/b->/c',
      'unixgram:///a->/b?wait',
    ])
      expect(() => options(wrong), wrong).toThrow(/ERR_INVALID_ARG_VALUE|Invalid link|Unknown option/)
  })
})
