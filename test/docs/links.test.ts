/** Every kind of link has a page of docs that names it, and a test that runs the conformance suite over it. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { openLink } from '../../src/backend/open-link.ts'

const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const pages = readdirSync(new URL('docs/', root))
  .filter((name) => name.endsWith('.md'))
  .map((name) => read(`docs/${name}`))

/** By what a link is opened with, the test that judges it. Schemes end with a colon; the others are functions of the package. */
const SUITES: { readonly [link: string]: string } = {
  'tap:': 'e2e/inside/tap-conformance.inside.ts',
  'tun:': 'e2e/inside/tap-conformance.inside.ts',
  'utun:': 'backend/bsd-device.test.ts',
  'vxvde:': 'backend/vxvde.test.ts',
  'vde:': 'backend/vde.test.ts',
  'stdio:': 'backend/stdio.test.ts',
  'mux:': 'backend/mux-socket.test.ts',
  'ore:': 'backend/mux-socket.test.ts',
  'tunnel+tcp:': 'backend/tunnel.test.ts',
  'tunnel+tls:': 'backend/tunnel.test.ts',
  'qemu:': 'backend/guests.test.ts',
  'unix:': 'backend/guests.test.ts',
  'unixgram:': 'backend/unixgram.test.ts',
  'ws:': 'backend/guests.test.ts',
  'wss:': 'backend/guests.test.ts',
  'packet:': 'e2e/inside/packet-conformance.inside.ts',
  'tuntap2:': 'backend/tuntap2.test.ts',
  'udp:': 'backend/udp-link.test.ts',
  'vxlan:': 'backend/vxlan.test.ts',
  createPipe: 'link/pipe.test.ts',
  createLoopback: 'link/loopback.test.ts',
  createSwitch: 'switch/switch.test.ts',
  createHub: 'switch/switch.test.ts',
  createMux: 'mux/mux.test.ts',
  openSharedMux: 'backend/mux-worker.test.ts',
  openStreamLink: 'backend/stream-link.test.ts',
  DatagramLink: 'backend/datagram-link.test.ts',
  v86Link: 'link/message-link.test.ts',
  broadcastChannelLink: 'link/message-link.test.ts',
  etherTunnel: 'tunnel/ether-tunnel.test.ts',
  clampMss: 'tunnel/mss-clamp.test.ts',
  capture: 'link/capture.test.ts',
  fault: 'link/fault.test.ts',
  splice: 'link/splice.test.ts',
  withoutOffload: 'offload/soften.test.ts',
}

describe('every link', () => {
  it('of openLink is known here', async () => {
    const error: Error = await openLink('nowhere://').then(
      () => expect.fail(),
      (reason: Error) => reason,
    )
    const schemes = [...error.message.matchAll(/([\w+]+:)\/\//g)].map((m) => m[1]).filter((scheme) => scheme !== 'nowhere:')
    expect(schemes.filter((scheme) => !(scheme in SUITES))).toEqual([])
    expect(schemes.length).toBeGreaterThan(15)
  })

  it('is judged by the conformance suite', () => {
    const without = Object.entries(SUITES).filter(([, file]) => !/^\s*netifConformance\(/m.test(read(`test/${file}`)))
    expect(without).toEqual([])
  })

  it('is on a page of the docs', () => {
    expect(
      Object.keys(SUITES).filter(
        (link) => !pages.some((page) => page.includes(`\`${link}`) || page.includes(`${link}//`) || page.includes(`${link}(`)),
      ),
    ).toEqual([])
  })
})
