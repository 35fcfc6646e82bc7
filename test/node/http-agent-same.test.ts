/** Agents of `stack.http`, the same as Node's: pools, queues, sockets that are used again, and how a request gets its connection. */
import type { Agent, AgentOptions, ClientRequest, IncomingMessage, RequestOptions, Server } from 'node:http'
import type { Socket } from 'node:net'
import { describe } from 'vitest'
import { bound, closed, type ModulesEnv, same } from '../support/node-modules.ts'
import { event } from '../support/node-shape.ts'
import { turns } from '../support/stream-pair.ts'

async function body(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of response.setEncoding('utf8')) text += part
  return text
}

/** A server that says on which of its connections, counted from 1, a request came; `held` requests wait for `answer()`. */
interface Counting {
  server: Server
  port: number
  connections: Socket[]
  held(): number
  answer(): void
}

async function counting(env: ModulesEnv, options: { hold?: boolean } = {}): Promise<Counting> {
  const connections: Socket[] = []
  let held: (() => void)[] = []
  const server = env.http.createServer((req, res) => {
    const answer = (): void => void res.end(`${req.url} on ${connections.indexOf(req.socket) + 1}`)
    if (options.hold) held.push(answer)
    else answer()
  })
  server.on('connection', (socket) => connections.push(socket))
  const port = await bound(server, env.host)
  const answer = (): void => {
    const waiting = held
    held = []
    for (const each of waiting) each()
  }
  return { server, port, connections, held: () => held.length, answer }
}

/** How many sockets and requests an agent has, for each name. */
function pool(agent: Agent): string {
  const counts = (of: NodeJS.ReadOnlyDict<unknown[]>): number[] => Object.values(of).map((list) => list?.length ?? 0)
  const { totalSocketCount } = agent as unknown as { totalSocketCount: number }
  return `sockets ${counts(agent.sockets)} free ${counts(agent.freeSockets)} requests ${counts(agent.requests)} total ${totalSocketCount}`
}

/** Waits for what comes within some turns of the event loop. */
async function until(done: () => boolean): Promise<void> {
  for (let left = 20_000; !done(); left--) {
    if (left === 0) throw new Error(`not in time: ${done}`)
    await turns(1)
  }
}

const freed = (agent: Agent): Promise<void> => event(agent as never, 'free').then(() => turns(2))

function get(env: ModulesEnv, options: RequestOptions): Promise<[string, ClientRequest]> {
  return new Promise((resolve, reject) => {
    const request = env.http.get({ host: env.host, ...options }, (res) => {
      body(res).then((text) => resolve([text, request]), reject)
    })
    request.on('error', reject)
  })
}

