/** What docs/ip.md shows does what it says. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { createWorld } from '../../../src/sim/world.ts'
import { AF_INET, AF_INET6 } from '../../../src/stack/nlinline.ts'

const [commands, failure, nlinline] = [
  ...readFileSync(new URL('../../../docs/ip.md', import.meta.url), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g),
].map((m) => m[1])

it('says what it shows', () => {
  const world = createWorld()
  const stack = world.stack({ nd: { dadTransmits: 0 } })
  const eth0 = world.link(stack, world.stack()).a
  eth0.removeAddress('10.0.0.1/24')
  const said: string[] = []
  const console = { log: (text: unknown) => said.push(`${text}`) }
  const routes = new Function('stack', 'console', `${commands}; return routes`)(stack, console)
  expect(routes[0]).toEqual({ dst: 'default', gateway: '10.0.0.1', dev: 'eth0', flags: [] })
  expect(said.join()).toContain('inet6 fc00::1:50/64 scope global')

  said.length = 0
  new Function('stack', 'console', failure)(stack, console)
  const comments = [...failure.matchAll(/\/\/ (.*)$/gm)].map((m) => m[1])
  expect(said).toEqual([comments[0], comments[1], comments[2].slice(0, 1)])
  expect([eth0.mtu, eth0.up]).toEqual([1400, true])

  new Function('stack', 'AF_INET', 'AF_INET6', nlinline)(stack, AF_INET, AF_INET6)
  expect(eth0.addresses).toEqual(expect.arrayContaining(['10.0.0.60/24', 'fc00::1:60/64']))
  expect(stack.ip('-6 route show default')).toMatch(/^default via fc00::1:1 dev eth0 /)
})
