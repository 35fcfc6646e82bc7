/**
 * The peer of bench/loss.ts, in a network namespace of its own: our stack on tap0, or a relay to a second tap behind which the kernel of
 * another namespace is. Both have the same impairments, made by `fault()`, between them and tap0.
 *
 *   lossy-peer ours LOSS DELAY_MS CONGESTION
 *   lossy-peer relay LOSS DELAY_MS FAR_NAMESPACE
 */
import { execFileSync } from 'node:child_process'
import { openTap } from '../src/backend/tap.ts'
import type { Host, Task } from '../src/base/clock.ts'
import { fault } from '../src/link/fault.ts'
import { FrameQueue } from '../src/link/frame-queue.ts'
import type { NetIf, NetIfSink } from '../src/netif/netif.ts'
import { nodeHost } from '../src/node/host.ts'
import { createStack } from '../src/node/stack.ts'
import { startServices } from '../src/services/inetd.ts'
import { HOST, PEER } from './lab.ts'

const BUDGET = 64
/** Far more than any window here: what is lost is lost by `fault()` alone. */
const QUEUE_FRAMES = 16_384
const QUEUE_BYTES = 32 << 20

/** Hands on what one link receives to the other. */
class Relay implements NetIfSink, Task {
  private readonly queue = new FrameQueue(QUEUE_FRAMES, QUEUE_BYTES)
  private scheduled = false
  private more = false

  constructor(
    readonly host: Host,
    private readonly from: NetIf,
    private readonly to: () => Relay,
  ) {}

  start(): void {
    this.from.attach(this)
    this.from.ref?.(true)
  }

  input(buf: Uint8Array, start: number, end: number, meta: number): void {
    const other = this.to()
    if (!other.queue.push(buf, start, end, meta))
      throw new Error('the relay is too small: a frame was lost that fault() did not lose')
    other.schedule()
  }

  readable(): void {
    this.more = true
    this.schedule()
  }

  writable(): void {
    this.schedule()
  }

  closed(error?: Error): void {
    throw error ?? new Error('the tap is gone')
  }

  run(): void {
    this.scheduled = false
    if (this.more) {
      this.more = this.from.receive(BUDGET)
      if (this.more) this.schedule()
    }
    let sent = false
    while (this.queue.count > 0 && this.queue.offer(this.from)) sent = true
    if (sent) this.from.flush()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    this.host.soon(this)
  }
}

const [mode, lossText, delayText, extra] = process.argv.slice(2)
const impairments = { loss: Number(lossText), delay: Number(delayText), seed: 7, queue: QUEUE_BYTES }
const tap = await openTap({ name: 'tap0', host: `${HOST}/24`, offload: false })
execFileSync('ip', ['link', 'set', 'tap0', 'txqueuelen', '20000'])
const near = fault(tap, impairments)
if (mode === 'ours') {
  const stack = createStack({ name: 'lossy', tcp: { congestion: extra } })
  await stack.attach(near, { name: 'eth0', addresses: [`${PEER}/24`] }).ready
  startServices(stack)
} else {
  const second = await openTap({ name: 'tap1', offload: false })
  execFileSync('ip', ['link', 'set', 'tap1', 'txqueuelen', '20000'])
  execFileSync('ip', ['link', 'set', 'tap1', 'netns', extra])
  const inside = (...args: string[]): void => void execFileSync('ip', ['-n', extra, ...args])
  inside('addr', 'add', `${PEER}/24`, 'dev', 'tap1')
  inside('link', 'set', 'tap1', 'up')
  const a: Relay = new Relay(nodeHost, near, () => b)
  const b: Relay = new Relay(nodeHost, second, () => a)
  a.start()
  b.start()
}
nodeHost.hold()
process.stdout.write('ready\n')
process.on('SIGTERM', () => process.exit(0))
