/** Address translation between an inside and an outside, in both families: RFC 4787, 5382, 5508 as far as they are about addresses and ports. */
import { describe, expect, it } from 'vitest'
import { checksumFault, echoServer, exchange, FAMILIES, filterWorld } from '../support/filter-world.ts'

const both = [4] as const

describe.each(both)('masquerade, IPv%i', (family) => {
  const a = FAMILIES[family]

  it.each([
    ['with offloads', undefined],
    ['with checksums', false],
  ] as const)('TCP goes out by the address of the router, %s', async (_, offload) => {
    const { world, inside, router, outside, seen } = filterWorld({}, offload === undefined ? {} : { offload })
    router.filter.masquerade({ out: 'eth1' })
    const peers = echoServer(outside, 7)
    const result = exchange(inside, a.outside, 7, 50_000)
    world.run(2000)
    expect(result.got).toBe(50_000)
    expect(peers.map((p) => p.split(' ')[0])).toEqual([a.far])
    expect(seen.map(checksumFault).filter((f) => f !== '')).toEqual([])
    const [c] = router.filter.connections()
    expect(c).toMatchObject({ protocol: 'tcp', tcpState: 'ESTABLISHED', replied: true, assured: true })
    expect(c.original).toMatchObject({ source: a.inside, destination: a.outside, destinationPort: 7 })
    // The port was free: it is kept.
    expect(c.reply).toMatchObject({ source: a.outside, destination: a.far, destinationPort: c.original.sourcePort })
    await world.close()
  })
})
