/** A network for commands that use sockets in Node's shape, and whose standard output is data: what is said goes to standard error. */
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { NodeStack } from '../node/stack.ts'
import { type Context, Interrupted, type Values } from './command.ts'
import { type Network, openNetwork } from './network.ts'

export interface NodeNetwork extends Network {
  readonly stack: NodeStack
}

/** As `openNetwork`. */
export async function openNodeNetwork(context: Context, values: Values): Promise<NodeNetwork> {
  const made: { stack?: NodeStack } = {}
  const make = (options: ConstructorParameters<typeof NodeStack>[0]): NodeStack => {
    made.stack = new NodeStack(options)
    return made.stack
  }
  const network = await openNetwork(context, values, { make })
  return { ...network, stack: made.stack! }
}

/** The same context, in which nothing is said on standard output. */
export function forData(context: Context): Context {
  return { ...context, out: (line) => context.err(line) }
}

/** Standard input, or nothing where there is none. */
export function inputOf(context: Context): Readable {
  return context.input?.() ?? new PassThrough().end()
}

/** Standard output, or nowhere where there is none. */
export function outputOf(context: Context): Writable {
  return context.output?.() ?? new PassThrough().resume()
}

/** What `work` gives, unless the command is to stop (Interrupted) or the link ends before. */
export async function unlessEnded<T>(context: Context, network: Pick<Network, 'broken'>, work: Promise<T>): Promise<T> {
  let onStop = (): void => undefined
  const stop = new Promise<never>((_, reject) => {
    onStop = () => reject(new Interrupted('interrupted'))
    if (context.stop.aborted) onStop()
    else context.stop.addEventListener('abort', onStop, { once: true })
  })
  work.catch(() => undefined) // when something else came first, nobody asks
  try {
    return await Promise.race([work, network.broken, stop])
  } finally {
    context.stop.removeEventListener('abort', onStop)
  }
}

/** How long the last bytes may take to arrive, in ms, and how often that is looked at. */
const LAST_MS = 5000
const LOOK_MS = 10
/** States in which nothing of ours is on the way. */
const SAID: readonly string[] = ['LISTEN', 'FIN-WAIT-2', 'TIME-WAIT']

/** Resolves when the other sides have all that was sent, or do not want it: a stack that is closed resets what is still open. */
export async function allSaid({ stack }: NodeNetwork): Promise<void> {
  const { host } = stack
  const end = host.ms() + LAST_MS
  const isOpen = (): boolean => stack.connections().some(({ state }) => !SAID.includes(state))
  while (isOpen() && ((host.ms() - end) | 0) < 0) await new Promise<void>((resolve) => host.after(LOOK_MS, { run: resolve }))
}
