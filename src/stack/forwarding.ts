/** The stack as a router: which interfaces send on what is for others, and what is needed for that. */
import { Address } from '../base/address.ts'
import { Forward4 } from '../forward/forward4.ts'
import { Forward6 } from '../forward/forward6.ts'
import { Redirect6 } from '../forward/redirect6.ts'
import type { Interface } from '../ip/interface.ts'
import type { Frame } from '../netif/frame.ts'
import type { Stack } from './stack.ts'

/** By family; what is left out stays as it is. */
export interface ForwardingSwitch {
  v4?: boolean
  v6?: boolean
}

/** RFC 4291 section 2.7.1: every router of a link is a member. */
const ALL_ROUTERS = new Address(0xff020000 | 0, 0, 0, 2)

export class Forwarding {
  /** Made when first needed; they keep their counters. */
  forward4: Forward4 | null = null
  forward6: Forward6 | null = null
  /** What interfaces begin with. */
  private v4 = false
  private v6 = false

  constructor(
    private readonly stack: Stack,
    private readonly frame: Frame,
  ) {}

  get state(): Required<ForwardingSwitch> {
    return { v4: this.v4, v6: this.v6 }
  }

  /** For all interfaces, those to come included. */
  set(wanted: ForwardingSwitch): void {
    this.v4 = wanted.v4 ?? this.v4
    this.v6 = wanted.v6 ?? this.v6
    for (const iface of this.stack.ipLayer.interfaces) this.setInterface(iface, wanted)
  }

  setInterface(iface: Interface, { v4, v6 }: ForwardingSwitch): void {
    if (iface.isLoopback) return
    if (v4 !== undefined) iface.forwarding4 = v4
    if (v6 !== undefined && v6 !== iface.forwarding6) {
      iface.forwarding6 = v6
      if (v6) iface.groups.join(ALL_ROUTERS)
      else iface.groups.leave(ALL_ROUTERS)
    }
    this.install()
    this.stack.ipLayer.changed()
  }

  /** A new interface is like the others. */
  added(iface: Interface): void {
    if (this.v4 || this.v6) this.setInterface(iface, this.state)
  }

  /** A host has no forwarders: what is for others is dropped by IP itself. */
  private install(): void {
    const { ipLayer: ip, ipv4, ipv6, icmp, icmp6, turn: clock, random, config } = this.stack
    const { frame } = this
    const any4 = ip.interfaces.some((i) => i.forwarding4)
    const any6 = ip.interfaces.some((i) => i.forwarding6)
    if (any4 && this.forward4 === null) {
      this.forward4 = new Forward4({ ip, clock, random, frame, config: config.forward, redirects: icmp.errors }, ipv4)
    }
    if (any6 && this.forward6 === null) {
      const counters = icmp6.counters.values
      const redirects = new Redirect6({ ip, ipv6, frame, clock, random, config: config.icmp, counters })
      this.forward6 = new Forward6({ ip, clock, random, frame, config: config.forward, redirects })
    }
    ipv4.forward = any4 ? this.forward4 : null
    ipv6.forward = any6 ? this.forward6 : null
  }
}
