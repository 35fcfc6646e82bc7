/**
 * The stub resolver (RFC 1034 section 5.3.1, RFC 1123 section 6.1.3).
 *
 * Theory of operation. A question is a name and a type. Special names, and what the cache holds, are answered at once; an equal question under way is
 * joined; otherwise a flight begins: the question goes to the servers (exchange.ts), what they say is judged (answer.ts), and when a chain of CNAMEs leads out of
 * the answer the flight goes on with its end, a bounded number of times. What comes of it is remembered and told to all who asked, always later
 * than the call returned. So many flights are in the air at once, more wait in line, what is beyond fails: nothing that peers or applications do
 * grows without bound.
 *
 * Servers are those of `setServers` or of the configuration, else those that the interfaces were told of (DHCP, router advertisements); which is looked at for
 * each question, so that a new lease counts at once. Addresses of names, with hosts and search lists, are in lookup.ts.
 */
import type { Address } from '../base/address.ts'
import type { Host, Task } from '../base/clock.ts'
import { Counters } from '../base/counters.ts'
import { type DnsConfig, dnsDefaults } from '../base/dns-config.ts'
import type { Random } from '../base/random.ts'
import type { Ip } from '../ip/ip.ts'
import { parseScoped } from '../ip/zone.ts'
import type { RawTcp } from '../tcp/api.ts'
import type { Udp } from '../udp/udp.ts'
import { judge } from './answer.ts'
import { Cache } from './cache.ts'
import { C, NAMES } from './counters.ts'
import { EdnsMemory, Exchange, type ExchangeDeps } from './exchange.ts'
import { Hosts } from './hosts.ts'
import type { Message } from './message.ts'
import { canonicalName } from './names.ts'
import { type Cancelable, type DnsCode, failed, type Outcome } from './outcome.ts'
import { type ResourceRecord, type TypeName, typeCode, typeName } from './records.ts'
import { parseDomain, parseResolvConf, parseServer, type ResolvConf, type Server } from './servers.ts'
import { specialAnswer } from './special.ts'

/** Who may know servers and search domains: an interface, by what DHCP and routers said there. */
export interface NameSource {
  readonly nameservers: readonly (Address | string)[]
  readonly searchDomains: readonly string[]
}

/** What a resolver stands on. */
export interface ResolverDeps {
  readonly ip: Ip
  readonly udp: Pick<Udp, 'open'>
  readonly tcp: RawTcp
  readonly host: Host
  readonly random: Random
  readonly config: DnsConfig
  readonly sources: () => Iterable<NameSource>
}

export type OutcomeHandler = (outcome: Outcome) => void

/** Who knows names of the link: multicast DNS. */
export interface LocalNames {
  /** As `Resolver.ask`, `name` in its canonical form; null: the name is none of the link's. */
  ask(name: string, type: TypeName, done: OutcomeHandler): Cancelable | null
}

const NO_SERVER = 'no DNS server is known: none was set, and no interface was told of one'

/** Asks DNS servers, believes what it may, and remembers it. A stack has one: `stack.resolver`. */
export class Resolver implements ExchangeDeps {
  readonly counters = new Counters(NAMES)
  readonly counts: Float64Array
  readonly ip: Ip
  readonly udp: Pick<Udp, 'open'>
  readonly tcp: RawTcp
  readonly host: Host
  readonly random: Random
  readonly config: DnsConfig
  readonly edns: EdnsMemory
  readonly hosts: Hosts
  readonly cache: Cache
  private readonly sources: () => Iterable<NameSource>
  /** Those that the user set; null: those of the interfaces. */
  private ownServers: readonly Server[] | null
  private readonly ownDomains: readonly string[] | null
  private local4: Address | null = null
  private local6: Address | null = null
  /** By question: those in the air, and those that wait in line. */
  private readonly flights = new Map<string, Flight>()
  private readonly line: Flight[] = []
  private flying = 0
  /** Outcomes that were known at once, and wait to be told. */
  private readonly telling = new Set<Telling>()
  /** What `rotate` adds. */
  private turn = 0
  private isClosed = false
  /** Asked first, while it is there. */
  local: LocalNames | null = null

  /** Throws ERR_INVALID_IP_ADDRESS and ERR_INVALID_ARG_VALUE for a configuration that cannot be. */
  constructor(deps: ResolverDeps) {
    const conf = parseResolvConf(deps.config.resolvConf)
    const { servers, searchDomains } = deps.config
    this.ip = deps.ip
    this.udp = deps.udp
    this.tcp = deps.tcp
    this.host = deps.host
    this.random = deps.random
    this.sources = deps.sources
    this.config = withConf(deps.config, conf)
    this.counts = this.counters.values
    this.ownServers = servers.length > 0 ? servers.map(parseServer) : conf.servers.length > 0 ? conf.servers : null
    this.ownDomains =
      searchDomains.length > 0 ? searchDomains.map(parseDomain) : conf.searchDomains.length > 0 ? conf.searchDomains : null
    this.hosts = new Hosts(deps.config.hosts)
    this.edns = new EdnsMemory(this.host, this.config)
    this.cache = new Cache(this.host, this.config, this.counts)
  }

