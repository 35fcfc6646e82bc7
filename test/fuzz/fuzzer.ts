/**
 * The fuzzer: forged frames by the million into a stack that is in the middle of honest conversations, on virtual time.
 *
 * What must hold: nothing throws, no instant takes endless events, connections keep their invariants, every table keeps its bound;
 * and afterwards the stack still answers ping and echo, and when all is over it holds nothing any more.
 */
import { SeededRandom } from '../../src/base/random.ts'
import { checkInvariants } from '../support/tcp-invariants.ts'
import { buildCorpus, type Seed } from './corpus.ts'
import { Mutator, Specimen } from './mutate.ts'
import { World } from './world.ts'

/** Forged frames between two looks at the clock. */
const BATCH = 32
/** Events that one batch may cause. A storm of our own making would cause many more. */
const MOST_EVENTS = 100_000
/** Honest frames that are remembered as material. */
const RECENT = 64

export interface Bound {
  name: string
  value: number
  most: number
}

export class Fuzzer {
  readonly world: World
  frames = 0
  /** Of each bound, the most that was seen. */
  readonly peaks = new Map<string, number>()
  private readonly corpus: Seed[]
  private readonly recent: Seed[] = []
  private seen = 0
  private readonly random: SeededRandom
  private readonly mutator: Mutator
  private readonly specimen = new Specimen()
  /** Frames of the running batch, for the message when it fails. */
  private readonly batch: { bytes: Uint8Array; meta: number; name: string }[] = []

  constructor(readonly seed: number) {
    this.corpus = buildCorpus(seed)
    this.random = new SeededRandom(seed + 77)
    this.mutator = new Mutator(this.random)
    this.world = new World({
      seed,
      offload: (seed & 1) === 1,
      medium: seed % 5 === 0 ? 'ip' : 'ethernet',
      ipv6: true,
      // Both asks for ECN of each kind and answers it, over the seeds; the option of RFC 9768 is one more that comes mutilated.
      config: {
        tcp: { sendBufferMaxBytes: 256 << 10, receiveBufferMaxBytes: 512 << 10, ecn: (seed & 2) === 0 ? 'accurate' : 'on' },
      },
    })
    this.world.link.onFrame = (buf, start, end, meta) => {
      const i = this.seen++ % RECENT
      if (end - start <= 2000 || (this.seen & 7) === 0) this.recent[i] = { name: 'recent', bytes: buf.slice(start, end), meta }
    }
    for (let i = 0; i < 50; i++) this.step(20)
  }

  get corpusSize(): number {
    return this.corpus.length
  }

  private step(ms: number): void {
    this.world.tick()
    const before = this.world.host.events
    this.world.host.advance(ms)
    const events = this.world.host.events - before
    const most = MOST_EVENTS + ms * 200
    if (events > most) throw new Error(`a storm: ${events} events in ${ms} ms`)
  }

  /** Injects `count` forged frames. Throws with everything that is needed to see the failure again. */
  run(count: number): void {
    const until = this.frames + count
    while (this.frames < until) {
      try {
        this.forge(Math.min(BATCH, until - this.frames))
        this.step(this.pause())
        if ((this.frames / BATCH) % 16 < 1) this.check()
      } catch (error) {
        throw new Error(this.report(error), { cause: error })
      }
    }
  }

  /** Mostly a few milliseconds; sometimes as long as timers of seconds or minutes take. */
  private pause(): number {
    const dice = this.mutator.below(1000)
    if (dice === 0) return 35_000
    if (dice < 10) return 1 + this.mutator.below(3000)
    return this.mutator.below(6)
  }

  private forge(count: number): void {
    const { mutator, specimen, world } = this
    const living = world.connections()
    this.batch.length = 0
    for (let i = 0; i < count; i++) {
      const base = this.pick()
      specimen.load(base.bytes, 0, base.bytes.length, base.meta)
      if (mutator.below(200) === 0) {
        specimen.end = specimen.start + mutator.below(200)
        for (let k = specimen.start; k < specimen.end; k++) specimen.buf[k] = this.random.int32()
      }
      mutator.mutate(specimen, this.pick().bytes, living)
      const { buf, start, end, meta } = specimen
      this.batch.push({ bytes: buf.slice(start, end), meta, name: base.name })
      world.link.inject(buf, start, end, meta)
    }
    this.frames += count
  }

  private pick(): Seed {
    const { mutator } = this
    if (this.recent.length > 0 && mutator.below(2) === 0) {
      const seed = this.recent[mutator.below(this.recent.length)]
      if (seed !== undefined) return seed
    }
    return this.corpus[mutator.below(this.corpus.length)]
  }

  /** Invariants of connections and bounds of tables. */
  check(): void {
    for (const c of this.world.connections()) checkInvariants(c)
    for (const b of this.bounds()) {
      if (b.value > (this.peaks.get(b.name) ?? 0)) this.peaks.set(b.name, b.value)
      if (!(b.value >= 0 && b.value <= b.most)) throw new Error(`${b.name}: ${b.value}, at most ${b.most} allowed`)
    }
  }

