/** Addresses of a name, tried one beside the other (RFC 8305), on virtual time. */
import { describe, expect, it } from 'vitest'
import { type Address, address } from '../../src/base/address.ts'
import { NetError } from '../../src/base/errors.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import type { ConnectionHandler, OpenOptions, RawConnection } from '../../src/tcp/api.ts'
import { Opening } from '../../src/web/opening.ts'

/** An opening of these addresses, and what becomes of each. */
async function tried(addresses: readonly string[], refused: readonly string[] = []) {
  const host = new VirtualHost()
  const log: string[] = []
  const handlers = new Map<string, () => void>()
  const failures = new Map<string, () => void>()
  const open = (options: OpenOptions, handler: ConnectionHandler): RawConnection => {
    const to = String(options.remoteAddress as Address)
    if (refused.includes(to)) throw new NetError('ENETUNREACH')
    log.push(`try ${to}`)
    const connection = { to, abort: () => log.push(`abort ${to}`) } as unknown as RawConnection
    handlers.set(to, () => handler.onConnect?.(connection))
    failures.set(to, () => handler.onClose?.(connection, new NetError('ECONNREFUSED', { address: to })))
    return connection
  }
  const lookup = async (): Promise<Address[]> => addresses.map((a) => address(a))
  const opening = new Opening(
    { host, lookup, secure: null, memory: (n) => new Uint8Array(n) },
    'name',
    { remotePort: 80 },
    open,
    (c) => log.push(`open ${(c as unknown as { to: string }).to}`),
    (error) => log.push(`failed ${(error as NetError).code} ${(error as NetError).address}`),
  )
  await Promise.resolve()
  await Promise.resolve()
  return { host, log, opening, connect: (to: string) => handlers.get(to)!(), refuse: (to: string) => failures.get(to)!() }
}

describe('Opening', () => {
  it('tries the next address beside one that takes its time, and ends the slower', async () => {
    const t = await tried(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
    expect(t.log).toEqual(['try 10.0.0.1'])
    t.host.advance(249)
    expect(t.log.length).toBe(1)
    t.host.advance(1)
    expect(t.log).toEqual(['try 10.0.0.1', 'try 10.0.0.2'])
    t.connect('10.0.0.1')
    t.host.advance(1000)
    expect(t.log.slice(2)).toEqual(['abort 10.0.0.2', 'open 10.0.0.1'])
  })

  it('goes on at once where one is refused, and tells the first failure when all are', async () => {
    const t = await tried(['10.0.0.1', '10.0.0.2', '10.0.0.3'], ['10.0.0.1'])
    t.refuse('10.0.0.2')
    t.refuse('10.0.0.3')
    expect(t.log).toEqual(['try 10.0.0.2', 'try 10.0.0.3', 'failed ENETUNREACH 10.0.0.1'])
  })

  it('when it is canceled ends all, and tries no more', async () => {
    const t = await tried(['10.0.0.1', '10.0.0.2'])
    t.opening.cancel()
    t.host.advance(1000)
    expect(t.log).toEqual(['try 10.0.0.1', 'abort 10.0.0.1'])
  })
})
