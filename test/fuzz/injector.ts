/**
 * A link around another that lets a test slip frames of its own among those that arrive, and watch what arrives. Keeps the contract of
 * netif.ts: forged frames are handed over from within `receive`, lent, like all others.
 */

import { FrameQueue } from '../../src/link/frame-queue.ts'
import { LinkAround } from '../../src/netif/around.ts'

/** Bytes of an Ethernet header. */
const ETHERNET = 14

/** Sees each honest frame before the stack does. */
export type Watcher = (buf: Uint8Array, start: number, end: number, meta: number) => void

export class Injector extends LinkAround {
  /** Forged frames handed to the stack so far. */
  injected = 0
  onFrame: Watcher | null = null
  private readonly queue = new FrameQueue(1 << 14, 16 << 20)

  /** Queues an Ethernet frame for the stack's next turn; the bytes are copied. On IP media only what it carries arrives. */
  inject(buf: Uint8Array, start: number, end: number, meta: number): void {
    const from = this.medium === 'ip' ? Math.min(end, start + ETHERNET) : start
    if (!this.queue.push(buf, from, end, meta)) throw new Error('too many forged frames at once')
    this.sink!.readable()
  }

  override receive(budget: number): boolean {
    const { queue } = this
    for (let left = Math.min(budget, queue.count); left > 0; left--) {
      this.injected++
      queue.deliver(this.sink!)
    }
    const more = this.inner.receive(budget)
    return queue.count > 0 || more
  }

  override close(): Promise<void> | void {
    this.queue.clear()
    return this.inner.close()
  }

  override input(buf: Uint8Array, start: number, end: number, meta: number): void {
    if (this.onFrame !== null) this.show(this.onFrame, buf, start, end, meta)
    this.sink!.input(buf, start, end, meta)
  }

  /** The watcher always sees Ethernet frames. */
  private show(watcher: Watcher, buf: Uint8Array, start: number, end: number, meta: number): void {
    if (this.medium === 'ethernet') {
      watcher(buf, start, end, meta)
      return
    }
    const framed = new Uint8Array(ETHERNET + end - start)
    framed.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, ...(buf[start] >> 4 === 6 ? [0x86, 0xdd] : [8, 0])])
    framed.set(buf.subarray(start, end), ETHERNET)
    watcher(framed, 0, framed.length, meta)
  }
}
