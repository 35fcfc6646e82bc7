/** Commands in a world of virtual time: what they say, their exit codes, and that nothing of them is left. */
import { expect } from 'vitest'
import { run } from '../../src/cli/run.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'

export interface Said {
  code: number
  out: string[]
  err: string[]
}

/** What a command of this world is run in: its links are `links`, one after the other. */
export class CommandRun {
  readonly out: string[] = []
  readonly err: string[] = []
  readonly stop = new AbortController()
  /** Sees each line that the command says. */
  onLine: (line: string) => void = () => undefined
  readonly context

  constructor(
    readonly world: World,
    links: readonly NetIf[],
  ) {
    let next = 0
    const says = (list: string[]) => (line: string) => {
      list.push(line)
      this.onLine(line)
    }
    this.context = {
      out: says(this.out),
      err: says(this.err),
      openLink: async (): Promise<NetIf> => links[next++],
      platform: { host: world.host, random: world.host.random },
      stop: this.stop.signal,
    }
  }

  start(line: string): Promise<number> {
    return run(line.split(' '), this.context, '1')
  }

  /** Lets time pass until the command has said that it is ready, or anything else that matches. Rejects when a minute has passed. */
  async said(what = /^ready/): Promise<void> {
    const isSaid = (): boolean => [...this.out, ...this.err].some((line) => what.test(line))
    for (let i = 0; i < 600 && !isSaid(); i++)
      await this.world.settle(new Promise<void>((r) => this.world.host.after(100, { run: r })))
    if (!isSaid()) throw new Error(`${what} was not said: ${[...this.out, ...this.err].join('\n')}`)
  }

  /** Runs a command to its end, after which nothing of it is left. */
  async exec(line: string): Promise<Said> {
    const code = await this.world.settle(this.start(line), 3_600_000)
    expect(this.world.host.holds).toBe(0)
    return { code, out: this.out, err: this.err }
  }
}

/** A command on one end of a link, and on the other a stack that is 10.0.0.1. */
export class CommandLab extends CommandRun {
  readonly peer: Stack
  readonly near: NetIf
  readonly far: NetIf

  constructor(addresses: readonly string[] = ['10.0.0.1/24']) {
    const world = createWorld({ seed: 9 })
    const [near, far] = createPipe({ names: ['tap0', 'far'] })
    super(world, [near])
    this.near = near
    this.far = far
    this.peer = world.stack({ name: 'peer' })
    this.peer.attach(far, { addresses, probe: false, mac: '02:00:00:00:00:01' })
  }
}
