/**
 * Every function of net, dgram and dns beside Node's with arguments that cannot be meant, one at a time: the same class of error, the same code, words,
 * errno and syscall, or none from either. Where ours answers otherwise on purpose the value is named, with why.
 */
import nodeDgram from 'node:dgram'
import nodeDns from 'node:dns'
import nodeNet from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { realStack } from '../support/node-shape.ts'

// Whatever is called with whatever: types would only be in the way.
type Loose = Record<string, (...args: unknown[]) => unknown>
type LooseClass = new (...args: unknown[]) => Loose

interface Modules {
  net: Loose & { Socket: LooseClass }
  dgram: Loose
  dns: Loose & { Resolver: LooseClass; promises: Loose & { Resolver: LooseClass } }
}

/** What the test made, to be ended. */
type Made = Loose[]
type Call = (m: Modules, value: unknown, made: Made) => unknown

const nothing = (): void => undefined
const VALUES: [string, unknown][] = [
  ['undefined', undefined],
  ['null', null],
  ['true', true],
  ['false', false],
  ['0', 0],
  ['1', 1],
  ['-1', -1],
  ['1.5', 1.5],
  ['65536', 65_536],
  ['2**31', 2 ** 31],
  ['2**32', 2 ** 32],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['""', ''],
  ['" "', ' '],
  ['"x"', 'x'],
  ['"it’s"', "it's"],
  ['forty x', 'x'.repeat(40)],
  ['two hundred x', 'x'.repeat(200)],
  ['"80"', '80'],
  ['"1e3"', '1e3'],
  ['"::1"', '::1'],
  ['"127.0.0.1"', '127.0.0.1'],
  ['{}', {}],
  ['[]', []],
  ['[1]', [1]],
  ['() => {}', () => undefined],
  ['a named function', nothing],
  ['a symbol', Symbol('s')],
  ['5n', 5n],
  ['a date', new Date(0)],
  ['a map', new Map()],
  ['no prototype', Object.create(null)],
  ['bytes', new Uint8Array(2)],
]

const PATH = ['"x"', '"it’s"', 'forty x', 'two hundred x', '"::1"', '"127.0.0.1"']
/** Names would be looked up on the network of the machine. */
const NAMES = ['"x"', '" "', '"it’s"', 'forty x', 'two hundred x', '"80"', '"1e3"']
const NUMBERS = ['1', '1.5', '65536', '2**31', '2**32', 'Infinity']
const UNREADABLE = ['a symbol', '5n', 'no prototype']

/** Values at which ours differs on purpose, or which would reach the machine's network. */
const EXCEPT: Record<string, { at: string[]; why: string }> = {
  'net.connect(v)': { at: PATH, why: 'paths: ERR_TAPSTACK_UNSUPPORTED' },
  'net.connect({ path })': { at: [...PATH, '" "', '"80"', '"1e3"'], why: 'paths' },
  'net.connect({ host })': { at: NAMES, why: 'names' },
  'net.connect(1, v)': { at: NAMES, why: 'names' },
  'server.listen(v)': { at: PATH, why: 'paths' },
  'server.listen({ path })': { at: PATH, why: 'paths' },
  'server.listen({ host })': { at: NAMES, why: 'names' },
  'server.listen(0, v)': { at: NAMES, why: 'names' },
  'server.listen({ fd })': { at: ['0', ...NUMBERS], why: 'descriptors: ERR_TAPSTACK_UNSUPPORTED' },
  'server.listen({ backlog })': { at: UNREADABLE, why: 'libuv’s binding cannot make a number of it; here it is no backlog' },
  'net.createServer({ keepAliveInitialDelay })': { at: NUMBERS, why: 'milliseconds stay what they are' },
  'udp.bind(v)': {
    at: VALUES.map(([name]) => name).filter((n) => !['undefined', 'null', '0', '1', '"80"', '{}'].includes(n)),
    why: 'a port out of range is a mistake, not its low 16 bits',
  },
  'udp.bind({ port })': {
    at: VALUES.map(([name]) => name).filter((n) => !['undefined', 'null', '0', '1', '"80"', '"1e3"'].includes(n)),
    why: 'the same',
  },
  'udp.bind({ fd })': { at: ['1', '65536', ...UNREADABLE], why: 'descriptors' },
  'udp.bind(0, v)': { at: NAMES, why: 'names' },
  'udp.bind({ address })': { at: NAMES, why: 'names' },
  'udp.send("x", 1, v)': { at: NAMES, why: 'names' },
  'udp.send("xy", 0, 1, 1, v)': { at: NAMES, why: 'names' },
  'udp.sendto(..., address)': { at: NAMES, why: 'names' },
  'udp.connect(1, v)': { at: NAMES, why: 'names' },
  'udp.addMembership(group, v)': {
    at: ['undefined', 'null', ...UNREADABLE],
    why: 'membership on the machine’s own network; unreadable',
  },
  'dns.lookup(v)': { at: NAMES, why: 'names' },
  'dns.promises.lookup(v)': { at: NAMES, why: 'names' },
  'dns.lookupService(v, 1)': { at: UNREADABLE, why: 'isIP of Node throws a TypeError without a code' },
  'dns.promises.lookupService(v, 1)': { at: UNREADABLE, why: 'the same' },
}

