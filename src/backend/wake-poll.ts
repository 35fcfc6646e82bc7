/**
 * Waking up by one poll(2) on a pool thread, for all descriptors of this thread.
 *
 * Theory of operation. While at least one watch is open, one asynchronous poll is under way; an eventfd in its first slot ends it
 * when what it watches has changed. A descriptor is only closed when the poll that knows it has returned, because poll holds the
 * device open. A pending call keeps the process alive, which cannot be undone; so while no watch is ref'd, polls are short
 * and after each of them the loop gets a chance to find nothing else to do, at the price of a millisecond ten times a second.
 */
import { NetError } from '../base/errors.ts'
import type { Libc } from './libc.ts'
import { EFD_CLOEXEC, EFD_NONBLOCK, errnoName } from './libc.ts'
import type { Waker, Watch, WatchOwner } from './wake.ts'

const POLLIN = 0x001
const POLLOUT = 0x004
/** POLLERR, POLLHUP, POLLNVAL: told as readable, the owner's read finds out which. */
const POLL_TROUBLE = 0x038
const POLLFD_SIZE = 8
const REVENTS = 6

/** How long a poll may hold a worker that is being terminated. */
const REFD_MS = 1000
/** How long a process with nothing else to do lives on. */
const UNREFD_MS = 100

export class PollWaker implements Waker {
  readonly kind = 'poll thread'
  private readonly watches: PollWatch[] = []
  /** What the poll under way was given; its slot i + 1 is `polled[i]`. */
  private polled: PollWatch[] = []
  private set = Buffer.alloc(16 * POLLFD_SIZE)
  private eventfd = -1
  private readonly one = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])
  private readonly scratch = Buffer.alloc(8)
  private underWay = false
  private kicked = false
  /** The next poll begins when those that have just been told had their turn: what they rearm then needs no kick. */
  private soon = false
  private pause: NodeJS.Timeout | null = null
  /** When the loop must get its chance to end, in monotonic milliseconds. */
  private chanceAt = 0
  private afterPoll: (() => void)[] = []
  private readonly resume = (): void => {
    this.soon = false
    if (!this.underWay) this.next()
  }

  constructor(private readonly libc: Libc) {
    // A thread in poll(2) would hold up the process's end until its time is out.
    process.once('exit', () => this.kick())
  }

  /** @throws NetError when the kernel gives no eventfd. */
  watch(fd: number, owner: WatchOwner): Watch {
    if (this.eventfd < 0) {
      this.eventfd = this.libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
      if (this.eventfd < 0) throw new NetError(errnoName(this.libc.errno()), { syscall: 'eventfd' })
    }
    const watch = new PollWatch(this, fd, owner)
    this.watches.push(watch)
    this.changed()
    return watch
  }

  /** Something to watch was added or changed: the poll under way does not know. */
  changed(): void {
    if (this.underWay) this.kick()
    else if (!this.soon) this.next()
  }

  /** Resolves when no poll knows the watch's descriptor any more. */
  remove(watch: PollWatch): Promise<void> {
    const i = this.watches.indexOf(watch)
    if (i >= 0) this.watches.splice(i, 1)
    if (!this.underWay) {
      if (!this.soon) this.settle()
      return Promise.resolve()
    }
    this.kick()
    return new Promise((resolve) => this.afterPoll.push(resolve))
  }

  private kick(): void {
    if (!this.underWay || this.kicked) return
    this.kicked = true
    this.libc.write(this.eventfd, this.one, 8)
  }

  /** Begins the next poll, or lets the loop see first whether the process has anything else to live for. */
  private next(): void {
    if (this.watches.length === 0) this.settle()
    else if (this.watches.some((w) => w.refd) || performance.now() < this.chanceAt) this.arm()
    else this.pause ??= setTimeout(() => this.arm(), 1).unref()
  }

  private arm(): void {
    if (this.pause !== null) clearTimeout(this.pause)
    this.pause = null
    const count = this.watches.length + 1
    if (this.set.length < count * POLLFD_SIZE) this.set = Buffer.alloc(2 * count * POLLFD_SIZE)
    this.put(0, this.eventfd, POLLIN)
    this.polled = this.watches.slice()
    let refd = false
    for (let i = 0; i < this.polled.length; i++) {
      // A negative descriptor is skipped, errors included: an owner that is still reading is not told again.
      const events = this.polled[i].events
      this.put(i + 1, events === 0 ? -1 : this.polled[i].fd, events)
      refd ||= this.polled[i].refd
    }
    const now = performance.now()
    if (refd || this.chanceAt < now) this.chanceAt = now + UNREFD_MS
    const timeout = refd ? REFD_MS : Math.max(1, Math.ceil(this.chanceAt - now))
    this.underWay = true
    this.libc.pollAsync(this.libc.addressOf(this.set), count, timeout, () => this.returned())
  }

  private put(slot: number, fd: number, events: number): void {
    this.set.writeInt32LE(fd, slot * POLLFD_SIZE)
    this.set.writeInt16LE(events, slot * POLLFD_SIZE + 4)
    this.set.writeInt16LE(0, slot * POLLFD_SIZE + REVENTS)
  }

  private returned(): void {
    this.underWay = false
    if (this.kicked) {
      this.kicked = false
      this.libc.read(this.eventfd, this.scratch, 8)
    }
    const polled = this.polled
    this.polled = []
    for (let i = 0; i < polled.length; i++) {
      const revents = this.set.readInt16LE((i + 1) * POLLFD_SIZE + REVENTS)
      if (revents === 0) continue
      polled[i].happened((revents & (POLLIN | POLL_TROUBLE)) !== 0, (revents & (POLLOUT | POLL_TROUBLE)) !== 0)
      this.soon = true
    }
    for (const resolve of this.afterPoll.splice(0)) resolve()
    if (this.soon) setImmediate(this.resume)
    else this.next()
  }

  /** Nothing left to watch: no descriptor stays open. */
  private settle(): void {
    if (this.watches.length > 0 || this.eventfd < 0) return
    if (this.pause !== null) clearTimeout(this.pause)
    this.pause = null
    this.libc.close(this.eventfd)
    this.eventfd = -1
  }
}

