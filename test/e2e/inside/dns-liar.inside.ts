/** The resolver against a server that lies, on the kernel's own sockets: malformed, cut, late, forged and circular answers, over a tap. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeMessage, encodeMessage, type Message, message } from '../../../src/dns/message.ts'
import { a, cname } from '../../support/dns-server.ts'
import { HOST, Lab, quietKernel, sh } from './lab.ts'

const OTHER = '10.0.0.3'

let lab: Lab
let udp: Socket
let forger: Socket
let stranger: Socket
let tcp: Server
/** What is said to a question over UDP: any number of datagrams, from any of the sockets. */
let script: (query: Message, send: (m: Message | Uint8Array, from?: Socket, afterMs?: number) => void) => void = () => undefined
/** The same over TCP; null: the connection is closed. */
let overTcp: (query: Message) => Message | Uint8Array | null = () => null
const asked: string[] = []

function right(query: Message, given: Partial<Message> = {}): Message {
  const [{ name }] = query.questions
  return message({
    id: query.id,
    questions: query.questions,
    isResponse: true,
    recursionAvailable: true,
    answers: [a(name, '192.0.2.1', 0)],
    ...given,
  })
}

const forged = (query: Message, given: Partial<Message> = {}): Message =>
  right(query, { answers: [a(query.questions[0].name, '203.0.113.66', 0)], ...given })
const bytes = (m: Message | Uint8Array): Uint8Array => (m instanceof Uint8Array ? m : encodeMessage(m))

async function bound(address: string, port: number): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(port, address)
  await once(socket, 'listening')
  return socket
}

beforeAll(async () => {
  quietKernel()
  lab = await Lab.open({ config: { dns: { servers: [HOST], timeoutMs: 300, attempts: 2 } } })
  sh(`ip addr add ${OTHER}/24 dev tap0`)
  udp = await bound(HOST, 53)
  forger = await bound(HOST, 5353)
  stranger = await bound(OTHER, 53)
  udp.on('message', (data: Buffer, from: RemoteInfo) => {
    const query = decodeMessage(new Uint8Array(data)).message!
    asked.push('udp')
    script(query, (m, socket = udp, afterMs = 0) => {
      const say = (): void => socket.send(bytes(m), from.port, from.address)
      if (afterMs === 0) say()
      else setTimeout(say, afterMs)
    })
  })
  tcp = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      asked.push('tcp')
      const answer = overTcp(decodeMessage(new Uint8Array(data.subarray(2))).message!)
      if (answer === null) {
        socket.end()
        return
      }
      const out = bytes(answer)
      // In two pieces, the length itself cut.
      socket.setNoDelay(true)
      socket.write(Uint8Array.of(out.length >> 8))
      setImmediate(() => socket.write(Uint8Array.from([out.length & 255, ...out])))
    })
  })
  tcp.listen(53, HOST)
  await once(tcp, 'listening')
})

afterAll(async () => {
  for (const socket of [udp, forger, stranger]) socket.close()
  tcp.close()
  await lab.close()
})

let names = 0

/** Resolves a name that nobody has asked for yet: `192.0.2.1`, or the code. */
async function resolved(): Promise<string> {
  asked.length = 0
  try {
    return (await lab.stack.dns.promises.resolve4(`host-${names++}.example`)).join(' ')
  } catch (error) {
    return (error as { code: string }).code
  }
}

/** What the resolver counted meanwhile. */
async function counted(what: string, ask: () => Promise<unknown>): Promise<number> {
  const before = lab.counter('dns', what)
  await ask()
  return lab.counter('dns', what) - before
}

