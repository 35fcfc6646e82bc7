/** Routes, rules, neighbours and groups by `stack.ip()`, as ip(8) of iproute2 6.1 prints them. */
import { describe, expect, it } from 'vitest'
import { ipWorld } from '../../support/ip-command-world.ts'

describe('routes', () => {
  it('of IPv4', () => {
    const { run } = ipWorld()
    for (const route of [
      'default via 10.0.0.1',
      'blackhole default metric 100',
      '10.1/16 via 10.0.0.1',
      '10.3.0.0/16 via 10.0.0.1 src 10.0.0.5 metric 5 mtu 1400 proto static scope global',
      '10.4.0.0/255.255.0.0 dev v0',
      '10.5.0.0/16 dev v0 via 192.168.1.1 onlink',
      'unreachable 10.6.0.0/16',
      'prohibit 10.7.0.0/16 metric 9',
      'throw 10.8.0.0/16',
      '10.11.0.0/16 nexthop via 10.0.0.1 nexthop via 10.0.0.2 dev v0 weight 5',
      '10.12.1.1 via 10.0.0.1 proto 12',
    ]) {
      expect(run(`route add ${route}`)).toBe('')
    }
    run('route append 10.1.0.0/16 via 10.0.0.2; route change 10.12.1.1 via 10.0.0.9')
    const all = `default via 10.0.0.1 dev v0 
blackhole default metric 100 
10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.5 
10.1.0.0/16 via 10.0.0.1 dev v0 
10.1.0.0/16 via 10.0.0.2 dev v0 
10.3.0.0/16 via 10.0.0.1 dev v0 proto static src 10.0.0.5 metric 5 mtu 1400 
10.4.0.0/16 dev v0 scope link 
10.5.0.0/16 via 192.168.1.1 dev v0 onlink 
unreachable 10.6.0.0/16 
prohibit 10.7.0.0/16 metric 9 
throw 10.8.0.0/16 
10.11.0.0/16 
\tnexthop via 10.0.0.1 dev v0 weight 1 
\tnexthop via 10.0.0.2 dev v0 weight 5 
10.12.1.1 via 10.0.0.9 dev v0 
`
    expect(run('route')).toBe(all)
    expect(run('ro sh')).toBe(all)
    expect(run('-o route show 10.11.0.0/16')).toBe(
      '10.11.0.0/16 \\\tnexthop via 10.0.0.1 dev v0 weight 1 \\\tnexthop via 10.0.0.2 dev v0 weight 5 \n',
    )
    expect(run('-d route show 10.3.0.0/16')).toBe(
      'unicast 10.3.0.0/16 via 10.0.0.1 dev v0 proto static scope global src 10.0.0.5 metric 5 mtu 1400 \n',
    )
    expect(JSON.parse(run('-j route show 10.0.0.0/12')).length + JSON.parse(run('-j route show root 10.0.0.0/8')).length).toBe(11)
    expect(JSON.parse(run('-j route'))).toEqual(
      expect.arrayContaining([
        { dst: 'default', gateway: '10.0.0.1', dev: 'v0', flags: [] },
        { type: 'blackhole', dst: 'default', metric: 100, flags: [] },
        { dst: '10.0.0.0/24', dev: 'v0', protocol: 'kernel', scope: 'link', prefsrc: '10.0.0.5', flags: [] },
        { dst: '10.5.0.0/16', gateway: '192.168.1.1', dev: 'v0', flags: ['onlink'] },
        {
          dst: '10.11.0.0/16',
          flags: [],
          nexthops: [
            { gateway: '10.0.0.1', dev: 'v0', weight: 1, flags: [] },
            { gateway: '10.0.0.2', dev: 'v0', weight: 5, flags: [] },
          ],
        },
      ]),
    )
  })

  it('of IPv6', () => {
    const { run } = ipWorld()
    for (const route of [
      'default via fc00::1',
      'default via fc00::1 dev v0 metric 7',
      'unreachable fc05::/16',
      'fc08::/32 nexthop via fc00::1 nexthop via fc00::2 weight 2',
      'fc09::/32 via fe80::1 dev v0',
      'fc0a::/32 dev v0',
    ]) {
      expect(run(`route add ${route}`)).toBe('')
    }
    expect(run('-6 route')).toBe(`fc00::/64 dev v0 proto kernel metric 256 pref medium
unreachable fc05::/16 dev lo metric 1024 pref medium
fc08::/32 metric 1024 pref medium
\tnexthop via fc00::1 dev v0 weight 1 
\tnexthop via fc00::2 dev v0 weight 2 
fc09::/32 via fe80::1 dev v0 metric 1024 pref medium
fc0a::/32 dev v0 metric 1024 pref medium
fe80::/64 dev v0 proto kernel metric 256 pref medium
default via fc00::1 dev v0 metric 7 pref medium
default via fc00::1 dev v0 metric 1024 pref medium
`)
    expect(run('-6 route del default metric 1024')).toBe('')
    expect(run('-6 route show default')).toBe('default via fc00::1 dev v0 metric 7 pref medium\n')
    expect(run('route replace default via fe80::9 dev v0; route get 2001::1')).toBe(
      '2001::1 from :: via fc00::1 dev v0 src fc00::5 metric 7 pref medium\n',
    )
    expect(run('-j route get fc00::7')).toBe(
      '[{"dst":"fc00::7","from":"::","dev":"v0","protocol":"kernel","prefsrc":"fc00::5","metric":256,"flags":[],"pref":"medium"}]\n',
    )
    expect(run('route get fc00::5')).toBe(
      'local fc00::5 from :: dev lo table local proto kernel src fc00::5 metric 0 pref medium\n',
    )
    expect(run('route get ff02::1 dev v0')).toMatch(/^multicast ff02::1 from :: dev v0 table local proto kernel src fe80::/)
  })

  it('that a packet would take', () => {
    const { run } = ipWorld()
    run('route add 10.3.0.0/16 via 10.0.0.1 mtu 1400')
    expect(run('route get 10.0.0.7')).toBe('10.0.0.7 dev v0 src 10.0.0.5 uid 0 \n    cache \n')
    expect(run('route get 10.3.1.1')).toBe('10.3.1.1 via 10.0.0.1 dev v0 src 10.0.0.5 uid 0 \n    cache mtu 1400 \n')
    expect(run('route get 10.0.0.5')).toBe('local 10.0.0.5 dev lo src 10.0.0.5 uid 0 \n    cache <local> \n')
    expect(run('route get 10.0.0.255')).toBe('broadcast 10.0.0.255 dev v0 src 10.0.0.5 uid 0 \n    cache <local,brd> \n')
    expect(run('route get 224.0.0.1')).toBe('multicast 224.0.0.1 dev v0 src 10.0.0.5 uid 0 \n    cache <local,mc> \n')
    expect(run('route get 10.0.0.7 from 10.0.0.5')).toBe('10.0.0.7 from 10.0.0.5 dev v0 uid 0 \n    cache \n')
    expect(run('route get fibmatch 10.3.1.1')).toBe('10.3.0.0/16 via 10.0.0.1 dev v0 mtu 1400 \n')
    expect(run('-j route get 10.0.0.5')).toBe(
      '[{"type":"local","dst":"10.0.0.5","dev":"lo","prefsrc":"10.0.0.5","flags":[],"uid":0,"cache":["local"]}]\n',
    )
    expect(run('route get 10.3.1.1 from 10.9.9.9 iif v0')).toBe('10.3.0.0/16 via 10.0.0.1 dev v0 mtu 1400 \n')
  })

  it('that are selected, in tables, and flushed', () => {
    const { run } = ipWorld()
    run(
      'route add 10.9.0.0/16 via 10.0.0.1 table 100; route add 10.8.0.0/16 via 10.0.0.2 proto static; route add 10.0.0.0/8 dev v0',
    )
    expect(run('route show table 100')).toBe('10.9.0.0/16 via 10.0.0.1 dev v0 \n')
    expect(run('-4 route show table all')).toContain('10.9.0.0/16 via 10.0.0.1 dev v0 table 100 \n')
    expect(run('route show via 10.0.0.2')).toBe('10.8.0.0/16 dev v0 proto static \n')
    expect(run('route show proto static')).toBe('10.8.0.0/16 via 10.0.0.2 dev v0 \n')
    expect(run('route show scope link')).toBe('10.0.0.0/24 dev v0 proto kernel src 10.0.0.5 \n10.0.0.0/8 dev v0 \n')
    expect(run('route show match 10.8.4.5')).toBe(
      '10.0.0.0/8 dev v0 scope link \n10.8.0.0/16 via 10.0.0.2 dev v0 proto static \n',
    )
    expect(run('route show dev v0 10.8.0.0/16')).toBe('10.8.0.0/16 via 10.0.0.2 proto static \n')
    expect(run('route show table local dev v0')).toBe(
      'local 10.0.0.5 proto kernel scope host src 10.0.0.5 \nbroadcast 10.0.0.255 proto kernel scope link src 10.0.0.5 \n',
    )
    expect(run('-6 route show table local dev lo')).toBe('local ::1 proto kernel metric 0 pref medium\n')
    expect(run('-s route flush table 100')).toBe(
      '\n*** Round 1, deleting 1 entries ***\n*** Flush is complete after 1 round ***\n',
    )
    expect(run('route flush proto static; route flush cache')).toBe('')
    expect(run('route del 10.0.0.0/8; route')).toBe('10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.5 \n')
    expect(run('link set v0 down; route')).toBe('10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.5 dead linkdown \n')
  })

  it('that are removed only when they fit', () => {
    const { run } = ipWorld()
    run('route add 10.3.0.0/16 via 10.0.0.1 metric 5; route add unreachable 10.3.0.0/16 metric 9')
    expect(run('route del 10.3.0.0/16 via 10.0.0.9')).toMatch(/^ESRCH/)
    expect(run('route del 10.3.0.0/16 metric 6')).toMatch(/^ESRCH/)
    expect(run('route del unreachable 10.3.0.0/16')).toBe('')
    expect(run('route del 10.3.0.0/16 via 10.0.0.1 dev v0')).toBe('')
    expect(run('route del 10.3.0.0/16')).toMatch(/^ESRCH/)
  })
})

