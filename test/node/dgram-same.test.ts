import nodeDgram from 'node:dgram'
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createStack, type NodeStack } from '../../src/node/stack.ts'
import { event, realStack, shown } from '../support/node-shape.ts'

type Dgram = typeof nodeDgram

interface Env {
  dgram: Dgram
  host: string
  log(side: string, ...what: unknown[]): void
}

async function record(dgram: Dgram, host: string, scenario: (env: Env) => Promise<void>): Promise<Record<string, string[]>> {
  const logs: Record<string, string[]> = {}
  await scenario({
    dgram,
    host,
    log(side, ...what) {
      logs[side] ??= []
      logs[side].push(what.map((w) => shown(w, host)).join(' '))
    },
  })
  return logs
}

/** The same scenario on Node's dgram over 127.0.0.1 and on ours over a whole stack. */
function both(name: string, scenario: (env: Env) => Promise<void>): void {
  it(name, async () => {
    const theirs = await record(nodeDgram, '127.0.0.1', scenario)
    const stack = realStack()
    try {
      expect(await record(stack.dgram as unknown as Dgram, '10.0.0.1', scenario)).toEqual(theirs)
    } finally {
      await stack.close()
    }
    expect(Object.keys(theirs).length).toBeGreaterThan(0)
  })
}

function watch(env: Env, side: string, socket: nodeDgram.Socket): nodeDgram.Socket {
  socket.on('listening', () => env.log(side, 'listening', socket.address()))
  socket.on('connect', () => env.log(side, 'connect', socket.remoteAddress()))
  socket.on('message', (m, rinfo) => env.log(side, 'message', m.length > 50 ? m.length : m.toString(), rinfo, Buffer.isBuffer(m)))
  socket.on('error', (error) => env.log(side, 'error', error))
  socket.on('close', () => env.log(side, 'close'))
  return socket
}

async function bound(
  env: Env,
  side: string,
  options: nodeDgram.SocketType | nodeDgram.SocketOptions = 'udp4',
): Promise<nodeDgram.Socket> {
  const socket = watch(env, side, env.dgram.createSocket(options as nodeDgram.SocketOptions))
  socket.bind(0, env.host)
  await event(socket, 'listening')
  return socket
}

