/** `stack.ip()` and the real ip(8), side by side: the same commands to a stack and to the kernel of this namespace, and what both say. */
import { spawnSync } from 'node:child_process'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createWorld } from '../../../src/sim/world.ts'
import type { Stack } from '../../../src/stack/stack.ts'
import { sh } from './lab.ts'

const MAC = '02:00:00:00:00:05'

interface Said {
  ok: boolean
  text: string
}

function real(command: string): Said {
  const { status, stdout, stderr } = spawnSync('ip', command.split(' '), { encoding: 'utf8' })
  return { ok: status === 0, text: status === 0 ? stdout : stderr }
}

let stack: Stack

function ours(command: string): Said {
  try {
    return { ok: true, text: stack.ip(command) }
  } catch (error) {
    return { ok: false, text: (error as Error).message }
  }
}

/** Lines, without what differs by nature: the peer of a veth, indices, order where the kernel's is its own. */
function lines(text: string): string[] {
  return text
    .replace(/^\d+: /gm, 'N: ')
    .replace(/@v1(?=:)/g, '')
    .replace(/@v1 /g, '    ')
    .replace(/ table local/g, '') // which the kernel says only since its tables are two
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .sort()
}

/** JSON, without the same. */
function data(text: string): unknown {
  const drop = (key: string, value: unknown): unknown =>
    key === 'ifindex' || key === 'link' || value === 'local'
      ? undefined
      : Array.isArray(value)
        ? [...value].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
        : value
  return JSON.parse(JSON.stringify(JSON.parse(text), drop))
}

beforeAll(() => {
  sh('ip link set lo up; for i in all default; do echo 0 > /proc/sys/net/ipv6/conf/$i/accept_dad; done')
})

beforeEach(() => {
  sh(
    'ip link del v0 2>/dev/null || true; ip rule flush; ip rule add pref 32766 lookup main; ip rule add pref 32767 lookup default',
  )
  sh(`ip link add v0 type veth peer name v1; ip link set v0 address ${MAC} up; ip link set v1 up`)
  const world = createWorld()
  stack = world.stack({ nd: { dadTransmits: 0 } })
  const v0 = world.link(stack, world.stack()).a
  v0.rename('v0')
  v0.removeAddress('10.0.0.1/24')
  v0.setMac(Uint8Array.of(2, 0, 0, 0, 0, 5))
  for (const command of ['addr add 10.0.0.5/24 brd + dev v0', 'addr add fc00::5/64 dev v0 nodad']) {
    expect([real(command).ok, ours(command).ok]).toEqual([true, true])
  }
  sh('ip -6 addr add fe80::ff:fe00:5/64 dev v0 2>/dev/null || true')
})

/** Does the same to both, and expects the same answer. */
function both(command: string): void {
  const [theirs, mine] = [real(command), ours(command)]
  expect(mine.ok, `${command}: ${mine.text} / ${theirs.text}`).toBe(theirs.ok)
  if (!theirs.ok) expect(mine.text.trim(), command).toBe(theirs.text.trim())
}

function same(command: string): void {
  expect(lines(ours(command).text), command).toEqual(lines(real(command).text))
  if (!/^-(o|br)/.test(command)) expect(data(ours(`-j ${command}`).text), command).toEqual(data(real(`-j ${command}`).text))
}

