import { describe, expect, it } from 'vitest'
import { Interrupted } from '../../src/cli/command.ts'
import { run } from '../../src/cli/run.ts'
import { unlessStopped } from '../../src/cli/stop.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'

function link(): { link: NetIf; closes: () => number } {
  const [end] = createPipe()
  let closes = 0
  end.close = () => void closes++
  return { link: end, closes: () => closes }
}

describe('a link that is being opened when the command is to stop', () => {
  it('is not waited for, and closed when it comes after all', async () => {
    const stop = new AbortController()
    const late = link()
    let open: (link: NetIf) => void = () => undefined
    const opened = unlessStopped(new Promise((resolve) => (open = resolve)), stop.signal)
    stop.abort()
    await expect(opened).rejects.toThrow(Interrupted)
    open(late.link)
    await Promise.resolve()
    expect(late.closes()).toBe(1)
  })

  it('is the link when it came first, and the error when that did', async () => {
    const stop = new AbortController()
    const early = link()
    expect(await unlessStopped(Promise.resolve(early.link), stop.signal)).toBe(early.link)
    await expect(unlessStopped(Promise.reject(new Error('no')), stop.signal)).rejects.toThrow('no')
    stop.abort()
    await Promise.resolve()
    expect(early.closes()).toBe(0)
  })

  it.each(['tunnel', 'switch', 'mux', 'echo'])('ends %s with 130 and without a word, what was open closed', async (command) => {
    const stop = new AbortController()
    const host = new VirtualHost()
    const said: string[] = []
    const say = (line: string): void => void said.push(line)
    const first = link()
    const links = command === 'tunnel' || command === 'switch' ? [first.link] : []
    const next = (): Promise<NetIf> => {
      const had = links.pop()
      if (had !== undefined) return Promise.resolve(had)
      stop.abort()
      return new Promise(() => undefined)
    }
    const context = {
      out: say,
      err: say,
      openLink: () => unlessStopped(next(), stop.signal),
      platform: { host, random: host.random },
      stop: stop.signal,
    }
    const words = command === 'tunnel' || command === 'switch' ? ['tap://tap0', 'tunnel+tcp://192.0.2.1:5'] : []
    expect([await run([command, ...words], context, '1'), said, host.holds]).toEqual([130, [], 0])
    if (words.length > 0) expect(first.closes()).toBeGreaterThan(0)
  })
})
