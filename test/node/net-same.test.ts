import nodeNet from 'node:net'
import { describe, expect, it } from 'vitest'
import { both, type Env, event, fakeStack, listening, type Net, watch } from '../support/node-shape.ts'

/** A server with one connection, both sides watched; resolves when everything has closed. */
async function pair(
  env: Env,
  onServer: (socket: nodeNet.Socket, env: Env) => void,
  onClient: (socket: nodeNet.Socket, env: Env) => void,
  serverOptions: nodeNet.ServerOpts = {},
  clientOptions: Partial<nodeNet.NetConnectOpts> = {},
): Promise<void> {
  const server = env.net.createServer(serverOptions)
  const port = await listening(server, env.host)
  const accepted = new Promise<void>((resolve) => {
    server.on('connection', (socket) => {
      watch(env, 'server', socket)
      socket.on('close', () => resolve())
      onServer(socket, env)
    })
  })
  const client = env.net.connect({ ...clientOptions, port, host: env.host } as nodeNet.NetConnectOpts)
  watch(env, 'client', client)
  onClient(client, env)
  const done = event(client, 'close')
  await accepted
  await done
  server.close()
  await event(server, 'close')
}

describe('net, the same events as Node', () => {
  both('an echo', (env) =>
    pair(
      env,
      (s) => s.pipe(s),
      (c) => c.end('hello'),
    ),
  )

  both('the server says goodbye', (env) =>
    pair(
      env,
      (s) => s.end('bye'),
      () => {},
    ),
  )

  both('half-open on both sides', (env) =>
    pair(
      env,
      (s) => s.on('end', () => s.end('after your end')),
      (c) => c.end('mine'),
      { allowHalfOpen: true },
      { allowHalfOpen: true },
    ),
  )

  both('write callbacks, before and after connect', (env) =>
    pair(
      env,
      () => {},
      (c) => {
        c.write('one', (e) => env.log('writes', 'one', e, c.bytesWritten))
        c.write('zwei', 'utf8', (e) => env.log('writes', 'zwei', e))
        env.log('writes', 'at once', c.bytesWritten, c.bufferSize, c.readyState, c.pending)
        c.on('connect', () => c.write(Buffer.from('three'), (e) => env.log('writes', 'three', e)))
        c.once('ready', () => c.end('four', () => env.log('writes', 'ended')))
      },
    ),
  )

  both('cork', (env) =>
    pair(
      env,
      () => {},
      (c) => {
        c.on('connect', () => {
          c.cork()
          for (const word of ['a', 'bc', 'def']) c.write(word, () => env.log('writes', word))
          env.log('writes', 'corked', c.bytesWritten, c.writableLength)
          process.nextTick(() => {
            c.uncork()
            c.end()
          })
        })
      },
    ),
  )

  both('addresses', (env) =>
    pair(
      env,
      (s) => {
        env.log('addresses', 'server', s.remoteAddress, typeof s.remotePort, s.remoteFamily, s.localAddress, s.localFamily)
        env.log('addresses', 'server', s.address(), (s as unknown as { server: unknown }).server instanceof env.net.Server)
        s.end()
      },
      (c) => {
        env.log('early', c.remoteAddress, c.address(), c.readyState)
        c.on('connect', () => env.log('late', c.remoteAddress, c.remoteFamily, c.localAddress, c.localFamily, c.address()))
        c.on('close', () => env.log('late', c.remoteAddress, c.localAddress, c.address(), c.bufferSize))
      },
    ),
  )

  both('destroy by the client', (env) =>
    pair(
      env,
      () => {},
      (c) => c.on('connect', () => c.destroy()),
    ),
  )

  both('destroy with an error', (env) =>
    pair(
      env,
      () => {},
      (c) => c.on('connect', () => c.destroy(new Error('enough'))),
    ),
  )

  both('a reset by the server', (env) =>
    pair(
      env,
      (s) => s.once('data', () => s.resetAndDestroy()),
      (c) => c.write('x'),
    ),
  )

  both('a reset before connect', async (env) => {
    // The server's side is not compared: a stack that resets in the turn of the SYN-ACK never completes the handshake for its peer.
    const server = env.net.createServer((s) => s.on('error', () => {}))
    const port = await listening(server, env.host)
    const client = watch(env, 'client', env.net.connect(port, env.host))
    client.resetAndDestroy()
    await event(client, 'close')
    server.close()
    await event(server, 'close')
  })

  both('a write after the other party has ended', (env) =>
    pair(
      env,
      (s) => s.end(),
      (c) => {
        c.on('end', () => {
          env.log('client', 'ended', c.writable, c.readable)
          process.nextTick(() => {
            const ok = c.write('too late', (e) => env.log('client', 'callback', e))
            env.log('client', 'wrote', ok)
          })
        })
      },
    ),
  )

  both('destroySoon', (env) =>
    pair(
      env,
      () => {},
      (c) => {
        c.write('last words')
        c.destroySoon()
      },
    ),
  )

  both('pauseOnConnect', (env) =>
    pair(
      env,
      (s) => {
        env.log('paused', s.isPaused(), s.readableFlowing)
        setImmediate(() => {
          env.log('paused', s.bytesRead)
          s.resume()
        })
      },
      (c) => c.end('wait for me'),
      { pauseOnConnect: true },
    ),
  )

  both('a timeout', (env) =>
    pair(
      env,
      (s) => {
        env.log('timer', s.timeout)
        s.setTimeout(5, () => {
          env.log('timer', 'callback', s.timeout)
          s.setTimeout(0)
          s.end()
        })
        env.log('timer', s.timeout)
      },
      () => {},
    ),
  )

  both('the timeout option', (env) =>
    pair(
      env,
      () => {},
      (c) => {
        env.log('timer', c.timeout)
        c.on('timeout', () => c.destroy())
      },
      {},
      { timeout: 60 },
    ),
  )

  both('an abort signal', async (env) => {
    const abort = new AbortController()
    await pair(
      env,
      () => {},
      (c) => c.on('ready', () => abort.abort()),
      {},
      { signal: abort.signal },
    )
  })

  both('reading by async iteration', (env) =>
    pair(
      env,
      (s) => s.end('one two three'),
      (c) => {
        c.removeAllListeners('data')
        c.removeAllListeners('finish') // the iterator destroys the socket, before or after
        c.pause()
        c.setEncoding('utf8')
        void (async () => {
          let text = ''
          for await (const part of c) text += part
          env.log('iterated', text)
        })()
      },
    ),
  )

  both('onread', (env) => {
    const buffer = Buffer.alloc(16)
    let text = ''
    return pair(
      env,
      (s) => s.end('into my own buffer, sixteen bytes at a time'),
      (c) => c.on('end', () => env.log('onread', text)),
      {},
      {
        onread: {
          buffer,
          callback(n: number, buf: Uint8Array): boolean {
            text += Buffer.from(buf.subarray(0, n)).toString()
            return true
          },
        },
      } as unknown as nodeNet.NetConnectOpts,
    )
  })

  both('a refused connection', async (env) => {
    const client = watch(env, 'client', env.net.connect(1, env.host))
    client.write('never', (e) => env.log('writes', e))
    client.on('connectionAttemptFailed', (ip, port, family, error) => env.log('client', 'failed', ip, port, family, error))
    await event(client, 'close')
    env.log('client', client.destroyed, client.pending, client.readyState)
  })

  both('destroy while connecting', async (env) => {
    const client = watch(env, 'client', env.net.connect(1, env.host))
    client.write('never', (e) => env.log('writes', 'first', e))
    client.write('ever', (e) => env.log('writes', 'second', e))
    client.destroy()
    env.log('client', client.connecting, client.destroyed)
    await event(client, 'close')
  })

  both('destroy of a socket that never connected', async (env) => {
    const socket = watch(env, 'client', new env.net.Socket())
    env.log('client', socket.readyState, socket.pending, socket.connecting, socket.bytesRead, socket.bytesWritten, socket.timeout)
    socket.destroy()
    await event(socket, 'close')
  })

  both('resetAndDestroy of a socket that never connected', async (env) => {
    const socket = watch(env, 'client', new env.net.Socket())
    socket.resetAndDestroy()
    await event(socket, 'close')
  })

  both('an address that is not ours to bind', async (env) => {
    const client = watch(env, 'client', env.net.connect({ port: 1, host: env.host, localAddress: env.foreign }))
    await event(client, 'close')
  })

  both('a local port in use', async (env) => {
    const server = env.net.createServer()
    const port = await listening(server, env.host)
    const client = env.net.connect({ port: 1, host: env.host, localAddress: env.host, localPort: port })
    watch(env, 'client', client)
    await event(client, 'close')
    server.close()
  })

  both('a lookup of its own, one address', async (env) => {
    const server = env.net.createServer((s) => s.end())
    const port = await listening(server, env.host)
    const lookup = (name: string, options: object, callback: (e: null, a: string, f: number) => void): void => {
      env.log('lookup', name, options)
      setImmediate(callback, null, env.host, 4)
    }
    const client = watch(
      env,
      'client',
      env.net.connect({ port, host: 'somewhere.example', family: 4, lookup } as nodeNet.NetConnectOpts),
    )
    await event(client, 'close')
    server.close()
    await event(server, 'close')
  })

  both('a lookup of its own, several addresses', async (env) => {
    const server = env.net.createServer((s) => s.end())
    const port = await listening(server, env.host)
    const lookup = (name: string, options: object, callback: (e: null, a: unknown) => void): void => {
      env.log('lookup', name, options)
      const list = ['127.0.0.3', env.host, env.host].map((address) => ({ address, family: 4 }))
      setImmediate(callback, null, list)
    }
    const client = watch(env, 'client', env.net.connect({ port, host: 'two.example', lookup } as nodeNet.NetConnectOpts))
    client.on('connectionAttemptFailed', (ip, p, family, error) =>
      env.log('client', 'failed', ip, typeof p, family, (error as NodeJS.ErrnoException).code),
    )
    await event(client, 'close')
    env.log('client', client.autoSelectFamilyAttemptedAddresses?.length)
    server.close()
    await event(server, 'close')
  })

  both('all of several addresses refuse', async (env) => {
    const lookup = (_name: string, _options: object, callback: (e: null, a: unknown) => void): void => {
      callback(null, [
        { address: env.host, family: 4 },
        { address: '127.0.0.3', family: 4 },
      ])
    }
    const client = watch(env, 'client', env.net.connect({ port: 1, host: 'two.example', lookup } as nodeNet.NetConnectOpts))
    client.on('error', (error) => {
      const errors = (error as AggregateError).errors as NodeJS.ErrnoException[]
      env.log('client', error instanceof AggregateError, errors.map((e) => e.message).join(', '))
    })
    await event(client, 'close')
  })

  both('a lookup that fails', async (env) => {
    const lookup = (_name: string, _options: object, callback: (e: Error) => void): void => callback(new Error('no such name'))
    const client = watch(env, 'client', env.net.connect({ port: 1, host: 'no.example', lookup } as nodeNet.NetConnectOpts))
    await event(client, 'close')
  })

  both('a lookup that answers nonsense', async (env) => {
    const lookup = (_name: string, _options: object, callback: (e: null, a: string, f: number) => void): void =>
      callback(null, 'nonsense', 4)
    const client = watch(
      env,
      'client',
      env.net.connect({ port: 1, host: 'no.example', family: 4, lookup } as nodeNet.NetConnectOpts),
    )
    await event(client, 'close')
  })

  both('connecting again after close', async (env) => {
    const server = env.net.createServer((s) => s.end('hi'))
    const port = await listening(server, env.host)
    const client = watch(env, 'client', env.net.connect(port, env.host))
    await event(client, 'close')
    client.connect(port, env.host)
    await event(client, 'close')
    server.close()
    await event(server, 'close')
  })

  both('a server: listen, address, close', async (env) => {
    const server = new env.net.Server()
    for (const name of ['listening', 'close', 'error']) server.on(name, (...a) => env.log('server', name, ...a))
    env.log('server', server.listening, server.address(), server.maxConnections)
    server.listen({ port: 0, host: env.host, backlog: 5 }, () => env.log('server', 'callback'))
    env.log('server', server.listening, server.address())
    await event(server, 'listening')
    env.log('server', server.listening, server.address())
    expect(() => server.listen(0)).toThrow(expect.objectContaining({ code: 'ERR_SERVER_ALREADY_LISTEN' }))
    server.getConnections((error, n) => env.log('server', 'connections', error, n))
    server.close((error) => env.log('server', 'closed', error))
    env.log('server', server.listening)
    await event(server, 'close')
    server.close((error) => env.log('server', 'closed again', error))
    await event(server, 'close')
    server.listen(0, env.host)
    await event(server, 'listening')
    server.close()
    await event(server, 'close')
  })

  both('a server waits for its connections', async (env) => {
    const server = env.net.createServer((s) => {
      server.close(() => env.log('server', 'closed'))
      server.getConnections((_e, n) => env.log('server', 'connections', n, server.listening))
      setImmediate(() => s.end(() => env.log('server', 'end called back')))
    })
    const port = await listening(server, env.host)
    const client = watch(env, 'client', env.net.connect(port, env.host))
    await Promise.all([event(client, 'close'), event(server, 'close')])
  })

  both('a port in use', async (env) => {
    const first = env.net.createServer()
    const port = await listening(first, env.host)
    const second = env.net.createServer()
    second.on('error', (error) => env.log('second', error, second.listening, second.address()))
    second.listen(port, env.host, () => env.log('second', 'listening'))
    await event(second, 'error')
    first.close()
    await event(first, 'close')
  })

  both('an address that is not ours to listen on', async (env) => {
    const server = env.net.createServer().listen(80, env.foreign)
    env.log('server', await event(server, 'error'))
  })

  both('maxConnections', async (env) => {
    const server = env.net.createServer()
    server.maxConnections = 1
    server.on('drop', (data) => env.log('server', 'drop', data))
    const port = await listening(server, env.host)
    const first = env.net.connect(port, env.host)
    const socket = (await event(server, 'connection')) as nodeNet.Socket
    const second = watch(env, 'second', env.net.connect(port, env.host))
    await event(second, 'close')
    first.destroy()
    socket.destroy()
    server.close()
    await event(server, 'close')
  })

  both('a server and an abort signal', async (env) => {
    const abort = new AbortController()
    const server = env.net.createServer()
    server.on('close', () => env.log('server', 'close', server.listening))
    server.listen({ port: 0, host: env.host, signal: abort.signal })
    await event(server, 'listening')
    abort.abort()
    await event(server, 'close')
    const never = env.net.createServer()
    never.on('close', () => env.log('never', 'close'))
    never.listen({ port: 0, host: env.host, signal: abort.signal }, () => env.log('never', 'listening'))
    await event(never, 'close')
  })

  both('a connection listener that rejects', async (env) => {
    const { EventEmitter } = await import('node:events')
    const before = EventEmitter.captureRejections
    EventEmitter.captureRejections = true
    const server = env.net.createServer()
    EventEmitter.captureRejections = before
    server.on('connection', async (s) => {
      watch(env, 'server', s)
      await null
      throw new Error('rejected')
    })
    const port = await listening(server, env.host)
    const client = watch(env, 'client', env.net.connect(port, env.host))
    await event(client, 'close')
    server.close()
    await event(server, 'close')
  })
})

