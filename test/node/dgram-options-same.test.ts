/** Options, forms and states of node:dgram one by one, beside Node's. */
import { AsyncLocalStorage } from 'node:async_hooks'
import nodeDgram from 'node:dgram'
import diagnostics from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { event, realStack, shown } from '../support/node-shape.ts'

type Dgram = typeof nodeDgram

interface Env {
  dgram: Dgram
  host: string
  log(...what: unknown[]): void
}

function both(name: string, scenario: (env: Env) => Promise<void>): void {
  const record = async (dgram: Dgram, host: string): Promise<string[]> => {
    const lines: string[] = []
    await scenario({ dgram, host, log: (...what) => void lines.push(what.map((w) => shown(w, host)).join(' ')) })
    return lines
  }
  it(name, async () => {
    const theirs = await record(nodeDgram, '127.0.0.1')
    const stack = realStack()
    try {
      expect(await record(stack.dgram as unknown as Dgram, '10.0.0.1')).toEqual(theirs)
    } finally {
      await stack.close()
    }
    expect(theirs.length).toBeGreaterThan(0)
  })
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function bound({ dgram, host }: Env, options: object = {}): Promise<nodeDgram.Socket> {
  const socket = dgram.createSocket({ type: 'udp4', ...options })
  socket.bind(0, host)
  await event(socket, 'listening')
  return socket
}

function thrown(log: Env['log'], what: string, run: () => unknown): void {
  try {
    log(what, run() === undefined ? 'undefined' : 'something')
  } catch (error) {
    log(what, error)
  }
}

describe('bind', () => {
  both('all forms', async (env) => {
    const forms: unknown[][] = [
      [],
      [0],
      [0, env.host],
      [{ port: 0 }],
      [{ port: 0, address: env.host, exclusive: true }],
      [{ address: env.host }],
      [null],
      [undefined, env.host],
      ['0'],
      [0, ''],
    ]
    for (const form of forms) {
      const socket = env.dgram.createSocket('udp4')
      let heard = ''
      const bind = socket.bind as (...args: unknown[]) => unknown
      const returned = bind.call(socket, ...form, function (this: unknown) {
        heard = this === socket ? 'this' : 'another'
      })
      await event(socket, 'listening')
      env.log(returned === socket, heard, socket.address(), socket.listenerCount('listening'), socket.listenerCount('error'))
      socket.close()
    }
  })

  both('addresses of the other family, of nobody, and nonsense', async (env) => {
    const lookups: [string, string, number][] = [
      ['udp4', '::1', 6],
      ['udp6', '192.0.2.1', 4],
      ['udp4', 'nonsense', 4],
      ['udp4', '192.0.2.77', 4],
    ]
    for (const [type, answer, family] of lookups) {
      const lookup = (_name: string, _options: unknown, callback: (e: null, a: string, f: number) => void): void =>
        process.nextTick(callback, null, answer, family)
      const socket = env.dgram.createSocket({ type, lookup } as unknown as nodeDgram.SocketOptions)
      socket.bind(0, 'name')
      env.log(type, answer, await event(socket, 'error'))
      socket.close()
    }
  })

  both('a lookup that fails', async (env) => {
    const lookup = (_name: string, _options: unknown, callback: (e: Error) => void): void =>
      process.nextTick(callback, Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }))
    const socket = env.dgram.createSocket({ type: 'udp4', lookup } as unknown as nodeDgram.SocketOptions)
    socket.bind(0, 'name')
    env.log('bind', await event(socket, 'error'))
    const other = await bound(env)
    const sender = env.dgram.createSocket({ type: 'udp4', lookup } as unknown as nodeDgram.SocketOptions)
    sender.on('error', (error) => env.log('sender', error))
    sender.send('x', 9, 'name', (error) => env.log('callback', error))
    await event(sender, 'error')
    for (const one of [socket, other, sender]) one.close()
  })

  both('reuseAddr lets two have one port', async (env) => {
    const first = await bound(env, { reuseAddr: true })
    const { port } = first.address()
    const second = env.dgram.createSocket({ type: 'udp4', reuseAddr: true })
    second.bind(port, env.host)
    await event(second, 'listening')
    const third = env.dgram.createSocket('udp4')
    third.bind(port, env.host)
    env.log('third', await event(third, 'error'))
    for (const one of [first, second, third]) one.close()
  })
})

