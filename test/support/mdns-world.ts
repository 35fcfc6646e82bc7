/** Stacks with multicast DNS on one link, and a peer whose every message is the test's; what goes over the link is kept, and read as words. */
import { address } from '../../src/base/address.ts'
import type { MdnsConfig } from '../../src/base/mdns-config.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { decodeMessage, encodeMessage, type Message, message } from '../../src/dns/message.ts'
import type { ResourceRecord } from '../../src/dns/records.ts'
import { dataText } from '../../src/dns/text.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { createHub } from '../../src/switch/create.ts'
import type { Switch } from '../../src/switch/switch.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import type { UdpHandler, UdpSocket } from '../../src/udp/socket.ts'

export const PORT = 5353
export const GROUP = '224.0.0.251'
export const GROUP6 = 'ff02::fb'
/** The flush bit of an answer, the wish for a unicast answer of a question. */
export const TOP = 0x8000

export interface Heard {
  /** Milliseconds since the world began. */
  at: number
  from: string
  to: string
  port: number
  ttl: number
  length: number
  m: Message
  words: string
}

/** `A web.local 10.0.0.2 120*`: the star is the flush bit. */
export function recordWords(r: ResourceRecord): string {
  return `${r.type} ${r.name} ${dataText(r)} ${r.ttl}${(r.class & TOP) === 0 ? '' : '*'}`
}

/** `? ANY web.local QU | A web.local 10.0.0.2 120` or `! A web.local 10.0.0.2 120* + TXT ...`. */
export function words(m: Message): string {
  const list = (sign: string, records: ResourceRecord[]): string =>
    records.length === 0 ? '' : ` ${sign} ${records.map(recordWords).join(', ')}`
  if (m.isResponse) return `!${list('', m.answers).slice(1)}${list('+', m.additionals)}`
  const questions = m.questions.map((q) => `${q.type} ${q.name}${(q.class & TOP) === 0 ? '' : ' QU'}`).join(', ')
  return `? ${questions}${list('known', m.answers)}${list('|', m.authorities)}${m.truncated ? ' TC' : ''}`
}

/** A host of the link without any multicast DNS but the test's. */
export class Peer implements UdpHandler {
  readonly heard: Heard[] = []
  readonly socket: UdpSocket
  private readonly datagram = new Datagram(new Uint8Array(9000))

  constructor(
    private readonly world: World,
    readonly stack: Stack,
    readonly eth0: AttachedInterface,
    readonly family: 4 | 6,
  ) {
    this.socket = this.open(PORT)
    this.socket.joinGroup(this.group, eth0.iface)
  }

  get group(): string {
    return this.family === 4 ? GROUP : GROUP6
  }

  open(port: number): UdpSocket {
    const socket = this.stack.udp.open(this, { family: this.family, reuseAddress: true, iface: this.eth0.iface, ref: false })
    socket.bind(socket.any, port)
    socket.multicastTtl = 255
    socket.ttl = 255
    socket.multicastLoop = false
    return socket
  }

  say(given: Partial<Message> | Uint8Array, to = this.group, from = this.socket): void {
    const bytes = given instanceof Uint8Array ? given : encodeMessage(message(given))
    from.send(bytes, 0, bytes.length, address(to), PORT)
  }

  /** Asks: `ask('A web.local QU', 'PTR _http._tcp.local')`. */
  ask(...questions: string[]): void {
    this.say({ questions: questions.map(question) })
  }

  /** Answers with the flush bit on those that are not PTR. */
  answer(...answers: ResourceRecord[]): void {
    this.say({ isResponse: true, authoritative: true, answers: answers.map(flushed) })
  }

  onReadable(socket: UdpSocket): void {
    const d = this.datagram
    while (socket.receive(d)) {
      const { message: m, reason } = decodeMessage(d.buf, 0, d.len)
      if (m === null) throw new Error(`what we say cannot be read: ${reason}`)
      const { ttl, len: length, port } = d
      const [from, to] = [`${d.address}`, `${d.localAddress}`]
      this.heard.push({ at: Math.round(this.world.elapsedMs), from, to, port, ttl, length, m, words: words(m) })
    }
  }

  /** Words of what was heard since the last call. */
  take(): string[] {
    return this.heard.splice(0).map((h) => h.words)
  }

  /** Answers heard since the last call, those of announcements and others alike. */
  answers(): string[] {
    return this.take().filter((w) => w.startsWith('!'))
  }
}

export function question(text: string): Message['questions'][number] {
  const [type, name, unicast] = text.split(' ')
  return { type, name, class: unicast === 'QU' ? 1 | TOP : 1 }
}

export function flushed(r: ResourceRecord): ResourceRecord {
  return r.type === 'PTR' ? r : ({ ...r, class: 1 | TOP } as ResourceRecord)
}

export class MdnsWorld {
  readonly world: World
  readonly hub: Switch
  private ports = 0

  constructor(seed = 5) {
    this.world = createWorld({ seed })
    this.hub = createHub({ host: this.world.host, random: new SeededRandom(seed) })
  }

  /** A stack on the link; its options of multicast DNS. */
  stack(addresses: readonly string[], mdns: Partial<MdnsConfig> = {}, name = 'stack'): Stack {
    const stack = this.world.stack({ name, mdns })
    this.attach(stack, addresses)
    return stack
  }

  attach(stack: Stack, addresses: readonly string[]): AttachedInterface {
    return stack.attach(this.hub.port(`p${this.ports++}`), { addresses, probe: false })
  }

  peer(addr = '10.0.0.9/24'): Peer {
    const stack = this.world.stack({ name: 'peer' })
    return new Peer(this.world, stack, this.attach(stack, [addr]), addr.includes(':') ? 6 : 4)
  }

  run(ms: number): void {
    this.world.run(ms)
  }

  settle<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    return this.world.settle(promise, limitMs)
  }

  async close(): Promise<void> {
    await this.world.close()
    await this.hub.close()
  }
}

/** Counters of multicast DNS that are not zero. */
export function counts(stack: Stack): Record<string, number> {
  return stack.counters(true).mdns
}
