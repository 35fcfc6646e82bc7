import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { createWorld } from '../../src/sim/world.ts'
import { CommandRun, type Said } from '../support/command-lab.ts'
import { type PathOptions, RoutedPath } from '../support/routed-path.ts'

/** Runs a command to its end on a link. */
const exec = (link: NetIf, line: string, world = createWorld({ seed: 3 })): Promise<Said> =>
  new CommandRun(world, [link]).exec(line)

const ROUTERS4 = ['10.0.0.1', '10.1.0.1', '10.2.0.1']
const ROUTERS6 = ['fd00::1', 'fd01::1', 'fd02::1']

const path4 = (options: Partial<PathOptions> = {}): RoutedPath =>
  new RoutedPath({ routers: ROUTERS4.map((address) => ({ address })), host: '10.9.0.9', ...options })
const path6 = (options: Partial<PathOptions> = {}): RoutedPath =>
  new RoutedPath({ routers: ROUTERS6.map((address) => ({ address })), host: 'fd09::9', ...options })

const OURS6 = '-a fd00::2/64 -g fd00::1'

describe('tapstack traceroute', () => {
  it.each(['', '-I', '-T', '-U'])('%s looks as traceroute(8) does', async (method) => {
    const { code, out } = await exec(path4(), `traceroute -g 10.0.0.1 10.9.0.9 ${method}`.trim())
    expect(code).toBe(0)
    expect(out).toEqual([
      'traceroute to 10.9.0.9 (10.9.0.9), 30 hops max, 60 byte packets',
      ' 1  10.0.0.1  2.000 ms  2.000 ms  2.000 ms',
      ' 2  10.1.0.1  4.000 ms  4.000 ms  4.000 ms',
      ' 3  10.2.0.1  6.000 ms  6.000 ms  6.000 ms',
      ' 4  10.9.0.9  8.000 ms  8.000 ms  8.000 ms',
    ])
  })

  it('over IPv6, with silence and refusal', async () => {
    const routers = ROUTERS6.map((address, i) => (i === 2 ? { address, refuses: [1, 1] as const } : { address, silent: i === 1 }))
    const { code, out } = await exec(path6({ routers }), `traceroute ${OURS6} -6 -q 2 fd09::9`)
    expect(code).toBe(0)
    expect(out).toEqual([
      'traceroute to fd09::9 (fd09::9), 30 hops max, 80 byte packets',
      ' 1  fd00::1  2.000 ms  2.000 ms',
      ' 2  * *',
      ' 3  fd02::1  6.000 ms !X  6.000 ms !X',
    ])
  })
})

describe('tapstack tracepath', () => {
  it('looks as tracepath(8) does', async () => {
    const routers = ROUTERS6.map((address, i) => ({ address, mtu: i === 1 ? 1400 : 1500 }))
    const { code, out } = await exec(path6({ routers, detour: 1 }), `tracepath ${OURS6} fd09::9`)
    expect(code).toBe(0)
    const line = (hop: number, from: string, rest: string): string => ` ${hop}:  ${from.padEnd(52)} ${rest}`
    expect(out).toEqual([
      ' 1?: [LOCALHOST]                      pmtu 1500',
      line(1, 'fd00::1', '2.000ms asymm  2'),
      line(2, 'fd01::1', '4.000ms asymm  3'),
      line(3, 'fd01::1', '4.000ms pmtu 1400'),
      line(3, 'fd02::1', '6.000ms asymm  4'),
      line(4, 'fd09::9', '8.000ms asymm  5 reached'),
      '     Resume: pmtu 1400 hops 4 back 5 ',
    ])
  })

  it('says where nobody answers, and gives up', async () => {
    const routers = ROUTERS4.map((address, i) => ({ address, silent: i > 0 }))
    const { code, out } = await exec(path4({ routers, host: '10.9.0.9' }), 'tracepath -m 2 -g 10.0.0.1 -l 1000 10.9.0.9')
    expect(code).toBe(0)
    expect(out.slice(-2)).toEqual([' 2:  no reply', '     Too many hops: pmtu 1000'])
  })
})

describe('tapstack ping over IPv6', () => {
  const linked = () => {
    const world = createWorld({ seed: 5 })
    const peer = world.stack({ name: 'peer' })
    const [near, far] = createPipe()
    const theirs = peer.attach(far, { addresses: ['fd00::1/64'], probe: false })
    return { world, near, link: theirs.addresses.find((a) => a.startsWith('fe80'))!.split(/[%/]/)[0] }
  }

  it('looks as ping(8) does', async () => {
    const { world, near } = linked()
    const { code, out } = await exec(near, 'ping -6 -c 2 -s 1400 -a fd00::2/64 fd00::1', world)
    expect(out).toEqual([
      'PING fd00::1 (fd00::1) 1400 data bytes',
      '1408 bytes from fd00::1: icmp_seq=1 ttl=64 time=0.000 ms',
      '1408 bytes from fd00::1: icmp_seq=2 ttl=64 time=0.000 ms',
      '',
      '--- fd00::1 ping statistics ---',
      '2 packets transmitted, 2 received, 0% packet loss, time 1000ms',
      'rtt min/avg/max/mdev = 0.000/0.000/0.000/0.000 ms',
    ])
    expect(code).toBe(0)
  })

  it.each([
    ['by its zone', (link: string) => `${link}%eth0`],
    ['by -I', (link: string) => `-I eth0 ${link}`],
    ['where there is but one interface', (link: string) => link],
  ])('finds a link-local address %s', async (_, words) => {
    const { world, near, link } = linked()
    const { code, out } = await exec(near, `ping -c 1 -a fd00::2/64 ${words(link)}`, world)
    expect(out[1]).toBe(`64 bytes from ${link}%eth0: icmp_seq=1 ttl=64 time=0.000 ms`)
    expect(code).toBe(0)
  })

  it('says who says that nobody is there', async () => {
    const { world, near } = linked()
    const { code, out } = await exec(near, 'ping -c 1 -a fd00::2/64 fd00::9', world)
    expect(out[1]).toBe('From fd00::2 icmp_seq=1 Destination unreachable: Address unreachable')
    expect(code).toBe(1)
  })
})
