/** A switch between kernels and a stack, and in loops with a kernel's bridge. See test/support/inside.ts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import { createSwitch } from '../../../src/node/switch.ts'
import type { Switch } from '../../../src/switch/switch.ts'
import { FarNamespace } from './far.ts'
import { received, run, type Served, serve, sh, until } from './lab.ts'

const TAPSTACK = `'${process.execPath}' --import tsx src/cli/main.ts`

/** Frames that came in at all ports so far. */
const heard = (sw: Switch): number =>
  Object.values(sw.counters()).reduce((sum, n) => sum + (n.ifInBroadcastPkts ?? 0) + (n.ifInMulticastPkts ?? 0), 0)

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('tapstack switch between two kernels', () => {
  let far: FarNamespace
  let command: Served
  let server: Served

  beforeAll(async () => {
    far = await FarNamespace.make()
    command = await serve('sh', ['-c', `exec ${TAPSTACK} switch tap://tap0 tap://tap1 1>&2`], /ready: tap0, tap1/)
    far.take('tap1')
    sh('ip addr add 10.0.0.1/24 dev tap0; ip -6 addr add fd00::1/64 dev tap0 nodad; ip link set tap0 up txqueuelen 20000')
    far.sh('ip addr add 10.0.0.2/24 dev tap1; ip -6 addr add fd00::2/64 dev tap1 nodad; ip link set tap1 up txqueuelen 20000')
    server = await serve('sh', ['-c', `exec ${far.enter} iperf3 -s --forceflush 1>&2`], /listening/)
  })

  afterAll(async () => {
    await server.stop()
    await command.stop()
    await far.end()
  })

  it.each(['10.0.0.2', 'fd00::2'])('pings go through to %s', async (to) => {
    for (const size of [56, 1452, 60_000]) {
      const ran = await run(`exec ping -n -w 15 -c 3 -i 0.05 -s ${size} ${to}`)
      expect(received(ran), ran.out + ran.err).toBeGreaterThanOrEqual(3)
    }
  })

  it('TCP goes through, in super-segments', async () => {
    const rates: number[] = []
    for (const direction of ['', '-R']) {
      const ran = await run(`exec iperf3 -c 10.0.0.2 -t 2 -J ${direction}`, { timeoutMs: 15_000 })
      expect(ran.code, ran.out + ran.err).toBe(0)
      rates.push(JSON.parse(ran.out).end.sum_received.bits_per_second / 1e9)
    }
    console.log(`TCP through the switch, Gbit/s: ${rates.map((r) => r.toFixed(2)).join(' there, ')} back`)
    // Far below what it does, so that a busy machine does not fail.
    for (const rate of rates) expect(rate).toBeGreaterThan(0.1)
  })

  it('shows its tables on SIGUSR2 and ends cleanly on SIGINT', async () => {
    command.child.kill('SIGUSR2')
    await until(() => /ADDRESS/.test(command.said))
    expect(command.said).toMatch(/tap0 +up/)
    expect(command.said).toMatch(/[0-9a-f:]{17} +1 +tap1/)
    expect(await command.stop('SIGINT')).toBe(0)
    expect(sh('ip -o link show')).not.toContain('tap0')
  })
})

describe('our switch and a bridge of the kernel', () => {
  let sw: Switch
  let stack: NodeStack

  /** Two taps from our switch to one bridge, and a stack on the switch. */
  async function open(stp: boolean): Promise<void> {
    sh('ip link add br0 type bridge; ip addr add 10.0.0.1/24 dev br0')
    if (stp) sh('ip link set br0 type bridge stp_state 1 priority 4096 forward_delay 200 hello_time 100 max_age 600')
    sw = createSwitch({ spanningTree: stp })
    sw.host.hold()
    for (const name of ['tap0', 'tap1']) {
      sw.join(await openTap({ name }))
      sh(`ip link set ${name} master br0; ip link set ${name} up`)
    }
    sh('ip link set br0 up')
    stack = createStack({ name: 'guest' })
    stack.attach(sw.port('guest', { edge: true }), { addresses: ['10.0.0.2/24'], probe: false })
  }

  async function close(): Promise<void> {
    sw.host.release()
    await stack.close()
    await sw.close()
    sh('ip link del br0')
  }

  const kernel = (name: string) => JSON.parse(sh(`ip -j -d link show ${name}`))[0].linkinfo
  const ping = (): Promise<{ out: string }> => run('exec ping -n -w 15 -c 3 -i 0.2 10.0.0.2')
  const summary = (name: string) => sw.spanningTree!.summary(sw.find(name)!)!

  it('with spanning trees on both sides: one cable is blocked, and takes over when the other is cut', async () => {
    await open(true)
    try {
      const settled = (): boolean =>
        ['tap0', 'tap1']
          .map((n) => summary(n).state)
          .sort()
          .join() === 'discarding,forwarding'
      await until(() => settled() && summary('tap0').role === 'root')
      expect(sw.spanningTree!.root).toMatchObject({ port: 'tap0', cost: 20_000 })
      expect(sw.spanningTree!.root.id.slice(0, 4)).toBe('1000')
      expect(summary('tap1').role).toBe('alternate')
      await until(() => !summary('tap0').rapid) // it has heard that the kernel speaks the old protocol
      expect(kernel('br0').info_data.root_port).toBe(0) // the kernel is the root and knows it
      // The kernel listens and learns, two seconds each.
      await until(() => kernel('tap0').info_slave_data.state === 'forwarding')
      expect(received(await ping())).toBeGreaterThanOrEqual(3)
      const before = heard(sw)
      await wait(1000)
      expect(heard(sw) - before).toBeLessThan(200)
      sh('ip link set tap0 nomaster')
      await until(() => summary('tap1').state === 'forwarding')
      expect(received(await ping())).toBeGreaterThanOrEqual(3)
    } finally {
      await close()
    }
  })

  it('without any: a loop is held down, and the process goes on', async () => {
    await open(false)
    try {
      const began = performance.now()
      await run('exec ping -n -w 1 -c 1 -b 10.0.0.255')
      await wait(1000)
      const seconds = (performance.now() - began) / 1000
      expect(seconds).toBeLessThan(15)
      expect(heard(sw)).toBeGreaterThan(1000) // there is a loop
      const passed = Object.values(sw.counters()).reduce((sum, n) => sum + (n.ifOutBroadcastPkts ?? 0), 0)
      // Two cables, 10,000 a second and a tenth of that at once, to two other ports; the loop was there some seconds before.
      expect(passed).toBeLessThan((seconds + 6) * 2 * 2 * 11_000)
    } finally {
      await close()
    }
  })
})
