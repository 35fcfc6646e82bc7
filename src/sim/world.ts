/**
 * A small world for tests and experiments: stacks, links between them, one virtual clock, one seed. The same seed is the same run.
 *
 *   const world = createWorld({ seed: 7 })
 *   const a = world.stack({ name: 'a' })
 *   const b = world.stack({ name: 'b' })
 *   world.link(a, b, { delay: 20, loss: 0.01 })      // 10.0.0.1/24 and 10.0.0.2/24
 *   world.run(1000)                                  // one second, at once
 */
import type { ConfigOverrides } from '../base/config.ts'
import { invalidArgument } from '../base/errors.ts'
import { SeededRandom } from '../base/random.ts'
import { type FaultLink, fault } from '../link/fault.ts'
import type { FaultOptions } from '../link/impairments.ts'
import { createPipe, type PipeOptions } from '../link/pipe.ts'
import type { AttachedInterface } from '../stack/attached.ts'
import { Stack } from '../stack/stack.ts'
import { VirtualHost } from './virtual-host.ts'

/** The seed, and where the clock begins. */
export interface WorldOptions {
  /** 1 when left out. */
  seed?: number
  /** Where the millisecond clock begins; 2147483647 is just before it wraps. */
  startMs?: number
}

/** Everything of `createPipe` but the names, everything of `fault` (both directions unless said otherwise), and: */
export interface WorldLinkOptions extends Omit<PipeOptions, 'names'>, FaultOptions {
  /** Addresses of the two ends. The n-th link of a world has 10.0.n.1/24 and 10.0.n.2/24, from n = 0, when left out. */
  addresses?: readonly [string, string]
}

/** A link of a world. */
export interface WorldLink {
  /** The interface of the first stack, and of the second. */
  readonly a: AttachedInterface
  readonly b: AttachedInterface
  /** Change the impairments by `faults.set`; a link made without any has them off, and no offload if `wire` was given. */
  readonly faults: FaultLink
}

/** How many links of a chain of promises run before time goes on. */
const PROMISE_DEPTH = 32

/** Stacks and links on one virtual clock. The same seed gives the same world. */
export class World {
  readonly host: VirtualHost
  readonly stacks: Stack[] = []
  readonly links: WorldLink[] = []

  constructor(options: WorldOptions = {}) {
    this.host = new VirtualHost({ seed: options.seed, startMs: options.startMs })
  }

  /** Virtual milliseconds since the world began. */
  get elapsedMs(): number {
    return this.host.elapsedMs
  }

  stack(options: ConfigOverrides = {}): Stack {
    const random = new SeededRandom(this.host.random.int32())
    const stack = new Stack({ host: this.host, random }, { name: `stack${this.stacks.length}`, ...options })
    this.stacks.push(stack)
    return stack
  }

  /** A cable between two stacks; each gets an interface with an address. Throws what `createPipe`, `fault` and `attach` throw. */
  link(a: Stack, b: Stack, options: WorldLinkOptions = {}): WorldLink {
    const { mtu, offload, medium, queueFrames, queueBytes, addresses, ...faults } = options
    const n = this.links.length
    if (addresses === undefined && n > 255) throw invalidArgument('the 257th link of a world needs addresses')
    const [first, second] = addresses ?? [`10.0.${n}.1/24`, `10.0.${n}.2/24`]
    const names = [`link${n}.a`, `link${n}.b`] as const
    const [left, right] = createPipe({ mtu, offload, medium, queueFrames, queueBytes, names })
    const impaired = fault(left, { seed: this.host.random.int32(), ...faults })
    const link = {
      a: a.attach(impaired, { addresses: [first] }),
      b: b.attach(right, { addresses: [second] }),
      faults: impaired,
    }
    this.links.push(link)
    return link
  }

  /** Lets everything happen that happens in the next `ms` milliseconds. Throws what an application handler threw. */
  run(ms: number): void {
    this.host.advance(ms)
  }

  /** Lets things happen until `done()` says so, at most `limitMs`. False: it never did, and the time is at the limit. */
  runUntil(done: () => boolean, limitMs = 60_000): boolean {
    const { host } = this
    const end = host.elapsedMs + limitMs
    while (!done()) {
      const next = host.nextMs
      if (next < 0 || host.elapsedMs + next > end) {
        host.run(end)
        return done()
      }
      host.step()
    }
    return true
  }

  /**
   * Like `runUntil`, for what is awaited (`iface.ready`, `stack.ping`): lets things happen until the promise is settled, and gives what it
   * gives. Rejects with an Error when that takes longer than `limitMs`.
   */
  async settle<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    const { host } = this
    const end = host.elapsedMs + limitMs
    let settled = false
    const mark = (): void => {
      settled = true
    }
    promise.then(mark, mark)
    for (;;) {
      for (let i = 0; i < PROMISE_DEPTH && !settled; i++) await undefined
      if (settled) return promise
      const next = host.nextMs
      if (next < 0) throw new Error(`nothing is left to happen at ${host.elapsedMs} ms, and what is awaited has not`)
      if (host.elapsedMs + next > end) throw new Error(`what is awaited did not happen in ${limitMs} ms`)
      host.step()
    }
  }

  /** Ends every stack. */
  async close(): Promise<void> {
    for (const stack of this.stacks) await stack.close()
  }
}

/** A world without anybody in it yet. */
export function createWorld(options: WorldOptions = {}): World {
  return new World(options)
}
