/** Node's shape over IPv6: the same scenarios on Node's own modules over ::1 and on ours over a whole stack, and equal logs. */
import nodeDgram from 'node:dgram'
import nodeNet from 'node:net'
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createStack, type NodeStack } from '../../src/node/stack.ts'
import { event, type Net, shown, watch } from '../support/node-shape.ts'

interface Env {
  net: Net
  dgram: typeof nodeDgram
  /** This host's addresses. */
  v6: string
  v4: string
  foreign: string
  log(side: string, ...what: unknown[]): void
}

async function record(net: Net, dgram: typeof nodeDgram, v6: string, v4: string, scenario: (env: Env) => Promise<void>) {
  const logs: Record<string, string[]> = {}
  const foreign = 'fd77::5:7'
  const log = (side: string, ...what: unknown[]): void => {
    logs[side] ??= []
    logs[side].push(
      what
        .map((w) =>
          shown(w, v6)
            .replaceAll(v4, 'V4')
            .replace(/V4:\d+/g, 'V4:P')
            .replace(/(::):\d+/g, '$1:P'),
        )
        .join(' '),
    )
  }
  await scenario({ net, dgram, v6, v4, foreign, log })
  return logs
}

function stack6(): NodeStack {
  const stack = createStack()
  stack.attach(createPipe()[0], { addresses: ['10.0.0.1/24', 'fd00::1/64'], probe: false })
  return stack
}

function both(name: string, scenario: (env: Env) => Promise<void>): void {
  it(name, async () => {
    const theirs = await record(nodeNet, nodeDgram, '::1', '127.0.0.1', scenario)
    expect(Object.keys(theirs).length).toBeGreaterThan(0)
    const stack = stack6()
    try {
      const { net, dgram } = stack as unknown as { net: Net; dgram: typeof nodeDgram }
      expect(await record(net, dgram, 'fd00::1', '10.0.0.1', scenario)).toEqual(theirs)
    } finally {
      await stack.close()
    }
  })
}

/** Listens; gives the port. */
async function listen(server: nodeNet.Server, options: nodeNet.ListenOptions): Promise<number> {
  const done = event(server, 'listening')
  server.listen({ port: 0, ...options })
  await done
  return (server.address() as nodeNet.AddressInfo).port
}

/** Connects and says from both sides what addresses they see; ends when both have closed. */
async function meet(
  env: Env,
  listenOptions: nodeNet.ListenOptions,
  connectOptions: Partial<nodeNet.TcpNetConnectOpts>,
): Promise<void> {
  const server = env.net.createServer()
  const port = await listen(server, listenOptions)
  env.log('server', server.address())
  const accepted = new Promise<void>((resolve) => {
    server.on('connection', (socket) => {
      env.log('accepted', socket.remoteAddress, socket.remoteFamily, socket.localAddress, socket.localFamily, socket.address())
      socket.on('close', () => resolve())
      socket.end('hello')
    })
  })
  const client = watch(env as never, 'client', env.net.connect({ ...connectOptions, port } as nodeNet.TcpNetConnectOpts))
  client.on('connect', () => {
    env.log('client', client.remoteAddress, client.remoteFamily, client.localAddress, client.localFamily, client.address())
  })
  await Promise.all([accepted, event(client, 'close')])
  server.close()
  await event(server, 'close')
}

