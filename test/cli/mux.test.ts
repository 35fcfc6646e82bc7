import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openMux } from '../../src/backend/mux-client.ts'
import { run } from '../../src/cli/run.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { nodeHost, nodeRandom } from '../../src/node/host.ts'
import { scratchFolder } from '../support/scratch.ts'
import { until } from '../support/until.ts'

const dir = scratchFolder('mux-cli')

function command() {
  const out: string[] = []
  const err: string[] = []
  const opened: string[] = []
  const links = new Set<NetIf>()
  const stop = new AbortController()
  const context = {
    out: (line: string) => void out.push(line),
    err: (line: string) => void err.push(line),
    openLink: async (url: string): Promise<NetIf> => {
      opened.push(url)
      const [link] = createPipe({ names: [url.replace(/^.*\//, ''), 'far'] })
      const close = link.close.bind(link)
      links.add(link)
      link.close = () => {
        links.delete(link)
        return close()
      }
      return link
    },
    platform: { host: nodeHost, random: nodeRandom },
    stop: stop.signal,
  }
  const start = (...args: string[]): Promise<number> => run(['mux', ...args], context, '1')
  const says = (line: RegExp): Promise<void> =>
    until(
      () => out.some((said) => line.test(said)),
      () => `${line}: ${out}`,
    )
  return { out, err, opened, links, stop, start, says }
}

describe('tapstack mux', () => {
  it('shares its links, tells of clients, and leaves nothing', async () => {
    const { out, opened, stop, start, says } = command()
    const path = join(dir, 'a.sock')
    const macs = ['--device-mac', '52:54:00:12:34:56', '--device-mac', '02:00:00:00:00:07']
    const done = start('-l', 'tap://tap0', '-l', 'tap://tap1', ...macs, '--name', 'shared', '--socket', path, '--verbose')
    await says(/^ready: shared at \/.*a\.sock$/)
    expect(opened).toEqual(['tap://tap0', 'tap://tap1'])
    expect(out.slice(0, 3)).toEqual([
      'lo: loopback, 00:00:00:00:00:00',
      expect.stringMatching(/^eth0: tap0: .*, 52:54:00:12:34:56$/),
      expect.stringMatching(/^eth1: tap1: .*, 02:00:00:00:00:07$/),
    ])
    const link = await openMux({ path, device: 'eth1', mac: 'device' })
    await expect(openMux({ path, device: 'eth5' })).rejects.toMatchObject({ code: 'ENODEV' })
    await link.close()
    await says(/gone/)
    expect(out.slice(4)).toEqual([
      'client 0: eth1 02:00:00:00:00:07 (device)',
      'refused: No device eth5: lo, eth0, eth1 can be opened',
      'client 0: eth1 02:00:00:00:00:07 gone',
    ])
    stop.abort()
    expect(await done).toBe(0)
    await expect(openMux({ path })).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it.each([
    [['--socket', '/x', '--listen', '1.2.3.4:5'], /--socket and --listen: one of them/],
    [['--listen', '5000'], /--listen 5000: HOST:PORT is expected/],
    [['--listen', 'h:70000'], /HOST:PORT is expected/],
    [['--device-mac', '01:00:5e:00:00:01'], /it is a group's/],
    [['--socket', '/nowhere/x'], /there is no directory \/nowhere/],
    [['--name', 'a/b'], /Invalid name of a multiplexer "a\/b"/],
    [['--device-mac', '02:00:00:00:00:01', '--device-mac', '02:00:00:00:00:02'], /--device-mac: there are 2, and 1 of --link/],
    [['--device-mac', 'mine', '--socket', '/nowhere/x'], /Invalid MAC address: mine/],
    [
      ['-l', 'tap://tap0', '-l', 'tap://tap1', '--device-mac', '02:00:00:00:00:01', '--device-mac', 'no'],
      /Invalid MAC address: no/,
    ],
  ])('refuses %j', async (args, message) => {
    const { err, out, links, start } = command()
    expect([await start(...args), links.size]).toEqual([2, 0])
    expect([err.length, out.filter((line) => line.startsWith('ready'))]).toEqual([1, []])
    expect(err[0]).toMatch(message)
  })
})
