/** What TCP comes to through a port with a rate, and what is told of addresses that are too old. */
import { expect, it } from 'vitest'
import { createWorld } from '../../src/sim/world.ts'
import { createSwitch } from '../../src/switch/create.ts'
import type { SwitchPortOptions } from '../../src/switch/port.ts'
import { Sink, SOURCE } from '../support/bulk.ts'

function lab(options: SwitchPortOptions = {}) {
  const world = createWorld({ seed: 3 })
  const sw = createSwitch({ host: world.host, random: world.host.random, ageingMs: 2000 })
  const hosts = ['a', 'b'].map((name, i) => {
    const stack = world.stack({ name })
    stack.attach(sw.port(name, i === 0 ? {} : options), { addresses: [`10.0.0.${i + 1}/24`], probe: false })
    return stack
  })
  return { world, sw, hosts }
}

it.each<[string, SwitchPortOptions]>([
  ['what goes out', { rateOut: 10_000_000 }],
  ['what comes in', { rateIn: 10_000_000 }],
])('TCP uses most of a rate of %s, and no more', (_, options) => {
  const { world, hosts } = lab(options)
  const [from, to] = options.rateIn === undefined ? hosts : [hosts[1], hosts[0]]
  const sink = new Sink()
  to.tcp.listen(
    { port: 9 },
    {
      onConnection(c) {
        c.handler = sink
      },
    },
  )
  from.tcp.open({ remoteAddress: to === hosts[1] ? '10.0.0.2' : '10.0.0.1', remotePort: 9 }, SOURCE)
  world.run(6000)
  const mbits = (sink.bytes * 8) / 6e6
  expect(mbits).toBeGreaterThan(6)
  expect(mbits).toBeLessThan(10.5)
})

it('addresses that are too old are not told', () => {
  const { world, sw } = lab()
  world.run(100)
  expect(sw.addresses().length).toBeGreaterThan(0)
  for (let i = 0; i < 150; i++) {
    world.run(100)
    for (const { age } of sw.addresses()) expect(age).toBeLessThan(2)
  }
})
