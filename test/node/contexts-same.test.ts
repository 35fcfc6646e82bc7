/** In whose async context each event and callback of net and http is told, beside Node's: what AsyncLocalStorage sees. */
import { AsyncLocalStorage, executionAsyncId, triggerAsyncId } from 'node:async_hooks'
import diagnostics from 'node:diagnostics_channel'
import nodeHttp from 'node:http'
import type nodeNet from 'node:net'
import { describe, expect, it } from 'vitest'
import { both, event, listening, realStack } from '../support/node-shape.ts'

const storage = new AsyncLocalStorage<string>()

/** A listener for `name` of its own context, `on name`: what it hears is the context of whoever tells. */
function heard(
  emitter: NodeJS.EventEmitter,
  side: string,
  names: string[],
  log: (side: string, ...what: unknown[]) => void,
): void {
  for (const name of names) {
    storage.run(`on ${name}`, () => emitter.on(name, () => log(`${side} ${name}`, storage.getStore() ?? 'none')))
  }
}

const CLIENT = ['lookup', 'connectionAttempt', 'connect', 'ready', 'data', 'end', 'finish', 'drain', 'timeout', 'error', 'close']

describe('net', () => {
  both('events of a whole life, and callbacks', async ({ net, host, log }) => {
    const server = storage.run('server', () => net.createServer({ allowHalfOpen: true }))
    heard(server, 'server', ['listening', 'connection', 'close'], log)
    const port = await new Promise<number>((resolve) => {
      storage.run('listen', () =>
        server.listen(0, host, () => {
          log('listen', storage.getStore())
          resolve((server.address() as nodeNet.AddressInfo).port)
        }),
      )
    })
    const accepted = event(server, 'connection') as Promise<nodeNet.Socket>
    const lookup = (_name: string, _options: object, callback: (e: null, found: object[]) => void): void => {
      log('lookup', storage.getStore())
      process.nextTick(callback, null, [{ address: host, family: 4 }])
    }
    const socket = storage.run('socket', () => new net.Socket())
    heard(socket, 'client', CLIENT, log)
    storage.run('connect', () => {
      socket.connect({ port, host: 'name', lookup } as unknown as nodeNet.SocketConnectOpts, () =>
        log('connected', storage.getStore()),
      )
    })
    await event(socket, 'connect')
    const peer = await accepted
    heard(peer, 'peer', ['end', 'finish', 'close'], log)
    storage.run('peer data', () => peer.on('data', () => {}))
    storage.run('timeout', () => socket.setTimeout(5, () => log('timed out', storage.getStore())))
    await event(socket, 'timeout')
    socket.setTimeout(0)
    storage.run('write', () => socket.write(Buffer.alloc(12_000_000), () => log('written', storage.getStore())))
    if (socket.writableNeedDrain) await event(socket, 'drain')
    const answered = event(socket, 'data')
    storage.run('answer', () => peer.write('x', () => log('answered', storage.getStore())))
    await answered
    storage.run('end', () => socket.end(() => log('ended', storage.getStore())))
    await event(peer, 'end')
    storage.run('peer end', () => peer.end())
    await event(socket, 'close')
    await new Promise<void>((resolve) =>
      storage.run('count', () =>
        server.getConnections(() => {
          log('counted', storage.getStore())
          resolve()
        }),
      ),
    )
    storage.run('close', () => server.close(() => log('closed', storage.getStore())))
    await event(server, 'close')
  })

  both('errors: of connecting, of reading, of destroy', async ({ net, host, log }) => {
    const server = net.createServer()
    const port = await listening(server, host)
    const peers: nodeNet.Socket[] = []
    server.on('connection', (s) => peers.push(s.on('error', () => {})))
    const reset = storage.run('connect', () => net.connect(port, host))
    heard(reset, 'reset', ['error', 'close'], log)
    await event(reset, 'connect')
    while (peers.length === 0) await new Promise(setImmediate)
    storage.run('resetting', () => peers[0].resetAndDestroy())
    await event(reset, 'close')
    const destroyed = storage.run('connect', () => net.connect(port, host))
    heard(destroyed, 'destroyed', ['error', 'close'], log)
    await event(destroyed, 'connect')
    storage.run('destroy', () => destroyed.destroy(new Error('mine')))
    await event(destroyed, 'close')
    while (peers.length < 2) await new Promise(setImmediate)
    peers[1].destroy()
    server.close()
    await event(server, 'close')
    const refused = storage.run('connect', () => net.connect(port, host))
    heard(refused, 'refused', ['connectionAttemptFailed', 'error', 'close'], log)
    await event(refused, 'close')
  })

  it('events run in the socket’s own resource, as tracers by async_hooks want it', async () => {
    const stack = realStack()
    const server = stack.net.createServer((s) => s.end('x'))
    server.listen(7)
    await event(server, 'listening')
    const client = stack.net.connect(7, '10.0.0.1')
    const handle = client._handle!
    const ids: number[] = []
    client.on('connect', () => ids.push(executionAsyncId(), triggerAsyncId()))
    await event(client.resume(), 'close')
    expect(ids[0]).toBe(handle.getAsyncId())
    expect(ids[1]).toBeGreaterThan(0)
    await stack.close()
  })
})

describe('http', () => {
  interface Http {
    createServer: typeof nodeHttp.createServer
    request: typeof nodeHttp.request
    Agent: typeof nodeHttp.Agent
  }

  async function play(http: Http, host: string): Promise<string[]> {
    const lines: string[] = []
    const log = (what: string): void => void lines.push(`${what}: ${storage.getStore() ?? 'none'}`)
    const names = [
      'http.client.request.start',
      'http.client.response.finish',
      'http.server.request.start',
      'http.server.response.finish',
    ]
    const listeners = names.map((name): [string, () => void] => [name, () => log(name)])
    for (const [name, listener] of listeners) diagnostics.subscribe(name, listener)
    const server = storage.run('server', () =>
      http.createServer((request, response) => {
        log('request')
        request
          .on('data', () => log('request data'))
          .on('end', () => {
            log('request end')
            response.end('answer', () => log('response told'))
          })
        response.on('finish', () => log('response finish')).on('close', () => log('response close'))
      }),
    )
    server.on('connection', () => log('connection'))
    await new Promise<void>((resolve) => storage.run('listen', () => void server.listen(0, host, resolve)))
    const { port } = server.address() as nodeNet.AddressInfo
    const agent = new http.Agent({ keepAlive: true })
    for (const turn of ['first', 'second']) {
      await new Promise<void>((resolve) =>
        storage.run(turn, () => {
          const request = http.request({ host, port, agent, method: 'POST' }, (response) => {
            log('response')
            response.on('data', () => log('data')).on('end', () => log('end'))
            response.on('close', () => {
              log('close')
              setImmediate(resolve)
            })
          })
          for (const name of ['socket', 'finish', 'close']) request.on(name, () => log(`client ${name}`))
          request.end('question', () => log('asked'))
        }),
      )
    }
    agent.destroy()
    server.close()
    await event(server, 'close')
    for (const [name, listener] of listeners) diagnostics.unsubscribe(name, listener)
    return lines
  }

  it('a request, and another on the same connection: every event and channel in the context in which Node tells it', async () => {
    const theirs = await play(nodeHttp, '127.0.0.1')
    const stack = realStack()
    const ours = await play(stack.http as unknown as Http, '10.0.0.1')
    await stack.close()
    // How the two sides interleave is nobody's promise.
    expect(ours.sort()).toEqual(theirs.sort())
    expect(theirs.length).toBeGreaterThan(20)
  })
})
