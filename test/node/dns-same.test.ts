/**
 * node:dns beside Node's, asking one and the same server: it stands on Node's own dgram on 127.0.0.1 for Node, and on ours for ours. Answers, errors and
 * the async contexts in which they are told.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import nodeDgram from 'node:dgram'
import nodeDns from 'node:dns'
import { describe, expect, it } from 'vitest'
import { decodeMessage, encodeMessage, Rcode } from '../../src/dns/message.ts'
import { type Asked, a, aaaa, cname, record, reply, type Script, soa, zone } from '../support/dns-server.ts'
import { event, realStack } from '../support/node-shape.ts'

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0))

const ZONE = zone(
  a('www.example.com', '192.0.2.1', 11),
  a('www.example.com', '192.0.2.2', 12),
  aaaa('www.example.com', '2001:db8::1', 13),
  cname('alias.example.com', 'www.example.com'),
  record('example.com', 'MX', { preference: 10, exchange: 'mail.example.com' }),
  record('example.com', 'MX', { preference: 5, exchange: 'first.example.com' }),
  record('example.com', 'TXT', { strings: [bytes('one'), bytes('two caf\xe9')] }),
  record('example.com', 'NS', { nsdname: 'ns.example.com' }),
  record('example.com', 'CAA', { flags: 128, tag: bytes('issuewild'), value: bytes('ca.example') }),
  record('example.com', 'NAPTR', {
    order: 1,
    preference: 2,
    flags: bytes('s'),
    services: bytes('SIP+D2U'),
    regexp: bytes('!x!y!'),
    replacement: '_sip._udp.example.com',
  }),
  record('_sip._udp.example.com', 'SRV', { priority: 1, weight: 2, port: 5060, target: 'www.example.com' }),
  record('1.2.0.192.in-addr.arpa', 'PTR', { ptrdname: 'www.example.com' }),
  record('1.2.0.192.in-addr.arpa', 'PTR', { ptrdname: 'web.example.com' }),
  soa('example.com'),
)

const RCODES: Record<string, number> = {
  'servfail.example': Rcode.SERVFAIL,
  'refused.example': Rcode.REFUSED,
  'notimp.example': Rcode.NOTIMP,
  'formerr.example': Rcode.FORMERR,
}

const script: Script = (asked: Asked) => {
  const rcode = RCODES[asked.name]
  return rcode === undefined ? ZONE(asked) : reply(asked, { rcode })
}

type Dns = typeof nodeDns

interface Env {
  dns: Dns
  /** Where the server is. */
  server: string
  resolver: nodeDns.Resolver
  promises: nodeDns.promises.Resolver
  log(...what: unknown[]): void
}

function shownOf(what: unknown): unknown {
  if (!(what instanceof Error)) return what
  const { name, message, code, errno, syscall, hostname } = what as Error & Record<string, unknown>
  return { name, message, code, errno, syscall, hostname, keys: Object.keys(what).sort().join() }
}

async function record_(
  dns: Dns,
  dgram: typeof nodeDgram,
  host: string,
  scenario: (env: Env) => Promise<void>,
): Promise<unknown[]> {
  const lines: unknown[] = []
  const socket = dgram.createSocket('udp4')
  socket.on('message', (query, from) => {
    const { message } = decodeMessage(query)
    const [{ name, type }] = message!.questions
    const answer = script({
      message: message!,
      name: name.toLowerCase(),
      type,
      overTcp: false,
      port: from.port,
      more: () => undefined,
    })
    const out = answer instanceof Uint8Array ? answer : encodeMessage(answer!)
    socket.send(out, from.port, from.address)
  })
  socket.bind(0, host)
  await event(socket, 'listening')
  const server = `${host}:${socket.address().port}`
  const settings = { timeout: 2000, tries: 1 }
  const [resolver, promises] = [new dns.Resolver(settings), new dns.promises.Resolver(settings)]
  resolver.setServers([server])
  promises.setServers([server])
  try {
    await scenario({ dns, server, resolver, promises, log: (...what) => void lines.push(what.map(shownOf)) })
  } finally {
    socket.close()
  }
  return lines
}

function both(name: string, scenario: (env: Env) => Promise<void>): void {
  it(name, async () => {
    const theirs = await record_(nodeDns, nodeDgram, '127.0.0.1', scenario)
    const stack = realStack()
    try {
      const ours = await record_(stack.dns as unknown as Dns, stack.dgram as unknown as typeof nodeDgram, '10.0.0.1', scenario)
      expect(ours).toEqual(theirs)
    } finally {
      await stack.close()
    }
    expect(theirs.length).toBeGreaterThan(0)
  })
}

type Call = (...args: unknown[]) => unknown

/** Both ways to ask: by callback and by promise. */
async function ask({ resolver, promises, log }: Env, call: string, ...args: unknown[]): Promise<void> {
  const told = await new Promise<unknown[]>((resolve) =>
    (resolver as unknown as Record<string, Call>)[call](...args, (...all: unknown[]) => resolve(all)),
  )
  log(call, ...args, ...told)
  const answer = await ((promises as unknown as Record<string, Call>)[call](...args) as Promise<unknown>).catch((e: unknown) => e)
  log(call, ...args, answer)
}

