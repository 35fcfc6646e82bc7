/** What `stack.ip()` shows, as ip(8) of iproute2 6.1 prints it: text, JSON, and the forms between. */
import { describe, expect, it } from 'vitest'
import { ipWorld, MAC } from '../../support/ip-command-world.ts'

const LINK_LOCAL = 'fe80::ff:fe00:5'

describe('the commands of the vdestack tutorial', () => {
  it.each(['/bin/busybox ip', '/bin/ip', 'ip', '/sbin/ip'])('work as they stand: %s', (ip) => {
    const { stack, v0 } = ipWorld()
    v0.rename('vde0')
    v0.setUp(false)
    const line = `${ip} addr add 10.0.0.50/24 dev vde0; ${ip} addr add fc00::1:50/64 dev vde0; ${ip} link set vde0 up`
    expect(stack.ip(line)).toBe('')
    expect(v0.up).toBe(true)
    expect(v0.addresses).toEqual(expect.arrayContaining(['10.0.0.50/24', 'fc00::1:50/64']))
    expect(stack.ip(`${ip} route add default via 10.0.0.1\n${ip} -6 route add default via fc00::1:1`)).toBe('')
    expect(stack.routes.filter((r) => r.origin === 'static').map((r) => r.gateway)).toEqual(['10.0.0.1', 'fc00::1:1'].sort())
  })
})

