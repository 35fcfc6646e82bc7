/**
 * 10 MB each way at once through 5 % loss, 5 % reordering, 2 % duplication, 1 % single-bit corruption and random delay: bytes equal, no broken
 * invariant after any event, no transition that RFC 9293 does not know, in every one of 200 seeds (two files, so that they run side by side).
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const BYTES = 10_000_000
const program = fileURLToPath(new URL('./run-seeds.ts', import.meta.url))

interface Line {
  seed: number
  received: [number, number]
  problem: string
}

function run(from: number, to: number): Promise<Line[]> {
  return new Promise((resolve, reject) => {
    const args = ['--import', 'tsx', program, String(from), String(to), String(BYTES)]
    execFile(process.execPath, args, { maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(`${error.message}\n${stderr}`))
      else
        resolve(
          stdout
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as Line),
        )
    })
  })
}

export function seeds(from: number, to: number): void {
  describe('bulk both ways through a bad network', () => {
    it(`seeds ${from} to ${to}`, { timeout: 240_000 }, async () => {
      const lines = await run(from, to)
      expect(lines.map((l) => l.seed)).toEqual(Array.from({ length: to - from + 1 }, (_, i) => from + i))
      expect(lines.filter((l) => l.problem !== '' || l.received[0] !== BYTES || l.received[1] !== BYTES)).toEqual([])
    })
  })
}
