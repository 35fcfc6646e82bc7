/** RFC 6724: the examples of section 10, rule by rule, and what is ours to decide. */
import { describe, expect, it } from 'vitest'
import { address, prefix } from '../../src/base/address.ts'
import { addAddress } from '../../src/ip/addresses.ts'
import { AddressState, type InterfaceAddress } from '../../src/ip/interface.ts'
import { orderDestinations, scopeOf, selectSource6 } from '../../src/ip/source.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'

/** A stack with links that nobody answers on; the addresses of each. */
function host(...interfaces: string[][]): Stack {
  const stack = createWorld().stack()
  for (const addresses of interfaces) {
    const attached = stack.attach(createPipe({ medium: 'ip' })[0], {})
    for (const text of addresses) addAddress(stack.ipLayer, attached.iface, prefix(text))
    stack.addRoute('::/0', null, attached, { metric: attached.index })
    if (addresses.some((a) => a.includes('.'))) stack.addRoute('0.0.0.0/0', null, attached, { metric: attached.index })
  }
  return stack
}

function chosen(stack: Stack, destination: string, index = 0): string {
  const { iface } = stack.interfaces[index]
  const d = address(destination)
  if (d.isLinkLocal) d.zone = iface.index
  return `${selectSource6(stack.ipLayer, iface, d)?.toString().replace(/%.*/, '')}`
}

function find(stack: Stack, text: string): InterfaceAddress {
  return stack.interfaces.flatMap((i) => i.iface.addresses).find((a) => `${a.address}` === text)!
}

describe('source addresses (RFC 6724 section 5)', () => {
  // Section 10.1: destination, candidates, result.
  it.each([
    ['2001:db8:1::1', ['2001:db8:3::1/64', 'fe80::1/64'], '2001:db8:3::1', 'rule 2: appropriate scope'],
    ['ff05::1', ['2001:db8:3::1/64', 'fe80::1/64'], '2001:db8:3::1', 'rule 2, multicast of site scope'],
    ['fe80::9', ['2001:db8:3::1/64', 'fe80::1/64'], 'fe80::1', 'rule 2: link-local for link-local'],
    ['2001:db8:1::1', ['2001:db8:1::1/64', '2001:db8:2::1/64'], '2001:db8:1::1', 'rule 1: the same address'],
    ['2001:db8:1::1', ['2001:db8:2::1/64', '2001:db8:1::2/64'], '2001:db8:1::2', 'rule 8: longest matching prefix'],
    [
      '2002:c633:6401::1',
      ['2001:db8:1::2/64', '2002:c633:6401:0:d5e3:7953:13eb:22e8/64'],
      '2002:c633:6401:0:d5e3:7953:13eb:22e8',
      'rule 6: matching label',
    ],
    ['fd00:1::1', ['2001:db8::1/64', 'fd00:2::1/64'], 'fd00:2::1', 'rule 6: unique local addresses among themselves'],
  ])('%s from %j: %s (%s)', (destination, addresses, result) => {
    expect(chosen(host(addresses), destination)).toBe(result)
    expect(chosen(host([...addresses].reverse()), destination)).toBe(result)
  })

  it('rule 3: deprecated ones last, but rather than none', () => {
    const stack = host(['2001:db8:1::2/64', '2001:db8:2::1/64'])
    find(stack, '2001:db8:1::2').state = AddressState.DEPRECATED
    expect(chosen(stack, '2001:db8:1::1')).toBe('2001:db8:2::1')
    find(stack, '2001:db8:2::1').state = AddressState.TENTATIVE
    expect(chosen(stack, '2001:db8:1::1')).toBe('2001:db8:1::2')
    find(stack, '2001:db8:1::2').state = AddressState.DUPLICATE
    expect(chosen(stack, '2001:db8:1::1')).toBe('undefined')
  })

  it('rule 5: of the outgoing interface, even where another has a longer match; link-local ones of no other', () => {
    const stack = host(['2001:db8:2::1/64'], ['2001:db8:1::2/64', 'fe80::2/64'])
    expect(chosen(stack, '2001:db8:1::1')).toBe('2001:db8:2::1')
    expect(chosen(stack, 'fe80::1')).toBe('2001:db8:2::1')
    const bare = host([], ['2001:db8:1::2/64', 'fe80::2/64'])
    expect(chosen(bare, '2001:db8:9::1')).toBe('2001:db8:1::2')
  })

  it('rule 7: temporary ones first', () => {
    const stack = host(['2001:db8:1::2/64', '2001:db8:1:0:d5e3::1/64'])
    const own = find(stack, '2001:db8:1:0:d5e3::1')
    const { addresses } = stack.interfaces[0].iface
    addresses[addresses.indexOf(own)] = { ...own, temporary: true }
    expect(chosen(stack, '2001:db8:9::1')).toBe('2001:db8:1:0:d5e3::1')
  })

  it('knows scopes', () => {
    const of = [
      '::1',
      'fe80::1',
      'fec0::1',
      'fd00::1',
      '2001:db8::1',
      'ff01::1',
      'ff02::1',
      'ff0e::1',
      '127.0.0.1',
      '169.254.1.1',
      '10.0.0.1',
    ]
    expect(of.map((a) => scopeOf(address(a)))).toEqual([2, 2, 5, 14, 14, 1, 2, 14, 2, 2, 14])
  })
})

describe('the order of destinations (RFC 6724 section 6)', () => {
  const order = (stack: Stack, ...all: string[]): string[] =>
    orderDestinations(stack.ipLayer, all.map(address)).map((a) => `${a}`)

  // Section 10.2.
  it.each([
    ['rule 2: matching scope', ['2001:db8:2::1/64', 'fe80::1/64', '169.254.13.78/16'], ['2001:db8:1::1', '198.51.100.121']],
    ['rule 6: higher precedence', ['2001:db8:1::2/64', 'fe80::1/64', '10.1.2.4/24'], ['2001:db8:1::1', '10.1.2.3']],
    [
      'rule 9: longest matching prefix',
      ['2001:db8:1::2/64', '2001:db8:3f44::2/64', 'fe80::1/64'],
      ['2001:db8:1::1', '2001:db8:3ffe::1'],
    ],
    ['rule 5: matching label', ['2001:db8:1::2/64', 'fe80::1/64'], ['2001:db8:1::1', '2002:c633:6401::1']],
  ])('%s', (_, addresses, [first, second]) => {
    const stack = host(addresses)
    expect(order(stack, first, second)).toEqual([first, second])
    expect(order(stack, second, first)).toEqual([first, second])
  })

  it('what cannot be reached comes last; equals keep their order', () => {
    const v4 = host(['10.1.2.4/24'])
    v4.removeRoute('::/0')
    expect(order(v4, '2001:db8::1', '192.0.2.1')).toEqual(['192.0.2.1', '2001:db8::1'])
    expect(order(v4, '192.0.2.9', '192.0.2.1', '198.51.100.1')).toEqual(['192.0.2.9', '192.0.2.1', '198.51.100.1'])
  })
})
