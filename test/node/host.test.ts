import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { Task } from '../../src/base/clock.ts'
import { Settled } from '../../src/host-web/web-streams.ts'
import { NodeHost, nodeRandom } from '../../src/node/host.ts'

const hostModule = new URL('../../src/node/host.ts', import.meta.url).href
const root = fileURLToPath(new URL('../..', import.meta.url))

/** Runs a script in a process of its own and gives what it printed. */
function script(body: string): { stdout: string; stderr: string; status: number | null } {
  const text = `import { NodeHost } from ${JSON.stringify(hostModule)}\nconst host = new NodeHost()\n${body}`
  const args = ['--import', 'tsx', '--input-type=module', '-e', text]
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 20_000 })
}

describe('NodeHost', () => {
  it('runs a task soon, after the caller has returned and in order', async () => {
    const host = new NodeHost()
    const log: string[] = []
    await new Promise<void>((resolve) => {
      host.soon({ run: () => log.push('first') })
      host.soon({ run: () => log.push('second') })
      host.soon({ run: resolve })
      log.push('caller')
    })
    expect(log).toEqual(['caller', 'first', 'second'])
  })

  it('runs a task that was handed in by a task, before timers and immediates', async () => {
    const host = new NodeHost()
    const log: string[] = []
    setImmediate(() => log.push('immediate'))
    await new Promise<void>((resolve) => {
      host.soon({ run: () => host.soon({ run: () => log.push('inner') }) })
      setImmediate(resolve)
    })
    expect(log).toEqual(['inner', 'immediate'])
  })

  it('lets promises that were settled for the application come before its next round', async () => {
    const host = new NodeHost()
    const log: string[] = []
    const reader = new Settled<void>()
    const read = (async () => {
      await reader.promise
      for (let i = 0; i < 5; i++) await undefined
      log.push('read')
    })()
    const next: Task = { run: () => log.push('next') }
    host.soon({
      run() {
        reader.resolve()
        host.soon(next)
      },
    })
    await read
    expect(log).toEqual(['read'])
    await new Promise<void>((resolve) => setImmediate(resolve))
    expect(log).toEqual(['read', 'next'])
  })

  it('never starves the event loop, however long the chain of tasks', async () => {
    const host = new NodeHost()
    let rounds = 0
    let stop = false
    const chain: Task = {
      run() {
        rounds++
        if (!stop) host.soon(chain)
      },
    }
    host.soon(chain)
    await new Promise<void>((resolve) => setImmediate(resolve))
    expect(rounds).toBeLessThanOrEqual(129)
    const before = rounds
    await new Promise<void>((resolve) => setImmediate(resolve))
    expect(rounds).toBeGreaterThan(before) // and the chain goes on
    stop = true
  })

  it('goes on with the other tasks when one throws, and reports what it threw', () => {
    const { stdout, stderr, status } = script(`
      process.on('uncaughtException', (e, origin) => console.log('caught', e.message, origin))
      host.soon({ run() { throw new Error('one') } })
      host.soon({ run() { console.log('two') } })
      host.uncaught(new Error('three'))
    `)
    expect(stderr).toBe('')
    expect(stdout.trim().split('\n')).toEqual(['two', 'caught three uncaughtException', 'caught one uncaughtException'])
    expect(status).toBe(0)
  })

  it('ends the process with an uncaught exception that nobody catches', () => {
    const { stderr, status } = script(`host.uncaught(new Error('on its own'))`)
    expect(stderr).toContain('Error: on its own')
    expect(status).toBe(1)
  })

  it('never fires a timer before its time, not even when it was set late in a long callback', async () => {
    const host = new NodeHost()
    // A busy wait before the timer is set: libuv's idea of the time is then this much behind.
    const begin = host.us()
    while (((host.us() - begin) | 0) < 15_000) {
      // spin
    }
    const set = host.us()
    const fired = await new Promise<number>((resolve) => {
      const keep = setInterval(() => {}, 1000)
      host.after(10, {
        run: () => {
          clearInterval(keep)
          resolve(host.us())
        },
      })
    })
    expect((fired - set) | 0).toBeGreaterThanOrEqual(10_000)
  })

  it('forgets a cancelled timer', async () => {
    const host = new NodeHost()
    let fired = false
    const handle = host.after(0, {
      run: () => {
        fired = true
      },
    })
    host.cancel(handle)
    host.cancel(handle)
    await new Promise<void>((resolve) => setTimeout(resolve, 2))
    expect(fired).toBe(false)
  })

  it('takes delays longer than setTimeout knows', () => {
    const { stdout, stderr } = script(
      `host.after(2 ** 40, { run() { console.log('early') } }); setTimeout(() => console.log('end'), 5)`,
    )
    expect(stderr).toBe('')
    expect(stdout).toBe('end\n')
  })

  it('lets the process end with a timer set, keeps it while held', () => {
    expect(script(`host.after(60_000, { run() {} }); console.log('set')`)).toMatchObject({ stdout: 'set\n', status: 0 })
    const held = script(`
      host.hold(); host.hold()
      process.on('exit', () => console.log('exit'))
      setTimeout(() => { host.release(); console.log('one') }, 1).unref()
      setTimeout(() => { host.release(); console.log('none') }, 20).unref()
      setTimeout(() => console.log('never'), 60_000).unref()
    `)
    expect(held.stdout).toBe('one\nnone\nexit\n')
  })

  it('may be held again after it was released', () => {
    const out = script(`
      host.hold(); host.release(); host.release(); host.hold()
      setTimeout(() => { console.log('alive'); host.release() }, 2).unref()
    `)
    expect(out.stdout).toBe('alive\n')
  })

  it('tells the same time in milliseconds, microseconds and by the wall', () => {
    const host = new NodeHost()
    expect(host.ms()).toBe(host.ms() | 0)
    const a = host.us()
    const m = host.ms()
    const b = host.us()
    // ms and us come from one clock: the millisecond read between two microsecond reads lies between them.
    if (a >= 0 && b >= a) {
      expect(m).toBeGreaterThanOrEqual(Math.floor(a / 1000))
      expect(m).toBeLessThanOrEqual(Math.floor(b / 1000))
    }
    const wall = host.wallNs()
    expect(Math.abs(Number(wall / 1_000_000n) - Date.now())).toBeLessThan(1000)
    expect(host.wallNs() >= wall).toBe(true)
  })
})

describe('nodeRandom', () => {
  it('gives int32 values that do not repeat from batch to batch', () => {
    const seen = new Set<number>()
    for (let i = 0; i < 2000; i++) {
      const word = nodeRandom.int32()
      expect(word).toBe(word | 0)
      seen.add(word)
    }
    expect(seen.size).toBeGreaterThan(1990)
  })
})
