/**
 * The system calls of a script: what each does to its socket, and what else than its result it is checked for.
 *
 * One table by name. An entry reads its arguments and gives an `Attempt`, which the player makes once, and again while it would block. A call
 * that is not in the table skips the script.
 */
import type { Expression, Platform, Syscall } from './ast.ts'
import { PosixSocket } from './posix-socket.ts'
import type { Settings } from './settings.ts'
import { addressFault, socketAddress } from './socket-address.ts'
import type { Answer, SocketPlace } from './socket-place.ts'
import { fail, skip } from './stop.ts'
import { boxed, int, isAny, names } from './values.ts'

/** What a file descriptor is. */
export interface File {
  close(): void
}

/** The open files of the script, by its own numbers, and who is told of sockets that come and go. */
export interface Files {
  readonly platform: Platform
  /** Of which family sockets are. */
  readonly ipVersion: Settings['ipVersion']
  readonly place: SocketPlace
  readonly table: Map<number, File | PosixSocket>
  /** Files of zeros, bytes by path. */
  readonly disk: Map<string, number>
  /** `socket()`: what packets mean from now on. */
  opened(socket: PosixSocket): void
  listening(socket: PosixSocket): void
  connecting(socket: PosixSocket): void
  disconnected(socket: PosixSocket): void
  accepted(socket: PosixSocket): void
}

export interface Attempt {
  first(): Answer
  /** Further attempts of a call that would block; `first` when left out. */
  again?(): Answer
  nonBlocking: boolean
  /** The error of a non-blocking call that would block. */
  wouldBlock?: string
  /** Waits no longer than this and answers 0; null: as long as it takes. */
  timeoutUs?: number | null
  /** Any result that is not negative is as good as the expected one: a new file descriptor. */
  isDescriptor?: boolean
  /** What else must hold, after the result was right. Null: it does. */
  check?(): string | null
}

export type Call = (args: readonly Expression[], files: Files, call: Syscall) => Attempt

export function socketOf(e: Expression, files: Files): PosixSocket {
  const file = fileOf(e, files)
  return file instanceof PosixSocket ? file : fail(`line ${e.position.line}: this is no socket`)
}

export function fileOf(e: Expression, files: Files): File {
  const fd = int(e, files.platform)
  return files.table.get(fd) ?? fail(`line ${e.position.line}: unable to find file descriptor ${fd}`)
}

/** Flags of receiving calls that change nothing here. */
const READ_FLAGS = new Set(['MSG_DONTWAIT', 'MSG_PEEK', 'MSG_WAITALL', 'MSG_TRUNC', 'MSG_NOSIGNAL', 'MSG_CMSG_CLOEXEC'])
const WRITE_FLAGS = new Set([
  'MSG_DONTWAIT',
  'MSG_NOSIGNAL',
  'MSG_MORE',
  'MSG_ZEROCOPY',
  'MSG_OOB',
  'MSG_FASTOPEN',
  'MSG_CONFIRM',
])

export function reading(s: PosixSocket, len: number, flags: readonly string[]): Attempt {
  for (const f of flags) if (!READ_FLAGS.has(f)) skip(`${f} of a receiving call is not played`)
  const peek = flags.includes('MSG_PEEK')
  let done = 0
  const once = (): Answer => {
    if (!flags.includes('MSG_WAITALL') || peek) return s.read(len, peek)
    const n = s.read(len - done)
    if (typeof n === 'number' && n > 0) done += n
    return n === 0 || done === len || (typeof n === 'string' && done > 0) ? done : typeof n === 'string' ? n : null
  }
  return { first: once, nonBlocking: s.nonBlocking || flags.includes('MSG_DONTWAIT') }
}

export function writing(s: PosixSocket, len: number, flags: readonly string[]): Attempt {
  for (const f of flags) if (!WRITE_FLAGS.has(f)) skip(`${f} of a sending call is not played`)
  const nonBlocking = s.nonBlocking || flags.includes('MSG_DONTWAIT')
  if (s.isDeferred) return sendingFast(s, len, flags, false, nonBlocking)
  let done = 0
  const once = (): Answer => {
    const n = s.write(len - done, flags)
    if (typeof n === 'number') done += n
    else if (n !== null) return done > 0 ? done : n
    return done >= len || (nonBlocking && done > 0) ? done : null
  }
  return { first: once, nonBlocking }
}

