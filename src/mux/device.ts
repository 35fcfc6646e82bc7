/**
 * One device of the multiplexer and its clients: which frame goes to whom.
 *
 * Theory of operation. The device is the sink of one link. What the link announces is taken in a task of the host's own (never from within
 * `readable`, which may be a peer's `send`), a budget at a time, and copied into the queue of each client that wants it. What a client sends to
 * another's address stays inside, whether the other wants it or not, as it did in ORe; everything else goes out, and frames to groups go
 * both ways. Nothing comes back to its sender, as from a network card.
 *
 * Outwards a full link is told to the sender, who waits. Inwards, and from client to client, a full queue loses the frame, and counts it: who
 * waited for one slow client would stop all the others.
 *
 * Clients take all offloads; `takingAll` does in software what the link lacks. So nothing is computed for frames that stay inside.
 *
 * A device without a link is `lo`: its clients reach each other, and a frame to a client's own address comes back to it.
 */
import { arena } from '../base/arena.ts'
import { copyBytes, get16, get32 } from '../base/bytes.ts'
import type { Host, Task } from '../base/clock.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { NetError } from '../base/errors.ts'
import { muxConfig } from '../base/mux-config.ts'
import { formatMac } from '../ethernet/mac.ts'
import { MAX_FRAME } from '../link/frame-queue.ts'
import { HEADROOM, type NetIf, type NetIfSink } from '../netif/netif.ts'
import { takingAll } from '../offload/soften.ts'
import type { ClientDevice, MuxClient } from './client.ts'
import { MacTable } from './mac-table.ts'

const NAMES = ['muxIn', 'muxOut', 'muxInside', 'muxDropNoClient', 'muxDropTooShort', 'muxDropNoLink'] as const
const C = indexOf(NAMES)

const GROUP = 0x100
const LOOPBACK_MTU = 65535

/** Who hears that a device or one of its clients has gone. */
export interface DeviceOwner {
  clientGone(client: MuxClient, error: Error | null): void
  deviceGone(device: MuxDevice, error: Error): void
}

export class MuxDevice implements NetIfSink, ClientDevice, Task {
  readonly mtu: number
  /** Replaced, never changed: a client may leave while the others are told. */
  clients: readonly MuxClient[] = []
  private readonly link: NetIf | null
  /** Clients by address; the number is the channel. */
  private readonly table = new MacTable()
  private readonly byChannel: MuxClient[] = []
  /** Those that hear what is not for them. */
  private curious: readonly MuxClient[] = []
  private scratch: Uint8Array = new Uint8Array(0)
  private isScheduled = false
  private isClosed = false
  private readonly count = new Counters(NAMES)

  /** @param link null: `lo`. @param mac the device's own address, which one client may have */
  constructor(
    readonly name: string,
    link: NetIf | null,
    readonly mac: Uint8Array,
    readonly host: Host,
    private readonly owner: DeviceOwner,
  ) {
    this.link = link === null ? null : takingAll(link)
    this.mtu = link === null ? LOOPBACK_MTU : link.mtu
    this.link?.attach(this)
  }

  /** `eth0: tap0: tap, mtu 1500, ..., 52:54:00:12:34:56`. */
  describe(): string {
    const link = this.link === null ? 'loopback' : (this.link.describe?.() ?? this.link.name)
    return `${this.name}: ${link}, ${formatMac(this.mac)}`
  }

  counters(): Record<string, number> {
    return { ...this.link?.counters?.(), ...(this.count.snapshot() as Record<string, number>) }
  }

  /** Whether a client has the address. */
  has(mac: Uint8Array): boolean {
    return this.table.get(get16(mac, 0), get32(mac, 2)) >= 0
  }

  join(client: MuxClient): void {
    this.clients = [...this.clients, client]
    this.byChannel[client.channel] = client
    this.table.add(get16(client.mac, 0), get32(client.mac, 2), client.channel)
    this.filtered(client)
  }

  leave(client: MuxClient, error: Error | null): void {
    this.clients = this.clients.filter((other) => other !== client)
    this.curious = this.curious.filter((other) => other !== client)
    delete this.byChannel[client.channel]
    this.table.remove(client.channel)
    this.ref()
    this.owner.clientGone(client, error)
  }

  filtered(client: MuxClient): void {
    const others = this.curious.filter((other) => other !== client)
    this.curious = client.receiveFilter.promiscuous ? [...others, client] : others
  }

  ref(): void {
    this.link?.ref?.(this.clients.some((client) => client.isRef))
  }

