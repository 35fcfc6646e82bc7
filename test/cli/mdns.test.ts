import { describe, expect, it } from 'vitest'
import { run } from '../../src/cli/run.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'

/** Runs a command beside a stack with a service; `watch` sees each line of its output, and may stop it. */
async function exec(line: string[], watch: (out: string[], stop: () => void, far: Stack) => void = () => undefined) {
  const world = createWorld({ seed: 3 })
  const far = world.stack({ mdns: { host: 'far', ipv6: false } })
  const [left, right] = createPipe()
  far.attach(right, { addresses: ['10.0.0.1/24'], probe: false })
  const service = far.mdns.publish({ name: 'My web', type: '_http._tcp', port: 80, txt: { path: '/\u001b[1m', on: true } })
  world.run(3000)
  const [out, err]: string[][] = [[], []]
  const stop = new AbortController()
  const said = (list: string[]) => (text: string) => {
    list.push(text)
    watch(out, () => stop.abort(), far)
  }
  const platform = { host: world.host, random: world.host.random }
  const say = said(out)
  const told = (text: string): void => {
    expect(world.host.holds).toBeGreaterThan(1) // the service's, and the command's: it must not end by itself
    say(text)
  }
  const context = { out: told, err: said(err), openLink: async () => left, platform, stop: stop.signal }
  const code = await world.settle(run(line, context, '1'), 3_600_000)
  service.close()
  await far.close()
  expect(world.host.holds).toBe(0)
  return { code, out, err }
}

describe('names of the link', () => {
  it('tapstack resolve, ping', async () => {
    expect(await exec(['resolve', 'far.local'])).toEqual({ code: 0, out: ['10.0.0.1'], err: [] })
    const { code, out } = await exec(['ping', '-c', '1', 'far.local'])
    expect([code, out[0]]).toEqual([0, 'PING far.local (10.0.0.1) 56(84) bytes of data.'])
  })

  it('tapstack browse: types, services; nothing', async () => {
    expect(await exec(['browse'])).toEqual({ code: 0, out: ['_http._tcp'], err: [] })
    const line = '+ My web _http._tcp far.local:80 10.0.0.1 path=/?[1m on'
    expect(await exec(['browse', '_http._tcp'])).toEqual({ code: 0, out: [line], err: [] })
    expect(await exec(['browse', '-t', '0', '_http._tcp'], (_, stop) => stop())).toEqual({ code: 0, out: [line], err: [] })
    expect((await exec(['browse', '_ipp._tcp'])).code).toBe(1)
  })

  it('tapstack publish: a service under another name, the host; until it is stopped', async () => {
    const heard: string[] = []
    const both = await exec(['publish', '--host', 'far', 'My web', '_http._tcp', '8080', 'a=b'], async (out, stop, far) => {
      if (out.length < 2) return
      const { host, txt } = await far.mdns.resolve('My web (2)', '_http._tcp')
      heard.push(`${host} ${txt.a}`)
      stop()
    })
    expect(both).toEqual({ code: 0, out: ['host far-2.local', 'service My web (2)'], err: [] })
    expect(heard).toEqual(['far-2.local b'])
    expect((await exec(['publish'], (_, stop) => stop())).out).toEqual(['host tapstack.local'])
  })

  it.each([
    [['browse', 'http'], 'http is no type of service'],
    [['browse', '-t', '0'], '--time 0 needs a type'],
    [['publish', '--host', 'a b'], 'a b is no host name of the link'],
    [['publish', 'Name', '_http._tcp'], 'NAME, TYPE and PORT'],
    [['publish', 'Name', '_http._tcp', '70000'], '70000'],
  ])('%j: exit code 2', async (line, why) => {
    const { code, err } = await exec(line)
    expect(code).toBe(2)
    expect(err[0]).toContain(why)
  })
})
