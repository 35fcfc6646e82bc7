/** A stack as its user holds it: interfaces that come and go, their addresses, routes and neighbours; and its end. */
import { describe, expect, it } from 'vitest'
import type { NetError } from '../../src/base/errors.ts'
import type { PingResult } from '../../src/icmp/ping-iterator.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'

const PROBING = { probe: true }

async function pinged(world: World, stack: Stack, to: string): Promise<PingResult> {
  const one = await world.settle(stack.ping(to, { count: 1 }).next())
  return one.value as PingResult
}

describe('an address that is probed (RFC 5227)', () => {
  it('is ready when nobody has objected, seconds later, and not used before', async () => {
    const world = createWorld()
    const [a, b] = createPipe()
    const one = world.stack().attach(a, { addresses: ['10.0.0.1/24'], ...PROBING })
    const other = world.stack()
    other.attach(b, { addresses: ['10.0.0.2/24'] })
    world.run(1000)
    const unusable = expect.objectContaining({ code: 'EADDRNOTAVAIL' })
    const { tcp, udp } = world.stacks[0]
    expect(() => tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, {})).toThrow(unusable)
    expect(() => udp.open().connect('10.0.0.2', 7)).toThrow(unusable)
    expect([...tcp.flows()]).toEqual([])
    expect(await pinged(world, other, '10.0.0.1')).toMatchObject({ error: 'ETIMEDOUT' })
    await world.settle(one.ready)
    expect(world.elapsedMs).toBeGreaterThan(4000)
    world.run(25_000)
    expect(await pinged(world, other, '10.0.0.1')).toMatchObject({ from: '10.0.0.1' })
    await world.close()
  })

  it('rejects `ready` with EADDRINUSE and says who has it', async () => {
    const world = createWorld()
    const [a, b] = createPipe()
    world.stack().attach(a, { addresses: ['10.0.0.1/24'], mac: '02:00:00:00:00:01' })
    const late = world.stack()
    const told: string[] = []
    late.onAddressConflict = (iface, address, mac) => told.push(`${iface.name} ${address} ${mac}`)
    const eth0 = late.attach(b, { addresses: ['10.0.0.1/24'], ...PROBING })
    await expect(world.settle(eth0.ready)).rejects.toMatchObject({
      code: 'EADDRINUSE',
      message: expect.stringMatching(/10\.0\.0\.1 on eth0 is in use by 02:00:00:00:00:01/),
    })
    expect(told).toEqual(['eth0 10.0.0.1 02:00:00:00:00:01'])
    expect(() => late.tcp.open({ remoteAddress: '10.0.0.9', remotePort: 7 }, {})).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    )
    // With another address its owner can be talked to.
    await world.settle(eth0.addAddress('10.0.0.2/24'))
    expect(await pinged(world, late, '10.0.0.1')).toMatchObject({ from: '10.0.0.1' })
    await world.close()
  })

  it('lets nobody wait when the interface goes, or the address is taken away', async () => {
    const world = createWorld()
    const [a, b] = createPipe()
    const stack = world.stack()
    const eth0 = stack.attach(a, { addresses: ['10.0.0.1/24'], ...PROBING })
    world.stack().attach(b)
    const second = eth0.addAddress('10.0.0.5/24')
    await world.settle(second)
    const third = eth0.addAddress('10.0.0.6/24', PROBING)
    expect(eth0.removeAddress('10.0.0.6')).toBe(true)
    await expect(third).rejects.toMatchObject({ code: 'ECANCELED' })
    await eth0.detach()
    await expect(eth0.ready).rejects.toMatchObject({ code: 'ECANCELED' })
    const seen = (world.stacks[1].counters()['eth0.arp'] as Record<string, number>).inRequests
    world.run(30_000)
    expect((world.stacks[1].counters()['eth0.arp'] as Record<string, number>).inRequests).toBe(seen)
    expect([world.host.idle, world.host.holds]).toEqual([true, 0])
    await world.close()
  })
})