  uncaught(error: unknown): void {
    this.host.uncaught(error)
  }

  close(): Promise<void> | void {
    this.end(new NetError('ENETDOWN', { message: `${this.name}: the multiplexer was closed` }))
    return this.link?.close()
  }

  // From a client outwards.

  forward(from: MuxClient, buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const high = get16(buf, start)
    const low = get32(buf, start + 2)
    if ((high & GROUP) !== 0) return this.forwardToAll(from, buf, start, end, meta, high, low, this.clients)
    const channel = this.table.get(high, low)
    if (channel < 0) return this.forwardToAll(from, buf, start, end, meta, high, low, this.curious)
    this.count.values[C.muxInside]++
    const to = this.byChannel[channel]
    let known = meta
    if (to !== from || this.link === null) known = to.hear(buf, start, end, known, high, low, true)
    const { curious } = this
    for (let i = 0; i < curious.length; i++) {
      if (curious[i] !== from && curious[i] !== to) known = curious[i].hear(buf, start, end, known, high, low, false)
    }
    return true
  }

  flush(): void {
    this.link?.flush()
  }

  /** To the link, and to those inside that want to hear of it. */
  private forwardToAll(
    from: MuxClient,
    buf: Uint8Array,
    start: number,
    end: number,
    meta: number,
    high: number,
    low: number,
    listeners: readonly MuxClient[],
  ): boolean {
    const { link } = this
    const isHeard = listeners.length > 1 || (listeners.length === 1 && listeners[0] !== from)
    if (!isHeard) return this.output(buf, start, end, meta)
    if (link === null) {
      this.distribute(from, listeners, buf, start, end, meta, high, low)
      return true
    }
    // The link may refuse the frame, and then nobody may have heard it; and it may scribble over what it takes.
    const at = this.keep(buf, start, end)
    if (!this.output(buf, start, end, meta)) return false
    this.distribute(from, listeners, this.scratch, at, at + end - start, meta, high, low)
    return true
  }

  private output(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.count.values
    if (this.link === null) n[C.muxDropNoLink]++
    else if (!this.link.send(buf, start, end, meta)) return false
    else n[C.muxOut]++
    return true
  }

  private keep(buf: Uint8Array, start: number, end: number): number {
    if (this.scratch.length === 0) this.scratch = arena.take(HEADROOM + MAX_FRAME + 4)
    const at = HEADROOM + ((buf.byteOffset + start) & 3)
    copyBytes(buf, start, this.scratch, at, end - start)
    return at
  }

  private distribute(
    from: MuxClient | null,
    listeners: readonly MuxClient[],
    buf: Uint8Array,
    start: number,
    end: number,
    meta: number,
    high: number,
    low: number,
  ): void {
    let known = meta
    for (let i = 0; i < listeners.length; i++) {
      if (listeners[i] !== from) known = listeners[i].hear(buf, start, end, known, high, low, false)
    }
  }

  // The sink of the link.

  readable(): void {
    if (this.isScheduled || this.isClosed) return
    this.isScheduled = true
    this.host.soon(this)
  }

  run(): void {
    this.isScheduled = false
    if (!this.isClosed && this.link!.receive(muxConfig.receiveBudgetFrames)) this.readable()
  }

  input(buf: Uint8Array, start: number, end: number, meta: number): void {
    const n = this.count.values
    n[C.muxIn]++
    if (end - start < 6) {
      n[C.muxDropTooShort]++
      return
    }
    const high = get16(buf, start)
    const low = get32(buf, start + 2)
    if ((high & GROUP) !== 0) {
      this.distribute(null, this.clients, buf, start, end, meta, high, low)
      return
    }
    const channel = this.table.get(high, low)
    const to = channel < 0 ? null : this.byChannel[channel]
    const known = to === null ? meta : to.hear(buf, start, end, meta, high, low, true)
    if (this.curious.length > 0) this.distribute(to, this.curious, buf, start, end, known, high, low)
    else if (to === null) n[C.muxDropNoClient]++
  }

  writable(): void {
    for (const client of this.clients) client.unblock()
  }

  closed(error?: Error): void {
    const gone = error ?? new NetError('ENETDOWN', { message: `${this.name}: the link has ended` })
    this.end(gone)
    void this.link?.close()
    this.owner.deviceGone(this, gone)
  }

  private end(error: Error): void {
    if (this.isClosed) return
    this.isClosed = true
    for (const client of this.clients) client.end(error)
    if (this.scratch.length > 0) arena.give(this.scratch)
    this.scratch = new Uint8Array(0)
  }
}
