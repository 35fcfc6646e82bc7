// A NetIf of one's own: Ethernet frames as messages of a MessagePort (a worker, another window, an emulator in the page).
import { FrameQueue, type NetIf, type NetIfSink } from 'tapstack/core'

/** What the link needs of a port: worker_threads, browsers and v86 all have it. */
export interface Port {
  postMessage(frame: Uint8Array): void
  onmessage: ((event: { data: Uint8Array }) => void) | null
  close(): void
}

export class PortLink implements NetIf {
  readonly medium = 'ethernet'
  readonly mac = null // the stack makes one
  readonly offload = 0 // every frame has whole checksums ...
  readonly gsoMax = 0 // ... and is no longer than the MTU
  private readonly waiting = new FrameQueue() // copies, aligned, with headroom, bounded
  private sink: NetIfSink | null = null
  private told = false
  private lost = 0

  constructor(
    private readonly port: Port,
    readonly name = 'port0',
    readonly mtu = 1500,
  ) {}

  attach(sink: NetIfSink): void {
    this.sink = sink
    this.port.onmessage = ({ data }) => {
      // Not handed over here: the stack takes it in its own turn.
      if (data.length > this.mtu + 22 || !this.waiting.push(data, 0, data.length, 0)) this.lost++
      else if (!this.told) {
        this.told = true
        sink.readable()
      }
    }
  }

  receive(budget: number): boolean {
    for (let i = budget; i > 0 && this.sink !== null && this.waiting.count > 0; i--) this.waiting.deliver(this.sink)
    this.told = this.waiting.count > 0
    return this.told
  }

  send(buf: Uint8Array, start: number, end: number): boolean {
    if (this.sink === null || end - start > this.mtu + 14) this.lost++
    else this.port.postMessage(buf.slice(start, end)) // lent until we return, so a copy goes
    return true // a port is never full; a link that can be says false, and writable() later
  }

  flush(): void {}

  close(): void {
    this.sink = null
    this.port.onmessage = null
    this.waiting.clear()
    this.port.close()
  }

  counters(): Record<string, number> {
    return { lost: this.lost }
  }
}
