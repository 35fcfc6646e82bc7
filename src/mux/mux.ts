/**
 * The multiplexer: many clients on one network card, each with a MAC address of its own. What DDE's ORe was for L4.
 *
 * Theory of operation. A `Mux` is a server with a name; it has devices by name (the link it was made with, others that were added, and `lo`) and
 * numbered channels. `open` gives a client, which is a NetIf: a stack, a guest, a tunnel attaches to it as to any other link. What is heard by whom is
 * the device's affair (device.ts), what a client wants the filter's (filter.ts). Clients in workers and in other processes have the
 * same kind of client here on their behalf.
 */
import { type AbortLike, abortError } from '../base/abort.ts'
import type { Host } from '../base/clock.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import { muxConfig } from '../base/mux-config.ts'
import type { Random } from '../base/random.ts'
import { formatMac, parseMac, randomMac } from '../ethernet/mac.ts'
import type { NetIf } from '../netif/netif.ts'
import { MuxClient } from './client.ts'
import { MuxDevice } from './device.ts'
import type { MuxFilter } from './filter.ts'
import { type MacRule, macByRule, parseMacRule } from './mac-policy.ts'

/** Names of the server and of its device, and the device's MAC address. */
export interface MuxOptions {
  /** The server's name, by which `findMux` knows it in this process. Without a name it is known to nobody. ORe's was `ORe`. */
  name?: string
  /** What the link is called among the devices. `eth0` when left out, as ORe's was. */
  device?: string
  /** The device's own MAC address. The one the link insists on, or else a random local one, when left out. */
  mac?: string
}

/** Which device, which MAC address, what is let in, how much may wait. */
export interface MuxOpenOptions {
  /** `eth0` (or what the first device is called) when left out. */
  device?: string
  /**
   * Where the client's MAC address comes from: `ore` (04:EA and a checksum over the device's address and the channel's number; the default),
   * `device` (the device's own, for the first who asks; `ore` for the others), `random`, four bytes of a prefix (`02:11:22:33`, then the
   * channel's number in two), or an address.
   */
  mac?: string
  /** What it hears. Unicast, broadcast and all multicast when left out. */
  filter?: MuxFilter
  /** Super-segments and partial checksums pass. True when left out; false: frames as a wire has them. */
  offload?: boolean
  /** Frames and bytes that may wait for the client before more are lost. 256 and 512 KiB when left out. */
  queueFrames?: number
  queueBytes?: number
  /** Ends the client when it is aborted, as `client.end` with the signal's reason. */
  signal?: AbortLike | undefined
}

/** What a multiplexer runs on. */
export interface MuxPlatform {
  host: Host
  random: Random
}

/** Multiplexers that have a name, and the only thing that they share. */
const named = new Map<string, Mux>()

/** The multiplexer of this name in this process, or undefined. */
export function findMux(name: string): Mux | undefined {
  return named.get(name)
}

export const LOOPBACK = 'lo'

/** One link, or several by name, for many clients. Made by `createMux`. */
export class Mux {
  /** Told of each client that opens. */
  onOpened: ((client: MuxClient) => void) | null = null
  /** Told of each client that is gone, with the reason if it did not close by itself. */
  onGone: ((client: MuxClient, error: Error | null) => void) | null = null
  /** Told when a device's link ended by itself; its clients are gone already. */
  onDeviceGone: ((device: string, error: Error) => void) | null = null
  readonly name: string
  readonly host: Host
  private readonly devices = new Map<string, MuxDevice>()
  private readonly first: string
  /** Clients by channel. */
  private readonly channels: (MuxClient | null)[] = []
  private isClosed = false

  /** Throws EADDRINUSE for a name that is taken, and what `add` throws. */
  constructor(
    private readonly platform: MuxPlatform,
    link: NetIf,
    options: MuxOptions = {},
  ) {
    const { name = '', device = 'eth0', mac } = options
    if (named.has(name))
      throw new NetError('EADDRINUSE', { message: `A multiplexer of the name ${name} is there already in this process` })
    this.name = name
    this.host = platform.host
    this.first = device
    this.devices.set(LOOPBACK, new MuxDevice(LOOPBACK, null, new Uint8Array(6), platform.host, this))
    this.add(device, link, mac)
    if (name !== '') named.set(name, this)
  }

  /** Its clients, in the order of their channels. */
  get clients(): readonly MuxClient[] {
    return this.channels.filter((client) => client !== null)
  }

