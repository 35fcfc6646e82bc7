/** Links refuse numbers that would be no limits, before anything is open. */
import { describe, expect, it } from 'vitest'
import { guestServer } from '../../src/backend/guest-server.ts'
import { openPacket } from '../../src/backend/packet.ts'
import { openTunnel } from '../../src/backend/tunnel.ts'
import { openUdpLink } from '../../src/backend/udp-link.ts'
import { openVxlan } from '../../src/backend/vxlan.ts'
import { openVxvde } from '../../src/backend/vxvde.ts'

const HERE = '127.0.0.1'
const place = { host: HERE, port: 0 }

describe.each([Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY, 2 ** 40, '7' as unknown as number])('%d is refused', (bad) => {
  it.each<[string, () => Promise<unknown>]>([
    ['as the port of a UDP link', () => openUdpLink({ port: bad, host: HERE, peerPort: 5 })],
    ['as the other port of a UDP link', () => openUdpLink({ port: 0, host: HERE, peerPort: bad })],
    ['as the port of a VXLAN', () => openVxlan({ vni: 1, remotes: [HERE], port: bad })],
    ['as the hops of a VXLAN', () => openVxlan({ vni: 1, remotes: [HERE], ttl: bad })],
    ['as the number of a VXLAN', () => openVxlan({ vni: bad, remotes: [HERE] })],
    ['as the port of a vxvde', () => openVxvde({ port: bad })],
    ['as the number of a vxvde', () => openVxvde({ vni: bad })],
    ['as the hops of a vxvde', () => openVxvde({ ttl: bad })],
    ['as the table of a vxvde', () => openVxvde({ hashSize: bad })],
    ['as the memory of a vxvde', () => openVxvde({ expireSeconds: bad })],
    ['as the buffer of a vxvde', () => openVxvde({ receiveBufferBytes: bad })],
    ['as the buffer of a packet socket', () => openPacket({ name: 'lo', receiveBufferBytes: bad })],
    ['as the keep-alive of a tunnel', () => openTunnel({ place, listen: true, keepAliveMs: bad })],
    ['as the guests of a server', () => guestServer(() => undefined, { place, maxGuests: bad })],
  ])('%s', async (_, open) => {
    await expect(open()).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  })
})
