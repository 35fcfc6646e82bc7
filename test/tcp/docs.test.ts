/** docs/tcp.md names every socket option and every setting of TCP. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { defaults } from '../../src/base/config.ts'
import { isSocketOption } from '../../src/tcp/socket-options.ts'

const text = readFileSync(new URL('../../docs/tcp.md', import.meta.url), 'utf8')
const api = readFileSync(new URL('../../src/tcp/api.ts', import.meta.url), 'utf8')

/** Names in backticks, also several to a cell. */
const named = new Set([...text.matchAll(/`([a-zA-Z0-9]+)`/g)].map((m) => m[1]))

/** Fields of an interface in api.ts. */
function fieldsOf(name: string): string[] {
  const body = new RegExp(`export interface ${name}[^{]*\\{([\\s\\S]*?)\\n\\}`).exec(api)![1]
  return [...body.matchAll(/^ {2}(\w+)\??:/gm)].map((m) => m[1])
}

describe('docs/tcp.md', () => {
  it('names every setting', () => {
    expect(Object.keys(defaults().tcp).filter((name) => !named.has(name))).toEqual([])
  })

  it('names every socket option, and each is known to the table that checks them', () => {
    const options = fieldsOf('SocketOptions')
    expect(options.length).toBeGreaterThan(20)
    expect(options.filter((name) => !named.has(name))).toEqual([])
    expect(options.filter((name) => !isSocketOption(name))).toEqual([])
  })

  it('names no counter that does not exist', async () => {
    const { TCP_COUNTERS } = await import('../../src/tcp/tcp-counters.ts')
    const lines = text.split('\n').filter((line) => line.startsWith('Counters:'))
    const counters = lines.flatMap((line) => [...line.matchAll(/`(\w+)`/g)].map((m) => m[1]))
    expect(counters.length).toBeGreaterThan(10)
    expect(counters.filter((name) => !(TCP_COUNTERS as readonly string[]).includes(name))).toEqual([])
  })
})
