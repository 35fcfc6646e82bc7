import { describe, expect, it } from 'vitest'
import { bindDatagram, type DatagramLink } from '../../src/backend/datagram-link.ts'
import { openLink, parseLinkUrl } from '../../src/backend/open-link.ts'
import { openUdpLink, udpOptions } from '../../src/backend/udp-link.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { RecordingSink } from '../support/recording-sink.ts'
import { turns } from '../support/stream-pair.ts'

/** Two ports of this machine that were free a moment ago. */
async function ports(address: string): Promise<[number, number]> {
  const type = address.includes(':') ? ('udp6' as const) : ('udp4' as const)
  const sockets = [await bindDatagram({ type }, 0, address), await bindDatagram({ type }, 0, address)]
  const [a, b] = sockets.map((s) => s.address().port)
  await Promise.all(sockets.map((s) => new Promise<void>((resolve) => void s.close(resolve))))
  return [a, b]
}

for (const address of ['127.0.0.1', '::1']) {
  netifConformance(
    `UDP over ${address}`,
    async () => {
      const [p, q] = await ports(address)
      const at = address.includes(':') ? `[${address}]` : address
      return {
        a: await openLink(`udp://${at}:${p}->${at}:${q}`),
        b: await openLink(`udp://${at}:${q}->${at}:${p}`),
        host: new VirtualHost(),
        settle: () => turns(10),
      }
    },
    { refuses: false },
  )
}

describe('a link over UDP', () => {
  it('derives its MTU from the carrier, and says where it goes', async () => {
    const links: DatagramLink[] = []
    for (const host of ['127.0.0.1', '::1']) {
      links.push(await openUdpLink({ port: 0, host, peerPort: 9 }))
      links.push(await openUdpLink({ port: 0, host, peerPort: 9, medium: 'ip', name: 'u0' }))
    }
    expect(links.map((l) => l.mtu)).toEqual([1458, 1472, 1438, 1452])
    expect(links[2].describe()).toMatch(/^udp:\d+: \d+ -> \[::1\]:9, ethernet in datagrams, mtu 1438$/)
    for (const link of links) await link.close()
  })

  it('hears its peer alone', async () => {
    const peer = await bindDatagram({ type: 'udp4' }, 0, '127.0.0.1')
    const stranger = await bindDatagram({ type: 'udp4' }, 0, '127.0.0.1')
    const [own] = await ports('127.0.0.1')
    const link = await openUdpLink({ port: own, bind: '127.0.0.1', host: 'localhost', peerPort: peer.address().port })
    const sink = new RecordingSink(new VirtualHost())
    link.attach(sink)
    const frame = plainFrame('ethernet', 60, 1)
    for (const socket of [stranger, peer]) socket.send(frame, own, '127.0.0.1')
    await turns(10)
    sink.receiving = true
    link.receive(64)
    expect([sink.frames.length, link.counters().dropInRefused]).toEqual([1, 1])
    await link.close()
    peer.close()
    stranger.close()
  })

  it('says what is wrong', async () => {
    await expect(openUdpLink({ port: 0, host: '127.0.0.1', peerPort: 1, mtu: 65500 })).rejects.toThrow(/Invalid MTU 65500/)
    await expect(openUdpLink({ port: 0, host: 'no-such-host.invalid', peerPort: 1 })).rejects.toMatchObject({
      syscall: 'getaddrinfo',
    })
  })

  const given = (url: string): Record<string, unknown> => JSON.parse(JSON.stringify(udpOptions(parseLinkUrl(url))))

  it('reads its URL, with an arrow that a program may have encoded', () => {
    const options = { port: 5000, host: '10.0.0.2', peerPort: 6000, medium: 'ethernet' }
    expect(given('udp://5000->10.0.0.2:6000')).toEqual(options)
    expect(given('udp://5000-%3E10.0.0.2:6000')).toEqual(options)
    expect(given('udp://10.0.0.1:5000->[fd00::2]:6000?mtu=1400&medium=ip&name=u')).toEqual({
      port: 5000,
      bind: '10.0.0.1',
      host: 'fd00::2',
      peerPort: 6000,
      medium: 'ip',
      mtu: 1400,
      name: 'u',
    })
    for (const bad of ['udp://5000', 'udp://5000->10.0.0.2', 'udp://x->h:1', 'udp://1->h:2->h:3', 'udp://name:1->h:2']) {
      expect(() => given(bad), bad).toThrow(/expected/)
    }
    expect(() => given('udp://1->h:2?medium=token-ring')).toThrow(/neither ethernet nor ip/)
  })
})