describe('dgram, the same events as Node', () => {
  both('there and back', async (env) => {
    const server = await bound(env, 'server')
    server.on('message', (m, from) => server.send(m, from.port, from.address))
    const client = watch(env, 'client', env.dgram.createSocket('udp4'))
    client.send('hello', server.address().port, env.host, (e, n) => env.log('client', 'sent', e, n))
    await event(client, 'message')
    server.close()
    client.close(() => env.log('client', 'callback'))
    await event(client, 'close')
  })

  both('all forms of send', async (env) => {
    const server = await bound(env, 'server')
    const { port } = server.address()
    const client = await bound(env, 'client')
    const sends: ((done: (e: Error | null, n: number) => void) => void)[] = [
      (done) => client.send('text', port, env.host, done),
      (done) => client.send(Buffer.from('slice of it'), 0, 5, port, env.host, done),
      (done) => client.send(['li', Buffer.from('st'), new Uint8Array([33])], port, env.host, done),
      (done) => client.send(new Uint16Array([0x4141, 0x4242]), port, env.host, done),
      (done) => client.send(new DataView(Uint8Array.of(67, 68, 69).buffer, 1), port, env.host, done),
      (done) => client.send([], port, env.host, done),
      (done) => client.send('', port, env.host, done),
      (done) => client.send(Buffer.alloc(9000, 1), port, env.host, done),
    ]
    for (const send of sends) {
      const arrived = event(server, 'message')
      await new Promise<void>((resolve) =>
        send((e, n) => {
          env.log('client', 'sent', e, n)
          resolve()
        }),
      )
      await arrived
    }
    client.close()
    server.close()
    await event(server, 'close')
  })

  both('a connected pair', async (env) => {
    const server = await bound(env, 'server')
    const { port } = server.address()
    const client = watch(env, 'client', env.dgram.createSocket('udp4'))
    client.connect(port, env.host, () => env.log('client', 'callback'))
    await event(client, 'connect')
    const first = event(server, 'message')
    client.send('one', (e, n) => env.log('client', 'sent', e, n))
    await first
    const second = event(server, 'message')
    client.send(Buffer.from('xtwox'), 1, 3, (e, n) => env.log('client', 'sent', e, n))
    await second
    client.disconnect()
    const third = event(server, 'message')
    client.send('three', port, env.host)
    await third
    client.close()
    server.close()
    await event(server, 'close')
  })

  both('a closed port tells a connected socket', async (env) => {
    const gone = await bound(env, 'gone')
    const { port } = gone.address()
    gone.close()
    await event(gone, 'close')
    const client = watch(env, 'client', env.dgram.createSocket('udp4'))
    client.connect(port, env.host)
    await event(client, 'connect')
    client.send('anybody?')
    await event(client, 'error')
    client.close()
    await event(client, 'close')
  })

  both('errors of send', async (env) => {
    const client = await bound(env, 'client')
    const failure = (send: (done: (e: Error | null) => void) => void): Promise<Error | null> =>
      new Promise((resolve) => send(resolve))
    env.log('client', await failure((done) => client.send(Buffer.alloc(65_508), 9, env.host, done)))
    env.log('client', await failure((done) => client.send(Buffer.alloc(70_000), 9, env.host, done)))
    client.close()
    await event(client, 'close')
  })

  both('a port in use', async (env) => {
    const first = await bound(env, 'first')
    const second = watch(env, 'second', env.dgram.createSocket('udp4'))
    second.bind(first.address().port, env.host, () => env.log('second', 'callback'))
    await event(second, 'error')
    second.bind({ port: 0, address: env.host }, () => env.log('second', 'callback'))
    await event(second, 'listening')
    first.close()
    second.close()
    await event(second, 'close')
  })

  both('an address that is not ours', async (env) => {
    const socket = watch(env, 'socket', env.dgram.createSocket('udp4'))
    socket.bind(0, '10.77.0.1')
    await event(socket, 'error')
    socket.close()
    await event(socket, 'close')
  })

  both('binding to nothing in particular', async (env) => {
    const socket = watch(env, 'socket', env.dgram.createSocket({ type: 'udp4', reuseAddr: true, recvBufferSize: 4096 }))
    socket.bind()
    await event(socket, 'listening')
    env.log('socket', socket.setTTL(3), socket.setMulticastTTL(7), socket.setBroadcast(true), socket.getSendQueueSize())
    env.log(
      'socket',
      socket.getSendQueueCount(),
      socket.getRecvBufferSize() >= 4096,
      socket.ref() === socket,
      socket.unref() === socket,
    )
    socket.close()
    await event(socket, 'close')
  })

  both('close before the binding is done', async (env) => {
    const socket = watch(env, 'socket', env.dgram.createSocket('udp4'))
    socket.bind(0, env.host)
    socket.close(() => env.log('socket', 'callback'))
    await event(socket, 'close')
  })

  both('sends wait for the binding, and close for the sends', async (env) => {
    const server = await bound(env, 'server')
    let count = 0
    const arrived = new Promise<void>((resolve) => server.on('message', () => ++count === 2 && resolve()))
    const client = watch(env, 'client', env.dgram.createSocket('udp4'))
    client.send('queued', server.address().port, env.host)
    client.send('queued too', server.address().port, env.host)
    await arrived
    client.close()
    server.close()
    await event(server, 'close')
  })

  both('a signal and a lookup of its own', async (env) => {
    const abort = new AbortController()
    const server = await bound(env, 'server')
    const client = watch(
      env,
      'client',
      env.dgram.createSocket({
        type: 'udp4',
        signal: abort.signal,
        lookup: (name, options, callback) => {
          env.log('lookup', name, options)
          callback(null, name === 'server.example' ? env.host : '0.0.0.0', 4)
        },
      }),
    )
    client.send('by name', server.address().port, 'server.example')
    await event(server, 'message')
    abort.abort()
    await event(client, 'close')
    server.close()
    await event(server, 'close')
  })
})

