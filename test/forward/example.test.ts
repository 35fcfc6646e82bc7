/** examples/two_domains.ts as it stands, on the real clock: what it prints. It ends by itself. */
import { expect, it, vi } from 'vitest'

it('two domains and a router: echoes across, and the router is the first hop, in both families', async () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {})
  await import('../../examples/two_domains.ts')
  const lines = log.mock.calls.map(([line]) => String(line).replace(/\d+\.\d{3} ms/, 'T'))
  log.mockRestore()
  expect(lines.slice(0, -1)).toEqual([
    '10.2.0.2 echoes: hello over IPv4',
    'traceroute to 10.2.0.2',
    '  1  10.1.0.1  T',
    '  2  10.2.0.2  T',
    'fd00:2::2 echoes: hello over IPv6',
    'traceroute to fd00:2::2',
    '  1  fd00:1::1  T',
    '  2  fd00:2::2  T',
  ])
  expect(lines.at(-1)).toMatch(/^the router sent on \d+ packets of IPv4 and \d+ of IPv6$/)
})
