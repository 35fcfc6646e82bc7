/** Rules: what they match, what they decide, and what becomes of a packet that is refused. */
import { describe, expect, it } from 'vitest'
import type { Match } from '../../src/filter/match.ts'
import type { HookName, Verdict } from '../../src/filter/rule.ts'
import { echoServer, exchange, FAMILIES, filterWorld, hear, udpPeer } from '../support/filter-world.ts'
import { packetOf, udpOf } from '../support/ip-world.ts'

const a = FAMILIES[4]

describe('a stack without rules', () => {
  it('has no hooks, and none again when the last rule is gone', async () => {
    const w = filterWorld()
    const { ipLayer: ip, filter } = w.router
    expect(ip.hooks).toBe(null)
    const rule = filter.add('input', { protocol: 'tcp' }, 'accept')
    expect(ip.hooks).not.toBe(null)
    expect([rule.remove(), rule.remove()]).toEqual([true, false])
    expect(ip.hooks).toBe(null)
    filter.policy('forward', 'drop')
    expect(ip.hooks).not.toBe(null)
    filter.policy('forward', 'accept')
    expect(ip.hooks).toBe(null)
    filter.tracking = true
    expect(ip.hooks).not.toBe(null)
    filter.clear()
    expect([ip.hooks, filter.tracking]).toEqual([null, false])
    await w.world.close()
  })
})

describe('conditions', () => {
  // One datagram from 10.0.0.2:5000 to 192.0.2.2:53, DSCP 46, TTL 9, 32 bytes.
  const cases: [string, Match, boolean][] = [
    ['nothing', {}, true],
    ['family 4', { family: 4 }, true],
    ['family 6', { family: 6 }, false],
    ['a protocol', { protocol: 'udp' }, true],
    ['another', { protocol: 'tcp' }, false],
    ['one of two', { protocol: ['tcp', 17] }, true],
    ['an address', { source: '10.0.0.2' }, true],
    ['a prefix', { source: '10.0.0.0/8' }, true],
    ['another prefix', { source: '10.0.1.0/24' }, false],
    ['all prefixes of IPv6', { source: '::/0' }, false],
    ['a prefix with an exception', { source: ['10.0.0.0/8', '!10.0.0.2'] }, false],
    ['all but', { source: '!10.1.0.0/16' }, true],
    ['a range', { destination: '192.0.2.1-192.0.2.5' }, true],
    ['a range that ends before', { destination: '192.0.2.3-192.0.2.5' }, false],
    ['a port', { destinationPort: 53 }, true],
    ['a range of ports', { sourcePort: ['1-100', '4999-5000'] }, true],
    ['no such port', { sourcePort: '!5000' }, false],
    ['an interface', { in: 'eth0', out: 'eth1' }, true],
    ['all of a kind', { in: 'eth*' }, true],
    ['all but one', { in: '!eth0' }, false],
    ['another', { out: 'eth0' }, false],
    ['flags of TCP', { tcpFlags: ['syn'] }, false],
    ['a type of ICMP', { icmpType: 8 }, false],
    ['a TTL', { ttl: '5-9' }, true],
    ['a DSCP', { dscp: 46 }, true],
    ['another DSCP', { dscp: [0, 10] }, false],
    ['a length', { length: '32' }, true],
    ['longer ones', { length: '33-65535' }, false],
    ['a state', { state: 'new' }, true],
    ['other states', { state: ['established', 'related'] }, false],
    ['a mark', { mark: 0 }, true],
    ['another mark', { mark: 7 }, false],
    ['translation', { nat: 'source' }, false],
    ['a function', { when: (p) => p.source === '10.0.0.2' && p.destinationPort === 53 && p.payload().length === 12 }, true],
    ['a function that says no', { when: (p) => p.ttl > 100 }, false],
  ]

  it.each(cases)('%s', async (_, match, expected) => {
    const w = filterWorld()
    const rule = w.router.filter.add('forward', match, 'continue')
    const server = udpPeer(w.outside, 53)
    const udp = udpOf('10.0.0.2', '192.0.2.2', 5000, 53, new Uint8Array(4))
    hear(w.router, w.eth0, packetOf({ source: '10.0.0.2', destination: '192.0.2.2', protocol: 17, tos: 46 << 2, ttl: 9 }, udp))
    w.world.run(1)
    expect([rule.packets, rule.bytes]).toEqual(expected ? [1, 32] : [0, 0])
    expect(server.heard).toHaveLength(1)
    await w.world.close()
  })

  it.each<[Match, string]>([
    [{ source: '10.0.0.300' }, 'Invalid IP address'],
    [{ source: '10.0.0.9-10.0.0.1' }, 'no range'],
    [{ destinationPort: 70000 }, '65535'],
    [{ destinationPort: '9-1' }, 'destinationPort'],
    [{ protocol: 'ipx' as 'tcp' }, 'ipx'],
    [{ tcpFlags: ['sin'] }, 'sin'],
    [{ state: 'old' as 'new' }, 'old'],
    [{ family: 5 as 4 }, 'family'],
    [{ sorce: '10.0.0.1' } as Match, 'sorce'],
  ])('%j is refused', (match, words) => {
    const w = filterWorld()
    expect(() => w.router.filter.add('input', match, 'drop')).toThrow(words)
    expect(w.router.ipLayer.hooks).toBe(null)
  })

  it('verdicts and hooks that are none are refused', () => {
    const { filter } = filterWorld().router
    expect(() => filter.add('input', {}, 'perhaps' as Verdict)).toThrow('perhaps')
    expect(() => filter.add('middle' as HookName, {}, 'drop')).toThrow('middle')
    expect(() => filter.add('prerouting', {}, 'reject')).toThrow('prerouting')
    expect(() => filter.policy('postrouting', 'reject')).toThrow('postrouting')
  })
})

