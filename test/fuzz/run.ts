/**
 * `npm run fuzz -- [--frames 1000000] [--seed N] [--minutes M]`: the long run of the fuzzer. A failure prints the seed and the frames
 * that led to it; the same seed and number of frames give the same run. With --minutes, one seed after the other until time is up.
 */
import { writeSync } from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import v8 from 'node:v8'
import vm from 'node:vm'
import { Worker } from 'node:worker_threads'
import { Fuzzer } from './fuzzer.ts'

const { values } = parseArgs({
  options: { frames: { type: 'string' }, seed: { type: 'string' }, minutes: { type: 'string' }, verbose: { type: 'boolean' } },
})
const frames = Number(values.frames ?? 1_000_000)
const minutes = Number(values.minutes ?? 0)
const firstSeed = values.seed === undefined ? 1 + (Date.now() % 1_000_000) : Number(values.seed)
if (!(frames > 0 && minutes >= 0 && Number.isInteger(firstSeed))) {
  console.error('usage: npm run fuzz -- [--frames 1000000] [--seed N] [--minutes M]')
  process.exit(2)
}

/** Seconds without progress after which the run counts as hung. */
const PATIENCE = 20
/** Bytes that the heap may grow by after the first tenth: what two stacks' pools come to keep for reuse. */
const GROWTH = 20 << 20

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc') as () => void

function heap(): number {
  collect()
  collect()
  const m = process.memoryUsage()
  return m.heapUsed + m.arrayBuffers
}

/** A thread that looks whether we still move: a frame that hangs us cannot be reported from here. */
const pulse = new Int32Array(new SharedArrayBuffer(8))
const watchdog = new Worker(
  `const { workerData } = require('node:worker_threads'); const { writeSync } = require('node:fs')
   let last = -1, still = 0
   setInterval(() => {
     still = workerData.pulse[0] === last ? still + 1 : 0
     last = workerData.pulse[0]
     if (still < ${PATIENCE}) return
     writeSync(2, 'hung: seed ' + workerData.pulse[1] + ', after about ' + last + ' frames\\n0 passed, 1 failed\\n')
     process.kill(process.pid, 'SIGKILL')
   }, 1000)`,
  { eval: true, workerData: { pulse } },
)
watchdog.unref()

async function runSeed(seed: number): Promise<void> {
  const began = performance.now()
  pulse[1] = seed
  const fuzzer = new Fuzzer(seed)
  console.log(`seed ${seed}: ${frames} frames, ${fuzzer.corpusSize} seed frames`)
  const slice = Math.max(1000, Math.floor(frames / 10))
  let early = 0
  while (fuzzer.frames < frames) {
    for (let n = Math.min(slice, frames - fuzzer.frames); n > 0; n -= 2000) {
      fuzzer.run(Math.min(n, 2000))
      pulse[0] = fuzzer.frames
    }
    await breathe() // promises of the stack settle, and let go of what they hold
    const size = heap()
    if (early === 0) early = size
    if (size - early > GROWTH)
      throw new Error(`seed ${seed}: after ${fuzzer.frames} frames the heap has grown by ${size - early} bytes`)
    const rate = Math.round(fuzzer.frames / ((performance.now() - began) / 1000))
    const { world } = fuzzer
    console.log(
      `  ${fuzzer.frames} frames, ${rate}/s, ${Math.round(world.host.elapsedMs / 1000)} s of virtual time, ` +
        `${world.conversations} conversations, heap ${(size / 1048576).toFixed(1)} MB`,
    )
  }
  fuzzer.finish()
  await breathe()
  const grown = heap() - early
  if (grown > GROWTH) throw new Error(`seed ${seed}: the heap grew by ${grown} bytes`)
  if (values.verbose) console.log(fuzzer.world.target.counters(true), fuzzer.peaks)
  console.log(`  alive and clean; ${((performance.now() - began) / 1000).toFixed(1)} s`)
}

let passed = 0
let failed = 0
const until = Date.now() + minutes * 60_000
let seed = firstSeed
do {
  try {
    await runSeed(seed)
    passed++
  } catch (error) {
    failed++
    writeSync(
      1,
      `${error instanceof Error ? error.message : String(error)}\nagain: npm run fuzz -- --seed ${seed} --frames ${frames}\n`,
    )
  }
  seed++
} while (Date.now() < until)
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