describe('net, the same complaints as Node', () => {
  const cases: [string, (net: Net) => unknown][] = [
    ['connect()', (n) => (new n.Socket() as unknown as { connect(): void }).connect()],
    ['connect({})', (n) => new n.Socket().connect({} as nodeNet.SocketConnectOpts)],
    ['connect, port true', (n) => n.connect({ port: true } as unknown as nodeNet.NetConnectOpts)],
    ['connect, port 70000', (n) => n.connect(70000)],
    ['connect, port -1', (n) => n.connect(-1)],
    ['connect, port text', (n) => n.connect({ port: 'x1' } as unknown as nodeNet.NetConnectOpts)],
    ['connect, port null', (n) => n.connect({ port: null } as unknown as nodeNet.NetConnectOpts)],
    ['connect, port object', (n) => n.connect({ port: {} } as unknown as nodeNet.NetConnectOpts)],
    ['connect, port symbol', (n) => n.connect({ port: Symbol('x') } as unknown as nodeNet.NetConnectOpts)],
    ['connect, port function', (n) => n.connect({ port: structuredClone } as unknown as nodeNet.NetConnectOpts)],
    ['connect, localAddress', (n) => n.connect({ port: 80, localAddress: 'here' })],
    ['connect, localPort', (n) => n.connect({ port: 80, localPort: 'x' } as unknown as nodeNet.NetConnectOpts)],
    ['connect, lookup', (n) => n.connect({ port: 80, host: 'a', lookup: 'x' } as unknown as nodeNet.NetConnectOpts)],
    ['connect, family', (n) => n.connect({ port: 80, autoSelectFamily: 3 } as unknown as nodeNet.NetConnectOpts)],
    ['connect, attempt', (n) => n.connect({ port: 80, autoSelectFamilyAttemptTimeout: 0 })],
    ['timeout text', (n) => new n.Socket().setTimeout('x' as unknown as number)],
    ['timeout -1', (n) => new n.Socket().setTimeout(-1)],
    ['timeout infinite', (n) => new n.Socket().setTimeout(Number.POSITIVE_INFINITY)],
    ['timeout callback', (n) => new n.Socket().setTimeout(10, 'x' as unknown as () => void)],
    ['objectMode', (n) => new n.Socket({ objectMode: true } as nodeNet.SocketConstructorOpts)],
    ['readableObjectMode', (n) => new n.Socket({ readableObjectMode: true } as nodeNet.SocketConstructorOpts)],
    ['keepAliveInitialDelay', (n) => new n.Socket({ keepAliveInitialDelay: 'x' } as unknown as nodeNet.SocketConstructorOpts)],
    ['signal', (n) => new n.Socket({ signal: 'x' } as unknown as nodeNet.SocketConstructorOpts)],
    ['write null', (n) => new n.Socket().write(null as unknown as string)],
    ['write 5', (n) => new n.Socket().write(5 as unknown as string)],
    ['Server(5)', (n) => new n.Server(5 as unknown as nodeNet.ServerOpts)],
    ['highWaterMark', (n) => n.createServer({ highWaterMark: 'x' } as unknown as nodeNet.ServerOpts)],
    ['listen({})', (n) => n.createServer().listen({})],
    ['listen -1', (n) => n.createServer().listen(-1)],
    ['listen 65536', (n) => n.createServer().listen({ port: 65536 })],
    ['listen true', (n) => n.createServer().listen(true as unknown as number)],
    ['listen host only', (n) => n.createServer().listen({ host: 'a' })],
    ['listen signal', (n) => n.createServer().listen({ port: 0, signal: 3 } as unknown as nodeNet.ListenOptions)],
    ['default family', (n) => n.setDefaultAutoSelectFamily(1 as unknown as boolean)],
    [
      'default attempt',
      (n) =>
        (n as unknown as { setDefaultAutoSelectFamilyAttemptTimeout(x: unknown): void }).setDefaultAutoSelectFamilyAttemptTimeout(
          '1',
        ),
    ],
  ]
  const ours = fakeStack().net as unknown as Net
  const complaint = (f: () => unknown): unknown => {
    try {
      f()
      return 'nothing thrown'
    } catch (error) {
      const e = error as NodeJS.ErrnoException
      return { name: e.name, code: e.code, message: e.message }
    }
  }
  it.each(cases)('%s', (_name, run) => {
    const theirs = complaint(() => run(nodeNet))
    expect(theirs).not.toBe('nothing thrown')
    expect(complaint(() => run(ours))).toEqual(theirs)
  })

  it('takes everything that node:net exports', () => {
    const missing = Object.keys(nodeNet).filter((key) => !key.startsWith('_') && !(key in ours))
    expect(missing).toEqual([])
  })

  it('has every public method and property of a socket and a server', () => {
    const names = (o: object): string[] => {
      const out: string[] = []
      for (let p = o; p !== null && p !== Object.prototype; p = Object.getPrototypeOf(p))
        out.push(...Object.getOwnPropertyNames(p))
      return out.filter((n) => !n.startsWith('_'))
    }
    for (const kind of ['Socket', 'Server'] as const) {
      const mine = new Set(names(new ours[kind]()))
      expect(names(new nodeNet[kind]()).filter((n) => !mine.has(n) && n !== 'domain')).toEqual([])
    }
  })
})
