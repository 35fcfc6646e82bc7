/** What is handed to `attach` by mistake is refused there, and the stack goes on. */
import { expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { createWorld } from '../../src/sim/world.ts'

it.each([
  ['nothing', undefined],
  ['null', null],
  ['a link that is still to come', Promise.resolve(createPipe()[0])],
  ['some object', { name: 'eth0', medium: 'ethernet', mtu: 1500 }],
])('%s is not a link', async (_, what) => {
  const world = createWorld()
  const stack = world.stack()
  expect(() => stack.attach(what as unknown as NetIf)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringContaining('await openLink') }),
  )
  expect(stack.interfaces).toEqual([])
  const eth0 = stack.attach(createPipe()[0], { addresses: ['10.0.0.1/24'] })
  expect(eth0.name).toBe('eth0')
  world.run(1000)
  await world.close()
})

it('a link is one interface of a stack, not two', async () => {
  const world = createWorld()
  const stack = world.stack()
  const [link] = createPipe()
  const eth0 = stack.attach(link)
  expect(() => stack.attach(link)).toThrow(expect.objectContaining({ code: 'EBUSY' }))
  expect(stack.interfaces).toEqual([eth0])
  await world.close()
})

it('nothing of an interface is left when it goes: no deadline, no neighbours', async () => {
  const world = createWorld()
  const [a, b] = [world.stack({ forwarding: true }), world.stack()]
  const { a: eth0, b: far } = world.link(a, b)
  eth0.addAddress('fd00::1/64', { validSeconds: 10, preferredSeconds: 5 })
  far.addAddress('fd00::2/64')
  a.addVlan(eth0, 5, { addresses: ['10.5.0.1/24', 'fd05::1/64'] })
  const socket = a.udp.open({}, { family: 6 })
  socket.bind('::', 5000)
  socket.joinGroup('ff02::1234', 'eth0')
  world.run(2500)
  for (const to of ['fd00::2', 'fd00::77', '10.0.0.77', '10.5.0.77']) {
    await world.settle(a.ping(to, { count: 1, timeoutMs: 50 }).next())
  }
  const { iface } = eth0
  await eth0.detach()
  expect(a.timers.size).toBe(0)
  world.run(20_000)
  expect([a.nd.of(iface), iface.neighbors6]).toEqual([null, null])
  await world.close()
})

it('a VLAN that is there already leaves nothing behind when it is asked for again', async () => {
  const world = createWorld()
  const [a, b] = [world.stack(), world.stack()]
  const { a: eth0 } = world.link(a, b)
  const vlan = a.addVlan(eth0, 5)
  expect(() => a.addVlan(eth0, 5, { name: 'other' })).toThrow(expect.objectContaining({ code: 'EEXIST' }))
  expect(a.multicast.igmp.interfaces).toEqual([eth0.iface, vlan.iface])
  await world.close()
})

it('a server of DHCP ends with the last of its interfaces, and holds nothing any more', async () => {
  const world = createWorld()
  const stack = world.stack()
  const [one, two] = ['10.1.0.1/24', '10.2.0.1/24'].map((address) =>
    stack.attach(createPipe()[0], { addresses: [address, 'fd00::1/64'], probe: false }),
  )
  const before = world.host.holds
  const both = stack.dhcpServer([one, two], { ranges: ['10.1.0.50-10.1.0.60'] })
  const six = stack.dhcp6Server(two, { ranges: ['fd00::100-fd00::1ff'] })
  expect(world.host.holds).toBeGreaterThan(before)
  await two.detach()
  expect([...stack.dhcpServers]).toEqual([both])
  six.close() // once more is nothing
  await one.detach()
  expect([stack.dhcpServers.size, world.host.holds]).toEqual([0, before])
  await world.close()
})
