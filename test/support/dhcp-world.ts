/** A client on a link with a DHCP server that says what the test wants it to say, on the virtual clock. */
import { Address, ANY_V4, address } from '../../src/base/address.ts'
import type { ConfigOverrides } from '../../src/base/config.ts'
import type { DhcpOptions } from '../../src/dhcp/client-options.ts'
import {
  ACK,
  BOOTREPLY,
  type DhcpMessage,
  DISCOVER,
  DhcpMessage as Message,
  NAK,
  OFFER,
  optionBytes,
  REQUEST,
  readMessage,
  writeMessage,
} from '../../src/dhcp/message.ts'
import type { OptionValues } from '../../src/dhcp/options.ts'
import { DhcpPort } from '../../src/dhcp/port.ts'
import { DHCP_MESSAGE_NAMES } from '../../src/dhcp/wire.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'

export const CLIENT_MAC = '02:00:00:00:00:05'

/** A message as it was heard. */
export interface Heard {
  /** Seconds since the world began. */
  at: number
  /** `DISCOVER`, ... */
  name: string
  m: DhcpMessage
  /** From which address, to which. */
  from: string
  to: string
}

export interface DhcpWorldOptions {
  dhcp?: DhcpOptions
  config?: ConfigOverrides
  seed?: number
  startMs?: number
  /** Do not attach the client yet. */
  later?: boolean
}

export class DhcpWorld {
  readonly world: World
  readonly server: Stack
  readonly serverSide: AttachedInterface
  readonly client: Stack
  readonly heard: Heard[] = []
  readonly events: string[] = []
  eth0!: AttachedInterface
  /** What is offered: changed by tests. */
  address = '10.0.0.50'
  options: OptionValues = {
    subnetMask: '255.255.255.0',
    leaseTime: 3600,
    routers: ['10.0.0.1'],
    domainNameServers: ['10.0.0.1', '10.0.0.3'],
    domainName: 'lab.example',
  }
  /** False: the server is silent. */
  answers = true
  /** In place of the usual answer. */
  answer: ((m: DhcpMessage, usual: DhcpMessage | null) => DhcpMessage | null) | null = null
  private readonly port: DhcpPort
  private readonly link
  private readonly bytes = new Uint8Array(1472)

  constructor(readonly setup: DhcpWorldOptions = {}) {
    this.world = createWorld({ seed: setup.seed ?? 3, startMs: setup.startMs })
    this.server = this.world.stack({ name: 'server' })
    this.client = this.world.stack({ name: 'client', ...setup.config })
    const [left, right] = createPipe({ names: ['client', 'server'] })
    this.link = left
    this.serverSide = this.server.attach(right, { addresses: ['10.0.0.1/24'] })
    const { udp, ipLayer: ip, ipv4, frame, turn } = this.server
    const datagram = (buf: Uint8Array, length: number, from: { address: Address; localAddress: Address }): void => {
      const m = readMessage(buf, 0, length)!
      const name = DHCP_MESSAGE_NAMES[m.type]
      this.heard.push({
        at: Math.round(this.world.elapsedMs / 100) / 10,
        name,
        m,
        from: `${from.address}`,
        to: `${from.localAddress}`,
      })
      const reply = this.answers ? (this.answer === null ? this.usual(m) : this.answer(m, this.usual(m))) : null
      if (reply !== null) this.say(reply)
    }
    const deps = { udp, ip, ipv4, frame, wake: turn.wake }
    this.port = new DhcpPort(deps, this.serverSide.iface, 67, 68, { datagram }, false)
    if (setup.later !== true) this.attach()
  }

  attach(): void {
    this.eth0 = this.client.attach(this.link, { mac: CLIENT_MAC, dhcp: { probe: false, ...this.setup.dhcp } })
    this.eth0.onLease = (lease, event) => this.events.push(`${event} ${lease?.prefix ?? '-'}`)
  }

  /** OFFER for DISCOVER, ACK for REQUEST and INFORM, as a good server does. */
  usual(m: DhcpMessage): DhcpMessage | null {
    if (m.type === DISCOVER) return this.reply(m, OFFER)
    if (m.type === REQUEST) return this.reply(m, ACK)
    return null
  }

  reply(m: DhcpMessage, type: number, options: OptionValues = this.options): DhcpMessage {
    const r = new Message()
    r.op = BOOTREPLY
    r.xid = m.xid
    r.chaddr = m.chaddr
    r.broadcast = m.broadcast
    r.set('messageType', type).set('serverIdentifier', '10.0.0.1')
    if (type === NAK) return r
    r.yiaddr = address(this.address).w3
    r.ciaddr = m.ciaddr
    for (const [code, bytes] of optionBytes(options)) r.options.set(code, bytes)
    return r
  }

  /** Sends as RFC 2131 section 4.1 has it: to the offered address at the client's link address, or to everybody. */
  say(r: DhcpMessage, source = address('10.0.0.1')): void {
    const length = writeMessage(r, this.bytes, 0, this.bytes.length)
    const to = r.ciaddr !== 0 ? r.ciaddr : r.yiaddr
    if (r.broadcast || to === 0) this.port.broadcast(this.bytes, length, source)
    else this.port.toMac(this.bytes, length, source, Address.v4(to), this.eth0.iface.mac!)
  }

  /** `DISCOVER 10.0.0.50`, ...: names and times of what was heard since the last call. */
  take(): string[] {
    return this.heard.splice(0).map(({ name, at }) => `${name} ${at}`)
  }

  names(): string[] {
    return this.heard.splice(0).map(({ name }) => name)
  }

  get last(): Heard {
    return this.heard[this.heard.length - 1]
  }

  /** Runs until the client has a lease. */
  bind(limitMs = 60_000): void {
    if (!this.world.runUntil(() => this.eth0.lease !== null, limitMs)) throw new Error(`no lease: ${this.eth0.dhcp?.state}`)
  }

  run(seconds: number): void {
    this.world.run(seconds * 1000)
  }

  /** Counters of the client that are not zero. */
  get counters(): Record<string, number> {
    return this.client.counters(true)['eth0.dhcp']
  }
}

export { ANY_V4 }