describe('dgram, the same complaints as Node', () => {
  const as = <T>(x: unknown): T => x as T
  const cases: [string, (d: Dgram, s: nodeDgram.Socket) => unknown][] = [
    ['type', (d) => d.createSocket(as<nodeDgram.SocketType>('tcp'))],
    ['recvBufferSize', (d) => d.createSocket({ type: 'udp4', recvBufferSize: -1 })],
    ['sendBufferSize', (d) => d.createSocket({ type: 'udp4', sendBufferSize: as<number>('x') })],
    ['sendBufferSize 1.5', (d) => d.createSocket({ type: 'udp4', sendBufferSize: 1.5 })],
    ['signal', (d) => d.createSocket({ type: 'udp4', signal: as<AbortSignal>(3) })],
    ['setBroadcast unbound', (_d, s) => s.setBroadcast(true)],
    ['setTTL unbound', (_d, s) => s.setTTL(3)],
    ['setTTL text', (_d, s) => s.setTTL(as('3'))],
    ['address unbound', (_d, s) => s.address()],
    ['remoteAddress', (_d, s) => s.remoteAddress()],
    ['getRecvBufferSize', (_d, s) => s.getRecvBufferSize()],
    ['getSendBufferSize', (_d, s) => s.getSendBufferSize()],
    ['setRecvBufferSize', (_d, s) => s.setRecvBufferSize(-1)],
    ['send without port', (_d, s) => (s.send as (m: string) => void)('x')],
    ['send to port 0', (_d, s) => s.send('x', 0)],
    ['send to port 70000', (_d, s) => s.send('x', 70000)],
    ['send a number', (_d, s) => s.send(as(5), 80)],
    ['send a list of numbers', (_d, s) => s.send(as([5]), 80)],
    ['send past the end', (_d, s) => s.send('x', 0, 2, 80)],
    ['send from past the end', (_d, s) => s.send('x', 5, 2, 80)],
    ['send to an address of 5', (_d, s) => s.send('x', 80, as(5))],
    ['connect to port 0', (_d, s) => s.connect(0)],
    ['connect to an address of 5', (_d, s) => s.connect(80, as(5))],
    ['disconnect', (_d, s) => s.disconnect()],
    ['addMembership of nothing', (_d, s) => (s.addMembership as () => void)()],
    ['addMembership of a host', (_d, s) => s.addMembership('10.0.0.1')],
    ['addMembership of a name', (_d, s) => s.addMembership('group')],
    ['addMembership of 5', (_d, s) => s.addMembership(as(5))],
    ['addMembership on an interface by name', (_d, s) => s.addMembership('239.1.2.3', 'eth0')],
    ['addMembership on no interface of ours', (_d, s) => s.addMembership('239.1.2.3', '10.99.0.1')],
    ['dropMembership of nothing', (_d, s) => (s.dropMembership as () => void)()],
    ['dropMembership of what was not joined', (_d, s) => s.dropMembership('239.1.2.3', '127.0.0.1')],
    ['addSourceSpecificMembership', (_d, s) => s.addSourceSpecificMembership(as(1), '232.0.0.1')],
    ['addSourceSpecificMembership without a group', (_d, s) => s.addSourceSpecificMembership('10.0.0.1', as(undefined))],
    ['addSourceSpecificMembership of a host', (_d, s) => s.addSourceSpecificMembership('10.0.0.1', '10.0.0.2')],
    ['addSourceSpecificMembership from a name', (_d, s) => s.addSourceSpecificMembership('x', '232.0.0.1', '127.0.0.1')],
    [
      'addSourceSpecificMembership of two families',
      (_d, s) => s.addSourceSpecificMembership('fe80::1', '232.0.0.1', '127.0.0.1'),
    ],
    ['dropSourceSpecificMembership of none', (_d, s) => s.dropSourceSpecificMembership('10.0.0.1', '232.0.0.1', '127.0.0.1')],
    ['setMulticastLoopback unbound', (_d, s) => s.setMulticastLoopback(true)],
    ['setMulticastInterface unbound', (_d, s) => s.setMulticastInterface('127.0.0.1')],
    ['setMulticastInterface of nothing', (_d, s) => (s.setMulticastInterface as () => void)()],
    ['setMulticastTTL text', (_d, s) => s.setMulticastTTL(as('3'))],
  ]
  const complaint = (f: () => unknown): unknown => {
    try {
      f()
      return 'nothing thrown'
    } catch (error) {
      const { name, code, message, errno, syscall } = error as NodeJS.ErrnoException
      return { name, code, message, errno, syscall }
    }
  }

  it.each(cases)('%s', async (_name, run) => {
    const stack = realStack()
    const ours = stack.dgram as unknown as Dgram
    const socket = nodeDgram.createSocket('udp4')
    const theirs = complaint(() => run(nodeDgram, socket))
    socket.close()
    expect(theirs).not.toBe('nothing thrown')
    expect(complaint(() => run(ours, ours.createSocket('udp4')))).toEqual(theirs)
    await stack.close()
  })

  const joined: [string, nodeDgram.SocketType, (s: nodeDgram.Socket) => unknown][] = [
    ['once more', 'udp4', (s) => s.addMembership('239.1.2.3', '127.0.0.1')],
    ['a source that is there', 'udp4', (s) => s.addSourceSpecificMembership('10.9.9.9', '232.1.2.3', '127.0.0.1')],
    ['a source that is not', 'udp4', (s) => s.dropSourceSpecificMembership('10.9.9.8', '232.1.2.3', '127.0.0.1')],
    ['elsewhere', 'udp4', (s) => s.dropMembership('239.1.2.4', '127.0.0.1')],
    ['an interface that is not ours', 'udp4', (s) => s.setMulticastInterface('10.99.0.1')],
    ['an interface by name', 'udp4', (s) => s.setMulticastInterface('lo')],
    ['an interface of the other family', 'udp4', (s) => s.setMulticastInterface('::%lo')],
    ['a group of the other family', 'udp4', (s) => s.addMembership('ff02::1')],
    ['a TTL too large', 'udp4', (s) => s.setMulticastTTL(256)],
    ['once more, IPv6', 'udp6', (s) => s.addMembership('ff02::99', '::%lo')],
    ['not joined, IPv6', 'udp6', (s) => s.dropMembership('ff02::98', '::%lo')],
    ['an IPv4 interface for IPv6', 'udp6', (s) => s.addMembership('ff02::97', '127.0.0.1')],
    ['a host, IPv6', 'udp6', (s) => s.addMembership('fe80::1', '::%lo')],
    ['a source that is there, IPv6', 'udp6', (s) => s.addSourceSpecificMembership('fd00::1', 'ff32::1', '::%lo')],
    ['two families, IPv6', 'udp6', (s) => s.addSourceSpecificMembership('10.0.0.1', 'ff32::1', '::%lo')],
  ]

  it.each(joined)('a member: %s', async (_name, type, run) => {
    const stack = realStack()
    const said: unknown[] = []
    for (const d of [nodeDgram, stack.dgram as unknown as Dgram]) {
      const s = d.createSocket(type).unref()
      // Not bound: this does it, to some port.
      if (type === 'udp4') {
        s.addMembership('239.1.2.3', '127.0.0.1')
        s.addSourceSpecificMembership('10.9.9.9', '232.1.2.3', '127.0.0.1')
      } else {
        s.addMembership('ff02::99', '::%lo')
        s.addSourceSpecificMembership('fd00::1', 'ff32::1', '::%lo')
      }
      expect(s.address()).toMatchObject({ address: type === 'udp4' ? '0.0.0.0' : '::', port: expect.any(Number) })
      expect([s.setMulticastLoopback(false), s.setMulticastTTL(0)]).toEqual([false, 0])
      s.setMulticastInterface(type === 'udp4' ? '127.0.0.1' : '::%lo')
      s.setMulticastInterface(type === 'udp4' ? '0.0.0.0' : '::%nobody')
      said.push(complaint(() => run(s)))
      s.close()
    }
    expect(said[1]).toEqual(said[0])
    expect(said[0]).not.toBe('nothing thrown')
    await stack.close()
  })

  it('complains of a second bind and of use after close', async () => {
    const stack = realStack()
    for (const d of [nodeDgram, stack.dgram as unknown as Dgram]) {
      const s = d.createSocket('udp4')
      s.bind(0)
      expect(() => s.bind(0)).toThrow(
        expect.objectContaining({ code: 'ERR_SOCKET_ALREADY_BOUND', message: 'Socket is already bound' }),
      )
      await event(s, 'listening')
      expect(() => s.setTTL(300)).toThrow(
        expect.objectContaining({ code: 'EINVAL', message: 'setTTL EINVAL', syscall: 'setTTL' }),
      )
      s.close()
      for (const late of [() => s.close(), () => s.send('x', 1), () => s.address(), () => s.bind(0)]) {
        expect(late).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_RUNNING', message: 'Not running' }))
      }
    }
    await stack.close()
  })

  it('has every public method of a socket', () => {
    const stack = realStack()
    const mine = stack.dgram.createSocket('udp4') as unknown as Record<string, unknown>
    const names = Object.keys(nodeDgram.Socket.prototype).filter((n) => !n.startsWith('_'))
    expect(names.filter((n) => typeof mine[n] !== 'function' && n !== 'sendto')).toEqual([])
    return stack.close()
  })
})

