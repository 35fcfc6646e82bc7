/**
 * Every name that the running Node's modules have, walked one by one: ours has it, of the same kind, as long, as visible. What a newer Node adds is seen
 * here on the day that the tests run on it; what is left out is in a list, with why.
 */
import nodeDgram from 'node:dgram'
import nodeDns from 'node:dns'
import nodeNet from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { realStack } from '../support/node-shape.ts'

const CLUSTER = 'the wiring of cluster: sockets live in the process of their stack'
const DEP0112 = 'private, deprecated since Node 11 (DEP0112)'
const HANDLE = 'of libuv’s handles: there is none'

/** Names that ours leaves out. */
const LEFT_OUT: Record<string, string> = {
  'net._createServerHandle': HANDLE,
  'net.Server.prototype._listen2': CLUSTER,
  'net.Server.prototype._setupWorker': CLUSTER,
  'net.Server()._usingWorkers': CLUSTER,
  'net.Server()._workers': CLUSTER,
  'net.Server()._listeningId': CLUSTER,
  'net.Socket.prototype._writeGeneric': HANDLE,
  'net.Socket()._closeAfterHandlingError': HANDLE,
  'net.Socket()._sockname': HANDLE,
  'net.Socket()._pendingData': HANDLE,
  'net.Socket()._pendingEncoding': HANDLE,
  'dns.Resolver()._handle': HANDLE,
  'dns.promises.Resolver()._handle': HANDLE,
  'dgram._createSocketHandle': DEP0112,
  'dgram.Socket.prototype._handle': DEP0112,
  'dgram.Socket.prototype._receiving': DEP0112,
  'dgram.Socket.prototype._bindState': DEP0112,
  'dgram.Socket.prototype._queue': DEP0112,
  'dgram.Socket.prototype._reuseAddr': DEP0112,
  'dgram.Socket.prototype._healthCheck': DEP0112,
  'dgram.Socket.prototype._stopReceiving': DEP0112,
}

/** Names that ours has besides. */
const BESIDES = [
  'net.Socket.prototype.tapstack', // the raw connection
  'net.Socket.prototype._server', // own properties in Node
  'net.Server.prototype._handle',
  'dns.resolveTlsa', // Node 22 and later
  'dns.promises.resolveTlsa',
  'dns.Resolver.prototype.resolveTlsa',
  'dns.promises.Resolver.prototype.resolveTlsa',
]

/** Own and inherited names, up to what Node's own base classes give to both. Symbols are Node's own business, but for those that are known to all. */
function names(of: object): Map<string, PropertyDescriptor> {
  const out = new Map<string, PropertyDescriptor>()
  for (
    let p: object | null = of;
    p !== null && p !== Object.prototype && p !== Function.prototype;
    p = Object.getPrototypeOf(p)
  ) {
    for (const [key, value] of Object.entries(Object.getOwnPropertyDescriptors(p))) if (!out.has(key)) out.set(key, value)
    for (const symbol of [Symbol.asyncIterator, Symbol.asyncDispose, Symbol.for('nodejs.rejection')]) {
      const value = symbol === undefined ? undefined : Object.getOwnPropertyDescriptor(p, symbol)
      if (value !== undefined && !out.has(String(symbol))) out.set(String(symbol), value)
    }
  }
  return out
}

const ACCESSOR = Symbol('accessor')

/** What somebody who reads the name gets. An accessor of a prototype has no value until there is an instance. */
function read(of: object, name: string, descriptor: PropertyDescriptor, isInstance: boolean): unknown {
  const isValue = 'value' in descriptor || isInstance || /^[A-Z]|^promises$/.test(name)
  return isValue ? (of as Record<string, unknown>)[name] : ACCESSOR
}

interface Found {
  missing: string[]
  besides: string[]
  differ: string[]
}

