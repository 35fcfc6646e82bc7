/**
 * `node:dns` on a stack, and its promises.
 *
 * Theory of operation. `lookup` is getaddrinfo(3) over the stack's own resolver: hosts, search list, both families, RFC 6724. The others ask servers as they
 * are told, as c-ares does under Node. Functions of the module use the stack's resolver, with its cache; a `Resolver` of one's own has servers, times and
 * questions of its own, and remembers nothing. Callbacks are called from `process.nextTick`, never before the call has returned.
 */
import nodeDns from 'node:dns'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import type { Address } from '../base/address.ts'
import type { DnsConfig } from '../base/dns-config.ts'
import { Resolver as CoreResolver, type ResolverDeps } from '../dns/resolver.ts'
import type { NodeDeps, Owned } from './deps.ts'
import {
  ADDRCONFIG,
  ALL,
  checkOrder,
  checkReverse,
  checkService,
  type LookupAddress,
  lookupCall,
  lookupCalled,
  lookupServiceCalled,
  queryOf,
  type ResultOrder,
  resolveCalled,
  reverseCalled,
  V4MAPPED,
} from './dns-calls.ts'
import { QUERIES, type QueryName } from './dns-shapes.ts'
import {
  badAddress,
  badLocal,
  badType,
  checkFunction,
  checkInteger,
  checkString,
  INT32_MAX,
  missingArgs,
  serversFixed,
  UINT32_MAX,
} from './errors.ts'
import { lengthsAs, showAs } from './face.ts'

/** What a stack has for its `dns`. */
export interface DnsDeps extends Pick<NodeDeps, 'literal' | 'addressText' | 'owned'> {
  readonly resolver: CoreResolver
  /** For resolvers of one's own. */
  readonly resolverDeps: ResolverDeps
}

/** Options of `new dns.Resolver`; `timeout` in ms. */
export interface ResolverOptions {
  /** ms until a server's first answer; -1: the stack's. */
  timeout?: number
  tries?: number
  /** The longest that `timeout` grows to in later rounds, in ms. */
  maxTimeout?: number
}

type Callback = (error: Error | null, ...values: unknown[]) => void
type Ask = (name: string, ttl: boolean) => Promise<unknown>

/** The codes of errors, under Node's names. */
const CODES = {
  NODATA: 'ENODATA',
  FORMERR: 'EFORMERR',
  SERVFAIL: 'ESERVFAIL',
  NOTFOUND: 'ENOTFOUND',
  NOTIMP: 'ENOTIMP',
  REFUSED: 'EREFUSED',
  BADQUERY: 'EBADQUERY',
  BADNAME: 'EBADNAME',
  BADFAMILY: 'EBADFAMILY',
  BADRESP: 'EBADRESP',
  CONNREFUSED: 'ECONNREFUSED',
  TIMEOUT: 'ETIMEOUT',
  EOF: 'EOF',
  FILE: 'EFILE',
  NOMEM: 'ENOMEM',
  DESTRUCTION: 'EDESTRUCTION',
  BADSTR: 'EBADSTR',
  BADFLAGS: 'EBADFLAGS',
  NONAME: 'ENONAME',
  BADHINTS: 'EBADHINTS',
  NOTINITIALIZED: 'ENOTINITIALIZED',
  LOADIPHLPAPI: 'ELOADIPHLPAPI',
  ADDRGETNETWORKPARAMS: 'EADDRGETNETWORKPARAMS',
  CANCELLED: 'ECANCELLED',
} as const

/** Gives a promise's end to a callback, outside of the promise: what the callback throws is an exception, not a rejection. */
function tell(promise: Promise<unknown>, callback: Callback, spread: (value: unknown) => unknown[] = (value) => [value]): void {
  promise.then(
    (value) => process.nextTick(callback, null, ...spread(value)),
    (error) => process.nextTick(callback, error),
  )
}

/** The questions of one resolver, and its settings. */
class Questions implements Owned {
  /** Questions of an application's own resolver that are under way. */
  private pending = 0

