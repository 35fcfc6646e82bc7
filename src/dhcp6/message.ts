/**
 * DHCPv6 messages as objects: read from bytes that anybody may have sent, and written.
 *
 * Theory of operation. Options are kept as bytes by code until somebody asks for one by name; the same code may stand several times, and where
 * only one is allowed the first counts. A message in which an option would end beyond it is none: there is no telling where the mistake began.
 * What relays say is a message around a message (RFC 8415 section 9), which stays bytes until it is taken out.
 */
import { Address } from '../base/address.ts'
import { get32, put32 } from '../base/bytes.ts'
import { OPTIONS6, type Option6Name, type Option6Value, type Option6Values } from './options.ts'
import { plainOptions, type RawOptions, readOptions, readValue6, writeOptions, writeValue6 } from './values.ts'
import { DHCP6_HEADER, DHCP6_RELAY, DHCP6_RELAY_HEADER, INFORMATION_REQUEST, isRelayType, SOLICIT } from './wire.ts'

/** Why bytes are no message: shorter than a header, of a type that is not known here, an option that ends beyond the end. */
export type Malformed6 = 'short' | 'type' | 'options'

/** What both kinds of messages have. */
class WithOptions {
  constructor(
    public type: number,
    readonly options: RawOptions = new Map(),
  ) {}

  /** The first value of an option; undefined: it is not there, or is not what it should be. */
  get<N extends Option6Name>(name: N): Option6Value<N> | undefined {
    const bytes = this.options.get(OPTIONS6[name].code)?.[0]
    return bytes === undefined ? undefined : (readValue6(name, bytes) ?? undefined)
  }

  /** All values that are well formed. */
  all<N extends Option6Name>(name: N): Option6Value<N>[] {
    const list = this.options.get(OPTIONS6[name].code) ?? []
    return list.map((bytes) => readValue6(name, bytes)).filter((value) => value !== null)
  }

  has(name: Option6Name): boolean {
    return this.options.has(OPTIONS6[name].code)
  }

  /** In place of what there was. Throws ERR_INVALID_ARG_VALUE for what the option cannot say. */
  set<N extends Option6Name>(name: N, value: Option6Value<N>): this {
    this.options.set(OPTIONS6[name].code, [writeValue6(name, value)])
    return this
  }

  /** Besides what there is. Throws ERR_INVALID_ARG_VALUE. */
  add<N extends Option6Name>(name: N, value: Option6Value<N>): this {
    const { code } = OPTIONS6[name]
    const list = this.options.get(code)
    if (list === undefined) this.options.set(code, [writeValue6(name, value)])
    else list.push(writeValue6(name, value))
    return this
  }

  /** All options whose values are well formed, as plain data. */
  values(): Option6Values {
    return plainOptions(this.options)
  }
}

/** What clients and servers say (section 8). */
export class Dhcp6Message extends WithOptions {
  constructor(
    type: number,
    /** 24 bits. */
    public xid: number,
    options: RawOptions = new Map(),
  ) {
    super(type, options)
  }
}

/** What relays say (section 9). */
export class Dhcp6Relay extends WithOptions {
  constructor(
    type: number,
    public hops: number,
    /** Of the link that the client is on; `::` where the interface-id tells it. */
    public link: Address,
    /** Who the message came from, or is for. */
    public peer: Address,
    options: RawOptions = new Map(),
  ) {
    super(type, options)
  }
}

/** The message of a client or a server at `buf[start, end)`, or why it is none. Never throws. */
export function readMessage6(buf: Uint8Array, start: number, end: number): Dhcp6Message | Malformed6 {
  if (end - start < DHCP6_HEADER || end > buf.length) return 'short'
  const type = buf[start]
  if (type < SOLICIT || type > INFORMATION_REQUEST) return 'type'
  const options = readOptions(buf, start + DHCP6_HEADER, end)
  return options === null ? 'options' : new Dhcp6Message(type, get32(buf, start) & 0xffffff, options)
}

/** The message of a relay, or why it is none. Never throws. */
export function readRelay6(buf: Uint8Array, start: number, end: number): Dhcp6Relay | Malformed6 {
  if (end - start < DHCP6_HEADER || end > buf.length) return 'short'
  const type = buf[start]
  if (!isRelayType(type)) return 'type'
  if (end - start < DHCP6_RELAY_HEADER) return 'short'
  const options = readOptions(buf, start + DHCP6_RELAY_HEADER, end)
  if (options === null) return 'options'
  const link = new Address().read(buf, start + DHCP6_RELAY.linkAddress)
  const peer = new Address().read(buf, start + DHCP6_RELAY.peerAddress)
  return new Dhcp6Relay(type, buf[start + DHCP6_RELAY.hops], link, peer, options)
}

/** Writes a message of at most `limit` bytes at `buf[at]`; returns its length, or -1 when it has more. Options stand in the order of the map. */
export function writeMessage6(m: Dhcp6Message | Dhcp6Relay, buf: Uint8Array, at: number, limit: number): number {
  const options = writeOptions(m.options)
  const isRelay = m instanceof Dhcp6Relay
  const header = isRelay ? DHCP6_RELAY_HEADER : DHCP6_HEADER
  if (header + options.length > limit) return -1
  if (isRelay) {
    buf[at] = m.type
    buf[at + DHCP6_RELAY.hops] = m.hops
    m.link.write(buf, at + DHCP6_RELAY.linkAddress)
    m.peer.write(buf, at + DHCP6_RELAY.peerAddress)
  } else put32(buf, at, (m.type << 24) | (m.xid & 0xffffff))
  buf.set(options, at + header)
  return header + options.length
}
