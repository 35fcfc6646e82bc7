/** Routes and rules as the user of a stack changes them: what is refused, and which way packets then go. */
import { describe, expect, it } from 'vitest'
import { Address, address } from '../../src/base/address.ts'
import { Route } from '../../src/ip/route.ts'
import { createWorld } from '../../src/sim/world.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'

function setUp(): { me: Stack; eth0: AttachedInterface; eth1: AttachedInterface } {
  const world = createWorld()
  const [me, other] = [world.stack(), world.stack()]
  const eth0 = world.link(me, other).a
  const eth1 = world.link(me, other).a
  return { me, eth0, eth1 }
}

/** `interface next-hop source mtu`, or why not. */
function way(stack: Stack, to: string, source = '0.0.0.0', dev: AttachedInterface | null = null): string {
  const r = new Route()
  const refused = stack.ipLayer.route(address(to), address(source), dev?.iface ?? null, r)
  return refused ?? `${r.iface!.name} ${r.nextHop} ${r.source} ${r.mtu}`
}

const code = (f: () => void): string => {
  try {
    f()
    return 'nothing'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('routes', () => {
  it('are checked as ip-route(8) checks them', () => {
    const { me, eth0, eth1 } = setUp()
    expect(code(() => me.addRoute('10.5.0.0/16', '10.0.1.9', eth0))).toBe('ENETUNREACH')
    expect(code(() => me.addRoute('10.5.0.0/16', '10.77.0.1', null))).toBe('ENETUNREACH')
    expect(code(() => me.addRoute('10.5.0.0/16', '10.0.0.1', null))).toBe('ENETUNREACH') // ourselves
    expect(code(() => me.addRoute('10.5.0.0/16', 'fd00::1', eth0))).toBe('ERR_INVALID_ARG_VALUE')
    expect(code(() => me.addRoute('10.5.0.0/16', null, null))).toBe('ENODEV')
    expect(code(() => me.addRoute('10.5.0.0/16', null, eth0, { source: '10.9.9.9' }))).toBe('EINVAL')
    expect(code(() => me.addRoute('10.5.0.0/16', '10.0.0.2', null, { kind: 'blackhole' }))).toBe('ERR_INVALID_ARG_VALUE')
    expect(code(() => me.addRoute('10.5.0.0/16', null, null, { nexthops: [] }))).toBe('ERR_INVALID_ARG_VALUE')
    expect(code(() => me.addRoute('10.5.0.0/16', null, eth0, { table: 255 }))).toBe('EOPNOTSUPP')
    me.addRoute('10.5.0.0/16', '10.0.1.2', null)
    expect(way(me, '10.5.1.1')).toBe('eth1 10.0.1.2 10.0.1.1 1500')
    expect(code(() => me.addRoute('10.5.0.0/16', '10.0.0.2', null))).toBe('EEXIST')
    expect(code(() => me.addRoute('10.6.0.0/16', '10.0.0.2', null, { mode: 'change' }))).toBe('ENOENT')
    me.addRoute('10.5.0.0/16', '10.0.0.2', null, { mode: 'replace', mtu: 1400, source: '10.0.1.1' })
    expect(way(me, '10.5.1.1')).toBe('eth0 10.0.0.2 10.0.1.1 1400')
    me.addRoute('10.5.0.0/16', '10.0.1.2', eth1, { mode: 'append' })
    expect(code(() => me.removeRoute('10.5.0.0/16', { gateway: '10.0.0.7' }))).toBe('ESRCH')
    me.removeRoute('10.5.0.0/16', { gateway: '10.0.0.2' })
    expect(way(me, '10.5.1.1')).toBe('eth1 10.0.1.2 10.0.1.1 1500')
    me.removeRoute('10.5.0.0/16', { interface: eth1 })
    expect(code(() => me.removeRoute('10.5.0.0/16'))).toBe('ESRCH')
    expect(way(me, '10.5.1.1')).toBe('ENETUNREACH')
  })

  it('may have a gateway behind a host route, or one that must be believed', () => {
    const { me, eth0 } = setUp()
    expect(code(() => me.addRoute('10.5.0.0/16', '172.16.0.1', eth0))).toBe('ENETUNREACH')
    me.addRoute('10.5.0.0/16', '172.16.0.1', eth0, { onlink: true })
    me.addRoute('172.16.9.1/32', null, eth0)
    me.addRoute('10.6.0.0/16', '172.16.9.1', null)
    expect(way(me, '10.6.1.1')).toBe('eth0 172.16.9.1 10.0.0.1 1500')
  })

  it('that refuse say so, over any interface, before a shorter prefix is asked', () => {
    const { me, eth0 } = setUp()
    me.addRoute('0.0.0.0/0', '10.0.0.2', null)
    for (const [kind, to] of [
      ['blackhole', '10.7.1.0/24'],
      ['unreachable', '10.7.2.0/24'],
      ['prohibit', '10.7.3.0/24'],
      ['throw', '10.7.4.0/24'],
    ] as const) {
      me.addRoute(to, null, null, { kind })
    }
    expect(['10.7.1.1', '10.7.2.1', '10.7.3.1', '10.7.4.1'].map((a) => way(me, a))).toEqual([
      'EINVAL',
      'EHOSTUNREACH',
      'EACCES',
      'ENETUNREACH',
    ])
    expect(way(me, '10.7.2.1', '0.0.0.0', eth0)).toBe('EHOSTUNREACH')
    expect(me.routes.find((r) => r.destination === '10.7.3.0/24')).toMatchObject({
      kind: 'prohibit',
      interface: 'lo',
      gateway: null,
    })
    me.removeRoute('10.7.3.0/24', { kind: 'prohibit' })
    expect(way(me, '10.7.3.1')).toMatch(/^eth0 10\.0\.0\.2/)
  })

  it('with several next hops divide destinations, lose hops with their interfaces, and are listed', async () => {
    const { me, eth0, eth1 } = setUp()
    me.addRoute('0.0.0.0/0', null, null, { nexthops: [{ gateway: '10.0.0.2' }, { gateway: '10.0.1.2', weight: 2 }] })
    const ways = (): Set<string> =>
      new Set(Array.from({ length: 64 }, (_, i) => way(me, `${Address.v4(0x14000000 + i)}`).slice(0, 13)))
    expect(ways()).toEqual(new Set(['eth0 10.0.0.2', 'eth1 10.0.1.2']))
    // A flow keeps its way once its source is known.
    for (let i = 0; i < 64; i++) {
      const free = way(me, `20.0.0.${i}`)
      expect(way(me, `20.0.0.${i}`, free.split(' ')[2])).toBe(free)
    }
    eth0.setUp(false)
    expect(ways()).toEqual(new Set(['eth1 10.0.1.2']))
    eth0.setUp(true)
    expect(ways().size).toBe(2)
    expect(me.routes.at(-1)!.nexthops).toEqual([
      { gateway: '10.0.0.2', interface: 'eth0', weight: 1 },
      { gateway: '10.0.1.2', interface: 'eth1', weight: 2 },
    ])
    await eth0.detach()
    expect(ways()).toEqual(new Set(['eth1 10.0.1.2']))
    await eth1.detach()
    expect(me.routes.map((r) => r.destination)).toEqual(['127.0.0.0/8'])
  })

  it('of IPv6 take link-local gateways with their zone', () => {
    const { me, eth0 } = setUp()
    expect(code(() => me.addRoute('::/0', 'fe80::1', null))).toBe('ENETUNREACH')
    me.addRoute('::/0', 'fe80::1', eth0)
    me.addRoute('fd01::/16', 'fe80::2%eth1', null)
    expect(
      me.routes.filter((r) => r.gateway?.startsWith('fe80')).map((r) => `${r.destination} ${r.gateway} ${r.interface}`),
    ).toEqual(['fd01::/16 fe80::2%eth1 eth1', '::/0 fe80::1%eth0 eth0'])
    me.removeRoute('::/0', { gateway: 'fe80::1' })
    expect(me.routes.filter((r) => r.destination === '::/0')).toEqual([])
  })
})

describe('rules', () => {
  it('are free until there is one, and listed as ip-rule(8) lists them', () => {
    const { me } = setUp()
    expect(me.ipLayer.rules).toBeNull()
    expect(me.rules.filter((r) => r.family === 4).map((r) => [r.priority, r.table])).toEqual([
      [0, 255],
      [32766, 254],
      [32767, 253],
    ])
    me.addRule({ from: '10.0.1.0/24', table: 100 })
    me.addRule({ to: '10.9.0.0/16', action: 'prohibit' })
    expect(me.rules.filter((r) => r.family === 4).map((r) => r.priority)).toEqual([0, 32764, 32765, 32766, 32767])
    expect(code(() => me.addRule({ from: '10.0.1.0/24', table: 100, priority: 32765 }))).toBe('EEXIST')
    expect(code(() => me.removeRule({ from: '10.0.2.0/24' }))).toBe('ENOENT')
    expect(code(() => me.removeRule({ priority: 0 }))).toBe('EOPNOTSUPP')
    me.removeRule({ from: '10.0.1.0/24' })
    me.removeRule({ to: '10.9.0.0/16', action: 'prohibit' })
    expect(me.ipLayer.rules).toBeNull()
  })

  it('choose the table by source, destination and who sends', () => {
    const { me, eth0 } = setUp()
    me.addRoute('0.0.0.0/0', '10.0.0.2', null)
    me.addRoute('0.0.0.0/0', '10.0.1.2', null, { table: 100 })
    me.addRoute('10.8.0.0/16', null, null, { kind: 'throw', table: 100 })
    me.addRule({ from: '10.0.1.0/24', table: 100 })
    me.addRule({ to: '10.9.0.0/16', action: 'prohibit' })
    me.addRule({ to: '10.10.0.0/16', iif: 'eth0', action: 'blackhole' })
    me.addRule({ to: '10.11.0.0/16', iif: 'lo', action: 'unreachable' })
    expect(way(me, '1.1.1.1')).toBe('eth0 10.0.0.2 10.0.0.1 1500')
    expect(way(me, '1.1.1.1', '10.0.1.1')).toBe('eth1 10.0.1.2 10.0.1.1 1500')
    expect(way(me, '10.8.1.1', '10.0.1.1')).toBe('eth0 10.0.0.2 10.0.1.1 1500')
    expect(way(me, '10.9.1.1')).toBe('EACCES')
    expect(way(me, '10.10.1.1')).toMatch(/^eth0/)
    expect(me.ipLayer.lookup(address('10.10.1.1'), address('10.0.0.9'), eth0.iface, null)!.kind).toBe('blackhole')
    expect(way(me, '10.11.1.1')).toBe('EHOSTUNREACH')
    expect(me.routesOf(100).map((r) => r.destination)).toEqual(['10.8.0.0/16', '0.0.0.0/0'])
    // The source that the main table chose is one that a rule sends elsewhere.
    me.addRule({ from: '10.0.0.1/32', table: 100 })
    expect(way(me, '1.1.1.1')).toBe('eth1 10.0.1.2 10.0.0.1 1500')
  })

  it('routes of other tables go with their interface', async () => {
    const { me, eth1 } = setUp()
    me.addRoute('0.0.0.0/0', '10.0.1.2', null, { table: 100 })
    await eth1.detach()
    expect(me.routesOf(100)).toEqual([])
  })
})
