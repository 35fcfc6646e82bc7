/**
 * What a client in another thread or process and the multiplexer say to each other beside frames: plain data, by whatever carries it.
 *
 * The one who asks sends `Hello` and hears `Welcome` or `Refusal`; afterwards `Change` for its filter and `Ask` for numbers, which `State` answers. What comes
 * from the other side is looked at field by field: `unknown` is what it is.
 */
import { invalidArgument, NetError } from '../base/errors.ts'
import { muxConfig } from '../base/mux-config.ts'
import { formatMac, parseMac } from '../ethernet/mac.ts'
import type { NetIf } from '../netif/netif.ts'
import type { MuxClient } from './client.ts'
import { type MuxSwitches, ReceiveFilter } from './filter.ts'
import type { Mux, MuxOpenOptions } from './mux.ts'

/** The version of these messages. Another is refused. */
export const MUX_PROTOCOL = 1

/** Options of a client that can cross to another thread or process. */
export interface RemoteOpenOptions extends Omit<MuxOpenOptions, 'filter'> {
  filter?: MuxSwitches
}

/** What a client is told of itself. */
export interface Welcome {
  readonly version: number
  /** The server's name. */
  readonly server: string
  readonly name: string
  readonly device: string
  readonly channel: number
  readonly mac: string
  readonly macRule: string
  readonly mtu: number
  readonly offload: number
  readonly filter: Required<MuxSwitches>
}

/** A client of a multiplexer that is elsewhere. */
export interface RemoteMuxClient extends NetIf {
  readonly mac: Uint8Array
  readonly server: string
  readonly device: string
  readonly channel: number
  /** The rule by which it got its address. */
  readonly macRule: string
  /** What it hears. A copy; `setFilter` changes it. */
  readonly filter: Required<MuxSwitches>
  /**
   * Changes the given parts of the filter. Frames that are on their way already still come. Throws ERR_INVALID_ARG_VALUE, and ENOBUFS when
   * too many changes wait for room on the way; nothing is changed then.
   */
  setFilter(changes: MuxSwitches): void
  /**
   * The counters that the multiplexer keeps for it. The process is kept alive meanwhile. Rejects with ENOTCONN when nothing is attached to the link yet, with ENETDOWN when the link has ended or ends before
   * the answer, with ENOBUFS when too many questions wait for theirs.
   */
  remoteCounters(): Promise<Record<string, number>>
}

/** A question that waits for its answer. */
interface Question {
  readonly number: number
  resolve(counters: Record<string, number>): void
  reject(error: Error): void
}

/**
 * The client's side of the talk. Questions are numbered and answered in their order: an answer tells that those before it will have none.
 * They are limited, so that a multiplexer whose client does not read never has more answers to keep than it does.
 */
export class RemoteControls {
  private readonly switches = new ReceiveFilter()
  private readonly waiting: Question[] = []
  private lastNumber = 0
  private hasEnded = false
  private isWanted = false

  /**
   * @param post sends a message; false: there was no room for it
   * @param hold keeps the process alive by the link, or no longer: while it is wanted to, and while a question waits for its answer
   */
  constructor(
    welcome: Welcome,
    private readonly post: (message: object) => boolean,
    private readonly hold: (on: boolean) => void,
  ) {
    this.switches.set(welcome.filter)
  }

  get filter(): Required<MuxSwitches> {
    return this.switches.switches
  }

  /** The link's `ref`. */
  ref(on: boolean): void {
    this.isWanted = on
    this.look()
  }

  private look(): void {
    this.hold(this.isWanted || this.waiting.length > 0)
  }

  setFilter(changes: MuxSwitches): void {
    const before = this.filter
    this.switches.set(changes)
    if (this.post({ change: changes })) return
    this.switches.set(before)
    throw new NetError('ENOBUFS', { message: 'too many changes of the filter wait for room on the way to the multiplexer' })
  }

  counters(): Promise<Record<string, number>> {
    return new Promise((resolve, reject) => {
      const number = this.lastNumber + 1
      if (this.hasEnded) reject(ended())
      else if (this.waiting.length >= muxConfig.maxQuestions || !this.post({ ask: 'counters', number }))
        reject(new NetError('ENOBUFS', { message: 'too many questions wait for the answer of the multiplexer' }))
      else {
        this.lastNumber = number
        this.waiting.push({ number, resolve, reject })
        this.look()
      }
    })
  }

