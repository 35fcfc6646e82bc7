/** A line of the tables of socket options (`socket-values.ts`, `ip-values.ts`), and the forms that most of them have. */
import type { ListenerOptions, SocketOptions } from '../../tcp/api.ts'
import type { PosixSocket } from './posix-socket.ts'
import type { Answer } from './socket-place.ts'

export type Value = number | string

export interface Entry {
  set?(s: PosixSocket, value: Value): Answer
  /** The value, or the name of an error as `{ errno }`. */
  get?(s: PosixSocket): Value
}

/** An option of the stack that is on or off. */
export function flag(name: 'noDelay' | 'cork' | 'quickAck' | 'keepAlive' | 'fastOpenNoCookie'): Entry {
  return {
    set: (s, v) => s.apply({ [name]: v !== 0 } as SocketOptions),
    get: (s) => (s.option(name) === true ? 1 : 0),
  }
}

/** A number of the stack, `unit` times as large as the script's. */
export function number(
  name: keyof ListenerOptions,
  unit: number,
  min: number,
  max: number,
  otherwise: (s: PosixSocket) => number,
): Entry {
  return {
    set: (s, v) => (typeof v !== 'number' || v < min || v > max ? 'EINVAL' : s.apply({ [name]: v * unit } as ListenerOptions)),
    get: (s) => {
      const own = s.option(name)
      return typeof own === 'number' ? own / unit : otherwise(s)
    },
  }
}

/** Kept and given back; nothing else can be seen of it here. */
export function remembered(name: string, otherwise = 0): Entry {
  return {
    set: (s, v) => {
      s.remembered.set(name, v)
      return 0
    },
    get: (s) => s.remembered.get(name) ?? otherwise,
  }
}
