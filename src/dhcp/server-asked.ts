/** Of which network a message is, and whose: what a DHCP server has to know before it can think of an answer. */
import { Address } from '../base/address.ts'
import { get32, hex } from '../base/bytes.ts'
import type { Interface } from '../ip/interface.ts'
import type { Datagram } from '../udp/receive-queue.ts'
import type { DhcpMessage } from './message.ts'
import { RELAY_LINK_SELECTION, RELAY_SERVER_OVERRIDE } from './options.ts'
import type { Pool, PoolClient } from './pool.ts'
import { clientKey } from './server-options.ts'
import { addressOf } from './values.ts'

/** A message, and what it takes to answer it. */
export interface Asked extends PoolClient {
  readonly m: DhcpMessage
  readonly iface: Interface
  readonly pool: Pool
  /** Our address, as the client knows us. */
  readonly server: Address
  /** 0, or the address of the relay. */
  readonly relay: number
}

/** Null: the message is of no network that is served (RFC 2131 section 4.3.1; RFC 3527, RFC 3011). */
export function whoAsks(m: DhcpMessage, iface: Interface, from: Datagram, pools: readonly Pool[]): Asked | null {
  const relayInfo = m.get('relayAgentInformation')
  const own = iface.addresses.find((a) => a.address.isV4)?.address
  if (own === undefined) return null
  const link = m.giaddr !== 0 ? m.giaddr : m.ciaddr !== 0 && !from.localAddress.isLimitedBroadcast ? m.ciaddr : own.w3
  const place = wordIn(relayInfo?.[RELAY_LINK_SELECTION]) || addressOf(m.get('subnetSelection')).w3 || link
  const pool = poolOf(pools, place) ?? (m.giaddr === 0 ? poolOf(pools, own.w3) : undefined)
  if (pool === undefined) return null
  const override = wordIn(relayInfo?.[RELAY_SERVER_OVERRIDE])
  const inPool = iface.addresses.find((a) => a.address.isV4 && pool.network.prefix.contains(a.address))?.address
  const server = override === 0 ? (inPool ?? own) : Address.v4(override)
  const clientId = m.get('clientIdentifier')
  const key = clientKey(m.hardwareType, m.chaddr, clientId)
  return { m, iface, pool, server, relay: m.giaddr, key, mac: hex(m.chaddr, 0, m.chaddr.length, ':'), clientId }
}

/** The address in a sub-option of a relay; 0: there is none. */
function wordIn(bytes: Uint8Array | undefined): number {
  return bytes?.length === 4 ? get32(bytes, 0) : 0
}

function poolOf(pools: readonly Pool[], word: number): Pool | undefined {
  const address = Address.v4(word)
  return pools.find((p) => p.network.prefix.contains(address))
}