describe('interfaces', () => {
  it('have names, and leave with their routes', async () => {
    const world = createWorld()
    const stack = world.stack()
    const names = [createPipe()[0], createPipe({ medium: 'ip' })[0], createPipe()[0]].map((l) => stack.attach(l).name)
    expect(names).toEqual(['eth0', 'tun0', 'eth1'])
    expect(() => stack.attach(createPipe()[0], { name: 'eth0' })).toThrow(expect.objectContaining({ code: 'EEXIST' }))
    stack.interfaces[0].addAddress('10.1.0.1/16')
    expect(stack.routes.map((r) => `${r.destination} ${r.interface}`)).toContain('10.1.0.0/16 eth0')
    await stack.interfaces[0].detach()
    expect(stack.interfaces.map((i) => i.name)).toEqual(['tun0', 'eth1'])
    expect(stack.routes.map((r) => r.interface)).not.toContain('eth0')
    await world.close()
  })

  it.each([
    ['an address that is none', { addresses: ['10.0.0.1/24', '10.0.0'] }, 'ERR_INVALID_IP_ADDRESS'],
    ['a network address', { addresses: ['10.0.0.0/24'] }, 'ERR_INVALID_ARG_VALUE'],
    ['the same twice', { addresses: ['10.0.0.1/24', '10.0.0.1/24'] }, 'EEXIST'],
    ['a gateway elsewhere', { addresses: ['10.0.0.1/24'], gateway: '10.0.1.1' }, 'ENETUNREACH'],
    ['a group MAC', { mac: '01:00:00:00:00:01' }, 'ERR_INVALID_MAC_ADDRESS'],
    ['half a MAC', { mac: '02:00' }, 'ERR_INVALID_MAC_ADDRESS'],
    ['an MTU beyond the link', { mtu: 9000 }, 'ERR_INVALID_ARG_VALUE'],
  ])('refuse %s, and leave nothing behind', async (_, options, code) => {
    const world = createWorld()
    const stack = world.stack()
    const [a, b] = createPipe()
    world.stack().attach(b, { addresses: ['10.0.0.2/24'] })
    world.run(10_000)
    const routes = stack.routes
    expect(() => stack.attach(a, { ...options, ...PROBING })).toThrow(expect.objectContaining({ code }))
    expect(world.host.holds).toBe(0)
    expect(() => stack.attach(a, options)).toThrow(expect.objectContaining({ code }))
    expect([stack.interfaces.length, stack.routes]).toEqual([0, routes])
    const seen = (world.stacks[1].counters()['eth0.arp'] as Record<string, number>).inRequests
    world.run(10_000)
    expect((world.stacks[1].counters()['eth0.arp'] as Record<string, number>).inRequests).toBe(seen)
    // The link is as good as before.
    stack.attach(a, { addresses: ['10.0.0.1/24'] })
    expect(await pinged(world, stack, '10.0.0.2')).toMatchObject({ from: '10.0.0.2' })
    await world.close()
  })

  it('several: the longest prefix, then the lowest metric decides', async () => {
    const world = createWorld()
    const [me, left, right] = [world.stack(), world.stack(), world.stack()]
    const first = world.link(me, left)
    const second = world.link(me, right)
    for (const [stack, far] of [
      [left, '172.16.5.5/24'],
      [right, '172.16.5.5/24'],
    ] as const) {
      stack.interfaces[0].addAddress(far)
    }
    const delivered = (stack: Stack): number => stack.counters().icmp.icmpInEchos
    me.addRoute('172.16.0.0/16', '10.0.0.2', first.a)
    expect(await pinged(world, me, '172.16.5.5')).toMatchObject({ from: '172.16.5.5' })
    expect([delivered(left), delivered(right)]).toEqual([1, 0])
    me.addRoute('172.16.5.0/24', '10.0.1.2', second.a, 10)
    await pinged(world, me, '172.16.5.5')
    expect([delivered(left), delivered(right)]).toEqual([1, 1])
    me.addRoute('172.16.5.0/24', '10.0.0.2', first.a, 5)
    await pinged(world, me, '172.16.5.5')
    expect([delivered(left), delivered(right)]).toEqual([2, 1])
    const unreachable = expect.objectContaining({ code: 'ENETUNREACH' })
    expect(() => me.addRoute('172.17.0.0/16', '10.0.1.2', first.a)).toThrow(unreachable)
    await world.close()
  })

  it('a static neighbour is never asked for', async () => {
    const world = createWorld()
    const [a, b] = createPipe()
    const [one, other] = [world.stack(), world.stack()]
    const eth0 = one.attach(a, { addresses: ['10.0.0.1/24'], mac: '02:00:00:00:00:01' })
    other.attach(b, { addresses: ['10.0.0.2/24'], mac: '02:00:00:00:00:02' })
    world.run(10_000)
    eth0.addNeighbor('10.0.0.2', Uint8Array.of(2, 0, 0, 0, 0, 2))
    expect(one.neighbors).toEqual([{ address: '10.0.0.2', mac: '02:00:00:00:00:02', state: 'PERMANENT', interface: 'eth0' }])
    const asked = one.counters()['eth0.arp'].outRequests
    expect(await pinged(world, one, '10.0.0.2')).toMatchObject({ from: '10.0.0.2' })
    expect(one.counters()['eth0.arp'].outRequests).toBe(asked)
    await world.close()
  })

  it('the loopback answers for all of 127/8 and for our own addresses, and nothing of it leaves', async () => {
    const world = createWorld()
    const [one, other] = [world.stack(), world.stack()]
    const { a } = world.link(one, other)
    world.run(10_000)
    const before = a.link.counters?.().outFrames
    for (const to of ['127.0.0.1', '127.9.8.7', '10.0.0.1']) expect(await pinged(world, one, to)).toMatchObject({ from: to })
    expect(a.link.counters?.().outFrames).toBe(before)
    await world.close()
  })
})

