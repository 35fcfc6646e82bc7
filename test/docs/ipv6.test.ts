/** What docs/ipv6.md shows does what it says. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { defaults } from '../../src/base/config.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'

const text = readFileSync(new URL('../../docs/ipv6.md', import.meta.url), 'utf8')
const [host, , , gateway] = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map((m) => m[1])

/** A snippet as a function that gives a promise of one of its names. */
function play(snippet: string, names: readonly string[], result: string, values: readonly unknown[]): Promise<unknown> {
  return new Function(...names, `return (async () => { ${snippet}\nreturn ${result} })()`)(...values)
}

it('an interface has the addresses that are shown', async () => {
  const world = createWorld()
  const stack = world.stack()
  const attach = stack.attach.bind(stack)
  stack.attach = (link, options) => attach(link, { ...options, mac: '02:00:00:00:00:02' })
  const shown = await world.settle(play(host, ['stack', 'link'], 'eth0.addresses', [stack, createPipe()[0]]))
  expect(host).toContain(`// ['${(shown as string[]).join("', '")}']`)
  await world.close()
})

it('the router has its hosts configure themselves, and translates for them', async () => {
  const world = createWorld()
  const outside = world.stack({ name: 'outside' })
  const inside = world.stack({ name: 'inside' })
  const [[lanLink, lanFar], [wanLink, wanFar]] = [createPipe(), createPipe()]
  outside.attach(wanFar, { addresses: ['192.0.2.1/24'] })
  const make = (options: object): unknown => world.stack(options)
  const names = ['createStack', 'lanLink', 'wanLink']
  await world.settle(play(gateway, names, 'Promise.all([lan.ready, wan.ready])', [make, lanLink, wanLink]))
  const eth0 = inside.attach(lanFar, { slaac: true, addresses: ['10.1.0.9/24'], gateway: '10.1.0.1' })
  await world.settle(eth0.ready)
  expect(eth0.addresses.filter((a) => a.startsWith('fd01:'))).toHaveLength(1)
  expect(eth0.nameservers).toEqual(['fd01::1'])
  const replies = inside.ping('192.0.2.1', { count: 1 })
  expect((await world.settle(replies.next())).value).toMatchObject({ from: '192.0.2.1', ttl: 63 })
  await world.close()
})

it('names the options of IPv6 as they are', () => {
  const { ipv6, nd } = defaults()
  const rows = text.split('\n').filter((line) => /^\| `(ipv6|nd)\./.test(line))
  const named = rows.flatMap((line) => [...line.split('|')[1].matchAll(/`(?:ipv6\.|nd\.)?(\w+)`/g)].map((m) => m[1]))
  expect(named.filter((name) => !(name in ipv6) && !(name in nd))).toEqual([])
  expect(Object.keys(ipv6).filter((name) => !named.includes(name))).toEqual([])
})
