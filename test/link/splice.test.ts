import { describe, expect, it } from 'vitest'
import { createPipe, type PipeOptions } from '../../src/link/pipe.ts'
import { splice } from '../../src/link/splice.ts'
import type { NetIf, NetIfSink } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame, tcpFrame } from '../support/frames.ts'
import { Ear } from '../support/mux-world.ts'
import { netifConformance } from '../support/netif-conformance.ts'

/** Two pipes, spliced in the middle; `left` and `right` are the outer ends. */
function spliced(one: PipeOptions = {}, other: PipeOptions = {}) {
  const host = new VirtualHost()
  const [left, a] = createPipe({ names: ['left', 'a'], ...one })
  const [b, right] = createPipe({ names: ['b', 'right'], ...other })
  const ended: string[] = []
  const joint = splice(a, b, host, { onClosed: (link, error) => ended.push(`${link.name} ${error?.message}`) })
  return { host, left, right, a, b, joint, ended }
}

for (const [what, one, other] of [
  ['two pipes', {}, {}],
  ['a pipe with offload and one without', {}, { offload: false }],
  ['pipes of IP packets', { medium: 'ip' }, { medium: 'ip' }],
] as const) {
  netifConformance(`a splice of ${what}`, () => {
    const { host, left, right, joint } = spliced(one, other)
    // A place is in the near pipe, which is emptied by the splice and not by the far receiver: no matter of this suite.
    return {
      a: Object.assign(left, { place: undefined }),
      b: right,
      host,
      settle: () => void host.run(),
      close: () => joint.close(),
    }
  })
}

describe('splice', () => {
  it('splits for the side that cannot', () => {
    const { host, left, right, joint } = spliced({}, { offload: false })
    const [from, to] = [new Ear(left, host), new Ear(right, host)]
    const big = tcpFrame({ payload: new Uint8Array(5000), gso: 1460 })
    from.send(big.bytes, big.meta)
    host.run()
    expect(to.heard()).toEqual([1514, 1514, 1514, 674])
    expect(joint.counters()['a>b']).toEqual({ frames: 1, octets: 5054, held: 0 })
  })

  it('holds one batch at most for a side that is full, and then the sender', () => {
    const { host, left, right, joint } = spliced({ queueFrames: 100 }, { queueFrames: 10 })
    const [from, to] = [new Ear(left, host), new Ear(right, host)]
    let sent = 0
    const more = (): void => {
      while (from.send(plainFrame('ethernet', 60 + (sent % 100), sent))) sent++
      host.run()
    }
    for (let round = 0; round < 5; round++) more()
    expect(sent).toBe(100 + 64) // 10 beyond, 54 held of the batch that met the wall, 100 in the first pipe
    expect(joint.counters()['a>b']).toMatchObject({ frames: 64, held: 54 })
    const got: number[] = []
    for (let round = 0; round < 40; round++) {
      got.push(...to.heard())
      host.run()
    }
    expect(got).toEqual(Array.from({ length: sent }, (_, i) => 60 + (i % 100)))
    expect(from.sink.writables).toBeGreaterThan(0)
  })

  it('ends with either of its links', () => {
    const ends: NetIfSink[] = []
    const host = new VirtualHost()
    const dying = (): NetIf => Object.assign(createPipe()[0], { attach: (sink: NetIfSink) => void ends.push(sink) })
    const [left, a] = createPipe({ names: ['left', 'a'] })
    const ear = new Ear(left, host)
    const ended: string[] = []
    splice(a, dying(), host, { onClosed: (link, error) => ended.push(`${link.name}: ${error?.message}`) })
    ends[0].closed(new Error('cut'))
    ends[0].closed(new Error('again'))
    expect(ended).toEqual(['pipe.a: cut'])
    ear.send(plainFrame('ethernet', 60, 1))
    expect(left.counters?.()).toMatchObject({ dropNoPeer: 1 }) // `a` was closed
  })

  it('closes both', async () => {
    const { host, left, right, joint, ended } = spliced()
    const ears = [new Ear(left, host), new Ear(right, host)]
    await joint.close()
    for (const ear of ears) ear.send(plainFrame('ethernet', 60, 1))
    expect(ears.map((ear) => ear.link.counters?.().dropNoPeer)).toEqual([1, 1])
    expect(ended).toEqual([])
  })

  it('does not join Ethernet with bare IP', () => {
    expect(() => splice(createPipe()[0], createPipe({ medium: 'ip' })[0], new VirtualHost())).toThrow(/only a router/)
  })
})
