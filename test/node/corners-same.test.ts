/**
 * Corners of node:net in which programs were seen to stand (Node's own tests found us wrong in them): the same scenario on Node's module and on ours.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import diagnostics from 'node:diagnostics_channel'
import type nodeDns from 'node:dns'
import nodeNet from 'node:net'
import { describe, expect, it } from 'vitest'
import { NetError } from '../../src/base/errors.ts'
import { createStack } from '../../src/node/stack.ts'
import { both, event, listening, type Net, realStack } from '../support/node-shape.ts'

/** What programs look at though it is nobody's interface. */
interface Inner {
  _connecting: boolean
  _bytesDispatched: number
  _host?: string
  _server: unknown
  _handle: InnerHandle | null
  _connectionKey?: string
  _getsockname(): object
  _getpeername(): object
}

interface InnerHandle {
  bytesRead: number
  hasRef(): boolean
  ref(): void
  unref(): void
  getAsyncId(): number
  getsockname(out: object): number
  getpeername(out: object): number
}

function inner(what: object): Inner {
  return what as unknown as Inner
}

/** A connected pair, closed by `done`. */
async function connected(net: Net, host: string, options: Partial<nodeNet.TcpNetConnectOpts> = {}) {
  const server = net.createServer({ allowHalfOpen: true })
  const port = await listening(server, host)
  const accepted = event(server, 'connection') as Promise<nodeNet.Socket>
  const client = net.connect({ port, host, ...options })
  await event(client, 'connect')
  const peer = await accepted
  const done = async (): Promise<void> => {
    client.destroy()
    peer.destroy()
    server.close()
    await event(server, 'close')
  }
  return { server, client, peer, port, done }
}

describe('below the interface', () => {
  both('what a socket shows of its connection', async ({ net, host, log }) => {
    const fresh = new net.Socket()
    log('fresh', inner(fresh)._handle, inner(fresh)._connecting, inner(fresh)._getsockname(), inner(fresh)._getpeername())
    const server = net.createServer((s) => s.resume().end('hello'))
    const port = await listening(server, host)
    const client = net.connect(port, host)
    log('client', 'at once', inner(client)._connecting, inner(client)._handle !== null, inner(client)._bytesDispatched)
    await event(client, 'connect')
    const handle = inner(client)._handle!
    const [name, peer] = [{}, {}]
    log('client', inner(client)._connecting, handle.getsockname(name), name, handle.getpeername(peer), peer)
    log('client', inner(client)._getsockname(), inner(client)._getpeername(), typeof handle.getAsyncId())
    client.write('seven b')
    await event(client.resume(), 'end')
    log('client', inner(client)._bytesDispatched, handle.bytesRead)
    await event(client, 'close')
    log('client', 'closed', inner(client)._handle, inner(client)._bytesDispatched, inner(client)._getpeername())
    server.close()
    await event(server, 'close')
  })

  both('a handle that keeps the process alive or not', async ({ net, host, log }) => {
    const { client, server, done } = await connected(net, host)
    const handle = inner(client)._handle!
    log('client', handle.hasRef())
    client.unref()
    log('client', handle.hasRef())
    handle.ref()
    log('client', handle.hasRef())
    const listener = inner(server)._handle!
    log('server', listener.hasRef(), typeof listener.getAsyncId())
    listener.unref()
    log('server', listener.hasRef())
    await done()
    log('server', inner(server)._handle)
  })

  both('what a server was asked to listen on', async ({ net, host, log }) => {
    const server = net.createServer()
    log('server', inner(server)._connectionKey, inner(server)._handle)
    await listening(server, host)
    log('server', inner(server)._connectionKey)
    server.close()
    await event(server, 'close')
  })

  both('the accepted socket knows its server', async ({ net, host, log }) => {
    const { peer, server, client, done } = await connected(net, host)
    log('peer', inner(peer)._server === server, (peer as unknown as { server: unknown }).server === server)
    log('client', inner(client)._server, (client as unknown as { server: unknown }).server)
    await done()
  })

  both('the prototype has getters, and nothing behind them', async ({ net, log }) => {
    const { prototype } = net.Socket
    log('prototype', prototype.bytesRead, prototype.bytesWritten, prototype.bufferSize)
  })

  both('arguments once they are read', async ({ net, log }) => {
    const { _normalizeArgs: read } = net as unknown as { _normalizeArgs(args: unknown[]): [object, unknown] }
    const then = (): void => {}
    for (const args of [[], [80], [80, 'a'], ['80', then], ['/tmp/x', then], [{ port: 1 }], [{ path: 'x' }, then], [then]]) {
      const [options, callback] = read(args)
      log('read', options, callback === then ? 'callback' : callback)
    }
  })

  both('tracers stand in the way of connect and see what it was given', async ({ net, host, log }) => {
    const server = net.createServer((s) => s.end())
    const port = await listening(server, host)
    const { connect } = net.Socket.prototype
    net.Socket.prototype.connect = function traced(this: nodeNet.Socket, ...args: unknown[]) {
      const [first] = args as [[nodeNet.TcpNetConnectOpts, unknown]]
      log('tracer', args.length, Array.isArray(first), first[0].port === port, typeof first[1])
      return Reflect.apply(connect, this, args)
    } as typeof connect
    try {
      const client = net.connect(port, host, () => log('client', 'connected'))
      await event(client.resume(), 'close')
    } finally {
      net.Socket.prototype.connect = connect
    }
    server.close()
    await event(server, 'close')
  })
})

