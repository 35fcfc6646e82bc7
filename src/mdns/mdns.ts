/**
 * Multicast DNS (RFC 6762) and DNS-SD (RFC 6763): names of the link without a server, and what there is on it.
 *
 * Theory of operation. For each interface and family there is a `Link` (link.ts) with all that belongs to it: records of ours on their way from probe to goodbye
 * (claim.ts), answers (responder.ts), questions (questions.ts) and what was heard (cache.ts). What an application asks for is a `Watch`: it is asked on
 * every link, those that come later too, and hears when something changed; then it looks at what all links know together. A name of ours
 * is the same on all links: when it is somebody else's on one, it changes everywhere.
 *
 * Links follow the interfaces: one comes with the first usable address of its family and goes with the last, or when the interface goes down; when
 * it is back, names are probed and announced again.
 */
import type { Address } from '../base/address.ts'
import { before } from '../base/clock.ts'
import { Counters } from '../base/counters.ts'
import { NetError, stackClosed } from '../base/errors.ts'
import type { MdnsConfig } from '../base/mdns-config.ts'
import { Timed } from '../base/timers.ts'
import type { Cancelable } from '../dns/outcome.ts'
import type { ResourceRecord, TypeName } from '../dns/records.ts'
import type { LocalNames, OutcomeHandler } from '../dns/resolver.ts'
import type { Interface } from '../ip/interface.ts'
import { scopedText } from '../ip/zone.ts'
import { Browser } from './browser.ts'
import type { Registration } from './claim.ts'
import { C, NAMES } from './counters.ts'
import { HostRegistration, publishedAddresses } from './host.ts'
import type { ServiceInfo } from './instance.ts'
import { Link, type LinkOwner } from './link.ts'
import { Lookup } from './lookup.ts'
import { hostLabel, instanceName, isOfLink, labelFor, serviceType, TYPE_ENUMERATION } from './names.ts'
import { Collection, Resolution } from './once.ts'
import { Publication, type PublicationOwner, type PublishOptions } from './service.ts'
import type { MdnsDeps } from './site.ts'
import type { Watch } from './watch.ts'

/** What those who wait for records need. */
export interface Watches {
  readonly site: MdnsDeps
  /** Who ends with all of it. */
  readonly ending: Set<{ close(): void }>
  add(watch: Watch): void
  remove(watch: Watch): void
  /** What all links know of a name, what was heard last first, each once, with the TTL that is left; link-local addresses with their zone. */
  records(name: string, type: TypeName): ResourceRecord[]
  /** Addresses of a host, as text. */
  addressesOf(host: string): string[]
  /** Names of the interfaces on which records are known. */
  interfacesOf(name: string, type: TypeName): string[]
}

/** A link and what its interface looked like. */
interface Followed {
  readonly link: Link
  addresses: string
}

/** Names and services of the link (RFC 6762, RFC 6763). `stack.mdns`. */
export class Mdns extends Timed implements LinkOwner, Watches, LocalNames, PublicationOwner {
  readonly counters = new Counters(NAMES)
  readonly counts = this.counters.values
  readonly config: MdnsConfig
  readonly ending = new Set<{ close(): void }>()
  /** Called when the name of this host had to change: `web-2.local`. */
  onRename: ((hostname: string) => void) | null = null
  private readonly links = new Map<string, Followed>()
  private readonly watches = new Set<Watch>()
  private readonly publications = new Set<Publication>()
  private host: HostRegistration | null = null
  private readonly hostWaiting: { resolve: (name: string) => void; reject: (error: NetError) => void }[] = []
  /** When names of ours were disputed lately (section 8.1). */
  private conflicts: number[] = []
  private isListening = false
  private isClosed = false
  private isPending = false

  constructor(
    readonly site: MdnsDeps,
    /** Asks us first from the moment at which we listen. */
    private readonly resolver: { local: LocalNames | null },
    /** The name of the stack: what the host is called when nobody says. */
    private readonly stackName: string,
  ) {
    super()
    this.config = site.config
  }