describe('rules', () => {
  it('in order', () => {
    const { run } = ipWorld()
    run('rule add from 10.0.0.5 table 100; rule add from 10.0.0.0/24 to 10.5.0.0/16 iif v0 lookup 77 priority 50')
    run('rule add blackhole to 10.9.0.0/16 pref 60; rule add oif v0 prohibit prio 70; rule add iif nope table 7')
    run('-6 rule add from fd00::/16 table 9')
    const all = `0:\tfrom all lookup local
49:\tfrom all iif nope [detached] lookup 7
50:\tfrom 10.0.0.0/24 to 10.5.0.0/16 iif v0 lookup 77
60:\tfrom all to 10.9.0.0/16 blackhole
70:\tfrom all oif v0 prohibit
32765:\tfrom 10.0.0.5 lookup 100
32766:\tfrom all lookup main
32767:\tfrom all lookup default
`
    expect(run('rule')).toBe(all)
    expect(run('-6 ru')).toBe('0:\tfrom all lookup local\n32765:\tfrom fd00::/16 lookup 9\n32766:\tfrom all lookup main\n')
    expect(JSON.parse(run('-j rule')).slice(1, 4)).toEqual([
      { priority: 49, src: 'all', iif: 'nope', iif_detached: null, table: '7' },
      { priority: 50, src: '10.0.0.0', srclen: 24, dst: '10.5.0.0', dstlen: 16, iif: 'v0', table: '77' },
      { priority: 60, src: 'all', dst: '10.9.0.0', dstlen: 16, action: 'blackhole' },
    ])
    expect(run('rule show table 100')).toBe('32765:\tfrom 10.0.0.5 lookup 100\n')
    expect(run('rule show from 10.0.0.5')).toBe('32765:\tfrom 10.0.0.5 lookup 100\n')
    run('rule del from 10.0.0.5; rule del priority 50')
    expect(run('rule').split('\n').length).toBe(all.split('\n').length - 2)
    expect(run('rule flush; rule')).toBe('0:\tfrom all lookup local\n')
  })
})

