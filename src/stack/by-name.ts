/** Iterators over what a host answers (`stack.ping`, `stack.traceroute`), for hosts by name: the name is looked up with the first `next()`. */
import type { Address } from '../base/address.ts'
import { lookupError } from '../dns/errors.ts'
import { lookup } from '../dns/lookup.ts'
import { parseScoped } from '../ip/zone.ts'
import type { Stack } from './stack.ts'

/** Meant as an address, right or wrong: names have no colons and no zones, and do not end with a number (RFC 1123 section 2.1). */
const LIKE_ADDRESS = /[:%]|(^|\.)\d+$/

/** Throws ERR_INVALID_IP_ADDRESS; the iterator ENOTFOUND and EAI_AGAIN for a name without an address. */
export function byName<T>(
  stack: Stack,
  destination: string | Address,
  source: Address | string | undefined,
  begin: (to: Address) => AsyncIterableIterator<T>,
): AsyncIterableIterator<T> {
  if (typeof destination !== 'string') return begin(destination)
  if (LIKE_ADDRESS.test(destination) || destination === '') return begin(parseScoped(stack.ipLayer, destination))
  const family = source === undefined ? 0 : (typeof source === 'string' ? parseScoped(stack.ipLayer, source) : source).family
  return new ByName(stack, destination, family, begin)
}

class ByName<T> implements AsyncIterableIterator<T> {
  /** Settled when the name is: null, the stack was closed meanwhile, or `return` was called. */
  private found: Promise<AsyncIterableIterator<T> | null> | null = null
  private ended = false

  constructor(
    private readonly stack: Stack,
    private readonly name: string,
    private readonly family: 0 | 4 | 6,
    private readonly begin: (to: Address) => AsyncIterableIterator<T>,
  ) {}

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<T>> {
    this.found ??= this.find()
    const iterator = await this.found
    return iterator === null ? { done: true, value: undefined } : iterator.next()
  }

  async return(): Promise<IteratorResult<T>> {
    this.ended = true
    const iterator = this.found === null ? null : await this.found.catch(() => null)
    if (iterator?.return !== undefined) await iterator.return()
    return { done: true, value: undefined }
  }

  private async find(): Promise<AsyncIterableIterator<T> | null> {
    const found = await addressesOf(this.stack, this.name, this.family)
    return this.ended || found === null ? null : this.begin(found[0])
  }
}

/** Addresses of a name, best first; null: the stack was closed meanwhile. Rejects with ENOTFOUND and EAI_AGAIN. */
export async function addressesOf(stack: Stack, name: string, family: 0 | 4 | 6 = 0): Promise<Address[] | null> {
  const result = await lookup(stack.resolver, name, { family, configuredOnly: true })
  if (result.code === 'ECANCELLED') return null
  if (result.code !== '') throw lookupError(name, result)
  return result.addresses
}
