/** What ip(8) of iproute2 6.1 and Linux say of commands that cannot be, word by word; and the code for programs. */
import { describe, expect, it } from 'vitest'
import { ipWorld } from '../../support/ip-command-world.ts'

const ARG = 'ERR_INVALID_ARG_VALUE'
const IP = 'ERR_INVALID_IP_ADDRESS'
const MAC = 'ERR_INVALID_MAC_ADDRESS'

describe('bad commands', () => {
  it.each([
    // the command itself
    ['foo bar', ARG, 'Object "foo" is unknown, try "ip help".'],
    ['adr', ARG, 'Object "adr" is unknown, try "ip help".'],
    ['-z addr', ARG, 'Option "-z" is unknown, try "ip -help".'],
    ['-n blue addr', 'EOPNOTSUPP', 'Error: "-netns" (every stack is a network of its own) is not supported by this stack.'],
    [
      'link set v0 txqueuelen 9',
      'EOPNOTSUPP',
      'Error: "txqueuelen" (a stack has no queue of its own) is not supported by this stack.',
    ],
    ['-f frob addr', ARG, 'Error: argument "frob" is wrong: invalid protocol family'],
    ['addr frob', ARG, 'Command "frob" is unknown, try "ip address help".'],
    ['link frob', ARG, 'Command "frob" is unknown, try "ip link help".'],
    ['route frob', ARG, 'Command "frob" is unknown, try "ip route help".'],
    ['neigh frob', ARG, 'Command "frob" is unknown, try "ip neigh help".'],
    ['rule frob', ARG, 'Command "frob" is unknown, try "ip rule help".'],
    ['maddr frob', ARG, 'Command "frob" is unknown, try "ip maddr help".'],
    // addresses
    ['addr add 10.0.0.5/24 dev v0', 'EEXIST', 'Error: ipv4: Address already assigned.'],
    ['addr add fc00::5/64 dev v0', 'EEXIST', 'Error: ipv6: address already assigned.'],
    ['addr add 10.0.0.300/24 dev v0', IP, 'Error: any valid prefix is expected rather than "10.0.0.300/24".'],
    ['addr add fred/24 dev v0', IP, 'Error: any valid prefix is expected rather than "fred/24".'],
    ['-6 addr add 10.0.0.9/24 dev v0', IP, 'Error: inet6 prefix is expected rather than "10.0.0.9/24".'],
    ['-4 addr add fc00::9/64 dev v0', IP, 'Error: inet prefix is expected rather than "fc00::9/64".'],
    ['addr add 10.0.0.6/24 dev nope', 'ENODEV', 'Cannot find device "nope"'],
    ['addr add', ARG, 'Not enough information: "dev" argument is required.'],
    ['addr add dev v0', 'EOPNOTSUPP', 'RTNETLINK answers: Operation not supported'],
    ['addr add 10.0.0.7/24 dev', ARG, 'Command line is not complete. Try option "help"'],
    ['addr add 10.0.0.7/24 dev v0 frob', ARG, 'Error: either "local" is duplicate, or "frob" is a garbage.'],
    ['addr add 10.6.0.1/24 dev v0 valid_lft 0', ARG, 'valid_lft is zero'],
    ['addr add 10.6.0.1/24 dev v0 valid_lft foo', ARG, 'Error: argument "foo" is wrong: valid_lft value'],
    ['addr add 10.6.0.1/24 dev v0 valid_lft 50 preferred_lft 100', ARG, 'preferred_lft is greater than valid_lft'],
    ['addr add 10.6.0.1/24 dev v0 scope foo', ARG, 'Error: argument "foo" is wrong: invalid scope value.'],
    ['addr add 10.6.0.1/24 dev v0 brd foo', IP, 'Error: inet address is expected rather than "foo".'],
    ['addr del 10.0.0.77/24 dev v0', 'EADDRNOTAVAIL', 'Error: ipv4: Address not found.'],
    ['addr del 10.0.0.5/16 dev v0', 'EADDRNOTAVAIL', 'Error: ipv4: Address not found.'],
    ['addr del fc00::9/64 dev v0', 'EADDRNOTAVAIL', 'Error: ipv6: address not found.'],
    ['addr del 10.0.0.5/24', ARG, 'Not enough information: "dev" argument is required.'],
    ['addr show nope', 'ENODEV', 'Device "nope" does not exist.'],
    ['addr flush', ARG, 'Flush requires arguments.'],
    ['addr flush nope', 'ENODEV', 'Device "nope" does not exist.'],
    // links
    ['link set nope up', 'ENODEV', 'Cannot find device "nope"'],
    ['link set', ARG, 'Not enough information: "dev" argument is required.'],
    ['link set v0 mtu', ARG, 'Command line is not complete. Try option "help"'],
    ['link set v0 mtu abc', ARG, 'Error: argument "abc" is wrong: Invalid "mtu" value\n'],
    ['link set v0 mtu 20', 'EINVAL', 'Error: mtu less than device minimum.'],
    ['link set v0 mtu 70000', 'EINVAL', 'Error: mtu greater than device maximum.'],
    ['link set v0 mtu 68 up mtu 1500', ARG, 'Error: duplicate "mtu": "1500" is the second value.'],
    ['link set v0 address 01:00:00:00:00:01', 'EADDRNOTAVAIL', 'RTNETLINK answers: Cannot assign requested address'],
    ['link set v0 address zz', MAC, '"zz" is invalid lladdr.'],
    ['link set v0 address 02:00:00:00:00:01:02', MAC, 'Invalid address length 7 - must be 6 bytes'],
    ['link set v0 frob on', ARG, 'Error: either "dev" is duplicate, or "frob" is a garbage.'],
    ['link set v0 promisc maybe', ARG, 'Error: argument of "promisc" must be "on" or "off", not "maybe"'],
    ['link set v0 name lo', 'EEXIST', 'RTNETLINK answers: File exists'],
    ['link set v0 name a/b', ARG, 'Error: argument "a/b" is wrong: "name" not a valid ifname'],
    ['link set index 3 up', ARG, 'index can be used only when creating devices or when moving device to another netns.'],
    ['link show nope', 'ENODEV', 'Device "nope" does not exist.'],
    ['link add name x', ARG, 'Not enough information: "type" argument is required'],
    ['link add name x type frob', 'EOPNOTSUPP', 'Error: Unknown device type.'],
    ['link add link nope name x type vlan id 5', 'ENODEV', 'Cannot find device "nope"'],
    ['link add link v0 name x type vlan id', ARG, 'Command line is not complete. Try option "help"'],
    ['link add link v0 name x type vlan id abc', ARG, 'Error: argument "abc" is wrong: id is invalid'],
    ['link add link v0 name x type vlan proto foo id 4', ARG, 'Error: argument "foo" is wrong: protocol is invalid'],
    ['link add link v0 name x type vlan id 4 frob', ARG, 'vlan: unknown command "frob"?'],
    ['link del nope', 'ENODEV', 'Cannot find device "nope"'],
    ['link del lo', 'EOPNOTSUPP', 'RTNETLINK answers: Operation not supported'],
    // routes
    ['route add 10.0.0.0/33 via 10.0.0.1', IP, 'Error: any valid prefix is expected rather than "10.0.0.0/33".'],
    ['route add 10.1.0.0/16 via 192.168.5.5', 'ENETUNREACH', 'Error: Nexthop has invalid gateway.'],
    ['route add 10.5.0.0/16 dev v0 via 192.168.1.1', 'ENETUNREACH', 'Error: Nexthop has invalid gateway.'],
    ['route add 10.5.0.0/16 via 192.168.1.1 onlink', 'ENODEV', 'Error: Nexthop device required for onlink.'],
    ['route add 10.2.0.1/16 via 10.0.0.1', 'EINVAL', 'Error: Invalid prefix for given prefix length.'],
    ['route add 10.2.0.0/16 dev nope', 'ENODEV', 'Cannot find device "nope"'],
    ['route add 10.2.0.0/16', 'ENODEV', 'RTNETLINK answers: No such device'],
    ['route add 10.2.0.0/16 via', ARG, 'Command line is not complete. Try option "help"'],
    ['route add 10.2.0.0/16 via fred', IP, 'Error: inet address is expected rather than "fred".'],
    ['route add 10.2.0.0/16 via fc00::9', IP, 'Error: inet address is expected rather than "fc00::9".'],
    ['route add 10.2.0.0/16 via 10.0.0.1 src 1.2.3.4', 'EINVAL', 'Error: Invalid prefsrc address.'],
    ['route add 10.2.0.0/16 via 10.0.0.1 table foo', ARG, 'Error: argument "foo" is wrong: "table" value is invalid\n'],
    ['route add 10.2.0.0/16 via 10.0.0.1 metric foo', ARG, 'Error: argument "foo" is wrong: "metric" value is invalid\n'],
    ['route add 10.2.0.0/16 via 10.0.0.1 mtu foo', ARG, 'Error: argument "foo" is wrong: "mtu" value is invalid\n'],
    ['route add 10.2.0.0/16 via 10.0.0.1 proto foo', ARG, 'Error: argument "foo" is wrong: "protocol" value is invalid\n'],
    ['route add 10.2.0.0/16 via 10.0.0.1 frob', ARG, 'Error: either "to" is duplicate, or "frob" is a garbage.'],
    ['route add 10.2.0.0/16 nexthop', ARG, 'Error: unexpected end of line after "nexthop"'],
    ['route add 10.2.0.0/16 nexthop via 10.0.0.1 weight 300', ARG, 'Error: argument "300" is wrong: "weight" is invalid\n'],
    ['route add fc09::/32 via fe80::1', 'ENODEV', 'Error: Egress device not specified.'],
    ['route add 10.0.0.0/24 dev v0 scope link', 'EEXIST', 'RTNETLINK answers: File exists'],
    ['route change 10.99.0.0/16 via 10.0.0.4', 'ENOENT', 'RTNETLINK answers: No such file or directory'],
    ['route del 10.66.0.0/16', 'ESRCH', 'RTNETLINK answers: No such process'],
    ['route show table 77', 'ENOENT', 'Error: ipv4: FIB table does not exist.\nDump terminated'],
    ['route show dev nope', 'ENODEV', 'Cannot find device "nope"'],
    ['route show frob', IP, 'Error: any valid prefix is expected rather than "frob".'],
    ['route get', ARG, 'need at least a destination address'],
    ['route get fred', IP, 'Error: any valid prefix is expected rather than "fred".'],
    ['route get 99.1.1.1', 'ENETUNREACH', 'RTNETLINK answers: Network is unreachable'],
    ['route get 10.0.0.7 from 10.0.0.77', 'ENETUNREACH', 'RTNETLINK answers: Network is unreachable'],
    ['route get 10.0.0.7 frob', IP, 'Error: inet prefix is expected rather than "frob".'],
    ['route flush', ARG, '"ip route flush" requires arguments.'],
    // neighbours
    ['neigh add 10.0.0.12 lladdr 02:00:00:00:00:09 dev v0 nud frob', ARG, 'Error: argument "frob" is wrong: nud state is bad'],
    ['neigh add 10.0.0.13 lladdr zz dev v0', MAC, '"zz" is invalid lladdr.'],
    ['neigh add 10.0.0.14 dev v0', 'EINVAL', 'Error: No link layer address given.'],
    ['neigh add 10.0.0.14', ARG, 'Device and destination are required arguments.'],
    ['neigh add dev v0', ARG, 'Device and destination are required arguments.'],
    ['neigh add fred lladdr 02:00:00:00:00:09 dev v0', IP, 'Error: any valid address is expected rather than "fred".'],
    ['neigh add 10.0.0.9 lladdr 02:00:00:00:00:0b dev v0 frob', ARG, 'Error: either "to" is duplicate, or "frob" is a garbage.'],
    ['neigh change 10.0.0.99 lladdr 02:00:00:00:00:0b dev v0', 'ENOENT', 'RTNETLINK answers: No such file or directory'],
    ['neigh del 10.0.0.44 dev v0', 'ENOENT', 'RTNETLINK answers: No such file or directory'],
    ['neigh get 10.0.0.99 dev v0', 'ENOENT', 'Error: Neighbour entry not found.'],
    ['neigh get', ARG, 'Device and address are required arguments.'],
    ['neigh show dev nope', 'ENODEV', 'Cannot find device "nope"'],
    ['neigh flush', ARG, 'Flush requires arguments.'],
    // rules
    ['rule add', ARG, '"ip rule add" requires arguments.'],
    ['rule del', ARG, '"ip rule del" requires arguments.'],
    ['rule add frob', ARG, 'Error: argument "frob" is wrong: Failed to parse rule type'],
    ['rule add from 10.0.0.300', IP, 'Error: any valid prefix is expected rather than "10.0.0.300".'],
    ['rule add from 10.0.0.1 table foo', ARG, 'Error: argument "foo" is wrong: invalid table ID\n'],
    ['rule del from 10.0.0.55', 'ENOENT', 'RTNETLINK answers: No such file or directory'],
  ])('%s', (command, code, words) => {
    expect(ipWorld().run(command)).toBe(`${code}: ${words}`)
  })

  it('say what a second of the same would be', () => {
    const { run } = ipWorld()
    run('link add link v0 name v0.100 type vlan id 100; neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0')
    run('route add 10.9.0.0/16 via 10.0.0.1; rule add from 10.0.0.5 table 100')
    expect(run('link add link v0 name x type vlan id 100')).toBe('EEXIST: Error: 8021q: VLAN device already exists.')
    expect(run('link add link v0 name v0.100 type vlan id 7')).toBe('EEXIST: RTNETLINK answers: File exists')
    expect(run('neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0')).toBe('EEXIST: RTNETLINK answers: File exists')
    expect(run('route add 10.9.0.0/16 via 10.0.0.1')).toBe('EEXIST: RTNETLINK answers: File exists')
    expect(run('rule add from 10.0.0.5 table 100 priority 32765')).toBe('EEXIST: RTNETLINK answers: File exists')
  })

  it('say what an interface that is down cannot', () => {
    const { run } = ipWorld()
    run('link add link v0 name v0.100 type vlan id 100; link set v0 down')
    expect(run('route add 10.88.0.0/16 dev v0')).toBe('ENETDOWN: Error: Device for nexthop is not up.')
    expect(run('link set v0.100 up')).toBe('ENETDOWN: RTNETLINK answers: Network is down')
    expect(run('link set v0 up mtu 1000; addr add fd00::1/64 dev v0')).toBe(
      'EACCES: Error: ipv6: IPv6 is disabled on this device. (command 2: addr add fd00::1/64 dev v0)',
    )
  })

  it('say what a route that refuses makes of a packet', () => {
    const { run } = ipWorld()
    run('route add unreachable 10.6.0.0/16; route add prohibit 10.7.0.0/16; route add blackhole 10.8.0.0/16')
    expect(run('route get 10.6.1.1')).toBe('EHOSTUNREACH: RTNETLINK answers: No route to host')
    expect(run('route get 10.7.1.1')).toBe('EACCES: RTNETLINK answers: Permission denied')
    expect(run('route get 10.8.1.1')).toBe('EINVAL: RTNETLINK answers: Invalid argument')
  })

  it('of what this stack has not, say that', () => {
    const { run } = ipWorld()
    for (const command of ['link set v0 arp off', 'route add 10.2.0.0/16 via 10.0.0.1 advmss 500', 'rule add fwmark 1 table 5']) {
      expect(run(command)).toMatch(/^EOPNOTSUPP: Error: .* is not supported by this stack\.$/)
    }
    expect(run('')).toBe('')
    expect(run('ip')).toMatch(/^ERR_INVALID_ARG_VALUE: Usage: ip \[ OPTIONS \] OBJECT/)
    expect(run('help')).toMatch(/^Usage: ip/)
  })
})

describe('a chain that fails', () => {
  it('keeps what was done, and says which command it was', () => {
    const { stack, v0 } = ipWorld()
    const line = 'ip addr add 10.7.0.1/24 dev v0;\n ip addr add 10.7.0.1/24 dev v0; ip addr add 10.8.0.1/24 dev v0'
    let caught: { code?: string; message?: string; command?: string; done?: number } = {}
    try {
      stack.ip(line)
    } catch (error) {
      caught = error as typeof caught
    }
    expect(caught.code).toBe('EEXIST')
    expect(caught.message).toBe('Error: ipv4: Address already assigned. (command 2: ip addr add 10.7.0.1/24 dev v0)')
    expect([caught.command, caught.done]).toEqual(['ip addr add 10.7.0.1/24 dev v0', 1])
    expect(v0.addresses).toContain('10.7.0.1/24')
    expect(v0.addresses).not.toContain('10.8.0.1/24')
  })
})
