/**
 * What a client knows of servers for TCP Fast Open (RFC 7413 section 4.1.3): cookie, MSS, and whether data in a SYN got lost on the way lately.
 * One per stack, bounded; the server asked longest ago goes first.
 */
import type { Path } from './path.ts'
import { COOKIE_MAX } from './wire.ts'

/** Losses in a row after which the way is suspected to swallow what has data or a cookie. */
const SUSPECT = 2
/** The pause doubles with each further loss, up to this often. */
const MAX_DOUBLINGS = 10

/** Which form of the option is tried where neither brought a cookie yet. */
const Form = { UNTRIED: 0, STANDARD_FAILED: 1, BOTH_FAILED: 2 } as const

export class FastOpenEntry {
  /** -1: none is known. */
  cookieLength = -1
  readonly cookie = new Uint8Array(COOKIE_MAX)
  /** The cookie came by the experimental option. */
  experimental = false
  /** Of the last SYN-ACK, as the option had it; 0: not known. */
  mss = 0
  private form: number = Form.UNTRIED
  private losses = 0
  private lostMs = 0

  keep(buf: Uint8Array, at: number, length: number, experimental: boolean): void {
    for (let i = 0; i < length; i++) this.cookie[i] = buf[at + i]
    this.cookieLength = length
    this.experimental = experimental
  }

  /** The option to use: the cookie's form; when asking, the experimental form once, after the standard one was not answered. */
  get useExperimental(): boolean {
    return this.cookieLength >= 0 ? this.experimental : this.form === Form.STANDARD_FAILED
  }

  /** A cookie was asked for in this form, and not given. */
  refused(experimental: boolean): void {
    const form = experimental ? Form.BOTH_FAILED : Form.STANDARD_FAILED
    if (form > this.form) this.form = form
  }

  lost(nowMs: number): void {
    this.losses++
    this.lostMs = nowMs
  }

  /** The connection that it opened hears nothing more: a middlebox that lets the handshake pass, and no more. */
  blackHole(nowMs: number): void {
    this.losses = Math.max(this.losses + 1, SUSPECT)
    this.lostMs = nowMs
  }

  worked(): void {
    this.losses = 0
  }

  /** RFC 7413 section 4.1.3.1: no data in SYNs to this server for a while. `pauseMs`: after the first suspicion. */
  isSuspended(nowMs: number, pauseMs: number): boolean {
    if (this.losses < SUSPECT) return false
    return (nowMs - this.lostMs) >>> 0 < pauseMs * 2 ** Math.min(this.losses - SUSPECT, MAX_DOUBLINGS)
  }
}

export class FastOpenCache {
  private readonly entries = new Map<string, FastOpenEntry>()

  constructor(private readonly most: number) {}

  get size(): number {
    return this.entries.size
  }

  /** What is known of the server at the end of `path`, or null. */
  find(path: Path): FastOpenEntry | null {
    return this.entries.get(keyOf(path)) ?? null
  }

  /** The entry, made if there is none, as the one used last. */
  touch(path: Path): FastOpenEntry {
    const key = keyOf(path)
    const entry = this.entries.get(key) ?? new FastOpenEntry()
    this.entries.delete(key)
    this.entries.set(key, entry)
    if (this.entries.size > this.most) this.entries.delete(this.entries.keys().next().value!)
    return entry
  }

  /** Forgets everything (Linux: `ip tcp_metrics flush`). */
  clear(): void {
    this.entries.clear()
  }
}

function keyOf(path: Path): string {
  return path.local.key + path.remote.key
}