class PollWatch implements Watch {
  refd = false
  private reading = false
  private writing = false
  private closed: Promise<void> | null = null
  private tellReadable = false
  private tellWritable = false
  private scheduled = false
  private readonly run: () => void

  constructor(
    private readonly waker: PollWaker,
    readonly fd: number,
    private readonly owner: WatchOwner,
  ) {
    this.run = () => this.tell()
  }

  get events(): number {
    return (this.reading ? 0 : POLLIN) | (this.writing ? POLLOUT : 0)
  }

  rearm(): void {
    if (!this.reading || this.closed !== null) return
    this.reading = false
    this.waker.changed()
  }

  wantWritable(): void {
    if (this.writing || this.closed !== null) return
    this.writing = true
    this.waker.changed()
  }

  ref(on: boolean): void {
    if (this.refd === on || this.closed !== null) return
    this.refd = on
    this.waker.changed()
  }

  close(): Promise<void> {
    this.closed ??= this.waker.remove(this)
    return this.closed
  }

  happened(readable: boolean, writable: boolean): void {
    if (readable && !this.reading) {
      this.reading = true
      this.tellReadable = true
    }
    if (writable && this.writing) {
      this.writing = false
      this.tellWritable = true
    }
    if ((this.tellReadable || this.tellWritable) && !this.scheduled) {
      this.scheduled = true
      setImmediate(this.run)
    }
  }

  private tell(): void {
    this.scheduled = false
    if (this.tellReadable && this.closed === null) {
      this.tellReadable = false
      this.owner.readable()
    }
    if (this.tellWritable && this.closed === null) {
      this.tellWritable = false
      this.owner.writable()
    }
  }
}
