/** Outside ports that stand for an inside host's port towards everybody (RFC 4787 REQ-1): cold, asked once per connection. */
import type { Address } from '../base/address.ts'
import type { Entry, Mapping } from './tuple.ts'

export class PortMappings {
  private readonly byInside = new Map<string, Mapping>()
  private readonly byOutside = new Map<string, Mapping>()

  /** The mapping of a host's port to some port of `address`, or undefined. */
  of(entry: Entry, address: Address): Mapping | undefined {
    return this.byInside.get(insideKey(entry, address))
  }

  /** True when a port of `address` stands for somebody already. */
  isReserved(protocol: number, address: Address, port: number): boolean {
    return this.byOutside.size > 0 && this.byOutside.has(outsideKey(protocol, address, port))
  }

  /** Makes a mapping, or counts one more user of it. */
  use(entry: Entry, address: Address, port: number): void {
    const inside = insideKey(entry, address)
    let mapping = this.byInside.get(inside)
    if (mapping === undefined) {
      const outside = outsideKey(entry.original.protocol, address, port)
      mapping = { inside, outside, address: address.clone(), port, count: 0 }
      this.byInside.set(inside, mapping)
      this.byOutside.set(outside, mapping)
    }
    mapping.count++
    entry.mapping = mapping
  }

  /** A connection has ended. */
  release(entry: Entry): void {
    const { mapping } = entry
    if (mapping === null) return
    entry.mapping = null
    if (--mapping.count > 0) return
    this.byInside.delete(mapping.inside)
    this.byOutside.delete(mapping.outside)
  }
}

function insideKey(entry: Entry, address: Address): string {
  const { protocol, source, sourcePort } = entry.original
  return `${protocol} ${source.key} ${sourcePort} ${address.key}`
}

function outsideKey(protocol: number, address: Address, port: number): string {
  return `${protocol} ${address.key} ${port}`
}