const CALLS: [string, Call][] = []

function call(name: string, run: Call): void {
  CALLS.push([name, run])
}

function quiet<T extends Loose>(made: Made, one: T): T {
  one.on?.('error', nothing)
  made.push(one)
  return one
}

const tcp = (m: Modules, made: Made, ...args: unknown[]): Loose => quiet(made, new m.net.Socket(...args))
const server = (m: Modules, made: Made, ...args: unknown[]): Loose => quiet(made, m.net.createServer(...args) as Loose)
const udp = (m: Modules, made: Made, ...args: unknown[]): Loose => {
  return quiet(made, m.dgram.createSocket(...(args.length === 0 ? ['udp4'] : args)) as Loose)
}
const resolver = (kind: LooseClass, made: Made): Loose => {
  const one = new kind()
  one.setServers(['127.0.0.1:1'])
  made.push({ destroy: () => one.cancel() })
  return one
}

for (const option of [
  'objectMode',
  'readableObjectMode',
  'writableObjectMode',
  'keepAliveInitialDelay',
  'signal',
  'onread',
  'noDelay',
]) {
  call(`new net.Socket({ ${option} })`, (m, v, made) => void tcp(m, made, { [option]: v }))
}
call('new net.Socket(v)', (m, v, made) => (typeof v === 'number' ? 0 : void tcp(m, made, v)))
for (const option of [
  ...['port', 'host', 'localAddress', 'localPort', 'family', 'hints', 'autoSelectFamily', 'autoSelectFamilyAttemptTimeout'],
  ...['path', 'timeout', 'signal'],
]) {
  const options = { port: 1, host: '127.0.0.1' }
  call(`net.connect({ ${option} })`, (m, v, made) => void quiet(made, m.net.connect({ ...options, [option]: v }) as Loose))
}
call(
  'net.connect({ lookup })',
  (m, v, made) => void quiet(made, m.net.connect({ port: 1, lookup: v, host: 'localhost' }) as Loose),
)
call('net.connect(v)', (m, v, made) => void quiet(made, m.net.connect(v) as Loose))
call('net.connect(1, v)', (m, v, made) => void quiet(made, m.net.connect(1, v) as Loose))
for (const option of ['allowHalfOpen', 'keepAliveInitialDelay', 'highWaterMark', 'noDelay', 'keepAlive', 'pauseOnConnect']) {
  call(`net.createServer({ ${option} })`, (m, v, made) => server(m, made, { [option]: v })[option])
}
call('net.createServer(v)', (m, v, made) => void server(m, made, v))
for (const option of ['port', 'host', 'backlog', 'exclusive', 'ipv6Only', 'signal', 'fd', 'handle', '_handle']) {
  call(`server.listen({ ${option} })`, (m, v, made) => void server(m, made).listen({ port: 0, [option]: v }))
}
call('server.listen({ path })', (m, v, made) => void server(m, made).listen({ path: v }))
call('server.listen(v)', (m, v, made) => void server(m, made).listen(v === 1 ? 0 : v))
call('server.listen(0, v)', (m, v, made) => void server(m, made).listen(0, v))
call('server.listen(0, "127.0.0.1", v)', (m, v, made) => void server(m, made).listen(0, '127.0.0.1', v))
call('server.getConnections(v)', (m, v, made) => void server(m, made).getConnections(v))
call('server.close(v)', (m, v, made) => void server(m, made).close(v))
for (const method of [
  'setTimeout',
  'setNoDelay',
  'setKeepAlive',
  'pause',
  'resume',
  'write',
  'end',
  'destroy',
  'ref',
  'read',
  'unshift',
]) {
  call(`socket.${method}(v)`, (m, v, made) => {
    const one = tcp(m, made)
    const returned = one[method](v)
    return returned === one ? 'this' : returned
  })
}
call('socket.setTimeout(1, v)', (m, v, made) => void tcp(m, made).setTimeout(1, v))
call('socket.setTimeout(0, v)', (m, v, made) => void tcp(m, made).setTimeout(0, v))
call('socket.write("x", v)', (m, v, made) => tcp(m, made).write('x', v))
call('net.setDefaultAutoSelectFamily(v)', (m, v) => {
  const before = m.net.getDefaultAutoSelectFamily()
  try {
    return m.net.setDefaultAutoSelectFamily(v)
  } finally {
    m.net.setDefaultAutoSelectFamily(before)
  }
})
call('net.setDefaultAutoSelectFamilyAttemptTimeout(v)', (m, v) => {
  const before = m.net.getDefaultAutoSelectFamilyAttemptTimeout()
  try {
    m.net.setDefaultAutoSelectFamilyAttemptTimeout(v)
    return m.net.getDefaultAutoSelectFamilyAttemptTimeout()
  } finally {
    m.net.setDefaultAutoSelectFamilyAttemptTimeout(before)
  }
})
for (const name of ['isIP', 'isIPv4', 'isIPv6']) call(`net.${name}(v)`, (m, v) => m.net[name](v))

