/**
 * Measures the garbage of forwarding: run by test/forward/allocation.test.ts in a process of its own, `node --expose-gc --import tsx
 * forward-probe.ts 4|6`. Packets of a few sizes go through a router between two pipes; prints one line of JSON.
 */
import { allocate } from '../../src/base/arena.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { Stack } from '../../src/stack/stack.ts'
import { MAC_B, udpFrame } from './frames.ts'

const family = process.argv[2] === '6' ? 6 : 4
const host = new VirtualHost({ seed: 1 })
const router = new Stack({ host, random: new SeededRandom(1) }, { forwarding: true })
const [near, a] = createPipe()
const [b, far] = createPipe()
const sink = { host, count: 0, input: () => void sink.count++, readable() {}, writable() {}, closed() {} }
near.attach({ ...sink, input() {} })
far.attach(sink)
router.attach(a, { mac: Uint8Array.from(MAC_B), addresses: ['10.0.0.1/25', 'fd00::1/121'] })
const eth1 = router.attach(b, { addresses: ['10.0.0.129/25', 'fd00::81/121'] })
host.advance(3000)
for (let i = 130; i < 140; i++) {
  eth1.addNeighbor(family === 4 ? `10.0.0.${i}` : `fd00::${i.toString(16)}`, Uint8Array.of(2, 0, 0, 0, 0, i))
}

/** From a host to ten others, small ones that are copied and large ones that are not. */
const frames = Array.from({ length: 20 }, (_, i) => {
  const { bytes } = udpFrame({ family, from: 2, to: 130 + (i % 10), payload: new Uint8Array(i < 10 ? 4 : 1400) })
  const buf = allocate(bytes.length + 64)
  buf.set(bytes, 32)
  return { buf, end: 32 + bytes.length }
})

function run(packets: number): void {
  for (let n = 0; n < packets; n += frames.length) {
    for (let i = 0; i < frames.length; i++) near.send(frames[i].buf, 32, frames[i].end, 0)
    router.turn.run()
    far.receive(64)
  }
}

const WORK = 100_000
run(4 * WORK)
const gc = (globalThis as { gc?: () => void }).gc
if (gc === undefined) throw new Error('needs --expose-gc')
gc()
gc()
sink.count = 0
const before = process.memoryUsage().heapUsed
run(WORK)
const after = process.memoryUsage().heapUsed
console.log(JSON.stringify({ units: sink.count, perUnit: (after - before) / sink.count }))
