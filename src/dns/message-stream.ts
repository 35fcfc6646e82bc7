/** Messages over TCP: two bytes of length before each (RFC 1035 section 4.2.2, RFC 7766 section 8), which may come in any pieces. */
import type { RawConnection } from '../tcp/api.ts'

export class MessageStream {
  private readonly head = new Uint8Array(2)
  private headRead = 0
  private body: Uint8Array | null = null
  private bodyRead = 0
  /** What waits to be written, and how much of the first is. */
  private readonly out: Uint8Array[] = []
  private written = 0
  /** Bytes that wait to be written. */
  waiting = 0

  constructor(readonly connection: RawConnection) {}

  /** The next whole message that has arrived; null: there is none yet. */
  next(): Uint8Array | null {
    const { connection } = this
    while (connection.readable > 0) {
      if (this.body === null) {
        this.headRead += connection.read(this.head, this.headRead, 2 - this.headRead)
        if (this.headRead < 2) continue
        this.body = new Uint8Array((this.head[0] << 8) | this.head[1])
        this.bodyRead = 0
      } else this.bodyRead += connection.read(this.body, this.bodyRead, this.body.length - this.bodyRead)
      if (this.bodyRead < this.body.length) continue
      const message = this.body
      this.body = null
      this.headRead = 0
      return message
    }
    return null
  }

  /** Length and message in one piece, so that they are one segment. Leaves with `flush`. */
  add(message: Uint8Array): void {
    const out = new Uint8Array(message.length + 2)
    out[0] = message.length >> 8
    out[1] = message.length
    out.set(message, 2)
    this.out.push(out)
    this.waiting += out.length
  }

  /** Writes as much as there is room for; what is left waits for `onWritable`. Throws NetError as `write` of a connection. */
  flush(): void {
    while (this.out.length > 0) {
      const [first] = this.out
      const n = this.connection.write(first, this.written, first.length - this.written)
      this.written += n
      this.waiting -= n
      if (this.written < first.length) return
      this.out.shift()
      this.written = 0
    }
  }
}