describe('onread', () => {
  both('is called with the socket as `this`, which may pause itself', async ({ net, host, log }) => {
    const server = net.createServer((s) => s.end('a message of twenty-four'))
    const port = await listening(server, host)
    let paused = false
    const client = net.connect({
      port,
      host,
      onread: {
        buffer: Buffer.alloc(8),
        callback(this: nodeNet.Socket, n: number, buffer: Uint8Array) {
          log('client', this === client, paused, Buffer.from(buffer.subarray(0, n)).toString())
          paused = true
          this.pause()
          setImmediate(() => {
            paused = false
            this.resume()
            log('client', 'resumed')
          })
          return true
        },
      },
    })
    await event(client, 'end')
    client.destroy()
    server.close()
    await event(server, 'close')
  })
})

describe('diagnostics_channel', () => {
  both('tells of sockets and servers', async ({ net, host, log }) => {
    const seen: Record<string, object> = {}
    const names = [
      'net.client.socket',
      'net.server.socket',
      'tracing:net.server.listen:asyncStart',
      'tracing:net.server.listen:asyncEnd',
    ]
    const subscriptions = names.map((name) => {
      const listener = (message: unknown): void => {
        log(name, Object.keys(message as object))
        seen[name] = message as object
      }
      diagnostics.subscribe(name, listener)
      return () => diagnostics.unsubscribe(name, listener)
    })
    const { client, peer, server, done } = await connected(net, host)
    for (const end of subscriptions) end()
    const { socket } = seen['net.client.socket'] as { socket: unknown }
    const { socket: accepted } = seen['net.server.socket'] as { socket: unknown }
    const { server: started } = seen[names[2]] as { server: unknown }
    log('same', socket === client, accepted === peer, started === server)
    await done()
  })

  both('tells of a server that cannot listen', async ({ net, host, log }) => {
    const first = net.createServer()
    const port = await listening(first, host)
    const name = 'tracing:net.server.listen:error'
    const listener = (message: unknown): void => log(name, (message as { error: Error }).error)
    diagnostics.subscribe(name, listener)
    const second = net.createServer().listen(port, host)
    await event(second, 'error')
    diagnostics.unsubscribe(name, listener)
    first.close()
    await event(first, 'close')
  })
})

describe('names', () => {
  it('are looked up by whatever stands at dns.lookup, by connect, listen and dgram', async () => {
    const stack = realStack()
    const asked: string[] = []
    stack.dns.lookup = ((name: string, options: unknown, callback: (e: null, found: unknown, family?: number) => void) => {
      asked.push(name)
      const all = (options as { all?: boolean }).all
      process.nextTick(callback, null, all ? [{ address: '10.0.0.1', family: 4 }] : '10.0.0.1', 4)
    }) as unknown as typeof nodeDns.lookup
    const server = stack.net.createServer((s) => s.end())
    server.listen(80, 'the.server')
    await event(server, 'listening')
    await event(stack.net.connect(80, 'the.name').resume(), 'close')
    const socket = stack.dgram.createSocket('udp4').bind(0, 'the.socket')
    await event(socket, 'listening')
    expect(socket.address().address).toBe('10.0.0.1')
    expect(asked).toEqual(['the.server', 'the.name', 'the.socket'])
    await stack.close()
  })

  it('come in the order that dns.setDefaultResultOrder says', async () => {
    const stack = createStack({ dns: { hosts: '10.0.0.1 both\nfd00::1 both' } })
    const first = async (order: 'ipv4first' | 'ipv6first'): Promise<unknown> => {
      stack.dns.setDefaultResultOrder(order)
      const socket = stack.net.connect(80, 'both').on('error', () => {})
      const address = await new Promise((resolve) => socket.once('lookup', (_e, ip) => resolve(ip)))
      socket.destroy()
      return address
    }
    expect(await first('ipv6first')).toBe('fd00::1')
    expect(await first('ipv4first')).toBe('10.0.0.1')
    await stack.close()
  })
})

