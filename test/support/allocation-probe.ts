/**
 * Measures garbage: run by allocation.test.ts in a process of its own, `node --expose-gc --import tsx allocation-probe.ts bulk|echo offload|wire eager|patient
 * [congestion [bytes-per-second [delay-ms]]]`. Two
 * stacks over a pipe on virtual time, the raw shape; after a warm-up the heap is cleaned, the work is done with the collector idle (a
 * young generation large enough), and what `heapUsed` grew by is what was allocated. Prints one line of JSON.
 */
import { allocate } from '../../src/base/arena.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { fault } from '../../src/link/fault.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { Stack } from '../../src/stack/stack.ts'
import type { ConnectionHandler, RawConnection } from '../../src/tcp/api.ts'

const [scenario, offload, reading, congestion = 'cubic', rate = '0', delay = '0'] = process.argv.slice(2)
/** `eager` reads whatever there is, `patient` only when much has gathered. */
const LEAST = reading === 'patient' ? 32_768 : 1
const host = new VirtualHost({ seed: 1 })
const [endA, endB] = createPipe({ offload: offload === 'offload' })
const a = new Stack({ host, random: new SeededRandom(1) })
const b = new Stack({ host, random: new SeededRandom(2) })
a.attach(delay === '0' ? endA : fault(endA, { delay: Number(delay) }), { addresses: ['10.0.0.1/24'] })
b.attach(endB, { addresses: ['10.0.0.2/24'] })
const piece = allocate(1 << 16)
const sink = allocate(1 << 16)

/** Writes without end. */
class Source implements ConnectionHandler {
  onConnect(c: RawConnection): void {
    this.onWritable(c)
  }

  onWritable(c: RawConnection): void {
    while (c.write(piece, 0, piece.length) === piece.length) {}
  }
}

/** Reads, and forgets. */
class Drain implements ConnectionHandler {
  bytes = 0

  onReadable(c: RawConnection): void {
    if (c.readable < LEAST) return
    for (let n = c.read(sink, 0, sink.length); n > 0; n = c.read(sink, 0, sink.length)) this.bytes += n
  }
}

/** One byte there, one byte back. */
class PingPong implements ConnectionHandler {
  rounds = 0

  onConnect(c: RawConnection): void {
    c.setNoDelay(true)
    c.write(piece, 0, 1)
  }

  onReadable(c: RawConnection): void {
    while (c.readable > 0) {
      c.read(sink, 0, 1)
      this.rounds++
      c.write(piece, 0, 1)
    }
  }
}

const drain = new Drain()
const pong = new PingPong()
const ping = new PingPong()
b.tcp.listen(
  { port: 7 },
  {
    onConnection(c) {
      c.handler = scenario === 'bulk' ? drain : pong
      c.setNoDelay(true)
    },
  },
)
const handler = scenario === 'bulk' ? new Source() : ping
a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7, congestion, maxPacingRate: Number(rate) }, handler)

/** Payload bytes of a full segment with timestamps. */
const SEGMENT = 1448
const done = (): number => (scenario === 'bulk' ? drain.bytes / SEGMENT : ping.rounds)

function until(target: number): void {
  while (done() < target) if (!host.step()) throw new Error('nothing more happens')
}

const WORK = 100_000
// Warm: tables and rings have their size, code is compiled (at once: see allocation.test.ts) and has settled.
until(2 * WORK)
const gc = (globalThis as { gc?: () => void }).gc
if (gc === undefined) throw new Error('needs --expose-gc')
gc()
gc()
const from = done()
const before = process.memoryUsage().heapUsed
until(from + WORK)
const after = process.memoryUsage().heapUsed
console.log(
  JSON.stringify({
    scenario,
    units: Math.round(done() - from),
    bytes: after - before,
    perUnit: (after - before) / (done() - from),
  }),
)
