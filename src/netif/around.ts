/**
 * A link around another one, which passes everything on as it is, in both directions: what captures, logs, clamps and offload in software begin with. It is the link to the sink
 * above and the sink to the link below.
 */
import type { Host } from '../base/clock.ts'
import type { Medium, NetIf, NetIfSink } from './netif.ts'

export class LinkAround implements NetIf, NetIfSink {
  readonly name: string
  readonly medium: Medium
  protected sink: NetIfSink | null = null

  constructor(protected readonly inner: NetIf) {
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

  attach(sink: NetIfSink): void {
    this.sink = sink
    this.inner.attach(this)
  }

  receive(budget: number): boolean {
    return this.inner.receive(budget)
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    return this.inner.send(buf, start, end, meta)
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

  // The sink of the link below, which calls nothing before it is attached.

  get host(): Host {
    return this.sink!.host
  }

  input(buf: Uint8Array, start: number, end: number, meta: number): void {
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
}
