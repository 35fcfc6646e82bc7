/** What goes wrong at a VDE switch, in one line each: what was tried, why it failed, what to do. */
import { NetError } from '../base/errors.ts'

/** The switch in `directory` could not be joined. */
export function joinFailed(directory: string, code: string, syscall: string): NetError {
  return new NetError(code, { syscall, message: `Cannot join the VDE switch ${directory} (${code}): ${advice(directory, code)}` })
}

function advice(directory: string, code: string): string {
  switch (code) {
    case 'ENOENT':
      return `no switch is there: start one, as with \`vde_switch -s ${directory}\` or \`tapstack switch --vde ${directory}\``
    case 'ENOTDIR':
      return 'it is not a directory: a switch is the directory with the socket `ctl` in it'
    case 'ECONNREFUSED':
      return `nobody serves its socket ctl: the switch has ended without removing it; start it again`
    case 'EACCES':
    case 'EPERM':
      return 'permission denied: the switch decides who may, by its options --mode and --group'
    case 'ETIMEDOUT':
      return 'it does not answer'
    case 'ENAMETOOLONG':
      return 'a path of a socket has at most 107 bytes'
    default:
      return 'the system refused'
  }
}

/** The switch closed the connection in place of an answer. */
export function noPort(directory: string, port: number): NetError {
  const which = port === 0 ? 'a port' : `port ${Math.max(port, 0)}`
  const message = `The VDE switch ${directory} did not give us ${which}: it is taken, there is none left, or we may not have it`
  return new NetError('ECONNREFUSED', { syscall: 'connect', message })
}

/** The switch ended, or pulled our plug. */
export function unplugged(name: string): NetError {
  return new NetError('ECONNRESET', {
    syscall: 'read',
    message: `${name} is unplugged: the switch has ended, or closed our port`,
  })
}

/** The switch of our own could not be made. */
export function serveFailed(directory: string, code: string, syscall: string): NetError {
  const tried = `Cannot serve a VDE switch in ${directory} (${code}): `
  if (code === 'EADDRINUSE')
    return new NetError(code, { syscall, message: `${tried}another switch serves it: choose another directory` })
  if (code === 'EACCES' || code === 'EPERM')
    return new NetError(code, { syscall, message: `${tried}permission denied: choose a directory of your own, as /tmp/vde.ctl` })
  if (code === 'ENOENT')
    return new NetError(code, { syscall, message: `${tried}the directory above it is not there: make that one first` })
  if (code === 'ENOTDIR') return new NetError(code, { syscall, message: `${tried}it is a file: a directory is expected` })
  return new NetError(code, {
    syscall,
    message: `${tried}${code === 'ENAMETOOLONG' ? advice(directory, code) : 'the system refused'}`,
  })
}
