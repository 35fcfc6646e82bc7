import { describe, expect, it } from 'vitest'
import type { TracepathOptions, TracepathStep } from '../../src/probe/tracepath.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { type PathOptions, RoutedPath } from '../support/routed-path.ts'

const FAMILIES = [
  { name: 'IPv4', own: '10.0.0.2/24', routers: ['10.0.0.1', '10.1.0.1', '10.2.0.1'], host: '10.9.0.9', refused: [3, 13] },
  { name: 'IPv6', own: 'fd00::2/64', routers: ['fd00::1', 'fd01::1', 'fd02::1'], host: 'fd09::9', refused: [1, 1] },
] as const

type Routers = PathOptions['routers']

function setUp(
  f: (typeof FAMILIES)[number],
  options: Partial<PathOptions> = {},
): { world: World; stack: Stack; path: RoutedPath } {
  const world = createWorld()
  const stack = world.stack()
  const path = new RoutedPath({ routers: f.routers.map((address) => ({ address })), host: f.host, ...options })
  stack.attach(path, { addresses: [f.own], gateway: f.routers[0], probe: false })
  return { world, stack, path }
}

async function steps(world: World, stack: Stack, host: string, options: TracepathOptions = {}): Promise<TracepathStep[]> {
  const out: TracepathStep[] = []
  await world.settle(
    (async () => {
      for await (const step of stack.tracepath(host, options)) out.push(step)
    })(),
  )
  return out
}

const short = (all: TracepathStep[]): string[] =>
  all.map(
    (s) =>
      `${s.hop} ${s.from ?? '-'} ${s.mtu}${s.mtuChanged ? '!' : ''}${s.reached ? ' reached' : ''}${s.error ? ` ${s.error}` : ''}`,
  )

describe.each(FAMILIES)('tracepath over $name', (f) => {
  it('tells the routers and where the path narrows', async () => {
    const routers: Routers = f.routers.map((address, i) => ({ address, mtu: [1500, 1400, 1300][i] }))
    const { world, stack, path } = setUp(f, { routers })
    const [a, b, c] = f.routers
    expect(short(await steps(world, stack, f.host))).toEqual([
      '0 - 1500!',
      `1 ${a} 1500`,
      `2 ${b} 1500`,
      `3 ${b} 1400!`,
      `3 ${c} 1400`,
      `4 ${c} 1300!`,
      `4 ${f.host} 1300 reached`,
    ])
    expect(path.sent.map((p) => p.length)).toEqual([1500, 1500, 1500, 1400, 1400, 1300])
    if (f.name === 'IPv4') expect(path.sent.every((p) => (p[6] & 0x40) !== 0)).toBe(true)
    // What was learned is known from now on.
    expect(short(await steps(world, stack, f.host)).slice(0, 2)).toEqual(['0 - 1300!', `1 ${a} 1300`])
    await stack.close()
  })

  it.each([
    [64, 0],
    [128, 2],
    [255, 3],
  ])('guesses how far the way back was (hop limit %i, %i hops more)', async (answersWith, detour) => {
    const { world, stack } = setUp(f, { answersWith, detour })
    const all = await steps(world, stack, f.host)
    expect(all.slice(1).map((s) => s.back! - s.hop)).toEqual([detour, detour, detour, detour])
    await stack.close()
  })

  it('asks three times where nobody answers, then goes on', async () => {
    const { world, stack, path } = setUp(f, { routers: f.routers.map((address, i) => ({ address, silent: i === 1 })) })
    expect(short(await steps(world, stack, f.host, { timeoutMs: 100 }))).toEqual([
      '0 - 1500!',
      `1 ${f.routers[0]} 1500`,
      '2 - 1500 ETIMEDOUT',
      `3 ${f.routers[2]} 1500`,
      `4 ${f.host} 1500 reached`,
    ])
    expect(path.sent).toHaveLength(6)
    await stack.close()
  })

  it('ends where it is refused, after maxHops, and begins with the size that is asked for', async () => {
    const routers: Routers = f.routers.map((address, i) => (i === 2 ? { address, refuses: f.refused } : { address }))
    const { world, stack } = setUp(f, { routers })
    expect(short(await steps(world, stack, f.host, { size: 1290, maxHops: 3 }))).toEqual([
      '0 - 1290!',
      `1 ${f.routers[0]} 1290`,
      `2 ${f.routers[1]} 1290`,
      `3 ${f.routers[2]} 1290 ${f.name === 'IPv4' ? 'EHOSTUNREACH' : 'EACCES'}`,
    ])
    const open = setUp(f)
    expect(short(await steps(open.world, open.stack, f.host, { maxHops: 2 }))).toHaveLength(3)
    await stack.close()
    await open.stack.close()
  })

  it('a host that answers the datagram is reached as well', async () => {
    const { world, stack } = setUp(f, { open: Array.from({ length: 20 }, (_, i) => 44444 + i) })
    expect(short(await steps(world, stack, f.host)).at(-1)).toBe(`4 ${f.host} 1500 reached`)
    await stack.close()
  })

  it('a router that asks for less again and again does not keep us', async () => {
    const { world, stack } = setUp(f, { routers: [{ address: f.routers[0], mtu: 20 }] })
    const all = await steps(world, stack, f.host, { maxHops: 3, timeoutMs: 50 })
    expect(all.length).toBeLessThan(100)
    expect(all.at(-1)!.mtu).toBeGreaterThanOrEqual(f.name === 'IPv4' ? 552 : 1280)
    await stack.close()
  })
})

describe('tracepath', () => {
  it('ends with its stack and says what stands against it', async () => {
    const { world, stack } = setUp(FAMILIES[0], { routers: [{ address: '10.0.0.1', silent: true }] })
    const it = stack.tracepath('10.9.0.9')
    expect(await world.settle(it.next())).toMatchObject({ value: { hop: 0, mtu: 1500 } })
    const waiting = it.next()
    await world.settle(stack.close())
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(world.host.holds).toBe(0)
    const bare = world.stack()
    await expect(world.settle(bare.tracepath('10.9.0.9').next())).rejects.toMatchObject({ code: 'ENETUNREACH' })
    expect(() => bare.tracepath('224.0.0.1')).toThrow(expect.objectContaining({ code: 'EINVAL' }))
    expect(() => bare.tracepath('10.0.0.1', { maxHops: 999 })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    await bare.close()
  })
})
