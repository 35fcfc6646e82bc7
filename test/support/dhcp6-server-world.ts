/** A DHCPv6 server, and on the other end of its link somebody who speaks DHCPv6 by hand, on the virtual clock. */
import { type Address, address } from '../../src/base/address.ts'
import type { ConfigOverrides } from '../../src/base/config.ts'
import { duidLl } from '../../src/dhcp6/duid.ts'
import { Dhcp6Message, type Dhcp6Relay, readMessage6, readRelay6, writeMessage6 } from '../../src/dhcp6/message.ts'
import type { Option6Values } from '../../src/dhcp6/options.ts'
import type { Dhcp6Server } from '../../src/dhcp6/server.ts'
import type { Dhcp6ServerOptions } from '../../src/dhcp6/server-options.ts'
import { rawOptions } from '../../src/dhcp6/values.ts'
import { ALL_RELAYS_AND_SERVERS, DHCP6_CLIENT_PORT, DHCP6_MESSAGE_NAMES, DHCP6_SERVER_PORT } from '../../src/dhcp6/wire.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import type { UdpSocket } from '../../src/udp/socket.ts'

/** DUID-LL of 02:00:00:00:00:n. */
export const DUID = (n: number): Uint8Array => duidLl(Uint8Array.of(2, 0, 0, 0, n >> 8, n & 255))

export interface Server6WorldOptions extends Dhcp6ServerOptions {
  config?: ConfigOverrides
}

export class Server6World {
  readonly world = createWorld({ seed: 5 })
  readonly stack
  readonly other = this.world.stack({ name: 'other' })
  readonly eth0
  readonly link
  readonly events: string[] = []
  readonly server: Dhcp6Server
  /** What the server said last, and all that it said since the last question. */
  last = new Dhcp6Message(0, 0)
  relayed: Dhcp6Relay | null = null
  readonly said: string[] = []
  private readonly sockets = new Map<number, UdpSocket>()
  private xid = 0

  constructor({ config, ...options }: Server6WorldOptions = {}, addresses = ['fd00::1/64']) {
    this.stack = this.world.stack({ name: 'server', ...config })
    const [left, right] = createPipe()
    this.link = right
    this.eth0 = this.stack.attach(left, { mac: '02:00:00:00:00:01', addresses, ipv6: true, probe: false })
    this.server = this.stack.dhcp6Server(this.eth0, options)
    this.server.onLease = (lease, event) => this.events.push(`${event} ${lease.address}`)
  }

  /** Takes the ports of a client and of a relay by hand, as fe80::aa and fd00::aa. */
  byHand(): this {
    const eth = this.other.attach(this.link, {
      mac: '02:00:00:00:00:aa',
      addresses: ['fe80::aa/64', 'fd00::aa/64'],
      probe: false,
    })
    const into = new Datagram(new Uint8Array(0x10000))
    for (const port of [DHCP6_CLIENT_PORT, DHCP6_SERVER_PORT]) {
      const onReadable = (socket: UdpSocket): void => {
        while (socket.receive(into)) this.hear(into.buf, into.len, port)
      }
      const socket = this.other.udp.open({ onReadable }, { family: 6, iface: eth.iface })
      socket.bind('::', port)
      this.sockets.set(port, socket)
    }
    this.world.run(100)
    return this
  }

  /** Says something as that client; returns what the server said. */
  say(type: number, options: Option6Values, duid: Uint8Array | null = DUID(1), to: Address = ALL_RELAYS_AND_SERVERS): string[] {
    this.send(type, options, duid, to)
    this.world.run(20)
    return this.said.splice(0)
  }

  send(type: number, options: Option6Values, duid: Uint8Array | null, to: Address = ALL_RELAYS_AND_SERVERS): void {
    this.post(this.bytes(type, options, duid), DHCP6_CLIENT_PORT, to)
  }

  /** The bytes of a message of a client. */
  bytes(type: number, options: Option6Values, duid: Uint8Array | null): Uint8Array {
    const who = duid === null ? {} : { clientId: duid }
    return bytesOf(new Dhcp6Message(type, ++this.xid, rawOptions({ ...who, ...options })))
  }