  /** `web.local`; empty: no name of ours is published. */
  get hostname(): string {
    return this.host?.name ?? ''
  }

  /** Asks and hears on all links from now on, those that come later too: names below `.local` are found. Idempotent. */
  listen(): void {
    if (this.isClosed) throw stackClosed()
    if (this.isListening) return
    this.isListening = true
    this.site.wake()
    this.site.ip.watcher = this
    this.resolver.local = this
    this.follow()
  }

  /**
   * Publishes the name of this host, `mdns.host` of the configuration or the stack's own when left out, and resolves with it when it is known that nobody
   * else has it: `web.local`, or `web-2.local`; until then the process is kept alive. Throws ERR_INVALID_ARG_VALUE.
   */
  start(host?: string): Promise<string> {
    this.begin(host)
    const ready = new Promise<string>((resolve, reject) => this.hostWaiting.push({ resolve, reject }))
    ready.catch(() => undefined) // who does not wait for it is not punished
    this.site.host.hold()
    this.announcedHost()
    return ready
  }

  /** The same for who does not wait for it. */
  begin(host: string = this.config.host || plain(this.stackName)): void {
    const label = hostLabel(host)
    this.listen()
    this.site.wake()
    if (this.host === null || this.host.label !== label) {
      if (this.host !== null) this.unregister(this.host)
      this.host = new HostRegistration(label, this.config.hostTtlSeconds, {
        hostRenamed: () => {
          this.register(this.host!)
          for (const publication of this.publications) this.changed(publication)
          this.call(this.onRename, this.hostname)
        },
        hostAnnounced: () => this.announcedHost(),
      })
      this.register(this.host)
      for (const publication of this.publications) this.changed(publication)
    }
  }

  /** Publishes a service, and the host if that was not done. Throws ERR_INVALID_ARG_VALUE. */
  publish(options: PublishOptions): Publication {
    const publication = new Publication(this, options)
    if (this.host === null) this.begin()
    this.site.wake()
    this.publications.add(publication)
    this.site.host.hold()
    this.register(publication)
    return publication
  }

  /**
   * Services of a type, as they come and go: `for await (const { kind, service } of stack.mdns.browse('_http._tcp'))`. With `subtype` those of a narrower
   * kind alone. Throws ERR_INVALID_ARG_VALUE.
   */
  browse(type: string, { subtype }: { subtype?: string } = {}): Browser {
    const wanted = serviceType(type)
    const name = subtype === undefined ? `${wanted}.local` : `${labelFor(subtype)}._sub.${wanted}.local`
    this.listen()
    this.site.wake()
    return new Browser(this, name, wanted)
  }

  /** The types of service that there are on the link, heard within `ms` (RFC 6763 section 9): `_http._tcp`. */
  async types(ms = 1000): Promise<string[]> {
    this.listen()
    this.site.wake()
    const found = await new Promise<ResourceRecord[]>((resolve) => new Collection(this, TYPE_ENUMERATION, ms, resolve))
    const names = found.map((r) => ('ptrdname' in r.data ? r.data.ptrdname.replace(/\.local$/i, '') : ''))
    return [...new Set(names)].filter((name) => name !== '').sort()
  }

  /** Where an instance is: `resolve('My web', '_http._tcp')`. Rejects with ENOTFOUND when nobody says within `mdns.lookupMs`. Throws ERR_INVALID_ARG_VALUE. */
  resolve(name: string, type: string): Promise<ServiceInfo> {
    const wanted = serviceType(type)
    const fullName = instanceName(name, wanted)
    this.listen()
    this.site.wake()
    return new Promise((resolve, reject) => {
      new Resolution(this, fullName, wanted, (info, code) => {
        if (info !== null) resolve(info)
        else reject(new NetError(code, { message: `${name}: there is no such service of type ${wanted} on the link` }))
      })
    })
  }