describe('net over IPv6, the same as Node', () => {
  both('a literal', (env) => meet(env, { host: env.v6 }, { host: env.v6 }))
  both('one listener for both families, IPv6 comes', (env) => meet(env, {}, { host: env.v6 }))
  both('one listener for both families, IPv4 comes', (env) => meet(env, {}, { host: env.v4 }))
  both('`::` written out, IPv4 comes', (env) => meet(env, { host: '::' }, { host: env.v4 }))
  both('ipv6Only, IPv6 comes', (env) => meet(env, { host: '::', ipv6Only: true }, { host: env.v6 }))
  both('an IPv4 address written as one of IPv6', (env) => meet(env, { host: env.v4 }, { host: `::ffff:${env.v4}` }))
  both('localAddress', (env) => meet(env, { host: env.v6 }, { host: env.v6, localAddress: env.v6 }))
  both('family 6 and a lookup', (env) =>
    meet(
      env,
      { host: env.v6 },
      {
        host: 'a.test',
        family: 6,
        lookup: (name, options, callback) => {
          env.log('lookup', name, options.family, options.all)
          callback(null, env.v6, 6)
        },
      },
    ),
  )

  both('ipv6Only, IPv4 is refused', async (env) => {
    const server = env.net.createServer()
    const port = await listen(server, { host: '::', ipv6Only: true })
    const client = watch(env as never, 'client', env.net.connect({ port, host: env.v4 }))
    await event(client, 'close')
    server.close()
  })

  both('ipv6Only leaves the port to a listener of IPv4', async (env) => {
    const six = env.net.createServer()
    const port = await listen(six, { host: '::', ipv6Only: true })
    const four = env.net.createServer()
    await listen(four, { host: '0.0.0.0', port })
    env.log('both', four.address(), six.address())
    const third = env.net.createServer()
    third.listen({ host: '::', port })
    env.log('both', await event(third, 'error'))
    four.close()
    six.close()
  })

  both('a port that is taken, an address that is not ours', async (env) => {
    const first = env.net.createServer()
    const port = await listen(first, { host: env.v6 })
    const second = env.net.createServer()
    second.listen({ host: env.v6, port })
    env.log('taken', await event(second, 'error'))
    second.listen({ host: env.foreign, port: 0 })
    env.log('foreign', await event(second, 'error'))
    first.close()
  })

  both('nobody listens', async (env) => {
    const server = env.net.createServer()
    const port = await listen(server, { host: env.v6 })
    server.close()
    await event(server, 'close')
    const client = watch(env as never, 'client', env.net.connect({ port, host: env.v6 }))
    await event(client, 'close')
  })

  both('a zone that is not there, a localAddress of the other family', async (env) => {
    for (const options of [{ host: 'fe80::9%nowhere9' }, { host: env.v6, localAddress: '9.9.9.9' }]) {
      const client = env.net.connect({ port: 9, ...options })
      const error = (await event(client, 'error')) as NodeJS.ErrnoException
      env.log('errors', error.code, error.syscall, error.message.replace(/ - Local.*/, ''))
    }
  })

  both('autoSelectFamily: the family of the first address, then the other', async (env) => {
    const server = env.net.createServer((s) => s.end())
    const port = await listen(server, { host: env.v4 })
    const client = env.net.connect({
      port,
      host: 'a.test',
      autoSelectFamily: true,
      lookup: (_, __, callback) =>
        callback(null, [
          { address: env.v6, family: 6 },
          { address: env.v4, family: 4 },
        ]),
    })
    for (const name of ['connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout'])
      client.on(name, (ip, p, family, error) => env.log('attempts', name, ip, typeof p, family, error))
    client.on('connect', () => env.log('attempts', client.remoteAddress, client.autoSelectFamilyAttemptedAddresses?.length))
    client.resume()
    await event(client, 'close')
    server.close()
    await event(server, 'close')
  })

  both('isIP, BlockList and SocketAddress know IPv6', async (env) => {
    const list = new env.net.BlockList()
    list.addSubnet('fd00::', 8, 'ipv6')
    env.log(
      'list',
      list.check('fd00::9', 'ipv6'),
      list.check('fe80::9', 'ipv6'),
      env.net.isIP('fe80::1%eth0'),
      env.net.isIPv6('::ffff:1.2.3.4'),
    )
    const address = new env.net.SocketAddress({ address: 'fd00::9', family: 'ipv6', port: 80, flowlabel: 7 })
    env.log('address', address.address, address.family, address.port, address.flowlabel)
  })
})

describe('dgram over IPv6, the same as Node', () => {
  async function bound(env: Env, options: nodeDgram.SocketOptions, address?: string): Promise<nodeDgram.Socket> {
    const socket = env.dgram.createSocket(options)
    const done = event(socket, 'listening')
    socket.bind(0, address)
    await done
    return socket
  }

  const sent = (socket: nodeDgram.Socket, port: number, address: string): Promise<unknown> =>
    new Promise((resolve) => socket.send('hello', port, address, (error, n) => resolve(error ?? n)))

  both('there and back', async (env) => {
    const server = await bound(env, { type: 'udp6' }, env.v6)
    env.log('server', server.address())
    server.on('message', (m, from) => {
      env.log('server', m.toString(), from)
      server.send(m, from.port, from.address)
    })
    const client = env.dgram.createSocket('udp6')
    const back = event(client, 'message')
    env.log('client', await sent(client, server.address().port, env.v6))
    env.log('client', String(await back), client.address().family)
    client.close()
    server.close()
  })

  both('one socket for both families', async (env) => {
    const server = await bound(env, { type: 'udp6' })
    env.log('server', server.address())
    const four = env.dgram.createSocket('udp4')
    const heard = new Promise((resolve) => server.once('message', (m, from) => resolve([m.toString(), from])))
    four.send('hello', server.address().port, env.v4)
    env.log('server', JSON.stringify(await heard).replace(/"port":\d+/, ''))
    const back = event(four, 'message')
    env.log('server', await sent(server, four.address().port, `::ffff:${env.v4}`))
    env.log('four', String(await back))
    four.close()
    server.close()
  })

  both('ipv6Only', async (env) => {
    const server = await bound(env, { type: 'udp6', ipv6Only: true })
    const { port } = server.address()
    const four = env.dgram.createSocket('udp4')
    four.bind(port, env.v4)
    await event(four, 'listening')
    env.log('four', four.address())
    env.log('six', await sent(server, port, `::ffff:${env.v4}`))
    four.close()
    server.close()
  })

  both('connect', async (env) => {
    const server = await bound(env, { type: 'udp6' }, env.v6)
    const client = env.dgram.createSocket('udp6')
    client.connect(server.address().port, env.v6)
    await event(client, 'connect')
    env.log('client', client.remoteAddress(), client.address())
    client.close()
    server.close()
  })

  both('addresses of the other family, and of nobody', async (env) => {
    const four = await bound(env, { type: 'udp4' })
    const six = await bound(env, { type: 'udp6' })
    env.log('four', await sent(four, 9, env.v6))
    env.log('six', await sent(six, 9, env.v4))
    six.close()
    four.close()
    const foreign = env.dgram.createSocket('udp6')
    foreign.bind(0, env.foreign)
    env.log('foreign', await event(foreign, 'error'))
  })
})
