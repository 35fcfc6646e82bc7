/** What docs/filter.md shows does what it says. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { echoServer, exchange, filterWorld } from '../support/filter-world.ts'

const [firewall, gateway] = [
  ...readFileSync(new URL('../../docs/filter.md', import.meta.url), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g),
].map((m) => m[1])

it('the firewall lets in what it says', async () => {
  const w = filterWorld()
  new Function('stack', firewall)(w.router)
  echoServer(w.router, 22)
  echoServer(w.outside, 7)
  const tries = [exchange(w.inside, '10.0.0.1', 22), exchange(w.outside, '192.0.2.1', 22), exchange(w.router, '192.0.2.2', 7)]
  const own = exchange(w.router, '127.0.0.1', 22)
  w.world.run(100)
  expect([...tries, own].map((t) => [t.got, t.error])).toEqual([
    [10, null],
    [0, 'ECONNREFUSED'],
    [10, null],
    [10, null],
  ])
  await w.world.close()
})

it('the gateway has a network behind one address, and a server in it', async () => {
  const w = filterWorld({ forwarding: false })
  new Function('router', gateway)(w.router)
  const peers = [echoServer(w.inside, 8080), echoServer(w.outside, 7)]
  const tries = [exchange(w.outside, '192.0.2.1', 80), exchange(w.inside, '192.0.2.1', 80), exchange(w.inside, '192.0.2.2', 7)]
  w.world.run(100)
  expect(tries.map((t) => t.got)).toEqual([10, 10, 10])
  expect(peers.map((p) => p.map((text) => text.split(' ')[0]).sort())).toEqual([['10.0.0.1', '192.0.2.2'], ['192.0.2.1']])
  await w.world.close()
})
