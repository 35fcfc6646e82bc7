/**
 * A link around another that lets a test slip frames of its own among those that arrive, and watch what arrives. Keeps the contract of
 * netif.ts: forged frames are handed over from within `receive`, lent, like all others.
 */
import type { Host } from '../../src/base/clock.ts'
import { FrameQueue } from '../../src/link/frame-queue.ts'
import type { Medium, NetIf, NetIfSink } from '../../src/netif/netif.ts'

/** Bytes of an Ethernet header. */
const ETHERNET = 14

/** Sees each honest frame before the stack does. */
export type Watcher = (buf: Uint8Array, start: number, end: number, meta: number) => void

export class Injector implements NetIf, NetIfSink {
  /** Forged frames handed to the stack so far. */
  injected = 0
  onFrame: Watcher | null = null
  private sink: NetIfSink | null = null
  private readonly queue = new FrameQueue(1 << 14, 16 << 20)

  constructor(private readonly inner: NetIf) {}

  get name(): string {
    return this.inner.name
  }

  get medium(): Medium {
    return this.inner.medium
  }

  get mac(): Uint8Array | null {
    return this.inner.mac
  }

  get mtu(): number {
    return this.inner.mtu
  }

  get offload(): number {
    return this.inner.offload
  }

  get gsoMax(): number {
    return this.inner.gsoMax
  }

  get host(): Host {
    return this.sink!.host
  }

  /** Queues an Ethernet frame for the stack's next turn; the bytes are copied. On IP media only what it carries arrives. */
  inject(buf: Uint8Array, start: number, end: number, meta: number): void {
    const from = this.medium === 'ip' ? Math.min(end, start + ETHERNET) : start
    if (!this.queue.push(buf, from, end, meta)) throw new Error('too many forged frames at once')
    this.sink!.readable()
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
    this.inner.attach(this)
  }

  receive(budget: number): boolean {
    const { queue } = this
    for (let left = Math.min(budget, queue.count); left > 0; left--) {
      this.injected++
      queue.deliver(this.sink!)
    }
    const more = this.inner.receive(budget)
    return queue.count > 0 || more
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    return this.inner.send(buf, start, end, meta)
  }

  flush(): void {
    this.inner.flush()
  }

  close(): Promise<void> | void {
    this.queue.clear()
    return this.inner.close()
  }

  input(buf: Uint8Array, start: number, end: number, meta: number): void {
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

  readable(): void {
    this.sink!.readable()
  }

  writable(): void {
    this.sink!.writable()
  }

  closed(error?: Error): void {
    this.sink!.closed(error)
  }
}