  /** A message of the multiplexer's. */
  heard(message: unknown): void {
    const counters = field(message, 'counters')
    const { waiting } = this
    const at = waiting.findIndex(({ number }) => number === field(message, 'number'))
    if (at < 0 || typeof counters !== 'object' || counters === null) return
    const [answered, ...lost] = waiting.splice(0, at + 1).reverse()
    for (const { reject } of lost) reject(new NetError('ENOBUFS', { message: 'the multiplexer had no room for the answer' }))
    answered.resolve(counters as Record<string, number>)
    this.look()
  }

  ended(): void {
    this.hasEnded = true
    const unanswered = this.waiting.splice(0)
    for (const { reject } of unanswered) reject(ended())
    if (unanswered.length > 0) this.look()
  }
}

function ended(): NetError {
  return new NetError('ENETDOWN', { message: 'the link to the multiplexer has ended' })
}

/** The multiplexer's side: does what a client's message asks, and returns the answer, if there is one. What asks for nothing that we know is ignored. */
export function obey(client: MuxClient, message: unknown): object | null {
  if (field(message, 'ask') === 'counters') {
    const number = field(message, 'number')
    return { counters: client.counters(), number: typeof number === 'number' ? number : 0 }
  }
  try {
    client.setFilter(switchesOf(field(message, 'change')))
  } catch {
    // Its own end has refused such a change before it was sent: this is no client of ours, and keeps the filter that it has.
  }
  return null
}

/** Opens what a stranger's first message asks for. Throws for a message that is none, and what `open` throws. */
export function openFor(mux: Mux, hello: unknown): MuxClient {
  const version = field(hello, 'version')
  if (version !== MUX_PROTOCOL)
    throw new NetError('EPROTO', {
      message: `The multiplexer speaks version ${MUX_PROTOCOL}, the client ${JSON.stringify(version)}`,
    })
  const server = textOf(hello, 'server')
  if (server !== undefined && server !== mux.name)
    throw new NetError('ENOENT', {
      message: `This multiplexer is called ${JSON.stringify(mux.name)}, not ${JSON.stringify(server)}`,
    })
  const filter = field(hello, 'filter')
  return mux.open({
    device: textOf(hello, 'device'),
    mac: textOf(hello, 'mac'),
    filter: filter === undefined ? undefined : switchesOf(filter),
    offload: field(hello, 'offload') !== false,
  })
}

export function welcomeOf(mux: Mux, client: MuxClient): Welcome {
  const { name, device, channel, mac, macRule, mtu, offload } = client
  const filter = client.receiveFilter.switches
  return { version: MUX_PROTOCOL, server: mux.name, name, device, channel, mac: formatMac(mac), macRule, mtu, offload, filter }
}

/** A server's first answer. Throws its refusal, or EPROTO for what is no answer. */
export function readWelcome(message: unknown): Welcome {
  const code = field(message, 'code')
  if (typeof code === 'string')
    throw new NetError(code, { message: textOf(message, 'message') ?? `The multiplexer refused: ${code}` })
  const number = (name: string, most: number): number => {
    const value = field(message, name)
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most) return value
    throw notMux()
  }
  const text = (name: string): string => textOf(message, name) ?? refuse()
  const mac = text('mac')
  parseMac(mac)
  return {
    version: number('version', MUX_PROTOCOL),
    server: text('server'),
    name: text('name'),
    device: text('device'),
    channel: number('channel', 0x7fffffff),
    mac,
    macRule: text('macRule'),
    mtu: Math.max(68, number('mtu', 65535)),
    offload: number('offload', 31),
    filter: { ...new ReceiveFilter().switches, ...switchesOf(field(message, 'filter')) },
  }
}

function refuse(): never {
  throw notMux()
}

function notMux(): NetError {
  return new NetError('EPROTO', { message: 'No multiplexer answers there' })
}

const SWITCHES = ['active', 'unicast', 'broadcast', 'promiscuous'] as const

function switchesOf(value: unknown): MuxSwitches {
  const out: MuxSwitches = {}
  for (const name of SWITCHES) {
    const on = field(value, name)
    if (on === undefined) continue
    if (typeof on !== 'boolean') throw invalidArgument(`filter.${name}: true or false is expected`)
    out[name] = on
  }
  const multicast = field(value, 'multicast')
  if (typeof multicast === 'boolean') out.multicast = multicast
  else if (Array.isArray(multicast) && multicast.every((text) => typeof text === 'string')) out.multicast = multicast
  else if (multicast !== undefined) throw invalidArgument('filter.multicast: true, false or a list of addresses is expected')
  return out
}

function field(message: unknown, name: string): unknown {
  return typeof message === 'object' && message !== null && Object.hasOwn(message, name)
    ? (message as Record<string, unknown>)[name]
    : undefined
}

function textOf(message: unknown, name: string): string | undefined {
  const value = field(message, name)
  return typeof value === 'string' ? value : undefined
}