  constructor(
    private readonly deps: DnsDeps,
    readonly core: CoreResolver,
    /** Resolvers of applications end with the stack as long as they have something under way. */
    private readonly isOwn: boolean,
  ) {}

  end(): void {
    this.core.close()
  }

  async ask(query: QueryName, name: string, ttl: boolean): Promise<unknown> {
    return this.during(resolveCalled(this.core, QUERIES[query], name, ttl))
  }

  reverse(ip: string): Promise<string[]> {
    return this.during(reverseCalled(this.core, (text) => this.deps.literal(text), ip))
  }

  setServers(servers: unknown): void {
    if (!Array.isArray(servers)) throw badType('servers', 'an instance of Array', servers)
    const given: string[] = []
    // Holes are left out, as Node does.
    servers.forEach((one, i) => {
      checkString(one, `servers[${i}]`)
      given.push(one)
    })
    if (this.pending > 0) throw serversFixed(given)
    try {
      this.core.setServers(given)
    } catch (error) {
      throw badAddress((error as Error).message.replace(/^Invalid IP address: /, ''))
    }
  }

  getServers(): string[] {
    return this.core.servers.map((server) => server.text)
  }

  setLocalAddress(ipv4: unknown, ipv6: unknown): void {
    checkString(ipv4, 'ipv4')
    if (ipv6 !== undefined) checkString(ipv6, 'ipv6')
    const given = ipv6 === undefined ? [ipv4] : [ipv4, ipv6 as string]
    const parsed = given.map((text) => {
      if (isIP(text) === 0) throw badLocal('Invalid IP address.')
      return this.deps.literal(text)
    })
    if (parsed.length === 2 && parsed[0].family === parsed[1].family) {
      throw badLocal(`Cannot specify two IPv${parsed[0].family} addresses.`)
    }
    for (const address of parsed) this.core.setLocal(address.family, address)
  }

  private async during<T>(work: Promise<T>): Promise<T> {
    if (this.isOwn && this.pending++ === 0) this.deps.owned.add(this)
    try {
      return await work
    } finally {
      if (this.isOwn && --this.pending === 0) this.deps.owned.delete(this)
    }
  }
}

/** How long a resolver of an application's own waits for the first answer: DEFAULT_TIMEOUT of c-ares, where a stack takes glibc's. */
const ARES_TIMEOUT_MS = 2000

function coreOf(deps: DnsDeps, options: unknown): CoreResolver {
  const { timeout = -1, tries = 4, maxTimeout } = (options ?? {}) as ResolverOptions
  checkInteger(timeout, 'options.timeout', -1, INT32_MAX)
  checkInteger(tries, 'options.tries', 1, INT32_MAX)
  if (maxTimeout !== undefined) checkInteger(maxTimeout, 'options.maxTimeout', 0, UINT32_MAX)
  const { config } = deps.resolverDeps
  const own: DnsConfig = {
    ...config,
    cacheEntries: 0,
    attempts: tries,
    timeoutMs: timeout > 0 ? timeout : Math.min(config.timeoutMs, ARES_TIMEOUT_MS),
    timeoutMaxMs: maxTimeout === undefined || maxTimeout === 0 ? config.timeoutMaxMs : maxTimeout,
  }
  return new CoreResolver({ ...deps.resolverDeps, config: own })
}

/** `resolve4(name, [options], callback)` and its like. */
function withCallback(ask: Ask): (...args: unknown[]) => object {
  return (...args) => {
    const [name, options] = args
    const done = args.length > 2 ? args[2] : options
    checkString(name, 'name')
    checkFunction(done, 'callback')
    tell(ask(name, args.length > 2 && ttlOf(options)), done as Callback)
    return {}
  }
}

/** The same as a promise: what is wrong with the arguments is thrown, as Node does. */
function withPromise(ask: Ask): (...args: unknown[]) => Promise<unknown> {
  return (name, options) => {
    checkString(name, 'name')
    return ask(name, ttlOf(options))
  }
}

