/** Commands on a tap of this namespace, against the kernel and the tools that they are named after. They run in this process: starting one for each takes longer than they do. */
import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLink } from '../../../src/backend/open-link.ts'
import { nodeHost } from '../../../src/node/host.ts'
import { type Begun, begin as beginOn } from '../../support/begun-command.ts'
import { noise, run, serve, sh, sha256, until } from './lab.ts'

/** The tap is kept, so that the kernel's side has the same MAC address for all. */
beforeAll(() => {
  sh('ip link set lo up; ip tuntap add dev tap0 mode tap; ip addr add 10.0.0.1/24 dev tap0; ip link set tap0 up')
  sh('echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcasts')
})

afterAll(() => void spawnSync('ip', ['link', 'del', 'tap0']))

const begin = (line: string | readonly string[]): Begun => beginOn({ openLink, host: nodeHost }, line)
const kernelMac = (): string => /ether ([\da-f:]+)/.exec(sh('ip link show tap0'))![1]

describe('tapstack arping', () => {
  it('asks the kernel for its address, and pings its MAC address', async () => {
    const byAddress = begin('arping -c 2 -i 0.2 10.0.0.1')
    expect(await byAddress.ended).toBe(0)
    const lines = byAddress.said.split('\n')
    expect(lines[2]).toMatch(new RegExp(`^42 bytes from ${kernelMac()} \\(10\\.0\\.0\\.1\\): index=1 time=[\\d.]+ [mu]sec$`))
    const byMac = begin(`arping -c 1 ${kernelMac()}`)
    expect(await byMac.ended).toBe(0)
    expect(byMac.said).toContain(`\n62 bytes from ${kernelMac()} (10.0.0.1): icmp_seq=0 time=`)
  })

  it('-D sees that the kernel has an address; -A makes it learn ours anew', async () => {
    const taken = begin('arping -D 10.0.0.1')
    expect(await taken.ended).toBe(1)
    expect(taken.said).toContain(`Unicast reply from 10.0.0.1 [${kernelMac().toUpperCase()}]`)
    const telling = begin('arping -A -i 0.1 --mac 02:00:00:00:00:55 10.0.0.2')
    await telling.until(/^ARPING/)
    sh('ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:99 dev tap0 nud stale')
    await until(() => sh('ip neigh show 10.0.0.2').includes('02:00:00:00:00:55'))
    expect(await telling.stop()).toBe(0)
  })
})

describe('tapstack nc', () => {
  it('sends a megabyte to nc of the host, and receives one from it', async () => {
    const sent = noise(1 << 20, 3)
    const there = await serve('nc', ['-n', '-v', '-l', '10.0.0.1', '5000'], /Listening on/)
    const here = begin('nc -N 10.0.0.1 5000')
    here.input.end(sent)
    expect([await here.ended, await there.closed]).toEqual([0, 0])
    expect(sha256(there.received)).toBe(sha256(sent))
    const listening = begin('nc -v -l 5000')
    await listening.until(/^Listening/)
    expect((await run('exec nc -n -N 10.0.0.2 5000', { input: sent })).code).toBe(0)
    expect(await listening.ended).toBe(0)
    expect(sha256(listening.bytes())).toBe(sha256(sent))
  })

  it('-l is found by nc -z of the host and hears what nc says, by UDP too', async () => {
    const here = begin('nc -k -v -l 5000')
    await here.until(/^Listening/)
    expect((await run('exec nc -n -z 10.0.0.2 5000')).code).toBe(0)
    expect((await run('exec nc -n -N 10.0.0.2 5000', { input: Buffer.from('hello') })).code).toBe(0)
    await until(() => here.bytes().toString() === 'hello')
    expect(await here.stop()).toBe(130)
    const heard = begin('nc -u -v -l 5000')
    heard.input.write('welcome')
    await heard.until(/^Bound/)
    expect((await run('exec nc -n -u -w 1 10.0.0.2 5000', { input: Buffer.from('hello') })).out).toBe('welcome')
    expect(heard.bytes().toString()).toBe('hello')
  })
})
