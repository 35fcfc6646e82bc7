/** The host itself: its name, the addresses of each interface by that name, and the name of each address (RFC 6762 sections 4 and 6.2). */
import type { Address } from '../base/address.ts'
import { reverseName } from '../dns/reverse.ts'
import { AddressState, type Interface } from '../ip/interface.ts'
import type { Registration } from './claim.ts'
import type { Link } from './link.ts'
import { labelFor, nextHost } from './names.ts'
import { Own, rr } from './record.ts'

/** Addresses to publish: those that may be used for something new; temporary ones (RFC 8981) are to be known to nobody. */
export function publishedAddresses(iface: Interface): Address[] {
  return iface.addresses.filter((a) => a.state === AddressState.PREFERRED && a.temporary !== true).map((a) => a.address)
}

export class HostRegistration implements Registration {
  constructor(
    /** As people write it: `web`. */
    public label: string,
    private readonly ttlSeconds: number,
    private readonly events: { hostRenamed(): void; hostAnnounced(): void },
  ) {}

  /** `web.local` */
  get name(): string {
    return `${labelFor(this.label)}.local`
  }

  records(link: Link): Own[] {
    const { name, ttlSeconds } = this
    return publishedAddresses(link.iface).flatMap((address) => {
      const bare = address.clone()
      bare.zone = 0
      return [
        new Own(rr(name, bare.isV4 ? 'A' : 'AAAA', { address: bare }, ttlSeconds), 'unique'),
        new Own(rr(reverseName(bare), 'PTR', { ptrdname: name }, ttlSeconds), 'known'),
      ]
    })
  }

  rename(): void {
    this.label = nextHost(this.label)
    this.events.hostRenamed()
  }

  announced(): void {
    this.events.hostAnnounced()
  }
}
