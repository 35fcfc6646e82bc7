import type { EventEmitter } from 'node:events'
import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { describe } from 'vitest'
import { bound, closed, same } from '../support/node-modules.ts'
import { event } from '../support/node-shape.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'

/** A kind of object as programs older than `class` make it: its constructor calls the other one's on itself. */
function heirOf<T extends EventEmitter>(
  of: unknown,
  mark: (heir: T & { mark: string }) => void,
): new (
  ...args: unknown[]
) => T & { mark: string } {
  function Heir(this: T & { mark: string }, ...args: unknown[]): void {
    Function.prototype.apply.call(of as () => void, this, args)
    mark(this)
  }
  Object.setPrototypeOf(Heir.prototype, (of as { prototype: object }).prototype)
  Object.setPrototypeOf(Heir, of as object)
  return Heir as unknown as new (
    ...args: unknown[]
  ) => T & { mark: string }
}

describe('heirs whose constructors call those of Node, the same as Node', () => {
  same('a socket and a server of net', async (env) => {
    const MyServer = heirOf<ReturnType<typeof env.net.createServer>>(env.net.Server, (s) => {
      s.mark = 'mine'
      s.on('connection', (socket: Socket) => socket.end(`hello of ${s.mark}`))
    })
    const server = new MyServer({ allowHalfOpen: true })
    const port = await bound(server, env.host)
    env.log('server', server.mark, server.listening, server instanceof env.net.Server)
    const MySocket = heirOf<Socket>(env.net.Socket, (s) => {
      s.mark = 'socket'
    })
    const socket = new MySocket({ highWaterMark: 1234 })
    env.log('client', socket instanceof env.net.Socket, socket.mark, socket.readableHighWaterMark, socket.pending)
    socket.connect(port, env.host)
    socket.on('data', (chunk) => env.log('client', chunk))
    await event(socket, 'close')
    env.log('client', socket.bytesRead, Object.getPrototypeOf(socket) === MySocket.prototype)
    await closed(server)
  })

  same('a server, an agent and a request of http', async (env) => {
    const MyServer = heirOf<HttpServer>(env.http.Server, (s) => {
      s.on('request', (req: IncomingMessage, res: { end(text: string): void }) => res.end(`${req.url} ${s.mark}`))
    })
    const server = new MyServer(() => {})
    server.mark = 'answered'
    const port = await bound(server, env.host)
    const MyAgent = heirOf<InstanceType<typeof env.http.Agent>>(env.http.Agent, (a) => {
      a.mark = 'agent'
    })
    const agent = new MyAgent({ keepAlive: true, maxSockets: 3 })
    env.log('client', agent.maxSockets, agent.mark, agent instanceof env.http.Agent)
    const MyRequest = heirOf<InstanceType<typeof env.http.ClientRequest>>(env.http.ClientRequest, (r) => {
      r.mark = 'request'
    })
    const request = new MyRequest({ host: env.host, port, path: '/a', agent })
    request.end()
    const response = (await event(request, 'response')) as IncomingMessage
    for await (const chunk of response) env.log('client', request.mark, String(chunk))
    agent.destroy()
    await closed(server)
  })
})

describe('what a module asks of another, the same as Node', () => {
  same('tls asks for the createSecureContext that stands in its module', async (env) => {
    const { tls } = env
    const { createSecureContext } = tls
    const server = tls.createServer({ key: TEST_KEY, cert: TEST_CERT }, (s) => s.end('hello'))
    const port = await bound(server, env.host)
    tls.createSecureContext = (options) => {
      env.log('client', options?.ciphers === tls.DEFAULT_CIPHERS, options?.minVersion)
      return createSecureContext({ ...options, ca: TEST_CERT })
    }
    try {
      const socket = tls.connect({ port, host: env.host, servername: 'localhost', minVersion: 'TLSv1.2' })
      socket.on('data', (chunk) => env.log('client', String(chunk), socket.authorized))
      await event(socket, 'close')
    } finally {
      tls.createSecureContext = createSecureContext
    }
    await closed(server)
  })

  same('close comes after immediates that were asked for with destroy', async (env) => {
    const server = env.net.createServer((s) => s.resume())
    const port = await bound(server, env.host)
    const client = env.net.connect(port, env.host)
    await event(client, 'connect')
    client.on('close', () => env.log('client', 'close'))
    client.destroy()
    setImmediate(() => env.log('client', 'immediate'))
    process.nextTick(() => env.log('client', 'tick'))
    await event(client, 'close')
    await closed(server)
  })
})
