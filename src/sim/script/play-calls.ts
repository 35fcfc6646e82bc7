/**
 * Plays the system calls of a script. A call that would block is tried again whenever something happened, and checked when the next call comes
 * or the script ends; packetdrill has one thread for such calls, so there is one at a time.
 */
import type { Syscall, SyscallEvent } from './ast.ts'
import { type Attempt, CALLS, type Files } from './calls.ts'
import { FILE_CALLS } from './disk-files.ts'
import { MESSAGE_CALLS } from './messages.ts'
import { POLL_CALLS } from './polling.ts'
import type { Settings } from './settings.ts'
import type { Answer } from './socket-place.ts'
import { OPTION_CALLS } from './socket-values.ts'
import { fail, Stop, skip } from './stop.ts'
import type { Timeline } from './timeline.ts'
import { type Due, seconds, timingFault } from './timing.ts'
import { int } from './values.ts'

/** How much longer than the script says a call is waited for, so that its lateness can be told. */
const LATE_US = 5_000_000
/** The same for a call that blocks without an end in the script. */
const BLOCKED_US = 300_000_000

const ALL = { ...CALLS, ...POLL_CALLS, ...MESSAGE_CALLS, ...OPTION_CALLS, ...FILE_CALLS }

interface Pending {
  event: SyscallEvent
  attempt: Attempt
  /** When it should return; null: the script does not say. */
  due: Due | null
  answer: Answer
  begunUs: number
  returnedUs: number
}

export class CallPlayer {
  private pending: Pending | null = null

  constructor(
    private readonly time: Timeline,
    private readonly files: Files,
    private readonly settings: Settings,
    /** Takes what `--non_fatal` lets pass. */
    private readonly warn: (text: string) => void,
  ) {}

  /** `baseUs`: what relative times of the event count from. */
  call(event: SyscallEvent, baseUs: number): void {
    this.finish()
    const { time } = this
    const { call } = event
    const make = Object.hasOwn(ALL, call.name) ? ALL[call.name] : skip(`system call ${call.name} is not played`)
    const attempt = make(call.args, this.files, call)
    const begunUs = time.nowUs
    const answer = attempt.first()
    const p: Pending = { event, attempt, due: endOf(event, baseUs), answer, begunUs, returnedUs: begunUs }
    if (answer === null && attempt.nonBlocking) p.answer = attempt.wouldBlock ?? 'EAGAIN'
    if (p.answer !== null) {
      // What the call made the stack do happens before it is looked at again.
      time.settle()
      this.returned(p)
      return
    }
    this.pending = p
    if (attempt.timeoutUs != null) time.wakeIn(attempt.timeoutUs)
    time.settle()
    // Without an end in the script the script itself waits, as packetdrill's other thread does.
    if (p.due === null) this.finish()
  }

  /** Makes another attempt of the call that blocks, if there is one. */
  retry(): void {
    const p = this.pending
    if (p === null || p.answer !== null) return
    p.answer = (p.attempt.again ?? p.attempt.first)()
    const { timeoutUs } = p.attempt
    if (p.answer === null && timeoutUs != null && this.time.nowUs - p.begunUs >= timeoutUs) p.answer = 0
    if (p.answer !== null) p.returnedUs = this.time.nowUs
  }

  /** Waits for the call that blocks, and checks it. */
  finish(): void {
    const p = this.pending
    if (p === null) return
    const limitUs = p.due === null ? this.time.nowUs + BLOCKED_US : Math.max(p.due.us, this.time.nowUs) + LATE_US
    this.retry()
    while (p.answer === null) {
      if (!this.time.step(limitUs) && p.answer === null)
        fail(`line ${p.event.position.line}: ${p.event.call.name} does not return`, `expected: ${p.event.text}`)
      this.retry()
    }
    this.pending = null
    this.returned(p)
  }

  private returned(p: Pending): void {
    const { event, attempt } = p
    const { call } = event
    const answer = p.answer!
    const reason = this.resultFault(call, attempt, answer) ?? attempt.check?.() ?? this.lateness(p)
    if (reason === null) return
    const actual = typeof answer === 'string' ? `-1 ${answer}` : String(answer)
    const diff = `expected: ${event.text}\n  actual: ${call.name}() = ${actual} at ${seconds(p.returnedUs)}`
    if (!this.settings.syscallsMayDiffer) throw new Stop('failed', `line ${event.position.line}: ${reason}`, diff)
    this.warn(`${reason}\n${diff}`)
  }

  private lateness(p: Pending): string | null {
    return p.due === null ? null : timingFault(p.due, null, p.returnedUs, 'system call return', this.settings)
  }

  private resultFault(call: Syscall, attempt: Attempt, answer: number | string): string | null {
    if (call.result.kind === 'any') return null
    const expected = int(call.result, this.files.platform)
    const value = typeof answer === 'string' ? -1 : answer
    const got = typeof answer === 'string' ? `-1 ${answer}` : String(answer)
    if (attempt.isDescriptor && expected >= 0) {
      if (value < 0) return `${call.name}: expected a file descriptor, got ${got}`
    } else if (value !== expected) return `${call.name}: expected result ${expected}, got ${got}`
    if (call.errno !== null && call.errno !== answer && SAME_ERRORS[call.errno] !== answer)
      return `${call.name}: expected errno ${call.errno}, got ${typeof answer === 'string' ? answer : 'none'}`
    return null
  }
}

/** Two names of one number. */
const SAME_ERRORS: { readonly [name: string]: string } = { EWOULDBLOCK: 'EAGAIN' }

/** When a call that blocks should return. Both its times count from the same event. */
function endOf(event: SyscallEvent, baseUs: number): Due | null {
  const { endUs } = event.call
  if (endUs === null) return null
  const us = event.time.kind === 'relative' || event.time.kind === 'relative-range' ? baseUs + endUs : endUs
  return { kind: 'absolute', us, endUs: us }
}
