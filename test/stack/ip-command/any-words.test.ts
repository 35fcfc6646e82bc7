/** Whatever words come: a listing or a NetError, never another exception, and a stack that still works. */
import { expect, it } from 'vitest'
import { NetError } from '../../../src/base/errors.ts'
import { randomBelow, SeededRandom } from '../../../src/base/random.ts'
import { ipWorld } from '../../support/ip-command-world.ts'

const WORDS =
  `addr address link route rule neigh maddr add del change replace append show flush get set help dev v0 lo nope v0.5 up down to from
via nexthop weight src metric table 100 main local all proto static scope link global mtu 1400 1280 0 -1 4294967296 type vlan id 5 protocol 802.1ad
lladdr 02:00:00:00:00:09 zz nud permanent stale reachable router 10.0.0.9 10.0.0.0/24 10.1/16 0/0 10.0.0.5/24 fc00::9 fc00::/64 fe80::1 default
::/0 ff02::1 224.0.0.1 255.255.255.255 10.2.0.1/33 1.2.3.4.5 onlink blackhole unreachable prohibit throw unicast brd + - label x peer valid_lft
preferred_lft forever 10 nodad noprefixroute dynamic permanent name w0 promisc on off address oif iif priority lookup root match exact fibmatch
-4 -6 -j -s -d -o -br -p ; cache`.split(/\s+/)

const COMMANDS = [
  'addr add 10.3.0.8/24 brd + dev v0 label v0:1 valid_lft 100 preferred_lft 50',
  'addr add fc00:5::1/64 dev v0 nodad',
  'addr add 10.4.0.1 peer 10.4.0.2/32 dev v0',
  'addr replace 10.3.0.8/24 dev v0',
  'addr del 10.0.0.5/24 dev v0',
  'addr flush dev v0 scope global',
  '-s addr show dev v0 to 10.0.0.0/8',
  'link set v0 mtu 1400 promisc on up',
  'link set dev v0 down',
  'link add link v0 name v0.5 type vlan id 5 protocol 802.1ad',
  'link del v0.5',
  '-d link show up',
  'route add 10.1/16 via 10.0.0.9 dev v0 src 10.0.0.5 metric 100 mtu 1400 table 100',
  'route add default via fe80::1 dev v0',
  'route append 10.7.0.0/16 nexthop via 10.0.0.9 weight 5 nexthop via 10.0.0.10 dev v0',
  'route replace unreachable fc05::/16',
  'route del 10.1/16 via 10.0.0.9',
  'route flush table 100',
  '-o route show root 10.0.0.0/8',
  'route get 10.0.0.9 from 10.0.0.5 oif v0',
  'route get fibmatch fc00::9',
  'rule add from 10.0.0.0/24 to 10.1/16 iif v0 table 100 priority 10',
  'rule del priority 10',
  'neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0 nud stale',
  'neigh replace fc00::9 lladdr 02:00:00:00:00:09 dev v0 router',
  'neigh flush dev v0 nud permanent',
  'maddr show dev v0',
]

it('commands with words left out, doubled and changed', () => {
  const random = new SeededRandom(4)
  const below = (n: number): number => randomBelow(random, n)
  const mangled = (): string => {
    const words = COMMANDS[below(COMMANDS.length)].split(' ')
    for (let n = below(3); n > 0; n--) {
      const at = below(words.length)
      words.splice(at, below(2), ...(below(3) === 0 ? [] : [WORDS[below(WORDS.length)]]))
    }
    return words.join(' ')
  }
  let done = 0
  for (let round = 0; round < 8; round++) {
    const { world, stack } = ipWorld()
    for (let i = 0; i < 100; i++) {
      const line = mangled()
      try {
        stack.ip(line)
        done++
      } catch (error) {
        expect(error, line).toBeInstanceOf(NetError)
        expect((error as NetError).message, line).not.toBe('')
      }
    }
    world.run(2_000)
    for (const show of ['addr', '-s link', 'route show table all', '-6 route', 'neigh', 'rule', 'maddr']) {
      expect(JSON.parse(stack.ip(`-j ${show}`)), show).toBeInstanceOf(Array)
    }
  }
  expect(done).toBeGreaterThan(200)
})
