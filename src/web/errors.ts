/** Errors of sockets in the web's shape. */
import { NetError } from '../base/errors.ts'

/**
 * The SocketError of the Sockets API: a TypeError whose words begin with its name. It has what Node's errors have besides: `code`
 * (`ECONNREFUSED`), `errno`, `syscall`, `address`, `port`.
 */
export class SocketError extends TypeError {
  readonly code: string
  declare readonly errno?: number
  declare readonly syscall?: string
  declare readonly address?: string
  declare readonly port?: number

  constructor(error: NetError) {
    super(`SocketError: ${error.message}`, { cause: error })
    const { code, errno, syscall, address, port } = error
    this.code = code
    for (const [key, value] of Object.entries({ errno, syscall, address, port })) {
      if (value !== undefined) Object.defineProperty(this, key, { value, enumerable: true })
    }
  }
}

/** An error of the socket; what is none of the stack's (a reason of the application) stays what it is. */
export function socketError(error: unknown): unknown {
  return error instanceof NetError ? new SocketError(error) : error
}

export function wrongState(code: string, message: string): SocketError {
  return new SocketError(new NetError(code, { message }))
}

/** An argument that cannot be meant. */
export function wrongArgument(message: string): SocketError {
  return wrongState('ERR_INVALID_ARG_VALUE', message)
}

/** A port as the web has it: an integer from 0 (`least`) to 65535, or its digits. */
export function portOf(value: unknown, least: 0 | 1): number {
  const port = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  if (typeof port !== 'number' || port !== (port | 0) || port < least || port > 65_535) {
    throw wrongArgument(`a port is a number from ${least} to 65535, not ${String(value)}`)
  }
  return port
}
