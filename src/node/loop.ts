/**
 * Turns of Node's event loop, as far as sockets must know of them.
 *
 * Theory of operation. An answer from a kernel comes when the event loop polls: never before the promises and ticks of whoever
 * asked, nor before the second of two writes. Programs count on that, those of Node's HTTP/2 and TLS as well. A peer in the same process, by the
 * loopback or a pipe, answers within the microtask in which the stack takes its turn. So what a socket is to be told waits for
 * the loop to turn if anything was sent since it turned last: it may be an answer. All else is told at once, as whatever a tap brings to an
 * idle process is, and what is told together in one turn of a stack is told together still. So is a lot of bytes that wait to be read (`BULK`
 * of chunk.ts): a whole window would otherwise fill first, and be read from memory instead of the processor's cache.
 */
import type { Task } from '../base/clock.ts'

export const loop = {
  /** Times that the loop has turned, counted only while somebody asks. */
  count: 0,
  /** Sockets have sent something since the loop turned. */
  sent: false,
  /** `sent`, when the task began that the host of the stack runs: what is told now may answer. */
  answers: false,
  counting: false,
}

let waiting: Task[] = []

/** `loop.count`, which will be another when the loop has turned. */
export function countTurns(): number {
  if (!loop.counting) {
    loop.counting = true
    setImmediate(turned)
  }
  return loop.count
}

/** Something leaves this process, or seems to. */
export function sends(): void {
  loop.sent = true
  countTurns()
}

/** Runs `task` when the loop has turned. All of a turn run in a row, as all that a turn of a stack tells: their answers leave together. */
export function whenTurned(task: Task): void {
  waiting.push(task)
  countTurns()
}

function turned(): void {
  loop.counting = false
  loop.sent = false
  loop.count = (loop.count + 1) | 0
  if (waiting.length === 0) return
  const tasks = waiting
  waiting = []
  for (const task of tasks) task.run()
}
