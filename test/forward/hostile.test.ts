/** Mutated packets through a router, with offload and without: nothing throws, nothing grows, and honest packets get through afterwards. */
import { expect, it } from 'vitest'
import { randomBelow, SeededRandom } from '../../src/base/random.ts'
import { CSUM_PARTIAL, frameMeta, GSO_TCP4, GSO_TCP6, GSO_UDP } from '../../src/netif/netif.ts'
import { noise, tcpFrame, udpFrame } from '../support/frames.ts'
import { FAR, NEAR, Router } from '../support/router.ts'

const FRAMES = 6000

/** The checksum of an IPv4 header made right, so that mutations get further. */
function repair(bytes: Uint8Array): void {
  const header = (bytes[14] & 15) * 4
  if (bytes[14] >> 4 !== 4 || header < 20 || 14 + header > bytes.length) return
  bytes.fill(0, 24, 26)
  let sum = 0
  for (let i = 14; i < 14 + header; i += 2) sum += bytes[i] * 256 + bytes[i + 1]
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  bytes[24] = (~sum >> 8) & 255
  bytes[25] = ~sum & 255
}

it.each([
  ['takes super-segments', true, 1500],
  ['is a wire, and narrow', false, 1280],
])('the far link %s', (_, offload, mtu) => {
  const random = new SeededRandom(offload ? 5 : 6)
  const router = new Router({ far: { offload, mtu, queueFrames: 64 }, config: { forward: { reversePath: 'loose' } } })
  const templates = ([4, 6] as const).flatMap((family) => [
    udpFrame({ from: NEAR, to: FAR, family, payload: noise(40, 1), fragment: 0 }).bytes,
    udpFrame({ from: NEAR, to: FAR, family, payload: noise(1400, 2), fragment: 0 }).bytes,
    tcpFrame({ from: NEAR, to: FAR, family, payload: noise(3000, 3) }).bytes,
    udpFrame({ from: NEAR, to: FAR, family, ipOptions: family === 4 ? [7, 7, 4, 0, 0, 0, 0, 0] : [17, 0, 1, 4, 0, 0, 0, 0] })
      .bytes,
  ])
  const metas = [
    0,
    CSUM_PARTIAL,
    frameMeta(CSUM_PARTIAL, GSO_TCP4, 1000),
    frameMeta(CSUM_PARTIAL, GSO_TCP6, 1),
    frameMeta(CSUM_PARTIAL, GSO_UDP, 500),
  ]
  let came = 0
  for (let i = 0; i < FRAMES; i++) {
    const bytes = templates[randomBelow(random, templates.length)].slice()
    for (let n = randomBelow(random, 4); n > 0; n--)
      bytes[14 + randomBelow(random, Math.min(60, bytes.length - 14))] = randomBelow(random, 256)
    repair(bytes)
    const length = randomBelow(random, 10) === 0 ? 14 + randomBelow(random, bytes.length - 14) : bytes.length
    router.arrive(bytes.slice(0, Math.max(15, length)), metas[randomBelow(random, metas.length)])
    if (i % 32 === 0) came += router.left(1).length
    if (i % 500 === 0) router.host.advance(100)
  }
  expect(came).toBeGreaterThan(FRAMES / 20)
  expect(router.complaints).toEqual([])
  expect(router.stack.ipLayer.routes.entries.length).toBeLessThanOrEqual(16)
  // What went through afterwards goes as before.
  router.left(1)
  router.host.advance(10_000)
  router.left(1)
  for (const family of [4, 6] as const) {
    router.arrive(udpFrame({ from: NEAR, to: FAR, family, payload: noise(100, 9) }).bytes)
    expect(router.left(1).map((p) => p.packet)).toEqual([
      udpFrame({ from: NEAR, to: FAR, family, payload: noise(100, 9), ttl: 63 }).bytes.slice(14),
    ])
  }
})
