/**
 * What the shapes of sockets and Node's protocols are measured against: `node node-peer.js kernel ADDRESS` serves by Node's own modules on the kernel,
 * `node node-peer.js URL ADDRESS/LEN` by a stack on that link. Prints `ready` once it answers.
 */
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import type { Writable } from 'node:stream'
import { openLink } from '../src/backend/open-link.ts'
import { allocate } from '../src/base/arena.ts'
import { createStack, type NodeStack } from '../src/node/stack.ts'
import type { RawConnection } from '../src/tcp/api.ts'
import { TEST_CERT, TEST_KEY } from '../test/support/test-certificate.ts'
import { BULK_BYTES, PORTS } from './node-ports.ts'

const BLOCK = 65_536
const block = Buffer.alloc(BLOCK, 0x61)

/** The calls that the two have in common. */
interface Modules {
  net: Pick<typeof net, 'createServer'>
  http: Pick<typeof http, 'createServer'>
  https: Pick<typeof https, 'createServer'>
}

/** Keeps a writable full until it has taken `bytes`, then ends it. */
function pour(out: Writable, bytes: number): void {
  let left = bytes
  const fill = (): void => {
    while (left > 0) {
      left -= BLOCK
      if (!out.write(block)) return
    }
    out.end()
  }
  out.on('drain', fill)
  fill()
}

function answer(request: http.IncomingMessage, response: http.ServerResponse): void {
  if (request.url !== '/bulk') response.end('hello')
  else {
    response.setHeader('content-length', BULK_BYTES)
    pour(response, BULK_BYTES)
  }
}

function serveNode(modules: Modules, host: string): Promise<unknown> {
  const ignore = (): void => undefined
  const echo = modules.net.createServer({ noDelay: true }, (socket) => {
    socket.on('error', ignore)
    socket.on('data', (chunk) => socket.write(chunk))
  })
  const sink = modules.net.createServer((socket) => {
    socket.on('error', ignore)
    socket.on('data', ignore)
  })
  const source = modules.net.createServer((socket) => {
    socket.on('error', ignore)
    pour(socket, Number.POSITIVE_INFINITY)
  })
  const plain = modules.http.createServer(answer)
  const secure = modules.https.createServer({ key: TEST_KEY, cert: TEST_CERT }, answer)
  const listening = [
    [echo, PORTS.echo],
    [sink, PORTS.sink.net],
    [source, PORTS.source.net],
    [plain, PORTS.http],
    [secure, PORTS.https],
  ] as const
  return Promise.all(listening.map(([server, port]) => new Promise<void>((resolve) => server.listen(port, host, resolve))))
}

function serveRaw(stack: NodeStack): void {
  const into = allocate(BLOCK)
  const from = allocate(BLOCK).fill(0x61)
  stack.tcp.listen(
    { port: PORTS.sink.raw },
    {
      onConnection(c) {
        c.handler = {
          onReadable(conn) {
            while (conn.read(into, 0, BLOCK) > 0);
            if (conn.ended) conn.close()
          },
        }
      },
    },
  )
  const fill = (c: RawConnection): void => {
    // It may have been reset while it waited to be accepted.
    if (c.writable > 0) while (c.write(from, 0, BLOCK) === BLOCK);
  }
  stack.tcp.listen(
    { port: PORTS.source.raw },
    {
      onConnection(c) {
        c.handler = { onWritable: fill }
        fill(c)
      },
    },
  )
}

function serveWeb(stack: NodeStack): void {
  const sink = async (): Promise<void> => {
    for await (const socket of stack.tcp.listen({ port: PORTS.sink.web })) {
      const reader = socket.readable.getReader()
      const read = async (): Promise<void> => {
        while (!(await reader.read()).done);
      }
      read().catch(() => undefined)
    }
  }
  const source = async (): Promise<void> => {
    for await (const socket of stack.tcp.listen({ port: PORTS.source.web })) {
      const writer = socket.writable.getWriter()
      const write = async (): Promise<void> => {
        for (;;) {
          await writer.ready
          writer.write(block).catch(() => undefined)
        }
      }
      write().catch(() => undefined)
    }
  }
  void sink()
  void source()
}

const [link, address] = process.argv.slice(2)
if (link === 'kernel') await serveNode({ net, http, https }, address)
else {
  const stack = createStack({ name: 'bench' })
  const [host] = address.split('/')
  stack.attach(await openLink(link), { addresses: [address], probe: false })
  await serveNode(stack as unknown as Modules, host)
  serveRaw(stack)
  serveWeb(stack)
}
console.log('ready')
process.on('SIGTERM', () => process.exit(0))