describe('the end of a stack', () => {
  it('resets what is open, closes links, leaves no timer; a second close is the first', async () => {
    const world = createWorld()
    const [one, other] = [world.stack(), world.stack()]
    const { a } = world.link(one, other)
    const ended: (NetError | null)[] = []
    const handler = { onClose: (_: unknown, error: NetError | null) => void ended.push(error) }
    other.tcp.listen(
      { port: 7 },
      {
        onConnection: (c) => {
          c.handler = handler
        },
      },
    )
    one.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, {})
    world.run(100)
    expect(one.connections()).toMatchObject([{ state: 'ESTABLISHED', remote: '10.0.0.2:7' }])
    expect(one.counters(true).tcp).toMatchObject({ tcpActiveOpens: 1 })
    await Promise.all([one.close(), one.close()])
    expect(one.interfaces).toEqual([])
    world.run(100)
    expect(ended).toMatchObject([{ code: 'ECONNRESET' }])
    expect(() => one.attach(createPipe()[0])).toThrow(expect.objectContaining({ code: 'ERR_STACK_CLOSED' }))
    const closed = expect.objectContaining({ code: 'ERR_STACK_CLOSED' })
    expect(() => one.tcp.listen({ port: 1 }, {})).toThrow(closed)
    expect(() => one.tcp.open({ remoteAddress: '127.0.0.1', remotePort: 1 }, {})).toThrow(closed)
    expect(() => one.udp.open().bind('0.0.0.0', 1)).toThrow(closed)
    await a.detach()
    await other[Symbol.asyncDispose]()
    expect([world.host.idle, world.host.holds]).toEqual([true, 0])
  })

  it('ends a ping that would go on for ever, and lets nobody connect again', async () => {
    const world = createWorld()
    const [one, other] = [world.stack(), world.stack()]
    world.link(one, other)
    other.tcp.listen({ port: 7 }, { onConnection: () => undefined })
    const again: unknown[] = []
    const open = (): void => {
      one.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, handler)
    }
    const handler = {
      onClose: () => {
        try {
          open()
        } catch (error) {
          again.push(error)
        }
      },
    }
    open()
    const replies = one.ping('10.0.0.2')
    expect((await world.settle(replies.next())).value).toMatchObject({ seq: 1, from: '10.0.0.2' })
    const last = replies.next()
    await world.close()
    expect(await last).toEqual({ done: true, value: undefined })
    await expect(one.ping('127.0.0.1').next()).rejects.toMatchObject({ code: 'ERR_STACK_CLOSED' })
    expect(again).toMatchObject([{ code: 'ERR_STACK_CLOSED' }])
    world.run(1)
    expect([world.host.idle, world.host.holds]).toEqual([true, 0])
  })
})

describe('an interface that goes down and comes up again', () => {
  it('loses frames both ways, forgets neighbours, and announces its addresses when it is back', async () => {
    const world = createWorld()
    const [a, b] = createPipe()
    const down = world.stack().attach(a, { addresses: ['10.0.0.1/24'] })
    const other = world.stack()
    other.attach(b, { addresses: ['10.0.0.2/24'] })
    world.run(5000)
    expect(await pinged(world, other, '10.0.0.1')).toMatchObject({ from: '10.0.0.1' })
    down.setUp(false)
    expect(down.up).toBe(false)
    expect(world.stacks[0].neighbors).toEqual([])
    expect(await pinged(world, other, '10.0.0.1')).toMatchObject({ error: 'ETIMEDOUT' })
    const { counters } = down.iface
    expect(counters.snapshot().inDropDown).toBeGreaterThan(0)
    expect(() => world.stacks[0].tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, {})).toThrow(
      expect.objectContaining({ code: 'ENETUNREACH' }),
    )
    const announced = (): number => world.stacks[0].counters()['eth0.arp'].outRequests
    const before = announced()
    down.setUp(true)
    world.run(5000)
    expect(announced() - before).toBeGreaterThanOrEqual(2)
    expect(await pinged(world, other, '10.0.0.1')).toMatchObject({ from: '10.0.0.1' })
    await world.close()
  })
})
