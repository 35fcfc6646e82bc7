/**
 * `npm run seeds -- [FROM] [TO] [BYTES] [STEP]`: transfers through a bad network (seeds.test.ts says which), one line of JSON each; without arguments all seeds at
 * full length. Exit code 1 when one of them failed.
 */
import { FULL_BYTES, SEEDS } from './seeds.ts'
import { transfer } from './transfer.ts'

const [from = 1, to = SEEDS, bytes = FULL_BYTES, step = 1] = process.argv.slice(2).map(Number)
let failed = 0
let played = 0
for (let seed = from; seed <= to; seed += step) {
  let problem = ''
  let received = [0, 0]
  try {
    const { a, b } = transfer({
      seed,
      bytes,
      impairments: { loss: 0.05, reorder: 0.05, duplicate: 0.02, corrupt: 0.01, delay: 5, jitter: 5 },
    })
    received = [a.received, b.received]
    problem = String(a.error ?? b.error ?? '')
  } catch (error) {
    problem = error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  played++
  if (problem !== '' || received[0] !== bytes || received[1] !== bytes) failed++
  process.stdout.write(`${JSON.stringify({ seed, received, problem })}\n`)
}
process.stdout.write(`${played - failed} passed, ${failed} failed\n`)
if (failed > 0 || played === 0) process.exitCode = 1
