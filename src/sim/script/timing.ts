/** When an event of a script is due, and whether something happened in time. Microseconds since the script began. */
import type { ScriptTime } from './ast.ts'
import type { Settings } from './settings.ts'

/** The time of an event, no longer relative. */
export interface Due {
  us: number
  endUs: number
  kind: ScriptTime['kind']
}

/** `fromUs`: what relative times count from. */
export function dueAt(time: ScriptTime, fromUs: number): Due {
  switch (time.kind) {
    case 'absolute':
      return { kind: time.kind, us: time.us, endUs: time.us }
    case 'relative':
      return { kind: time.kind, us: fromUs + time.us, endUs: fromUs + time.us }
    case 'absolute-range':
      return { kind: time.kind, us: time.us, endUs: time.endUs }
    case 'relative-range':
      return { kind: time.kind, us: fromUs + time.us, endUs: fromUs + time.endUs }
    case 'any':
      return { kind: time.kind, us: fromUs, endUs: Number.POSITIVE_INFINITY }
  }
}

/** packetdrill's tolerance: a fixed time, or a share of the time since the event before (null: there was none). */
export function toleranceUs(due: Due, beforeUs: number | null, s: Settings): number {
  const share = beforeUs === null ? 0 : Math.trunc(((due.us - beforeUs) * s.tolerancePercent) / 100)
  return Math.max(s.toleranceUs, share)
}

/** Null: in time. Else what packetdrill says. */
export function timingFault(due: Due, beforeUs: number | null, happenedUs: number, what: string, s: Settings): string | null {
  if (due.kind === 'any') return null
  const tolerance = toleranceUs(due, beforeUs, s)
  if (happenedUs >= due.us - tolerance && happenedUs <= due.endUs + tolerance) return null
  const expected = due.endUs === due.us ? `at ${seconds(due.us)}` : `in ${seconds(due.us)}~${seconds(due.endUs)}`
  return `timing error: expected ${what} ${expected} sec but happened at ${seconds(happenedUs)} sec; tolerance ${seconds(tolerance)} sec`
}

export function seconds(us: number): string {
  return (us / 1e6).toFixed(6)
}