describe('neighbours', () => {
  it('added, changed, forgotten', () => {
    const { run } = ipWorld()
    run('neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0; neigh add 10.0.0.10 lladdr 2:0:0:0:0:a dev v0 nud reachable')
    run('neigh add 10.0.0.11 lladdr 02:00:00:00:00:09 dev v0 nud stale; neigh add fc00::9 lladdr 02:00:00:00:00:0a dev v0 router')
    run('neigh change 10.0.0.9 lladdr 02:00:00:00:00:0c dev v0; neigh add fe80::7 lladdr 02:00:00:00:00:07 dev v0')
    const sorted = (text: string): string[] => text.split('\n').sort()
    expect(sorted(run('neigh'))).toEqual(
      sorted(`10.0.0.9 dev v0 lladdr 02:00:00:00:00:0c PERMANENT 
10.0.0.10 dev v0 lladdr 02:00:00:00:00:0a REACHABLE 
10.0.0.11 dev v0 lladdr 02:00:00:00:00:09 STALE 
fc00::9 dev v0 lladdr 02:00:00:00:00:0a router PERMANENT 
fe80::7 dev v0 lladdr 02:00:00:00:00:07 PERMANENT 
`),
    )
    expect(run('neigh show dev v0 nud stale')).toBe('10.0.0.11 lladdr 02:00:00:00:00:09 STALE \n')
    expect(run('-6 neigh show to fc00::/16')).toBe('fc00::9 dev v0 lladdr 02:00:00:00:00:0a router PERMANENT \n')
    expect(run('neigh get 10.0.0.9 dev v0')).toBe('10.0.0.9 dev v0 lladdr 02:00:00:00:00:0c PERMANENT \n')
    expect(JSON.parse(run('-j neigh show fc00::9'))).toEqual([
      { dst: 'fc00::9', dev: 'v0', lladdr: '02:00:00:00:00:0a', router: null, state: ['PERMANENT'] },
    ])
    expect(run('-s neigh show 10.0.0.10')).toBe('10.0.0.10 dev v0 lladdr 02:00:00:00:00:0a  used 0/0 REACHABLE \n')
    run('neigh replace 10.0.0.9 lladdr 02:00:00:00:00:0d dev v0 nud stale; neigh del 10.0.0.10 dev v0')
    expect(run('-4 neigh show nud permanent')).toBe('')
    expect(run('-s neigh flush dev v0')).toBe('\n*** Round 1, deleting 2 entries ***\n*** Flush is complete after 1 round ***\n')
    expect(JSON.parse(run('-j neigh')).length).toBe(2)
    expect(run('neigh flush dev v0 nud permanent; neigh')).toBe('')
  })

  it('that do not answer', () => {
    const { world, stack, run } = ipWorld()
    void stack.ping('10.0.0.77', { count: 1 }).next()
    world.run(10)
    expect(run('neigh')).toBe('10.0.0.77 dev v0 INCOMPLETE \n')
    expect(run('-j neigh')).toBe('[{"dst":"10.0.0.77","dev":"v0","state":["INCOMPLETE"]}]\n')
    world.run(5_000)
    expect(run('neigh')).toBe('10.0.0.77 dev v0 FAILED \n')
  })
})

describe('groups', () => {
  it('with their link addresses', () => {
    const { run } = ipWorld()
    expect(run('maddr show dev v0')).toMatch(/^2:\tv0\n\tlink {2}01:00:5e:00:00:01\n\tlink {2}33:33:00:00:00:01\n/)
    expect(run('-4 maddr')).toBe('1:\tlo\n\tinet  224.0.0.1\n2:\tv0\n\tinet  224.0.0.1\n')
    expect(JSON.parse(run('-4 -j maddr show v0'))).toEqual([
      { ifindex: 2, ifname: 'v0', maddr: [{ family: 'inet', address: '224.0.0.1' }] },
    ])
    expect(run('maddr show nope')).toBe('')
  })
})