function ttlOf(options: unknown): boolean {
  return Boolean((options as { ttl?: unknown } | null | undefined)?.ttl)
}

type Calls = Record<string, (...args: unknown[]) => unknown>

/** All that a `Resolver` can, for either kind of call. */
function callsOf(questions: Questions, promises: boolean): Calls {
  const calls: Calls = {}
  const wrap = promises ? withPromise : withCallback
  for (const query of Object.keys(QUERIES) as QueryName[]) calls[query] = wrap((name, ttl) => questions.ask(query, name, ttl))
  calls.resolve = promises
    ? (name, rrtype) => {
        checkString(name, 'name')
        return calls[rrtype === undefined ? 'resolve4' : queryOf(rrtype)](name)
      }
    : (name, rrtype, callback) => {
        const isLeftOut = typeof rrtype === 'function'
        return calls[isLeftOut ? 'resolve4' : queryOf(rrtype)](name, isLeftOut ? rrtype : callback)
      }
  calls.reverse = promises
    ? (ip) => {
        checkString(ip, 'name')
        return Promise.resolve(ip).then((text) => questions.reverse(checkReverse(text)))
      }
    : (...args) => {
        const callback = args.length > 2 ? args[2] : args[1]
        checkString(args[0], 'name')
        checkFunction(callback, 'callback')
        tell(questions.reverse(checkReverse(args[0])), callback as Callback)
        return {}
      }
  calls.getServers = () => questions.getServers()
  calls.setServers = (servers) => questions.setServers(servers)
  return calls
}

/** The classes `Resolver` and `promises.Resolver`. Their calls are methods: whoever extends one may have his own in their place. */
function resolverClass(deps: DnsDeps, promises: boolean): new (options?: ResolverOptions) => object {
  const inside = new WeakMap<object, Calls>()
  class Resolver {
    constructor(options?: ResolverOptions) {
      const questions = new Questions(deps, coreOf(deps, options), true)
      const calls = callsOf(questions, promises)
      calls.cancel = () => questions.core.cancel()
      calls.setLocalAddress = (ipv4, ipv6) => questions.setLocalAddress(ipv4, ipv6)
      inside.set(this, calls)
    }
  }
  const like = promises ? nodeDns.promises.Resolver : nodeDns.Resolver
  for (const name of [...Object.keys(QUERIES), 'resolve', 'reverse', 'getServers', 'setServers', 'cancel', 'setLocalAddress']) {
    const value = function call(this: object, ...args: unknown[]): unknown {
      return inside.get(this)![name](...args)
    }
    const theirs: { length: number } | undefined = (like.prototype as unknown as Record<string, () => void>)[name]
    Object.defineProperties(value, { name: { value: name }, length: { value: theirs?.length ?? 2 } })
    Object.defineProperty(Resolver.prototype, name, { value, writable: true, configurable: true })
  }
  showAs(Resolver, like)
  return Resolver
}

let hasWarned = false

function warnOfNoName(hostname: unknown): void {
  if (hasWarned) return
  hasWarned = true
  const words = `The provided hostname "${hostname}" is not a valid hostname, and is supported in the dns module solely for compatibility.`
  process.emitWarning(words, 'DeprecationWarning', 'DEP0118')
}

type NodeDns = typeof import('node:dns')

/** `resolveTlsa` is in Node 22 and later. */
export interface TlsaRecord {
  certUsage: number
  selector: number
  match: number
  data: ArrayBuffer
}

/** `stack.dns`: node:dns on the stack's resolver. */
export interface DnsModule extends Pick<NodeDns, SharedName> {
  readonly Resolver: NodeDns['Resolver']
  readonly promises: Omit<NodeDns['promises'], '__promisify__'> & { resolveTlsa(hostname: string): Promise<TlsaRecord[]> }
  readonly ADDRCONFIG: number
  readonly ALL: number
  readonly V4MAPPED: number
  resolveTlsa(hostname: string, callback: (error: Error | null, records: TlsaRecord[]) => void): void
}

