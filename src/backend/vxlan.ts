/**
 * VXLAN (RFC 7348): an Ethernet segment, by its 24-bit identifier, over UDP; interoperates with the kernel's `vxlan` device.
 *
 *   vxlan://239.1.1.1?vni=42&local=10.0.0.1      members find each other by multicast
 *   vxlan://10.0.0.2?vni=42                      one other end, or several: remotes=10.0.0.3,10.0.0.4
 *
 * Theory of operation. One socket on port 4789, from which everything is sent too. Where a MAC address lives is learned from the source address of what comes
 * from it; there its frames go alone, always to port 4789. What is for a group, for all, or for nobody known goes to the multicast group, or to each
 * remote in turn (section 4.2; "head-end replication"). Of the header only the I flag and the identifier are read (section 5: the rest is
 * ignored on receipt). With named remotes datagrams of others are refused; in a group anybody may be a member, and only the network
 * around it can say who is.
 */
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS, vxlanDefaults } from '../base/link-config.ts'
import { ETH, ETH_HEADER } from '../ethernet/wire.ts'
import type { NetIfSink } from '../netif/netif.ts'
import { VXVDE_HEADER, VxvdeTable, vxvdeHeader } from '../vde/vxvde.ts'
import { bindDatagram, DatagramLink, type DatagramOutlet, type DatagramProtocol, type DatagramSource } from './datagram-link.ts'
import { checkOptions, type LinkUrl, numberOption } from './link-url.ts'
import { datagramOverhead, resolveHost } from './udp-link.ts'
import { wholeNumber } from './whole-number.ts'

/** The network's number, its group or its other end, and the sockets (RFC 7348). */
export interface VxlanOptions {
  /** The VXLAN network identifier, 24 bits. */
  vni: number
  /** A multicast group, or none: then there are `remotes`. */
  group?: string | undefined
  /** Addresses or names of the other ends; those of a group besides are told of everything too. */
  remotes?: readonly string[]
  /** UDP port, ours and theirs. 4789 when left out. */
  port?: number | undefined
  /** Our address on the carrier: the interface to join the group on. The system chooses when left out. */
  local?: string | undefined
  /** Hops that multicasts may go. 1 when left out. */
  ttl?: number | undefined
  /** `vxlan:VNI` when left out. */
  name?: string | undefined
  /** Largest IP packet of a frame. 1450 bytes over IPv4, 1430 over IPv6 (a carrier of 1500) when left out. */
  mtu?: number | undefined
}

/** The I flag: the identifier is valid. */
const FLAG_VNI = 0x08
const MOST_VNI = 0xff_ffff

class Vxlan implements DatagramProtocol {
  readonly header = VXVDE_HEADER
  private readonly head: Uint8Array
  private readonly table: VxvdeTable
  private readonly remotes: ReadonlySet<string>
  private sink: NetIfSink | null = null
  private flooded = 0

  constructor(
    vni: number,
    private readonly group: string | null,
    remotes: readonly string[],
    private readonly port: number,
  ) {
    this.head = vxvdeHeader(vni)
    this.remotes = new Set(remotes)
    this.table = new VxvdeTable(vxlanDefaults.hashSize, vxlanDefaults.expireSeconds, Math.floor(Math.random() * 2 ** 32) | 0)
  }

  start(sink: NetIfSink): void {
    this.sink = sink
  }

  accept(message: Uint8Array, from: DatagramSource): boolean {
    const { head, sink } = this
    if ((message[0] & FLAG_VNI) === 0) return false
    if (message[4] !== head[4] || message[5] !== head[5] || message[6] !== head[6]) return false
    if (this.group === null && !this.remotes.has(from.address)) return false
    if (sink !== null && message.length >= VXVDE_HEADER + ETH_HEADER) {
      this.table.learn(message, VXVDE_HEADER + ETH.source, from.address, this.port, sink.host.ms())
    }
    return true
  }

  address(slot: Uint8Array, _end: number, outlet: DatagramOutlet): void {
    slot.set(this.head)
    const peer = this.sink === null ? null : this.table.find(slot, VXVDE_HEADER, this.sink.host.ms())
    if (peer !== null) {
      outlet.to(peer.address, peer.port)
      return
    }
    this.flooded++
    if (this.group !== null) outlet.to(this.group, this.port)
    for (const remote of this.remotes) outlet.to(remote, this.port)
  }

