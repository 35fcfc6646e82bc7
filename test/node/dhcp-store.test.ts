import fs, { appendFileSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Lease } from '../../src/dhcp/lease.ts'
import type { LeaseRecord } from '../../src/dhcp/server-options.ts'
import { lease6File, lease6Journal, leaseFile, leaseJournal } from '../../src/node/dhcp-store.ts'
import { runs } from '../support/runs.ts'
import { scratchFolder } from '../support/scratch.ts'

/** The disk: how many bytes it takes, and how often it was waited for. */
const disk = { room: Number.POSITIVE_INFINITY, syncs: 0 }
const real = { writeSync: fs.writeSync, fdatasyncSync: fs.fdatasyncSync }
beforeAll(() => {
  Object.assign(fs, {
    writeSync(fd: number, bytes: Uint8Array, at: number): number {
      if (disk.room === 0) throw new Error('no space left on device')
      const n = real.writeSync(fd, bytes, at, Math.min(disk.room, bytes.length - at))
      disk.room -= n
      return n
    },
    fdatasyncSync(fd: number): void {
      disk.syncs++
      real.fdatasyncSync(fd)
    },
  })
  syncBuiltinESMExports()
})
afterAll(() => {
  Object.assign(fs, real)
  syncBuiltinESMExports()
})

const dir = scratchFolder('leases')

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

  it('survives an end at any byte: what was whole then counts, and what is written afterwards does too', () => {
    const change = fc.record({ n: fc.integer({ min: 1, max: 4 }), state: fc.constantFrom('bound', 'free', 'abandoned') })
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 12 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (changes, at) => {
          const path = join(dir, 'b')
          rmSync(path, { force: true })
          const store = leaseJournal(path, { sync: false })
          /** What is known when the file has so many bytes or more. */
          const known: { bytes: number; leases: Map<string, LeaseRecord> }[] = [{ bytes: 0, leases: new Map() }]
          for (const { n, state } of changes) {
            store.save(record(n, state as LeaseRecord['state']))
            const before = known[known.length - 1].leases
            known.push({ bytes: statSync(path).size, leases: new Map(before).set(record(n).address, record(n, state as 'free')) })
          }
          store.close!()
          const end = Math.round(at * statSync(path).size)
          truncateSync(path, end)
          writeFileSync(`${path}.new`, readFileSync(path).subarray(end / 2)) // as if it was being written anew
          const { leases } = known.filter(({ bytes }) => bytes <= end).pop()!
          const again = leaseJournal(path, { sync: false })
          expect(again.load()).toEqual([...leases.values()])
          again.save(record(7))
          again.close!()
          leases.set(record(7).address, record(7))
          expect(leaseJournal(path).load()).toEqual([...leases.values()])
        },
      ),
      { numRuns: runs(150), seed: 15 },
    )
  })

  it('whose disk was full for a while is written anew: nothing stands behind half a line', () => {
    const path = join(dir, 'full')
    const store = leaseJournal(path)
    store.save(record(1))
    disk.room = 20
    expect(() => store.save(record(2))).toThrow('no space')
    expect(readFileSync(path, 'utf8').split('\n')[1].length).toBe(20)
    disk.room = Number.POSITIVE_INFINITY
    store.save(record(3))
    store.close!()
    expect(leaseJournal(path).load()).toEqual([record(1), record(2), record(3)])
  })

  it('is synced once for all that was saved', () => {
    const store = leaseJournal(join(dir, 'e'))
    disk.syncs = 0
    for (const n of [1, 2, 3]) store.save(record(n))
    store.sync!()
    store.sync!()
    store.close!()
    expect(disk.syncs).toBe(1)
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

describe('the journal of a DHCPv6 server', () => {
  it('keeps addresses, prefixes, and who the server is', () => {
    const path = join(dir, 'six')
    const lease = {
      duid: '00:03:00:01:02:00:00:00:00:05',
      iaid: 1,
      hostname: null,
      via: null,
      state: 'bound',
      expiresAt: null,
    } as const
    const address = { kind: 'address', address: 'fd00::100', ...lease } as const
    const prefix = { kind: 'prefix', address: 'fd01::/56', ...lease, via: 'fe80::5%eth0' } as const
    const store = lease6Journal(path)
    for (const duid of ['00:03:00:01:01', '00:03:00:01:02']) store.save({ kind: 'server', duid })
    for (const one of [prefix, address, { ...address, state: 'free' as const }]) store.save(one)
    store.close!()
    expect(lease6Journal(path).load()).toEqual([
      { kind: 'server', duid: '00:03:00:01:02' },
      prefix,
      { ...address, state: 'free' },
    ])
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

it('a place where nothing can be written is told of at once, by its name', () => {
  for (const make of [leaseFile, lease6File, leaseJournal, lease6Journal]) {
    expect(() => make(join(dir, 'nowhere', 'x')).load()).toThrow(
      expect.objectContaining({ code: 'ENOENT', message: expect.stringContaining('nowhere') }),
    )
    expect(() => make(dir).load()).toThrow(expect.objectContaining({ code: 'EISDIR', message: expect.stringContaining(dir) }))
  }
})

describe('the file of a DHCPv6 client', () => {
  const lease = {
    addresses: [{ address: '2001:db8::5', preferredUntil: 8, validUntil: Number.POSITIVE_INFINITY }],
    prefixes: [{ prefix: '2001:db8:1::/56', preferredUntil: 5, validUntil: 6 }],
    server: '00:03:00:01:02:00:00:00:00:01',
    nameservers: ['2001:db8::53'],
    searchDomains: ['lab.example'],
    ntpServers: [],
    obtainedAt: 1,
    renewAt: 2,
    rebindAt: Number.POSITIVE_INFINITY,
    expiresAt: Number.POSITIVE_INFINITY,
    options: { dnsServers: ['2001:db8::53'] },
  }
  const duid = '00:03:00:01:02:00:00:00:00:05'

  it('keeps lease and DUID, and the DUID alone', () => {
    const path = join(dir, 'lease6')
    expect(lease6File(path).load()).toBe(null)
    lease6File(path).save({ duid, lease })
    expect(lease6File(path).load()).toEqual({ duid, lease: { ...lease, options: {} } })
    lease6File(path).save({ duid, lease: null })
    expect(lease6File(path).load()).toEqual({ duid, lease: null })
  })

  it('that is damaged is none; one whose lease is damaged keeps the DUID', () => {
    const path = join(dir, 'damaged6')
    for (const text of ['{"duid": 5}', '{"duid": "00', 'null', '5', '{"duid": "nonsense", "lease": null}']) {
      writeFileSync(path, text)
      expect(lease6File(path).load(), text).toBe(null)
    }
    for (const damage of [
      { addresses: 5 },
      { addresses: [{ address: 'x' }] },
      { addresses: [{ address: '10.0.0.1', preferredUntil: 1, validUntil: 1 }] },
      { prefixes: [{ prefix: '::/200', preferredUntil: 1, validUntil: 1 }] },
      { renewAt: 'soon' },
      { nameservers: null },
    ]) {
      writeFileSync(path, JSON.stringify({ duid, lease: { ...lease, ...damage } }))
      expect(lease6File(path).load(), JSON.stringify(damage)).toEqual({ duid, lease: null })
    }
  })
})