/** sendto and sendmsg with an address: may connect at once. FreeBSD's does so without a flag, and takes all of the data. */
export function sendingTo(s: PosixSocket, len: number, flags: readonly string[], files: Files, to?: Expression): Attempt {
  const implied = files.platform === 'freebsd' && s.connection === null && s.option('fastOpen') !== undefined
  const attempt = writing(s, len, flags)
  if (!implied && !flags.includes('MSG_FASTOPEN')) return attempt
  if (isUnspecified(to)) return at(() => 'EOPNOTSUPP')
  const fast = sendingFast(s, len, flags, implied, attempt.nonBlocking)
  const { first } = fast
  fast.first = () => {
    files.connecting(s)
    return first()
  }
  return fast
}

/** Connects with the data, or as much of it as the SYN takes (RFC 7413); a call that blocks ends when the rest is taken, too. */
function sendingFast(s: PosixSocket, len: number, flags: readonly string[], keep: boolean, nonBlocking: boolean): Attempt {
  let done = 0
  return {
    first: () => {
      const n = s.counted(s.sendFast(len, keep), flags)
      if (typeof n !== 'number') return n
      done = n
      return nonBlocking || keep ? done : null
    },
    again: () => {
      const state = s.connected()
      if (state === null) return null
      if (typeof state === 'string' && state !== 'EISCONN') return state
      if (done < len) {
        const n = s.write(len - done)
        if (typeof n === 'string') return done > 0 ? done : n
        done += n ?? 0
      }
      return done >= len ? done : null
    },
    nonBlocking,
    wouldBlock: 'EINPROGRESS',
  }
}

function socket(args: readonly Expression[], files: Files, call: Syscall): Attempt {
  if (args.length !== 3) fail('socket() has three arguments')
  const types = names(args[1])
  const protocol = args[2].kind === 'word' ? args[2].name : String(int(args[2], files.platform))
  if (!isAny(args[0])) {
    const domain = args[0].kind === 'word' ? args[0].name : ''
    const wanted = files.ipVersion === 'ipv4' ? 'INET' : 'INET6'
    if (domain !== `AF_${wanted}` && domain !== `PF_${wanted}`)
      skip(`sockets of ${domain} are not played with ${files.ipVersion}`)
  }
  if (!types.includes('SOCK_STREAM') || (protocol !== 'IPPROTO_TCP' && protocol !== '0'))
    skip(`sockets of ${types.join('|')} and ${protocol} are not played`)
  const fd = int(call.result, files.platform)
  return {
    first: () => {
      if (files.table.has(fd)) fail(`duplicate file descriptor ${fd} in the script`)
      const s = new PosixSocket(files.place)
      s.nonBlocking = types.includes('SOCK_NONBLOCK')
      files.table.set(fd, s)
      files.opened(s)
      return fd
    },
    nonBlocking: true,
    isDescriptor: true,
  }
}

function accept(args: readonly Expression[], files: Files, call: Syscall): Attempt {
  const s = socketOf(args[0], files)
  const flags = args.length > 3 ? names(args[3]) : []
  const fd = int(call.result, files.platform)
  const wanted = socketAddress(args[1], files.platform)
  let fault: string | null = null
  return {
    first: () => {
      const answer = s.accept()
      if (!(answer instanceof PosixSocket)) return answer
      if (files.table.has(fd)) fail(`duplicate file descriptor ${fd} in the script`)
      answer.nonBlocking = flags.includes('SOCK_NONBLOCK')
      answer.inherit(s)
      fault = addressFault(wanted, s.isV6, answer.connection!.remoteAddress, answer.connection!.remotePort)
      if (fd < 0) return 0
      files.table.set(fd, answer)
      files.accepted(answer)
      return fd
    },
    nonBlocking: s.nonBlocking,
    isDescriptor: true,
    check: () => fault,
  }
}

/** An address of no family. */
function isUnspecified(e: Expression | undefined): boolean {
  return e?.kind === 'word' && e.name === 'AF_UNSPEC'
}

function connect(args: readonly Expression[], files: Files): Attempt {
  const s = socketOf(args[0], files)
  const unspecified = isUnspecified(args[1])
  const to = unspecified ? null : socketAddress(args[1], files.platform)
  return {
    first: () => {
      if (unspecified) {
        files.disconnected(s)
        return s.disconnect()
      }
      if (to?.port != null) s.connectPort = to.port
      files.connecting(s)
      return s.connect(to)
    },
    again: () => s.connected(),
    nonBlocking: s.nonBlocking,
    wouldBlock: 'EINPROGRESS',
  }
}

