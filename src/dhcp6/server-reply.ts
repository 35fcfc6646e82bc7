/** What a DHCPv6 server answers beside leases: who speaks to whom, and the options that were asked for (RFC 8415 section 18.3). */
import { Dhcp6Message } from './message.ts'
import { OPTIONS6 } from './options.ts'
import type { Asked6 } from './server-asked.ts'
import type { Reserved6 } from './server-options.ts'
import { INFORMATION_REQUEST } from './wire.ts'

/** RFC 4704 section 4.1. */
const FQDN_SERVER = 1
const FQDN_OVERRIDDEN = 2
const FQDN_NO_UPDATES = 4

/** An answer with both identifiers and nothing else yet. */
export function beginReply({ m }: Asked6, type: number, serverId: Uint8Array): Dhcp6Message {
  const reply = new Dhcp6Message(type, m.xid)
  const client = m.get('clientId')
  if (client !== undefined) reply.set('clientId', client)
  return reply.set('serverId', serverId)
}

/** Options that the client asks for, in its order; those of its reservation before those of its link. */
export function addRequested(reply: Dhcp6Message, { m, link }: Asked6, reserved: Reserved6 | undefined): void {
  for (const code of m.get('optionRequest') ?? []) {
    // Section 21.23: how long information is good is of those who have only that.
    if (code === OPTIONS6.informationRefreshTime.code && m.type !== INFORMATION_REQUEST) continue
    const values = reserved?.options.get(code) ?? link.options.get(code)
    if (values !== undefined && !reply.options.has(code)) reply.options.set(code, values)
  }
  addName(reply, m, reserved?.hostname ?? null)
}

/** The client's name as it may use it. Nothing is written into any DNS (RFC 4704 section 6). */
function addName(reply: Dhcp6Message, m: Dhcp6Message, hostname: string | null): void {
  const asked = m.get('clientFqdn')
  if (asked === undefined) return
  const overridden = (asked.flags & FQDN_SERVER) !== 0 ? FQDN_OVERRIDDEN : 0
  reply.set('clientFqdn', { flags: FQDN_NO_UPDATES | overridden, name: hostname ?? asked.name })
}
