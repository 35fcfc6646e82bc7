/** Two stacks of Node on one wire, and the proof that what ran on them left nothing behind. */
import { expect } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { NodeHost } from '../../src/node/host.ts'
import { createStack, type NodeStack } from '../../src/node/stack.ts'

/** Node's host that tells whether anybody keeps the process alive. */
export class CountedHost extends NodeHost {
  held = 0

  override hold(): void {
    this.held++
    super.hold()
  }

  override release(): void {
    this.held--
    super.release()
  }
}

/** What is open; what was a connection and waits for its old segments to die is not. */
export const openConnections = (stack: NodeStack): string[] =>
  stack
    .connections()
    .filter(({ state }) => state !== 'TIME-WAIT')
    .map(({ state, local, remote }) => `${state} ${local} ${remote}`)

/** Turns of the event loop that a connection may take to say good-bye. */
const TURNS = 10_000

/** Nothing is open, and nothing keeps the process alive: neither a socket nor a server. */
export async function expectNothingOpen(host: CountedHost, stacks: NodeStack[]): Promise<void> {
  const left = (): unknown => ({ held: host.held, open: stacks.flatMap(openConnections), owned: stacks.map((s) => s.owned.size) })
  const nothing = { held: 0, open: [], owned: stacks.map(() => 0) }
  for (let i = 0; i < TURNS && JSON.stringify(left()) !== JSON.stringify(nothing); i++) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(left()).toEqual(nothing)
}

/** `here` is 10.0.0.1, `there` 10.0.0.2. What `run` opens it also closes: otherwise the test fails. */
export async function withTwoStacks(
  run: (here: NodeStack, there: NodeStack, host: { readonly held: number }) => Promise<void>,
): Promise<void> {
  const host = new CountedHost()
  const [near, far] = createPipe()
  const here = createStack({ name: 'here', host })
  const there = createStack({ name: 'there', host })
  here.attach(near, { addresses: ['10.0.0.1/24'] })
  there.attach(far, { addresses: ['10.0.0.2/24'] })
  try {
    await run(here, there, host)
    await expectNothingOpen(host, [here, there])
  } finally {
    await Promise.all([here.close(), there.close()])
  }
}
