/** A command on one end of a link in a world of its own, and on the other a stack that is 10.0.0.1. */
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

export class CommandLab {
  readonly world: World = createWorld({ seed: 9 })
  readonly peer: Stack
  readonly near: NetIf
  readonly far: NetIf
  readonly stop = new AbortController()
  readonly out: string[] = []
  readonly err: string[] = []
  /** Sees each line that the command says. */
  onLine: (line: string) => void = () => undefined
  private readonly says = (list: string[]) => (line: string) => {
    list.push(line)
    this.onLine(line)
  }

  constructor(addresses: readonly string[] = ['10.0.0.1/24']) {
    this.peer = this.world.stack({ name: 'peer' })
    ;[this.near, this.far] = createPipe({ names: ['tap0', 'far'] })
    this.peer.attach(this.far, { addresses, probe: false, mac: '02:00:00:00:00:01' })
  }

  get context() {
    return {
      out: this.says(this.out),
      err: this.says(this.err),
      openLink: async (): Promise<NetIf> => this.near,
      platform: { host: this.world.host, random: this.world.host.random },
      stop: this.stop.signal,
    }
  }

  start(line: string): Promise<number> {
    return run(line.split(' '), this.context, '1')
  }

  /** Runs a command to its end, after which nothing of it is left. */
  async exec(line: string): Promise<Said> {
    const code = await this.world.settle(this.start(line), 3_600_000)
    expect(this.world.host.holds).toBe(0)
    return { code, out: this.out, err: this.err }
  }
}
