/** The forms of `connect` and `listen`, as one. */
import type { ConnectOptions } from './connect.ts'

export type Callback = (...args: unknown[]) => void
export type Normalized = [options: ConnectOptions, callback: Callback | null]

/** Marks what `normalizeArgs` made: `connect` takes that as it is. */
const normalized = Symbol('normalizedArgs')

/** `(options, cb)`, `(path, cb)` or `(port, host, cb)` as an object and a callback. Tracers know it as `net._normalizeArgs`. */
export function normalizeArgs(args: unknown[]): Normalized {
  return Object.assign(pairOf(args), { [normalized]: true })
}

function pairOf(args: unknown[]): Normalized {
  if (args.length === 0) return [{}, null]
  const first = args[0]
  const last = args[args.length - 1]
  const callback = typeof last === 'function' ? (last as Callback) : null
  if (typeof first === 'object' && first !== null) return [first as ConnectOptions, callback]
  if (isPathName(first)) return [{ path: first }, callback]
  const options: ConnectOptions = { port: first as number }
  if (typeof args[1] === 'string') options.host = args[1]
  return [options, callback]
}

/** A UNIX socket or pipe, and no port in digits. */
export function isPathName(value: unknown): value is string {
  return typeof value === 'string' && !(Number(value) >= 0)
}

export function isNormalized(value: unknown): value is Normalized {
  return Array.isArray(value) && (value as { [normalized]?: unknown })[normalized] === true
}
