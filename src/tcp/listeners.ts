/** Listeners by port and address. */
import type { Address } from '../base/address.ts'
import type { Listener } from './listener.ts'

export class Listeners {
  private readonly byPort = new Map<number, Listener[]>()

  add(l: Listener): void {
    const list = this.byPort.get(l.localPort)
    if (list === undefined) this.byPort.set(l.localPort, [l])
    else list.push(l)
  }

  /** False: it was not there. */
  remove(l: Listener): boolean {
    const list = this.byPort.get(l.localPort)
    const i = list === undefined ? -1 : list.indexOf(l)
    if (i < 0) return false
    list!.splice(i, 1)
    if (list!.length === 0) this.byPort.delete(l.localPort)
    return true
  }

  /** The listener for an address and port: the one bound to the address before the one bound to all. */
  find(local: Address, port: number): Listener | null {
    const list = this.byPort.get(port)
    if (list === undefined) return null
    let any: Listener | null = null
    for (let i = 0; i < list.length; i++) {
      const l = list[i]
      if (l.localAddress.equals(local)) return l
      if (l.localAddress.isUnspecified && isCovered(l.localAddress, l.ipv6Only, local)) any = l
    }
    return any
  }

  /** Somebody listens on the port, at whatever address. */
  has(port: number): boolean {
    return this.byPort.has(port)
  }

  /** Somebody listens at this port who would hear what is for `local`, or the other way round. */
  isTaken(local: Address, ipv6Only: boolean, port: number): boolean {
    const list = this.byPort.get(port)
    if (list === undefined) return false
    return list.some((l) => overlap(l.localAddress, l.ipv6Only, local, ipv6Only))
  }

  all(): Listener[] {
    return [...this.byPort.values()].flat()
  }
}

/** `any` stands for `a` as well: 0.0.0.0 for IPv4, `::` for both families unless it is for IPv6 alone (RFC 3493 section 5.3). */
function isCovered(any: Address, ipv6Only: boolean, a: Address): boolean {
  return any.isV4 ? a.isV4 : !(a.isV4 && ipv6Only)
}

function overlap(a: Address, aOnly: boolean, b: Address, bOnly: boolean): boolean {
  if (a.isUnspecified && b.isUnspecified) return a.isV4 === b.isV4 || !(a.isV4 ? bOnly : aOnly)
  if (a.isUnspecified) return isCovered(a, aOnly, b)
  return b.isUnspecified ? isCovered(b, bOnly, a) : a.equals(b)
}
