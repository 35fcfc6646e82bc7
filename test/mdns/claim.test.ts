import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Stack } from '../../src/stack/stack.ts'
import { a, aaaa, record } from '../support/dns-server.ts'
import { counts, flushed, MdnsWorld, type Peer } from '../support/mdns-world.ts'

let w: MdnsWorld
let peer: Peer

beforeEach(() => {
  w = new MdnsWorld()
  peer = w.peer()
})

afterEach(() => w.close())

const PROBE = '? ANY web.local QU | A web.local 10.0.0.2 120'
const ANNOUNCEMENT = '! A web.local 10.0.0.2 120*, PTR 2.0.0.10.in-addr.arpa web.local. 120*'

function web(): Stack {
  return w.stack(['10.0.0.2/24'], { host: 'web', ipv6: false })
}

describe('probing and announcing (section 8)', () => {
  it('three probes 250 ms apart, two announcements a second apart, all with TTL 255', () => {
    web()
    w.run(10_000)
    const { heard } = peer
    expect(heard.map((h) => h.words)).toEqual([PROBE, PROBE, PROBE, ANNOUNCEMENT, ANNOUNCEMENT])
    expect(heard[0].at).toBeLessThanOrEqual(250)
    expect(heard.slice(1).map((h, i) => h.at - heard[i].at)).toEqual([250, 250, 250, 1000])
    expect(heard.every((h) => h.ttl === 255 && h.port === 5353 && h.to === '224.0.0.251' && h.m.id === 0)).toBe(true)
    expect(heard.slice(3).every((h) => h.m.authoritative && h.m.questions.length === 0)).toBe(true)
  })
})
