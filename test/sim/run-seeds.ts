/**
 * `node --import tsx run-seeds.ts FROM TO BYTES`: the transfers of seeds.ts in a process of their own, one line of JSON each. Compiled as plain
 * modules they run twice as fast as inside the test runner, and 200 of them are most of the suite's time.
 */
import { transfer } from './transfer.ts'

const [from, to, bytes] = process.argv.slice(2).map(Number)
for (let seed = from; seed <= to; seed++) {
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
  process.stdout.write(`${JSON.stringify({ seed, received, problem })}\n`)
}
