/** Chunks of streams, and memory for those that sockets give to theirs. */
import { BulkMemory } from './bulk-memory.ts'

export interface QueuedChunk {
  chunk: Uint8Array
}

/** How a stream is told that a write or its end is done. */
export type Done = (error?: Error | null) => void

/** The most that one chunk holds; what libuv reads at once. */
export const CHUNK = 65_536
/** Bytes that wait to be read from which on they are told within the turn of the event loop that brought them. */
export const BULK = 131_072
/** Chunks from this size on get a buffer of their own; smaller ones share one. */
const OWN = 16_384

const bulk = new BulkMemory()
const slab = { buf: Buffer.alloc(0), at: 0 }

/** A buffer of `len` bytes with memory of its own, not zeroed. */
export function ownChunk(len: number): Buffer<ArrayBuffer> {
  bulk.gives(len)
  return Buffer.allocUnsafeSlow(len)
}

/** Memory for `len` bytes, not zeroed. */
export function chunkOf(len: number): Buffer {
  if (len >= OWN) return ownChunk(len)
  if (slab.at + len > slab.buf.length) {
    slab.buf = ownChunk(CHUNK)
    slab.at = 0
  }
  const at = slab.at
  slab.at = (at + len + 7) & -8
  return slab.buf.subarray(at, at + len)
}