describe('answers', () => {
  const questions: [string, ...unknown[]][] = [
    ['resolve4', 'www.example.com'],
    ['resolve4', 'www.example.com', { ttl: true }],
    ['resolve4', 'www.example.com', { ttl: false }],
    ['resolve6', 'www.example.com'],
    ['resolve6', 'www.example.com', { ttl: true }],
    ['resolve4', 'alias.example.com'],
    ['resolveMx', 'example.com'],
    ['resolveTxt', 'example.com'],
    ['resolveNs', 'example.com'],
    ['resolveCaa', 'example.com'],
    ['resolveNaptr', 'example.com'],
    ['resolveSoa', 'example.com'],
    ['resolveSrv', '_sip._udp.example.com'],
    ['resolveCname', 'alias.example.com'],
    ['resolvePtr', '1.2.0.192.in-addr.arpa'],
    ['resolve', 'www.example.com'],
    ['resolve', 'www.example.com', 'AAAA'],
    ['resolve', 'example.com', 'MX'],
    ['resolve', 'example.com', 'SOA'],
    ['reverse', '192.0.2.1'],
  ]
  for (const [call, ...args] of questions) both(`${call} ${JSON.stringify(args)}`, (env) => ask(env, call, ...args))
})

describe('errors', () => {
  const questions: [string, ...unknown[]][] = [
    ['resolve4', 'nothing.example.com'],
    ['resolveMx', 'www.example.com'],
    ['resolve6', 'servfail.example'],
    ['resolve4', 'refused.example'],
    ['resolve4', 'notimp.example'],
    ['resolve4', 'formerr.example'],
    ['resolveTxt', 'nothing.example.com'],
    ['reverse', '192.0.2.9'],
  ]
  for (const [call, ...args] of questions) both(`${call} ${JSON.stringify(args)}`, (env) => ask(env, call, ...args))

  both('cancel: by callback and by promise', async ({ resolver, promises, dns, log }) => {
    const silent = async (of: nodeDns.Resolver | nodeDns.promises.Resolver): Promise<void> => {
      of.setServers(['127.0.0.1:1'])
    }
    await silent(resolver)
    await silent(promises)
    const told = new Promise<unknown>((resolve) => resolver.resolve4('www.example.com', (error) => resolve(error)))
    resolver.cancel()
    log(await told)
    const failed = promises.resolve4('www.example.com').catch((e: unknown) => e)
    promises.cancel()
    log(await failed, dns.CANCELLED)
  })

  both('servers that cannot be changed while a question is open', async ({ resolver, server, log }) => {
    const told = new Promise<unknown>((resolve) =>
      resolver.resolve4('www.example.com', (error, found) => resolve(error ?? found)),
    )
    try {
      resolver.setServers([server])
      log('changed')
    } catch (error) {
      log((error as NodeJS.ErrnoException).code)
    }
    log(await told, resolver.getServers().length)
  })
})

describe('what is returned, and in whose context it is told', () => {
  both('lookup, resolve and reverse', async ({ resolver, promises, dns, log }) => {
    const storage = new AsyncLocalStorage<string>()
    const told = (what: string, start: (done: () => void) => void): Promise<void> =>
      new Promise((resolve) =>
        storage.run(what, () =>
          start(() => {
            log(what, storage.getStore())
            resolve()
          }),
        ),
      )
    await told('resolve', (done) => resolver.resolve4('www.example.com', done))
    await told('reverse', (done) => resolver.reverse('192.0.2.1', done))
    await told('lookup', (done) => dns.lookup('127.0.0.1', done))
    await told('lookup localhost', (done) => dns.lookup('localhost', done))
    await told('lookupService', (done) => dns.lookupService('127.0.0.1', 22, done))
    await storage.run('promise', async () => {
      await promises.resolve4('www.example.com')
      log(storage.getStore())
    })
  })

  both('no callback before the call has returned', async ({ resolver, dns, log }) => {
    for (const start of [
      (done: () => void) => dns.lookup('::1', done),
      (done: () => void) => dns.lookup('localhost', { all: true }, done),
      (done: () => void) => resolver.resolve4('www.example.com', done),
    ]) {
      let returned = false
      const called = new Promise<boolean>((resolve) => start(() => resolve(returned)))
      returned = true
      log(await called)
    }
  })

  both('lookup of localhost, in all its forms', async ({ dns, log }) => {
    for (const options of [
      { family: 4 },
      { family: 4, all: true },

      4,
      { all: true, order: 'ipv4first', family: 4 },
    ]) {
      log(await new Promise((resolve) => dns.lookup('localhost', options as nodeDns.LookupOptions, (...all) => resolve(all))))
      log(await dns.promises.lookup('localhost', options as nodeDns.LookupOptions))
    }
  })
})
