/** Whether a message may be answered (RFC 8415 section 16), of which link it is, and whose. */
import type { Address } from '../base/address.ts'
import { hex } from '../base/bytes.ts'
import type { Interface } from '../ip/interface.ts'
import type { Datagram } from '../udp/receive-queue.ts'
import { formatDuid, macOfDuid } from './duid.ts'
import { SC6 } from './server-counters.ts'
import { type Letter, linkOf } from './server-letter.ts'
import type { Link6, Served6 } from './server-options.ts'
import { CONFIRM, DECLINE, INFORMATION_REQUEST, REBIND, RELEASE, RENEW, REQUEST, SOLICIT } from './wire.ts'

/** A message, and what it takes to answer it. */
export interface Asked6 extends Letter {
  readonly iface: Interface
  readonly link: Link6
  /** Empty: a question for information need not say who asks. */
  readonly duid: string
  /** Empty: not known. */
  readonly mac: string
  /** Who the answer goes to: the client or the last relay. */
  readonly from: Address
  readonly fromPort: number
  /** Which of our addresses was asked. */
  readonly to: Address
}

/** RFC 6939 section 4: two bytes of the kind of link, then the address. */
const ETHERNET_LINK = [0, 1] as const
const ETHERNET_LENGTH = 8

interface Rule {
  readonly counter: number
  /** Whether it names the server that it is for. */
  readonly server: 'ours' | 'none' | 'any'
  readonly client: boolean
}

const RULES = new Map<number, Rule>([
  [SOLICIT, { counter: SC6.inSolicits, server: 'none', client: true }],
  [REQUEST, { counter: SC6.inRequests, server: 'ours', client: true }],
  [CONFIRM, { counter: SC6.inConfirms, server: 'none', client: true }],
  [RENEW, { counter: SC6.inRenews, server: 'ours', client: true }],
  [REBIND, { counter: SC6.inRebinds, server: 'none', client: true }],
  [DECLINE, { counter: SC6.inDeclines, server: 'ours', client: true }],
  [RELEASE, { counter: SC6.inReleases, server: 'ours', client: true }],
  [INFORMATION_REQUEST, { counter: SC6.inInformationRequests, server: 'any', client: false }],
])

/** Null: it is not to be answered, and the counter of the reason was counted in `n`. `ours`: our DUID. */
export function whoAsks6(
  letter: Letter,
  iface: Interface,
  from: Datagram,
  { byInterface, links }: Served6,
  ours: string,
  n: Float64Array,
): Asked6 | null {
  const { m, relays } = letter
  const rule = RULES.get(m.type)
  const drop = (reason: number): null => {
    n[reason]++
    return null
  }
  if (rule === undefined) return drop(SC6.dropUnknownType)
  n[rule.counter]++
  if (relays.length > 0) n[SC6.inRelayForwards]++
  const client = m.get('clientId')
  if (client === undefined && (rule.client || m.has('clientId'))) return drop(SC6.dropNoClientId)
  if (m.has('serverId')) {
    if (rule.server === 'none') return drop(SC6.dropServerId)
    const server = m.get('serverId')
    if (server === undefined || formatDuid(server) !== ours) return drop(SC6.dropOtherServer)
  } else if (rule.server === 'ours') return drop(SC6.dropOtherServer)
  // Section 16.12: who has an association to speak of asks otherwise.
  if (m.type === INFORMATION_REQUEST && (m.has('iaNa') || m.has('iaTa') || m.has('iaPd'))) return drop(SC6.dropAssociation)
  // Relays that name no link are on the one that their message came in by (RFC 6221).
  const place = linkOf(letter)
  const link = place === null ? byInterface.get(iface) : links.find((l) => l.prefixes.some((p) => p.contains(place)))
  if (link === undefined) return drop(SC6.dropNoSubnet)
  const asker = { from: from.address.clone(), fromPort: from.port, to: from.localAddress.clone() }
  return { ...letter, iface, link, duid: client === undefined ? '' : formatDuid(client), mac: macOf(letter, client), ...asker }
}

/** What the relay next to the client saw (RFC 6939), or what the DUID is made of. */
function macOf({ relays }: Letter, duid: Uint8Array | undefined): string {
  const seen = relays[relays.length - 1]?.get('clientLinkLayer')
  const isEthernet = seen?.length === ETHERNET_LENGTH && ETHERNET_LINK.every((b, i) => seen[i] === b)
  const mac = isEthernet ? seen.subarray(2) : duid === undefined ? null : macOfDuid(duid)
  return mac === null ? '' : hex(mac, 0, mac.length, ':')
}