describe('what a stack has not', () => {
  it('is refused by name: handles, descriptors and paths', async () => {
    const { net } = realStack()
    const handle = { getAsyncId: () => 1 }
    const listen = (...args: unknown[]) => (net.createServer() as unknown as { listen(...a: unknown[]): void }).listen(...args)
    const tries: (() => unknown)[] = [
      () => new net.Socket({ handle } as object),
      () => new net.Socket({ fd: 3 }),
      () => net.connect('/tmp/x'),
      () => listen(handle),
      () => listen({ _handle: handle }),
      () => listen({ handle }),
      () => listen({ fd: 3 }),
      () => listen('/tmp/x'),
      () => listen({ path: '/tmp/x' }),
    ]
    for (const one of tries) {
      expect(one).toThrow(NetError)
      expect(one).toThrow(expect.objectContaining({ code: 'ERR_TAPSTACK_UNSUPPORTED' }))
    }
  })
})

describe('the end of a stream', () => {
  both('is heard after all that its last bytes set going', async ({ net, host, log }) => {
    const server = net.createServer({ allowHalfOpen: true }, (s) => {
      s.on('data', () => {
        const later = (n: number): void => {
          log('server', 'after', n)
          if (n > 0) process.nextTick(later, n - 1)
        }
        later(3)
        Promise.resolve().then(() => log('server', 'promise'))
      })
      s.on('end', () => s.end(log('server', 'end') as undefined))
    })
    const port = await listening(server, host)
    const client = net.connect(port, host)
    client.end('and that was all')
    await event(client.resume(), 'close')
    server.close()
    await event(server, 'close')
  })

  it('is no reason for an http server not to answer', async () => {
    const stack = realStack()
    const server = stack.http.createServer((req, res) => req.resume().on('end', () => res.end('answered')))
    server.listen(80)
    await event(server, 'listening')
    const client = stack.net.connect(80, '10.0.0.1')
    let text = ''
    client.on('data', (chunk) => (text += chunk)).end('GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody')
    await event(client, 'close')
    expect(text).toMatch(/^HTTP\/1.1 200 OK.*answered/s)
    await stack.close()
  })
})

describe('a signal that was aborted before', () => {
  both('keeps a socket from trying the addresses of a name', async ({ net, host, foreign, log }) => {
    const server = net.createServer(() => log('server', 'connection'))
    const port = await listening(server, host)
    const lookup = (_name: string, _options: object, callback: (error: null, found: object[]) => void): void => {
      process.nextTick(callback, null, [
        { address: host, family: 4 },
        { address: foreign, family: 4 },
      ])
    }
    const client = net.connect({ port, host: 'name', lookup, signal: AbortSignal.abort() } as unknown as nodeNet.NetConnectOpts)
    for (const name of ['lookup', 'connectionAttempt', 'connect']) client.on(name, () => log('client', name))
    client.on('error', (error) => log('client', error.name, client.destroyed))
    await event(client, 'close')
    for (let i = 0; i < 3; i++) await new Promise(setImmediate)
    log('client', 'connecting', client.connecting)
    client.destroy()
    server.close()
    await event(server, 'close')
  })
})

describe('async contexts', () => {
  both('an accepted connection runs in the context of listen, a client in that of connect', async ({ net, host, log }) => {
    const storage = new AsyncLocalStorage<string>()
    const server = net.createServer((s) => {
      log('server', storage.getStore())
      s.resume()
    })
    const port = await storage.run('listening', () => listening(server, host))
    const client = storage.run('connecting', () => net.connect(port, host))
    client.on('connect', () => {
      log('client', storage.getStore())
      storage.run('writing', () => client.end('x', () => log('written', storage.getStore())))
    })
    client.on('close', () => log('client', 'close', storage.getStore()))
    await event(client.resume(), 'close')
    server.close()
    await event(server, 'close')
  })
})

it('takes the defaults of the command line from Node', () => {
  const { net } = realStack()
  expect(net.getDefaultAutoSelectFamily()).toBe(nodeNet.getDefaultAutoSelectFamily())
  expect(net.getDefaultAutoSelectFamilyAttemptTimeout()).toBe(nodeNet.getDefaultAutoSelectFamilyAttemptTimeout())
})
