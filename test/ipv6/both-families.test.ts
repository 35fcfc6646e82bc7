/** TCP and UDP over IPv6, with the same sockets as over IPv4: the smallest end to end. */
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'

function two(): { world: World; a: Stack; b: Stack } {
  const world = createWorld()
  const [a, b] = [world.stack(), world.stack()]
  const [left, right] = createPipe({ medium: 'ip' })
  a.attach(left, { addresses: ['10.0.0.1/24', 'fd00::1/64', 'fe80::1/64'] })
  b.attach(right, { addresses: ['10.0.0.2/24', 'fd00::2/64', 'fe80::2/64'] })
  return { world, a, b }
}

describe('one listener', () => {
  it.each([
    ['10.0.0.2', '10.0.0.1'],
    ['fd00::2', 'fd00::1'],
    ['fe80::2%tun0', 'fe80::1%2'],
    ['fe80::2', 'fe80::1%2'], // there is one link only: no zone is needed
  ])('answers at %s', async (to, from) => {
    const { world, a, b } = two()
    const peers: string[] = []
    b.tcp.listen(
      { port: 7 },
      {
        onConnection(c) {
          peers.push(`${c.remoteAddress}`)
          c.handler = { onReadable: (it) => it.write(bytes, 0, it.read(bytes, 0, bytes.length)) }
        },
      },
    )
    const bytes = new Uint8Array(100)
    const back = new Uint8Array(100)
    let got = 0
    const c = a.tcp.open(
      { remoteAddress: to, remotePort: 7 },
      {
        onReadable(it) {
          got += it.read(back, got, 100)
        },
      },
    )
    c.write(
      Uint8Array.from({ length: 100 }, (_, i) => i),
      0,
      100,
    )
    world.run(1000)
    expect(peers).toEqual([from])
    expect([got, back[99]]).toEqual([100, 99])
    await world.close()
  })

  it('has datagrams of both families', async () => {
    const { world, a, b } = two()
    const seen: string[] = []
    const server = b.udp.open({ onReadable: (s) => void seen.push(`${s.readable}`) }, { family: 6 })
    server.bind('::', 7)
    const client = a.udp.open({}, { family: 6 })
    for (const to of ['fd00::2', '10.0.0.2']) {
      client.connect(to, 7)
      client.send(new Uint8Array(3), 0, 3, null, 0)
      world.run(10)
    }
    expect(seen).toEqual(['1', '2'])
    await world.close()
  })
})
