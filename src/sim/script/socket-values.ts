/**
 * setsockopt and getsockopt of a script: one table by level and name.
 *
 * An entry gives the stack's option of the same meaning, or only remembers the value where it changes nothing that a script can see. What is
 * in no table skips the script.
 */
import { NetError } from '../../base/errors.ts'
import type { Expression } from './ast.ts'
import { type Attempt, type Call, type Files, socketOf } from './calls.ts'
import { IP, IPV6 } from './ip-values.ts'
import type { PosixSocket } from './posix-socket.ts'
import type { Answer } from './socket-place.ts'
import { fail, skip } from './stop.ts'
import { SentStamps, unknownStamp } from './timestamping.ts'
import { type Entry, flag, number, remembered, type Value } from './value-entry.ts'
import { boxed, field, int, isAny, names } from './values.ts'

/** The system doubles what is asked for, and has a least. */
function buffer(option: 'sendBufferBytes' | 'receiveBufferBytes'): Entry {
  return {
    set: (s, v) => {
      if (typeof v !== 'number') return 'EINVAL'
      const { manners } = s.place
      const least = option === 'sendBufferBytes' ? manners.minSendBuffer : manners.minReceiveBuffer
      const bytes = Math.max(v * manners.bufferFactor, least)
      s.remembered.set(option, bytes)
      // What Linux adds is for its own bookkeeping: the window is made of what was asked for.
      return s.apply({ [option]: option === 'receiveBufferBytes' ? Math.max(v, least / manners.bufferFactor) : bytes })
    },
    get: (s) => {
      const info = s.connection?.info()
      return (
        s.remembered.get(option) ??
        (option === 'sendBufferBytes'
          ? (info?.sendBufferBytes ?? s.place.sendBuffer)
          : (info?.receiveBufferBytes ?? s.place.receiveBuffer))
      )
    },
  }
}

const CONGESTION: { readonly [name: string]: string } = { reno: 'newreno', newreno: 'newreno', cubic: 'cubic', bbr: 'bbr' }

const congestion: Entry = {
  set: (s, v) => {
    const name = CONGESTION[String(v).replaceAll('\0', '')]
    if (name === undefined) return 'ENOENT'
    s.remembered.set('TCP_CONGESTION', String(v))
    return s.apply({ congestion: name })
  },
  get: (s) => s.remembered.get('TCP_CONGESTION') ?? s.connection?.info().congestion ?? 'cubic',
}

const SOCKET: { readonly [name: string]: Entry } = {
  SO_REUSEADDR: remembered('SO_REUSEADDR'),
  SO_REUSEPORT: remembered('SO_REUSEPORT'),
  SO_ERROR: {
    get: (s) => errnoNumber(s.takeError(), s),
  },
  SO_KEEPALIVE: flag('keepAlive'),
  SO_SNDBUF: buffer('sendBufferBytes'),
  SO_RCVBUF: buffer('receiveBufferBytes'),
  SO_SNDBUFFORCE: buffer('sendBufferBytes'),
  SO_RCVBUFFORCE: buffer('receiveBufferBytes'),
  SO_PRIORITY: remembered('SO_PRIORITY'),
  SO_MARK: remembered('SO_MARK'),
  SO_ZEROCOPY: remembered('SO_ZEROCOPY'),
  SO_OOBINLINE: remembered('SO_OOBINLINE'),
  SO_RCVLOWAT: remembered('SO_RCVLOWAT', 1),
  SO_SNDLOWAT: remembered('SO_SNDLOWAT', 1),
  SO_INCOMING_CPU: remembered('SO_INCOMING_CPU'),
  SO_BUSY_POLL: remembered('SO_BUSY_POLL'),
  SO_NO_CHECK: remembered('SO_NO_CHECK'),
  SO_DEBUG: remembered('SO_DEBUG'),
  SO_ACCEPTCONN: { get: (s) => (s.listener === null ? 0 : 1) },
  SO_MAX_PACING_RATE: number('maxPacingRate', 1, 0, 0xffffffff, () => 0xffffffff | 0),
  SO_LINGER: {
    set: () => 'EINVAL',
  },
  SO_TIMESTAMPING: {
    set: () => 'EINVAL',
  },
}

