/**
 * One end of the stream between a multiplexer and a client in another process: a link over a link.
 *
 * Theory of operation. The stream is framed as QEMU's is (u32 big-endian length, stream-link.ts), and each message begins with a word of its own, big-endian
 * too: its kind in the first byte, and for a frame its `meta` (netif.ts) in the other three. So super-segments and partial checksums pass between processes
 * as they do within one. Messages of the other kind are text (JSON): the first one each way is hello and welcome or refusal, read before there is
 * a link (`greet`); the later ones are changes of the filter, questions and answers (mux/remote.ts).
 */
import type { Socket } from 'node:net'
import { get32, put32 } from '../base/bytes.ts'
import type { Host } from '../base/clock.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { NetError } from '../base/errors.ts'
import { muxConfig } from '../base/mux-config.ts'
import { isTooLong, leastFrame } from '../link/carry.ts'
import { MAX_FRAME } from '../link/frame-queue.ts'
import { U32BE } from '../link/framing.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK, GSO_UDP, HEADROOM, type NetIf, type NetIfSink } from '../netif/netif.ts'
import { StreamLink } from './stream-link.ts'
import { hear } from './vde-hear.ts'

/** Kinds of messages. */
const FRAME = 0
const CONTROL = 1
const KIND_SHIFT = 24
const META_MASK = (1 << 21) - 1
const WORD = 4
const LENGTH = 4

/** The largest IP packet in bytes of a frame or super-segment: with its Ethernet header, two tags and the word it is what a stream link carries. */
export const WIRE_MAX_PACKET = 65535 - WORD - 22

const NAMES = [
  'inControls',
  'outControls',
  'inDropMessage',
  'outDropControl',
  'dropTooLong',
  'dropTooShort',
  'dropNotOffloaded',
] as const
const C = indexOf(NAMES)

/** What both ends know of the client. */
export interface WirePlan {
  readonly name: string
  readonly mac: Uint8Array | null
  readonly mtu: number
  readonly offload: number
}

export class MuxWire implements NetIf, NetIfSink {
  readonly name: string
  readonly medium = 'ethernet'
  readonly mac: Uint8Array | null
  readonly mtu: number
  readonly offload: number
  readonly gsoMax: number
  /** Told of each message that is no frame, while the link is pulled. */
  onControl: ((message: unknown) => void) | null = null
  /** Told once when the link has ended, by whom ever. */
  onEnd: (() => void) | null = null
  private sink: NetIfSink | null = null
  /** The stream ended by itself. */
  private hasEnded = false
  private endError: Error | undefined
  private readonly stream: StreamLink
  /** Messages that wait for room. */
  private readonly unsent: Uint8Array[] = []
  private readonly count = new Counters(NAMES)

  /** @param rest what came behind the greeting */
  constructor(plan: WirePlan, socket: Socket, rest: Uint8Array) {
    this.name = plan.name
    this.mac = plan.mac
    this.mtu = Math.min(plan.mtu, WIRE_MAX_PACKET)
    this.offload = plan.offload
    this.gsoMax = plan.offload === 0 ? 0 : WIRE_MAX_PACKET
    this.stream = new StreamLink({ name: plan.name, framing: U32BE, medium: 'ip', mtu: 65535 })
    this.stream.attach(this)
    this.stream.use(socket)
    if (rest.length > 0) this.stream.chunk(rest)
  }

  get host(): Host {
    return this.sink!.host
  }

  /** Somebody hears what comes. */
  protected get isAttached(): boolean {
    return this.sink !== null
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
    if (this.hasEnded) sink.closed(this.endError)
    else sink.readable() // what was announced to nobody
  }

  receive(budget: number): boolean {
    return this.sink !== null && this.stream.receive(budget)
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.count.values
    if (end - start < leastFrame('ethernet')) n[C.dropTooShort]++
    else if (this.offload === 0 && ((meta & GSO_MASK) !== 0 || (meta & CSUM_MASK) === CSUM_PARTIAL)) n[C.dropNotOffloaded]++
    else if (isTooLong(this, buf, start, end, meta)) n[C.dropTooLong]++
    else {
      put32(buf, start - WORD, this.offload === 0 ? 0 : meta & META_MASK)
      return this.stream.send(buf, start - WORD, end, 0)
    }
    return true
  }