  counters(): Record<string, number> {
    return { outFlooded: this.flooded, knownAddresses: this.table.count }
  }
}

function isGroup(address: string): boolean {
  return isIP(address) === 6 ? /^ff/i.test(address) : isIP(address) === 4 && Number(address.split('.')[0]) >> 4 === 14
}

/** What multicast calls want over IPv6: the name of the interface that has the address. */
function interfaceOf(local: string | undefined, isV6: boolean): string | undefined {
  if (local === undefined || !isV6) return local
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (addresses?.some((a) => a.address === local) === true) return `::%${name}`
  }
  throw invalidArgument(`Invalid option local=${local}: no interface has that address`)
}

/** Opens a VXLAN segment. @throws Node's errors of bind, joining and lookup; NetError ERR_INVALID_ARG_VALUE. */
export async function openVxlan(options: VxlanOptions): Promise<DatagramLink> {
  const { vni, group, remotes = [], port = vxlanDefaults.port, local, ttl = vxlanDefaults.ttl } = options
  if (!Number.isInteger(vni) || vni < 0 || vni > MOST_VNI) throw invalidArgument(`Invalid vni ${vni}: 0 to ${MOST_VNI} expected`)
  wholeNumber('ttl', ttl, 0, 255)
  if (group !== undefined && !isGroup(group)) throw invalidArgument(`Invalid group ${group}: a multicast address is expected`)
  const resolved = await Promise.all(remotes.map(resolveHost))
  const isV6 = group === undefined ? resolved[0]?.isV6 : group.includes(':')
  if (isV6 === undefined) throw invalidArgument(`vxlan of vni ${vni}: neither a group nor a remote is named`)
  if (resolved.some((r) => r.isV6 !== isV6)) throw invalidArgument(`vxlan of vni ${vni}: all remotes must be of one family`)
  const socket = await bindDatagram(
    { type: isV6 ? 'udp6' : 'udp4', reuseAddr: group !== undefined },
    port,
    group === undefined ? local : undefined,
  )
  try {
    if (group !== undefined) {
      const via = interfaceOf(local, isV6)
      socket.addMembership(group, via)
      if (via !== undefined) socket.setMulticastInterface(via)
      socket.setMulticastTTL(ttl)
      socket.setMulticastLoopback(false)
    }
    const members = resolved.map((r) => r.address)
    const room = LINK_DEFAULTS.carrierMtuBytes - datagramOverhead(isV6) - VXVDE_HEADER - ETH_HEADER
    return new DatagramLink({
      name: options.name ?? `vxlan:${vni}`,
      sockets: [socket],
      protocol: new Vxlan(vni, group ?? null, members, port),
      mtu: options.mtu ?? room,
      text: `vni ${vni}, ${[group, ...members].filter((to) => to !== undefined).join(' ')}, port ${port}`,
    })
  } catch (error) {
    socket.close()
    throw joinFailed(error as NodeJS.ErrnoException, vni, group, local)
  }
}

function joinFailed(error: NodeJS.ErrnoException, vni: number, group: string | undefined, local: string | undefined): Error {
  const { code, syscall, message } = error
  if (group === undefined || syscall !== 'addMembership' || code === undefined) return error
  const advice =
    local === undefined ? 'no interface has multicasts: local=ADDRESS names one' : `no interface has the address ${local}`
  return new NetError(code, {
    syscall,
    message: `Cannot join the group ${group} of vxlan:${vni}: ${message}: ${advice}`,
    cause: error,
  })
}

/** The options of `vxlan://GROUP-OR-HOST?vni=...`, ready for `openVxlan`. */
export function vxlanOptions(url: LinkUrl): VxlanOptions {
  checkOptions(url, ['vni', 'remotes', 'port', 'local', 'ttl', 'name', 'mtu'])
  const vni = numberOption(url, 'vni')
  if (vni === undefined) throw invalidArgument(`Option vni is missing in ${url.text}`)
  const target = url.target.replace(/^\[(.*)\]$/, '$1')
  const asGroup = isGroup(target)
  const more = url.options.get('remotes')?.split(',') ?? []
  return {
    vni,
    group: asGroup ? target : undefined,
    remotes: asGroup || target === '' ? more : [target, ...more],
    port: numberOption(url, 'port'),
    local: url.options.get('local'),
    ttl: numberOption(url, 'ttl'),
    name: url.options.get('name'),
    mtu: numberOption(url, 'mtu'),
  }
}
