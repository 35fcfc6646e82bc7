/**
 * Leases in files: that of a client, of DHCP or DHCPv6, and those of a server, whatever moment the process or the machine ends at.
 *
 * A client's file is written anew under another name, synced, and renamed over the old one. A server's is a journal: one line per change, with a
 * checksum, synced before the clients hear of their leases, one sync for all that came in together. A line that was cut off by a crash, and all
 * behind it, does not count; when the journal has grown to several times what it says, or a line could not be written whole (a full disk), it
 * is written anew like the client's.
 */
import { createHash } from 'node:crypto'
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import type { Lease, LeaseStore } from '../dhcp/lease.ts'
import type { Recorder } from '../dhcp/ledger.ts'
import type { DhcpServerStore, LeaseRecord } from '../dhcp/server-options.ts'
import { restored } from '../dhcp6/kept.ts'
import type { Lease6Store } from '../dhcp6/lease.ts'
import type { Dhcp6ServerStore, Server6Record } from '../dhcp6/server-options.ts'

/** When a line of a journal is safe. */
export interface JournalOptions {
  /** Wait for the disk with each lease, so that none is lost when the machine loses power. True when left out; a process that ends loses none either way. */
  sync?: boolean
}

/** Lines beyond which a journal is written anew, once they are three times its leases. */
const MIN_LINES = 1000

/** Keeps the lease of one interface in a file: `dhcp: { store: leaseFile('/var/lib/app/eth0.lease') }`. A file that is damaged counts as none. */
export function leaseFile(path: string): LeaseStore {
  return {
    load: () => leaseFrom(parsed(path)),
    save: (lease) => replace(path, lease === null ? '' : `${JSON.stringify(lease, binary)}\n`),
  }
}

/** The same for DHCPv6, with the DUID: `dhcp6: { store: lease6File('/var/lib/app/eth0.lease6') }`. */
export function lease6File(path: string): Lease6Store {
  return { load: () => restored(parsed(path)), save: (kept) => replace(path, `${JSON.stringify(kept, binary)}\n`) }
}

/** Keeps the leases of a server in a file. Throws what the file system throws. */
export function leaseJournal(path: string, options: JournalOptions = {}): DhcpServerStore {
  return new Journal<LeaseRecord>(path, options.sync ?? true, (record) => record.address)
}

/** The same for a DHCPv6 server; who it is is kept as well. */
export function lease6Journal(path: string, options: JournalOptions = {}): Dhcp6ServerStore {
  return new Journal<Server6Record>(path, options.sync ?? true, (record) => (record.kind === 'server' ? '' : record.address))
}

class Journal<R> implements Recorder<R> {
  private readonly records = new Map<string, R>()
  private lines = 0
  private fd = -1
  /** The file may end in half a line: what is appended would not count. */
  private isDamaged = false
  private unsynced = false

  constructor(
    private readonly path: string,
    private readonly durable: boolean,
    /** A later record with the same key takes the place of an earlier one. */
    private readonly keyOf: (record: R) => string,
  ) {}

  load(): R[] {
    this.records.clear()
    const lines = read(this.path).split('\n')
    this.isDamaged = lines.pop() !== '' // the last line has no end: it was cut off
    for (const line of lines) {
      const record = parse<R>(line)
      if (record === null) {
        this.isDamaged = true
        break
      }
      this.records.set(this.keyOf(record), record)
    }
    this.lines = lines.length
    if (this.isDamaged) this.rewrite()
    return [...this.records.values()]
  }

  save(record: R): void {
    this.records.set(this.keyOf(record), record)
    if (this.isDamaged || this.lines > Math.max(MIN_LINES, 3 * this.records.size)) {
      this.rewrite()
      return
    }
    if (this.fd < 0) this.open()
    this.isDamaged = true
    writeAll(this.fd, lineOf(record))
    this.isDamaged = false
    this.unsynced = true
    this.lines++
  }

  sync(): void {
    if (!this.unsynced) return
    this.isDamaged = true // a kernel that could not write a page says so once, and forgets it
    if (this.durable) fdatasyncSync(this.fd)
    this.isDamaged = false
    this.unsynced = false
  }

  close(): void {
    this.sync()
    this.end()
  }

  private open(): void {
    const isNew = !existsSync(this.path)
    this.fd = openSync(this.path, 'a', 0o600)
    if (isNew && this.durable) syncDirectoryOf(this.path)
  }

  private end(): void {
    if (this.fd >= 0) closeSync(this.fd)
    this.fd = -1
    this.unsynced = false
  }

  private rewrite(): void {
    this.end()
    const records = [...this.records.values()]
    replace(this.path, records.map(lineOf).join(''))
    this.lines = records.length
    this.isDamaged = false
  }
}

function lineOf(record: unknown): string {
  const text = JSON.stringify(record)
  return `${digest(text)} ${text}\n`
}

function parse<R>(line: string): R | null {
  const text = line.slice(17)
  if (line[16] !== ' ' || digest(text) !== line.slice(0, 16)) return null
  return JSON.parse(text) as R
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/** All of it; '' when there is none. What could not be written is said now, not when somebody has a lease. */
function read(path: string): string {
  accessSync(dirname(path), constants.W_OK | constants.X_OK)
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return ''
    throw message.includes(path) ? error : Object.assign(error as Error, { message: `${message} '${path}'` })
  }
}

/** All of it, or an error: a disk that fills up takes a part first. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
}

/** The old file or the new one, never half of either. */
function replace(path: string, text: string): void {
  const temporary = `${path}.new`
  const fd = openSync(temporary, 'w', 0o600)
  try {
    writeAll(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, path)
  syncDirectoryOf(path)
}

/** The name is on the disk as well. */
function syncDirectoryOf(path: string): void {
  const dir = openSync(dirname(path), 'r')
  try {
    fsyncSync(dir)
  } finally {
    closeSync(dir)
  }
}

/** JSON has neither bytes nor Infinity. */
function binary(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : value
}

/** What a file of JSON says; null: there is none, or it is damaged. */
function parsed(path: string): unknown {
  const text = read(path)
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return null
  }
}

function leaseFrom(read: unknown): Lease | null {
  const value = read as Lease | null
  if (typeof value?.address !== 'string' || typeof value.prefix !== 'string') return null
  const time = (t: number | null): number => t ?? Number.POSITIVE_INFINITY
  return { ...value, renewAt: time(value.renewAt), rebindAt: time(value.rebindAt), expiresAt: time(value.expiresAt) }
}