type SharedName =
  | Exclude<QueryName, 'resolveTlsa'>
  | keyof typeof CODES
  | 'lookup'
  | 'lookupService'
  | 'resolve'
  | 'reverse'
  | 'getServers'
  | 'setServers'
  | 'getDefaultResultOrder'
  | 'setDefaultResultOrder'

export function createDns(deps: DnsDeps): DnsModule {
  const questions = new Questions(deps, deps.resolver, false)
  const addressText = (a: Address): string => deps.addressText(a)
  // From Node's: the command line may have set it.
  let order = nodeDns.getDefaultResultOrder() as ResultOrder
  const nothing = (hostname: unknown, call: { all: boolean; family: number }): unknown => {
    warnOfNoName(hostname)
    return call.all ? [] : { address: null, family: call.family === 6 ? 6 : 4 }
  }
  const found = async (hostname: unknown, call: ReturnType<typeof lookupCall>): Promise<unknown> => {
    if (!hostname) return nothing(hostname, call)
    const list = await lookupCalled(deps.resolver, hostname as string, call, addressText)
    return call.all ? list : list[0]
  }
  const lookup = (hostname: unknown, options: unknown, callback: unknown): object => {
    const done = typeof options === 'function' ? options : callback
    if (hostname) checkString(hostname, 'hostname')
    checkFunction(done, 'callback')
    const call = lookupCall(hostname, typeof options === 'function' ? undefined : options, order)
    const family = isIP(hostname as string)
    if (family !== 0) {
      // Most lookups of datagram sockets: without a promise.
      if (call.all) process.nextTick(done as Callback, null, [{ address: hostname, family }])
      else process.nextTick(done as Callback, null, hostname, family)
      return {}
    }
    tell(found(hostname, call), done as Callback, (value) => {
      return call.all ? [value] : [(value as LookupAddress).address, (value as LookupAddress).family]
    })
    return {}
  }
  const lookupPromise = (hostname: unknown, options: unknown): Promise<unknown> =>
    found(hostname, lookupCall(hostname, options, order))
  Object.defineProperty(lookup, promisify.custom, { value: async (...args: [unknown, unknown]) => lookupPromise(...args) })
  const service = (address: unknown, port: unknown): Promise<{ hostname: string; service: string }> => {
    const checked = checkService(address, port)
    return lookupServiceCalled(deps.resolver, (text) => deps.literal(text), checked.address, checked.port)
  }
  const lookupService = (...args: unknown[]): object => {
    if (args.length !== 3) throw missingArgs('The "address", "port", and "callback" arguments must be specified')
    const [address, port, callback] = args
    checkFunction(callback, 'callback')
    tell(service(address, port), callback as Callback, (value) => {
      const { hostname, service: name } = value as { hostname: string; service: string }
      return [hostname, name]
    })
    return {}
  }
  Object.defineProperty(lookupService, promisify.custom, { value: async (...args: [unknown, unknown]) => service(...args) })
  const orders = {
    getDefaultResultOrder: () => order,
    setDefaultResultOrder: (given: unknown) => {
      order = checkOrder(given, 'dnsOrder')
    },
  }
  const servicePromise = (...args: unknown[]): Promise<{ hostname: string; service: string }> => {
    if (args.length !== 2) throw missingArgs('The "address" and "port" arguments must be specified')
    return service(args[0], args[1])
  }
  const promises = {
    ...callsOf(questions, true),
    ...CODES,
    ...orders,
    lookup: lookupPromise,
    lookupService: servicePromise,
    Resolver: resolverClass(deps, true),
  }
  const dns = {
    ...callsOf(questions, false),
    ...CODES,
    ...orders,
    ADDRCONFIG,
    ALL,
    V4MAPPED,
    lookup,
    lookupService,
    Resolver: resolverClass(deps, false),
    promises,
  }
  lengthsAs(dns, nodeDns)
  lengthsAs(promises, nodeDns.promises)
  return dns as unknown as DnsModule
}
