/** A stream that a link uses (stream-link.ts): its events, for as long as they are of interest, and its end. */
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { LINK_DEFAULTS } from '../base/link-config.ts'

/** The two directions of a stream that is not one object: stdin and stdout, a child's. */
export interface StreamHalves {
  readonly readable: Readable
  readonly writable: Writable
}

/** Who uses it. */
export interface StreamOwner {
  /** Bytes came. */
  chunk(bytes: Uint8Array): void
  /** The system took so many of those that were written. */
  taken(length: number): void
  /** A buffer that was written may be used again. */
  giveBack(batch: Uint8Array): void
  /** It has ended, or failed; nothing of it is heard any more. */
  down(error?: Error): void
}

/** A stream in use: its events, until it is dropped. */
export class OpenStream {
  /** The bytes of a write may be used again when it has called back. */
  readonly copies: boolean
  /** Null when its events are of no interest any more. */
  private link: StreamOwner | null
  private error: Error | undefined

  constructor(
    private readonly owner: StreamOwner,
    readonly halves: StreamHalves,
  ) {
    const { readable, writable } = halves
    this.link = owner
    this.copies = writable instanceof Socket
    readable.on('data', (chunk: Uint8Array) => {
      this.link?.chunk(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length))
    })
    const over = (): void => this.over()
    const failed = (error: Error): void => {
      this.error ??= error
      this.over()
    }
    readable.on('end', over).on('close', over).on('error', failed)
    writable.on('close', over).on('error', failed)
    if (readable.destroyed || writable.destroyed) queueMicrotask(over)
  }

  write(bytes: Uint8Array, batch: Uint8Array | null): void {
    const { length } = bytes
    this.halves.writable.write(bytes, () => {
      if (batch !== null) this.owner.giveBack(batch)
      this.link?.taken(length)
    })
  }

  /** Ends it after what was written has left, within a time. */
  end(): Promise<void> {
    const { readable, writable } = this.halves
    this.link = null
    readable.resume()
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        destroy(this.halves)
        resolve()
      }
      const timer = setTimeout(done, LINK_DEFAULTS.streamCloseMs)
      if (writable.destroyed) done()
      else writable.once('close', done).end(done)
    })
  }

  /** At once, and without a word. */
  drop(): void {
    this.link = null
    destroy(this.halves)
  }

  private over(): void {
    const { link } = this
    if (link === null) return
    this.drop()
    link.down(this.error)
  }
}

export function destroy({ readable, writable }: StreamHalves): void {
  readable.destroy()
  writable.destroy()
}

interface Holder {
  ref?(): void
  unref?(): void
}

export function refStream({ readable, writable }: StreamHalves, on: boolean): void {
  for (const half of [readable as Holder, writable as Holder]) {
    if (on) half.ref?.()
    else half.unref?.()
  }
}
