/**
 * Messages to a server as they come: in as many envelopes as there were relays on their way (RFC 8415 section 19). Answers go back in the
 * same ones.
 */
import type { Address } from '../base/address.ts'
import { Dhcp6Message, Dhcp6Relay, type Malformed6, readMessage6, readRelay6, writeMessage6 } from './message.ts'
import { OPTIONS6 } from './options.ts'
import { HOP_COUNT_LIMIT, isRelayType, RELAY_FORW, RELAY_REPL } from './wire.ts'

/** What a UDP datagram holds behind its own header, and IPv6 without its own (RFC 8200 section 3). */
export const LARGEST_LETTER = 0xffff - 8

export interface Letter {
  readonly m: Dhcp6Message
  /** The one that sent it to us first. */
  readonly relays: readonly Dhcp6Relay[]
}

/** What a client said, or why it is nothing; `relays`: more of them than there can be. Never throws. */
export function openLetter(buf: Uint8Array, length: number): Letter | Malformed6 | 'relays' {
  const relays: Dhcp6Relay[] = []
  let bytes = buf
  let end = length
  while (end > 0 && isRelayType(bytes[0])) {
    const relay = readRelay6(bytes, 0, end)
    if (typeof relay === 'string') return relay
    if (relay.type !== RELAY_FORW) return 'type'
    // Section 19.1.2: a relay passes on what has passed fewer than HOP_COUNT_LIMIT before.
    if (relays.length > HOP_COUNT_LIMIT) return 'relays'
    relays.push(relay)
    const inner = relay.get('relayMessage')
    if (inner === undefined) return 'options'
    bytes = inner
    end = inner.length
  }
  const m = readMessage6(bytes, 0, end)
  return m instanceof Dhcp6Message ? { m, relays } : m
}

/** An address of the link that a client is on (section 13.1), which the relay next to it says, or the next one that knows. Null: none does. */
export function linkOf({ relays }: Letter): Address | null {
  for (let i = relays.length - 1; i >= 0; i--) {
    const { link } = relays[i]
    if (!link.isUnspecified && !link.isLinkLocal) return link
  }
  return null
}

/** The bytes of an answer in its envelopes (section 19.3), or null: there are more than fit. `scratch` has LARGEST_LETTER bytes. */
export function sealLetter(answer: Dhcp6Message, relays: readonly Dhcp6Relay[], scratch: Uint8Array): Uint8Array | null {
  let inner = bytesOf(answer, scratch)
  for (let i = relays.length - 1; i >= 0 && inner !== null; i--) {
    const { hops, link, peer, options } = relays[i]
    const envelope = new Dhcp6Relay(RELAY_REPL, hops, link, peer)
    const back = [OPTIONS6.interfaceId.code, OPTIONS6.relayPort.code, ...(relays[i].get('echoRequest') ?? [])]
    for (const code of back) {
      const values = options.get(code)
      if (values !== undefined && code !== OPTIONS6.relayMessage.code) envelope.options.set(code, values)
    }
    envelope.set('relayMessage', inner)
    inner = bytesOf(envelope, scratch)
  }
  return inner
}

function bytesOf(m: Dhcp6Message | Dhcp6Relay, scratch: Uint8Array): Uint8Array | null {
  const length = writeMessage6(m, scratch, 0, scratch.length)
  return length < 0 ? null : scratch.slice(0, length)
}
