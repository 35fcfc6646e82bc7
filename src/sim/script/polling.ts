/** poll and epoll of a script. */
import type { Expression, Platform } from './ast.ts'
import type { Attempt, Call, File, Files } from './calls.ts'
import { fileOf, socketOf } from './calls.ts'
import { numberOf } from './numbers.ts'
import type { PosixSocket } from './posix-socket.ts'
import { fail, skip } from './stop.ts'
import { field, int, isAny } from './values.ts'

/** Bits of what is ready, as the platform numbers them. */
function readyBits(s: PosixSocket, prefix: 'POLL' | 'EPOLL', platform: Platform): number {
  let bits = 0
  for (const name of s.ready()) bits |= numberOf(prefix + name, platform) ?? 0
  return bits
}

/** Told whether asked for or not. */
const ALWAYS = 0x8 | 0x10

function poll(args: readonly Expression[], files: Files): Attempt {
  const list = args[0]
  if (list.kind !== 'list') return fail('poll: a list of pollfds is expected')
  const { platform } = files
  const entries = list.items.map((e) => ({
    socket: socketOf(field(e, 'fd')?.value ?? fail('poll: fd is missing'), files),
    events: int(field(e, 'events')?.value ?? fail('poll: events are missing'), platform),
    expected: field(e, 'revents')?.value,
    revents: 0,
  }))
  const timeout = int(args[2], platform)
  const once = (): number | null => {
    let n = 0
    for (const e of entries) {
      e.revents = readyBits(e.socket, 'POLL', platform) & (e.events | ALWAYS)
      if (e.revents !== 0) n++
    }
    return n > 0 || timeout === 0 ? n : null
  }
  return {
    first: once,
    nonBlocking: false,
    timeoutUs: timeout < 0 ? null : timeout * 1000,
    check: () => {
      for (const [i, e] of entries.entries()) {
        if (isAny(e.expected)) continue
        const wanted = int(e.expected!, platform)
        if (wanted !== e.revents)
          return `revents of pollfd ${i}: expected 0x${wanted.toString(16)}, got 0x${e.revents.toString(16)}`
      }
      return null
    },
  }
}

interface Interest {
  fd: number
  socket: PosixSocket
  events: number
  data: number
  /** Off after it was told once (EPOLLONESHOT). */
  armed: boolean
  /** News that were there when it was last told (EPOLLET). */
  seen: number
}

class Epoll implements File {
  readonly interests = new Map<number, Interest>()

  close(): void {}

  /** What is told now; telling changes what is told next. */
  collect(most: number): { bits: number; data: number }[] {
    const out: { bits: number; data: number }[] = []
    for (const i of this.interests.values()) {
      if (!i.armed || out.length >= most) continue
      const bits = readyBits(i.socket, 'EPOLL', 'linux') & (i.events | ALWAYS)
      const news = i.socket.wakes + i.socket.zerocopy.done(i.socket.ackedBytes)
      if (bits === 0 || ((i.events & EDGE) !== 0 && news === i.seen)) continue
      i.seen = news
      if ((i.events & ONESHOT) !== 0) i.armed = false
      out.push({ bits, data: i.data })
    }
    return out
  }
}

const EDGE = 0x80000000 | 0
const ONESHOT = 0x40000000

function create(args: readonly Expression[], files: Files, call: { result: Expression }): Attempt {
  const fd = int(call.result, files.platform)
  return {
    first: () => {
      if (args[0]?.kind === 'int' && args[0].value < 0) return 'EINVAL'
      files.table.set(fd, new Epoll())
      return fd
    },
    nonBlocking: true,
    isDescriptor: true,
  }
}

function epollOf(e: Expression, files: Files): Epoll {
  const file = fileOf(e, files)
  return file instanceof Epoll ? file : fail(`line ${e.position.line}: this is no epoll descriptor`)
}

function control(args: readonly Expression[], files: Files): Attempt {
  const epoll = epollOf(args[0], files)
  const op = args[1].kind === 'word' ? args[1].name : skip('epoll_ctl: an operation is expected')
  const fd = int(args[2], files.platform)
  const socket = socketOf(args[2], files)
  const event = args[3]
  return {
    first: () => {
      const known = epoll.interests.get(fd)
      if (op === 'EPOLL_CTL_DEL') return epoll.interests.delete(fd) ? 0 : 'ENOENT'
      if (op === 'EPOLL_CTL_ADD' && known !== undefined) return 'EEXIST'
      if (op === 'EPOLL_CTL_MOD' && known === undefined) return 'ENOENT'
      const events = int(field(event, 'events')?.value ?? fail('epoll_ctl: events are missing'), files.platform) | 0
      epoll.interests.set(fd, { fd, socket, events, data: dataOf(event, files) ?? fd, armed: true, seen: -1 })
      return 0
    },
    nonBlocking: true,
  }
}

/** The union of an epoll_event, by whatever name. */
function dataOf(event: Expression, files: Files): number | null {
  for (const name of ['fd', 'u32', 'u64', 'ptr']) {
    const value = field(event, name)?.value
    if (value !== undefined && !isAny(value)) return int(value, files.platform)
  }
  return null
}

function wait(args: readonly Expression[], files: Files): Attempt {
  const epoll = epollOf(args[0], files)
  const expected = args[1]
  const most = int(args[2], files.platform)
  const timeout = int(args[3], files.platform)
  let told: { bits: number; data: number }[] = []
  return {
    first: () => {
      if (most <= 0) return 'EINVAL'
      told = epoll.collect(most)
      return told.length > 0 || timeout === 0 ? told.length : null
    },
    nonBlocking: false,
    timeoutUs: timeout < 0 ? null : timeout * 1000,
    check: () => {
      const wanted = field(expected, 'events')?.value
      if (wanted === undefined || isAny(wanted)) return null
      const bits = int(wanted, files.platform) | 0
      const actual = told[0]?.bits ?? 0
      if (bits !== actual) return `epoll events: expected 0x${(bits >>> 0).toString(16)}, got 0x${(actual >>> 0).toString(16)}`
      const data = dataOf(expected, files)
      if (data !== null && told.length > 0 && data !== told[0].data) return `epoll data: expected ${data}, got ${told[0].data}`
      return null
    },
  }
}

export const POLL_CALLS: { readonly [name: string]: Call } = {
  poll,
  epoll_create: create,
  epoll_create1: create,
  epoll_ctl: control,
  epoll_wait: wait,
  epoll_pwait: wait,
}
