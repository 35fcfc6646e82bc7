/**
 * Leases in files: that of a client, and those of a server, whatever moment the process or the machine ends at.
 *
 * A client's file is written anew under another name, synced, and renamed over the old one. A server's is a journal: one line per change, with a
 * checksum, synced before the client hears of its lease. A line that was cut off by a crash, and all behind it, does not count; when the journal
 * has grown to several times what it says, it is written anew like the client's.
 */
import { createHash } from 'node:crypto'
import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Lease, LeaseStore } from '../dhcp/lease.ts'
import type { DhcpServerStore, LeaseRecord } from '../dhcp/server-options.ts'

export interface JournalOptions {
  /** Wait for the disk with each lease, so that none is lost when the machine loses power. True when left out; a process that ends loses none either way. */
  sync?: boolean
}

/** Lines beyond which a journal is written anew, once they are three times its leases. */
const MIN_LINES = 1000

/** Keeps the lease of one interface in a file: `dhcp: { store: leaseFile('/var/lib/app/eth0.lease') }`. A file that is damaged counts as none. */
export function leaseFile(path: string): LeaseStore {
  return {
    load() {
      const text = read(path)
      try {
        return text === '' ? null : leaseFrom(JSON.parse(text))
      } catch {
        return null
      }
    },
    save(lease) {
      replace(path, lease === null ? '' : `${JSON.stringify(lease, binary)}\n`)
    },
  }
}

/** Keeps the leases of a server in a file. Throws what the file system throws. */
export function leaseJournal(path: string, options: JournalOptions = {}): DhcpServerStore {
  return new Journal(path, options.sync ?? true)
}

class Journal implements DhcpServerStore {
  private readonly records = new Map<string, LeaseRecord>()
  private lines = 0
  private fd = -1

  constructor(
    private readonly path: string,
    private readonly sync: boolean,
  ) {}

  load(): LeaseRecord[] {
    this.records.clear()
    const lines = read(this.path).split('\n')
    let isDamaged = lines.pop() !== '' // the last line has no end: it was cut off
    for (const line of lines) {
      const record = parse(line)
      if (record === null) {
        isDamaged = true
        break
      }
      this.records.set(record.address, record)
    }
    this.lines = lines.length
    if (isDamaged) this.rewrite() // what is appended must not stand behind what is cut off
    return [...this.records.values()]
  }

  save(record: LeaseRecord): void {
    this.records.set(record.address, record)
    if (this.lines > Math.max(MIN_LINES, 3 * this.records.size)) {
      this.rewrite()
      return
    }
    if (this.fd < 0) this.fd = openSync(this.path, 'a', 0o600)
    writeSync(this.fd, lineOf(record))
    if (this.sync) fdatasyncSync(this.fd)
    this.lines++
  }

  close(): void {
    if (this.fd >= 0) closeSync(this.fd)
    this.fd = -1
  }

  private rewrite(): void {
    this.close()
    const records = [...this.records.values()]
    replace(this.path, records.map(lineOf).join(''))
    this.lines = records.length
  }
}

function lineOf(record: LeaseRecord): string {
  const text = JSON.stringify(record)
  return `${digest(text)} ${text}\n`
}

function parse(line: string): LeaseRecord | null {
  const text = line.slice(17)
  if (line[16] !== ' ' || digest(text) !== line.slice(0, 16)) return null
  return JSON.parse(text) as LeaseRecord
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

/** The old file or the new one, never half of either. */
function replace(path: string, text: string): void {
  const temporary = `${path}.new`
  const fd = openSync(temporary, 'w', 0o600)
  try {
    writeSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, path)
  const dir = openSync(dirname(path), 'r')
  try {
    fsyncSync(dir) // the name as well
  } finally {
    closeSync(dir)
  }
}

/** JSON has neither bytes nor Infinity. */
function binary(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : value
}

function leaseFrom(value: Lease): Lease | null {
  if (typeof value.address !== 'string' || typeof value.prefix !== 'string') return null
  const time = (t: number | null): number => t ?? Number.POSITIVE_INFINITY
  return { ...value, renewAt: time(value.renewAt), rebindAt: time(value.rebindAt), expiresAt: time(value.expiresAt) }
}
