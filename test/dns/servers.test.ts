import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { configure } from '../../src/base/config.ts'
import { reverseName } from '../../src/dns/reverse.ts'
import { parseResolvConf, parseServer } from '../../src/dns/servers.ts'
import { createWorld } from '../../src/sim/world.ts'

describe('servers as text', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1', 53, '10.0.0.1'],
    ['10.0.0.1:5353', '10.0.0.1', 5353, '10.0.0.1:5353'],
    ['2001:DB8::1', '2001:db8::1', 53, '2001:db8::1'],
    ['[2001:db8::1]:53', '2001:db8::1', 53, '2001:db8::1'],
    ['[fe80::1%eth0]:54', 'fe80::1%eth0', 54, '[fe80::1%eth0]:54'],
  ])('%s', (text, host, port, shown) => {
    expect(parseServer(text)).toEqual({ host, port, text: shown })
  })

  it.each(['', 'ns.example.org', '10.0.0.1:0', '10.0.0.1:65536', '[10.0.0.1]', '10.0.0.1%eth0', '[::1', '::1:x'])(
    '%j is none',
    (text) => {
      expect(() => parseServer(text)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_IP_ADDRESS' }))
    },
  )
})

describe('resolv.conf(5)', () => {
  it('what is known is read, the rest skipped', () => {
    const text = [
      '# a comment',
      'nameserver 10.0.0.1',
      'nameserver nonsense',
      'nameserver fe80::1%eth0',
      'nameserver 10.0.0.3',
      'nameserver 10.0.0.4',
      'domain old.example',
      'search example.org Example.NET',
      'options ndots:99 timeout:2 attempts:9 rotate edns0 timeout:x',
    ].join('\r\n')
    const { servers, ...rest } = parseResolvConf(text)
    expect(servers.map((s) => s.text)).toEqual(['10.0.0.1', 'fe80::1%eth0', '10.0.0.3'])
    expect(rest).toEqual({ searchDomains: ['example.org', 'example.net'], ndots: 15, timeoutMs: 2000, attempts: 5, rotate: true })
  })

  it('says what options leave open', async () => {
    const world = createWorld()
    const resolvConf = 'nameserver 10.0.0.1\nsearch example.org\noptions timeout:2 attempts:3'
    const { resolver } = world.stack({ dns: { resolvConf, timeoutMs: 700, searchDomains: ['example.net'] } })
    expect(resolver.servers.map((s) => s.text)).toEqual(['10.0.0.1'])
    expect(resolver.searchDomains).toEqual(['example.net'])
    expect(resolver.config).toMatchObject({ timeoutMs: 700, attempts: 3 })
    await world.close()
  })
})

describe('the configuration', () => {
  it.each([
    [{ ndots: 16 }, 'dns.ndots'],
    [{ attempts: 0 }, 'dns.attempts'],
    [{ udpPayloadBytes: 100 }, 'dns.udpPayloadBytes'],
    [{ cacheMinSeconds: 9, cacheMaxSeconds: 8 }, 'dns.cacheMinSeconds'],
    [{ cacheMaxSeconds: 2_000_000 }, 'dns.cacheMaxSeconds'],
  ])('refuses %j', (dns, option) => {
    expect(() => configure({ dns })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', message: expect.stringContaining(option) }),
    )
  })
})

it('names of addresses (RFC 1035 section 3.5, RFC 3596 section 2.5)', () => {
  expect(reverseName(address('10.1.2.3'))).toBe('3.2.1.10.in-addr.arpa')
  expect(reverseName(address('2001:db8::567:89ab'))).toBe(
    'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa',
  )
})
