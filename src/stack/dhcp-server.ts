/** `stack.dhcpServer`: what a DHCP server needs of a stack, and how it asks whether an address is somebody's already. */
import type { Address } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import { Timed } from '../base/timers.ts'
import { LeaseClock } from '../dhcp/clock.ts'
import { DhcpServer, type Prober } from '../dhcp/server.ts'
import type { DhcpServerOptions } from '../dhcp/server-options.ts'
import { Ping } from '../icmp/ping.ts'
import type { Interface } from '../ip/interface.ts'
import type { AttachedInterface } from './attached.ts'
import type { Stack } from './stack.ts'

export function serveDhcp(stack: Stack, on: readonly AttachedInterface[], options: DhcpServerOptions): DhcpServer {
  for (const { name, iface } of on) {
    if (iface.ethernet === null)
      throw new NetError('EOPNOTSUPP', { message: `${name} is no Ethernet: DHCP cannot be served there` })
    if (!iface.addresses.some((a) => a.address.isV4))
      throw new NetError('EADDRNOTAVAIL', { message: `${name} has no IPv4 address: a DHCP server needs one` })
  }
  const { udp, ipLayer: ip, ipv4, frame, timers, turn: clock, config, host } = stack
  clock.readClock()
  const server = new DhcpServer(
    {
      udp,
      ip,
      ipv4,
      frame,
      timers,
      clock,
      time: new LeaseClock(clock, host),
      config: config.dhcp,
      wake: clock.wake,
      prober: new EchoProber(stack),
      uncaught: (error) => host.uncaught(error),
      closed: (one) => stack.dhcpServers.delete(one),
    },
    on.map((a) => a.iface),
    options,
  )
  stack.dhcpServers.add(server)
  clock.rearm()
  return server
}

/** Asks by an echo request, as RFC 2131 section 3.1 has it. A host that does not answer those answers ARP: that is enough to know that it is there. */
class EchoProber implements Prober {
  private running = 0

  constructor(private readonly stack: Stack) {}

  probe(address: Address, iface: Interface, done: (taken: boolean) => void): boolean {
    const { config } = this.stack
    if (this.running >= config.dhcp.maxProbes || config.dhcp.probeMs === 0) return false
    const ended = (taken: boolean): void => {
      this.running--
      done(taken)
    }
    try {
      new Probe(this.stack, address, iface, ended)
    } catch {
      return false // no way there: nobody can be asked
    }
    this.running++
    return true
  }
}

class Probe extends Timed {
  private readonly ping: Ping
  private answered = false
  private readonly isNear: boolean

  constructor(
    stack: Stack,
    private readonly address: Address,
    private readonly iface: Interface,
    private readonly done: (taken: boolean) => void,
  ) {
    super()
    const { icmp, host, random, tellList: tells, turn, timers, config } = stack
    // What is known of the address's last owner says nothing about now: then only an answer counts.
    this.isNear = iface.addresses.some((a) => a.prefix.contains(address)) && iface.neighbors?.find(address)?.usable !== true
    const handler = {
      onReply: () => {
        this.answered = true
        timers.arm(this, turn.nowMs)
      },
    }
    this.ping = new Ping({ icmp, host, random, tells, wake: turn.wake }, address, handler, { size: 8, iface })
    try {
      this.ping.send(0)
    } catch (error) {
      this.ping.close()
      throw error
    }
    timers.arm(this, (turn.nowMs + config.dhcp.probeMs) | 0)
  }

  override onTimer(): void {
    this.ping.close()
    const { iface, address, isNear } = this
    this.done(this.answered || (isNear && iface.neighbors?.find(address)?.usable === true))
  }
}
