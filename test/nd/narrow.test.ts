/** IPv6 on a link that becomes too narrow for it, and wide enough again (RFC 8200 section 5). */
import { expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'

it('there is none below 1280 bytes, whatever routers say, and it begins anew above', async () => {
  const world = createWorld({ seed: 3 })
  const [router, host] = [world.stack({ forwarding: true }), world.stack()]
  const [one, other] = createPipe()
  const r = router.attach(one, { addresses: ['fd00:1::1/64'] })
  r.advertise({ intervalMs: 4_000 })
  const h = host.attach(other, { addresses: ['10.0.0.2/24'], slaac: true })
  await world.settle(h.ready)
  const before = h.addresses
  expect(before).toHaveLength(3)
  h.setMtu(1279)
  expect(h.addresses).toEqual(['10.0.0.2/24'])
  world.run(30_000)
  expect(h.addresses).toEqual(['10.0.0.2/24'])
  const sent = host.counters().ip6.ip6OutRequests
  world.run(30_000)
  expect(host.counters().ip6.ip6OutRequests).toBe(sent)
  h.setMtu(1500)
  world.run(20_000)
  expect([...h.addresses].sort()).toEqual([...before].sort())
  const [answer] = [await world.settle(host.ping('fd00:1::1', { count: 1 }).next())]
  expect(answer.value).toMatchObject({ from: 'fd00:1::1' })
  await world.close()
})