function compare(path: string, theirs: object, ours: object, isInstance: boolean, found: Found): void {
  const mine = names(ours)
  const all = names(theirs)
  for (const [name, descriptor] of all) {
    if (name === 'default' || name === 'constructor' || name === 'module.exports') continue
    const own = mine.get(name)
    const where = `${path}.${name}`
    if (own === undefined) {
      found.missing.push(where)
      continue
    }
    const value = read(theirs, name, descriptor, isInstance)
    const myValue = read(ours, name, own, isInstance)
    // A socket's `write` has two faces, before and after the peer's end, so that ours is a method where Node's is not; the rest is seen alike.
    if (!isInstance && name !== 'write' && descriptor.enumerable !== own.enumerable) {
      found.differ.push(`${where} is ${descriptor.enumerable ? '' : 'not '}enumerable in Node`)
    }
    if (value === myValue) continue
    if (typeof value !== typeof myValue) found.differ.push(`${where} is ${typeof value} in Node, ${typeof myValue} here`)
    else if (typeof value === 'function' && typeof myValue === 'function') {
      if (value.length !== myValue.length)
        found.differ.push(`${where} takes ${value.length} arguments in Node, ${myValue.length} here`)
      if (/^[A-Z]/.test(name)) compare(`${where}.prototype`, value.prototype, myValue.prototype, false, found)
    } else if (name === 'promises') compare(where, value as object, myValue as object, false, found)
    else if (typeof value !== 'object' && !(isInstance && typeof value === 'number')) {
      found.differ.push(`${where} is ${String(value)} in Node, ${String(myValue)} here`)
    }
  }
  for (const name of mine.keys()) if (!all.has(name) && !name.startsWith('Symbol')) found.besides.push(`${path}.${name}`)
}

const stack = realStack()

it('sees what is missing, otherwise, seen or of another length', () => {
  const found: Found = { missing: [], besides: [], differ: [] }
  const theirs = { a: 1, b: (x: unknown) => x, c() {}, d: 'd', E: class {} }
  compare(
    'm',
    theirs,
    {
      b: () => 1,
      c: 3,
      d: 'D',
      E: class {
        f() {}
      },
    },
    false,
    found,
  )
  expect(found.missing).toEqual(['m.a'])
  expect(found.besides).toEqual(['m.E.prototype.f'])
  expect(found.differ).toEqual([
    'm.b takes 1 arguments in Node, 0 here',
    'm.c is function in Node, number here',
    'm.d is d in Node, D here',
  ])
})

afterAll(() => stack.close())

describe.each([
  ['net', nodeNet, stack.net],
  ['dgram', nodeDgram, stack.dgram],
  ['dns', nodeDns, stack.dns],
] as [string, object, object][])('%s', (name, theirs, ours) => {
  const found: Found = { missing: [], besides: [], differ: [] }
  compare(name, theirs, ours, false, found)

  it('has every name of Node’s, of the same kind, length and visibility', () => {
    const unexpected = found.missing.filter((n) => !(n.replace('.Stream.', '.Socket.') in LEFT_OUT))
    expect(unexpected).toEqual([])
    expect(found.differ).toEqual([])
  })

  it('has nothing besides that could stand in the way of an heir’s names', () => {
    const bare = found.besides.filter((n) => !BESIDES.includes(n.replace('.Stream.', '.Socket.')))
    expect(bare.filter((n) => !n.split('.').pop()!.startsWith('_'))).toEqual([])
  })
})

describe('instances', () => {
  it.each([
    ['net.Socket', new nodeNet.Socket(), new stack.net.Socket()],
    ['net.Server', new nodeNet.Server(), new stack.net.Server()],
    ['dgram.Socket', nodeDgram.createSocket('udp4'), stack.dgram.createSocket('udp4')],
    ['dns.Resolver', new nodeDns.Resolver(), new stack.dns.Resolver()],
    ['dns.promises.Resolver', new nodeDns.promises.Resolver(), new stack.dns.promises.Resolver()],
  ] as [string, object, object][])('%s has the same properties', (name, theirs, ours) => {
    const found: Found = { missing: [], besides: [], differ: [] }
    compare(`${name}()`, theirs, ours, true, found)
    const leftOut = (n: string): boolean => n in LEFT_OUT || n.replace('()', '.prototype') in LEFT_OUT
    expect(found.missing.filter((n) => !leftOut(n) && !n.endsWith('.domain'))).toEqual([])
    expect(found.differ).toEqual([])
  })

  it('what is said to be left out is not there', () => {
    const roots: Record<string, unknown> = { net: stack.net, dgram: stack.dgram, dns: stack.dns }
    for (const path of Object.keys(LEFT_OUT)) {
      const [root, ...rest] = path.split('.')
      let at: unknown = roots[root]
      for (const part of rest.slice(0, -1)) {
        const held = (at as Record<string, unknown>)[part.replace('()', '')]
        at = part.endsWith('()') ? new (held as new () => object)() : held
      }
      expect(rest[rest.length - 1] in (at as object), path).toBe(false)
    }
  })
})
