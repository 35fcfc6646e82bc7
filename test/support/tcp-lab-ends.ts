/** The two ends of the TCP lab: the link below the stack, the application above it. */
import type { NetIf, NetIfSink } from '../../src/netif/netif.ts'
import type { ConnectionHandler, RawConnection } from '../../src/tcp/api.ts'
import { patternAt } from './tcp-notation.ts'

/** The link of the lab: frames in by hand, frames out to whoever looks; full when the test says so. */
export class LabNetIf implements NetIf {
  readonly name = 'lab0'
  readonly medium = 'ip'
  readonly mac = null
  sink: NetIfSink | null = null
  /** Says no to the next sends: a count, or true for all. */
  full: boolean | number = false
  /** Sends refused so far, and asked. */
  refused = 0
  asked = 0
  /** Called for every send: true refuses it. */
  refuse: ((n: number) => boolean) | null = null
  readonly inbound: { bytes: Uint8Array; meta: number }[] = []
  private readonly out: (bytes: Uint8Array, meta: number) => void

  constructor(
    readonly mtu: number,
    readonly offload: number,
    readonly gsoMax: number,
    out: (bytes: Uint8Array, meta: number) => void,
  ) {
    this.out = out
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
  }

  receive(budget: number): boolean {
    for (let i = 0; i < budget && this.inbound.length > 0; i++) {
      const { bytes, meta } = this.inbound.shift()!
      const lent = new Uint8Array(bytes.length + 32)
      lent.set(bytes, 16)
      this.sink!.input(lent, 16, 16 + bytes.length, meta)
      lent.fill(0xee) // lent, not given: whoever kept it reads rubbish
    }
    return this.inbound.length > 0
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    this.asked++
    const no =
      this.refuse !== null ? this.refuse(this.asked) : this.full === true || (typeof this.full === 'number' && this.full-- > 0)
    if (no) {
      this.refused++
      return false
    }
    this.out(buf.slice(start, end), meta)
    return true
  }

  flush(): void {}
  close(): void {}
}

/** A handler that writes down what it was told. */
export class Recorder implements ConnectionHandler {
  readonly events: string[] = []
  /** Reads everything as it comes. */
  reading = true
  received = 0
  onReadableHook: ((c: RawConnection) => void) | null = null

  onConnect(): void {
    this.events.push('connect')
  }

  onReadable(c: RawConnection): void {
    this.events.push('readable')
    if (this.reading) this.drain(c)
    this.onReadableHook?.(c)
  }

  onWritable(): void {
    this.events.push('writable')
  }

  onUrgent(_c: RawConnection, bytes: number): void {
    this.events.push(`urgent ${bytes}`)
  }

  onClose(_c: RawConnection, error: Error | null): void {
    this.events.push(error === null ? 'close' : `close ${(error as { code?: string }).code}`)
  }

  /** Reads `most` bytes (all when left out) and compares them with the pattern. */
  drain(c: RawConnection, most = Number.POSITIVE_INFINITY): number {
    const n = Math.min(most, c.readable)
    const buf = new Uint8Array(n)
    const got = c.read(buf, 0, n)
    for (let i = 0; i < got; i++) {
      if (buf[i] !== patternAt(this.received + 1 + i)) throw new Error(`byte ${this.received + 1 + i} of the stream is wrong`)
    }
    this.received += got
    return got
  }

  /** Events since the last call. */
  take(): string[] {
    return this.events.splice(0)
  }
}
