/**
 * Two stacks in one process, joined by a pipe, on the real clock: what TCP itself costs, with no kernel in it.
 *
 * One workload per process (`node --expose-gc memory.js WORKLOAD SECONDS`), one JSON line out. Every workload warms up first, runs a bounded
 * time, and reads what it is sent, as an application would. In the raw shape the payload is copied twice on its way in and twice on its way out (ring,
 * frame, ring, reader), which all tables of this benchmark include.
 */

import nodeHttp from 'node:http'
import type { AddressInfo } from 'node:net'
import { allocate } from '../src/base/arena.ts'
import { createPipe } from '../src/link/pipe.ts'
import { createStack, type NodeStack } from '../src/node/stack.ts'
import type { RawConnection } from '../src/tcp/api.ts'

const CLIENT = '10.9.0.1'
const SERVER = '10.9.0.2'
const BLOCK = 131_072
const WARM_MS = 1000
/** Connections of connect+close spread over this many server ports: 28,000 ephemeral ports alone are in TIME-WAIT within the second. */
const PORTS = 64
/** The most connections a run opens: no tuple comes back while it is in TIME-WAIT. */
const MOST_CONNECTIONS = 1_000_000

type Http = Pick<typeof nodeHttp, 'createServer' | 'get'> & { Agent: new (options: nodeHttp.AgentOptions) => nodeHttp.Agent }

interface World {
  client: NodeStack
  server: NodeStack
}

export type Result = Record<string, number | string | boolean>

function world(offload: boolean): World {
  const client = createStack({ name: 'client' })
  const server = createStack({ name: 'server' })
  const [a, b] = createPipe({ offload })
  client.attach(a, { addresses: [`${CLIENT}/24`], probe: false })
  server.attach(b, { addresses: [`${SERVER}/24`], probe: false })
  return { client, server }
}

/** `cpu_pct` well below 100: somebody else had the core, and the rate is too low by as much. */
type Time = { seconds: number; cpu_pct: number }

/** Counts from `WARM_MS` on and ends after `seconds` more. */
class Meter {
  readonly began = performance.now()
  count = 0
  private from = 0
  private readonly startAt: number
  private readonly stopAt: number
  private cpu = process.cpuUsage()
  private onStart: (() => void) | null = null

  constructor(
    seconds: number,
    private readonly finished: (perSecond: number, time: Time) => void,
  ) {
    this.startAt = this.began + WARM_MS
    this.stopAt = this.startAt + seconds * 1000
  }

  whenWarm(run: () => void): void {
    this.onStart = run
  }

  /** True once the time is over. */
  add(n: number): boolean {
    const now = performance.now()
    if (this.from === 0) {
      if (now < this.startAt) return false
      this.from = now
      this.count = 0
      this.onStart?.()
      this.cpu = process.cpuUsage()
      return false
    }
    this.count += n
    if (now < this.stopAt) return false
    const elapsed = (now - this.from) / 1000
    const { user, system } = process.cpuUsage(this.cpu)
    this.finished(this.count / elapsed, { seconds: elapsed, cpu_pct: (user + system) / 1e4 / elapsed })
    return true
  }
}

function bulkRaw(offload: boolean, seconds: number): Promise<Result> {
  const { client, server } = world(offload)
  const block = allocate(BLOCK).fill(0x61)
  const sink = allocate(BLOCK)
  return new Promise((resolve) => {
    let heap = 0
    let segments = 0
    const sent = (): number => client.counters().tcp.tcpInSegs + server.counters().tcp.tcpInSegs
    let over = false
    const meter = new Meter(seconds, (perSecond, time) => {
      over = true
      const grown = process.memoryUsage().heapUsed - heap
      const total = sent() - segments
      resolve({ mbit_s: (perSecond * 8) / 1e6, ...time, segments: total, heap_bytes_per_segment: grown / total })
    })
    meter.whenWarm(() => {
      globalThis.gc?.()
      segments = sent()
      heap = process.memoryUsage().heapUsed
    })
    server.tcp.listen(
      { port: 9 },
      {
        onConnection(c) {
          c.handler = {
            onReadable(conn) {
              for (;;) {
                const n = conn.read(sink, 0, sink.length)
                if (n === 0) return
                if (!over) meter.add(n)
              }
            },
          }
        },
      },
    )
    const fill = (c: RawConnection): void => {
      while (!over && c.write(block, 0, block.length) > 0);
    }
    client.tcp.open({ remoteAddress: SERVER, remotePort: 9 }, { onConnect: fill, onWritable: fill })
  })
}

