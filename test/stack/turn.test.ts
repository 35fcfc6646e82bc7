/** The order of a turn, with a host whose time passes while somebody works. */
import { expect, it } from 'vitest'
import type { Host, Task } from '../../src/base/clock.ts'
import { TellList } from '../../src/base/tell.ts'
import { Timed, Timers } from '../../src/base/timers.ts'
import type { NetIf, NetIfSink } from '../../src/netif/netif.ts'
import { Turn } from '../../src/stack/turn.ts'

class BusyHost implements Host {
  now = 1000
  alarmAt = -1
  private alarm: Task | null = null
  readonly tasks: Task[] = []

  ms(): number {
    return this.now
  }

  us(): number {
    return this.now * 1000
  }

  wallNs(): bigint {
    return 0n
  }

  soon(task: Task): void {
    this.tasks.push(task)
  }

  after(delayMs: number, task: Task): unknown {
    this.alarmAt = this.now + delayMs
    this.alarm = task
    return task
  }

  cancel(): void {
    this.alarm = null
  }

  hold(): void {}
  release(): void {}

  uncaught(error: unknown): void {
    throw error
  }

  /** The alarm rings now, however late that is. */
  ring(): void {
    const { alarm } = this
    this.alarm = null
    alarm!.run()
  }
}

/** A link on which frames may wait that nobody was told of. */
class QuietLink implements NetIf {
  readonly name = 'quiet'
  readonly medium = 'ip'
  readonly mac = null
  readonly mtu = 1500
  readonly offload = 0
  readonly gsoMax = 0
  waiting = 0
  constructor(private readonly log: string[]) {}
  attach(_sink: NetIfSink): void {}
  send(): boolean {
    return true
  }
  flush(): void {}
  close(): void {}
  receive(budget: number): boolean {
    const n = Math.min(budget, this.waiting)
    this.waiting -= n
    this.log.push(`heard ${n}`)
    return this.waiting > 0
  }
}

class Deadline extends Timed {
  constructor(private readonly log: string[]) {
    super()
  }
  onTimer(now: number): void {
    this.log.push(`deadline at ${now}`)
  }
}

function world() {
  const host = new BusyHost()
  const log: string[] = []
  const timers = new Timers()
  const list = new TellList()
  const turn = new Turn(host, timers, list, 64, 8)
  const link = new QuietLink(log)
  const port = turn.addPort(link)
  return { host, log, timers, list, turn, link, port }
}

it('hears what waits before it believes in a deadline: the process may have been busy, and not the peer silent', () => {
  const { host, log, timers, turn, link } = world()
  const deadline = new Deadline(log)
  timers.arm(deadline, 1200)
  turn.rearm()
  expect(host.alarmAt).toBe(1200)
  host.now = 1600
  link.waiting = 3 // the event loop had no time to say so
  host.ring()
  expect(log).toEqual(['heard 3', 'deadline at 1600'])
})

it('hears everything that piled up while it was away before it believes in a deadline', () => {
  const { host, log, timers, turn, link } = world()
  timers.arm(new Deadline(log), 1200)
  turn.rearm()
  host.now = 1600
  link.waiting = 150
  host.ring()
  while (host.tasks.length > 0) host.tasks.shift()!.run()
  expect(log).toEqual(['heard 64', 'heard 64', 'heard 22', 'deadline at 1600'])
})

it('is not kept from a deadline for ever by a flood', () => {
  const { host, log, timers, turn, link } = world()
  timers.arm(new Deadline(log), 1200)
  turn.rearm()
  host.now = 1600
  link.waiting = 1e9
  host.ring()
  for (let i = 0; i < 100; i++) host.tasks.shift()!.run()
  expect(log.indexOf('deadline at 1600')).toBe(65)
})

it('serves a deadline on time whatever waits', () => {
  const { host, log, timers, turn, link } = world()
  timers.arm(new Deadline(log), 1200)
  turn.rearm()
  host.now = 1202
  link.waiting = 1e9
  host.ring()
  expect(log).toEqual(['heard 64', 'deadline at 1202'])
})

it('gives what it hears the chance to push the deadline back', () => {
  const { host, log, timers, turn, link } = world()
  const deadline = new Deadline(log)
  timers.arm(deadline, 1200)
  turn.rearm()
  host.now = 1600
  link.receive = () => {
    log.push('acknowledged')
    timers.arm(deadline, turn.nowMs + 200)
    return false
  }
  host.ring()
  expect(log).toEqual(['acknowledged'])
  expect(host.alarmAt).toBe(1800)
})

it('asks no link that has nothing to say while no deadline is due', () => {
  const { log, timers, turn, port } = world()
  timers.arm(new Deadline(log), 1200)
  turn.run()
  expect(log).toEqual([])
  port.readable = true
  turn.run()
  expect(log).toEqual(['heard 0'])
})

it('looks at the clock again after applications have run: what they write leaves at that time', () => {
  const { host, list, turn } = world()
  const seen: number[] = []
  list.add({
    told: false,
    tell() {
      host.now += 400
    },
  })
  turn.setSpeaker({
    hasDirty: false,
    speak() {
      seen.push(turn.nowMs, turn.nowUs)
      return false
    },
  })
  turn.run()
  expect(seen).toEqual([1400, 1_400_000])
})
