/** Configuration under nlinline's names: its README's example, bytes and text, both families. */
import { describe, expect, it } from 'vitest'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import { AF_INET, AF_INET6, if_nametoindex, ipaddr_add, linksetupdown } from '../../src/stack/nlinline.ts'
import type { Stack } from '../../src/stack/stack.ts'

function setUp(): { world: World; stack: Stack; vde0: AttachedInterface; index: number } {
  const world = createWorld()
  const stack = world.stack({ nd: { dadTransmits: 0 } })
  const vde0 = world.link(stack, world.stack()).a
  vde0.rename('vde0')
  vde0.removeAddress('10.0.0.1/24')
  return { world, stack, vde0, index: stack.if_nametoindex('vde0') }
}

const code = (f: () => unknown): string => {
  try {
    return `${f()}`
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('nlinline', () => {
  it('configures as in its README', () => {
    const { stack, vde0, index } = setUp()
    const address6 = Uint8Array.of(0x20, 1, 7, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2)
    const gateway6 = Uint8Array.of(0x20, 1, 7, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
    expect(index).toBe(vde0.index)
    expect(stack.linksetupdown(index, 1)).toBe(0)
    expect(stack.ipaddr_add(AF_INET, [192, 168, 2, 2], 24, index)).toBe(0)
    expect(stack.iproute_add(AF_INET, null, 0, [192, 168, 2, 1])).toBe(0)
    expect(stack.ipaddr_add(AF_INET6, address6, 64, index)).toBe(0)
    expect(stack.iproute_add(AF_INET6, null, 0, gateway6, 0)).toBe(0)
    expect(vde0.addresses).toEqual(expect.arrayContaining(['192.168.2.2/24', '2001:760::2/64']))
    expect(stack.ip('route show default') + stack.ip('-6 route show default')).toBe(
      'default via 192.168.2.1 dev vde0 proto static \ndefault via 2001:760::1 dev vde0 proto static metric 1024 pref medium\n',
    )
    expect(stack.iproute_del(AF_INET, null, 0, '192.168.2.1')).toBe(0)
    expect(stack.iproute_del(AF_INET6, null, 0, '2001:760::1', index)).toBe(0)
    expect(code(() => stack.iproute_del(AF_INET, null, 0, '192.168.2.1'))).toBe('ESRCH')
    expect(stack.ipaddr_del(AF_INET, '192.168.2.2', 24, index)).toBe(0)
    expect(stack.ipaddr_del(AF_INET6, address6, 64, index)).toBe(0)
    expect(vde0.addresses.filter((a) => !a.startsWith('fe80'))).toEqual([])
  })

  it('sets and gets MAC address, MTU, and whether it is up', () => {
    const { stack, vde0, index } = setUp()
    expect(stack.linksetaddr(index, '02:00:00:00:00:07')).toBe(0)
    const into = new Uint8Array(6)
    expect(stack.linkgetaddr(index, into)).toBe(into)
    expect([...into]).toEqual([2, 0, 0, 0, 0, 7])
    expect([...stack.linkgetaddr(1)]).toEqual([0, 0, 0, 0, 0, 0])
    stack.linksetmtu(index, 1400)
    stack.linksetupdown(index, 0)
    expect([vde0.mtu, vde0.up]).toEqual([1400, false])
    stack.linksetupdown(index, true)
    expect(vde0.up).toBe(true)
  })

  it('needs an interface for a gateway that is link-local', () => {
    const { stack, index } = setUp()
    stack.ipaddr_add(AF_INET6, 'fd00::2', 64, index)
    expect(code(() => stack.iproute_add(AF_INET6, 'fd01::', 32, 'fe80::1'))).toBe('EINVAL')
    stack.iproute_add(AF_INET6, 'fd01::', 32, 'fe80::1', index)
    stack.iproute_add(AF_INET6, 'fd02::', 32, null, index)
    expect(stack.routes.filter((r) => r.origin === 'static').map((r) => [r.destination, r.gateway])).toEqual([
      ['fd01::/32', 'fe80::1%vde0'],
      ['fd02::/32', null],
    ])
  })

  it('throws where the original returns a negative number', () => {
    const { stack, index } = setUp()
    stack.ipaddr_add(AF_INET, '10.0.0.50', 24, index)
    expect(code(() => stack.if_nametoindex('nope'))).toBe('ENODEV')
    expect(code(() => stack.linksetupdown(99, 1))).toBe('ENODEV')
    expect(code(() => stack.linksetupdown(1, 0))).toBe('EOPNOTSUPP')
    expect(code(() => stack.linksetupdown(1, 1))).toBe('0')
    expect(code(() => stack.linksetmtu(index, 9000))).toBe('EINVAL')
    expect(code(() => stack.linksetaddr(index, [1, 0, 0, 0, 0, 1]))).toBe('ERR_INVALID_MAC_ADDRESS')
    expect(code(() => stack.ipaddr_add(AF_INET, '10.0.0.50', 24, index))).toBe('EEXIST')
    expect(code(() => stack.ipaddr_add(AF_INET, 'fd00::1', 24, index))).toBe('ERR_INVALID_IP_ADDRESS')
    expect(code(() => stack.ipaddr_add(AF_INET6, [10, 0, 0, 1], 24, index))).toBe('ERR_INVALID_IP_ADDRESS')
    expect(code(() => stack.ipaddr_add(AF_INET, '10.0.0.51', 33, index))).toBe('ERR_INVALID_ARG_VALUE')
    expect(code(() => stack.ipaddr_add(3 as 2, '10.0.0.51', 24, index))).toBe('EAFNOSUPPORT')
    expect(code(() => stack.ipaddr_del(AF_INET, '10.0.0.50', 16, index))).toBe('EADDRNOTAVAIL')
    expect(code(() => stack.iproute_add(AF_INET, null, 0, '172.16.0.1'))).toBe('ENETUNREACH')
  })

  it('has functions with the stack first', () => {
    const { stack, vde0 } = setUp()
    linksetupdown(stack, if_nametoindex(stack, 'vde0'), true)
    expect(ipaddr_add(stack, 4, '10.0.0.50', 24, vde0.index)).toBe(0)
    expect(ipaddr_add(stack, AF_INET, '127.0.0.2', 32, 1)).toBe(0)
    expect(stack.ip('-br addr show lo')).toContain('127.0.0.2/32')
  })
})
