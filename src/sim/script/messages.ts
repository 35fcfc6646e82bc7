/** sendmsg and recvmsg: iovecs, control messages, the error queue. */
import type { Expression } from './ast.ts'
import { type Attempt, type Call, type Files, iovecBytes, reading, sendingTo, socketOf } from './calls.ts'
import type { PosixSocket } from './posix-socket.ts'
import { fail, skip } from './stop.ts'
import type { SentStamp } from './timestamping.ts'
import { field, int, isAny, names } from './values.ts'

/** A control message as it came: names, and numbers by field (or one number). */
interface Control {
  level: string
  type: string
  data: number | { readonly [name: string]: number | string }
}

/** Levels that have two names. */
const LEVELS: { readonly [name: string]: string } = {
  SOL_IP: 'IP',
  IPPROTO_IP: 'IP',
  SOL_IPV6: 'IPV6',
  IPPROTO_IPV6: 'IPV6',
  SOL_TCP: 'TCP',
  IPPROTO_TCP: 'TCP',
  SOL_SOCKET: 'SOCKET',
}
const TYPES: { readonly [name: string]: string } = { TCP_INQ: 'TCP_CM_INQ' }

/** Linux MAX_SKB_FRAGS. */
const MAX_FRAGMENTS = 17

function bytesOf(message: Expression, files: Files): number {
  const iov = field(message, 'msg_iov')?.value
  return iov === undefined ? 0 : iovecBytes(iov, files)
}

function sendmsg(args: readonly Expression[], files: Files): Attempt {
  const s = socketOf(args[0], files)
  if (field(args[1], 'msg_control') !== undefined) skip('control messages of sendmsg are not played')
  const flags = names(args[2])
  const pieces = field(args[1], 'msg_iov')?.value
  if (flags.includes('MSG_ZEROCOPY') && pieces?.kind === 'list' && pieces.items.length > MAX_FRAGMENTS)
    skip('MSG_ZEROCOPY of so many pieces that Linux splits segments by pages is not played')
  return sendingTo(s, bytesOf(args[1], files), flags, files)
}

function recvmsg(args: readonly Expression[], files: Files): Attempt {
  const s = socketOf(args[0], files)
  const message = args[1]
  const flags = names(args[2])
  const expectedControl = field(message, 'msg_control')?.value
  const expectedFlags = field(message, 'msg_flags')?.value
  const control: Control[] = []
  let outFlags: string[] = []
  let attempt: Attempt
  if (flags.includes('MSG_ERRQUEUE')) {
    attempt = {
      first: () => {
        s.stamp()
        const stamp = s.stamps?.take() ?? null
        if (stamp !== null) {
          // With the packet, for which there is no room.
          outFlags = ['MSG_ERRQUEUE', 'MSG_TRUNC']
          control.push(...stampControl(s, stamp))
          return 0
        }
        const range = s.zerocopy.take(s.ackedBytes)
        if (range === null) return null
        outFlags = ['MSG_ERRQUEUE']
        control.push({
          ...errorOf(s),
          data: {
            ee_errno: 0,
            ee_origin: 'SO_EE_ORIGIN_ZEROCOPY',
            ee_type: 0,
            ee_code: 'SO_EE_CODE_ZEROCOPY_COPIED',
            ee_info: range.from,
            ee_data: range.to,
          },
        })
        return 0
      },
      nonBlocking: true,
    }
  } else {
    attempt = reading(s, bytesOf(message, files), flags)
    const { first } = attempt
    attempt.first = () => {
      const n = first()
      if (typeof n === 'number' && s.remembered.get('TCP_INQ') === 1)
        control.push({ level: 'TCP', type: 'TCP_CM_INQ', data: s.inQueue })
      return n
    }
  }
  attempt.check = () => {
    if (outFlags.length === 0 && flags.includes('MSG_ERRQUEUE')) return null // it failed as the script says
    if (expectedFlags !== undefined && !isAny(expectedFlags)) {
      const wanted = names(expectedFlags)
      if (wanted.join('|') !== outFlags.join('|'))
        return `msg_flags: expected ${wanted.join('|') || 0}, got ${outFlags.join('|') || 0}`
    }
    return expectedControl === undefined || isAny(expectedControl) ? null : controlFault(expectedControl, control, files)
  }
  return attempt
}

