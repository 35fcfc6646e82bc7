import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Lease } from '../../src/dhcp/lease.ts'
import type { LeaseRecord } from '../../src/dhcp/server-options.ts'
import { leaseFile, leaseJournal } from '../../src/node/dhcp-store.ts'

const dir = mkdtempSync(join(tmpdir(), 'tapstack-leases-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const record = (n: number, state: LeaseRecord['state'] = 'bound'): LeaseRecord => ({
  address: `10.0.0.${n}`,
  mac: '02:00:00:00:00:05',
  clientId: '01020000000005',
  hostname: 'lab',
  state,
  expiresAt: n === 9 ? null : 1_700_000_000_000 + n,
})

describe('the journal of a server', () => {
  it('says after a restart what it was told, the last word on each address', () => {
    const path = join(dir, 'a')
    const store = leaseJournal(path)
    expect(store.load()).toEqual([])
    store.save(record(1))
    store.save(record(9))
    store.save(record(1, 'free'))
    expect(leaseJournal(path).load()).toEqual([record(1, 'free'), record(9)])
    store.close!()
  })

  it('survives an end at any byte: whole lines count, and what is written then does too', () => {
    const path = join(dir, 'b')
    const store = leaseJournal(path, { sync: false })
    for (const n of [1, 2, 3]) store.save(record(n))
    store.close!()
    const text = readFileSync(path)
    const line = text.length / 3
    for (let end = 0; end <= text.length; end += 7) {
      writeFileSync(path, text)
      truncateSync(path, end)
      const again = leaseJournal(path, { sync: false })
      expect(again.load().length, `${end}`).toBe(Math.floor(end / line))
      again.save(record(7))
      again.close!()
      expect(
        leaseJournal(path)
          .load()
          .map((r) => r.address),
      ).toContain('10.0.0.7')
    }
  })

  it('does not believe a line that was changed', () => {
    const path = join(dir, 'c')
    const store = leaseJournal(path, { sync: false })
    for (const n of [1, 2]) store.save(record(n))
    store.close!()
    writeFileSync(path, readFileSync(path, 'utf8').replace('10.0.0.2', '10.0.0.3'))
    expect(leaseJournal(path).load()).toEqual([record(1)])
    appendFileSync(path, 'nonsense\n')
    expect(leaseJournal(path).load()).toEqual([record(1)])
  })

  it('does not grow without end', () => {
    const path = join(dir, 'd')
    const store = leaseJournal(path, { sync: false })
    for (let i = 0; i < 2500; i++) store.save(record(i % 5))
    store.close!()
    expect(readFileSync(path, 'utf8').split('\n').length).toBeLessThan(1010)
    expect(leaseJournal(path).load().length).toBe(5)
  })
})

describe('the file of a client', () => {
  const lease = {
    address: '10.0.0.5',
    prefix: '10.0.0.5/24',
    renewAt: Number.POSITIVE_INFINITY,
    rebindAt: Number.POSITIVE_INFINITY,
    expiresAt: Number.POSITIVE_INFINITY,
    options: { clientIdentifier: Uint8Array.of(1, 2) },
  } as unknown as Lease

  it('keeps a lease, and forgets it', () => {
    const path = join(dir, 'lease')
    const store = leaseFile(path)
    expect(store.load()).toBe(null)
    store.save(lease)
    expect(leaseFile(path).load()).toMatchObject({ address: '10.0.0.5', expiresAt: Number.POSITIVE_INFINITY })
    expect(existsSync(`${path}.new`)).toBe(false)
    store.save(null)
    expect(leaseFile(path).load()).toBe(null)
  })

  it('that is damaged is none', () => {
    const path = join(dir, 'damaged')
    for (const text of ['{"address": 5}', '{"addr', 'null']) {
      writeFileSync(path, text)
      expect(leaseFile(path).load(), text).toBe(null)
    }
  })
})
