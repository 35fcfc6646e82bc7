/**
 * Multicast DNS on one link in one family (RFC 6762 sections 11 and 20): a socket at port 5353 that has joined 224.0.0.251 or ff02::fb, and those who speak by
 * it. Messages are sorted here: of whom, from where, query or answer.
 *
 * Who speaks both families on an interface has two links there, which tell the same of the interface: hosts of one family hear one of them.
 */
import { Address } from '../base/address.ts'
import { decodeMessage, type Message, message, QUERY, Rcode } from '../dns/message.ts'
import type { Interface } from '../ip/interface.ts'
import { Datagram } from '../udp/receive-queue.ts'
import type { UdpHandler, UdpSocket } from '../udp/socket.ts'
import { Cache, type CacheOwner } from './cache.ts'
import { Claim, type Registration } from './claim.ts'
import { C } from './counters.ts'
import { queries, responses } from './packets.ts'
import { Questions } from './questions.ts'
import { isInternet, type Own, recordKey } from './record.ts'
import { MDNS_PORT, Responder } from './responder.ts'
import type { MdnsDeps } from './site.ts'

const GROUP4 = Address.v4(0xe00000fb)
const GROUP6 = new Address(0xff020000 | 0, 0, 0, 0xfb)
/** Section 17: the largest message there is, with its headers; of IP and UDP, by family. */
const MAX_PACKET = 9000
const HEADERS = { 4: 28, 6: 48 } as const
/** Section 11: a receiver could tell by it that nobody has forwarded the packet. */
const HOPS = 255

/** What the links of a stack share. */
export interface LinkOwner {
  readonly site: MdnsDeps
  readonly counts: Float64Array
  /** A name of ours is disputed; the time that further attempts wait (section 8.1). */
  noteConflict(now: number): void
  pauseMs(now: number): number
}

export class Link implements UdpHandler, CacheOwner {
  readonly site: MdnsDeps
  readonly counts: Float64Array
  readonly cache: Cache
  readonly questions: Questions
  readonly responder: Responder
  private readonly claims = new Map<Registration, Claim>()
  private readonly socket: UdpSocket
  private readonly group: Address
  private readonly datagram = new Datagram(new Uint8Array(MAX_PACKET))

  /** Throws NetError: EADDRINUSE when somebody has port 5353 for himself, ENOBUFS. */
  constructor(
    private readonly owner: LinkOwner,
    readonly iface: Interface,
    readonly family: 4 | 6,
  ) {
    this.site = owner.site
    this.counts = owner.counts
    this.cache = new Cache(this)
    this.questions = new Questions(this)
    this.responder = new Responder(this)
    this.group = family === 4 ? GROUP4 : GROUP6
    this.socket = this.site.udp.open(this, { family, ipv6Only: family === 6, reuseAddress: true, iface, ref: false })
    try {
      this.socket.bind(this.socket.any, MDNS_PORT)
      this.socket.joinGroup(this.group, iface)
    } catch (error) {
      this.socket.close()
      throw error
    }
    this.socket.multicastTtl = HOPS
    this.socket.ttl = HOPS
    this.socket.multicastAll = false
  }

  /** The link is gone: nobody can be told. */
  close(): void {
    for (const claim of this.claims.values()) claim.end(true)
    this.claims.clear()
    this.questions.clear()
    this.responder.clear()
    this.cache.clear()
    this.socket.close()
  }

  get timers(): MdnsDeps['timers'] {
    return this.site.timers
  }

  get random(): MdnsDeps['random'] {
    return this.site.random
  }

  get config(): MdnsDeps['config'] {
    return this.site.config
  }

  // Records of ours

  register(registration: Registration, now: number): void {
    const claim = new Claim(this, registration)
    this.claims.set(registration, claim)
    claim.begin(now)
  }

  claim(registration: Registration): Claim | undefined {
    return this.claims.get(registration)
  }

  unregister(registration: Registration): void {
    const claim = this.claims.get(registration)
    this.claims.delete(registration)
    claim?.end(false)
  }

  /** Everything that may be answered with. */
  announced(): Own[] {
    return [...this.claims.values()].flatMap((claim) => (claim.isAnnounced ? claim.own : []))
  }

  /** Another registration says the same, as all services of a type do that there is such a type. */
  isSaidByOthers(key: string, claim: Claim): boolean {
    for (const other of this.claims.values())
      if (other !== claim && other.isAnnounced && other.own.some((o) => o.key === key)) return true
    return false
  }

  /** The interface is back, or was asleep (section 8.3: all of it again). */
  again(now: number): void {
    for (const claim of this.claims.values()) claim.begin(now)
  }

  ownChanged(): void {
    this.responder.ownChanged()
  }

  noteConflict(now: number): void {
    this.owner.noteConflict(now)
  }

  pauseMs(now: number): number {
    return this.owner.pauseMs(now)
  }

  // What the cache asks

  wanted(key: string): boolean {
    return this.questions.has(key)
  }

