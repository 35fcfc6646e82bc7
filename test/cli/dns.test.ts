import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'
import { CommandRun } from '../support/command-lab.ts'
import { DnsAsker } from '../support/dns-asker.ts'
import { a, TestServer, zone } from '../support/dns-server.ts'
import { scratchFolder } from '../support/scratch.ts'

const dir = scratchFolder('dns')
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}

/** Begins the command; what it says, and who asks it. */
async function begin(line: string) {
  const world = createWorld({ seed: 6 })
  const peer = world.stack({ arp: { probe: false } })
  const [near, far] = createPipe({ names: ['tap0', 'far'] })
  peer.attach(far, { addresses: ['10.0.0.1/24', '10.0.0.9/24'] })
  const command = new CommandRun(world, [near])
  const { out, err, stop } = command
  const ended = command.start(line)
  for (let i = 0; i < 100 && out.length + err.length === 0; i++) {
    world.run(100)
    for (let j = 0; j < 50; j++) await undefined
  }
  const end = async (): Promise<number> => {
    stop.abort()
    const code = await world.settle(ended)
    await world.close()
    expect(world.host.holds).toBe(0)
    return code
  }
  return { world, peer, out, err, end, asker: new DnsAsker(world, peer, '10.0.0.2') }
}

describe('tapstack dns', () => {
  it('serves master files, hosts, and what others know, by domain', async () => {
    const named = file('lab', 'www A 10.0.0.5\n@ MX 10 www')
    const unnamed = file('own', '$ORIGIN own.test.\n@ SOA ns host 1 2 3 4 5\nx A 10.0.0.6')
    const hosts = file('hosts', '10.0.0.7 nas')
    const l = await begin(
      `dns --zone lab.test=${named} --zone ${unnamed} --hosts ${hosts} --forward 10.0.0.1 --forward corp.test=10.0.0.9`,
    )
    expect(l.err).toEqual([])
    expect(l.out).toEqual(['ready: 10.0.0.2 on tap0 port 53, lab.test (3 records), own.test (2 records)'])
    new TestServer(l.peer, zone(a('www.example', '192.0.2.1')), '10.0.0.1')
    new TestServer(l.peer, zone(a('x.corp.test', '192.0.2.2')), '10.0.0.9')
    expect(
      ['www.lab.test', 'x.own.test', 'nas', 'www.example', 'x.corp.test', 'lab.test'].map((name) => l.asker.ask(name)),
    ).toEqual([
      'NOERROR aa ra: www.lab.test A 10.0.0.5',
      'NOERROR aa ra: x.own.test A 10.0.0.6',
      'NOERROR aa ra: nas A 10.0.0.7',
      'NOERROR ra: www.example A 192.0.2.1',
      'NOERROR ra: x.corp.test A 192.0.2.2',
      'NOERROR aa ra: | lab.test SOA',
    ])
    expect(await l.end()).toBe(0)
  })

  it('another port; answers that lead inside are refused; transfers to whom they are allowed', async () => {
    const l = await begin(
      `dns --port 5300 --forward 10.0.0.1 --stop-rebind --allow-transfer 10.0.0.9 --zone lab=${file('x', 'a A 10.0.0.1')}`,
    )
    new TestServer(l.peer, zone(a('evil.example', '10.0.0.1')), '10.0.0.1')
    const asker = new DnsAsker(l.world, l.peer, '10.0.0.2', 5300)
    expect(asker.ask('evil.example')).toBe('REFUSED ra:')
    expect(asker.ask('lab', 'TYPE252')).toBe('REFUSED ra:')
    expect(await l.end()).toBe(0)
  })

  it.each([
    [`dns --zone ${dir}/nothing`, /^tapstack dns: --zone .*nothing: ENOENT/],
    [`dns --zone lab=${dir}/bad`, /^tapstack dns: --zone .*bad: line 2: A: its address: x is no IPv4 address/],
    [`dns --zone ${dir}/none`, /^tapstack dns: --zone .*none: a zone needs a name, or an SOA record that has it/],
    ['dns --forward here', /^tapstack dns: Invalid IP address: here/],
    ['dns --allow-forward 10.0.0.0/33', /^tapstack dns: Invalid prefix length/],
  ])('%s is refused', async (line, words) => {
    file('bad', '@ A 10.0.0.1\nwww A x')
    file('none', 'www.lab. A 10.0.0.1')
    const l = await begin(line)
    expect(l.err).toEqual([expect.stringMatching(words)])
    expect(await l.end()).toBe(2)
  })
})