  /** Who is asked, in the order in which they stand. */
  get servers(): readonly Server[] {
    if (this.ownServers !== null) return this.ownServers
    const found = new Map<string, Server>()
    for (const source of this.sources()) {
      for (const one of source.nameservers) {
        const server = parseServer(String(one))
        if (!found.has(server.text)) found.set(server.text, server)
      }
    }
    return [...found.values()]
  }

  /** Asks these from now on, whatever interfaces are told; with none, those of the interfaces again. Throws ERR_INVALID_IP_ADDRESS. */
  setServers(servers: readonly string[]): void {
    const parsed = [...new Map(servers.map((text) => [parseServer(text).text, parseServer(text)])).values()]
    this.ownServers = parsed.length > 0 ? parsed : null
    this.cache.clear()
  }

  /** The address to ask from, for servers of its family; null: routing's choice. */
  setLocal(family: 4 | 6, address: Address | null): void {
    const kept = address === null || address.isUnspecified ? null : address
    if (family === 4) this.local4 = kept
    else this.local6 = kept
  }

  get searchDomains(): readonly string[] {
    if (this.ownDomains !== null) return this.ownDomains
    const found = new Set<string>()
    for (const source of this.sources()) {
      for (const text of source.searchDomains) {
        const name = canonicalName(text)
        if (name !== null && name !== '') found.add(name)
      }
    }
    return [...found]
  }

  /**
   * Asks for records of a name as it stands: no search list, no hosts. `done` is called once, after this has returned; never after `cancel`.
   */
  ask(name: string, type: TypeName, done: OutcomeHandler): Cancelable {
    this.counts[C.questions]++
    const canonical = canonicalName(name)
    const code = typeCode(type)
    if (canonical === null || code === null) return this.tell(failed('EBADNAME', name), done)
    const wanted = typeName(code)
    const local = this.local?.ask(canonical, wanted, done) ?? null
    if (local !== null) {
      this.counts[C.localQuestions]++
      return local
    }
    const special = specialAnswer(canonical, wanted)
    if (special !== null) {
      this.counts[C.ownAnswers]++
      return this.tell(special, done)
    }
    const known = this.cached(canonical, wanted)
    if (known !== null) {
      this.counts[C.cacheHits]++
      return this.tell(known, done)
    }
    const key = keyOf(canonical, wanted)
    const under = this.flights.get(key)
    if (under !== undefined) {
      this.counts[C.coalesced]++
      return under.join(done)
    }
    const servers = this.rotated()
    if (servers.length === 0) return this.tell(failed('ENOTFOUND', canonical, NO_SERVER), done)
    if (this.isClosed) return this.tell(failed('ECANCELLED', canonical), done)
    if (this.flying >= this.config.maxQueries && this.line.length >= this.config.maxWaiting) {
      this.counts[C.tooMany]++
      return this.tell(failed('ENOMEM', canonical, 'too many questions are waiting (dns.maxWaiting)'), done)
    }
    const flight = new Flight(this, key, canonical, wanted, servers)
    this.flights.set(key, flight)
    if (this.flights.size === 1) this.host.hold()
    const place = flight.join(done)
    if (this.flying < this.config.maxQueries) {
      this.flying++
      flight.launch()
    } else this.line.push(flight)
    return place
  }

  /** The same as a promise, which never rejects: the outcome has a code. */
  resolve(name: string, type: TypeName): Promise<Outcome> {
    return new Promise((done) => this.ask(name, type, done))
  }

  /** Ends every question under way: ECANCELLED to all who asked. */
  cancel(): void {
    for (const flight of [...this.flights.values()]) flight.end(failed('ECANCELLED', flight.name))
  }

  /** Tells what waits, and ends. */
  close(): void {
    this.isClosed = true
    this.cancel()
    this.cache.clear()
  }

  /** What the cache knows of a name and type; that there is no such name is known for all types. */
  cached(name: string, type: TypeName): Outcome | null {
    return this.cache.find(keyOf(name, type)) ?? this.cache.find(keyOf(name, ''))
  }

  // For flights

  /** Tells an outcome that is known at once, but not before the caller returns. */
  tell(outcome: Outcome, done: OutcomeHandler): Cancelable {
    const telling = new Telling(outcome, done, this.telling)
    this.host.soon(telling)
    return telling
  }

  landed(flight: Flight): void {
    this.flights.delete(flight.key)
    const place = this.line.indexOf(flight)
    if (place >= 0) this.line.splice(place, 1)
    else {
      const next = this.line.shift()
      if (next === undefined) this.flying--
      else next.launch()
    }
    if (this.flights.size === 0) this.host.release()
  }