function bulkNode(offload: boolean, seconds: number): Promise<Result> {
  const { client, server } = world(offload)
  const block = Buffer.alloc(BLOCK, 0x61)
  return new Promise((resolve) => {
    let over = false
    const meter = new Meter(seconds, (perSecond, time) => {
      over = true
      resolve({ mbit_s: (perSecond * 8) / 1e6, ...time })
    })
    const listener = server.net.createServer((socket) => {
      socket.on('data', (chunk: Buffer) => {
        if (!over) meter.add(chunk.length)
      })
    })
    listener.listen(9, SERVER, () => {
      const socket = client.net.connect({ host: SERVER, port: 9 })
      const fill = (): void => {
        while (!over && socket.write(block));
      }
      socket.on('connect', fill)
      socket.on('drain', fill)
    })
  })
}

function pingpongRaw(seconds: number): Promise<Result> {
  const { client, server } = world(true)
  const one = Uint8Array.of(0x61)
  return new Promise((resolve) => {
    const meter = new Meter(seconds, (perSecond, time) => resolve({ per_s: perSecond, ...time }))
    const back = new Uint8Array(16)
    server.tcp.listen(
      { port: 7, noDelay: true },
      {
        onConnection(c) {
          c.handler = {
            onReadable(conn) {
              const n = conn.read(back, 0, back.length)
              if (n > 0) conn.write(back, 0, n)
            },
          }
        },
      },
    )
    client.tcp.open(
      { remoteAddress: SERVER, remotePort: 7, noDelay: true },
      {
        onConnect: (c) => void c.write(one, 0, 1),
        onReadable(c) {
          const n = c.skip(16)
          if (n > 0 && !meter.add(n)) c.write(one, 0, 1)
        },
      },
    )
  })
}

function pingpongNode(seconds: number): Promise<Result> {
  const { client, server } = world(true)
  return new Promise((resolve) => {
    const meter = new Meter(seconds, (perSecond, time) => resolve({ per_s: perSecond, ...time }))
    const listener = server.net.createServer((socket) => {
      socket.setNoDelay(true)
      socket.on('data', (chunk: Buffer) => socket.write(chunk))
    })
    listener.listen(7, SERVER, () => {
      const socket = client.net.connect({ host: SERVER, port: 7, noDelay: true })
      const one = Buffer.from('a')
      socket.on('connect', () => socket.write(one))
      socket.on('data', (chunk: Buffer) => {
        if (!meter.add(chunk.length)) socket.write(one)
      })
    })
  })
}

function connectRaw(seconds: number): Promise<Result> {
  const { client, server } = world(true)
  return new Promise((resolve, reject) => {
    let over = false
    let opened = 0
    const meter = new Meter(seconds, (perSecond, time) => {
      over = true
      resolve({ per_s: perSecond, ...time, opened })
    })
    const accepted = {
      onReadable(c: RawConnection) {
        if (c.ended) c.close()
      },
    }
    const acceptor = {
      onConnection(c: RawConnection) {
        c.handler = accepted
      },
    }
    for (let i = 0; i < PORTS; i++) {
      server.tcp.listen({ port: 1000 + i }, acceptor)
    }
    const handler = {
      onConnect: (c: RawConnection) => c.shutdown(),
      onReadable(c: RawConnection) {
        if (c.ended) c.close()
      },
      onClose(_c: RawConnection, error: Error | null) {
        if (error !== null) reject(error)
        else if (!meter.add(1) && !over) next()
      },
    }
    const next = (): void => {
      if (opened >= MOST_CONNECTIONS) reject(new Error('connection budget used up before the time was over'))
      else client.tcp.open({ remoteAddress: SERVER, remotePort: 1000 + (opened++ % PORTS) }, handler)
    }
    // A few at a time, as a client with a pool would: one alone measures only the latency of a turn.
    for (let i = 0; i < 16; i++) next()
  })
}