describe('options', () => {
  both('buffer sizes, asked for and asked', async (env) => {
    const socket = await bound(env, { recvBufferSize: 10_000, sendBufferSize: 20_000 })
    env.log(socket.getRecvBufferSize() >= 10_000, socket.getSendBufferSize() >= 20_000)
    thrown(env.log, 'set', () => socket.setRecvBufferSize(8000))
    thrown(env.log, 'set', () => socket.setSendBufferSize(9000))
    env.log(socket.getRecvBufferSize() >= 8000, socket.getRecvBufferSize() < 100_000)
    const before = [socket.getRecvBufferSize(), socket.getSendBufferSize()]
    socket.setRecvBufferSize(0)
    socket.setSendBufferSize(0)
    env.log('nothing', socket.getRecvBufferSize() === before[0], socket.getSendBufferSize() === before[1])
    env.log('queue', socket.getSendQueueSize(), socket.getSendQueueCount())
    socket.close()
  })

  both('hops, broadcast, loopback', async (env) => {
    const socket = await bound(env)
    for (const n of [1, 255, 0, 256, -1, 1.5, 2 ** 32 + 64]) {
      thrown(env.log, `ttl ${n}`, () => socket.setTTL(n))
      thrown(env.log, `multicast ttl ${n}`, () => socket.setMulticastTTL(n))
    }
    for (const on of [true, false, 1, 'x', undefined]) {
      thrown(env.log, `broadcast ${on}`, () => socket.setBroadcast(on as boolean))
      env.log(socket.setMulticastLoopback(on as boolean))
    }
    socket.close()
  })

  both('a signal: aborted before, aborted after', async (env) => {
    const early = env.dgram.createSocket({ type: 'udp4', signal: AbortSignal.abort() })
    await event(early, 'close')
    thrown(env.log, 'early', () => early.bind(0))
    const abort = new AbortController()
    const socket = await bound(env, { signal: abort.signal })
    abort.abort()
    await event(socket, 'close')
    thrown(env.log, 'late', () => socket.address())
    abort.abort()
  })

  both('ref and unref, whenever', async (env) => {
    const socket = env.dgram.createSocket('udp4')
    env.log(socket.unref() === socket, socket.ref() === socket)
    socket.close()
    env.log(socket.unref() === socket, socket.ref() === socket)
  })
})

describe('sending', () => {
  both('of nothing, of lists, of views; what the callback tells', async (env) => {
    const server = await bound(env)
    const { port } = server.address()
    const client = await bound(env)
    const heard: string[] = []
    server.on('message', (m, { size, family }) => heard.push(`${m.toString('latin1')} ${size} ${family}`))
    const bytes = Buffer.from('0123456789')
    const forms: unknown[][] = [
      [bytes, 2, 3, port, env.host],
      [bytes, '2', '3', port, env.host],
      ['text', 1, 2, port, env.host],
      [[], port, env.host],
      [['a', bytes.subarray(0, 2), new Uint16Array([0x4242])], port, env.host],
      [new DataView(bytes.buffer, bytes.byteOffset + 8, 2), port, env.host],
      [bytes, 10, 0, port, env.host],
      ['digits', String(port), env.host],
    ]
    for (const form of forms) {
      const arrived = event(server, 'message')
      const done = await new Promise<unknown[]>((resolve) =>
        (client.send as (...args: unknown[]) => void)(...form, (...told: unknown[]) => resolve(told)),
      )
      env.log('told', done)
      await arrived
    }
    env.log(heard.join(', '))
    client.close()
    server.close()
  })

  both('what is sent is what was there when it was sent', async (env) => {
    const server = await bound(env)
    const client = await bound(env)
    const bytes = Buffer.from('before')
    const arrived = event(server, 'message')
    await new Promise((resolve) => client.send(bytes, server.address().port, env.host, resolve))
    bytes.fill('x')
    env.log(String(await arrived))
    client.close()
    server.close()
  })

  both('a callback is never called before send has returned', async (env) => {
    const client = await bound(env)
    let returned = false
    const called = new Promise((resolve) => client.send('x', 9, env.host, () => resolve(returned)))
    returned = true
    env.log(await called)
    client.close()
  })
})

