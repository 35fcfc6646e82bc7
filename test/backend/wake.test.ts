/** Both ways of waking up, over descriptors that need no privilege: an eventfd is readable when above zero, and writable below its limit. */
import { describe, expect, it } from 'vitest'
import { EFD_CLOEXEC, EFD_NONBLOCK, type Libc, loadKoffi, loadLibc } from '../../src/backend/libc.ts'
import { uvWaker, type Waker, type WatchOwner } from '../../src/backend/wake.ts'
import { PollWaker } from '../../src/backend/wake-poll.ts'

const linux = process.platform === 'linux'
const libc: Libc | null = linux ? await loadLibc() : null
const wakers: [string, () => Waker | null][] = linux
  ? [
      [
        'libuv',
        (
          (koffi) => () =>
            uvWaker(koffi)
        )(await loadKoffi()),
      ],
      ['poll thread', () => new PollWaker(libc as Libc)],
    ]
  : []

const eight = (low: number, high = 0): Uint8Array => new Uint8Array(Uint32Array.of(low, high).buffer)

/** A descriptor, and an owner that notes what it hears. */
class Subject implements WatchOwner {
  readonly fd: number
  readonly heard: string[] = []
  private waiting: (() => void)[] = []

  constructor(private readonly c: Libc) {
    this.fd = c.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    expect(this.fd).toBeGreaterThan(0)
  }

  readable(): void {
    this.hear('readable')
  }

  writable(): void {
    this.hear('writable')
  }

  private hear(what: string): void {
    this.heard.push(what)
    for (const go of this.waiting.splice(0)) go()
  }

  /** Resolves when `n` things were heard. */
  async until(n: number): Promise<string[]> {
    while (this.heard.length < n) await new Promise<void>((resolve) => this.waiting.push(resolve))
    return this.heard
  }

  ring(): void {
    expect(this.c.write(this.fd, eight(1), 8)).toBe(8)
  }

  /** Reads until EAGAIN. */
  drain(): void {
    while (this.c.read(this.fd, eight(0), 8) > 0);
  }

  /** Its counter at the limit: not writable. */
  fill(): void {
    expect(this.c.write(this.fd, eight(0xfffffffe, 0xffffffff), 8)).toBe(8)
  }

  closeFd(): void {
    this.c.close(this.fd)
  }
}

/** Lets the event loop turn so often that everything under way has arrived. A pool thread answers within a turn of its own. */
async function turns(n = 40): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}

describe.each(wakers)('waking up by %s', (kind, make) => {
  const c = libc as Libc
  const waker = make() as Waker

  it('is there', () => {
    expect(waker.kind).toBe(kind)
  })

  it('tells once per rearm, however long the descriptor stays readable', async () => {
    const subject = new Subject(c)
    const watch = waker.watch(subject.fd, subject)
    watch.ref(true)
    await turns()
    expect(subject.heard).toEqual([])
    for (let round = 1; round <= 5; round++) {
      subject.ring()
      await subject.until(round)
      subject.ring()
      await turns()
      expect(subject.heard.length).toBe(round)
      subject.drain()
      watch.rearm()
      await turns()
      expect(subject.heard.length).toBe(round)
    }
    // Rearmed with something left to read: told again.
    subject.ring()
    await subject.until(6)
    watch.rearm()
    await subject.until(7)
    expect(new Set(subject.heard)).toEqual(new Set(['readable']))
    await watch.close()
    subject.closeFd()
  })

  it('tells of room once per wish, also while reading is not rearmed', async () => {
    const subject = new Subject(c)
    const watch = waker.watch(subject.fd, subject)
    watch.ref(true)
    watch.wantWritable()
    watch.wantWritable()
    expect(await subject.until(1)).toEqual(['writable'])
    await turns()
    expect(subject.heard).toEqual(['writable'])
    subject.fill()
    expect(await subject.until(2)).toEqual(['writable', 'readable'])
    watch.wantWritable()
    await turns()
    expect(subject.heard.length).toBe(2)
    subject.drain()
    expect(await subject.until(3)).toEqual(['writable', 'readable', 'writable'])
    await watch.close()
    subject.closeFd()
  })

  it('calls from an ordinary callback: microtasks run before the next one', async () => {
    const subject = new Subject(c)
    const order: string[] = []
    const owner: WatchOwner = {
      readable: () => {
        order.push('readable')
        queueMicrotask(() => order.push('microtask'))
        setImmediate(() => {
          order.push('immediate')
          subject.readable()
        })
      },
      writable: () => {},
    }
    const watch = waker.watch(subject.fd, owner)
    watch.ref(true)
    subject.ring()
    await subject.until(1)
    expect(order).toEqual(['readable', 'microtask', 'immediate'])
    await watch.close()
    subject.closeFd()
  })

  it('watches many at once and tells each its own', async () => {
    const subjects = Array.from({ length: 40 }, () => new Subject(c))
    const watches = subjects.map((s) => waker.watch(s.fd, s))
    for (const w of watches) w.ref(true)
    subjects[3].ring()
    subjects[39].ring()
    await Promise.all([subjects[3].until(1), subjects[39].until(1)])
    await turns()
    expect(subjects.map((s) => s.heard.length).reduce((a, b) => a + b)).toBe(2)
    await watches[3].close()
    subjects[3].closeFd()
    subjects[0].ring()
    await subjects[0].until(1)
    for (const w of watches) await w.close()
    for (const s of subjects) if (s !== subjects[3]) s.closeFd()
    expect(subjects[3].heard).toEqual(['readable'])
  })

  it('is silent once closed, even about what has happened already', async () => {
    const subject = new Subject(c)
    const watch = waker.watch(subject.fd, subject)
    watch.ref(true)
    subject.ring()
    const closed = watch.close()
    await closed
    await watch.close()
    watch.rearm()
    watch.wantWritable()
    watch.ref(true)
    subject.closeFd()
    await turns()
    expect(subject.heard).toEqual([])
  })

  it('may be closed from within a call', async () => {
    const subject = new Subject(c)
    const done = new Promise<void>((resolve) => {
      const watch = waker.watch(subject.fd, {
        readable: () => {
          subject.readable()
          void Promise.resolve(watch.close()).then(resolve)
        },
        writable: () => {},
      })
      watch.ref(true)
    })
    subject.ring()
    await done
    subject.closeFd()
    await turns()
    expect(subject.heard).toEqual(['readable'])
  })

  it('opens and closes again and again without leaving descriptors behind', async () => {
    const before = c.eventfd(0, EFD_CLOEXEC)
    c.close(before)
    for (let i = 0; i < 50; i++) {
      const subject = new Subject(c)
      const watch = waker.watch(subject.fd, subject)
      await watch.close()
      subject.closeFd()
    }
    const after = c.eventfd(0, EFD_CLOEXEC)
    c.close(after)
    expect(after).toBe(before)
  })
})
