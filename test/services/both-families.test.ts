/** The small services over IPv6: one listener and one socket for both families, and answers from the address that was asked. */
import { expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { startServices } from '../../src/services/inetd.ts'
import { createWorld } from '../../src/sim/world.ts'
import type { RawConnection } from '../../src/tcp/api.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'

function lab() {
  const world = createWorld({ seed: 4 })
  const [client, server] = [world.stack(), world.stack()]
  const [near, far] = createPipe()
  client.attach(near, { addresses: ['10.0.0.1/24', 'fd00::1/64'], probe: false })
  const eth0 = server.attach(far, { addresses: ['10.0.0.2/24', 'fd00::2/64', 'fd00::99/64'], probe: false })
  startServices(server)
  const link = eth0.iface.addresses
    .find((a) => a.address.isLinkLocal)!
    .address.toString()
    .replace(/%.*/, '')
  return { world, client, server, link }
}

it('TCP: echo over both', () => {
  const { world, client, link } = lab()
  for (const to of ['10.0.0.2', 'fd00::2', 'fd00::99', `${link}%eth0`]) {
    let back = ''
    const bytes = new Uint8Array(64)
    client.tcp.open(
      { remoteAddress: to, remotePort: 7 },
      {
        onConnect: (c: RawConnection) => void c.write(Buffer.from('hello'), 0, 5),
        onReadable(c: RawConnection) {
          back += Buffer.from(bytes.subarray(0, c.read(bytes, 0, 64))).toString()
          c.shutdown()
        },
      },
    )
    world.run(100)
    expect(back, to).toBe('hello')
  }
})

it('UDP: echo over both, from the address that was asked', () => {
  const { world, client, link } = lab()
  const zone = client.interfaces[0].index
  const linkLocal = address(link)
  linkLocal.zone = zone
  const socket = client.udp.open({}, { family: 6 })
  const d = new Datagram(new Uint8Array(64))
  for (const to of [address('10.0.0.2'), address('fd00::2'), address('fd00::99'), linkLocal]) {
    socket.send(Buffer.from('hello'), 0, 5, to, 7)
    world.run(100)
    expect(socket.receive(d), String(to)).toBe(true)
    expect([String(d.address), d.port, d.len]).toEqual([String(to), 7, 5])
  }
})

it('UDP: what was asked of all nodes is not answered', () => {
  const { world, client, server } = lab()
  const all = address('ff02::1')
  all.zone = client.interfaces[0].index
  const socket = client.udp.open({}, { family: 6 })
  socket.send(Buffer.from('hello'), 0, 5, all, 7)
  world.run(100)
  expect(socket.readable).toBe(0)
  expect(server.counters().udp.udpInDatagrams).toBe(1)
})
