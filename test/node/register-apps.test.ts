/**
 * Libraries that open their sockets by themselves, on a stack by `node --import tapstack/register` and with not a line changed: express, fastify, undici, ws,
 * mqtt and aedes, nodemailer and smtp-server, ssh2. Each program is a process that has to end by itself.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** Runs a program of `fixtures/register/libraries` on a stack; gives what it says, and what `proof.ts` says when it has ended. */
async function run(program: string): Promise<[unknown, unknown]> {
  const imports = [at('../../src/register.ts'), at('../fixtures/register/libraries/proof.ts')].flatMap((path) => [
    '--import',
    path,
  ])
  const args = ['--import', 'tsx', ...imports, at(`../fixtures/register/libraries/${program}`)]
  const options = { env: { ...process.env, NODE_OPTIONS: '' }, timeout: 60_000 }
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, options)
  return [JSON.parse(stdout), JSON.parse(stderr)]
}

const WHOLE = Object.fromEntries(
  ['express', 'fastify', 'ws', 'wss', 'mqtt', 'nodemailer', 'ssh2'].map((library) => [library, 'whole']),
)
/** Nothing is open, no socket of the host was made, and each library had a connection of the stack. */
const PROOF = { left: [], theirs: [], active: 7, passive: 7 }

describe('libraries on tapstack/register', () => {
  it('by import: a megabyte there and back each, nothing left open, and the process ends', { timeout: 60_000 }, async () => {
    expect(await run('imports.mjs')).toEqual([WHOLE, PROOF])
  })

  // A process costs two seconds of processor: by hand one of the two.
  it.runIf(process.env.CI !== undefined)('by require', { timeout: 60_000 }, async () => {
    expect(await run('requires.cjs')).toEqual([WHOLE, PROOF])
  })
})
