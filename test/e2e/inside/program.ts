/** Programs of the project and of the host, as processes of the namespace; those that a test leaves running end with it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { afterEach, expect } from 'vitest'

const running: ChildProcess[] = []

afterEach(async () => {
  // Gone, not only told so: the next test may want the same port.
  const alive = running
    .splice(0)
    .filter((child) => child.exitCode === null && child.signalCode === null && child.pid !== undefined)
  const gone = alive.map((child) => new Promise((resolve) => child.once('exit', resolve)))
  for (const child of alive) child.kill('SIGKILL')
  await Promise.all(gone)
})

export interface Program {
  readonly child: ChildProcess
  /** All it said. */
  said(): string
  /** Resolves when its output matches; rejects when it ends before. */
  until(what: RegExp): Promise<void>
  readonly ended: Promise<number | null>
}

export function run(command: string, args: readonly string[], env: Record<string, string> = {}): Program {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  running.push(child)
  let text = ''
  let look = (): void => undefined
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      look()
    })
  }
  const ended = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)))
  return {
    child,
    said: () => text,
    until: (what) =>
      new Promise((resolve, reject) => {
        look = () => what.test(text) && resolve()
        look()
        void ended.then(() => reject(new Error(`ended without ${what}:\n${text}`)))
      }),
    ended,
  }
}

const tsx = (file: string, ...args: string[]): readonly string[] => ['--import', 'tsx', file, ...args]
export const node = (file: string, env: Record<string, string> = {}, ...args: string[]): Program =>
  run(process.execPath, tsx(file, ...args), env)

/** A tool of the host, with what it is given on standard input. Other programs of the test go on meanwhile. */
export async function tool(command: string, args: readonly string[], input = ''): Promise<{ code: number | null; out: string }> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  running.push(child)
  let out = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (out += chunk))
  child.stdin.on('error', () => undefined) // it may end without reading
  child.stdin.end(input)
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, out }
}

export const hasTap = (): boolean => spawnSync('ip', ['link', 'show', 'tap0']).status === 0

export async function end(program: Program, signal: NodeJS.Signals = 'SIGINT'): Promise<void> {
  program.child.kill(signal)
  expect(await program.ended, program.said()).toBe(0)
  expect(hasTap()).toBe(false)
}