const TCP: { readonly [name: string]: Entry } = {
  TCP_NODELAY: flag('noDelay'),
  TCP_CORK: flag('cork'),
  TCP_NOPUSH: flag('cork'),
  TCP_QUICKACK: flag('quickAck'),
  TCP_MAXSEG: number('maxSegmentBytes', 1, 88, 32767, (s) => {
    const info = s.connection?.info()
    return info === undefined ? 536 : info.mss
  }),
  TCP_KEEPIDLE: number('keepAliveIdleMs', 1000, 1, 32767, (s) => s.place.config.keepAliveIdleMs / 1000),
  TCP_KEEPINTVL: number('keepAliveIntervalMs', 1000, 1, 32767, (s) => s.place.config.keepAliveIntervalMs / 1000),
  TCP_KEEPCNT: number('keepAliveProbes', 1, 1, 127, (s) => s.place.config.keepAliveProbes),
  TCP_KEEPINIT: {
    set: (s, v) => {
      if (typeof v !== 'number' || v <= 0) return 'EINVAL'
      s.connectLimitMs = v * 1000
      return 0
    },
    get: (s) => s.connectLimitMs / 1000,
  },
  TCP_SYNCNT: number('synRetries', 1, 1, 127, () => 6),
  TCP_USER_TIMEOUT: number('userTimeoutMs', 1, 0, 0x7fffffff, () => 0),
  TCP_NOTSENT_LOWAT: {
    // -1 as unsigned is the most there is: no limit.
    set: (s, v) => {
      if (typeof v !== 'number') return 'EINVAL'
      s.remembered.set('TCP_NOTSENT_LOWAT', v)
      return s.apply({ notSentLowatBytes: v < 0 || v > 0x7fffffff ? 0 : v })
    },
    get: (s) => s.remembered.get('TCP_NOTSENT_LOWAT') ?? 0,
  },
  TCP_WINDOW_CLAMP: number('windowClampBytes', 1, 0, 0x3fffffff, () => 0),
  TCP_FASTOPEN: {
    set: (s, v) => s.apply({ fastOpen: typeof v === 'number' && v > 0 ? v : false }),
    get: (s) => Number(s.option('fastOpen') ?? 0),
  },
  TCP_FASTOPEN_CONNECT: {
    ...remembered('TCP_FASTOPEN_CONNECT'),
    set: (s, v) => {
      if (!s.place.fastOpenAllowed) return 'EOPNOTSUPP'
      s.remembered.set('TCP_FASTOPEN_CONNECT', v)
      return 0
    },
  },
  TCP_FASTOPEN_KEY: {
    set: (s, v) => {
      const keys = typeof v === 'string' ? fastOpenKeys(v) : []
      return keys.length === 0 ? 'EINVAL' : s.apply({ fastOpenKeys: keys })
    },
  },
  TCP_FASTOPEN_NO_COOKIE: flag('fastOpenNoCookie'),
  TCP_CONGESTION: congestion,
  TCP_DEFER_ACCEPT: number('deferAcceptMs', 1000, 0, 0x7fffff, () => 0),
  TCP_INQ: remembered('TCP_INQ'),
  TCP_CM_INQ: remembered('TCP_INQ'),
  TCP_THIN_LINEAR_TIMEOUTS: remembered('TCP_THIN_LINEAR_TIMEOUTS'),
  TCP_LOG: remembered('TCP_LOG'),
  TCP_LOGID: remembered('TCP_LOGID'),
}

/** One key or two of 16 bytes, as the sysctl writes them: words that were little-endian. None: it is no key. */
function fastOpenKeys(text: string): string[] {
  if (text.length !== 16 && text.length !== 32) return []
  const keys: string[] = []
  for (let at = 0; at < text.length; at += 16) {
    const words = [0, 4, 8, 12].map((w) =>
      [3, 2, 1, 0]
        .map((b) =>
          text
            .charCodeAt(at + w + b)
            .toString(16)
            .padStart(2, '0'),
        )
        .join(''),
    )
    keys.push(words.join('-'))
  }
  return keys
}

