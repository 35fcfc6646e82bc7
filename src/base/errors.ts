/**
 * Errors as Node words them: `connect ECONNREFUSED 10.0.0.1:80` with `code`, `errno`, `syscall`, `address`, `port`, so that
 * code written against node:net or node:dgram sees no difference. Packets never cause one; calls of the application do.
 */

/** Linux error numbers, negated as libuv reports them, and strerror's words. */
const ERRNO: Record<string, readonly [number, string]> = {
  EPERM: [-1, 'operation not permitted'],
  ENOENT: [-2, 'no such file or directory'],
  ESRCH: [-3, 'no such process'],
  EBADF: [-9, 'bad file descriptor'],
  EAGAIN: [-11, 'resource temporarily unavailable'],
  EACCES: [-13, 'permission denied'],
  EBUSY: [-16, 'resource busy or locked'],
  EEXIST: [-17, 'file already exists'],
  ENODEV: [-19, 'no such device'],
  EINVAL: [-22, 'invalid argument'],
  EPIPE: [-32, 'broken pipe'],
  EPROTO: [-71, 'protocol error'],
  EDESTADDRREQ: [-89, 'destination address required'],
  EMSGSIZE: [-90, 'message too long'],
  EPROTONOSUPPORT: [-93, 'protocol not supported'],
  EOPNOTSUPP: [-95, 'operation not supported on socket'],
  EAFNOSUPPORT: [-97, 'address family not supported'],
  EADDRINUSE: [-98, 'address already in use'],
  EADDRNOTAVAIL: [-99, 'address not available'],
  ENETDOWN: [-100, 'network is down'],
  ENETUNREACH: [-101, 'network is unreachable'],
  ECONNABORTED: [-103, 'software caused connection abort'],
  ECONNRESET: [-104, 'connection reset by peer'],
  ENOBUFS: [-105, 'no buffer space available'],
  EISCONN: [-106, 'socket is already connected'],
  ENOTCONN: [-107, 'socket is not connected'],
  ETIMEDOUT: [-110, 'connection timed out'],
  ECONNREFUSED: [-111, 'connection refused'],
  EHOSTUNREACH: [-113, 'host is unreachable'],
  EALREADY: [-114, 'connection already in progress'],
  ENOPROTOOPT: [-92, 'protocol not available'],
  ECANCELED: [-125, 'operation canceled'],
}

/** Words of codes that no kernel has. */
const OWN_WORDS: Record<string, string> = { ERR_STACK_CLOSED: 'the stack is closed' }

/** The negated errno of a code, or undefined for codes that are not the kernel's (ERR_*). */
export function errnoOf(code: string): number | undefined {
  return ERRNO[code]?.[0]
}

/** The words for a code, as libuv has them. */
export function wordsOf(code: string): string {
  return ERRNO[code]?.[1] ?? OWN_WORDS[code] ?? code
}

/** Where an error happened; every field is optional, as in Node. */
export interface ErrorPlace {
  syscall?: string
  address?: string
  port?: number
  /** Said in place of the default words. One line: what was tried, why it failed, what to do. */
  message?: string
  cause?: unknown
}

/** An error of the stack or of a link. `code` is Node's (`ECONNREFUSED`) or one of ours (`ERR_TAPSTACK_...`). */
export class NetError extends Error {
  readonly code: string
  // Declared, not defined: a field that does not apply is absent, as on Node's errors.
  declare readonly errno?: number
  declare readonly syscall?: string
  declare readonly address?: string
  declare readonly port?: number

  constructor(code: string, place: ErrorPlace = {}) {
    super(place.message ?? describe(code, place), place.cause === undefined ? undefined : { cause: place.cause })
    this.code = code
    const errno = errnoOf(code)
    if (errno !== undefined) this.errno = errno
    if (place.syscall !== undefined) this.syscall = place.syscall
    if (place.address !== undefined) this.address = place.address
    if (place.port !== undefined) this.port = place.port
  }
}

function describe(code: string, place: ErrorPlace): string {
  let text = place.syscall === undefined ? `${code}: ${wordsOf(code)}` : `${place.syscall} ${code}`
  if (place.address !== undefined) text += ` ${place.address}${place.port !== undefined ? `:${place.port}` : ''}`
  return text
}

/** An argument that cannot be meant; `code` is Node's ERR_INVALID_ARG_VALUE unless another is given. */
export function invalidArgument(message: string, code = 'ERR_INVALID_ARG_VALUE'): NetError {
  return new NetError(code, { message })
}

/** What a stack that was closed says to whoever still wants something of it. */
export function stackClosed(): NetError {
  return new NetError('ERR_STACK_CLOSED', { message: 'the stack is closed' })
}
