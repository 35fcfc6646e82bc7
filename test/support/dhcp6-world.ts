/** A client on a link with a DHCPv6 server that says what the test wants it to say, on the virtual clock. */
import { type Address, address } from '../../src/base/address.ts'
import type { ConfigOverrides } from '../../src/base/config.ts'
import type { Dhcp6Options } from '../../src/dhcp6/client-options.ts'
import { duidLl } from '../../src/dhcp6/duid.ts'
import { Dhcp6Message, readMessage6, writeMessage6 } from '../../src/dhcp6/message.ts'
import type { AssociationValue, Option6Values } from '../../src/dhcp6/options.ts'
import { Dhcp6Port } from '../../src/dhcp6/port.ts'
import { rawOptions } from '../../src/dhcp6/values.ts'
import {
  ADVERTISE,
  ALL_RELAYS_AND_SERVERS,
  CONFIRM,
  DHCP6_MESSAGE_NAMES,
  INFORMATION_REQUEST,
  REPLY,
  SOLICIT,
} from '../../src/dhcp6/wire.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachOptions } from '../../src/stack/attach-options.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'

export const CLIENT_MAC = '02:00:00:00:00:05'
export const SERVER_DUID = duidLl(Uint8Array.of(2, 0, 0, 0, 0, 1))
export const OTHER_DUID = duidLl(Uint8Array.of(2, 0, 0, 0, 0, 9))

/** A message as it was heard. */
export interface Heard6 {
  /** Seconds since the world began. */
  at: number
  /** `SOLICIT`, ... */
  name: string
  m: Dhcp6Message
  /** From which address, to which. */
  from: string
  to: string
}

export interface Dhcp6WorldOptions {
  dhcp6?: Dhcp6Options
  config?: ConfigOverrides
  seed?: number
  startMs?: number
  /** Do not attach the client yet. */
  later?: boolean
  /** What else the client is attached with. */
  attach?: AttachOptions
}

export class Dhcp6World {
  readonly world: World
  readonly server: Stack
  readonly serverSide: AttachedInterface
  readonly client: Stack
  readonly heard: Heard6[] = []
  readonly events: string[] = []
  eth0!: AttachedInterface
  /** What is given: changed by tests. */
  addresses = ['2001:db8::50']
  prefixes = ['2001:db8:100::/56']
  preferred = 3000
  valid = 4000
  t1 = 1000
  t2 = 2000
  options: Option6Values = { dnsServers: ['2001:db8::53'], domainSearch: ['lab.example'] }
  /** False: the server is silent. */
  answers = true
  /** In place of the usual answer. */
  answer: ((m: Dhcp6Message, usual: Dhcp6Message | null) => Dhcp6Message | null) | null = null
  private readonly port: Dhcp6Port
  private readonly link
  private readonly bytes = new Uint8Array(8192)
  private from!: Address

  constructor(readonly setup: Dhcp6WorldOptions = {}) {
    this.world = createWorld({ seed: setup.seed ?? 3, startMs: setup.startMs })
    this.server = this.world.stack({ name: 'server' })
    const { dhcp6, ...config } = setup.config ?? {}
    this.client = this.world.stack({ name: 'client', ...config, dhcp6: { maxDelayMs: 0, ...dhcp6 } })
    const [left, right] = createPipe({ names: ['client', 'server'] })
    this.link = left
    this.serverSide = this.server.attach(right, { addresses: ['2001:db8::1/64', 'fe80::1/64'], probe: false })
    const datagram = (buf: Uint8Array, length: number, from: { address: Address; localAddress: Address }): void => {
      const m = readMessage6(buf, 0, length)
      if (typeof m === 'string') throw new Error(m)
      this.from = from.address.clone()
      const at = Math.round(this.world.elapsedMs / 100) / 10
      const [name, to] = [DHCP6_MESSAGE_NAMES[m.type], `${from.localAddress}`.replace(/%.*/, '')]
      this.heard.push({ at, name, m, from: `${from.address}`.replace(/%.*/, ''), to })
      const usual = this.usual(m)
      const reply = this.answers ? (this.answer === null ? usual : this.answer(m, usual)) : null
      if (reply !== null) this.say(reply)
    }
    this.port = new Dhcp6Port(this.server.udp, this.serverSide.iface, 547, { datagram }, false)
    this.port.join(ALL_RELAYS_AND_SERVERS)
    if (setup.later !== true) this.attach()
  }

