/** What a DHCP server answers: the options of a reply, and their order (RFC 2131 section 4.3.1, table 3). */
import { Address, type Prefix } from '../base/address.ts'
import { BOOTREPLY, DhcpMessage, NAK } from './message.ts'
import { OPTIONS } from './options.ts'
import type { Binding, Pool, PoolClient } from './pool.ts'

/** A message, as far as its answer goes. */
export interface ReplyTo extends PoolClient {
  readonly m: DhcpMessage
  readonly pool: Pool
  /** Our address, as the client knows us. */
  readonly server: Address
}

const INFINITE = 0xffffffff
/** Sent whether they are asked for or not. */
const ALWAYS: readonly number[] = [OPTIONS.subnetMask.code]

export class ReplyMaker {
  /** OFFER or ACK. `binding` null: the answer to an INFORM, without address and times. `seconds`: Infinity for ever. */
  make(type: number, asked: ReplyTo, binding: Binding | null, seconds: number): DhcpMessage {
    const { m, pool, server } = asked
    const r = this.begin(type, m, server)
    if (binding !== null) {
      const ends = Number.isFinite(seconds)
      r.yiaddr = binding.word | 0
      r.set('leaseTime', ends ? Math.min(INFINITE - 1, Math.floor(seconds)) : INFINITE)
      if (ends) r.set('renewalTime', Math.floor(0.5 * seconds)).set('rebindingTime', Math.floor(0.875 * seconds))
    }
    const reservation = pool.reservationOf(asked)
    const known = new Map([...derived(pool.network.prefix), ...pool.network.options, ...(reservation?.options ?? [])])
    // RFC 2131 section 4.3.1: in the order in which the client asked; all of them for who does not say what it wants.
    const wanted = m.get('parameterRequestList') ?? [...known.keys()]
    for (const code of [...ALWAYS, ...wanted]) {
      const bytes = known.get(code)
      if (bytes !== undefined && !r.options.has(code)) r.options.set(code, bytes)
    }
    this.echo(m, r)
    return r
  }

  refusal({ m, server }: ReplyTo): DhcpMessage {
    const r = this.begin(NAK, m, server)
    // RFC 2131 section 4.3.2: the client has no address that a relay could send to.
    r.broadcast = m.broadcast || m.giaddr !== 0
    this.echo(m, r)
    return r
  }

  private begin(type: number, m: DhcpMessage, server: Address): DhcpMessage {
    const r = new DhcpMessage()
    r.op = BOOTREPLY
    r.hardwareType = m.hardwareType
    r.xid = m.xid
    r.broadcast = m.broadcast
    r.giaddr = m.giaddr
    r.chaddr = m.chaddr
    return r.set('messageType', type).set('serverIdentifier', server.toString())
  }

  /** RFC 6842: the client's identifier; RFC 3046 section 2.2: what the relay said, as it was. */
  private echo(m: DhcpMessage, r: DhcpMessage): void {
    for (const { code } of [OPTIONS.clientIdentifier, OPTIONS.relayAgentInformation]) {
      const bytes = m.options.get(code)
      if (bytes !== undefined) r.options.set(code, bytes)
    }
  }
}

/** What the network itself says. */
function derived({ length, broadcast }: Prefix): Map<number, Uint8Array> {
  const m = new DhcpMessage()
  m.set('subnetMask', Address.v4(length === 0 ? 0 : -1 << (32 - length)).toString())
  if (broadcast !== null) m.set('broadcastAddress', broadcast.toString())
  return m.options
}
