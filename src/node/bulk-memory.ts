/**
 * What a process that gives away much memory needs of V8 and of malloc: the chunks of streams are buffers that nobody may use again.
 *
 * Theory of operation. V8 frees the buffers that are garbage when it scavenges, which they make it do once 32 MiB of them are young. But it marks the
 * whole heap when the old generation and all buffers since the last marking, young ones too, pass a limit that grows with the old generation: where
 * that is small, every 16 MiB of chunks. Two threads then mark instead of the application's and the kernel's work, at half the rate. An
 * array of numbers, which no marker looks into, makes the old generation large enough for 32 MiB seldom to matter.
 *
 * malloc returns what is freed at the end of its heap to the system, which gives it back page by page, zeroed: that costs as much as two copies of
 * a chunk. glibc keeps up to twice the size of the largest mapping that was ever freed (mallopt(3), M_TRIM_THRESHOLD); so one is, untouched.
 */

/** From so many bytes on it is bulk: two scavenges. */
const BULK_BYTES = 64 << 20
/** Numbers of 8 bytes. */
const BALLAST = 2 << 20
/** Below glibc's largest threshold, 32 MiB. */
const MAPPING_BYTES = 31 << 20

/** Counts what is given away, and makes room when it is much. */
export class BulkMemory {
  private given = 0
  private ballast: number[] | null = null

  /** So many bytes of fresh memory are given away. */
  gives(bytes: number): void {
    if (this.ballast !== null) return
    this.given += bytes
    if (this.given < BULK_BYTES) return
    this.ballast = new Array<number>(BALLAST).fill(0.5)
    new ArrayBuffer(MAPPING_BYTES)
  }
}