/** Where the error queue tells of it: by the family of the socket, not of its packets. */
function errorOf(s: PosixSocket): { level: string; type: string } {
  return s.isV6 ? { level: 'IPV6', type: 'IPV6_RECVERR' } : { level: 'IP', type: 'IP_RECVERR' }
}

function stampControl(s: PosixSocket, { event, key, us }: SentStamp): Control[] {
  const at = { scm_sec: Math.floor(us / 1e6), scm_nsec: (us % 1e6) * 1000 }
  return [
    { level: 'SOCKET', type: 'SCM_TIMESTAMPING', data: at },
    {
      ...errorOf(s),
      data: {
        ee_errno: 'ENOMSG',
        ee_origin: 'SO_EE_ORIGIN_TIMESTAMPING',
        ee_type: 0,
        ee_code: 0,
        ee_info: event,
        ee_data: key,
      },
    },
  ]
}

function controlFault(expected: Expression, actual: readonly Control[], files: Files): string | null {
  if (expected.kind !== 'list') return fail(`line ${expected.position.line}: a list of control messages is expected`)
  if (expected.items.length !== actual.length) return `control messages: expected ${expected.items.length}, got ${actual.length}`
  for (const [i, item] of expected.items.entries()) {
    const { level, type, data } = actual[i]
    const wantedLevel = wordOf(field(item, 'cmsg_level')?.value)
    const wantedType = wordOf(field(item, 'cmsg_type')?.value)
    if (wantedLevel !== null && (LEVELS[wantedLevel] ?? wantedLevel) !== level)
      return `cmsg_level ${i}: expected ${wantedLevel}, got ${level}`
    if (wantedType !== null && (TYPES[wantedType] ?? wantedType) !== type)
      return `cmsg_type ${i}: expected ${wantedType}, got ${type}`
    const wanted = field(item, 'cmsg_data')?.value
    if (wanted === undefined || isAny(wanted)) continue
    const fault = type === 'SCM_TIMESTAMPING' ? stampFault(wanted, data, files) : dataFault(wanted, data, files)
    if (fault !== null) return `cmsg_data ${i}: ${fault}`
  }
  return null
}

/** A time, as exact as any of the script. */
function stampFault(wanted: Expression, data: Control['data'], files: Files): string | null {
  const sum = (of: (name: string) => number): number => of('scm_sec') * 1e6 + of('scm_nsec') / 1000
  const expected = sum((name) => {
    const value = field(wanted, name)?.value
    return value === undefined ? 0 : int(value, files.platform)
  })
  const actual = sum((name) => (typeof data === 'number' ? data : Number(data[name])))
  return Math.abs(expected - actual) <= files.place.toleranceUs ? null : `a time of ${expected} us is expected, got ${actual} us`
}

function dataFault(wanted: Expression, data: Control['data'], files: Files): string | null {
  if (typeof data === 'number') {
    const n = int(wanted, files.platform)
    return n === data ? null : `expected ${n}, got ${data}`
  }
  if (wanted.kind !== 'struct') return fail(`line ${wanted.position.line}: a structure is expected`)
  for (const f of wanted.fields) {
    if (isAny(f.value)) continue
    const actual = data[f.name]
    if (actual === undefined) skip(`${f.name} of a control message is not played`)
    const matches = typeof actual === 'string' ? wordOf(f.value) === actual : int(f.value, files.platform) === actual
    if (!matches) return `${f.name}: expected ${wordOf(f.value) ?? int(f.value, files.platform)}, got ${actual}`
  }
  return null
}

function wordOf(e: Expression | undefined): string | null {
  return e?.kind === 'word' ? e.name : null
}

export const MESSAGE_CALLS: { readonly [name: string]: Call } = { sendmsg, recvmsg }
