/**
 * A server for tests of the resolver, on a stack in memory: what it answers is the test's own function, right or wrong; and what a small zone
 * with CNAMEs and an SOA would say.
 */
import { address } from '../../src/base/address.ts'
import { decodeMessage, encodeMessage, type Message, message, Rcode } from '../../src/dns/message.ts'
import { isWithin } from '../../src/dns/names.ts'
import { isType, type KnownType, type RecordFields, type ResourceRecord } from '../../src/dns/records.ts'
import type { Stack } from '../../src/stack/stack.ts'
import type { ConnectionHandler, RawConnection } from '../../src/tcp/api.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import type { UdpHandler, UdpSocket } from '../../src/udp/socket.ts'

export interface Asked {
  message: Message
  name: string
  type: string
  overTcp: boolean
  /** The asker's. */
  port: number
  /** Sends one more datagram to the asker. */
  more(answer: Message | Uint8Array, from?: UdpSocket): void
}

export type Script = (asked: Asked) => Message | Uint8Array | null

export function record<T extends KnownType>(name: string, type: T, data: RecordFields[T], ttl = 300): ResourceRecord {
  return { name, type, class: 1, ttl, data } as unknown as ResourceRecord
}

export const a = (name: string, text: string, ttl = 300): ResourceRecord => record(name, 'A', { address: address(text) }, ttl)
export const aaaa = (name: string, text: string, ttl = 300): ResourceRecord =>
  record(name, 'AAAA', { address: address(text) }, ttl)
export const cname = (name: string, to: string, ttl = 300): ResourceRecord => record(name, 'CNAME', { cname: to }, ttl)
export const soa = (name: string, minimum = 60, ttl = 300): ResourceRecord =>
  record(name, 'SOA', { mname: `ns.${name}`, rname: `host.${name}`, serial: 1, refresh: 2, retry: 3, expire: 4, minimum }, ttl)

/** The question back, with what is given. */
export function reply(asked: Asked, given: Partial<Message> = {}): Message {
  const { id, questions, edns } = asked.message
  const ours = edns === null ? null : { udpPayloadBytes: 1232, version: 0, dnssecOk: false, options: [] }
  return message({ id, questions, isResponse: true, recursionDesired: true, recursionAvailable: true, edns: ours, ...given })
}

/** What a recursive server says that knows these records, the SOAs of their zones among them. */
export function zone(...records: ResourceRecord[]): Script {
  return (asked) => {
    const answers: ResourceRecord[] = []
    let name = asked.name
    for (let links = 0; links < 16; links++) {
      const here = records.filter((r) => r.name.toLowerCase() === name)
      const found = here.filter((r) => asked.type === 'ANY' || r.type === asked.type)
      answers.push(...found)
      if (found.length > 0) return reply(asked, { answers })
      const link = here.find((r) => isType(r, 'CNAME'))
      if (link === undefined || !isType(link, 'CNAME')) {
        const authorities = records.filter((r) => r.type === 'SOA' && isWithin(name, r.name))
        return reply(asked, { answers, authorities, rcode: here.length > 0 ? Rcode.NOERROR : Rcode.NXDOMAIN })
      }
      answers.push(link)
      name = link.data.cname.toLowerCase()
    }
    return reply(asked, { answers })
  }
}

export class TestServer implements UdpHandler {
  readonly asked: Asked[] = []
  readonly socket: UdpSocket
  private readonly datagram = new Datagram(new Uint8Array(2048))

  constructor(
    readonly stack: Stack,
    public script: Script,
    local: string,
    port = 53,
    /** TCP as well; bytes of an answer that are written at once. */
    tcpPiece = 65537,
  ) {
    this.socket = stack.udp.open(this, { family: address(local).isV4 ? 4 : 6, ref: false })
    this.socket.bind(local, port)
    if (tcpPiece > 0) stack.tcp.listen({ address: local, port, ref: false }, { onConnection: (c) => this.accept(c, tcpPiece) })
  }

  /** `A www.example.com`, with `/tcp` behind it where it came that way. */
  get log(): string[] {
    return this.asked.map((q) => `${q.type} ${q.name}${q.overTcp ? '/tcp' : ''}`)
  }

  onReadable(socket: UdpSocket): void {
    const d = this.datagram
    while (socket.receive(d)) {
      const to = d.address.clone()
      const { port } = d
      const send = (bytes: Message | Uint8Array, from = socket): void => {
        const out = bytes instanceof Uint8Array ? bytes : encodeMessage(bytes)
        from.send(out, 0, out.length, to, port)
      }
      const answer = this.ask(d.buf.slice(0, d.len), false, port, send)
      if (answer !== null) send(answer)
    }
  }

  private ask(bytes: Uint8Array, overTcp: boolean, port: number, more: Asked['more']): Message | Uint8Array | null {
    const { message: query } = decodeMessage(bytes)
    if (query === null) throw new Error('the resolver sent what cannot be read')
    const [{ name, type }] = query.questions
    const asked = { message: query, name: name.toLowerCase(), type, overTcp, port, more }
    this.asked.push(asked)
    return this.script(asked)
  }

  private accept(connection: RawConnection, piece: number): void {
    let got: number[] = []
    const handler: ConnectionHandler = {
      onReadable: () => {
        const buf = new Uint8Array(connection.readable)
        connection.read(buf, 0, buf.length)
        got.push(...buf)
        if (got.length < 2 || got.length < 2 + ((got[0] << 8) | got[1])) {
          if (connection.ended) connection.shutdown()
          return
        }
        const query = Uint8Array.from(got.slice(2))
        got = []
        const answer = this.ask(query, true, connection.remotePort, () => undefined)
        if (answer === null) connection.close()
        else {
          const bytes = answer instanceof Uint8Array ? answer : encodeMessage(answer)
          const out = Uint8Array.from([bytes.length >> 8, bytes.length & 255, ...bytes])
          connection.setNoDelay(true)
          this.send(connection, out, 0, piece)
        }
      },
    }
    connection.handler = handler
  }

  /** In pieces, 5 ms apart, so that each is a segment of its own. */
  private send(connection: RawConnection, out: Uint8Array, from: number, piece: number): void {
    const n = Math.min(piece, out.length - from)
    connection.write(out, from, n)
    if (from + n < out.length) this.stack.host.after(5, { run: () => this.send(connection, out, from + n, piece) })
  }
}
