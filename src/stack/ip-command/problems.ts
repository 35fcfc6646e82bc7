/** What ip(8) says when it cannot: the words of iproute2 and, behind `RTNETLINK answers:` and `Error:`, of the kernel. */
import { NetError } from '../../base/errors.ts'

/** strerror(3) of glibc, for the codes that commands meet. */
const STRERROR: Readonly<Record<string, string>> = {
  EPERM: 'Operation not permitted',
  ENOENT: 'No such file or directory',
  ESRCH: 'No such process',
  EACCES: 'Permission denied',
  EBUSY: 'Device or resource busy',
  EEXIST: 'File exists',
  ENODEV: 'No such device',
  EINVAL: 'Invalid argument',
  EOPNOTSUPP: 'Operation not supported',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  ENETDOWN: 'Network is down',
  ENETUNREACH: 'Network is unreachable',
  EHOSTUNREACH: 'No route to host',
}

const ARGUMENT = 'ERR_INVALID_ARG_VALUE'

/** What iproute2 itself finds wrong. */
export function wrong(message: string, code = ARGUMENT): NetError {
  return new NetError(code, { message })
}

/** A refusal of the kernel that has no words but strerror's. */
export function refused(code: string, cause?: unknown): NetError {
  return new NetError(code, { message: `RTNETLINK answers: ${STRERROR[code] ?? code}`, cause })
}

/** A refusal of the kernel with words of its own. */
export function refusedAs(code: string, words: string, cause?: unknown): NetError {
  return new NetError(code, { message: `Error: ${words}.`, cause })
}

export function incomplete(): NetError {
  return wrong('Command line is not complete. Try option "help"')
}

/** `what` takes no such word. */
export function badArgument(word: string, why: string): NetError {
  return wrong(`Error: argument "${word}" is wrong: ${why}`)
}

/** A word that is not known where a `what` could stand. */
export function garbage(what: string, word: string): NetError {
  return wrong(`Error: either "${what}" is duplicate, or "${word}" is a garbage.`)
}

export function duplicate(what: string, word: string): NetError {
  return wrong(`Error: duplicate "${what}": "${word}" is the second value.`)
}

export function unknownCommand(word: string, object: string): NetError {
  return wrong(`Command "${word}" is unknown, try "ip ${object} help".`)
}

export function deviceNeeded(): NetError {
  return wrong('Not enough information: "dev" argument is required.')
}

/** Something of ip(8) that this stack has not. */
export function unsupported(what: string): NetError {
  return new NetError('EOPNOTSUPP', { message: `Error: ${what} is not supported by this stack.` })
}

/** An error of the stack's own calls as the kernel says it: by its words if there are any for its code, else by strerror's. */
export function asKernel(error: unknown, words: Readonly<Record<string, string>> = {}): NetError {
  if (!(error instanceof NetError)) throw error
  if (words[error.code] !== undefined) return refusedAs(error.code, words[error.code], error)
  if (STRERROR[error.code] !== undefined) return refused(error.code, error)
  return new NetError(error.code, { message: `Error: ${error.message}.`, cause: error })
}
