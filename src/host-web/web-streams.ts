/**
 * The Web Streams of the platform, as far as sockets make them. The core knows no DOM types: what is used of the global classes is declared
 * here, and the streams that applications get are of the platform's own type wherever it declares one.
 */
import type { AbortLike } from '../base/abort.ts'
import { promised } from '../base/promised.ts'
import { webDefaults } from '../base/web-config.ts'

type Maybe<T> = T | undefined

/** `ReadableByteStreamController`. */
export interface ByteController {
  readonly byobRequest: { readonly view: ArrayBufferView | null; respond(bytes: number): void } | null
  enqueue(chunk: Uint8Array): void
  close(): void
  error(reason: unknown): void
}

/** `ReadableStreamDefaultController`. */
export interface ChunkController<T> {
  enqueue(chunk: T): void
  close(): void
  error(reason: unknown): void
}

/** `WritableStreamDefaultController`. */
export interface SinkController {
  /** Aborted by `abort` of the stream at once, where `Sink.abort` waits for the write that is in progress. Absent in old platforms. */
  readonly signal?: AbortLike
  error(reason: unknown): void
}

export interface ByteSource {
  start(controller: ByteController): void
  pull(): Maybe<Promise<void>>
  cancel(reason: unknown): void
}

export interface ChunkSource<T> {
  start(controller: ChunkController<T>): void
  pull(): Maybe<Promise<void>>
  cancel(reason: unknown): void
}

export interface Sink {
  start(controller: SinkController): void
  write(chunk: unknown): Maybe<Promise<void>>
  close(): Maybe<Promise<void>>
  abort(reason: unknown): void
}

interface Reader<T> {
  readonly closed: Promise<unknown>
  read(): Promise<{ done: false; value: T } | { done: true; value?: T | undefined }>
  cancel(reason?: unknown): Promise<void>
  releaseLock(): void
}

interface ByobReader {
  readonly closed: Promise<unknown>
  read(view: Uint8Array): Promise<{ done: boolean; value?: Uint8Array | undefined }>
  cancel(reason?: unknown): Promise<void>
  releaseLock(): void
}

interface Writer<T> {
  readonly closed: Promise<unknown>
  readonly ready: Promise<unknown>
  readonly desiredSize: number | null
  write(chunk: T): Promise<void>
  close(): Promise<void>
  abort(reason?: unknown): Promise<void>
  releaseLock(): void
}

interface OwnReadable<T> {
  readonly locked: boolean
  cancel(reason?: unknown): Promise<void>
  getReader(): Reader<T>
  [Symbol.asyncIterator](): AsyncIterableIterator<T>
}

interface OwnByteReadable extends OwnReadable<Uint8Array> {
  getReader(): Reader<Uint8Array>
  getReader(options: { mode: 'byob' }): ByobReader
}

interface OwnWritable<T> {
  readonly locked: boolean
  getWriter(): Writer<T>
  close(): Promise<void>
  abort(reason?: unknown): Promise<void>
}

type PlatformReadable = typeof globalThis extends { ReadableStream: { prototype: infer S } } ? S : unknown
type PlatformWritable = typeof globalThis extends { WritableStream: { prototype: infer S } } ? S : unknown

/** A `ReadableStream` of bytes: default and BYOB readers, `pipeTo`, `for await`. */
export type ByteReadable = OwnByteReadable & PlatformReadable
/** A `ReadableStream` of `T`. */
export type ChunkReadable<T> = OwnReadable<T> & PlatformReadable
/** A `WritableStream` of `T`. */
export type ChunkWritable<T> = OwnWritable<T> & PlatformWritable

/** What a writable stream of bytes takes. */
export type Bytes = ArrayBufferLike | ArrayBufferView

declare const ReadableStream: {
  new (source: ByteSource & { type: 'bytes' }, strategy: { highWaterMark: number }): ByteReadable
  new <T>(source: ChunkSource<T>, strategy: { highWaterMark: number }): ChunkReadable<T>
}
declare const WritableStream: {
  new <T>(sink: Sink, strategy: { highWaterMark: number; size(chunk: unknown): number }): ChunkWritable<T>
}

/** Nothing is read ahead (a high-water mark of 0): what nobody reads stays with the socket, whose limits the peer feels. */
export function byteReadable(source: ByteSource): ByteReadable {
  return new ReadableStream(Object.assign(bound(source), { type: 'bytes' as const }), { highWaterMark: 0 })
}

export function chunkReadable<T>(source: ChunkSource<T>): ChunkReadable<T> {
  return new ReadableStream<T>(bound(source), { highWaterMark: 0 })
}

function bound<T>(source: ChunkSource<T> | ByteSource): ByteSource & ChunkSource<T> {
  const { start, pull, cancel } = source as ByteSource & ChunkSource<T>
  return { start: start.bind(source), pull: pull.bind(source), cancel: cancel.bind(source) }
}

/** `counted` is called for every chunk that is queued. */
export function byteWritable(sink: Sink, counted: () => void): ChunkWritable<Bytes> {
  const size = (chunk: unknown): number => {
    counted()
    return (chunk as Maybe<{ byteLength?: number }>)?.byteLength ?? 0
  }
  return new WritableStream<Bytes>(sink, { highWaterMark: webDefaults.writableBytes, size })
}

export function chunkWritable<T>(sink: Sink): ChunkWritable<T> {
  return new WritableStream<T>(sink, { highWaterMark: webDefaults.writableDatagrams, size: () => 1 })
}

/** The bytes of a chunk, not copied; null: it has none. */
export function bytesOf(chunk: unknown): Uint8Array | null {
  if (chunk instanceof Uint8Array) return chunk
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  const isShared = typeof SharedArrayBuffer !== 'undefined' && chunk instanceof SharedArrayBuffer
  return isShared || chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : null
}

/** A promise whose rejection nobody has to look at, as with `reader.closed`. */
export class Settled<T> {
  readonly promise: Promise<T>
  private accept!: (value: T) => void
  private refuse!: (reason: unknown) => void

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.accept = resolve
      this.refuse = reject
    })
    this.promise.catch(() => undefined)
  }

  resolve(value: T): void {
    promised.settled = true
    this.accept(value)
  }

  reject(reason: unknown): void {
    promised.settled = true
    this.refuse(reason)
  }
}
