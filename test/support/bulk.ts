/** The two ends of a transfer without end: one writes whatever there is room for, one reads and counts. */
import type { ConnectionHandler, RawConnection } from '../../src/tcp/api.ts'

const CHUNK = new Uint8Array(1 << 18)

function fill(c: RawConnection): void {
  while (c.write(CHUNK, 0, CHUNK.length) === CHUNK.length);
}

/** Handler of who opens and writes. */
export const SOURCE: ConnectionHandler = { onConnect: fill, onWritable: fill }

/** Handler of who reads. */
export class Sink implements ConnectionHandler {
  bytes = 0

  onReadable(c: RawConnection): void {
    this.bytes += c.skip(c.readable)
  }
}
