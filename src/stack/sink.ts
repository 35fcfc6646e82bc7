/** What a link talks to: one per interface. Hands frames to Ethernet or IP and events to the turn. */
import type { Host } from '../base/clock.ts'
import { Cast, type EthernetPort, type EtherProtocol } from '../ethernet/ethernet.ts'
import { IC, type Interface } from '../ip/interface.ts'
import type { NetIfSink } from '../netif/netif.ts'
import type { Stack } from './stack.ts'
import type { Port } from './turn.ts'

export class InterfaceSink implements NetIfSink {
  readonly host: Host
  private readonly ethernet: EthernetPort | null

  constructor(
    private readonly stack: Stack,
    private readonly iface: Interface,
    private readonly port: Port,
    private readonly ipv4: EtherProtocol,
    private readonly ipv6: EtherProtocol,
  ) {
    this.host = stack.host
    this.ethernet = iface.ethernet
  }

  input(buf: Uint8Array, start: number, end: number, meta: number): void {
    if (!this.iface.up) this.iface.counters.values[IC.inDropDown]++
    else if (this.ethernet !== null) this.ethernet.input(buf, start, end, meta)
    else if (end > start && buf[start] >> 4 === 4) this.ipv4.etherInput(buf, start, end, meta, Cast.UNICAST, -1)
    else if (end > start && buf[start] >> 4 === 6) this.ipv6.etherInput(buf, start, end, meta, Cast.UNICAST, -1)
    else this.iface.counters.values[IC.inDropVersion]++
  }

  readable(): void {
    this.port.readable = true
    this.stack.turn.wakeForInput()
  }

  writable(): void {
    this.stack.linkWritable(this.iface)
  }

  closed(error?: Error): void {
    this.stack.linkClosed(this.iface, error)
  }
}
