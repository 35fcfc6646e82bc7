/**
 * Loaded before a test file of Node's own (`node --require`), and in every process that it starts: whoever asks for `net`, `dgram`, ... gets those of
 * `createStack()`, which has nothing but its loopback. Built into one CommonJS file by build.ts, which has Node's modules in hand before they
 * are exchanged.
 *
 * What was asked for, by the file or by a helper of Node's tests, is written to the file named in `TAPSTACK_COMPAT_USED`, one name for each line: a file
 * that passes and has nothing in there has proven nothing.
 */
import { appendFileSync } from 'node:fs'
import Module, { register } from 'node:module'
import { createStack } from '../../src/index.ts'
import { MODULES } from './modules.ts'

const plain = process.env.TAPSTACK_COMPAT_PLAIN === '1'
// The servers of Node's tests read no EDNS and compare letters, and one server there must be: nobody answers at it.
const stack = createStack(plain ? {} : { dns: { udpPayloadBytes: 0, caseRandomization: false } })
if (!plain) stack.dns.setServers(['127.0.0.1'])
const ours = new Map<string, object>()
for (const name of MODULES) {
  const made = (stack as unknown as Record<string, object | undefined>)[name]
  if (made !== undefined) ours.set(name, made)
}
const dns = ours.get('dns') as { promises?: object } | undefined
if (dns?.promises !== undefined) ours.set('dns/promises', dns.promises)

const used = new Set<string>()

function note(name: string): void {
  if (used.has(name)) return
  used.add(name)
  if (process.env.TAPSTACK_COMPAT_USED !== undefined) appendFileSync(process.env.TAPSTACK_COMPAT_USED, `${name}\n`)
}

/** What every test has loaded, whatever it is about, tells nothing. */
function isInEveryTest(filename: unknown): boolean {
  return typeof filename === 'string' && /[\\/]common[\\/]index\.js$/.test(filename)
}

type Load = (request: string, parent: { filename?: string } | null, isMain: boolean) => unknown
const module = Module as unknown as { _load: Load }
const load = module._load
module._load = function load_(request, parent, isMain) {
  const name = request.startsWith('node:') ? request.slice(5) : request
  const made = ours.get(name)
  if (made === undefined) return load.call(this, request, parent, isMain)
  if (!isInEveryTest(parent?.filename)) note(name)
  return made
}

/** For `import`: a module of text for each, which takes its exports from here. */
const shared = { ours, note }
Object.defineProperty(globalThis, Symbol.for('tapstack.node-compat'), { value: shared })
const texts: Record<string, string> = {}
for (const [name, made] of ours) {
  const exported = Object.keys(made).filter((key) => /^[A-Za-z_$][\w$]*$/.test(key) && key !== 'default')
  const source = [
    `const { ours, note } = globalThis[Symbol.for('tapstack.node-compat')]; note(${JSON.stringify(name)})`,
    `const m = ours.get(${JSON.stringify(name)}); export default m`,
    ...exported.map((key) => `export const ${key} = m[${JSON.stringify(key)}]`),
  ].join('\n')
  texts[name] = `data:text/javascript,${encodeURIComponent(source)}`
}
if (process.env.TAPSTACK_COMPAT_IMPORT === '1') {
  const hook = `const texts = ${JSON.stringify(texts)}
    export const resolve = (specifier, context, next) => {
      const url = texts[specifier.replace(/^node:/, '')]
      return url === undefined ? next(specifier, context) : { url, shortCircuit: true, format: 'module' }
    }`
  register(`data:text/javascript,${encodeURIComponent(hook)}`)
}