describe('connected', () => {
  both('states: connecting, connected, disconnected, closed', async (env) => {
    const server = await bound(env)
    const { port } = server.address()
    const client = env.dgram.createSocket('udp4')
    thrown(env.log, 'remoteAddress', () => client.remoteAddress())
    client.connect(port, env.host)
    thrown(env.log, 'again', () => client.connect(port, env.host))
    thrown(env.log, 'disconnect', () => client.disconnect())
    thrown(env.log, 'remoteAddress', () => client.remoteAddress())
    await event(client, 'connect')
    env.log(client.remoteAddress(), client.address().address)
    thrown(env.log, 'again', () => client.connect(port, env.host))
    thrown(env.log, 'with a port', () => client.send('x', port as unknown as () => void))
    thrown(env.log, 'with an address', () => client.send('x', 0, 1, port, env.host))
    const message = event(server, 'message')
    const told = await new Promise<unknown[]>((resolve) => client.send('hello', (...args) => resolve(args)))
    env.log(told, String(await message))
    thrown(env.log, 'disconnect', () => client.disconnect())
    thrown(env.log, 'disconnect', () => client.disconnect())
    thrown(env.log, 'without a port', () => client.send('x'))
    client.connect(port, env.host, () => env.log('callback'))
    await event(client, 'connect')
    client.close()
    await event(client, 'close')
    thrown(env.log, 'remoteAddress', () => client.remoteAddress())
    server.close()
  })

  both('hears only its peer', async (env) => {
    const [server, other, client] = [await bound(env), await bound(env), await bound(env)]
    client.connect(server.address().port, env.host)
    await event(client, 'connect')
    const heard: string[] = []
    client.on('message', (m) => heard.push(String(m)))
    await new Promise((resolve) => other.send('stranger', client.address().port, env.host, resolve))
    const arrived = event(client, 'message')
    server.send('peer', client.address().port, env.host)
    await arrived
    env.log(heard.join())
    for (const one of [server, other, client]) one.close()
  })

  both('a name that leads nowhere: the callback, or an event', async (env) => {
    const lookup = (name: string, _options: unknown, callback: (e: Error | null, a?: string, f?: number) => void): void => {
      const error = name === 'nobody' ? Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }) : null
      process.nextTick(callback, error, env.host, 4)
    }
    const socket = env.dgram.createSocket({ type: 'udp4', lookup } as unknown as nodeDgram.SocketOptions)
    env.log('callback', (await new Promise((resolve) => socket.connect(9, 'nobody', resolve as () => void))) as Error)
    env.log('left', socket.listenerCount('connect'))
    socket.connect(9, 'nobody')
    env.log('event', await event(socket, 'error'))
    socket.connect(9, 'somebody')
    await event(socket, 'connect')
    env.log(socket.remoteAddress())
    socket.close()
  })
})

describe('ending', () => {
  both('twice, by await, before it was bound', async (env) => {
    const socket = env.dgram.createSocket('udp4')
    socket.on('close', () => env.log('close'))
    env.log(socket.close(() => env.log('callback')) === socket)
    thrown(env.log, 'again', () => socket.close())
    await event(socket, 'close')
    const other = await bound(env)
    await other[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
    thrown(env.log, 'other', () => other.address())
    for (const late of ['addMembership', 'bind', 'send', 'connect'] as const) {
      if (late === 'addMembership') thrown(env.log, late, () => other.addMembership('239.1.2.3'))
      else if (late === 'bind') thrown(env.log, late, () => other.bind(0))
      else if (late === 'send') thrown(env.log, late, () => other.send('x', 9))
    }
  })

  both('amid messages: none is told after close', async (env) => {
    const server = await bound(env)
    const client = await bound(env)
    let count = 0
    server.on('message', () => {
      count++
      server.close()
    })
    for (let i = 0; i < 3; i++) client.send('x', server.address().port, env.host)
    await event(server, 'close')
    await turn()
    env.log(count)
    client.close()
  })
})

describe('who runs, and who is told', () => {
  both('async contexts of events and callbacks', async (env) => {
    const storage = new AsyncLocalStorage<string>()
    const seen = (what: string): void => env.log(what, storage.getStore() ?? 'none')
    const server = storage.run('server', () => env.dgram.createSocket('udp4'))
    server.on('listening', () => seen('listening'))
    // Whether the message comes before its sender is told is nobody's promise.
    server.on('message', () => process.nextTick(setImmediate, () => seen('message')))
    server.on('close', () => seen('close'))
    storage.run('binding', () => server.bind(0, env.host, () => seen('bind')))
    await event(server, 'listening')
    const client = storage.run('client', () => env.dgram.createSocket('udp4'))
    client.on('connect', () => seen('connect'))
    const arrived = event(server, 'message')
    storage.run('connecting', () => client.connect(server.address().port, env.host, () => seen('connected')))
    await event(client, 'connect')
    const sent = new Promise<void>((resolve) => {
      storage.run('sending', () =>
        client.send('x', () => {
          seen('sent')
          resolve()
        }),
      )
    })
    await Promise.all([arrived, sent])
    await turn()
    await turn()
    client.close()
    storage.run('closing', () => server.close(() => seen('closed')))
    await event(server, 'close')
  })

  both('udp.socket of diagnostics_channel', async (env) => {
    const told: unknown[] = []
    const listener = (message: unknown): void => void told.push(message)
    diagnostics.subscribe('udp.socket', listener)
    const socket = env.dgram.createSocket('udp4')
    diagnostics.unsubscribe('udp.socket', listener)
    env.log(told.length, (told[0] as { socket: unknown }).socket === socket, Object.keys(told[0] as object))
    socket.close()
  })
})