  /** Probes and announces all names again: this host was asleep, or the link is another (section 8.3). */
  announce(): void {
    this.site.wake()
    const now = this.site.clock.nowMs
    for (const { link } of this.links.values()) link.again(now)
  }

  /** Takes everything back. Idempotent. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    for (const one of [...this.ending]) one.close()
    for (const publication of [...this.publications]) publication.close()
    if (this.host !== null) this.unregister(this.host)
    for (const { link } of this.links.values()) link.close()
    this.links.clear()
    const error = new NetError('ECANCELED', { message: 'the stack was closed before its name was published' })
    for (const { reject } of this.hostWaited()) reject(error)
    this.site.timers.remove(this)
    if (!this.isListening) return
    this.site.ip.watcher = null
    this.resolver.local = null
  }

  // LocalNames

  ask(name: string, type: TypeName, done: OutcomeHandler): Cancelable | null {
    if (!isOfLink(name) || this.isClosed) return null
    this.site.wake()
    return new Lookup(this, name, type, done)
  }

  // Interfaces

  /** Addresses or interfaces are others, perhaps. */
  ipChanged(): void {
    // One that is down now may be up again before we look.
    for (const [key, { link }] of this.links) if (!link.iface.up) this.drop(key)
    if (this.isPending) return
    this.isPending = true
    this.site.timers.arm(this, this.site.clock.nowMs)
    this.site.wake()
  }

  override onTimer(): void {
    this.isPending = false
    this.follow()
  }

  private follow(): void {
    const { ip, clock } = this.site
    const wanted = new Map<string, { iface: Interface; family: 4 | 6 }>()
    for (const iface of ip.interfaces) {
      if (iface.isLoopback || !iface.up) continue
      for (const family of this.families) {
        if (iface.addresses.some((a) => a.address.family === family && iface.has(a.address)))
          wanted.set(`${iface.index}/${family}`, { iface, family })
      }
    }
    for (const [key, { link }] of this.links) if (wanted.get(key)?.iface !== link.iface) this.drop(key)
    const now = clock.nowMs
    for (const [key, { iface, family }] of wanted) {
      const addresses = publishedAddresses(iface).join(' ')
      const had = this.links.get(key)
      if (had === undefined) this.open(key, iface, family, addresses, now)
      else if (had.addresses !== addresses) {
        had.addresses = addresses
        if (this.host !== null) had.link.claim(this.host)?.update(now)
      }
    }
  }

  private get families(): (4 | 6)[] {
    const { ipv4, ipv6 } = this.config
    return [...(ipv4 ? [4 as const] : []), ...(ipv6 ? [6 as const] : [])]
  }

  private open(key: string, iface: Interface, family: 4 | 6, addresses: string, now: number): void {
    let link: Link
    try {
      link = new Link(this, iface, family)
    } catch {
      this.counts[C.linkErrors]++
      return
    }
    this.links.set(key, { link, addresses })
    for (const registration of this.registrations()) link.register(registration, now)
    for (const watch of this.watches) link.questions.add(watch, now)
  }

  private drop(key: string): void {
    const followed = this.links.get(key)
    this.links.delete(key)
    followed?.link.close()
    for (const watch of this.watches) this.site.tells.add(watch)
  }

  // Records of ours

  private registrations(): Registration[] {
    return this.host === null ? [...this.publications] : [this.host, ...this.publications]
  }

  /** From the beginning on all links. */
  private register(registration: Registration): void {
    const now = this.site.clock.nowMs
    for (const { link } of this.links.values()) {
      const claim = link.claim(registration)
      if (claim === undefined) link.register(registration, now)
      else claim.update(now)
    }
  }

  private unregister(registration: Registration): void {
    for (const { link } of this.links.values()) link.unregister(registration)
  }

  /** The host's name has been announced on a link. */
  private announcedHost(): void {
    if (this.host === null || !this.isSaid(this.host)) return
    for (const { resolve } of this.hostWaited()) resolve(this.hostname)
  }

