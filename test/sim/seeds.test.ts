/**
 * Megabytes each way at once through 5 % loss, 5 % reordering, 2 % duplication, 1 % single-bit corruption and random delay: bytes equal, no broken
 * invariant after any event, no transition that RFC 9293 does not know, in every one of 200 seeds. Here all of them are short, and every twentieth is
 * long; `npm run seeds`, which CI runs too, plays all at full length.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { FULL_BYTES, SEEDS } from './seeds.ts'

const SHORT_BYTES = 500_000
const STEP = 20
const program = fileURLToPath(new URL('./run-seeds.ts', import.meta.url))

interface Line {
  seed: number
  received: [number, number]
  problem: string
}

function run(bytes: number, step: number): Promise<Line[]> {
  return new Promise((resolve, reject) => {
    const args = ['--import', 'tsx', program, '1', String(SEEDS), String(bytes), String(step)]
    // Exit code 1: a seed that failed has its line like the others.
    execFile(process.execPath, args, { maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      if (error !== null && error.code !== 1) reject(new Error(`${error.message}\n${stderr}`))
      else resolve(stdout.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Line] : [])))
    })
  })
}

describe('bulk both ways through a bad network', () => {
  it.each([
    [SHORT_BYTES, 1],
    [FULL_BYTES, STEP],
  ])(`${SEEDS} seeds: %i bytes, one seed in %i`, { timeout: 120_000 }, async (bytes, step) => {
    const lines = await run(bytes, step)
    expect(lines.map((l) => l.seed)).toEqual(Array.from({ length: SEEDS / step }, (_, i) => 1 + i * step))
    expect(lines.filter((l) => l.problem !== '' || l.received[0] !== bytes || l.received[1] !== bytes)).toEqual([])
  })
})
