/** Commands in this process, on Node's own host: their lines, their bytes, their exit codes. What a test leaves running is stopped after it. */
import { PassThrough } from 'node:stream'
import { afterEach } from 'vitest'
import type { Host } from '../../src/base/clock.ts'
import { run } from '../../src/cli/run.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { nodeRandom } from '../../src/node/host.ts'

export interface Begun {
  /** All lines, of both outputs. */
  readonly said: string
  /** The lines of standard error. */
  readonly errors: string[]
  readonly input: PassThrough
  readonly output: PassThrough
  /** What it wrote to standard output as bytes. */
  bytes(): Buffer
  /** Resolves when a line matches; rejects when it ends before. */
  until(what: RegExp): Promise<void>
  /** Ctrl-C. Resolves with the exit code. */
  stop(): Promise<number>
  readonly ended: Promise<number>
}

const running = new Set<() => Promise<number>>()

afterEach(async () => {
  for (const stop of running) await stop()
})

export interface Surroundings {
  openLink(url: string): Promise<NetIf>
  host: Host
  /** Nobody reads standard output until the test does. */
  stuck?: boolean
}

export function begin({ openLink, host, stuck = false }: Surroundings, line: string | readonly string[]): Begun {
  const lines: string[] = []
  const errors: string[] = []
  const written: Buffer[] = []
  const input = new PassThrough()
  const output = new PassThrough()
  if (!stuck) output.on('data', (chunk: Buffer) => written.push(chunk))
  const signal = new AbortController()
  let look = (): void => undefined
  const say = (text: string): void => {
    lines.push(text)
    look()
  }
  const context = {
    out: say,
    err(text: string) {
      errors.push(text)
      say(text)
    },
    openLink,
    platform: { host, random: nodeRandom },
    stop: signal.signal,
    input: () => input,
    output: () => output,
  }
  const ended = run(typeof line === 'string' ? line.split(' ') : line, context, '1').then(async (code) => {
    await new Promise((resolve) => setImmediate(resolve)) // what was written has come out of the stream
    return code
  })
  const stop = (): Promise<number> => {
    signal.abort()
    return ended
  }
  running.add(stop)
  void ended.then(() => running.delete(stop))
  return {
    get said() {
      return lines.join('\n')
    },
    errors,
    input,
    output,
    bytes: () => Buffer.concat(written),
    until: (what) =>
      new Promise((resolve, reject) => {
        look = () => lines.some((l) => what.test(l)) && resolve()
        look()
        void ended.then(() => reject(new Error(`ended without ${what}:\n${lines.join('\n')}`)))
      }),
    stop,
    ended,
  }
}
