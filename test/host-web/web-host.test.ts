import { describe, expect, it } from 'vitest'
import { WebHost, type WebPlatform, WebRandom } from '../../src/host-web/web-host.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { startServices } from '../../src/services/inetd.ts'
import { createStack } from '../../src/stack/create.ts'

/** A platform under the test's thumb: nothing runs until it is asked to. */
function platform(kind: 'immediate' | 'channel' | 'bare' = 'bare') {
  const log: string[] = []
  const microtasks: (() => void)[] = []
  const macrotasks: (() => void)[] = []
  const timers = new Map<number, { run: () => void; ms: number }>()
  let now = 1000.25
  let ids = 0
  const channel = class {
    port1 = { onmessage: null as (() => void) | null, postMessage: () => undefined, unref: () => log.push('unref') }
    port2 = { onmessage: null, postMessage: () => void macrotasks.push(() => this.port1.onmessage?.()) }
  }
  const web: WebPlatform = {
    setTimeout: (run, ms) => {
      timers.set(++ids, { run, ms })
      return ids
    },
    clearTimeout: (id) => void timers.delete(id as number),
    setInterval: (_, ms) => void log.push(`interval ${ms}`),
    clearInterval: () => log.push('cleared'),
    queueMicrotask: (run) => void microtasks.push(run),
    performance: { timeOrigin: 1_700_000_000_000.5, now: () => now },
    crypto: { getRandomValues: (words) => words.fill(7) },
    ...(kind === 'immediate' ? { setImmediate: (run: () => void) => void macrotasks.push(run) } : {}),
    ...(kind === 'channel' ? { MessageChannel: channel } : {}),
    Deno: { unrefTimer: (id) => void log.push(`deno unref ${id}`) },
  }
  return {
    web,
    log,
    microtasks,
    macrotasks,
    timers,
    pass: (ms: number) => {
      now += ms
    },
  }
}

describe('WebHost', () => {
  it('tells the time in wrapping integers, and the wall clock to the nanosecond', () => {
    const { web, pass } = platform()
    const host = new WebHost(web)
    expect([host.ms(), host.us()]).toEqual([1000, 1_000_250])
    expect(host.wallNs()).toBe(1_700_000_001_000_750_000n)
    pass(2 ** 31)
    expect(host.ms()).toBe((2 ** 31 + 1000) | 0)
  })

  it('runs soon as a microtask, once for all that was asked', () => {
    const { web, microtasks } = platform()
    const host = new WebHost(web)
    const seen: string[] = []
    host.soon({ run: () => seen.push('a') })
    host.soon({ run: () => seen.push('b') })
    expect(seen).toEqual([])
    expect(microtasks.length).toBe(1)
    microtasks.shift()!()
    expect(seen).toEqual(['a', 'b'])
  })

  for (const kind of ['immediate', 'channel', 'bare'] as const) {
    it(`lets the event loop turn after many microtasks in a row (${kind})`, () => {
      const { web, microtasks, macrotasks, timers } = platform(kind)
      const host = new WebHost(web)
      let rounds = 0
      const again = {
        run() {
          rounds++
          host.soon(again)
        },
      }
      host.soon(again)
      const drain = (): void => {
        for (let next = microtasks.shift(); next !== undefined; next = microtasks.shift()) next()
      }
      drain()
      const first = rounds
      expect(first).toBeGreaterThan(10)
      expect(first).toBeLessThan(1000)
      const wait = kind === 'bare' ? [...timers.values()].map((t) => t.run) : macrotasks
      expect(wait.length).toBe(1)
      wait.shift()!()
      drain()
      expect(rounds).toBe(2 * first)
    })
  }

  it('never fires a timer early, and not at all when cancelled', () => {
    const { web, timers, pass, log } = platform()
    const host = new WebHost(web)
    let fired = 0
    const task = { run: () => void fired++ }
    host.after(10, task)
    const [[id, timer]] = timers
    expect([timer.ms, log]).toEqual([10, [`deno unref ${id}`]])
    timers.delete(id)
    pass(9.5) // the platform's own clock is coarser than ours
    timer.run()
    expect([fired, timers.size, [...timers.values()][0].ms]).toEqual([0, 1, 1])
    pass(0.5)
    ;[...timers.values()][0].run()
    expect(fired).toBe(1)
    timers.clear()
    const handle = host.after(1e12, task)
    expect([...timers.values()][0].ms).toBe(0x7fffffff)
    host.cancel(handle)
    expect(timers.size).toBe(0)
  })

  it('keeps the process alive while somebody holds', () => {
    const { web, log } = platform()
    const host = new WebHost(web)
    host.hold()
    host.hold()
    host.release()
    expect(log).toEqual(['interval 2147483647'])
    host.release()
    host.release()
    expect(log).toEqual(['interval 2147483647', 'cleared'])
  })

  it('reports what a task throws and runs the others', () => {
    const { web, microtasks, timers } = platform()
    const reported: unknown[] = []
    const host = new WebHost({ ...web, reportError: (e) => void reported.push(e) })
    const bad = {
      run() {
        throw new Error('bad')
      },
    }
    let ran = false
    host.soon(bad)
    host.soon({ run: () => (ran = true) })
    microtasks.shift()!()
    expect([ran, reported.map(String)]).toEqual([true, ['Error: bad']])
    new WebHost(web).uncaught(new Error('worse'))
    expect([...timers.values()][0].run).toThrow('worse')
  })

  it('hands out random words once', () => {
    const { web } = platform()
    const random = new WebRandom(web)
    expect([...Array(300)].map(() => random.int32()).every((w) => w === 7)).toBe(true)
  })
})

describe('createStack of the core', () => {
  it('makes stacks that talk on the platform they are on', async () => {
    const [a, b] = createPipe()
    const client = createStack({ name: 'client', tcp: { noDelay: true } })
    const server = createStack()
    client.attach(a, { addresses: ['10.0.0.1/24'] })
    server.attach(b, { addresses: ['10.0.0.2/24'] })
    startServices(server)
    const text = await new Promise<string>((resolve, reject) => {
      const bytes = new Uint8Array(64)
      client.tcp.open(
        { remoteAddress: '10.0.0.2', remotePort: 7 },
        {
          onConnect: (c) => void c.write(new TextEncoder().encode('hello'), 0, 5),
          onReadable: (c) => resolve(new TextDecoder().decode(bytes.subarray(0, c.read(bytes, 0, 64)))),
          onClose: (_, error) => reject(error),
        },
      )
    })
    expect(text).toBe('hello')
    expect(client.config.tcp.noDelay).toBe(true)
    await client.close()
    await server.close()
  })
})
