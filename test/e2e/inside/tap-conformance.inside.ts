/**
 * Two taps (or tuns) that the kernel joins: taps by a bridge that learns nothing, tuns by a rule that hands each one's packets to the
 * other. What is sent into one comes out of the other unchanged.
 */
import { execFileSync } from 'node:child_process'
import { loadKoffi, loadLibc } from '../../../src/backend/libc.ts'
import { openTap, openTun, type TapOptions } from '../../../src/backend/tap.ts'
import type { Waker } from '../../../src/backend/wake.ts'
import { processWaker } from '../../../src/backend/wake.ts'
import { PollWaker } from '../../../src/backend/wake-poll.ts'
import { NodeHost } from '../../../src/node/host.ts'
import { type ConformancePair, netifConformance } from '../../support/netif-conformance.ts'

const libc = await loadLibc()
const uv = processWaker(await loadKoffi(), libc)
const thread = new PollWaker(libc)
const host = new NodeHost()

function sh(command: string): void {
  execFileSync('sh', ['-ec', command], { stdio: ['ignore', 'ignore', 'pipe'] })
}

// The kernel's own chatter would count against bursts and budgets.
sh('for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done')

const BRIDGE = `
ip link add br0 type bridge ageing_time 0 mcast_snooping 0
ip link set tap0 master br0
ip link set tap1 master br0
ip link set br0 up`

const CROSSING = `nft -f - <<'.'
table netdev join {
  chain a {
    type filter hook ingress device tun0 priority 0
    fwd to tun1
  }
  chain b {
    type filter hook ingress device tun1 priority 0
    fwd to tun0
  }
}
.`

/** The kernel forwards within the write; what is left is that our own descriptors are polled. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 3))
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function open(kind: 'tap' | 'tun', waker: Waker, options: TapOptions): Promise<ConformancePair> {
  const system = { libc, waker, hasAddress: () => false }
  const link = (name: string) => (kind === 'tap' ? openTap : openTun)({ name, up: true, ...options }, system)
  const [a, b] = [await link(`${kind}0`), await link(`${kind}1`)]
  sh(kind === 'tap' ? BRIDGE : CROSSING)
  const close = (): void => sh(kind === 'tap' ? 'ip link del br0' : 'nft delete table netdev join')
  return { a, b, host, settle, close }
}

// The kernel's queue behind a tap drops when it is full (txqueuelen 1000); it never refuses.
const limits = { refuses: false }

netifConformance('tap with offload', () => open('tap', uv, {}), limits)
netifConformance('tap without offload', () => open('tap', uv, { offload: false }), limits)
netifConformance('tap with offload, woken by the poll thread', () => open('tap', thread, {}), limits)
netifConformance('tun with offload', () => open('tun', uv, {}), limits)
netifConformance('tun without offload', () => open('tun', uv, { offload: false }), limits)