describe('the same commands', () => {
  it('of addresses', () => {
    both('addr add 10.1.0.7/24 dev v0 label v0:x')
    both('addr add 10.0.0.7/24 dev v0')
    both('addr add 10.2.0.7/24 dev v0 valid_lft 1000 preferred_lft 500')
    both('addr add 10.3.0.8 peer 10.3.0.9/32 dev v0')
    both('addr add 10.5.0.1/24 dev v0 noprefixroute')
    both('addr add 10.6.0.1/24 dev v0 scope link')
    both('addr add fc00:5::1/64 dev v0 nodad noprefixroute')
    both('addr change 10.2.0.7/24 dev v0 valid_lft forever preferred_lft forever')
    both('addr del 10.1.0.7/24 dev v0')
    both('addr add 10.1.0.9/24 dev v0')
    for (const show of [
      'addr show dev v0',
      '-4 addr show dev v0',
      '-6 addr show dev v0',
      '-o -4 addr show dev v0',
      'addr show to 10.0.0.0/8',
    ]) {
      same(show)
    }
    const words = (said: Said): string[] => lines(said.text.replaceAll(' ', '\n'))
    expect(words(ours('-br -4 addr show dev v0'))).toEqual(
      words(real('-br -4 addr show dev v0')).map((w) => w.replace('@v1', '')),
    )
    same('route')
    same('-4 route show table local dev v0')
    both('addr flush dev v0 to 10.2.0.0/15')
    same('-4 addr show dev v0')
  })

  it('of links', () => {
    same('link show v0')
    same('-br link show v0')
    both('link set v0 mtu 1400')
    both('link set v0 promisc on')
    both('link set v0 address 02:00:00:00:00:06')
    same('link show v0')
    both('link set v0 down')
    same('link show v0')
    both('link set v0 name w0')
    same('link show w0')
    sh('ip link set w0 name v0')
  })

  it('of routes', () => {
    for (const route of [
      'default via 10.0.0.1',
      'default via fc00::1',
      'default via fc00::1 dev v0 metric 7',
      '10.1/16 via 10.0.0.1',
      '10.3.0.0/16 via 10.0.0.1 src 10.0.0.5 metric 5 mtu 1400 proto static',
      '10.4.0.0/16 dev v0',
      '10.5.0.0/16 dev v0 via 192.168.1.1 onlink',
      'unreachable 10.6.0.0/16',
      'prohibit 10.7.0.0/16 metric 9',
      'throw 10.8.0.0/16',
      'blackhole 10.10.0.0/16',
      '10.11.0.0/16 nexthop via 10.0.0.1 nexthop via 10.0.0.2 dev v0 weight 5',
      'unreachable fc05::/16',
      'fc08::/32 nexthop via fc00::1 nexthop via fc00::2 weight 2',
      'fc09::/32 via fe80::1 dev v0',
      'fc0a::/32 dev v0 mtu 1300',
      '10.12.0.0/16 via 10.0.0.1 table 100',
    ]) {
      both(`route add ${route}`)
    }
    both('route replace 10.4.0.0/16 via 10.0.0.9')
    both('route append 10.4.0.0/16 via 10.0.0.10')
    for (const show of [
      'route',
      'route show table 100',
      'route show root 10.0.0.0/13',
      'route show match 10.3.4.5',
      'route show type unreachable',
    ]) {
      same(show)
    }
    same('-6 route show dev v0')
    same('-6 route show fc08::/32')
    for (const to of [
      '10.0.0.7',
      '10.0.0.5',
      '10.3.1.1',
      '10.0.0.255',
      '8.8.8.8',
      '10.0.0.7 from 10.0.0.5',
      'fc00::7',
      'fc00::5',
      '2001::1',
      'fc0a::1',
    ]) {
      same(`route get ${to}`)
    }
    for (const to of ['10.6.1.1', '10.7.1.1', '10.10.1.1', 'fc05::1']) both(`route get ${to}`)
    both('route del 10.3.0.0/16 via 10.0.0.9')
    both('route del 10.3.0.0/16 metric 5')
    both('route del 10.3.0.0/16')
    both('route del fc0a::/32')
    both('route flush table 100')
    same('route')
    same('-6 route show dev v0')
  })

  it('of neighbours', () => {
    both('neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0')
    both('neigh add 10.0.0.11 lladdr 02:00:00:00:00:0b dev v0 nud stale')
    both('neigh add fc00::9 lladdr 02:00:00:00:00:0a dev v0 router')
    both('neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0')
    both('neigh change 10.0.0.9 lladdr 02:00:00:00:00:0c dev v0')
    for (const show of ['neigh show dev v0', 'neigh show nud permanent', 'neigh show fc00::9']) same(show)
    // iproute2 6.1 has no JSON for this one.
    expect(lines(ours('neigh get 10.0.0.9 dev v0').text)).toEqual(lines(real('neigh get 10.0.0.9 dev v0').text))
    both('neigh del 10.0.0.11 dev v0')
    both('neigh del 10.0.0.11 dev v0')
    same('neigh show dev v0')
  })

  it.each([
    'addr add 10.0.0.5/24 dev v0',
    'addr add fc00::5/64 dev v0',
    'addr add 10.0.0.300/24 dev v0',
    'addr del 10.0.0.77/24 dev v0',
    'addr add 10.0.0.6/24 dev nope',
    'addr add',
    'addr frob',
    'addr show nope',
    'link set nope up',
    'link set v0 mtu',
    'link set v0 mtu abc',
    'link set v0 mtu 20',
    'link set v0 mtu 70000',
    'link set v0 address zz',
    'link set v0 frob on',
    'route add 10.0.0.0/33 via 10.0.0.1',
    'route add 10.1.0.0/16 via 192.168.5.5',
    'route add 10.2.0.1/16 via 10.0.0.1',
    'route add 10.2.0.0/16',
    'route add 10.2.0.0/16 via fred',
    'route add 10.2.0.0/16 via 10.0.0.1 src 1.2.3.4',
    'route add fc09::/32 via fe80::1',
    'route add 10.0.0.0/24 dev v0 scope link',
    'route del 10.66.0.0/16',
    'route show frob',
    'route get 99.1.1.1',
    'neigh add 10.0.0.14 dev v0',
    'neigh del 10.0.0.44 dev v0',
    'rule add frob',
    'foo bar',
    '-z addr',
  ])('that is wrong: %s', (command) => {
    both(command)
    expect(ours(command).ok).toBe(false)
  })

  // The last: a kernel that has had rules of its own words some things otherwise from then on.
  it('of rules', () => {
    both('rule add from 10.0.0.5 table 100')
    both('rule add from 10.0.0.0/24 to 10.5.0.0/16 iif v0 lookup 77 priority 50')
    both('rule add blackhole to 10.9.0.0/16 pref 60')
    both('rule add oif v0 prohibit prio 70')
    both('rule add from 10.0.0.5 table 100 priority 32765')
    same('rule')
    both('rule del from 10.0.0.5')
    both('rule del priority 50')
    both('rule del from 10.0.0.55')
    same('rule')
  })
})
