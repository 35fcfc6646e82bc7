/**
 * Waking up by libuv's public API: Node's own event loop watches the descriptor, as it does a socket's.
 *
 * Theory of operation. The functions of libuv are symbols of the node binary. The handle lives in malloc'ed memory that is freed
 * when libuv says that it is closed, so neither the garbage collector nor an early exit can pull it away. uv_poll
 * is level-triggered and stays started; callbacks that come before the owner has rearmed are ignored, and only when
 * they repeat (a backlog of many turns, an owner that does not read) is the handle stopped. The C callback runs outside any
 * callback scope of Node's: it only notes what happened and asks for an immediate, which runs in the same loop iteration.
 */
import type { Koffi } from './libc.ts'
import type { Waker, Watch, WatchOwner } from './wake.ts'

const UV_POLL = 8
const UV_READABLE = 1
const UV_WRITABLE = 2
/** Callbacks ignored in a row before the handle is stopped: an epoll_ctl is dear per packet and cheap per many turns. */
const PATIENCE = 16

interface Uv {
  init(loop: bigint, handle: bigint, fd: number): number
  start(handle: bigint, events: number, callback: bigint): number
  stop(handle: bigint): number
  close(handle: bigint, callback: bigint): void
  ref(handle: bigint): void
  unref(handle: bigint): void
}

export class UvWaker implements Waker {
  readonly kind = 'libuv'
  readonly uv: Uv
  readonly loop: bigint
  private readonly handleSize: number
  private readonly watches = new Set<UvWatch>()
  /** Handles that libuv is closing, by address. */
  private readonly closing = new Map<number, UvWatch>()
  private readonly closed: bigint
  private readonly pollType: ReturnType<Koffi['pointer']>

  /** @throws when the process has no such symbols. */
  constructor(private readonly koffi: Koffi) {
    const self = koffi.load(null)
    this.pollType = koffi.pointer(koffi.proto('void', ['uintptr_t', 'int', 'int']))
    const closeType = koffi.pointer(koffi.proto('void', ['uintptr_t']))
    this.uv = {
      init: self.func('uv_poll_init', 'int', ['void *', 'void *', 'int']) as Uv['init'],
      start: self.func('uv_poll_start', 'int', ['void *', 'int', this.pollType]) as Uv['start'],
      stop: self.func('uv_poll_stop', 'int', ['void *']) as Uv['stop'],
      close: self.func('uv_close', 'void', ['void *', closeType]) as Uv['close'],
      ref: self.func('uv_ref', 'void', ['void *']) as Uv['ref'],
      unref: self.func('uv_unref', 'void', ['void *']) as Uv['unref'],
    }
    this.handleSize = self.func('uv_handle_size', 'size_t', ['int'])(UV_POLL) as number
    this.loop = self.func('uv_default_loop', 'void *', [])() as bigint
    this.closed = koffi.register((handle: number) => {
      this.closing.get(handle)?.free()
      this.closing.delete(handle)
    }, closeType)
    // While the environment is torn down the loop still turns, and must not call into it.
    process.once('exit', () => {
      for (const watch of this.watches) watch.halt()
    })
  }

  /** @throws Error when libuv refuses the descriptor. */
  watch(fd: number, owner: WatchOwner): Watch {
    const watch = new UvWatch(this, owner, this.koffi.alloc('uint8_t', this.handleSize) as bigint, fd)
    this.watches.add(watch)
    return watch
  }

  register(callback: (handle: number, status: number, events: number) => void): bigint {
    return this.koffi.register(callback, this.pollType)
  }

  release(memory: bigint, callback: bigint): void {
    this.koffi.unregister(callback)
    this.koffi.free(memory)
  }

  /** Lets go of a watch; its memory when libuv has done the same. */
  drop(watch: UvWatch, handle: bigint): void {
    this.watches.delete(watch)
    this.closing.set(Number(handle), watch)
    this.uv.close(handle, this.closed)
  }
}

class UvWatch implements Watch {
  private readonly callback: bigint
  private readonly run: () => void
  private events = UV_READABLE
  private started = false
  private closed = false
  /** readable() was told, rearm() not yet heard. */
  private reading = false
  private ignored = 0
  private tellReadable = false
  private tellWritable = false
  private scheduled = false

  constructor(
    private readonly waker: UvWaker,
    private readonly owner: WatchOwner,
    private readonly handle: bigint,
    fd: number,
  ) {
    this.callback = waker.register((_handle, status, events) => this.onPoll(status, events))
    this.run = () => this.tell()
    const status = waker.uv.init(waker.loop, handle, fd)
    if (status < 0) {
      this.free()
      throw new Error(`uv_poll_init: ${status}`)
    }
    waker.uv.unref(handle)
    this.start()
  }

  rearm(): void {
    this.reading = false
    this.ignored = 0
    if (!this.started && !this.closed) this.start()
  }

  wantWritable(): void {
    if (this.closed || (this.events & UV_WRITABLE) !== 0) return
    this.events |= UV_WRITABLE
    this.start()
  }

  ref(on: boolean): void {
    if (this.closed) return
    if (on) this.waker.uv.ref(this.handle)
    else this.waker.uv.unref(this.handle)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.halt()
    this.waker.drop(this, this.handle)
  }

  halt(): void {
    this.started = false
    this.waker.uv.stop(this.handle)
  }

  free(): void {
    this.waker.release(this.handle, this.callback)
  }

  private start(): void {
    this.started = true
    this.waker.uv.start(this.handle, this.events, this.callback)
  }

  /** Called by libuv, outside any callback scope: notes and schedules, no more. */
  private onPoll(status: number, events: number): void {
    if (this.closed) return
    // An error (the device is gone) stops the handle in libuv; the owner's read will find out which.
    if (status < 0) this.started = false
    let news = false
    if ((events & UV_READABLE) !== 0 || status < 0) {
      if (!this.reading) {
        this.reading = true
        this.tellReadable = true
        news = true
      } else if (++this.ignored > PATIENCE && this.started) {
        if ((this.events & UV_WRITABLE) === 0) this.halt()
      }
    }
    if ((this.events & UV_WRITABLE) !== 0 && ((events & UV_WRITABLE) !== 0 || status < 0)) {
      this.events = UV_READABLE
      this.tellWritable = true
      news = true
      if (this.started) this.start()
    }
    if (news && !this.scheduled) {
      this.scheduled = true
      setImmediate(this.run)
    }
  }

  private tell(): void {
    this.scheduled = false
    if (this.tellReadable && !this.closed) {
      this.tellReadable = false
      this.owner.readable()
    }
    if (this.tellWritable && !this.closed) {
      this.tellWritable = false
      this.owner.writable()
    }
  }
}