describe('verdicts', () => {
  it('rules are asked by priority, then by age; the first that decides does; then the policy', async () => {
    const w = filterWorld()
    const { filter } = w.router
    const asked: string[] = []
    const say = (name: string, verdict: Verdict) => () => {
      asked.push(name)
      return verdict
    }
    filter.add('input', { protocol: 'udp' }, say('third', 'accept'), { priority: 5 })
    filter.add('input', { protocol: 'udp' }, say('first', 'continue'), { priority: -1 })
    filter.add('input', { protocol: 'udp' }, say('second', { mark: 4 }))
    filter.add('input', { protocol: 'udp', mark: 4 }, say('never', 'drop'), { priority: 9 })
    filter.policy('input', 'drop')
    const server = udpPeer(w.router, 53)
    udpPeer(w.inside, 5000).send(a.near, 53, 1)
    w.world.run(1)
    expect(asked).toEqual(['first', 'second', 'third'])
    expect(server.heard).toHaveLength(1)
    expect(filter.rules('input').map((r) => [r.priority, r.packets])).toEqual([
      [-1, 1],
      [0, 1],
      [5, 1],
      [9, 0],
    ])
    await w.world.close()
  })

  it('a function that throws decides nothing, and is reported', async () => {
    const w = filterWorld()
    w.router.filter.add('input', { protocol: 'udp' }, () => {
      throw new Error('oops')
    })
    const server = udpPeer(w.router, 53)
    udpPeer(w.inside, 5000).send(a.near, 53, 1)
    expect(() => w.world.run(1)).toThrow('oops')
    w.world.run(1)
    expect(server.heard).toHaveLength(1)
    expect(w.router.filter.counters.snapshot(true)).toEqual({ userErrors: 1 })
    await w.world.close()
  })

  it.each<[HookName, string]>([
    ['prerouting', 'preroutingDropped'],
    ['forward', 'forwardDropped'],
    ['postrouting', 'postroutingDropped'],
  ])('drop in %s', async (hook, counter) => {
    const w = filterWorld()
    w.router.filter.add(hook, { protocol: 'udp' }, 'drop')
    const server = udpPeer(w.outside, 53)
    udpPeer(w.inside, 5000).send(a.outside, 53, 1)
    w.world.run(1)
    expect(server.heard).toEqual([])
    expect(w.router.filter.counters.snapshot(true)).toEqual({ [counter]: 1 })
    await w.world.close()
  })

  it('only answers come in: the usual firewall', async () => {
    const w = filterWorld()
    const { filter } = w.router
    filter.policy('input', 'drop')
    filter.add('input', { state: ['established', 'related'] }, 'accept')
    echoServer(w.outside, 7)
    echoServer(w.router, 7)
    const [out, into] = [exchange(w.router, a.outside, 7, 1000), exchange(w.outside, a.far, 7, 1000)]
    w.world.run(500)
    expect([out.got, into.got]).toEqual([1000, 0])
    // What was dropped has left no connection.
    expect(filter.connections()).toHaveLength(1)
    await w.world.close()
  })
})

describe.each([4, 6] as const)('reject, IPv%i', (family) => {
  const { near, outside, far } = FAMILIES[family]

  it.each<[HookName, string]>([
    ['input', far],
    ['forward', outside],
  ])('TCP gets a reset in %s', async (hook, to) => {
    const w = filterWorld()
    w.router.filter.add(hook, { protocol: 'tcp' }, 'reject')
    const result = exchange(w.inside, to, 7)
    w.world.run(100)
    expect(result.error).toBe('ECONNREFUSED')
    await w.world.close()
  })

  it('what we send ourselves is refused to ourselves', async () => {
    const w = filterWorld()
    w.router.filter.add('output', { protocol: ['tcp', 'udp'], destinationPort: 7 }, 'reject')
    const result = exchange(w.router, outside, 7)
    const client = udpPeer(w.router, 5000, outside, 7)
    client.send(null, 0, 1)
    w.world.run(100)
    expect(result.error).toBe('ECONNREFUSED')
    expect(client.errors).toEqual(['ECONNREFUSED'])
    await w.world.close()
  })

  it('others get "port unreachable", or what was asked for', async () => {
    const w = filterWorld()
    w.router.filter.add('input', { protocol: 'udp', destinationPort: 53 }, 'reject')
    w.router.filter.add('forward', { protocol: 'udp' }, { reject: 'prohibited' })
    const [direct, through] = [udpPeer(w.inside, 5000, near, 53), udpPeer(w.inside, 5001, outside, 53)]
    direct.send(null, 0, 1)
    through.send(null, 0, 1)
    w.world.run(10)
    expect(direct.errors).toEqual(['ECONNREFUSED'])
    expect(through.errors).toHaveLength(1)
    expect(w.router.filter.counters.snapshot(true)).toMatchObject({ rejected: 2, inputDropped: 1, forwardDropped: 1 })
    await w.world.close()
  })

  it('with translation an answer looks as if it came from where it was asked', async () => {
    const w = filterWorld()
    w.router.filter.dnat({ in: 'eth1', protocol: 'tcp', destinationPort: 80, to: FAMILIES[family].inside })
    w.router.filter.add('forward', { protocol: 'tcp' }, 'reject')
    const result = exchange(w.outside, far, 80)
    w.world.run(100)
    expect(result.error).toBe('ECONNREFUSED')
    expect(w.router.filter.connections()).toEqual([])
    await w.world.close()
  })
})
