/** A multiplexer on a tap: MAC pings, stacks beside each other, clients that are processes and may be killed. */
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import { nodeHost } from '../../../src/node/host.ts'
import { createMux } from '../../../src/node/mux.ts'
import { createStack } from '../../../src/node/stack.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { end, hasTap, node, run, tool } from './program.ts'

const MAIN = 'src/cli/main.ts'
const ORE_MAC = '04:EA:43:01:96:09'
/** Where a server's name is looked for. */
const dir = scratchFolder('mux-e2e')
const env = { XDG_RUNTIME_DIR: dir }

/** Habets' arping of a MAC address, until so many answers are there: after the last of `-c` requests it would wait for 50 ms. */
const arping = (count: number, mac: string) => tool('arping', ['-i', 'tap0', '-C', `${count}`, '-W', '0.05', '-w', '20', mac])

describe('ore_arping', () => {
  it('answers Habets arping by MAC, without an IP address, and ends after ten packets when told to', async () => {
    const example = node('examples/ore_arping.ts', {}, '-e')
    await example.until(/^opened eth0#0 for 04:EA:43:01:96:09$/m)
    const { out, code } = await arping(10, ORE_MAC)
    expect(out).toMatch(/bytes from 255\.255\.255\.255 \(04:ea:43:01:96:09\): icmp_seq=9 time=/)
    expect(out).toContain(' 10 packets received')
    expect([code, await example.ended]).toEqual([0, 0])
    expect(hasTap()).toBe(false)
  })

  it("has the device's own address with -p, and hears broadcasts with -b alone", async () => {
    const example = node('examples/ore_arping.ts', {}, '-p', '-b', '-v')
    await example.until(/^got physical device MAC\.\nopened eth0#0 for 52:54:00:12:34:56$/m)
    await tool('arping', ['-i', 'tap0', '-c', '1', '-w', '1', '10.0.0.77'])
    expect((await arping(2, '52:54:00:12:34:56')).out).toContain('2 packets received')
    expect(example.said()).toMatch(/to ff:ff:ff:ff:ff:ff, type 0806\nbroadcast packet - dropping\./)
    await end(example)
  })
})

describe('two stacks and a kernel', () => {
  it('reach each other through one tap', async () => {
    const mux = createMux(await openTap({ name: 'tap0', host: '10.0.0.1/24' }))
    nodeHost.hold()
    const stacks = ['10.0.0.2', '10.0.0.3'].map((address) => {
      const stack = createStack({ name: address })
      stack.attach(mux.open(), { addresses: [`${address}/24`] })
      stack.net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(7)
      return stack
    })
    const text = 'over a tap that is not its own\n'.repeat(20_000)
    for (const address of ['10.0.0.2', '10.0.0.3']) {
      expect((await tool('ping', ['-c', '2', '-i', '0.1', '-w', '5', address])).out).toContain('2 received, 0% packet loss')
      expect(await tool('nc', ['-N', '-w', '10', address, '7'], text)).toEqual({ code: 0, out: text })
    }
    const before = mux.device().counters().muxOut
    const socket = stacks[0].net.connect({ host: '10.0.0.3', port: 7 })
    let back = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => (back += chunk))
    socket.end(text)
    await once(socket, 'close')
    expect(back === text).toBe(true)
    // All of it stayed inside; what goes out is at most a question for an address.
    expect(mux.device().counters().muxOut - before).toBeLessThanOrEqual(2)
    expect(mux.device().counters().muxInside).toBeGreaterThan(10)
    for (const client of mux.clients) expect(client.counters()).toMatchObject({ inDropQueueFull: 0, dropTooLong: 0 })
    for (const stack of stacks) await stack.close()
    expect(mux.clients).toEqual([])
    await mux.close()
    nodeHost.release()
    expect(hasTap()).toBe(false)
  })
})

describe('tapstack mux', () => {
  it('serves clients in other processes by name; one that is killed gives its address back', async () => {
    const server = node(MAIN, env, 'mux', '--device-mac', '52:54:00:12:34:56', '--verbose')
    await server.until(/^ready: ORe at \/.*\/tapstack\/ORe\.mux$/m)
    const first = node(MAIN, env, 'echo', '--link', 'ore:?mac=device', '--address', '10.0.0.2/24')
    await first.until(/^ready: 10\.0\.0\.2 on eth0#0 .* offload csum,tso4,tso6/m)
    const second = node(MAIN, env, 'echo', '--link', 'mux://ORe?mac=device&offload=off', '--address', '10.0.0.3/24')
    await second.until(/^ready: 10\.0\.0\.3/m)
    const answering = node('examples/ore_arping.ts', env, '-o', 'ORe')
    await answering.until(/^opened eth0#2 for 04:EA:45:01:9E:09$/m)
    expect(server.said()).toMatch(
      /client 0: eth0 52:54:00:12:34:56 \(device\)\nclient 1: eth0 04:ea:44:01:9a:09 \(ore\)\nclient 2: /,
    )

    const text = 'through a socket to another process\n'.repeat(20_000)
    for (const address of ['10.0.0.2', '10.0.0.3']) {
      expect((await tool('ping', ['-c', '2', '-i', '0.1', '-w', '5', address])).out).toContain('2 received, 0% packet loss')
      expect(await tool('nc', ['-N', '-w', '10', address, '7'], text)).toEqual({ code: 0, out: text })
    }
    expect((await arping(2, '04:EA:45:01:9E:09')).out).toContain('2 packets received')
    const ping = node(MAIN, env, 'ping', '-c', '2', '-i', '0.1', '10.0.0.3', '--link', 'ore:', '--address', '10.0.0.4/24')
    expect(await ping.ended, ping.said()).toBe(0)

    first.child.kill('SIGKILL')
    await server.until(/client 0: eth0 52:54:00:12:34:56 gone/)
    expect((await tool('ping', ['-c', '1', '-W', '1', '10.0.0.2'])).code).toBe(1)
    const third = node(MAIN, env, 'echo', '--link', 'ore:?mac=device', '--address', '10.0.0.2/24')
    await third.until(/^ready: 10\.0\.0\.2 on eth0#0/m)
    expect((await tool('ping', ['-c', '1', '-w', '5', '10.0.0.2'])).code).toBe(0)

    server.child.kill('SIGTERM')
    expect(await server.ended, server.said()).toBe(0)
    // The others are told.
    expect(await third.ended, third.said()).toBe(2)
    expect(await second.ended).toBe(2)
    expect(await answering.ended).toBe(1)
    expect(hasTap()).toBe(false)
  })

  it('takes over the socket of one that was killed', async () => {
    const killed = node(MAIN, env, 'mux')
    await killed.until(/^ready/m)
    killed.child.kill('SIGKILL')
    await killed.ended
    const next = node(MAIN, env, 'mux')
    await next.until(/^ready/m)
    const twice = node(MAIN, env, 'mux', '--link', 'tap://tap1')
    expect(await twice.ended).toBe(2)
    expect(twice.said()).toMatch(/^tapstack mux: .*EADDRINUSE/)
    await end(next)
    expect(await run('ls', [join(dir, 'tapstack')]).ended).toBe(0)
  })
})
