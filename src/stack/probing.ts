/** `stack.traceroute` and `stack.tracepath`: what they need of a stack, and what ends with it. */
import type { Address } from '../base/address.ts'
import type { Route } from '../ip/route.ts'
import type { ProbeDependencies } from '../probe/probes.ts'
import { type TracepathOptions, type TracepathStep, tracepath } from '../probe/tracepath.ts'
import { type TracerouteHop, type TracerouteOptions, traceroute } from '../probe/traceroute.ts'
import { Watches } from '../probe/watch.ts'
import type { Stack } from './stack.ts'

export class Probing {
  private readonly watches: Watches
  private readonly owned = new Set<{ stackClosed(): void }>()

  constructor(private readonly stack: Stack) {
    this.watches = new Watches(stack.ipLayer)
  }

  traceroute(to: Address, options: TracerouteOptions): AsyncIterableIterator<TracerouteHop> {
    const { tcp } = this.stack
    const ports = {
      first: tcp.config.ephemeralFirst,
      last: tcp.config.ephemeralLast,
      isFree: (route: Route, localPort: number, remotePort: number) =>
        tcp.flowTable.find(route.source, localPort, route.destination, remotePort) === null && !tcp.listeners.has(localPort),
    }
    return traceroute(this.depsFor(to), ports, to, options)
  }

  tracepath(to: Address, options: TracepathOptions): AsyncIterableIterator<TracepathStep> {
    return tracepath(this.depsFor(to), to, options)
  }

  /** The stack closes. */
  close(): void {
    for (const one of [...this.owned]) one.stackClosed()
  }

  private depsFor(to: Address): ProbeDependencies {
    const { ipLayer: ip, icmp, icmp6, udp, frame, host, random, tellList, turn } = this.stack
    return {
      ip,
      icmp: to.isV4 ? icmp : icmp6,
      udp,
      frame,
      watches: this.watches,
      host,
      random,
      tells: tellList,
      wake: turn.wake,
      owned: this.owned,
    }
  }
}
