/**
 * From what an application gives as congestion control to an object for each connection.
 *
 * An object keeps the memory of one connection. Given to a stack or a listener it serves the first one itself; the others get copies of what it
 * was before, with all that it has: objects in it are copied, functions and prototypes shared. `#private` fields cannot be copied: a class that has
 * them is given as a class, or by a function.
 */
import { invalidArgument, NetError } from '../base/errors.ts'
import type { CongestionChoice, CongestionControl } from './congestion.ts'

/** What must be there for the sender to call it. */
const METHODS = ['start', 'acked', 'loss', 'timeout', 'recovered', 'idle'] as const
/** What may be there. */
const OPTIONAL = ['congestionEcho', 'undo', 'model', 'observe'] as const

function hasMethods(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const methods = value as { readonly [name: string]: unknown }
  return METHODS.every((name) => typeof methods[name] === 'function')
}

/** The value, if it is a congestion control. Throws ERR_INVALID_ARG_VALUE otherwise, and says what it lacks. `what` it is, in words. */
export function checkControl(value: unknown, what: string): CongestionControl {
  if (typeof value !== 'object' || value === null)
    throw invalidArgument(`${what} must be a congestion control (a name, an object, what makes one), not ${String(value)}`)
  const control = value as { readonly [name: string]: unknown }
  if (typeof control.name !== 'string') throw invalidArgument(`${what}: a congestion control needs a name`)
  const wrong =
    METHODS.find((name) => typeof control[name] !== 'function') ??
    OPTIONAL.find((name) => control[name] !== undefined && typeof control[name] !== 'function')
  if (wrong !== undefined) throw invalidArgument(`${what}: congestion control ${control.name} needs a method ${wrong}`)
  return value as CongestionControl
}

/** What a class or a function makes; ERR_INVALID_ARG_VALUE where that is none. */
export function madeBy(maker: (() => CongestionControl) | (new () => CongestionControl)): CongestionControl {
  const isClass = hasMethods(maker.prototype) || /^class\b/.test(Function.prototype.toString.call(maker))
  let made: unknown
  try {
    made = isClass ? new (maker as new () => CongestionControl)() : (maker as () => CongestionControl)()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new NetError('ERR_INVALID_ARG_VALUE', { message: `what was given as congestion threw: ${why}`, cause })
  }
  return checkControl(made, 'what is made by congestion')
}

/** For more than one connection: names, classes and functions are that already. */
export function forMany(choice: CongestionChoice): CongestionChoice {
  if (typeof choice !== 'object') return choice
  const template = copy(choice, new Map())
  let isTaken = false
  return () => {
    if (isTaken) return copy(template, new Map())
    isTaken = true
    return choice
  }
}

function copy<T>(value: T, copies: Map<unknown, unknown>): T {
  if (typeof value !== 'object' || value === null) return value
  const known = copies.get(value)
  if (known !== undefined) return known as T
  if (ArrayBuffer.isView(value) && 'slice' in value) return (value as unknown as Uint8Array).slice() as T
  if (value instanceof Map || value instanceof Set) {
    const out = value instanceof Map ? new Map() : new Set()
    copies.set(value, out)
    for (const [k, v] of value.entries()) {
      if (out instanceof Map) out.set(copy(k, copies), copy(v, copies))
      else out.add(copy(v, copies))
    }
    return out as T
  }
  const out = Array.isArray(value) ? [] : Object.create(Object.getPrototypeOf(value))
  copies.set(value, out)
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    if ('value' in descriptor) descriptor.value = copy(descriptor.value, copies)
    Object.defineProperty(out, name, descriptor)
  }
  return out
}