const LEVELS: { readonly [level: string]: { readonly [name: string]: Entry } } = {
  SOL_SOCKET: SOCKET,
  SOL_TCP: TCP,
  IPPROTO_TCP: TCP,
  SOL_IP: IP,
  IPPROTO_IP: IP,
  SOL_IPV6: IPV6,
  IPPROTO_IPV6: IPV6,
}

/** The number of an error, as the system of the script counts. */
function errnoNumber(name: string | null, s: PosixSocket): number {
  if (name === null) return 0
  return s.place.errnoOf(name)
}

function entryOf(level: Expression, name: Expression): { entry: Entry; text: string } {
  const l = level.kind === 'word' ? level.name : ''
  const n = name.kind === 'word' ? name.name : ''
  const entry = LEVELS[l]?.[n]
  return entry === undefined
    ? skip(`socket option ${l || 'of a number'} ${n || 'of a number'} is not played`)
    : { entry, text: n }
}

function setsockopt(args: readonly Expression[], files: Files): Attempt {
  const s = socketOf(args[0], files)
  const { entry, text } = entryOf(args[1], args[2])
  const e = args[3]
  return {
    first: () => {
      if (text === 'SO_LINGER') return setLinger(s, e, files)
      if (text === 'SO_TIMESTAMPING') return setStamps(s, e)
      if (entry.set === undefined) return 'ENOPROTOOPT'
      const value = e.kind === 'string' ? e.value : boxed(e, files.platform)
      return entry.set(s, value)
    },
    nonBlocking: true,
  }
}

function setStamps(s: PosixSocket, e: Expression): Answer {
  const flags = names(e.kind === 'list' && e.items.length === 1 ? e.items[0] : e)
  const unknown = unknownStamp(flags)
  if (unknown !== null) skip(`${unknown} is not played`)
  s.stamps = new SentStamps(flags, s.connection?.bytesWritten ?? 0)
  return 0
}

function setLinger(s: PosixSocket, e: Expression, files: Files): Answer {
  const on = field(e, 'onoff')?.value ?? field(e, 'l_onoff')?.value
  const seconds = field(e, 'linger')?.value ?? field(e, 'l_linger')?.value
  if (on === undefined || seconds === undefined) return fail('SO_LINGER: {onoff=..., linger=...} is expected')
  s.linger = { on: int(on, files.platform) !== 0, seconds: int(seconds, files.platform) }
  return 0
}

function getsockopt(args: readonly Expression[], files: Files): Attempt {
  const s = socketOf(args[0], files)
  const { entry, text } = entryOf(args[1], args[2])
  const expected = args[3]
  let actual: Value = 0
  return {
    first: () => {
      if (entry.get === undefined) return text === 'SO_LINGER' ? skip('getsockopt SO_LINGER is not played') : 'ENOPROTOOPT'
      try {
        actual = entry.get(s)
        return 0
      } catch (error) {
        if (error instanceof NetError) return error.code
        throw error
      }
    },
    nonBlocking: true,
    check: () => {
      if (isAny(expected)) return null
      if (expected.kind === 'string') {
        const wanted = expected.value.replaceAll('\0', '')
        return wanted === String(actual) ? null : `getsockopt ${text}: expected "${wanted}", got "${actual}"`
      }
      const item = expected.kind === 'list' && expected.items.length === 1 ? expected.items[0] : expected
      if (isAny(item)) return null
      const wanted = item.kind === 'word' && item.name.startsWith('E') ? s.place.errnoOf(item.name) : int(item, files.platform)
      return wanted === actual ? null : `getsockopt ${text}: expected ${wanted}, got ${actual}`
    },
  }
}

export const OPTION_CALLS: { readonly [name: string]: Call } = { setsockopt, getsockopt }
