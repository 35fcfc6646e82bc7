/**
 * What a link sees of v86: its bus of events by name, in two halves that hear each other, and the card at the far half. The card's memory is its own: what it
 * sends lies in there, among other bytes, and is overwritten afterwards.
 */

type Listener = { fn: (data: unknown) => void; self: unknown }

class Half {
  peer: Half = this
  private listeners = new Map<string, Listener[]>()

  register(name: string, fn: (data: unknown) => void, self: unknown): void {
    this.listeners.set(name, [...(this.listeners.get(name) ?? []), { fn, self }])
  }

  unregister(name: string, fn: (data: unknown) => void): void {
    const left = (this.listeners.get(name) ?? []).filter((listener) => listener.fn !== fn)
    this.listeners.set(name, left)
  }

  send(name: string, data?: unknown): void {
    for (const { fn, self } of this.peer.listeners.get(name) ?? []) fn.call(self, data)
  }

  count(name: string): number {
    return this.listeners.get(name)?.length ?? 0
  }
}

export class FakeV86 {
  readonly bus = new Half()
  /** What the card was given: the guest takes it from here. */
  readonly received: Uint8Array[] = []
  onReceive: ((frame: Uint8Array) => void) | null = null
  private readonly device = new Half()
  private readonly memory = new Uint8Array(1 << 17)

  constructor(private readonly card = 'net0') {
    this.bus.peer = this.device
    this.device.peer = this.bus
    this.device.register(`${card}-receive`, (frame) => this.take(frame as Uint8Array), this)
  }

  add_listener(name: string, listener: (data: unknown) => void): void {
    this.bus.register(name, listener, this)
  }

  remove_listener(name: string, listener: (data: unknown) => void): void {
    this.bus.unregister(name, listener)
  }

  /** Listeners for what the card sends. */
  get hearers(): number {
    return this.bus.count(`${this.card}-send`)
  }

  /** The card sends a frame, out of its memory. */
  transmit(frame: Uint8Array): void {
    this.memory.set(frame, 0x4000)
    this.device.send(`${this.card}-send`, this.memory.subarray(0x4000, 0x4000 + frame.length))
    this.memory.fill(0xee)
  }

  private take(frame: Uint8Array): void {
    const copy = new Uint8Array(frame)
    if (this.onReceive === null) this.received.push(copy)
    else this.onReceive(copy)
  }
}