call('dgram.createSocket(v)', (m, v, made) => void udp(m, made, v))
call('dgram.createSocket("udp4", v)', (m, v, made) => udp(m, made, 'udp4', v).listenerCount('message'))
for (const option of ['type', 'reuseAddr', 'ipv6Only', 'recvBufferSize', 'sendBufferSize', 'lookup', 'signal']) {
  call(`dgram.createSocket({ ${option} })`, (m, v, made) => void udp(m, made, { type: 'udp4', [option]: v }))
}
for (const method of [
  ...['bind', 'close', 'send', 'connect', 'disconnect', 'address', 'remoteAddress', 'ref', 'unref', 'setBroadcast', 'setTTL'],
  ...['setMulticastTTL', 'setMulticastLoopback', 'setMulticastInterface', 'setRecvBufferSize', 'setSendBufferSize'],
  ...['addMembership', 'dropMembership', 'addSourceSpecificMembership', 'dropSourceSpecificMembership'],
]) {
  call(`udp.${method}(v)`, (m, v, made) => {
    const one = udp(m, made)
    const returned = one[method](v)
    return returned === one ? 'this' : returned
  })
}
call('udp.bind(0, v)', (m, v, made) => void udp(m, made).bind(0, v))
for (const option of ['port', 'address', 'fd']) {
  call(`udp.bind({ ${option} })`, (m, v, made) => void udp(m, made).bind({ port: 0, [option]: v }))
}
call('udp.addMembership(group, v)', (m, v, made) => void udp(m, made).addMembership('239.1.2.3', v))
call(
  'udp.addSourceSpecificMembership("127.0.0.1", v)',
  (m, v, made) => void udp(m, made).addSourceSpecificMembership('127.0.0.1', v),
)
call('udp.addSourceSpecificMembership(v, group, "127.0.0.1")', (m, v, made) => {
  udp(m, made).addSourceSpecificMembership(v, '232.0.0.1', '127.0.0.1')
})
call('udp.connect(1, v)', (m, v, made) => void udp(m, made).connect(1, v))
call('udp.send("x", v)', (m, v, made) => void udp(m, made).send('x', v))
call('udp.send("x", 1, v)', (m, v, made) => void udp(m, made).send('x', 1, v))
call('udp.send("x", 1, "127.0.0.1", v)', (m, v, made) => void udp(m, made).send('x', 1, '127.0.0.1', v))
const SENDTO = ['buffer', 'offset', 'length', 'port', 'address', 'callback']
SENDTO.forEach((name, i) => {
  call(`udp.sendto(..., ${name})`, (m, v, made) => {
    const args: unknown[] = ['xy', 0, 1, 1, '127.0.0.1', nothing]
    args[i] = v
    udp(m, made).sendto(...args)
  })
})
call('udp.send("xy", 0, 1, v)', (m, v, made) => void udp(m, made).send('xy', 0, 1, v, '127.0.0.1'))
call('udp.send("xy", 0, 1, 1, v)', (m, v, made) => void udp(m, made).send('xy', 0, 1, 1, v))

/** A promise is a promise: how it ends is not asked here. */
function kept(value: unknown): unknown {
  if (value instanceof Promise) value.catch(nothing)
  return value instanceof Promise ? 'a promise' : typeof value === 'object' ? 'an object' : value
}

