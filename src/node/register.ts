/**
 * `stack.register()`: from now on `import 'node:net'` and its kin, said by a chosen package, file or the whole program, gives the modules of
 * a stack. For code that cannot be handed a socket, an agent or a `createConnection`.
 *
 * Theory of operation. There are three doors to Node's modules, and each asks `modulesFor` who is asking:
 * - `require`: `Module._load` sees every request of CommonJS, with the module that makes it.
 * - `import`: hooks of `module.register` (which run in a thread of their own, where no stack is) make of every such specifier a module
 *   of one line for each file that imports it; the module asks here, in the program's thread, when it is evaluated.
 * - `process.getBuiltinModule`: who asks is whoever is on the stack of calls.
 *
 * Who is not chosen gets Node's modules, and so does tapstack itself. What was loaded before stays what it was: register first, then import.
 */
import Module, { register as registerHooks } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { badType, badValue } from './errors.ts'
import { packageOf } from './package-of.ts'
import type { NodeStack } from './stack.ts'

/** The modules that a stack has. */
export const REGISTERED = ['net', 'dgram', 'http', 'https', 'tls', 'http2', 'dns', 'dns/promises'] as const
/** A module that a stack has. */
export type RegisteredModule = (typeof REGISTERED)[number]

/** Who gets the stack's modules, and which of them. Everybody and all when left out. */
export interface RegisterOptions {
  /** Names of packages: whatever of theirs asks, wherever they are installed. */
  packages?: string | readonly string[]
  /** Files, by their path. */
  match?: RegExp | ((path: string) => boolean)
  /** Which modules; all that a stack has when left out. */
  modules?: readonly RegisteredModule[]
}

/** What `stack.register` gives. */
export interface Registration {
  /** Who asks from now on gets Node's modules again. Idempotent. */
  unregister(): void
  [Symbol.dispose](): void
}

interface Registered {
  readonly modules: ReadonlySet<string>
  /** The module, if it is for that file. */
  give(name: RegisteredModule): object
  isFor(path: string): boolean
}

/** One list for every copy of this file in the process: hooks cannot be taken away, so they are set once. */
interface Shared {
  readonly list: Registered[]
  give(name: RegisteredModule, from: string): object
}

const KEY = Symbol.for('tapstack.register')
/** Files of tapstack itself: sources or the built package, which is CommonJS as well. */
const OWN = dirname(dirname(typeof __filename === 'string' ? __filename : fileURLToPath(import.meta.url)))

type Load = (this: unknown, request: string, parent: { filename?: string | null } | null | undefined, isMain: boolean) => unknown

/** Node's, which @types/node does not know. */
const NodeModule = Module as unknown as { _load: Load }

export function register(stack: NodeStack, options: RegisterOptions | string | readonly string[] = {}): Registration {
  const given: RegisterOptions =
    typeof options === 'string' || Array.isArray(options) ? { packages: options } : (options as RegisterOptions)
  if (typeof given !== 'object' || given === null) throw badType('options', 'of type object', options)
  const names = given.modules ?? REGISTERED
  for (const name of names) {
    if (!REGISTERED.includes(name)) throw badValue('options.modules', `must be among ${REGISTERED.join(', ')}`, name)
  }
  const registered: Registered = {
    modules: new Set(names),
    give: (name) => (name === 'dns/promises' ? stack.dns.promises : stack[name]),
    isFor: chooser(given),
  }
  const { list } = shared()
  list.push(registered)
  const owned = { end: (): void => unregister() }
  const unregister = (): void => {
    const at = list.indexOf(registered)
    if (at >= 0) list.splice(at, 1)
    stack.owned.delete(owned)
  }
  stack.owned.add(owned)
  return { unregister, [Symbol.dispose]: unregister }
}

function chooser({ packages, match }: RegisterOptions): (path: string) => boolean {
  if (match !== undefined && typeof match !== 'function' && !(match instanceof RegExp)) {
    throw badType('options.match', 'an instance of RegExp or a function', match)
  }
  if (packages === undefined && match === undefined) return () => true
  const names = new Set(typeof packages === 'string' ? [packages] : packages)
  return (path) => {
    if (names.size > 0 && names.has(packageOf(path))) return true
    if (match === undefined) return false
    if (typeof match === 'function') return match(path)
    match.lastIndex = 0
    return match.test(path)
  }
}

