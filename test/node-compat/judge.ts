/**
 * What a test file of Node's needs, read from its text, and what its process came to.
 */

import { DIFFERENCES } from './differences.ts'
import { MODULES } from './modules.ts'

/** A libuv handle is what our sockets do not have. */
const HANDLES = "looks into libuv's handles"

export type Verdict = 'pass' | 'fail' | 'skip'

export interface Outcome {
  verdict: Verdict
  /** Why it failed or was skipped; empty when it passed. */
  reason: string
}

/** How the process of a test file ended. */
export interface Ended {
  status: number | null
  signal: string | null
  timedOut: boolean
  stdout: string
  stderr: string
  /** Those of our modules that were loaded, by the file or by what helps it. */
  used: readonly string[]
}

/** What a stack within the process cannot be or give, as text in a file. The first that matches is the reason why it failed, if it did. */
const NEEDS: readonly (readonly [RegExp, string])[] = [
  [/\bcommon\.PIPE\b|pipe_wrap/, 'UNIX sockets and pipes belong to the host'],
  [/require\('(?:node:)?cluster'\)/, 'cluster hands sockets from process to process'],
  [/internalBinding\('(?:tcp_wrap|udp_wrap|stream_wrap|cares_wrap|tls_wrap|js_stream)'\)|process\.binding\(/, HANDLES],
  [/require\('(?:internal\/(?:dgram|net|timers)|_http_\w+|_tls_\w+)'\)/, "looks into Node's own implementation"],
  [/require\('(?:node:)?child_process'\)|common\.opensslCli|\bspawnPromisified\b/, 'another process has the network of the host'],
  [/--test-udp-no-try-send/, "asks libuv's sockets not to send at once"],
  [/networkInterfaces\(/, 'looks for interfaces of the host'],
  [/require\('\.\.\/common\/inspector-helper'\)|require\('(?:node:)?inspector'\)/, 'the inspector listens on the host'],
]

/** Why a file may fail here: it asks for what no stack in a process can give. Null: nothing is known. If it passes it passed. */
export function mayFail(text: string): string | null {
  return NEEDS.find(([pattern]) => pattern.test(text))?.[1] ?? null
}

/** The file may look at what is below Node's classes. If it passes it passed; if it fails that is why it is skipped. */
export function looksBelow(text: string): boolean {
  return /\b_handle\b|kStateSymbol|\bkHandle\b/.test(text)
}

/** Whether the file itself requires or imports one of the modules. */
export function asksForOurs(text: string): boolean {
  return MODULES.some((name) => new RegExp(`(?:require\\(|from |import\\()'(?:node:)?${name}(?:/promises)?'`).test(text))
}

/** The flags that a file asks for in its `// Flags:` lines. */
export function flagsOf(text: string): string[] {
  return [...text.matchAll(/^\/\/ Flags:(.*)$/gm)].flatMap(([, flags]) => flags.trim().split(/\s+/))
}

export function usesImport(file: string, text: string): boolean {
  return file.endsWith('.mjs') || /\bimport\(/.test(text)
}

/** What the end of a process says of its file. `nodes`: it had Node's own modules. */
export function judge(file: string, text: string, ended: Ended, nodes: boolean): Outcome {
  const outcome = judged(ended, nodes)
  if (outcome.verdict !== 'fail' || nodes) return outcome
  if (DIFFERENCES[file] !== undefined) return { verdict: 'skip', reason: `different: ${DIFFERENCES[file]}` }
  const refused = /\b(\w[^\n]* is not supported by a stack)/.exec(ended.stderr)
  if (refused !== null) return { verdict: 'skip', reason: refused[1] }
  if (ended.used.length === 0 && !asksForOurs(text)) return { verdict: 'skip', reason: 'asks for none of the modules' }
  const need = mayFail(text)
  if (need !== null) return { verdict: 'skip', reason: `${need}: ${outcome.reason}` }
  return looksBelow(text) ? { verdict: 'skip', reason: `${HANDLES}: ${outcome.reason}` } : outcome
}

function judged(ended: Ended, nodes: boolean): Outcome {
  const skipped = /^1\.\.0 # Skipped: (.*)$/m.exec(ended.stdout)
  if (skipped !== null && ended.status === 0) return { verdict: 'skip', reason: skipped[1] }
  if (ended.timedOut) return { verdict: 'fail', reason: `still running${lastWords(ended.stderr)}` }
  if (ended.signal !== null) return { verdict: 'fail', reason: `ended by ${ended.signal}${lastWords(ended.stderr)}` }
  if (ended.status !== 0) return { verdict: 'fail', reason: firstWords(ended) || `status ${ended.status}` }
  if (!nodes && ended.used.length === 0) return { verdict: 'fail', reason: 'none of our modules was used' }
  return { verdict: 'pass', reason: '' }
}

/** The line that names the error, or that a function was called too rarely. */
function firstWords({ stderr, stdout }: Ended): string {
  const lines = `${stderr}\n${stdout}`.split('\n')
  const error = lines.find((line) => /^\s*(?:\w*(?:Error|Exception)\b.*:|Mismatched|Uncaught)/.test(line))
  return (error ?? lines.find((line) => line.trim() !== '') ?? '').trim().slice(0, 200)
}

function lastWords(stderr: string): string {
  const line = stderr.trim().split('\n').at(-1) ?? ''
  return line === '' ? '' : `: ${line.slice(0, 160)}`
}