  refresh(key: string, now: number): void {
    this.questions.refresh(key, now)
  }

  changed(name: string): void {
    this.questions.changed(name)
  }

  lost(key: string): void {
    this.questions.lost(key, this.site.clock.nowMs)
  }

  /** What we ourselves would answer is heard by us as well. */
  answerOurselves(name: string, type: string, now: number): void {
    const answers = this.responder.answersTo({ name, type, class: 1 })
    if (answers.length > 0)
      this.cache.absorb(
        answers.map((o) => o.out()),
        now,
      )
  }

  // Out

  sendQuery(m: Message): void {
    this.counts[C.outQueries]++
    for (const bytes of queries(m, this.mostBytes)) this.transmit(bytes, this.group, MDNS_PORT)
  }

  announce(own: readonly Own[], now: number): void {
    if (own.length === 0) return
    this.counts[C.outAnnouncements]++
    this.sendResponse(own, [], now)
  }

  goodbye(own: readonly Own[]): void {
    if (own.length === 0) return
    this.counts[C.outGoodbyes]++
    this.multicast(message({ isResponse: true, authoritative: true, answers: own.map((o) => o.out(0)) }))
  }

  sendResponse(answers: readonly Own[], additionals: readonly Own[], now: number): void {
    for (const o of [...answers, ...additionals]) o.sent(now)
    const out = (list: readonly Own[]): Message['answers'] => list.map((o) => o.out())
    this.multicast(message({ isResponse: true, authoritative: true, answers: out(answers), additionals: out(additionals) }))
  }

  sendUnicast(m: Message, to: Address, port: number, compressAll: boolean): void {
    this.counts[C.outUnicast]++
    for (const bytes of responses(m, this.mostBytes, compressAll)) this.transmit(bytes, to, port)
  }

  private multicast(m: Message): void {
    this.counts[C.outResponses]++
    for (const bytes of responses(m, this.mostBytes, true)) this.transmit(bytes, this.group, MDNS_PORT)
    // Its way back to us ends at `hear`: what others learn by it, we learn here.
    this.cache.absorb([...m.answers, ...m.additionals], this.site.clock.nowMs)
  }

  private get mostBytes(): number {
    return Math.min(this.iface.mtu, MAX_PACKET) - HEADERS[this.family]
  }

  private transmit(bytes: Uint8Array, to: Address, port: number): void {
    try {
      if (!this.socket.send(bytes, 0, bytes.length, to, port)) this.counts[C.outErrors]++
    } catch {
      this.counts[C.outErrors]++ // no address yet, or no more: everything here is said again
    }
  }

  // In

  onReadable(socket: UdpSocket): void {
    const { datagram } = this
    while (socket.receive(datagram)) this.hear(datagram)
  }

  private hear(d: Datagram): void {
    const { counts, site } = this
    const now = site.clock.nowMs
    if (d.size > d.len) {
      counts[C.dropTooLong]++
      return
    }
    // On another interface of ours, or by the loop: what we say is no news to us.
    if (d.port === MDNS_PORT && site.ip.isLocal(d.address)) {
      counts[C.dropOwn]++
      return
    }
    const isMulticast = d.localAddress.isMulticast
    const isNear = this.isNear(d.address)
    // Section 11: what came to the group came by this link; what came to us alone may have come from anywhere.
    if (!isMulticast && !isNear) {
      counts[C.dropOffLink]++
      return
    }
    const { message: m } = decodeMessage(d.buf, d.off, d.off + d.len)
    if (m === null) {
      counts[C.dropBad]++
      return
    }
    // Sections 18.3 and 18.11, and section 6 for the port.
    if (m.opcode !== QUERY || m.rcode !== Rcode.NOERROR || (m.isResponse && d.port !== MDNS_PORT)) {
      counts[C.dropIgnored]++
      return
    }
    if (m.isResponse) this.hearResponse(m, isMulticast, now)
    else this.hearQuery(m, d, isNear, now)
  }

  private hearResponse(m: Message, isMulticast: boolean, now: number): void {
    this.counts[C.inResponses]++
    const records = [...m.answers, ...m.additionals].filter((r) => isInternet(r.class))
    for (const record of records) {
      const key = recordKey(record)
      if (isMulticast) this.responder.heard(key, record)
      for (const claim of [...this.claims.values()]) claim.heard(record, key, now)
    }
    this.cache.absorb(records, now)
  }

  private hearQuery(m: Message, d: Datagram, isNear: boolean, now: number): void {
    this.counts[C.inQueries]++
    if (m.authorities.length > 0) for (const claim of this.claims.values()) claim.probed(m, now)
    if (d.port === MDNS_PORT) this.questions.heard(m, now)
    this.responder.hear(m, d.address, d.port, isNear, now)
  }

  private isNear(a: Address): boolean {
    return a.isLinkLocal || this.iface.addresses.some((own) => own.prefix.contains(a))
  }
}
