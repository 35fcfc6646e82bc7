/**
 * `npm run check`: types (`npm run types`) and style (`npm run lint`), side by side, because neither uses more than one core for long. `--brief`, as
 * `npm test` asks: the pure folders are not checked again without Node's types (test/architecture.test.ts sees what they import), except in CI.
 */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const tsc = require.resolve('typescript/lib/tsc.js')
const biome = require.resolve('@biomejs/biome/bin/biome')

const isBrief = process.argv.includes('--brief') && process.env.CI === undefined
const CHECKS = [[tsc, '-p', 'tsconfig.json'], [biome, 'check', '.'], ...(isBrief ? [] : [[tsc, '-p', 'tsconfig.core.json']])]

/** Runs one check; tells what it said when it is done, so that two do not speak at once. True when it found nothing. */
function passes([program, ...args]: string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
    child.on('error', reject)
    child.on('close', (status) => {
      process.stdout.write(said)
      resolve(status === 0)
    })
  })
}

const results = await Promise.all(CHECKS.map(passes))
if (results.includes(false)) process.exitCode = 1
