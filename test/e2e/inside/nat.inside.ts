/** A network behind the stack: two namespaces, each on a tap, and between them a stack that forwards and translates. */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import { isRoot } from '../../support/root.ts'
import { judged, noise, quietKernel, type Ran, received, run, type Served, serve, sh, sha256 } from './lab.ts'

const INNER = { 4: '10.0.0.2', 6: 'fd00::2' } as const
const NEAR = { 4: '10.0.0.1', 6: 'fd00::1' } as const
const FAR = { 4: '192.0.2.1', 6: '2001:db8::1' } as const
const OUTER = { 4: '192.0.2.2', 6: '2001:db8::2' } as const
const PLAIN = { 4: (a: string) => a, 6: (a: string) => `[${a}]` } as const

/** A network namespace that lives as long as a process in it. */
class Namespace {
  private constructor(private readonly holder: Served) {}

  static async open(): Promise<Namespace> {
    return new Namespace(await serve('unshare', ['-n', 'sh', '-c', 'echo ready >&2; exec sleep 600'], /ready/))
  }

  get pid(): number {
    return this.holder.child.pid!
  }

  /** `command` for a shell, to be run in here. */
  in(command: string): string {
    return `exec nsenter -t ${this.pid} -n sh -c '${command}'`
  }

  run(command: string): Promise<Ran> {
    return run(this.in(command))
  }

  /** socat that tells each client the address that it sees. */
  teller(family: 4 | 6, port: number): Promise<Served> {
    const listen = `TCP${family}-LISTEN:${port},fork,reuseaddr${family === 6 ? ',ipv6only=1' : ''}`
    return serve(
      'nsenter',
      ['-t', `${this.pid}`, '-n', 'socat', '-d', '-d', listen, 'SYSTEM:echo $SOCAT_PEERADDR'],
      /listening on/,
    )
  }

  async close(): Promise<void> {
    await this.holder.stop()
  }
}

const wire = join(tmpdir(), `tapstack-nat-${process.pid}.pcap`)
const served: Served[] = []
let inner: Namespace
let outer: Namespace
let router: NodeStack
let dump: Served

beforeAll(async () => {
  quietKernel()
  inner = await Namespace.open()
  outer = await Namespace.open()
  router = createStack({ name: 'router', forwarding: true })
  for (const [tap, space, eth, own, other] of [
    ['in0', inner, 'eth0', NEAR, INNER],
    ['out0', outer, 'eth1', FAR, OUTER],
  ] as const) {
    const link = await openTap({ name: tap, offload: false })
    sh(`ip link set ${tap} netns ${space.pid}`)
    sh(
      space.in(
        `ip link set lo up; ip link set ${tap} up; ip addr add ${other[4]}/24 dev ${tap}; ip addr add ${other[6]}/64 dev ${tap} nodad`,
      ),
    )
    await router.attach(link, { name: eth, addresses: [`${own[4]}/24`, `${own[6]}/64`] }).ready
  }
  sh(inner.in(`ip route add default via ${NEAR[4]}; ip -6 route add default via ${NEAR[6]}`))
  router.host.hold()
  router.filter.masquerade({ out: 'eth1' })
  for (const family of [4, 6] as const) {
    router.filter.dnat({
      destination: FAR[family],
      protocol: 'tcp',
      destinationPort: 80,
      to: `${PLAIN[family](INNER[family])}:8080`,
    })
    served.push(await inner.teller(family, 8080), await outer.teller(family, 7000))
  }
  const options = ['-i', 'out0', '-U', '--immediate-mode', '-s', '1600', '-w', wire, ...(isRoot ? ['-Z', 'root'] : [])]
  dump = await serve('nsenter', ['-t', `${outer.pid}`, '-n', 'tcpdump', ...options], /listening on/)
})

afterAll(async () => {
  for (const s of served) await s.stop()
  router.host.release()
  await router.close()
  await inner.close()
  await outer.close()
  rmSync(wire, { force: true })
})

describe.each([4, 6] as const)('IPv%i', (family) => {
  const seen = (ran: Ran): string =>
    ran.out
      .trim()
      .replace(/^\[?0*|\]$/g, '')
      .toLowerCase()
  /** socat writes all groups of an address. */
  const same = (text: string, address: string): void => {
    const words = (a: string): string => new URL(`http://${family === 6 ? `[${a.replace(/[[\]]/g, '')}]` : a}`).hostname
    expect(words(text)).toBe(words(address))
  }

  it('the outside sees the address of the router', async () => {
    const ran = await inner.run(`nc -w 5 ${OUTER[family]} 7000 </dev/null`)
    same(seen(ran), FAR[family])
  })

  it('a server inside is reached from outside, and sees who asks', async () => {
    const ran = await outer.run(`nc -w 5 ${FAR[family]} 80 </dev/null`)
    same(seen(ran), OUTER[family])
  })

  it('and from inside, by the outside address: a hairpin', async () => {
    const ran = await inner.run(`nc -w 5 ${FAR[family]} 80 </dev/null`)
    same(seen(ran), NEAR[family])
  })

  it.each([
    ['plain', ''],
    ['in fragments', '-s 4000'],
  ])('pings go out and come back, %s', async (_, options) => {
    const ran = await inner.run(`ping -n -c 3 -i 0.05 -w 10 ${options} ${OUTER[family]}`)
    expect(received(ran), ran.out + ran.err).toBeGreaterThanOrEqual(3)
  })

  it.each(['', '-I', '-T -p 7000'])('traceroute %s shows the router and the other end', async (options) => {
    const ran = await inner.run(`traceroute -n -q 1 -w 3 -m 4 ${options} ${OUTER[family]}`)
    const hops = ran.out.split('\n').slice(1).filter(Boolean)
    expect(
      hops.map((line) => line.trim().split(/\s+/)[1]),
      ran.out + ran.err,
    ).toEqual([NEAR[family], OUTER[family]])
  })

  it('megabytes arrive as they were', async () => {
    const bytes = noise(3_000_000, 7)
    const port = 7100 + family
    const sink = await serve(
      'nsenter',
      ['-t', `${outer.pid}`, '-n', 'socat', '-d', '-d', '-u', `TCP${family}-LISTEN:${port}`, '-'],
      /listening on/,
    )
    const ran = await run(inner.in(`exec nc -N ${OUTER[family]} ${port}`), { input: bytes })
    expect(ran.code, ran.err).toBe(0)
    await sink.closed
    expect(sha256(sink.received)).toBe(sha256(bytes))
  })
})

it('nothing on the wire is malformed, no checksum is wrong, and no inside address got out', async () => {
  await dump.stop('SIGINT')
  const bad = ['ip', 'tcp', 'udp', 'icmp', 'icmpv6'].map((p) => `${p}.checksum.status == 0`).join(' || ')
  // What the kernel says for itself is its own: now and then a TCP checksum of 0xffff.
  const ours = `!(ip.src == ${OUTER[4]} || ipv6.src == ${OUTER[6]})`
  expect(await judged(wire, `${ours} && (_ws.malformed || ${bad})`)).toEqual([])
  expect(await judged(wire, `ip.src == ${INNER[4]} || ipv6.src == ${INNER[6]}`)).toEqual([])
})