  /** Says something through relays, the one next to the client first. */
  through(relays: readonly Dhcp6Relay[], inner: Uint8Array, to = 'fd00::1'): string[] {
    this.post(this.wrapped(relays, inner), DHCP6_SERVER_PORT, address(to))
    this.world.run(20)
    return this.said.splice(0)
  }

  wrapped(relays: readonly Dhcp6Relay[], inner: Uint8Array): Uint8Array {
    let bytes = inner
    for (const relay of relays) bytes = bytesOf(relay.set('relayMessage', bytes))
    return bytes
  }

  /** Any bytes. */
  post(bytes: Uint8Array, port = DHCP6_CLIENT_PORT, to: Address = ALL_RELAYS_AND_SERVERS): void {
    const there = to.clone()
    if (to.isMulticast || to.isLinkLocal) there.zone = this.other.interfaces[0].index
    this.sockets.get(port)!.send(bytes, 0, bytes.length, there, DHCP6_SERVER_PORT)
  }

  /** Our identifier, as a client puts it into what is for us alone. */
  get serverId(): Uint8Array {
    return this.last.get('serverId')!
  }

  /** SOLICIT and REQUEST of one address; it, or what was said in place of it. */
  obtain(duid: Uint8Array, options: Option6Values = { iaNa: [ia(1)] }): string {
    this.say(1, options, duid)
    const { iaNa, iaPd } = this.last.values()
    this.say(3, { ...options, ...(iaNa && { iaNa }), ...(iaPd && { iaPd }), serverId: this.serverId }, duid)
    const values = this.last.values()
    return [...associations(values)].join(' ')
  }

  get counters(): Record<string, number> {
    return this.server.counters.snapshot(true)
  }

  private hear(buf: Uint8Array, length: number, port: number): void {
    this.relayed = null
    let m = readMessage6(buf, 0, length)
    let depth = 0
    for (let bytes: Uint8Array = buf.slice(0, length); typeof m === 'string'; depth++) {
      const relay = readRelay6(bytes, 0, bytes.length)
      if (typeof relay === 'string') throw new Error(`the server said nonsense: ${relay}`)
      this.relayed ??= relay
      bytes = relay.get('relayMessage')!
      m = readMessage6(bytes, 0, bytes.length)
    }
    this.last = m
    const values = m.values()
    const status = values.status === undefined ? [] : [`status ${values.status.code}`]
    const way = port === DHCP6_CLIENT_PORT ? [] : [`in ${depth}`]
    this.said.push([DHCP6_MESSAGE_NAMES[m.type], ...way, ...status, ...associations(values)].join(' '))
  }
}

/** An association that asks for anything, or names leases. */
export function ia(iaid: number, ...addresses: string[]): NonNullable<Option6Values['iaNa']>[number] {
  const iaAddress = addresses.map((address) => ({ address, preferred: 0, valid: 0, options: {} }))
  return { iaid, t1: 0, t2: 0, options: addresses.length > 0 ? { iaAddress } : {} }
}

export function pd(iaid: number, ...prefixes: string[]): NonNullable<Option6Values['iaPd']>[number] {
  const iaPrefix = prefixes.map((prefix) => ({ prefix, preferred: 0, valid: 0, options: {} }))
  return { iaid, t1: 0, t2: 0, options: prefixes.length > 0 ? { iaPrefix } : {} }
}

/** `1:fd00::100` is an address, `1:-fd00::100` one that is over, `1!2` the status of an association; `ta1!2` of a temporary one. */
function* associations({ iaNa = [], iaPd = [], iaTa = [] }: Option6Values): Generator<string> {
  for (const { iaid, options } of [...iaNa, ...iaPd]) {
    for (const { address, valid } of options.iaAddress ?? []) yield `${iaid}:${valid === 0 ? '-' : ''}${address}`
    for (const { prefix, valid } of options.iaPrefix ?? []) yield `${iaid}:${valid === 0 ? '-' : ''}${prefix}`
    if (options.status !== undefined) yield `${iaid}!${options.status.code}`
  }
  for (const { iaid, options } of iaTa) yield `ta${iaid}!${options.status?.code}`
}

function bytesOf(m: Dhcp6Message | Dhcp6Relay): Uint8Array {
  const buf = new Uint8Array(0x10000)
  return buf.slice(0, writeMessage6(m, buf, 0, buf.length))
}
