/** Chains of routers in one process, both families: what comes through, what comes back, and what each router counted. */
import { describe, expect, it } from 'vitest'
import type { ConfigOverrides } from '../../src/base/config.ts'
import type { PingResult } from '../../src/icmp/ping-iterator.ts'
import { createWorld, type World, type WorldLink, type WorldLinkOptions } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'

interface Chain {
  world: World
  stacks: Stack[]
  links: WorldLink[]
  first: Stack
  last: Stack
}

/**
 * `routers` routers between two hosts. Link n is 10.0.n.0/24 and fd00:0:0:n::/64, .1 at its near end and .2 at its far one; everybody
 * has default routes onwards, and routes back.
 */
function chain(routers: number, links: WorldLinkOptions[] = [], config: ConfigOverrides = {}): Chain {
  const world = createWorld()
  const stacks = Array.from({ length: routers + 2 }, (_, i) =>
    world.stack(i === 0 || i > routers ? {} : { forwarding: true, ...config }),
  )
  const all: WorldLink[] = []
  for (let n = 0; n <= routers; n++) {
    const link = world.link(stacks[n], stacks[n + 1], links[n])
    link.a.addAddress(`fd00:0:0:${n}::1/64`)
    link.b.addAddress(`fd00:0:0:${n}::2/64`)
    all.push(link)
  }
  for (let n = 0; n <= routers; n++) {
    stacks[n].addRoute('0.0.0.0/0', `10.0.${n}.2`, all[n].a)
    stacks[n].addRoute('::/0', `fd00:0:0:${n}::2`, all[n].a)
    for (let back = 0; back < n - 1; back++) {
      stacks[n].addRoute(`10.0.${back}.0/24`, `10.0.${n - 1}.1`, all[n - 1].b)
      stacks[n].addRoute(`fd00:0:0:${back}::/64`, `fd00:0:0:${n - 1}::1`, all[n - 1].b)
    }
  }
  const last = stacks[routers + 1]
  last.addRoute('0.0.0.0/0', `10.0.${routers}.1`, all[routers].b)
  last.addRoute('::/0', `fd00:0:0:${routers}::1`, all[routers].b)
  world.run(3000)
  return { world, stacks, links: all, first: stacks[0], last }
}

async function pings(world: World, stack: Stack, to: string, options = {}): Promise<PingResult[]> {
  const out: PingResult[] = []
  const iterator = stack.ping(to, { count: 1, timeoutMs: 900, ...options })
  for (;;) {
    const next = await world.settle(iterator.next())
    if (next.done === true) return out
    out.push(next.value)
  }
}

const hops = (n: number): [string, string][] => [
  ['IPv4', `10.0.${n}.2`],
  ['IPv6', `fd00:0:0:${n}::2`],
]

describe('a chain of three routers', () => {
  it.each(hops(3))('%s: a ping comes through, one hop less at each', async (_, to) => {
    const { world, first, stacks } = chain(3)
    const [reply] = await pings(world, first, to)
    expect(reply).toMatchObject({ from: to, ttl: 61 })
    const section = to.includes(':') ? 'ip6.forward' : 'ip.forward'
    for (const router of stacks.slice(1, 4)) {
      expect(router.counters(true)[section]).toEqual({ outForwDatagrams: 2 })
    }
  })
})
