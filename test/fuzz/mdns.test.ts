/** Whatever arrives at port 5353: nothing throws or hangs, what is remembered and what is said in answer has an end, and names of ours are kept. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeMessage, type Message } from '../../src/dns/message.ts'
import { anyMessage } from '../support/dns-arbitrary.ts'
import { counts, MdnsWorld } from '../support/mdns-world.ts'
import { runs } from '../support/runs.ts'

const NAMES = ['web.local', 'Site._http._tcp.local', '_http._tcp.local', 'x.local', '_services._dns-sd._udp.local']

/** A message at random, about names that matter. */
const message: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    anyMessage,
    fc.infiniteStream(fc.constantFrom(...NAMES)),
    fc.boolean(),
    fc.infiniteStream(fc.constantFrom(1, 0x8001, 255)),
  )
  .map(([m, names, isResponse, classes]) => {
    const named = <T extends { name: string; class: number }>(list: T[]): T[] =>
      list.map((one) => ({ ...one, name: names.next().value as string, class: classes.next().value as number }))
    const about: Message = { ...m, isResponse, opcode: 0, rcode: 0, edns: null }
    for (const section of ['questions', 'answers', 'authorities', 'additionals'] as const)
      about[section] = named(m[section] as never)
    return encodeMessage(about)
  })

const mutated = fc
  .tuple(message, fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 6 }), fc.nat(2000))
  .map(([bytes, changes, cut]) => {
    const out = bytes.slice(0, cut > bytes.length ? bytes.length : cut)
    for (const [at, value] of changes) if (at < out.length) out[at] = value
    return out
  })

it('says no more than it hears, remembers no more than it may, and throws nothing', { timeout: 30_000 }, async () => {
  const w = new MdnsWorld()
  const peer = w.peer()
  const stack = w.stack(['10.0.0.2/24'], { host: 'web', ipv6: false, cacheEntries: 50 })
  stack.mdns.publish({ name: 'Site', type: '_http._tcp', port: 80 })
  const browser = stack.mdns.browse('_http._tcp')
  w.run(3000)
  fc.assert(
    fc.property(fc.array(fc.oneof(message, mutated), { minLength: 1, maxLength: 8 }), fc.nat(2500), (all, ms) => {
      for (const bytes of all) peer.say(bytes)
      w.run(ms)
    }),
    { numRuns: runs(50) },
  )
  const c = counts(stack)
  const inputs = (c.inQueries ?? 0) + (c.inResponses ?? 0) + (c.dropBad ?? 0) + (c.dropIgnored ?? 0)
  expect(c.inResponses).toBeGreaterThan(5)
  expect(c.inQueries).toBeGreaterThan(5)
  // Counters that are zero are not shown.
  expect((c.outResponses ?? 0) + (c.outUnicast ?? 0) + (c.outQueries ?? 0)).toBeLessThan(inputs * 4)
  expect(browser.services.length).toBeLessThan(50)
  w.run(30_000)
  expect(stack.mdns.hostname).toMatch(/^web(-\d+)?\.local$/)
  expect((await w.settle(stack.mdns.resolve('none', '_http._tcp')).catch((e) => e)).code).toBe('ENOTFOUND')
  await w.close()
  // With all of it gone nothing waits for anything.
  expect(stack.timers.size).toBe(0)
})
