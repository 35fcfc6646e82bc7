/** What is known of one instance of a service: where it is, and what it says of itself (RFC 6763 sections 5 and 6). */
import { isType } from '../dns/records.ts'
import type { Watches } from './mdns.ts'
import { firstLabel } from './names.ts'
import { readTxt, type Txt } from './txt.ts'
import { Watch } from './watch.ts'

/** A service on the link, as plain data. */
export interface ServiceInfo {
  /** As people see it. */
  name: string
  /** `_http._tcp` */
  type: string
  /** `My\032web._http._tcp.local` */
  fullName: string
  /** `web.local` */
  host: string
  port: number
  priority: number
  weight: number
  /** Link-local ones with the name of their interface: `fe80::1%eth0`. */
  addresses: string[]
  txt: Txt
  /** The interfaces on which it was heard. */
  interfaces: string[]
}

export class Instance {
  /** As JSON, to see whether it is another. */
  text = ''
  info: ServiceInfo | null = null
  private readonly watch: Watch
  private target: Watch | null = null

  /** `changed`: `info` is another. */
  constructor(
    private readonly watches: Watches,
    readonly fullName: string,
    readonly type: string,
    private readonly changed: (instance: Instance) => void,
  ) {
    this.watch = new Watch(fullName, ['SRV', 'TXT'], () => this.look())
    watches.add(this.watch)
  }

  end(): void {
    this.watches.remove(this.watch)
    if (this.target !== null) this.watches.remove(this.target)
    this.target = null
  }

  private look(): void {
    const info = this.read()
    const text = info === null ? '' : JSON.stringify(info)
    if (text === this.text) return
    this.text = text
    this.info = info
    this.changed(this)
  }

  /** Null: something is missing still. */
  private read(): ServiceInfo | null {
    const { watches, fullName, type } = this
    // Of several the one that was said last: of the others we have only not heard yet that they are over.
    const srv = watches.records(fullName, 'SRV')[0]
    if (srv === undefined || !isType(srv, 'SRV')) return null
    const { target: host, port, priority, weight } = srv.data
    this.follow(host)
    const txt = watches.records(fullName, 'TXT')[0]
    const addresses = watches.addressesOf(host)
    if (txt === undefined || !isType(txt, 'TXT') || addresses.length === 0) return null
    const interfaces = watches.interfacesOf(fullName, 'SRV')
    const name = firstLabel(fullName)
    return { name, type, fullName, host, port, priority, weight, addresses, txt: readTxt(txt.data.strings), interfaces }
  }

  private follow(host: string): void {
    if (this.target?.name === host.toLowerCase()) return
    if (this.target !== null) this.watches.remove(this.target)
    this.target = new Watch(host, ['A', 'AAAA'], () => this.look())
    this.watches.add(this.target)
  }
}
