/**
 * HTTP/2 in clear, handed to nghttp2 in pieces.
 *
 * Theory of operation. Node lets ticks and promises run after each frame that calls back, when the bytes come from a handle of libuv: a server has
 * heard 'stream' before it hears that this stream was reset by the next frame. Bytes that come from JavaScript (`bridge.ts`) are parsed
 * in one go, and the application would be given a stream that is no more, or data before it hears of the response. So what takes back or goes on with
 * what the same bytes began waits for the ticks and promises of that.
 */

/** The calls of Node's handle that this stands before. */
export interface Reader {
  readBuffer(chunk: Uint8Array): void
  emitEOF(): void
}

/** RFC 9113 section 4.1. */
const HEADER = 9
/** RFC 9113 section 3.4: what a client says first. */
const PREFACE = 24
/** RFC 9113 section 6. */
const Type = { DATA: 0, HEADERS: 1, RST_STREAM: 3, GOAWAY: 7 } as const

/** Where a new piece begins. Follows the frames through any chunks. */
export class FrameCutter {
  /** Bytes up to the next header. */
  private skip: number
  /** Bytes of a header seen so far, and what it says. */
  private seen = 0
  private length = 0
  private type = 0
  /** The piece has headers, and data or headers. */
  private begun = false
  private busy = false

  constructor(isServer: boolean) {
    this.skip = isServer ? PREFACE : 0
  }

  /** The next cut in `chunk` at or after `from`; its length when there is none. Called with what it gave until then. */
  cut(chunk: Uint8Array, from: number): number {
    let at = from
    while (at < chunk.length) {
      if (this.skip > 0) {
        const n = Math.min(this.skip, chunk.length - at)
        this.skip -= n
        at += n
        continue
      }
      const start = at - this.seen
      while (this.seen < HEADER && at < chunk.length) this.readHeader(chunk[at++])
      if (this.seen < HEADER) break
      this.seen = 0
      this.skip = this.length
      // A header that began in an earlier chunk has been handed on already.
      if (this.isNew() && start > from) {
        // It is looked at again, as the first of its piece.
        this.skip = 0
        return start
      }
    }
    return chunk.length
  }

  private readHeader(byte: number): void {
    if (this.seen < 3) this.length = this.seen === 0 ? byte : (this.length << 8) | byte
    else if (this.seen === 3) this.type = byte
    this.seen++
  }

  /** The frame whose header was read begins a piece. */
  private isNew(): boolean {
    const { type } = this
    const cuts = ((type === Type.RST_STREAM || type === Type.GOAWAY) && this.busy) || (type === Type.DATA && this.begun)
    if (cuts) this.begun = this.busy = false
    if (type === Type.HEADERS) this.begun = this.busy = true
    else if (type === Type.DATA) this.busy = true
    return cuts
  }
}

/** From now on what `handle` is given to read is handed on in pieces, with ticks and promises between them. */
export function inPieces(handle: Reader, isServer: boolean): InPieces {
  const pieces = new InPieces(handle.readBuffer.bind(handle), handle.emitEOF.bind(handle), new FrameCutter(isServer))
  handle.readBuffer = (chunk) => pieces.read(chunk)
  handle.emitEOF = () => pieces.end()
  return pieces
}

class InPieces {
  private waiting: Uint8Array[] = []
  private ended = false
  private readonly later = (): void => this.next()

  constructor(
    private readonly readBuffer: (chunk: Uint8Array) => void,
    private readonly emitEOF: () => void,
    private readonly cutter: FrameCutter,
  ) {}

  read(chunk: Uint8Array): void {
    const quiet = this.waiting.length === 0
    for (let from = 0; from < chunk.length; ) {
      const to = this.cutter.cut(chunk, from)
      this.waiting.push(chunk.subarray(from, to))
      from = to
    }
    if (quiet) this.next()
  }

  end(): void {
    if (this.waiting.length === 0) this.emitEOF()
    else this.ended = true
  }

  /** Nothing more may wait. */
  flush(): void {
    const { waiting } = this
    this.waiting = []
    for (const piece of waiting) this.readBuffer(piece)
  }

  /** The piece stays in the list until it is read: what comes meanwhile goes behind it. */
  private next(): void {
    const piece = this.waiting[0]
    if (piece !== undefined) {
      this.readBuffer(piece)
      this.waiting.shift()
    }
    if (this.waiting.length > 0) process.nextTick(queueMicrotask, this.later)
    else if (this.ended) this.emitEOF()
  }
}

export type { InPieces }