describe('a server that lies', () => {
  it('malformed in every way that has a counter', async () => {
    const head = ({ id }: Message, counts: number[]): number[] => [
      id >> 8,
      id & 255,
      0x81,
      0x80,
      ...counts.flatMap((n) => [0, n]),
    ]
    const kinds: Record<string, (q: Message) => number[]> = {
      dropBadShort: (q) => head(q, [1, 0, 0, 0]),
      dropBadPointer: (q) => [...head(q, [1, 0, 0, 0]), 0xc0, 12, 0, 1, 0, 1],
      dropBadLabel: (q) => [...head(q, [1, 0, 0, 0]), 0x80, 0, 0, 1, 0, 1],
      dropBadNameLength: (q) => [
        ...head(q, [1, 0, 0, 0]),
        ...Array(5)
          .fill([63, ...Array(63).fill(97)])
          .flat(),
        0,
        0,
        1,
        0,
        1,
      ],
      dropBadRdata: (q) => [...head(q, [0, 1, 0, 0]), 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 3, 1, 2, 3],
      dropBadOpt: (q) => [...head(q, [0, 1, 0, 0]), 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0],
      dropBadCounts: (q) => [...head(q, [0, 0, 0, 0]), 1, 2, 3],
    }
    for (const [counter, make] of Object.entries(kinds)) {
      script = (query, send) => send(Uint8Array.from(make(query)))
      let said = ''
      const n = await counted(counter, async () => {
        said = await resolved()
      })
      expect([counter, said, n]).toEqual([counter, 'EBADRESP', 2])
    }
  })

  it('answers that were cut: over TCP, where they come in pieces', async () => {
    script = (query, send) => send(right(query, { truncated: true, answers: [] }))
    overTcp = (query) =>
      right(query, {
        answers: Array.from({ length: 2000 }, (_, i) => a(query.questions[0].name, `10.2.${i >> 8}.${i & 255}`, 0)),
      })
    expect((await resolved()).split(' ').length).toBe(2000)
    expect(asked).toEqual(['udp', 'tcp'])
    overTcp = () => null
    expect(await resolved()).toBe('EBADRESP')
  })

  it('late ones: the answer of the second round counts, the one of the first finds nobody', async () => {
    let first = true
    script = (query, send) => {
      if (first) send(forged(query), udp, 320)
      else send(right(query), udp, 40)
      first = false
    }
    expect(await counted('timeouts', async () => expect(await resolved()).toBe('192.0.2.1'))).toBe(1)
  })

  it('forged ones: another number, port, address, question; a flood of guesses leads to TCP', async () => {
    script = (query, send) => {
      send(forged(query, { id: query.id ^ 1 }))
      send(forged(query), forger)
      send(forged(query), stranger)
      send(forged(query, { questions: [{ ...query.questions[0], name: 'other.example' }] }))
      send(forged(query, { isResponse: false }))
      send(right(query))
    }
    expect(await resolved()).toBe('192.0.2.1')
    script = (query, send) => {
      for (let i = 1; i < 20; i++) send(forged(query, { id: query.id ^ i }))
    }
    overTcp = right
    expect(await counted('tcpForMismatches', async () => expect(await resolved()).toBe('192.0.2.1'))).toBe(1)
    script = (query, send) =>
      send(forged(query, { questions: [{ ...query.questions[0], name: query.questions[0].name.toLowerCase() }] }))
    expect(await counted('dropCase', async () => expect(await resolved()).toBe('192.0.2.1'))).toBe(1)
  })

  it('circles: of CNAMEs in one answer and over many', async () => {
    script = (query, send) => {
      const [{ name }] = query.questions
      send(right(query, { answers: [cname(name, 'b.example', 0), cname('b.example', name, 0)] }))
    }
    expect(await resolved()).toBe('EBADRESP')
    let n = 0
    script = (query, send) => send(right(query, { answers: [cname(query.questions[0].name, `c-${n++}.example`, 0)] }))
    expect(await resolved()).toBe('EBADRESP')
    expect(n).toBeLessThan(15)
  })

  it('silence, and nothing is left', async () => {
    script = () => undefined
    expect(await resolved()).toBe('ETIMEOUT')
    expect(asked.length).toBe(2)
    expect(lab.stack.udp.sockets().filter((s) => s.remotePort === 53)).toEqual([])
  })
})