  addressOf(server: Server): Address {
    return parseScoped(this.ip, server.host)
  }

  localFor(server: Address): Address | null {
    return server.isV4 ? this.local4 : this.local6
  }

  private rotated(): readonly Server[] {
    const { servers } = this
    if (!this.config.rotate || servers.length < 2) return servers
    const first = this.turn++ % servers.length
    return [...servers.slice(first), ...servers.slice(0, first)]
  }
}

/** What options leave as it is by default, resolv.conf(5) may say. */
function withConf(config: DnsConfig, conf: ResolvConf): DnsConfig {
  const standard = dnsDefaults()
  const pick = <K extends 'ndots' | 'timeoutMs' | 'attempts' | 'rotate'>(name: K): DnsConfig[K] => {
    return config[name] === standard[name] ? ((conf[name] as DnsConfig[K] | undefined) ?? config[name]) : config[name]
  }
  return { ...config, ndots: pick('ndots'), timeoutMs: pick('timeoutMs'), attempts: pick('attempts'), rotate: pick('rotate') }
}

function keyOf(name: string, type: TypeName): string {
  return `${type} ${name}`
}

/** An outcome on its way to who asked. */
class Telling implements Task, Cancelable {
  constructor(
    private readonly outcome: Outcome,
    private readonly done: OutcomeHandler,
    private readonly all: Set<Telling>,
  ) {
    all.add(this)
  }

  run(): void {
    if (this.all.delete(this)) this.done(this.outcome)
  }

  cancel(): void {
    this.all.delete(this)
  }
}

/** A question under way, with everybody who asked it. */
class Flight implements Task {
  private readonly waiting = new Set<OutcomeHandler>()
  private exchange: Exchange | null = null
  private over = false
  /** Where the chain is. */
  private current: string
  private readonly chain: ResourceRecord[] = []
  private ttl = Number.POSITIVE_INFINITY
  private bytes = 0

  constructor(
    private readonly resolver: Resolver,
    readonly key: string,
    readonly name: string,
    private readonly type: TypeName,
    private readonly servers: readonly Server[],
  ) {
    this.current = name
  }

  join(done: OutcomeHandler): Cancelable {
    let wanted = true
    // One handler may ask twice: each place is its own.
    const place: OutcomeHandler = (outcome) => {
      if (wanted) done(outcome)
    }
    this.waiting.add(place)
    return {
      cancel: () => {
        wanted = false
        if (this.waiting.delete(place) && this.waiting.size === 0) this.end(failed('ECANCELLED', this.name))
      },
    }
  }

  /** It is our turn. */
  launch(): void {
    this.resolver.host.soon(this)
  }

  run(): void {
    if (!this.over) this.next()
  }

  private next(): void {
    const { resolver, current, type } = this
    this.exchange = new Exchange(resolver, current, type, this.servers, (code, message, bytes) => {
      this.exchange = null
      if (message === null) this.end(failed(code as DnsCode, this.name))
      else this.heard(message, bytes)
    })
    this.exchange.start()
  }

  private heard(message: Message, bytes: number): void {
    const { resolver, type } = this
    const found = judge(message, this.current, type, resolver.config.maxChain - this.chain.length)
    this.chain.push(...found.chain)
    this.ttl = Math.min(this.ttl, found.ttl)
    this.bytes += bytes
    this.current = canonicalName(found.canonical) ?? ''
    if (found.kind === 'circle') {
      resolver.counts[C.chainTooLong]++
      this.end(failed('EBADRESP', this.name, `its chain of CNAMEs is longer than ${resolver.config.maxChain}`))
      return
    }
    if (found.kind !== 'elsewhere') {
      const code = found.kind === 'found' ? '' : found.kind === 'nodata' ? 'ENODATA' : 'ENOTFOUND'
      const { ttl, chain } = this
      const outcome: Outcome = { code, records: found.records, canonical: found.canonical, ttl, chain, soa: found.soa }
      // That a name is not there holds for all types (RFC 2308 section 5), when it is the name itself.
      resolver.cache.store(keyOf(this.name, code === 'ENOTFOUND' && chain.length === 0 ? '' : type), outcome, this.bytes)
      this.end(outcome)
      return
    }
    const known = specialAnswer(this.current, type) ?? resolver.cached(this.current, type)
    if (known === null) this.next()
    else this.end({ ...known, ttl: Math.min(this.ttl, known.ttl), chain: [...this.chain, ...(known.chain ?? [])] })
  }

  /** Told to all; nothing comes after. */
  end(outcome: Outcome): void {
    if (this.over) return
    this.over = true
    this.exchange?.cancel()
    const { resolver } = this
    for (const done of this.waiting) resolver.tell(outcome, done)
    this.waiting.clear()
    resolver.landed(this)
  }
}
