/** Two Duplex streams of Node that are joined, with a little buffer in each direction: a socketpair without a system. */
import { Duplex } from 'node:stream'

class End extends Duplex {
  peer: End | null = null
  private goOn: (() => void) | null = null

  constructor() {
    super({ highWaterMark: 16 << 10 })
  }

  override _read(): void {
    const { peer } = this
    const goOn = peer?.goOn
    if (!peer || !goOn) return
    peer.goOn = null
    goOn()
  }

  override _write(chunk: Uint8Array, _encoding: string, callback: (error?: Error | null) => void): void {
    const { peer } = this
    if (peer === null || peer.destroyed) callback()
    else if (peer.push(chunk)) callback()
    else this.goOn = callback
  }

  override _final(callback: () => void): void {
    this.peer?.push(null)
    callback()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const { peer } = this
    this.peer = null
    this.goOn?.()
    // What a cut cable does to the other end, as far as a stream can tell: it ends.
    if (peer !== null && !peer.destroyed) peer.push(null)
    callback(error)
  }
}

export function streamPair(): [Duplex, Duplex] {
  const a = new End()
  const b = new End()
  a.peer = b
  b.peer = a
  return [a, b]
}

/** Lets promises, ticks and immediates run for a few turns of the event loop. */
export async function turns(count = 6): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
