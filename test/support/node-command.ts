/** A command that uses Node's shape, 10.0.0.2 on one end of a pipe; on the other a stack that is 10.0.0.1 and fd00::1. When it is over nothing is left of either. */
import { createPipe } from '../../src/link/pipe.ts'
import { createStack, type NodeStack } from '../../src/node/stack.ts'
import { type Begun, begin, type Surroundings } from './begun-command.ts'
import { CountedHost, expectNothingOpen } from './two-stacks.ts'

export type Begin = (line: string | readonly string[], more?: Partial<Surroundings>) => Begun

/** The link is one pipe: a test begins one command. */
export async function withCommand(test: (peer: NodeStack, begin: Begin) => Promise<void>): Promise<void> {
  const host = new CountedHost()
  const peer = createStack({ name: 'peer', host })
  const [near, far] = createPipe({ names: ['tap0', 'far'] })
  peer.attach(far, { addresses: ['10.0.0.1/24', 'fd00::1/64'], probe: false })
  let begun: Begun | null = null
  try {
    await test(peer, (line, more = {}) => {
      begun = begin({ openLink: async () => near, host, ...more }, line)
      return begun
    })
    await (begun as Begun | null)?.ended
    await expectNothingOpen(host, [peer])
  } finally {
    await peer.close()
  }
}