describe('agents of http, the same as Node', () => {
  same('maxSockets for each host, maxTotalSockets for all: the rest waits in a queue', async (env) => {
    const one = await counting(env, { hold: true })
    const other = await counting(env, { hold: true })
    for (const limits of [{ maxSockets: 2 }, { maxSockets: 2, maxTotalSockets: 3 }, { maxTotalSockets: 1 }]) {
      // Node leaves requests for one host waiting for good while a free socket of another takes the last place.
      const agent = new env.http.Agent({ keepAlive: !limits.maxTotalSockets, ...limits } as AgentOptions)
      const answers = [1, 2, 3, 4].map((n) => get(env, { port: one.port, path: `/${n}`, agent }))
      const others = [5, 6].map((n) => get(env, { port: other.port, path: `/${n}`, agent }))
      env.log('agent', JSON.stringify(limits), pool(agent))
      await until(() => one.held() === Math.min(2, limits.maxTotalSockets ?? 2))
      const all = Promise.all([...answers, ...others])
      let done = false
      void all.then(() => {
        done = true
      })
      await until(() => {
        one.answer()
        other.answer()
        return done
      })
      env.log('answers', (await all).map(([text]) => text.split(' ')[0]).join(' '))
      await turns(4)
      env.log('agent', pool(agent))
      agent.destroy()
      await until(() => pool(agent).endsWith('total 0') && [...one.connections, ...other.connections].every((s) => s.destroyed))
      env.log('agent', pool(agent), one.connections.length, other.connections.length)
    }
    await Promise.all([closed(one.server), closed(other.server)])
  })

  same('maxFreeSockets: what is too many is closed; events free and close, agentRemove', async (env) => {
    const { server, port, held, answer } = await counting(env, { hold: true })
    const agent = new env.http.Agent({ keepAlive: true, maxFreeSockets: 1 })
    let frees = 0
    agent.on('free', () => frees++)
    const answers = [1, 2, 3].map((n) => get(env, { port, path: `/${n}`, agent }))
    await until(() => held() === 3)
    answer()
    await Promise.all(answers)
    await until(() => Object.keys(agent.sockets).length === 0)
    env.log('agent', frees, pool(agent))
    const again = get(env, { port, path: '/4', agent })
    await until(() => held() === 1)
    env.log('agent', pool(agent))
    const [socket] = Object.values(agent.sockets)[0] as Socket[]
    socket.emit('agentRemove')
    env.log('agent', pool(agent))
    answer()
    const [text, request] = await again
    env.log('client', text.split(' ')[0], request.reusedSocket)
    await turns(4)
    env.log('agent', pool(agent), socket.destroyed)
    socket.destroy()
    await closed(server)
  })

  for (const scheduling of ['lifo', 'fifo'] as const) {
    same(`a free socket is used again, by ${scheduling}`, async (env) => {
      const { server, port, held, answer } = await counting(env, { hold: true })
      const agent = new env.http.Agent({ keepAlive: true, scheduling })
      const answers = [1, 2, 3].map((n) => get(env, { port, path: `/${n}`, agent }))
      await until(() => held() === 3)
      answer()
      env.log('first', (await Promise.all(answers)).map(([text, request]) => `${text} ${request.reusedSocket}`).join(', '))
      await turns(4)
      for (const path of ['/4', '/5']) {
        const again = get(env, { port, path, agent })
        await until(() => held() === 1)
        answer()
        const [text, { reusedSocket }] = await again
        env.log('again', text, reusedSocket)
        await turns(4)
      }
      agent.destroy()
      await closed(server)
    })
  }

  same('scheduling, limits and names that cannot be', async (env) => {
    for (const options of [{ scheduling: 'random' }, { maxTotalSockets: 0 }, { maxTotalSockets: 'x' }, { maxTotalSockets: -1 }]) {
      try {
        new env.http.Agent(options as never)
      } catch (error) {
        env.log('thrown', error)
      }
    }
    const agent = new env.http.Agent({ maxSockets: 3 })
    env.log(
      'defaults',
      agent.maxSockets,
      agent.maxFreeSockets,
      agent.maxTotalSockets,
      (agent as { keepAlive?: boolean }).keepAlive,
    )
    const name = (agent as unknown as { getName(options?: object): string }).getName.bind(agent)
    env.log('names', name(), name({ host: 'h', port: 1, localAddress: 'l' }), name({ family: 6 }), name({ socketPath: '/x' }))
    const { globalAgent } = env.http
    env.log('global', globalAgent instanceof env.http.Agent, (globalAgent as { keepAlive?: boolean }).keepAlive)
    env.log('global', JSON.stringify((globalAgent as unknown as { options: object }).options))
  })

  same('its timeout: of a request, and of a free socket', async (env) => {
    const { server, port, answer } = await counting(env, { hold: true })
    const agent = new env.http.Agent({ keepAlive: true, timeout: 20 })
    const request = env.http.get({ host: env.host, port, agent })
    request.on('error', (error) => env.log('request', error))
    request.on('timeout', () => {
      env.log('request', 'timeout', request.socket?.timeout)
      request.destroy()
    })
    await event(request, 'close')
    agent.destroy()
    const patient = new env.http.Agent({ keepAlive: true, timeout: 60_000 })
    let done = false
    void get(env, { port, path: '/again', agent: patient }).then(() => {
      done = true
    })
    await until(() => {
      answer() // the first may have come, or not, before it was given up
      return done
    })
    await until(() => Object.keys(patient.freeSockets).length > 0)
    const [idle] = Object.values(patient.freeSockets)[0] as Socket[]
    env.log('idle', idle.timeout)
    idle.on('close', (hadError) => env.log('idle', 'close', hadError))
    idle.emit('timeout')
    await event(idle, 'close')
    await turns(1)
    env.log('agent', pool(patient))
    const own = env.http.get({ host: env.host, port, agent: patient, timeout: 5 }).on('error', () => undefined)
    await event(own, 'timeout')
    env.log('own', own.socket?.timeout)
    own.destroy()
    await event(own, 'close')
    await closed(server)
  })

  same('destroyed: requests under way hear of it, and the agent goes on', async (env) => {
    const { server, port, held, answer } = await counting(env, { hold: true })
    const agent = new env.http.Agent({ keepAlive: true, maxSockets: 1 })
    const requests = ['one', 'queued'].map((name) => {
      const request = env.http.get({ host: env.host, port, path: `/${name}`, agent })
      request.on('error', (error) => env.log(name, error, request.reusedSocket))
      request.on('response', (res) => body(res).then((text) => env.log(name, text)))
      request.on('close', () => env.log(name, 'close'))
      return request
    })
    await until(() => held() === 1)
    env.log('agent', pool(agent))
    agent.destroy()
    await event(requests[0], 'close')
    await until(() => held() === 2)
    env.log('agent', pool(agent))
    answer()
    answer()
    await event(requests[1], 'close')
    agent.destroy()
    await closed(server)
  })

  same('a server that ends an idle connection: the next request opens another', async (env) => {
    const { server, port, connections } = await counting(env)
    const agent = new env.http.Agent({ keepAlive: true })
    const back = freed(agent)
    env.log('client', (await get(env, { port, path: '/1', agent }))[0])
    await back
    const [idle] = Object.values(agent.freeSockets)[0] as Socket[]
    connections[0].end()
    await event(idle, 'close')
    await turns(1)
    env.log('agent', pool(agent))
    const [text, { reusedSocket }] = await get(env, { port, path: '/2', agent })
    env.log('client', text, reusedSocket)
    agent.destroy()
    await closed(server)
  })

  same('a reset of a connection that was used again: reusedSocket says so', async (env) => {
    const sockets: Socket[] = []
    const server = env.http.createServer((req, res) => (req.url === '/2' ? req.socket.resetAndDestroy() : res.end('ok')))
    server.on('connection', (socket) => sockets.push(socket))
    const port = await bound(server, env.host)
    const agent = new env.http.Agent({ keepAlive: true })
    const back = freed(agent)
    await get(env, { port, path: '/1', agent })
    await back
    const request = env.http.get({ host: env.host, port, path: '/2', agent })
    request.on('error', (error) => env.log('client', error, request.reusedSocket, request.destroyed))
    await event(request, 'close')
    await turns(1)
    env.log('agent', pool(agent), sockets.length)
    await closed(server)
  })

  same('keepSocketAlive and reuseSocket are asked; who says no has it closed', async (env) => {
    const { server, port } = await counting(env)
    class Picky extends env.http.Agent {
      kept = 0
      override keepSocketAlive(socket: Socket): boolean {
        env.log('agent', 'keep?', ++this.kept, socket instanceof env.net.Socket)
        return this.kept < 2
      }
      override reuseSocket(socket: Socket, request: ClientRequest): void {
        env.log('agent', 'reuse', request.path, socket.destroyed)
        socket.ref()
      }
    }
    const agent = new Picky({ keepAlive: true })
    for (const path of ['/1', '/2', '/3']) {
      const [text, { reusedSocket }] = await get(env, { port, path, agent })
      env.log('client', text, reusedSocket)
      await turns(6)
    }
    env.log('agent', pool(agent))
    agent.destroy()
    await closed(server)
  })

  same('createConnection: of the request, of the agent, now or later, or with an error', async (env) => {
    const { server, port } = await counting(env)
    const asked: RequestOptions[] = []
    const make = (options: RequestOptions): Socket => {
      asked.push(options)
      return env.net.connect(options as never)
    }
    env.log('request', (await get(env, { port, path: '/now', createConnection: make as never }))[0])
    env.log('request', typeof asked[0].port, asked[0].path, asked[0].host)
    const later = ((options: RequestOptions, done: (error: Error | null, socket: Socket) => void) => {
      const socket = make(options)
      socket.once('connect', () => done(null, socket))
    }) as never
    env.log('request', (await get(env, { port, path: '/later', createConnection: later }))[0])
    const fails = ((_options: RequestOptions, done: (error: Error) => void) => {
      process.nextTick(done, new Error('no cable'))
    }) as never
    for (const options of [
      { createConnection: fails },
      { agent: Object.assign(new env.http.Agent(), { createConnection: fails }) },
    ]) {
      await get(env, { port, ...options }).catch((error) => env.log('failed', error))
    }
    const throws = (() => {
      throw new Error('nobody makes one')
    }) as never
    await get(env, { port, createConnection: throws }).catch((error) => env.log('failed', error))
    await closed(server)
  })

  same('localAddress, family, lookup and hints reach the connection', async (env) => {
    const server = env.http.createServer((req, res) =>
      res.end(`${req.socket.remoteAddress} ${req.headers.host?.replace(/\d+$/, 'P')}`),
    )
    const port = await bound(server, env.host)
    const asked: string[] = []
    const lookup = ((
      name: string,
      options: { family?: number; all?: boolean; hints?: number },
      done: (...args: unknown[]) => void,
    ) => {
      asked.push(`${name} family ${options.family} hints ${options.hints}`)
      if (options.all) done(null, [{ address: env.host, family: 4 }])
      else done(null, env.host, 4)
    }) as never
    const local = await get(env, { port, localAddress: env.host, agent: false })
    env.log('client', local[0])
    const named = await get(env, { host: 'some.name', port, lookup, family: 4, hints: 0, agent: false })
    env.log('client', named[0])
    const agent = new env.http.Agent({ lookup } as never)
    env.log('client', (await get(env, { host: 'other.name', port, agent, setHost: false, headers: { host: 'mine' } }))[0])
    env.log('asked', asked.join(', '))
    await get(env, {
      host: 'no.such',
      port,
      lookup: ((_n: string, _o: object, done: (e: Error) => void) => done(new Error('no'))) as never,
    }).catch((error) => env.log('failed', error))
    for (const lookup of ['text', 7]) {
      try {
        env.http.get({ host: 'x', port, lookup: lookup as never }).on('error', () => undefined)
      } catch (error) {
        env.log('thrown', error)
      }
    }
    agent.destroy()
    await closed(server)
  })

  same('what is no agent, no protocol of the agent, no path', async (env) => {
    const tries: RequestOptions[] = [
      { agent: {} as never },
      { agent: true as never },
      { protocol: 'ftp:' },
      { path: '/with space' },
      { method: 'G T' },
      { host: 7 as never },
      { port: 70_000 },
      { insecureHTTPParser: 'x' as never },
      { maxHeaderSize: 'x' as never },
      { joinDuplicateHeaders: 'x' as never },
      { timeout: -1 },
      { headers: { 'bad name': 'x' } },
      { headers: { ok: 'bad\nvalue' } },
      { createConnection: 7 as never, agent: false },
    ]
    for (const options of tries) {
      try {
        const request = env.http.request({ host: env.host, port: 1, ...options })
        request.on('error', () => undefined)
        request.destroy()
        env.log('taken', JSON.stringify(options))
      } catch (error) {
        env.log('thrown', error)
      }
    }
    await turns(2)
  })
})