describe('addresses', () => {
  it('in full', () => {
    const { run } = ipWorld()
    run('addr add 10.2.0.7/24 brd + dev v0 label v0:x; addr add 10.0.0.7/24 dev v0 noprefixroute')
    run('addr add 10.3.0.8 peer 10.3.0.9/32 dev v0; addr add fc00:5::1/64 dev v0 nodad valid_lft 100 preferred_lft 0')
    const text = `2: v0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
    link/ether ${MAC} brd ff:ff:ff:ff:ff:ff
    inet 10.0.0.5/24 scope global v0
       valid_lft forever preferred_lft forever
    inet 10.2.0.7/24 brd 10.2.0.255 scope global v0:x
       valid_lft forever preferred_lft forever
    inet 10.0.0.7/24 scope global secondary noprefixroute v0
       valid_lft forever preferred_lft forever
    inet 10.3.0.8 peer 10.3.0.9/32 scope global v0
       valid_lft forever preferred_lft forever
    inet6 fc00::5/64 scope global nodad 
       valid_lft forever preferred_lft forever
    inet6 ${LINK_LOCAL}/64 scope link 
       valid_lft forever preferred_lft forever
    inet6 fc00:5::1/64 scope global nodad deprecated dynamic 
       valid_lft 100sec preferred_lft 0sec
`
    const shown = run('addr show dev v0')
    const lines = (t: string): string[] => t.split('\n').sort()
    expect(lines(shown)).toEqual(lines(text))
    expect(shown.split('\n').slice(0, 3)).toEqual(text.split('\n').slice(0, 3))
    expect(run('route show 10.3.0.9')).toBe('10.3.0.9 dev v0 proto kernel scope link src 10.3.0.8 \n')
  })

  it('of the loopback, on one line, in brief', () => {
    const { run } = ipWorld()
    run('addr del fc00::5/64 dev v0; addr del fe80::ff:fe00:5/64 dev v0')
    expect(run('-o a')).toBe(
      [
        '1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n',
        '1: lo    inet6 ::1/128 scope host \\       valid_lft forever preferred_lft forever\n',
        '2: v0    inet 10.0.0.5/24 scope global v0\\       valid_lft forever preferred_lft forever\n',
      ].join(''),
    )
    expect(run('-c -br addr')).toBe(
      'lo               UNKNOWN        127.0.0.1/8 ::1/128 \nv0               UP             10.0.0.5/24 \n',
    )
    expect(JSON.parse(run('-br -j addr show dev v0'))).toEqual([
      { ifname: 'v0', operstate: 'UP', addr_info: [{ local: '10.0.0.5', prefixlen: 24 }] },
    ])
  })

  it('as JSON, with the keys of ip -j', () => {
    const { run } = ipWorld()
    run('addr flush dev v0; addr add 10.0.0.5/24 dev v0 brd 10.0.0.255 valid_lft 100 preferred_lft 50')
    expect(run('-j addr show v0')).toBe(
      `${JSON.stringify([
        {
          ifindex: 2,
          ifname: 'v0',
          flags: ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
          mtu: 1500,
          qdisc: 'noqueue',
          operstate: 'UP',
          group: 'default',
          txqlen: 1000,
          link_type: 'ether',
          address: MAC,
          broadcast: 'ff:ff:ff:ff:ff:ff',
          addr_info: [
            {
              family: 'inet',
              local: '10.0.0.5',
              prefixlen: 24,
              broadcast: '10.0.0.255',
              scope: 'global',
              dynamic: true,
              label: 'v0',
              valid_life_time: 100,
              preferred_life_time: 50,
            },
          ],
        },
      ])}\n`,
    )
    expect(run('-j -p addr show v0')).toContain(
      '[ {\n        "ifindex": 2,\n        "ifname": "v0",\n        "flags": [ "BROADCAST","MULTICAST","UP","LOWER_UP" ],\n',
    )
    expect(run('-j -p addr show v0')).toMatch(/"addr_info": \[ \{\n {16}"family": "inet",[\s\S]*\n {12}\} \]\n {4}\} \]\n$/)
  })

  it('that are selected', () => {
    const { run } = ipWorld()
    run('addr add 10.1.0.5/24 dev v0 label v0:1; addr add 10.2.0.5/24 dev v0 valid_lft 60')
    const locals = (what: string): string[] =>
      (JSON.parse(run(`-j addr show ${what}`)) as { addr_info: { local: string }[] }[]).flatMap((l) =>
        l.addr_info.map((a) => a.local),
      )
    expect(locals('dev v0 scope link')).toEqual([LINK_LOCAL])
    expect(locals('to 10.0.0.0/15')).toEqual(['10.0.0.5', '10.1.0.5'])
    expect(locals('dynamic')).toEqual(['10.2.0.5'])
    expect(locals('v0 permanent')).not.toContain('10.2.0.5')
    expect(locals('label v0:*')).toEqual(['10.1.0.5'])
    expect(locals('v0 primary').length).toBe(5)
    expect(run('-6 addr show type none')).toBe('')
    expect(run('-6 addr').split('\n').slice(0, 3)).toEqual([
      '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65535 state UNKNOWN qlen 1000',
      '    inet6 ::1/128 scope host ',
      '       valid_lft forever preferred_lft forever',
    ])
    expect(run('addr show type vlan')).toBe('')
    expect(run('-s addr flush dev v0 to 10.2.0.0/16')).toBe(
      '\n*** Round 1, deleting 1 addresses ***\n*** Flush is complete after 1 round ***\n',
    )
    expect(locals('dynamic')).toEqual([])
  })

  it('that are asked for, and lost', async () => {
    const { world, run } = ipWorld(true)
    const other = world.stacks[1]
    await other.interfaces[0].addAddress('fd00::9/64', { probe: false })
    run('addr add fd00::8/64 dev v0; addr add fd00::9/64 dev v0')
    expect(run('addr show to fd00::8')).toContain('    inet6 fd00::8/64 scope global tentative \n')
    world.run(5_000)
    expect(run('addr show to fd00::8')).toContain('    inet6 fd00::8/64 scope global \n')
    expect(run('addr show dadfailed')).toContain('    inet6 fd00::9/64 scope global dadfailed tentative \n')
  })

  it('that are changed', () => {
    const { world, run, v0 } = ipWorld()
    run('addr replace 10.5.0.1/24 dev v0 valid_lft 10; addr change 10.5.0.1/24 dev v0 valid_lft 100 preferred_lft 50')
    world.run(20_000)
    expect(run('addr show to 10.5.0.1')).toContain('       valid_lft 80sec preferred_lft 30sec\n')
    run('addr replace 10.5.0.1/24 dev v0')
    world.run(200_000)
    expect(v0.addresses).toContain('10.5.0.1/24')
    run('addr del 10.5.0.1 dev v0')
    expect(v0.addresses).not.toContain('10.5.0.1/24')
  })
})