describe('dgram between two stacks', () => {
  it.each([
    ['udp4', '239.1.2.3', undefined, '10.0.0.1'],
    ['udp4', '239.1.2.3', '10.0.0.2', '10.0.0.1'],
    ['udp6', 'ff15::77', '::%eth0', 'fd00::1'],
  ] as const)('has groups: %s %s on %s', async (type, group, iface, from) => {
    const [left, right] = two()
    await Promise.all([left, right].map((s, i) => s.interfaces[0].addAddress(`fd00::${i + 1}/64`)))
    const heard: string[] = []
    const member = right.dgram.createSocket({ type, reuseAddr: true })
    member.on('message', (m, rinfo) => heard.push(`${m} ${rinfo.address}`))
    member.bind(5000)
    await event(member, 'listening')
    member.addMembership(group, iface)
    const client = left.dgram.createSocket(type)
    const say = async (text: string): Promise<void> => {
      const arrived = event(member, 'message')
      client.send(text, 5000, group)
      await arrived
    }
    await say('one')
    member.dropMembership(group, iface)
    member.addSourceSpecificMembership(from, group, iface)
    await say('two')
    expect(heard).toEqual([`one ${from}`, `two ${from}`])
    await left.close()
    await right.close()
  })

  function two(): [NodeStack, NodeStack] {
    const [a, b] = createPipe()
    const left = createStack({ name: 'left' })
    const right = createStack({ name: 'right' })
    left.attach(a, { addresses: ['10.0.0.1/24'] })
    right.attach(b, { addresses: ['10.0.0.2/24'] })
    return [left, right]
  }

  it('needs setBroadcast for a broadcast, as the kernel does', async () => {
    const [left, right] = two()
    const server = right.dgram.createSocket('udp4').bind(5000)
    await event(server, 'listening')
    const client = left.dgram.createSocket('udp4').bind()
    await event(client, 'listening')
    const refused = await new Promise((resolve) => client.send('x', 5000, '10.0.0.255', resolve))
    expect(refused).toMatchObject({ code: 'EACCES', message: 'send EACCES 10.0.0.255:5000', errno: -13 })
    client.setBroadcast(true)
    const heard = new Promise<string>((resolve) => server.once('message', (m) => resolve(m.toString())))
    client.send('to all', 5000, '10.0.0.255')
    expect(await heard).toBe('to all')
    await Promise.all([left.close(), right.close()])
  })

  it('tells that there is no way', async () => {
    const [left, right] = two()
    const client = left.dgram.createSocket('udp4')
    const error = await new Promise((resolve) => client.send('x', 5000, '192.0.2.1', resolve))
    expect(error).toMatchObject({
      code: 'ENETUNREACH',
      message: 'send ENETUNREACH 192.0.2.1:5000',
      address: '192.0.2.1',
      port: 5000,
    })
    await Promise.all([left.close(), right.close()])
  })

  it('goes on after a listener that threw, with the messages that waited', async () => {
    const [left, right] = two()
    const thrown: unknown[] = []
    right.host.uncaught = (e) => thrown.push(e)
    const server = right.dgram.createSocket('udp4').bind(5000)
    await event(server, 'listening')
    const heard: string[] = []
    const all = new Promise<void>((resolve) =>
      server.on('message', (m) => {
        heard.push(m.toString())
        if (heard.length === 3) resolve()
        if (heard.length === 1) throw new Error('from a listener')
      }),
    )
    const client = left.dgram.createSocket('udp4')
    for (const text of ['a', 'b', 'c']) client.send(text, 5000, '10.0.0.2')
    await all
    expect(heard).toEqual(['a', 'b', 'c'])
    expect(thrown).toHaveLength(1)
    await Promise.all([left.close(), right.close()])
  })

  it('closes its sockets with the stack', async () => {
    const [left, right] = two()
    const server = right.dgram.createSocket('udp4').bind(5000)
    await event(server, 'listening')
    const closed = event(server, 'close')
    await right.close()
    await closed
    expect(right.owned.size).toBe(0)
    await left.close()
  })
})
