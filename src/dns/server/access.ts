/** Who may ask: prefixes of addresses, and `attached`: whoever is on a network that one of our interfaces is on. */
import { type Address, type Prefix, prefix } from '../../base/address.ts'
import type { Ip } from '../../ip/ip.ts'

/** `10.0.0.0/8`, `fd00::1`, `attached`, `any`. */
export type AccessRule = string

export class AccessList {
  private readonly prefixes: readonly Prefix[]
  private readonly attached: boolean
  private readonly any: boolean

  /** Throws ERR_INVALID_IP_ADDRESS. */
  constructor(
    private readonly ip: Ip,
    rules: readonly AccessRule[],
  ) {
    this.any = rules.includes('any')
    this.attached = rules.includes('attached')
    this.prefixes = rules.filter((rule) => rule !== 'any' && rule !== 'attached').map(prefix)
  }

  admits(address: Address): boolean {
    return this.any || (this.attached && isAttached(this.ip, address)) || this.prefixes.some((p) => p.contains(address))
  }
}

/** On the network of an interface, this stack itself included. */
export function isAttached({ interfaces }: Ip, address: Address): boolean {
  if (address.isLinkLocal) return true
  return interfaces.some((i) => i.addresses.some((own) => own.prefix.contains(address)))
}
