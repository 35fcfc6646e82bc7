/** A gateway that falls silent: packets go by the other one (RFC 1122 section 3.3.1.5, RFC 4861 section 6.3.6). */
import { expect, it } from 'vitest'
import { createWorld } from '../../src/sim/world.ts'

it.each([
  ['IPv4', '10.9.0.1', '10.0.0.2', '10.0.1.2'],
  ['IPv6', 'fd00:9::1', 'fd00::2', 'fd00:0:0:1::2'],
])('%s: two default routes', async (family, target, firstGateway, secondGateway) => {
  const world = createWorld()
  const [host, ...routers] = [world.stack(), world.stack({ forwarding: true }), world.stack({ forwarding: true })]
  for (const [n, router] of routers.entries()) {
    const link = world.link(host, router)
    link.a.addAddress(`fd00:0:0:${n}::1/64`)
    link.b.addAddress(`fd00:0:0:${n}::2/64`)
    link.b.addAddress(family === 'IPv4' ? '10.9.0.1/32' : 'fd00:9::1/128')
  }
  world.run(3000)
  const everything = family === 'IPv4' ? '0.0.0.0/0' : '::/0'
  host.addRoute(everything, firstGateway, null)
  host.addRoute(everything, secondGateway, null, { metric: 5 })
  const pinged = async (): Promise<unknown[]> => {
    const results: unknown[] = []
    const ping = host.ping(target, { count: 20, intervalMs: 1000, timeoutMs: 900 })
    for (let next = await world.settle(ping.next()); next.done !== true; next = await world.settle(ping.next())) {
      results.push(next.value.error ?? 'answered')
    }
    return results
  }
  const heard = (): number[] =>
    routers.map((r) => {
      const counters = r.counters()
      return family === 'IPv4' ? counters.icmp.icmpInEchos : counters.icmp6.icmp6InEchos
    })
  expect(new Set(await pinged())).toEqual(new Set(['answered']))
  expect(heard()).toEqual([20, 0])
  world.run(60_000)
  routers[0].interfaces[0].setUp(false)
  // DELAY 5 s, three probes, three questions: then it is known.
  expect((await pinged()).slice(-5)).toEqual(new Array(5).fill('answered'))
  expect(heard()[1]).toBeGreaterThanOrEqual(5)
  // Rather a gateway that may answer again than none.
  routers[1].interfaces[0].setUp(false)
  world.run(60_000)
  expect(new Set(await pinged())).not.toContain('answered')
  expect(host.routes.filter((r) => r.destination === everything).length).toBe(2)
})