call('dns.lookup(v)', (m, v) => kept(m.dns.lookup(v, nothing)))
call('dns.lookup(ip, v, cb)', (m, v) => kept(m.dns.lookup('127.0.0.1', v, nothing)))
call('dns.lookup(ip, {}, v)', (m, v) => kept(m.dns.lookup('127.0.0.1', {}, v)))
call('dns.promises.lookup(v)', (m, v) => kept(m.dns.promises.lookup(v)))
call('dns.promises.lookup(ip, v)', (m, v) => kept(m.dns.promises.lookup('127.0.0.1', v)))
for (const option of ['family', 'hints', 'all', 'verbatim', 'order']) {
  call(`dns.lookup(ip, { ${option} })`, (m, v) => kept(m.dns.lookup('127.0.0.1', { [option]: v }, nothing)))
  call(`dns.promises.lookup(ip, { ${option} })`, (m, v) => kept(m.dns.promises.lookup('127.0.0.1', { [option]: v })))
}
call('dns.lookupService(v, 1)', (m, v) => kept(m.dns.lookupService(v, 1, nothing)))
call('dns.lookupService(ip, v)', (m, v) => kept(m.dns.lookupService('127.0.0.1', v, nothing)))
call('dns.lookupService(ip, 1, v)', (m, v) => kept(m.dns.lookupService('127.0.0.1', 1, v)))
call('dns.promises.lookupService(v, 1)', (m, v) => kept(m.dns.promises.lookupService(v, 1)))
call('dns.promises.lookupService(ip, v)', (m, v) => kept(m.dns.promises.lookupService('127.0.0.1', v)))
for (const method of ['resolve', 'resolve4', 'resolveMx', 'resolveAny', 'reverse']) {
  call(`resolver.${method}(v, cb)`, (m, v, made) => kept(resolver(m.dns.Resolver, made)[method](v, nothing)))
  call(`resolver.${method}(ip, v)`, (m, v, made) => kept(resolver(m.dns.Resolver, made)[method]('127.0.0.1', v)))
  call(`resolver.${method}(ip, v, cb)`, (m, v, made) => kept(resolver(m.dns.Resolver, made)[method]('127.0.0.1', v, nothing)))
  call(`promises: resolver.${method}(v)`, (m, v, made) => kept(resolver(m.dns.promises.Resolver, made)[method](v)))
  call(`promises: resolver.${method}(ip, v)`, (m, v, made) =>
    kept(resolver(m.dns.promises.Resolver, made)[method]('127.0.0.1', v)),
  )
}
call('resolver.setServers(v)', (m, v, made) => resolver(m.dns.Resolver, made).setServers(v))
call('resolver.setServers([v])', (m, v, made) => resolver(m.dns.Resolver, made).setServers([v]))
call('promises: resolver.setServers([v])', (m, v, made) => resolver(m.dns.promises.Resolver, made).setServers([v]))
call('resolver.setLocalAddress(v)', (m, v, made) => resolver(m.dns.Resolver, made).setLocalAddress(v))
call('resolver.setLocalAddress(ip, v)', (m, v, made) => resolver(m.dns.Resolver, made).setLocalAddress('127.0.0.1', v))
for (const module of ['dns', 'promises'] as const) {
  call(`${module}.setDefaultResultOrder(v)`, (m, v) => {
    const of = module === 'dns' ? m.dns : m.dns.promises
    return of.setDefaultResultOrder(v) // none of the values is an order
  })
}
call('new dns.Resolver(v)', (m, v) => void new m.dns.Resolver(v))
for (const option of ['timeout', 'tries'])
  call(`new dns.Resolver({ ${option} })`, (m, v) => void new m.dns.Resolver({ [option]: v }))

const stack = realStack()
afterAll(() => stack.close())
const theirs = { net: nodeNet, dgram: nodeDgram, dns: nodeDns } as unknown as Modules
const ours = stack as unknown as Modules

function outcome(m: Modules, run: Call, value: unknown): unknown {
  const made: Made = []
  try {
    return { returned: run(m, value, made) }
  } catch (error) {
    const { name, code, message, errno, syscall } = error as NodeJS.ErrnoException
    return { name, code, message, errno, syscall }
  } finally {
    for (const one of made) {
      try {
        if (one.destroy === undefined) one.close()
        else one.destroy()
      } catch {
        // Never listened, or closed by the call itself.
      }
    }
  }
}

describe('arguments that cannot be meant, as Node takes them', () => {
  it.each(CALLS)('%s', (name, run) => {
    const except = EXCEPT[name]?.at ?? []
    for (const [shown, value] of VALUES) {
      if (!except.includes(shown))
        expect({ v: shown, ...(outcome(ours, run, value) as object) }).toEqual({
          v: shown,
          ...(outcome(theirs, run, value) as object),
        })
    }
  })

  it('every exception belongs to a call', () => {
    const names = CALLS.map(([name]) => name)
    expect(Object.keys(EXCEPT).filter((name) => !names.includes(name))).toEqual([])
  })
})