  /** Names of the devices, `lo` first. */
  get deviceNames(): readonly string[] {
    return [...this.devices.keys()]
  }

  /** Adds a device. Throws ERR_INVALID_ARG_VALUE (no Ethernet), ERR_INVALID_MAC_ADDRESS, EEXIST. */
  add(name: string, link: NetIf, mac?: string): void {
    if (!/^[\w.-]{1,63}$/.test(name)) throw invalidArgument(`Invalid device name ${JSON.stringify(name)}`)
    if (this.devices.has(name)) throw new NetError('EEXIST', { message: `A device ${name} is there already` })
    if (link.medium !== 'ethernet')
      throw invalidArgument(`${link.name} carries no Ethernet frames: there are no MAC addresses to tell clients apart by`)
    const own = mac === undefined ? (link.mac?.slice() ?? randomMac(this.platform.random)) : parseMac(mac)
    if ((own[0] & 1) !== 0)
      throw invalidArgument(`Invalid mac ${formatMac(own)} of ${name}: it is a group's, and a device is one`)
    if (own.every((byte) => byte === 0)) throw invalidArgument(`Invalid mac ${formatMac(own)} of ${name}: it is nobody's`)
    this.devices.set(name, new MuxDevice(name, link, own, this.host, this))
  }

  /** The named device's own MAC address, MTU, and words and numbers about it. Throws ENODEV. */
  device(name = this.first): Pick<MuxDevice, 'name' | 'mac' | 'mtu' | 'clients' | 'describe' | 'counters'> {
    return this.find(name)
  }

  /**
   * A client of a device, which is there from now on, even if nobody attaches to it. Throws ENODEV (no such device), EMFILE (too many clients),
   * EADDRINUSE (another has that address), ERR_INVALID_ARG_VALUE, ERR_INVALID_MAC_ADDRESS, and the reason of a signal that is aborted already.
   */
  open(options: MuxOpenOptions = {}): MuxClient {
    const { mac = 'ore', filter, offload = true, queueFrames, queueBytes, signal } = options
    if (signal?.aborted === true) throw abortError(signal)
    const device = this.find(options.device ?? this.first)
    const channel = this.freeChannel()
    const rule = this.settle(parseMacRule(mac), device)
    const address = macByRule(rule, device.mac, channel, this.platform.random)
    if (device.has(address))
      throw new NetError('EADDRINUSE', { message: `Another client of ${device.name} has the address ${formatMac(address)}` })
    const client = new MuxClient(device, { channel, mac: address, rule, offload, queueFrames, queueBytes })
    if (filter !== undefined) client.receiveFilter.set(filter)
    this.channels[channel] = client
    device.join(client)
    if (signal !== undefined) client.endBy(signal)
    this.tell(() => this.onOpened?.(client))
    return client
  }

  /** Ends all clients (their sinks are told) and closes all links. */
  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    if (named.get(this.name) === this) named.delete(this.name)
    await Promise.all([...this.devices.values()].map((device) => device.close()))
  }

  clientGone(client: MuxClient, error: Error | null): void {
    this.channels[client.channel] = null
    this.tell(() => this.onGone?.(client, error))
  }

  deviceGone(device: MuxDevice, error: Error): void {
    this.devices.delete(device.name)
    this.tell(() => this.onDeviceGone?.(device.name, error))
  }

  /** An application's function: what it throws must not keep others from being told, nor a client from what it asked for. */
  private tell(handler: () => void): void {
    try {
      handler()
    } catch (error) {
      this.host.uncaught(error)
    }
  }

  private find(name: string): MuxDevice {
    const device = this.isClosed ? undefined : this.devices.get(name)
    if (device !== undefined) return device
    throw new NetError('ENODEV', { message: `No device ${name}: ${this.deviceNames.join(', ')} can be opened` })
  }

  private freeChannel(): number {
    const free = this.channels.indexOf(null)
    const channel = free < 0 ? this.channels.length : free
    if (channel < muxConfig.maxClients) return channel
    throw new NetError('EMFILE', { message: `Too many clients: the multiplexer has room for ${muxConfig.maxClients}` })
  }

  /** ORe's way when the device's own address is taken, or is none: the next best. */
  private settle(rule: MacRule, device: MuxDevice): MacRule {
    if (rule.name !== 'device' || (!device.has(device.mac) && device.name !== LOOPBACK)) return rule
    return parseMacRule('ore')
  }
}
