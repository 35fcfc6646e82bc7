/** The text of a hosts(5) file: an address and its names in each line. Lines that are no such thing are skipped, as glibc does. */
import { type Address, parseAddress } from '../base/address.ts'
import { canonicalName } from './names.ts'

/** A link-local address has its zone as text: the interface may come later. */
interface Entry {
  readonly address: Address
  readonly zone: string
}

export class Hosts {
  private readonly byName = new Map<string, Entry[]>()
  private readonly byAddress = new Map<string, string[]>()

  constructor(text = '') {
    for (const line of text.split(/\r?\n/)) {
      const [host, ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
      const [digits, zone = ''] = host.split('%')
      const address = parseAddress(digits)
      if (address !== null) for (const name of names) this.add(name, address, zone)
    }
  }

  private add(text: string, address: Address, zone: string): void {
    const name = canonicalName(text)
    if (name === null || name === '') return
    append(this.byName, name, { address, zone })
    append(this.byAddress, address.key, text.replace(/\.$/, ''))
  }

  /** Addresses of a name (in its canonical form); `zoned` gives one its zone, or null when there is no such interface. */
  find(name: string, zoned: (address: Address, zone: string) => Address | null): Address[] {
    return (this.byName.get(name) ?? [])
      .map((e) => (e.zone === '' ? e.address.clone() : zoned(e.address, e.zone)))
      .filter((a) => a !== null)
  }

  /** Names of an address, as they are written. */
  namesOf(address: Address): string[] {
    return this.byAddress.get(address.key.replace(/%.*$/, '')) ?? []
  }
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