  /** Those that waited for the host's name; they wait no longer. */
  private hostWaited(): typeof this.hostWaiting {
    const all = this.hostWaiting.splice(0)
    for (let i = 0; i < all.length; i++) this.site.host.release()
    return all
  }

  /** It has been announced on all links that there are. */
  isSaid(registration: Registration): boolean {
    return this.links.size > 0 && [...this.links.values()].every(({ link }) => link.claim(registration)?.isAnnounced)
  }

  renamed(publication: Publication): void {
    this.register(publication)
    this.call(publication.onRename, publication.name)
  }

  private call(handler: ((name: string) => void) | null, name: string): void {
    try {
      handler?.(name)
    } catch (error) {
      this.site.host.uncaught(error)
    }
  }

  changed(publication: Publication): void {
    this.site.wake()
    this.register(publication)
  }

  unpublish(publication: Publication): void {
    if (!this.publications.delete(publication)) return
    this.site.wake()
    this.unregister(publication)
    publication.reject(new NetError('ECANCELED', { message: `${publication.name} was closed` }))
    this.site.host.release()
  }

  noteConflict(now: number): void {
    this.conflicts.push(now)
    if (this.conflicts.length > this.config.maxConflicts) this.conflicts.shift()
  }

  pauseMs(now: number): number {
    const { maxConflicts, conflictWindowMs, conflictPauseMs } = this.config
    const isMuch = this.conflicts.length >= maxConflicts && before(now, (this.conflicts[0] + conflictWindowMs) | 0)
    return isMuch ? conflictPauseMs : 0
  }

  // Watches

  add(watch: Watch): void {
    this.watches.add(watch)
    const now = this.site.clock.nowMs
    for (const { link } of this.links.values()) link.questions.add(watch, now)
  }

  remove(watch: Watch): void {
    watch.end()
    this.watches.delete(watch)
    for (const { link } of this.links.values()) link.questions.remove(watch)
  }

  records(name: string, type: TypeName): ResourceRecord[] {
    const now = this.site.clock.nowMs
    const entries = [...this.links.values()].flatMap(({ link }) =>
      link.cache.find(name, type).map((entry) => ({ entry, link, left: entry.left(now) })),
    )
    entries.sort((a, b) => Number(a.entry.isLeaving) - Number(b.entry.isLeaving) || (b.entry.bornMs - a.entry.bornMs) | 0)
    const out = new Map<string, ResourceRecord>()
    for (const { entry, link, left } of entries) {
      const { zone, record } = zoned(entry.record, link.iface)
      const key = `${zone} ${entry.key}`
      if (left > 0 && !out.has(key)) out.set(key, { ...record, ttl: Math.ceil(left / 1000), class: 1 })
    }
    return [...out.values()]
  }

  addressesOf(host: string): string[] {
    const records = [...this.records(host, 'A'), ...this.records(host, 'AAAA')]
    const texts = records.map((r) => ('address' in r.data ? scopedText(this.site.ip, r.data.address) : ''))
    return [...new Set(texts)].sort()
  }

  interfacesOf(name: string, type: TypeName): string[] {
    const names = [...this.links.values()].flatMap(({ link }) =>
      link.cache.find(name, type).length > 0 ? [link.iface.name] : [],
    )
    return [...new Set(names)].sort()
  }
}

/** A link-local address is one of the link on which it was heard. */
function zoned(record: ResourceRecord, iface: Interface): { zone: number; record: ResourceRecord } {
  if (!('address' in record.data) || !record.data.address.isLinkLocal) return { zone: 0, record }
  const address: Address = record.data.address.clone()
  address.zone = iface.index
  return { zone: iface.index, record: { ...record, data: { address } } as ResourceRecord }
}

/** A name of a stack as one of a host. */
function plain(name: string): string {
  return name.replace(/[^a-z\d-]+/gi, '-').slice(0, 63) || 'host'
}
