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
      // 0.0.0.0 is IPv4 only; :: takes both families (RFC 3493 section 5.3).
      if (l.localAddress.isUnspecified && (!l.localAddress.isV4 || local.isV4)) any = l
    }
    return any
  }

  /** Somebody listens on the port, at whatever address. */
  has(port: number): boolean {
    return this.byPort.has(port)
  }

  /** Nobody else can listen at this address and port. */
  isTaken(local: Address, port: number): boolean {
    const list = this.byPort.get(port)
    if (list === undefined) return false
    return list.some((l) => l.localAddress.isUnspecified || local.isUnspecified || l.localAddress.equals(local))
  }

  all(): Listener[] {
    return [...this.byPort.values()].flat()
  }
}