  /** Sends a message that is no frame; as soon as there is room, if the stream is full. False: too many wait already, and it is lost. */
  control(message: object): boolean {
    if (this.unsent.length >= muxConfig.maxControls) {
      this.count.values[C.outDropControl]++
      return false
    }
    const text = Buffer.from(JSON.stringify(message))
    const buf = new Uint8Array(HEADROOM + WORD + text.length)
    put32(buf, HEADROOM, CONTROL << KIND_SHIFT)
    buf.set(text, HEADROOM + WORD)
    this.unsent.push(buf)
    this.sendControls()
    return true
  }

  flush(): void {
    this.stream.flush()
  }

  close(): Promise<void> | void {
    this.end()
    return this.stream.close()
  }

  counters(): Record<string, number> {
    return { ...this.stream.counters(), ...(this.count.snapshot() as Record<string, number>) }
  }

  describe(): string {
    return `${this.name}: ethernet in a stream, mtu ${this.mtu}${this.offload === 0 ? '' : ', offload csum,tso4,tso6,uso'}`
  }

  ref(on: boolean): void {
    this.stream.ref(on)
  }

  // The sink of the stream.

  input(buf: Uint8Array, start: number, end: number, _meta: number): void {
    const word = end - start < WORD ? -1 : get32(buf, start)
    const kind = word >>> KIND_SHIFT
    const meta = word & META_MASK
    if (kind === FRAME && end - start >= WORD + leastFrame('ethernet') && (meta & GSO_MASK) <= GSO_UDP && word === meta)
      this.sink!.input(buf, start + WORD, end, this.offload === 0 ? 0 : meta)
    else if (kind === CONTROL) this.heard(buf, start + WORD, end)
    else this.count.values[C.inDropMessage]++
  }

  readable(): void {
    this.sink?.readable()
  }

  writable(): void {
    if (this.sendControls()) this.sink?.writable()
  }

  closed(error?: Error): void {
    this.end()
    this.hasEnded = true
    this.endError = error
    this.sink?.closed(error)
  }

  /** False: the stream is full again, and will say when it is not. */
  private sendControls(): boolean {
    const { unsent } = this
    if (unsent.length === 0) return true
    while (unsent.length > 0 && this.stream.send(unsent[0], HEADROOM, unsent[0].length, 0)) {
      unsent.shift()
      this.count.values[C.outControls]++
    }
    this.stream.flush()
    return unsent.length === 0
  }

  private end(): void {
    this.unsent.length = 0
    this.onEnd?.()
    this.onEnd = null
  }

  private heard(buf: Uint8Array, start: number, end: number): void {
    const message = end - start > muxConfig.maxControlBytes ? undefined : parse(buf, start, end)
    if (message === undefined) {
      this.count.values[C.inDropMessage]++
      return
    }
    this.count.values[C.inControls]++
    this.onControl?.(message)
  }
}

/** Says what is to be said before there is a link. */
export function greeting(message: object): Buffer {
  const text = Buffer.from(JSON.stringify(message))
  const out = Buffer.alloc(LENGTH + WORD + text.length)
  out.writeUInt32BE(WORD + text.length, 0)
  out.writeUInt32BE(CONTROL << KIND_SHIFT, LENGTH)
  text.copy(out, LENGTH + WORD)
  return out
}

/** Waits for the other side's greeting. Rejects when none comes (ETIMEDOUT, ECONNRESET) or when it is none (EPROTO). */
export async function greet(socket: Socket): Promise<{ message: unknown; rest: Uint8Array }> {
  const most = LENGTH + WORD + muxConfig.maxControlBytes
  const heard = await hear(socket, most + MAX_FRAME, (had) => {
    const length = had.length < LENGTH ? 0 : had.readUInt32BE(0)
    if (length > most || (had.length >= LENGTH + WORD && had.readUInt32BE(LENGTH) !== CONTROL << KIND_SHIFT))
      return { message: undefined, rest: had }
    if (had.length < LENGTH + WORD || had.length < LENGTH + length) return null
    return { message: parse(had, LENGTH + WORD, LENGTH + length), rest: had.subarray(LENGTH + length) }
  })
  if (heard === null) throw new NetError('ECONNRESET', { message: 'The other side closed before it said who it is' })
  if (heard.message === undefined)
    throw new NetError('EPROTO', { message: 'What came is no greeting of a multiplexer or its client' })
  return heard
}

/** The message, or undefined when it is no text that can be read. */
function parse(buf: Uint8Array, start: number, end: number): unknown {
  try {
    return JSON.parse(Buffer.from(buf.buffer, buf.byteOffset + start, end - start).toString()) as unknown
  } catch {
    return undefined
  }
}
