/**
 * The same scenario against Node's own modules on 127.0.0.1 and against those of a stack on 10.0.0.1, and equal logs: `node-shape.ts` for whatever stands on
 * top of `net`.
 */
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net, { type AddressInfo, type Server } from 'node:net'
import tls from 'node:tls'
import { expect, it } from 'vitest'
import type { NodeStack } from '../../src/node/stack.ts'
import { realStack, shown } from './node-shape.ts'

/** Ours are given under Node's own types, since that is the claim. */
export interface Modules {
  net: typeof net
  tls: typeof tls
  http: typeof http
  https: typeof https
  http2: typeof http2
}

export interface ModulesEnv extends Modules {
  /** Where servers of the scenario listen. */
  host: string
  log(side: string, ...what: unknown[]): void
}

export type ModulesScenario = (env: ModulesEnv) => Promise<void>

async function logOf(modules: Modules, host: string, scenario: ModulesScenario): Promise<Record<string, string[]>> {
  const logs: Record<string, string[]> = {}
  await scenario({
    ...modules,
    host,
    log(side, ...what) {
      logs[side] ??= []
      logs[side].push(what.map((w) => shown(w, host)).join(' '))
    },
  })
  return logs
}

export function modulesOf(stack: NodeStack): Modules {
  const { net, tls, http, https, http2 } = stack
  return { net, tls, http, https, http2 } as unknown as Modules
}

/** Ours and Node's logs of a scenario must be equal, and not empty. */
export function same(name: string, scenario: ModulesScenario): void {
  it(name, async () => {
    const theirs = await logOf({ net, tls, http, https, http2 }, '127.0.0.1', scenario)
    expect(Object.keys(theirs).length).toBeGreaterThan(0)
    const stack = realStack()
    try {
      expect(await logOf(modulesOf(stack), '10.0.0.1', scenario)).toEqual(theirs)
    } finally {
      await stack.close()
    }
  })
}

/** Listens on any port of the scenario's host, and gives the port. */
export function bound(server: Server, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, () => {
      server.removeListener('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}