function connectNode(seconds: number): Promise<Result> {
  const { client, server } = world(true)
  return new Promise((resolve, reject) => {
    let over = false
    let opened = 0
    const meter = new Meter(seconds, (perSecond, time) => {
      over = true
      resolve({ per_s: perSecond, ...time, opened })
    })
    const net = client.net
    const serverNet = server.net
    let listening = 0
    const next = (): void => {
      if (opened >= MOST_CONNECTIONS) {
        reject(new Error('connection budget used up before the time was over'))
        return
      }
      const socket = net.connect({ host: SERVER, port: 1000 + (opened++ % PORTS) })
      socket.on('connect', () => socket.end())
      socket.on('error', reject)
      socket.on('close', () => {
        if (!meter.add(1) && !over) next()
      })
      socket.resume()
    }
    for (let i = 0; i < PORTS; i++) {
      serverNet
        .createServer((socket) => void socket.resume())
        .listen(1000 + i, SERVER, () => {
          if (++listening === PORTS) for (let k = 0; k < 16; k++) next()
        })
    }
  })
}

/** Requests over 16 connections that are kept alive: both ends in this process, on ours or on the kernel's loopback. */
function requests(seconds: number, servers: Http, clients: Http, host: string): Promise<Result> {
  return new Promise((resolve, reject) => {
    const meter = new Meter(seconds, (perSecond, time) => resolve({ per_s: perSecond, ...time }))
    const server = servers.createServer((_request, response) => response.end('hello'))
    server.listen(0, host, () => {
      const { port } = server.address() as AddressInfo
      const agent = new clients.Agent({ keepAlive: true, maxSockets: 16 })
      const next = (): void => {
        const request = clients.get({ host, port, agent }, (response) => {
          response.resume()
          response.on('end', () => {
            if (!meter.add(1)) next()
          })
        })
        request.on('error', reject)
      }
      for (let i = 0; i < 16; i++) next()
    })
  })
}

function requestsNode(seconds: number): Promise<Result> {
  const { client, server } = world(true)
  return requests(seconds, server.http, client.http, SERVER)
}

/** Reads by chunks as they come, or into one buffer of the reader's own, `byob` bytes long. */
async function drain(readable: ReadableStream<Uint8Array>, meter: Meter, byob: number): Promise<void> {
  if (byob === 0) {
    for await (const chunk of readable) if (meter.add(chunk.length)) return
    return
  }
  const reader = readable.getReader({ mode: 'byob' })
  let into = new Uint8Array(byob)
  for (;;) {
    const { value } = await reader.read(into)
    if (value === undefined || meter.add(value.length)) return
    into = new Uint8Array(value.buffer)
  }
}

function bulkWeb(offload: boolean, byob: number, seconds: number): Promise<Result> {
  const { client, server } = world(offload)
  const block = new Uint8Array(BLOCK).fill(0x61)
  return new Promise((resolve, reject) => {
    let over = false
    const meter = new Meter(seconds, (perSecond, time) => {
      over = true
      resolve({ mbit_s: (perSecond * 8) / 1e6, ...time })
    })
    const read = async (): Promise<void> => {
      for await (const socket of server.tcp.listen({ port: 9 })) return drain(socket.readable, meter, byob)
    }
    const write = async (): Promise<void> => {
      const writer = client.tcp.connect({ hostname: SERVER, port: 9 }).writable.getWriter()
      while (!over) {
        await writer.ready
        writer.write(block).catch(reject)
      }
    }
    read().catch(reject)
    write().catch(reject)
  })
}

const WORKLOADS: Record<string, (seconds: number) => Promise<Result>> = {
  'raw.bulk.super': (s) => bulkRaw(true, s),
  'raw.bulk.mtu1500': (s) => bulkRaw(false, s),
  'raw.pingpong': pingpongRaw,
  'raw.connect': connectRaw,
  'node.bulk.super': (s) => bulkNode(true, s),
  'node.bulk.mtu1500': (s) => bulkNode(false, s),
  'node.pingpong': pingpongNode,
  'node.connect': connectNode,
  'web.bulk.super': (s) => bulkWeb(true, 0, s),
  'web.bulk.byob': (s) => bulkWeb(true, 262_144, s),
  'web.bulk.mtu1500': (s) => bulkWeb(false, 0, s),
  'node.http': requestsNode,
  'kernel.http': (s) => requests(s, nodeHttp, nodeHttp, '127.0.0.1'),
}

const [name, seconds] = process.argv.slice(2)
const workload = WORKLOADS[name]
if (workload === undefined) {
  console.error(`usage: memory WORKLOAD SECONDS, with WORKLOAD one of ${Object.keys(WORKLOADS).join(', ')}`)
  process.exit(2)
}
const result = await workload(Number(seconds ?? 2))
console.log(JSON.stringify({ test: name, ok: true, ...result }))
process.exit(0)
