/** Taps of the package tuntap2: a stand-in with its shape here, and the package itself where it is installed. */
import { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { splitLinkUrl } from '../../src/backend/link-url.ts'
import { openTuntap2, openTuntap2Url, type Tuntap2 } from '../../src/backend/tuntap2.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { RecordingSink } from '../support/recording-sink.ts'
import { turns } from '../support/stream-pair.ts'

let made = 0

/** As the package's: a byte stream whose every chunk is a frame, read and written one by one. */
class StandIn extends Duplex implements Tuntap2 {
  readonly name = `tap${made++}`
  mac = '02:00:00:00:00:01'
  mtu = 1500
  ipv4 = ''
  ipv6 = ''
  isUp = false
  releases = 0
  peer: StandIn | null = null
  private waiting: (() => void) | null = null

  override _read(): void {
    const { waiting } = this
    this.waiting = null
    waiting?.()
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    const { peer } = this
    if (peer === null || peer.destroyed || peer.push(chunk)) done()
    else peer.waiting = done
  }

  release(): void {
    this.releases++
    this.waiting?.()
    this.destroy()
  }
}

function taps(): [StandIn, StandIn] {
  const pair: [StandIn, StandIn] = [new StandIn(), new StandIn()]
  pair[0].peer = pair[1]
  pair[1].peer = pair[0]
  return pair
}

netifConformance('tuntap2', () => {
  const [a, b] = taps()
  return { a: openTuntap2(a), b: openTuntap2(b), host: new VirtualHost(), settle: () => turns(12) }
})

describe('a tap of the package tuntap2', () => {
  it('lends its name and MTU, and is released with the link, once', async () => {
    const [tap] = taps()
    tap.mtu = 9000
    const link = openTuntap2(tap)
    link.attach(new RecordingSink(new VirtualHost()))
    expect([link.name, link.mtu, link.medium]).toEqual([tap.name, 9000, 'ethernet'])
    expect(link.describe()).toContain('tuntap2 (down)')
    await link.close()
    await link.close()
    expect(tap.releases).toBe(1)
  })

  it('ends the link when it is released by somebody else, and when it fails', async () => {
    for (const error of [undefined, new Error('EIO')]) {
      const [tap] = taps()
      const link = openTuntap2(tap)
      const sink = new RecordingSink(new VirtualHost())
      link.attach(sink)
      tap.destroy(error)
      await turns(8)
      expect(sink.closes).toBe(1)
      expect(tap.releases).toBe(1)
    }
  })

  it('is refused when it is none', () => {
    expect(() => openTuntap2({} as Tuntap2)).toThrow(/A Tap of the package tuntap2 is expected/)
  })

  const url = (text: string) => splitLinkUrl(text) ?? expect.fail()

  it('is made by its URL, with addresses for the kernel', async () => {
    const seen: StandIn[] = []
    class Made extends StandIn {
      constructor() {
        super()
        seen.push(this)
      }
    }
    const asked = url('tuntap2:?host=10.0.0.1/24,fd00::1/64&mtu=1400&mac=02:00:00:00:00:07')
    const link = await openTuntap2Url(asked, async () => Made)
    const [{ ipv4, ipv6, mtu, mac, isUp }] = seen
    expect([ipv4, ipv6, mtu, mac, isUp, link.mtu]).toEqual(['10.0.0.1/24', 'fd00::1/64', 1400, '02:00:00:00:00:07', true, 1400])
    await link.close()

    await expect(openTuntap2Url(url('tuntap2:?mtu=9'), async () => Made)).rejects.toThrow(/Invalid MTU 9/)
    expect(seen.map((tap) => tap.releases)).toEqual([1, 1])
    await expect(openTuntap2Url(url('tuntap2://tap7'), async () => Made)).rejects.toThrow(/names its interface itself/)
  })

  it('says how to get the package where it is missing, or opens one where it is there', async () => {
    const frame = plainFrame('ethernet', 60, 1)
    const opened = openTuntap2Url(url('tuntap2:'))
    const outcome = await opened.then(
      async (link) => {
        link.attach(new RecordingSink(new VirtualHost()))
        link.send(frame, 0, frame.length, 0)
        await link.close()
        return 'opened'
      },
      (error: Error & { code?: string }) => error.code,
    )
    expect(['opened', 'ERR_TUNTAP2_UNAVAILABLE', 'EPERM', 'EACCES']).toContain(outcome)
  })
})