/** The doors, opened by the first registration of the process. */
function shared(): Shared {
  const place = globalThis as { [KEY]?: Shared }
  if (place[KEY] !== undefined) return place[KEY]
  const load = NodeModule._load
  const builtin = process.getBuiltinModule
  const theirs = (name: string): object => load.call(NodeModule, `node:${name}`, null, false) as object
  const list: Registered[] = []
  const made: Shared = {
    list,
    give: (name, from) => find(list, name, from) ?? theirs(name),
  }
  place[KEY] = made
  NodeModule._load = function (request, parent, isMain) {
    const name = list.length === 0 ? null : nameOf(request)
    const found = name === null ? null : find(list, name, parent?.filename ?? '')
    return found ?? load.call(this, request, parent, isMain)
  }
  if (builtin !== undefined) {
    process.getBuiltinModule = ((id: string): object | undefined => {
      const name = list.length === 0 ? null : nameOf(id)
      const found = name === null ? null : find(list, name, caller(process.getBuiltinModule))
      return found ?? (builtin.call(process, id) as object | undefined)
    }) as typeof process.getBuiltinModule
  }
  const names = Object.fromEntries(REGISTERED.map((name) => [name, Object.keys(theirs(name)).filter((key) => key !== 'default')]))
  registerHooks(`data:text/javascript,${encodeURIComponent(`const NAMES = ${JSON.stringify(names)}${HOOKS}`)}`)
  return made
}

function nameOf(request: unknown): RegisteredModule | null {
  if (typeof request !== 'string') return null
  const name = request.startsWith('node:') ? request.slice(5) : request
  return (REGISTERED as readonly string[]).includes(name) ? (name as RegisteredModule) : null
}

/** The stack's module for who asks, a path or URL; null: Node's. The latest registration comes first. */
function find(list: readonly Registered[], name: RegisteredModule, from: string): object | null {
  const path = from.startsWith('file:') ? fileURLToPath(from) : from
  if (path.startsWith(join(OWN, '/'))) return null
  for (let i = list.length - 1; i >= 0; i--) if (list[i].modules.has(name) && list[i].isFor(path)) return list[i].give(name)
  return null
}

/** The file of whoever called `below`. */
function caller(below: (...args: never[]) => unknown): string {
  const { prepareStackTrace, stackTraceLimit } = Error
  const at: { stack?: unknown } = {}
  try {
    Error.stackTraceLimit = 1
    Error.prepareStackTrace = (_error, calls) => calls[0]?.getFileName() ?? ''
    Error.captureStackTrace(at, below)
    return typeof at.stack === 'string' ? at.stack : ''
  } finally {
    Error.prepareStackTrace = prepareStackTrace
    Error.stackTraceLimit = stackTraceLimit
  }
}

/**
 * What runs in the thread of Node's hooks, as text, since it is a module of its own wherever this file ends up. `NAMES`: what each module exports in
 * Node; `import { connect }` needs them before anything is evaluated, and that thread must not wait for an import of its own.
 */
const HOOKS = `
const SCHEME = 'tapstack-register:'
export async function resolve(specifier, context, next) {
  const name = specifier.startsWith('node:') ? specifier.slice(5) : specifier
  if (!Object.hasOwn(NAMES, name) || context.parentURL === undefined || context.parentURL.startsWith(SCHEME)) return next(specifier, context)
  return { url: SCHEME + name + '?' + encodeURIComponent(context.parentURL), format: 'module', shortCircuit: true }
}
export async function load(url, context, next) {
  if (!url.startsWith(SCHEME)) return next(url, context)
  const at = url.indexOf('?')
  const name = url.slice(SCHEME.length, at)
  const from = decodeURIComponent(url.slice(at + 1))
  const source = [
    'const given = globalThis[Symbol.for("tapstack.register")].give(' + JSON.stringify(name) + ', ' + JSON.stringify(from) + ')',
    'export default given',
    ...NAMES[name].map((key, i) => 'const v' + i + ' = given[' + JSON.stringify(key) + ']; export { v' + i + ' as ' + key + ' }'),
  ].join('\\n')
  return { format: 'module', source, shortCircuit: true }
}
`
