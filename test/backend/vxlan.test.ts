import { describe, expect, it } from 'vitest'
import { bindDatagram } from '../../src/backend/datagram-link.ts'
import { parseLinkUrl } from '../../src/backend/open-link.ts'
import { openVxlan, type VxlanOptions, vxlanOptions } from '../../src/backend/vxlan.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'
import { turns } from '../support/stream-pair.ts'

/** Loopback has many addresses, so that two ends can share one port, as two machines do. */
const A = '127.0.0.51'
const B = '127.0.0.52'

let next = 47_890
/** Each test a port of its own: what is under way to a former one is not heard. */
const freshPort = (): number => next++

netifConformance(
  'VXLAN between two',
  async () => {
    const port = freshPort()
    return {
      a: await openVxlan({ vni: 42, remotes: [B], local: A, port }),
      b: await openVxlan({ vni: 42, remotes: [A], local: B, port }),
      host: new VirtualHost(),
      settle: () => turns(10),
    }
  },
  { refuses: false },
)

/** An end of ours at A, and bare sockets at others. */
async function bench(options: Partial<VxlanOptions> = {}, others = [B]) {
  const port = freshPort()
  const sockets: { socket: { close(): unknown }; heard: Uint8Array[]; send(bytes: number[]): void }[] = []
  for (const address of others) {
    const socket = await bindDatagram({ type: 'udp4' }, port, address)
    const heard: Uint8Array[] = []
    socket.on('message', (message) => heard.push(Uint8Array.from(message)))
    sockets.push({ socket, heard, send: (bytes: number[]) => socket.send(Uint8Array.from(bytes), port, A) })
  }
  const link = await openVxlan({ vni: 0x123456, remotes: others, local: A, port, ...options })
  const host = new VirtualHost()
  const sink = new RecordingSink(host)
  link.attach(sink)
  const pull = async (): Promise<Uint8Array[]> => {
    await turns(10)
    sink.receiving = true
    while (link.receive(64));
    sink.receiving = false
    return sink.frames.splice(0)
  }
  const close = async (): Promise<void> => {
    await link.close()
    for (const { socket } of sockets) socket.close()
  }
  return { link, host, sockets, pull, close, send: (f: Uint8Array) => link.send(f, 0, f.length, 0) }
}

const HEAD = [8, 0, 0, 0, 0x12, 0x34, 0x56, 0]

/** A frame from the station `from` to `to`, by the last bytes of their addresses. */
function frame(to: number, from: number): Uint8Array {
  const bytes = plainFrame('ethernet', 60, to * 256 + from)
  bytes.set([2, 0, 0, 0, 1, to], 0)
  bytes.set([2, 0, 0, 0, 1, from], 6)
  return bytes
}

describe('VXLAN', () => {
  it('puts flags, identifier and reserved zeros before the frame', async () => {
    const { send, sockets, close } = await bench()
    send(frame(1, 2))
    await turns(10)
    expectFrames(sockets[0].heard, [Uint8Array.from([...HEAD, ...frame(1, 2)])])
    await close()
  })

  it('reads the I flag and the identifier, and nothing else of the header', async () => {
    const { sockets, pull, link, close } = await bench()
    const [{ send }] = sockets
    const body = [...frame(2, 1)]
    send([0xff, 0xff, 0xff, 0xff, 0x12, 0x34, 0x56, 0xff, ...body]) // RFC 7348 section 5: reserved, ignored on receipt
    send([0xf7, 0, 0, 0, 0x12, 0x34, 0x56, 0, ...body])
    send([8, 0, 0, 0, 0x12, 0x34, 0x57, 0, ...body])
    send([8, 0, 0, 0, 0x12])
    send([...HEAD, 1, 2, 3])
    expectFrames(await pull(), [Uint8Array.from(body)])
    expect(link.counters()).toMatchObject({ inFrames: 1, dropInRefused: 2, dropInTooShort: 2 })
    await close()
  })

  it('learns where a station is, sends there alone, and forgets it in time', async () => {
    const C = '127.0.0.53'
    const { send, sockets, pull, host, link, close } = await bench({}, [B, C])
    const [b, c] = sockets
    const heard = async (): Promise<[number, number]> => {
      await turns(10)
      return [b.heard.splice(0).length, c.heard.splice(0).length]
    }
    send(frame(7, 1))
    expect(await heard()).toEqual([1, 1])
    c.send([...HEAD, ...frame(1, 7)])
    expect((await pull()).length).toBe(1)
    send(frame(7, 1))
    expect(await heard()).toEqual([0, 1])
    b.send([...HEAD, ...frame(1, 7)]) // it has moved
    await pull()
    host.advance(299_000)
    send(frame(7, 1))
    expect(await heard()).toEqual([1, 0])
    host.advance(2000)
    send(frame(7, 1))
    expect(await heard()).toEqual([1, 1])
    expect(link.counters()).toMatchObject({ outFlooded: 2, knownAddresses: 0, outFrames: 4, outDatagrams: 6 })
    await close()
  })

  it('hears named remotes alone', async () => {
    const { pull, link, close, sockets } = await bench({ remotes: ['127.0.0.99'] })
    sockets[0].send([...HEAD, ...frame(1, 2)])
    expect(await pull()).toEqual([])
    expect(link.counters().dropInRefused).toBe(1)
    await close()
  })

  it("leaves 1450 or 1430 bytes of a carrier's 1500", async () => {
    const four = await openVxlan({ vni: 1, remotes: [B], local: A, port: freshPort() })
    const six = await openVxlan({ vni: 1, remotes: ['::1'], port: freshPort() })
    expect([four.mtu, six.mtu, four.name]).toEqual([1450, 1430, 'vxlan:1'])
    await four.close()
    await six.close()
  })

  const given = (url: string): Record<string, unknown> => JSON.parse(JSON.stringify(vxlanOptions(parseLinkUrl(url))))

  it('reads its URL: a group, or hosts', () => {
    expect(given('vxlan://239.1.1.1?vni=42&local=10.0.0.1&ttl=4')).toEqual({
      vni: 42,
      group: '239.1.1.1',
      remotes: [],
      local: '10.0.0.1',
      ttl: 4,
    })
    expect(given('vxlan://[ff05::100]?vni=1').group).toBe('ff05::100')
    expect(given('vxlan://10.0.0.2?vni=1&remotes=10.0.0.3,10.0.0.4&port=8472&mtu=1400&name=x')).toEqual({
      vni: 1,
      remotes: ['10.0.0.2', '10.0.0.3', '10.0.0.4'],
      port: 8472,
      mtu: 1400,
      name: 'x',
    })
    expect(() => given('vxlan://10.0.0.2')).toThrow(/vni is missing/)
  })

  it('says what cannot be', async () => {
    await expect(openVxlan({ vni: 1 << 24, remotes: [B] })).rejects.toThrow(/Invalid vni/)
    await expect(openVxlan({ vni: 1 })).rejects.toThrow(/neither a group nor a remote/)
    await expect(openVxlan({ vni: 1, group: '10.0.0.1' })).rejects.toThrow(/multicast address is expected/)
    await expect(openVxlan({ vni: 7, group: '239.1.1.1', local: '192.0.2.77', port: freshPort() })).rejects.toThrow(
      /Cannot join the group 239\.1\.1\.1 of vxlan:7: .*: no interface has the address 192\.0\.2\.77/,
    )
    await expect(openVxlan({ vni: 1, remotes: [A, '::1'] })).rejects.toThrow(/of one family/)
    await expect(openVxlan({ vni: 1, remotes: [A], mtu: 5, port: freshPort() })).rejects.toThrow(/Invalid MTU/)
  })
})
