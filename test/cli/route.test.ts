import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import type { TracerouteHop } from '../../src/probe/traceroute.ts'
import { createWorld } from '../../src/sim/world.ts'
import { CommandRun } from '../support/command-lab.ts'

/** Two hosts, each on a link of its own, and the command between them. */
function lab() {
  const world = createWorld({ seed: 11 })
  const hosts = [world.stack({ name: 'one' }), world.stack({ name: 'two' })]
  const ends = hosts.map((host, i) => {
    const [near, far] = createPipe({ names: [`tap${i}`, `far${i}`] })
    host.attach(far, {
      addresses: [`10.${i + 1}.0.2/24`, `fd0${i + 1}::2/64`],
      gateway: [`10.${i + 1}.0.1`, `fd0${i + 1}::1`],
      probe: false,
    })
    return near
  })
  const command = new CommandRun(world, ends)
  const { out, err, stop } = command
  return { world, hosts, ends, out, err, stop, start: (line: string) => command.start(line), command }
}

const LINE = 'route tap://tap0 tap://tap1 -a 10.1.0.1/24,fd01::1/64 -a 10.2.0.1/24,fd02::1/64'

describe('tapstack route', () => {
  it('routes both families between its links, says what, and leaves nothing', async () => {
    const { world, hosts, out, err, stop, start, command } = lab()
    const done = start(LINE)
    await command.said()
    expect(out).toEqual([
      '10.1.0.0/24 dev eth0',
      '10.2.0.0/24 dev eth1',
      'fd01::/64 dev eth0',
      'fd02::/64 dev eth1',
      'ready: eth0 on tap0, eth1 on tap1',
    ])
    expect(world.host.holds).toBe(1) // it has nothing else that keeps the process
    for (const [to, hop] of [
      ['10.2.0.2', '10.1.0.1'],
      ['fd02::2', 'fd01::1'],
    ]) {
      const hops: TracerouteHop[] = []
      const all = async (): Promise<void> => {
        for await (const h of hosts[0].traceroute(to, { queries: 1 })) hops.push(h)
      }
      await world.settle(all())
      expect(hops.map((h) => h.answers[0].from)).toEqual([hop, to])
    }
    stop.abort()
    expect(await world.settle(done)).toBe(0)
    expect(err).toEqual([])
    expect(world.host.holds).toBe(0)
  })

  it('has default routes, and refuses a gateway that is nowhere', async () => {
    const good = lab()
    const done = good.start(`${LINE} -q -g 10.2.0.9 -g fd01::9`)
    good.stop.abort()
    expect(await good.world.settle(done)).toBe(0)
    expect(good.out).toEqual(['ready: eth0 on tap0, eth1 on tap1'])
    const bad = lab()
    expect(await bad.world.settle(bad.start(`${LINE} -g 10.9.0.1`))).toBe(2)
    expect(bad.err[0]).toMatch(/^tapstack route: --gateway 10\.9\.0\.1 is on no network of ours: 10\.1\.0\.1\/24/)
  })
})
