/** What a DHCP client says: each of its messages, filled as RFC 2131 table 5 has it, and the way that it goes. */
import { Address, ANY_V4 } from '../base/address.ts'
import { get32 } from '../base/bytes.ts'
import { Counters } from '../base/counters.ts'
import type { Random } from '../base/random.ts'
import type { Interface } from '../ip/interface.ts'
import { ClientMessages, type DhcpOptions } from './client-options.ts'
import type { LeaseClock } from './clock.ts'
import { CC, CLIENT_NAMES } from './counters.ts'
import type { Lease } from './lease.ts'
import { DECLINE, type DhcpMessage, DISCOVER, INFORM, RELEASE, REQUEST, writeMessage } from './message.ts'
import { DhcpPort, type PortDependencies } from './port.ts'
import { addressOf } from './values.ts'
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from './wire.ts'

export interface SenderDependencies extends PortDependencies {
  time: LeaseClock
  random: Random
}

const MESSAGE_LIMIT = 1472

export class ClientSender {
  readonly counters = new Counters(CLIENT_NAMES)
  /** Of what was asked last. */
  xid = 0
  /** When this attempt to get an address, or to keep it, began. */
  begunAt = 0
  /** When the last DISCOVER or REQUEST left. */
  askedAt = 0
  /** `secs` of the last DISCOVER, which its REQUEST repeats (RFC 2131 section 4.1). */
  private secs = 0
  private readonly port: DhcpPort
  private readonly messages: ClientMessages
  private readonly out = new Uint8Array(MESSAGE_LIMIT)

  /** `hear` gets what comes in, lent. Throws ERR_INVALID_ARG_VALUE, EADDRINUSE. */
  constructor(
    private readonly deps: SenderDependencies,
    private readonly iface: Interface,
    private readonly mac: Uint8Array,
    private readonly options: DhcpOptions,
    hear: (buf: Uint8Array, length: number) => void,
  ) {
    this.messages = new ClientMessages(mac, options, iface.index)
    this.port = new DhcpPort(deps, iface, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, { datagram: hear }, false)
  }

  close(): void {
    this.port.close()
  }

  /** What is asked from now on has another id: random enough to tell apart clients that begin at once (RFC 2131 section 4.1). */
  newXid(): void {
    this.xid = this.deps.random.int32() ^ get32(this.mac, 2)
  }

  /** `wanted`: the address that is hoped for, or ''. */
  discover(wanted: string): void {
    this.secs = this.elapsed
    const m = this.make(DISCOVER, this.secs)
    if (wanted !== '') m.set('requestedAddress', wanted)
    if (this.options.rapidCommit === true) m.set('rapidCommit', true)
    this.askedAt = this.deps.time.now
    this.broadcast(m, ANY_V4)
    this.counters.values[CC.outDiscovers]++
  }

  /** For what was offered. */
  select(offer: DhcpMessage): void {
    const m = this.make(REQUEST, this.secs)
    m.set('requestedAddress', Address.v4(offer.yiaddr).toString())
    m.set('serverIdentifier', offer.get('serverIdentifier')!)
    this.request(m, ANY_V4, null)
  }

  /** For what was had before. */
  reboot(address: string): void {
    const m = this.make(REQUEST, this.elapsed)
    m.set('requestedAddress', address)
    this.request(m, ANY_V4, null)
  }

  /** For what there is, on: to its server, or to everybody. */
  renew(lease: Lease, toServer: boolean): void {
    const own = addressOf(lease.address)
    const m = this.make(REQUEST, this.elapsed)
    m.ciaddr = own.w3
    m.broadcast = false // who can be reached has no need of broadcasts (RFC 2131 section 4.1)
    this.request(m, own, toServer && lease.server !== '' ? addressOf(lease.server) : null)
  }

  inform(own: Address): void {
    const m = this.make(INFORM, this.elapsed)
    m.ciaddr = own.w3
    m.broadcast = false
    this.broadcast(m, own)
    this.counters.values[CC.outInforms]++
  }

  decline({ address, server }: Lease): void {
    this.newXid()
    const m = this.messages.make(DECLINE, this.xid, 0, false, this.iface.mtu)
    m.set('requestedAddress', address)
    if (server !== '') m.set('serverIdentifier', server)
    this.broadcast(m, ANY_V4)
    this.counters.values[CC.outDeclines]++
  }

  release({ address, server }: Lease): void {
    const own = addressOf(address)
    const to = addressOf(server)
    this.newXid()
    const m = this.messages.make(RELEASE, this.xid, 0, false, this.iface.mtu)
    m.ciaddr = own.w3
    if (server !== '') m.set('serverIdentifier', server)
    // RFC 2131 section 4.4.4 wants it unicast. Where that would have to wait for an answer to ARP, which the address does not live to see, it is
    // broadcast: servers know by the identifier whom it is for.
    if (server !== '' && this.port.reaches(to, own)) this.unicast(m, own, to)
    else this.broadcast(m, own)
    this.counters.values[CC.outReleases]++
  }

  private get elapsed(): number {
    return Math.floor((this.deps.time.now - this.begunAt) / 1000)
  }

  private make(type: number, secs: number): DhcpMessage {
    return this.messages.make(type, this.xid, secs, true, this.iface.mtu)
  }

  private request(m: DhcpMessage, source: Address, to: Address | null): void {
    this.askedAt = this.deps.time.now
    if (to === null) this.broadcast(m, source)
    else this.unicast(m, source, to)
    this.counters.values[CC.outRequests]++
  }

  private broadcast(m: DhcpMessage, source: Address): void {
    const length = writeMessage(m, this.out, 0, this.out.length)
    if (!this.port.broadcast(this.out, length, source)) this.counters.values[CC.outBlocked]++
  }

  private unicast(m: DhcpMessage, source: Address, to: Address): void {
    const length = writeMessage(m, this.out, 0, this.out.length)
    if (!this.port.unicast(this.out, length, source, to)) this.counters.values[CC.outBlocked]++
  }
}
