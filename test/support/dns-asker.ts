/** Who asks a DNS server of ours, on a stack in memory: bytes over UDP and TCP, and answers as text. */
import { decodeMessage, type Edns, encodeMessage, type Message, message, Rcode } from '../../src/dns/message.ts'
import { MessageStream } from '../../src/dns/message-stream.ts'
import { CLASS_IN } from '../../src/dns/records.ts'
import { dataText } from '../../src/dns/text.ts'
import type { World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'
import type { RawConnection } from '../../src/tcp/api.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'

export function query(name: string, type = 'A', given: Partial<Message> = {}): Message {
  return message({ id: 0x1234, recursionDesired: true, questions: [{ name, type, class: CLASS_IN }], ...given })
}

export function edns(udpPayloadBytes = 1232, given: Partial<Edns> = {}): Edns {
  return { udpPayloadBytes, version: 0, dnssecOk: false, options: [], ...given }
}

const WORDS = new Map<number, string>(Object.entries(Rcode).map(([name, code]) => [code, name]))

/** `NOERROR aa: www.lab A 10.0.0.1`, with ` | ` before authority and ` & ` before additional records; no ids, no TTLs. */
export function told(m: Message | null): string {
  if (m === null) return 'nothing'
  const flags = [m.authoritative && 'aa', m.truncated && 'tc', m.recursionAvailable && 'ra']
    .filter(Boolean)
    .map((flag) => ` ${flag}`)
  const [answers, authorities, additionals] = [m.answers, m.authorities, m.additionals].map((list) =>
    list.map((r) => `${r.name} ${r.type} ${r.type === 'SOA' ? '' : dataText(r)}`.trim()).join(', '),
  )
  const tail = `${authorities === '' ? '' : ` | ${authorities}`}${additionals === '' ? '' : ` & ${additionals}`}`
  return `${WORDS.get(m.rcode) ?? m.rcode}${flags.join('')}:${answers === '' ? '' : ` ${answers}`}${tail}`
}

export class DnsAsker {
  constructor(
    readonly world: World,
    readonly stack: Stack,
    readonly server: string,
    readonly port = 53,
    /** How long an answer is waited for. */
    readonly waitMs = 100,
  ) {}

  /** One datagram, and all that come back within the time. */
  raw(bytes: Uint8Array, from?: string): Uint8Array[] {
    const { world, stack } = this
    const got: Uint8Array[] = []
    const datagram = new Datagram(new Uint8Array(0x10000))
    const socket = stack.udp.open(
      {
        onReadable: (s) => {
          while (s.receive(datagram)) got.push(datagram.buf.slice(0, datagram.len))
        },
      },
      { family: this.server.includes(':') ? 6 : 4, ref: false },
    )
    if (from !== undefined) socket.bind(from, 0)
    socket.connect(this.server, this.port)
    socket.send(bytes, 0, bytes.length, null, 0)
    world.run(this.waitMs)
    socket.close()
    return got
  }

  /** The answer to a message over UDP. */
  udp(m: Message, from?: string): Message | null {
    const [first] = this.raw(encodeMessage(m), from)
    return first === undefined ? null : decodeMessage(first).message
  }

  /** The same as text. */
  ask(name: string, type = 'A', given: Partial<Message> = {}): string {
    return told(this.udp(query(name, type, given)))
  }

  connect(): TcpAsking {
    return new TcpAsking(this)
  }

  /** One question over a connection of its own, and all messages that come back. */
  tcp(m: Message): Message[] {
    const connection = this.connect()
    connection.send(encodeMessage(m))
    this.world.run(this.waitMs)
    connection.close()
    return connection.messages
  }
}

/** A connection to a server. */
export class TcpAsking {
  readonly got: Uint8Array[] = []
  /** How it ended: null, it has not. */
  ended: string | null = null
  /** False: what arrives stays where it is. */
  reads = true
  readonly stream: MessageStream
  readonly connection: RawConnection

  constructor({ stack, server, port }: DnsAsker) {
    this.connection = stack.tcp.open({ remoteAddress: server, remotePort: port, ref: false, noDelay: true }, this)
    this.stream = new MessageStream(this.connection)
  }

  get messages(): Message[] {
    return this.got.map((bytes) => decodeMessage(bytes).message!)
  }

  send(...messages: Uint8Array[]): void {
    for (const m of messages) this.stream.add(m)
    this.stream.flush()
  }

  onWritable(): void {
    this.stream.flush()
  }

  onReadable(): void {
    if (!this.reads) return
    for (let m = this.stream.next(); m !== null; m = this.stream.next()) this.got.push(m)
    if (this.connection.ended) this.ended ??= ''
  }

  onClose(_: RawConnection, error: { code: string } | null): void {
    this.ended ??= error === null ? '' : error.code
  }

  close(): void {
    this.connection.close()
  }
}