  bounds(): Bound[] {
    const { target } = this.world
    const { tcp, ipLayer: ip, timers, pool, config, icmp, ipv4, ipv6 } = target
    const inside = ipv4 as unknown as {
      reassembly: { bytes: number; count: number; spare: unknown[] }
      fragmenter: { pending: number }
    }
    const six = ipv6 as unknown as {
      fragments: { reassembly: { bytes: number; count: number; spare: unknown[] } | null }
      fragmenter: { pending: number }
    }
    const whole = six.fragments.reassembly
    const near = target.interfaces[0].iface.neighbors6 as unknown as { size: number; memory: { bytes: number } } | null
    const waits = tcp.timeWaits as unknown as { queue?: unknown[] }
    const neighbors = target.interfaces[0].arp?.neighbors
    const handshakes = tcp.allListeners().reduce((n, l) => n + l.handshakes, 0)
    const listeners = tcp.allListeners().length
    return [
      { name: 'connections', value: tcp.openConnections, most: 8 + listeners * config.tcp.backlog * 64 },
      { name: 'flows', value: tcp.flowTable.size, most: 8192 + config.tcp.maxTimeWait },
      { name: 'handshakes', value: handshakes, most: listeners * config.tcp.synBacklog },
      { name: 'time-wait', value: tcp.timeWaits.size, most: config.tcp.maxTimeWait },
      { name: 'time-wait queue', value: waits.queue?.length ?? 0, most: config.tcp.maxTimeWait },
      { name: 'neighbors', value: neighbors?.size ?? 0, most: config.arp.maxEntries + 3 },
      { name: 'neighbor queues', value: neighbors?.memory.bytes ?? 0, most: 20 * config.arp.maxQueuedBytes },
      { name: 'reassembly bytes', value: inside.reassembly.bytes, most: config.ipv4.reassemblyBytes },
      { name: 'reassembly datagrams', value: inside.reassembly.count, most: config.ipv4.reassemblyDatagrams },
      { name: 'reassembly spares', value: inside.reassembly.spare.length, most: config.ipv4.reassemblyDatagrams },
      { name: 'fragment trains', value: inside.fragmenter.pending + six.fragmenter.pending, most: 16 },
      { name: 'v6 neighbors', value: near?.size ?? 0, most: config.nd.maxEntries + 3 },
      { name: 'v6 neighbor queues', value: near?.memory.bytes ?? 0, most: 20 * config.nd.maxQueuedBytes },
      { name: 'v6 reassembly bytes', value: whole?.bytes ?? 0, most: config.ipv6.reassemblyBytes },
      { name: 'v6 reassembly datagrams', value: whole?.count ?? 0, most: config.ipv6.reassemblyDatagrams },
      { name: 'v6 reassembly spares', value: whole?.spare.length ?? 0, most: config.ipv6.reassemblyDatagrams },
      { name: 'v6 addresses', value: target.interfaces[0].iface.addresses.length, most: 3 },
      { name: 'path mtu', value: ipv4.pathMtu.size, most: config.ipv4.pathMtuEntries },
      { name: 'redirects', value: icmp.redirects.size, most: 64 },
      { name: 'routes', value: ip.routes.entries.length, most: 64 + 4 },
      {
        name: 'timers',
        value: timers.size,
        most: tcp.flowTable.size + (neighbors?.size ?? 0) + (near?.size ?? 0) + 2 * config.ipv4.reassemblyDatagrams + 32,
      },
      { name: 'pool bytes in use', value: pool.inUse, most: 512 << 20 },
    ]
  }

  /** The end: quiet, proof of life, then everything must have been given back. */
  finish(): void {
    const { world } = this
    this.check()
    world.hush()
    // Longer than everything that a forged frame may have set going: TIME-WAIT, reassembly, STALE neighbours, handshakes.
    world.host.advance(300_000)
    world.proveAlive()
    world.hush()
    world.host.advance(1_300_000)
    this.check()
    const left = this.bounds().filter((b) => b.value > ALLOWED_AT_THE_END[b.name])
    if (left.length > 0) throw new Error(`left behind: ${left.map((b) => `${b.name} ${b.value}`).join(', ')}`)
  }

  private report(error: unknown): string {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const frames = this.batch.map((f) => `  ${f.name} meta ${f.meta} ${Buffer.from(f.bytes.subarray(0, 200)).toString('hex')}`)
    return `seed ${this.seed}, after ${this.frames} frames: ${what}\nthe last batch:\n${frames.join('\n')}`
  }
}

/** What an idle stack with one address and one gateway still has. */
const ALLOWED_AT_THE_END: Record<string, number> = {
  connections: 0,
  flows: 0,
  handshakes: 0,
  'time-wait': 0,
  'time-wait queue': 1024,
  neighbors: 1,
  'neighbor queues': 0,
  'reassembly bytes': 0,
  'reassembly datagrams': 0,
  'reassembly spares': 1024,
  'fragment trains': 0,
  'v6 neighbors': 1,
  'v6 neighbor queues': 0,
  'v6 reassembly bytes': 0,
  'v6 reassembly datagrams': 0,
  'v6 reassembly spares': 1024,
  'v6 addresses': 3,
  'path mtu': 0,
  redirects: 0,
  routes: 8,
  timers: 4,
  'pool bytes in use': 0,
}
