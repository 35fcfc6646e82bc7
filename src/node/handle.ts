/**
 * `socket._handle` and `server._handle`: not Node's interface, but looked at by programs all the same, mostly for whether it is there. It shows what
 * libuv's handle shows and does what that does, as far as this needs no descriptor.
 */
import type { Place } from './place.ts'

/** The part of a handle that async hooks and the event loop know. */
export interface Held {
  asyncId(): number
  readonly wanted: boolean
}

export interface HandleOwner {
  ref(): unknown
  unref(): unknown
}

export class Handle {
  constructor(
    private readonly held: Held,
    private readonly of: HandleOwner,
    private readonly sockname: () => Partial<Place>,
  ) {}

  /** There is none: -1, as libuv's on Windows. */
  get fd(): number {
    return -1
  }

  getAsyncId(): number {
    return this.held.asyncId()
  }

  hasRef(): boolean {
    return this.held.wanted
  }

  ref(): void {
    this.of.ref()
  }

  unref(): void {
    this.of.unref()
  }

  /** Fills `out` and returns 0, as libuv's calls do. */
  getsockname(out: object): number {
    Object.assign(out, this.sockname())
    return 0
  }
}

/** What starts and stops the flow of bytes into the stream. */
export interface Flow extends Held {
  readonly reading: boolean
  readStart(): void
  stopReading(): void
}

export interface StreamOwner extends HandleOwner {
  readonly bytesRead: number
  readonly _bytesDispatched: number
  _getsockname(): Partial<Place>
  _getpeername(): Partial<Place>
  setNoDelay(on: boolean): unknown
  setKeepAlive(on: boolean, initialDelayMs: number): unknown
}

/** Of a socket. */
export class StreamHandle extends Handle {
  constructor(
    private readonly flow: Flow,
    private readonly stream: StreamOwner,
  ) {
    super(flow, stream, () => stream._getsockname())
  }

  get reading(): boolean {
    return this.flow.reading
  }

  /** Set by Node's http server, which then calls what does it. */
  set reading(_on: boolean) {}

  readStart(): number {
    this.flow.readStart()
    return 0
  }

  readStop(): number {
    this.flow.stopReading()
    return 0
  }

  get bytesRead(): number {
    return this.stream.bytesRead
  }

  get bytesWritten(): number {
    return this.stream._bytesDispatched
  }

  getpeername(out: object): number {
    Object.assign(out, this.stream._getpeername())
    return 0
  }

  setNoDelay(on: boolean): number {
    this.stream.setNoDelay(on)
    return 0
  }

  /** Seconds, as libuv has it. */
  setKeepAlive(on: boolean, initialDelaySeconds: number): number {
    this.stream.setKeepAlive(on, initialDelaySeconds * 1000)
    return 0
  }
}
