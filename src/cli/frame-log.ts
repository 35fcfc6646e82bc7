/** The same link, and every frame in and out of it as one line of text. */
import type { Host } from '../base/clock.ts'
import type { Medium, NetIf, NetIfSink } from '../netif/netif.ts'
import { dissect } from '../trace/dissect.ts'

class FrameLog implements NetIf, NetIfSink {
  readonly name: string
  readonly medium: Medium
  private sink: NetIfSink | null = null
  private startUs = 0

  constructor(
    private readonly inner: NetIf,
    private readonly line: (text: string) => void,
    private readonly label: string,
  ) {
    this.name = inner.name
    this.medium = inner.medium
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

  attach(sink: NetIfSink): void {
    this.sink = sink
    this.startUs = sink.host.us()
    this.inner.attach(this)
  }

  receive(budget: number): boolean {
    return this.inner.receive(budget)
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    // The link below may scribble over what it takes: look first.
    const text = dissect(buf, start, end, this.medium, meta)
    const taken = this.inner.send(buf, start, end, meta)
    if (taken) this.say('>', text)
    return taken
  }

  flush(): void {
    this.inner.flush()
  }

  close(): Promise<void> | void {
    return this.inner.close()
  }

  counters(): Record<string, number> {
    return this.inner.counters?.() ?? {}
  }

  describe(): string {
    return this.inner.describe?.() ?? this.name
  }

  ref(on: boolean): void {
    this.inner.ref?.(on)
  }

  input(buf: Uint8Array, start: number, end: number, meta: number): void {
    this.say('<', dissect(buf, start, end, this.medium, meta))
    this.sink!.input(buf, start, end, meta)
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

  private say(direction: string, text: string): void {
    const us = (this.host.us() - this.startUs) >>> 0
    this.line(`${(us / 1e6).toFixed(6).padStart(11)} ${this.label}${direction} ${text}`)
  }
}

/** Frames out are marked `>`, frames in `<`; `label` stands before the mark. */
export function frameLog(link: NetIf, line: (text: string) => void, label = ''): NetIf {
  return new FrameLog(link, line, label)
}