describe('links', () => {
  it('with counters', () => {
    const { world, stack, run } = ipWorld()
    void stack.ping('10.0.0.2', { count: 1 }).next()
    world.run(100)
    const [shown] = JSON.parse(run('-s -j link show v0')) as { stats64: Record<'rx' | 'tx', Record<string, number>> }[]
    const { rx, tx } = shown.stats64
    expect([tx.packets > 1, tx.bytes > 100, rx.packets > 1, rx.bytes > 100]).toEqual([true, true, true, true])
    const text = run('-s link show v0').split('\n')
    expect(text.slice(2)).toEqual([
      '    RX:  bytes packets errors dropped  missed   mcast           ',
      `    ${`${rx.bytes}`.padStart(10)} ${`${rx.packets}`.padStart(7)} ${['     0', `${rx.dropped}`.padStart(7), '      0', `${rx.multicast}`.padStart(7)].join(' ')} `,
      '    TX:  bytes packets errors dropped carrier collsns           ',
      `    ${`${tx.bytes}`.padStart(10)} ${`${tx.packets}`.padStart(7)}      0 ${`${tx.dropped}`.padStart(7)}       0       0 `,
      '',
    ])
  })

  it('that are VLANs', () => {
    const { stack, run } = ipWorld()
    run('link add link v0 name v0.100 type vlan id 100; link add link v0 v0.200 type vlan proto 802.1ad id 200')
    expect(run('link show v0.100')).toBe(
      `3: v0.100@v0: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN mode DEFAULT group default qlen 1000
    link/ether ${MAC} brd ff:ff:ff:ff:ff:ff
`,
    )
    run('link set v0.100 up; addr add 10.5.0.1/24 dev v0.100')
    expect(run('-br link show type vlan')).toBe(
      `v0.100@v0        UP             ${MAC} <BROADCAST,MULTICAST,UP,LOWER_UP> \nv0.200@v0        DOWN           ${MAC} <BROADCAST,MULTICAST> \n`,
    )
    expect(run('-d link show v0.200')).toContain('\n    vlan protocol 802.1ad id 200 <REORDER_HDR> ')
    expect(JSON.parse(run('-d -j link show v0.200'))[0].linkinfo).toEqual({
      info_kind: 'vlan',
      info_data: { protocol: '802.1ad', id: 200, flags: ['REORDER_HDR'] },
    })
    run('link add link v0.200 name in type vlan id 5; link del v0.200')
    expect(stack.interfaces.map((i) => i.name)).toEqual(['v0', 'v0.100'])
    expect(run('link show up')).not.toContain('v0.200')
  })

  it('that are changed', () => {
    const { v0, run } = ipWorld()
    expect(run('link set dev v0 mtu 1400 address 02:00:00:00:00:09 promisc on name wan0 arp on multicast on')).toBe('')
    expect([v0.name, v0.mtu, v0.mac, v0.promiscuous]).toEqual(['wan0', 1400, '02:00:00:00:00:09', true])
    expect(run('link show wan0')).toContain('2: wan0: <BROADCAST,MULTICAST,PROMISC,UP,LOWER_UP> mtu 1400 ')
    run('link set wan0 down')
    expect(run('link show wan0')).toContain('2: wan0: <BROADCAST,MULTICAST,PROMISC> mtu 1400 qdisc noqueue state DOWN ')
    expect(run('-o link show lo')).toBe(
      '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65535 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000\\    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n',
    )
    expect(run('link set wan0')).toBe('')
    expect(run('link set lo up')).toBe('')
    expect(run('link set lo down')).toMatch(/^EOPNOTSUPP/)
  })
})