/** Status flags that F_SETFL may change. */
function fcntl(args: readonly Expression[], files: Files): Attempt {
  const s = socketOf(args[0], files)
  const command = args[1].kind === 'word' ? args[1].name : skip('fcntl: a command is expected')
  const bit = int({ kind: 'word', name: 'O_NONBLOCK', position: args[1].position }, files.platform)
  const value = args.length > 2 ? int(args[2], files.platform) : 0
  if (command === 'F_GETFL') return at(() => 2 | (s.nonBlocking ? bit : 0))
  if (command === 'F_SETFL')
    return at(() => {
      s.nonBlocking = (value & bit) !== 0
      return 0
    })
  return skip(`fcntl ${command} is not played`)
}

function at(first: () => Answer): Attempt {
  return { first, nonBlocking: true }
}

function ioctl(args: readonly Expression[], files: Files): Attempt {
  const s = socketOf(args[0], files)
  const request = args[1].kind === 'word' ? args[1].name : skip('ioctl: a request is expected')
  const c = s.connection
  const values: { readonly [name: string]: () => number } = {
    SIOCINQ: () => s.inQueue,
    FIONREAD: () => s.inQueue,
    SIOCOUTQ: () => c?.unsent ?? 0,
    TIOCOUTQ: () => c?.unsent ?? 0,
    FIONWRITE: () => c?.unsent ?? 0,
    SIOCOUTQNSD: () => c?.info().notSentBytes ?? 0,
    FIONSPACE: () => c?.writable ?? 0,
  }
  const value = values[request]
  if (request === 'FIONBIO')
    return at(() => {
      s.nonBlocking = boxed(args[2], files.platform) !== 0
      return 0
    })
  if (value === undefined) return skip(`ioctl ${request} is not played`)
  const expected = args[2]
  let actual = 0
  return {
    first: () => {
      // In these two states there is a socket but no queue (tcp(7)).
      if (s.listener !== null) return 'EINVAL'
      actual = value()
      return 0
    },
    nonBlocking: true,
    check: () => {
      if (isAny(expected)) return null
      const wanted = boxed(expected, files.platform)
      return wanted === actual ? null : `bad ioctl value: expected ${wanted}, got ${actual}`
    },
  }
}

/** Bytes of all the parts of an iovec. */
export function iovecBytes(e: Expression, files: Files): number {
  if (e.kind !== 'list') return fail(`line ${e.position.line}: an iovec is expected`)
  let sum = 0
  for (const item of e.items) {
    if (item.kind !== 'struct' || item.fields.length !== 2) return fail(`line ${item.position.line}: {base, length} is expected`)
    sum += int(item.fields[1].value, files.platform)
  }
  return sum
}

/** A buffer that is NULL has no place for bytes. */
function unlessNull(call: Call): Call {
  return (args, files, syscall) => {
    const isNull = args[1]?.kind === 'word' && args[1].name === 'NULL'
    return isNull && int(args[2], files.platform) > 0 ? at(() => 'EFAULT') : call(args, files, syscall)
  }
}

export const CALLS: { readonly [name: string]: Call } = {
  socket,
  accept,
  accept4: accept,
  connect,
  fcntl,
  ioctl,
  bind: (a, f) => {
    const to = socketAddress(a[1], f.platform)
    return at(() => socketOf(a[0], f).bind(to))
  },
  listen: (a, f) => {
    const s = socketOf(a[0], f)
    const backlog = int(a[1], f.platform)
    return at(() => {
      const answer = s.listen(backlog)
      if (answer === 0) f.listening(s)
      return answer
    })
  },
  read: unlessNull((a, f) => reading(socketOf(a[0], f), int(a[2], f.platform), [])),
  recv: unlessNull((a, f) => reading(socketOf(a[0], f), int(a[2], f.platform), names(a[3]))),
  recvfrom: unlessNull((a, f) => reading(socketOf(a[0], f), int(a[2], f.platform), names(a[3]))),
  readv: (a, f) => reading(socketOf(a[0], f), iovecBytes(a[1], f), []),
  write: unlessNull((a, f) => writing(socketOf(a[0], f), int(a[2], f.platform), [])),
  send: unlessNull((a, f) => writing(socketOf(a[0], f), int(a[2], f.platform), names(a[3]))),
  sendto: unlessNull((a, f) => sendingTo(socketOf(a[0], f), int(a[2], f.platform), names(a[3]), f, a[4])),
  writev: (a, f) => writing(socketOf(a[0], f), iovecBytes(a[1], f), []),
  shutdown: (a, f) => at(() => socketOf(a[0], f).shutdown(int(a[1], f.platform))),
  close: (a, f) =>
    at(() => {
      fileOf(a[0], f).close()
      f.table.delete(int(a[0], f.platform))
      return 0
    }),
}
