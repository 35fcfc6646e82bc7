/** Two stacks, an impaired link, megabytes each way at once: used by the seed tests and by hand. */

import type { ConfigOverrides } from '../../src/base/config.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { fault } from '../../src/link/fault.ts'
import type { FaultOptions } from '../../src/link/impairments.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { Stack } from '../../src/stack/stack.ts'
import type { ConnectionHandler, RawConnection } from '../../src/tcp/api.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { checkInvariants, checkTransition } from '../support/tcp-invariants.ts'

/** A prime length: the pattern never lines up with segments, rings or powers of two. */
const PATTERN = 65521
const pattern = new Uint8Array(2 * PATTERN)
{
  const random = new SeededRandom(42)
  for (let i = 0; i < PATTERN; i++) pattern[i] = pattern[i + PATTERN] = random.int32()
}

/** Writes the pattern, reads and compares it, closes when both is done. One per end. */
export class Party implements ConnectionHandler {
  sent = 0
  received = 0
  closed = false
  error: Error | null = null
  connection: Connection | null = null
  private readonly buf = new Uint8Array(65536)

  constructor(
    private readonly toSend: number,
    private readonly toReceive: number,
  ) {}

  onConnect(c: RawConnection): void {
    this.connection = c as Connection
    this.onWritable(c)
  }

  onWritable(c: RawConnection): void {
    while (this.sent < this.toSend) {
      const at = this.sent % PATTERN
      const n = c.write(pattern, at, Math.min(PATTERN, this.toSend - this.sent))
      this.sent += n
      if (n === 0) return
    }
    c.shutdown()
  }

  onReadable(c: RawConnection): void {
    for (;;) {
      const n = c.read(this.buf, 0, this.buf.length)
      if (n === 0) break
      let done = 0
      while (done < n) {
        const at = (this.received + done) % PATTERN
        const run = Math.min(n - done, PATTERN)
        if (Buffer.compare(this.buf.subarray(done, done + run), pattern.subarray(at, at + run)) !== 0) {
          throw new Error(`bytes differ near ${this.received + done}`)
        }
        done += run
      }
      this.received += n
      if (this.received > this.toReceive) throw new Error('more bytes than were sent')
    }
  }

  onClose(_c: RawConnection, error: Error | null): void {
    this.closed = true
    this.error = error
  }
}

export interface TransferOptions {
  seed: number
  bytes: number
  impairments: FaultOptions
  config?: ConfigOverrides
  offload?: boolean
  limitMs?: number
}

export interface TransferResult {
  elapsedMs: number
  events: number
  a: Party
  b: Party
  stackA: Stack
  stackB: Stack
  host: VirtualHost
}

/** Runs the transfer to its end, checking invariants after every event. Throws when it fails or takes longer than `limitMs` of virtual time. */
export function transfer(options: TransferOptions): TransferResult {
  const { seed, bytes, impairments, config = {}, offload = true, limitMs = 3_600_000 } = options
  // The clock begins shortly before its wrap in every third seed.
  const host = new VirtualHost({ seed, startMs: seed % 3 === 0 ? 0x7fffffff - 2000 : 0 })
  const [endA, endB] = createPipe({ offload })
  const stackA = new Stack({ host, random: new SeededRandom(seed * 2 + 1) }, { name: 'a', ...config })
  const stackB = new Stack({ host, random: new SeededRandom(seed * 2 + 2) }, { name: 'b', ...config })
  stackA.attach(fault(endA, { ...impairments, seed }), { addresses: ['10.0.0.1/24'] })
  stackB.attach(endB, { addresses: ['10.0.0.2/24'] })
  stackA.tcp.onStateChange = checkTransition
  stackB.tcp.onStateChange = checkTransition
  const a = new Party(bytes, bytes)
  const b = new Party(bytes, bytes)
  stackB.tcp.listen(
    { port: 7 },
    {
      onConnection(c) {
        c.handler = b
        b.onConnect(c)
      },
    },
  )
  stackA.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, a)
  let events = 0
  while (!(a.closed && b.closed)) {
    if (!host.step()) throw new Error(`nothing left to happen: ${progress(a, b)}`)
    events++
    if (a.connection !== null) checkInvariants(a.connection)
    if (b.connection !== null) checkInvariants(b.connection)
    if (host.elapsedMs > limitMs) throw new Error(`not done after ${limitMs} ms: ${progress(a, b)}`)
  }
  return { elapsedMs: host.elapsedMs, events, a, b, stackA, stackB, host }
}

function progress(a: Party, b: Party): string {
  const of = (p: Party): string => `sent ${p.sent}, received ${p.received}, ${p.connection?.stateName ?? 'no connection'}`
  return `a: ${of(a)}; b: ${of(b)}; ${JSON.stringify(a.connection?.info())} ${JSON.stringify(b.connection?.info())}`
}
