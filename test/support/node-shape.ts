/**
 * The strongest test of a drop-in: the same scenario against Node's own `net` on 127.0.0.1 and against ours, and equal logs of events.
 *
 * Every side of a scenario (client, server...) has a log of its own, because how the two interleave is nobody's promise. Ports are
 * written as P, addresses as H.
 */
import nodeNet, { isIP } from 'node:net'
import { expect, it } from 'vitest'
import { address as parseAddressOf } from '../../src/base/address.ts'
import { lookupError } from '../../src/dns/errors.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { LookupCallback, LookupOptions, NodeDeps } from '../../src/node/deps.ts'
import { NodeHost } from '../../src/node/host.ts'
import { createNet, type NetModule } from '../../src/node/net.ts'
import { createStack, type NodeStack } from '../../src/node/stack.ts'
import { FakeTcp } from './fake-tcp.ts'

/** The part of node:net that scenarios use; ours is given under Node's own types, since that is the claim. */
export type Net = typeof nodeNet

export interface Env {
  net: Net
  /** Where servers of the scenario listen. */
  host: string
  /** An address that is not this host's. */
  foreign: string
  log(side: string, ...what: unknown[]): void
}

export type Scenario = (env: Env) => Promise<void>

export interface FakeStack {
  host: NodeHost
  tcp: FakeTcp
  deps: NodeDeps
  net: NetModule
}

/** Knows addresses, and `localhost` as one of IPv4. */
function lookup(name: string, { family, all }: LookupOptions, callback: LookupCallback): void {
  const literal = isIP(name)
  const address = literal === 0 ? '127.0.0.1' : name
  const found = { address, family: literal === 0 ? 4 : literal }
  if (literal === 0 && (name !== 'localhost' || family === 6)) {
    process.nextTick(callback, lookupError(name, { code: 'ENOTFOUND' }))
  } else if (all) process.nextTick(callback, null, [found])
  else process.nextTick(callback, null, found.address, found.family)
}

/** A net over TCP in memory. */
export function fakeStack(buffer = 65_536): FakeStack {
  const host = new NodeHost()
  const tcp = new FakeTcp(host, ['10.0.0.1', '127.0.0.1'], buffer)
  const udp = undefined as unknown as NodeDeps['udp'] // these scenarios have no datagrams
  const deps: NodeDeps = {
    host,
    tcp,
    udp,
    hasIpv6: false,
    owned: new Set(),
    literal: parseAddressOf,
    addressText: String,
    dns: { lookup },
  }
  return { host, tcp, deps, net: createNet(deps) }
}

export function shown(what: unknown, host: string): string {
  if (what instanceof Error) {
    const fields = Object.entries(what)
      .filter(([key]) => key !== 'stack')
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key}=${key === 'port' || key === 'localPort' ? 'P' : value}`)
    return `${what.name}(${what.message} | ${fields.join(' ')})`.replaceAll(host, 'H').replace(/H:\d+/g, 'H:P')
  }
  if (typeof what === 'object' && what !== null) {
    return JSON.stringify(what, (key, value) => (/[pP]ort$/.test(key) && value !== undefined ? 'P' : value)).replaceAll(host, 'H')
  }
  return String(what).replaceAll(host, 'H').replace(/H:\d+/g, 'H:P')
}

/** Runs a scenario and gives the logs of its sides. */
export async function record(net: Net, host: string, scenario: Scenario): Promise<Record<string, string[]>> {
  const logs: Record<string, string[]> = {}
  await scenario({
    net,
    host,
    foreign: '10.77.0.1',
    log(side, ...what) {
      logs[side] ??= []
      logs[side].push(what.map((w) => shown(w, host)).join(' '))
    },
  })
  return logs
}

/** A whole stack with the address 10.0.0.1, which it reaches by its loopback. */
export function realStack(): NodeStack {
  const stack = createStack()
  stack.attach(createPipe()[0], { addresses: ['10.0.0.1/24'] })
  return stack
}

/** Ours, over TCP in memory and over a whole stack, and Node's logs of a scenario must be equal. */
export function both(name: string, scenario: Scenario): void {
  let theirs: Promise<Record<string, string[]>> | null = null
  const node = (): Promise<Record<string, string[]>> => {
    theirs ??= record(nodeNet, '127.0.0.1', scenario)
    return theirs
  }
  it(`${name} (TCP in memory)`, async () => {
    expect(Object.keys(await node()).length).toBeGreaterThan(0)
    expect(await record(fakeStack().net as unknown as Net, '10.0.0.1', scenario)).toEqual(await node())
  })
  it(`${name} (a whole stack)`, async () => {
    const stack = realStack()
    try {
      expect(await record(stack.net as unknown as Net, '10.0.0.1', scenario)).toEqual(await node())
    } finally {
      await stack.close()
    }
  })
}

/** Logs every event of a socket; data as text at its end, so that the size of chunks plays no part. */
export function watch(env: Env, side: string, socket: nodeNet.Socket, flow = true): nodeNet.Socket {
  let text = ''
  if (flow) socket.on('data', (chunk) => (text += chunk.toString('latin1')))
  socket.on('lookup', (error, address, family, host) => env.log(side, 'lookup', error, address, family, host))
  socket.on('connectionAttempt', (ip, port, family) => env.log(side, 'attempt', ip, typeof port, family))
  socket.on('connect', () => env.log(side, 'connect', socket.readyState, socket.connecting, socket.pending))
  socket.on('ready', () => env.log(side, 'ready'))
  socket.on('end', () => env.log(side, 'end', text.length > 200 ? text.length : JSON.stringify(text), socket.readyState))
  socket.on('finish', () => env.log(side, 'finish', socket.readyState))
  socket.on('timeout', () => env.log(side, 'timeout'))
  socket.on('error', (error) => env.log(side, 'error', error))
  socket.on('close', (hadError) => env.log(side, 'close', hadError, socket.readyState, socket.bytesRead, socket.bytesWritten))
  return socket
}

export function listening(server: nodeNet.Server, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, () => {
      server.removeListener('error', reject)
      resolve((server.address() as nodeNet.AddressInfo).port)
    })
  })
}

export function event(emitter: NodeJS.EventEmitter, name: string): Promise<unknown> {
  return new Promise((resolve) => emitter.once(name, resolve))
}