  attach(): void {
    const { attach, dhcp6 } = this.setup
    this.eth0 = this.client.attach(this.link, { mac: CLIENT_MAC, probe: false, dhcp6: { ...dhcp6 }, ...attach })
    this.eth0.onLease6 = (lease, event) => this.events.push([event, ...(lease === null ? ['-'] : held(lease))].join(' '))
  }

  /** As a good server answers. */
  usual(m: Dhcp6Message): Dhcp6Message | null {
    if (m.type === SOLICIT) return this.reply(m, ADVERTISE)
    if (m.type === CONFIRM) return this.reply(m, REPLY, { status: { code: 0, message: '' } })
    if (m.type === INFORMATION_REQUEST) return this.reply(m, REPLY, this.options)
    return this.reply(m, REPLY)
  }

  /** An answer with what is given, for the associations that `m` has; or with these options in its place. */
  reply(m: Dhcp6Message, type: number, options?: Option6Values, server = SERVER_DUID): Dhcp6Message {
    const r = new Dhcp6Message(type, m.xid, rawOptions(options ?? { ...this.options, ...this.given(m) }))
    return r.set('serverId', server).set('clientId', m.get('clientId')!)
  }

  given(m: Dhcp6Message): Option6Values {
    const { preferred, valid, t1, t2 } = this
    const life = { preferred, valid, options: {} }
    const ia = (list: AssociationValue[], options: Option6Values): AssociationValue[] =>
      list.map(({ iaid }) => ({ iaid, t1, t2, options }))
    const [na, pd] = [m.all('iaNa'), m.all('iaPd')]
    return {
      ...(na.length > 0 && { iaNa: ia(na, { iaAddress: this.addresses.map((a) => ({ address: a, ...life })) }) }),
      ...(pd.length > 0 && { iaPd: ia(pd, { iaPrefix: this.prefixes.map((prefix) => ({ prefix, ...life })) }) }),
    }
  }

  /** Sends to where the last message came from. */
  say(r: Dhcp6Message): void {
    const length = writeMessage6(r, this.bytes, 0, this.bytes.length)
    if (!this.port.send(this.bytes, length, this.serverSide.iface.addresses[1].address, this.from, 546))
      throw new Error('not sent')
  }

  /** Sends bytes that need not be a message. */
  sayBytes(bytes: Uint8Array, to = address('fe80::ff:fe00:5')): void {
    this.port.send(bytes, bytes.length, this.serverSide.iface.addresses[1].address, to, 546)
  }

  /** `SOLICIT 0.3`, ...: names and times of what was heard since the last call. */
  take(): string[] {
    return this.heard.splice(0).map(({ name, at }) => `${name} ${at}`)
  }

  names(): string[] {
    return this.heard.splice(0).map(({ name }) => name)
  }

  get last(): Heard6 {
    return this.heard[this.heard.length - 1]
  }

  /** Runs until the client has a lease. */
  bind(limitMs = 60_000): void {
    if (!this.world.runUntil(() => this.eth0.lease6 !== null, limitMs)) throw new Error(`no lease: ${this.eth0.dhcp6?.state}`)
  }

  run(seconds: number): void {
    this.world.run(seconds * 1000)
  }

  /** Global addresses of the client. */
  get ours(): string[] {
    return this.eth0.addresses.filter((a) => !a.startsWith('fe80'))
  }

  /** Counters of the client that are not zero. */
  get counters(): Record<string, number> {
    return this.client.counters(true)['eth0.dhcp6']
  }
}

function held(lease: { addresses: { address: string }[]; prefixes: { prefix: string }[] }): string[] {
  return [...lease.addresses.map((a) => a.address), ...lease.prefixes.map((p) => p.prefix)]
}
