/** Interfaces as `ip link` and `ip addr` show them: names, flags, state, counters. */
import { formatMac } from '../../ethernet/mac.ts'
import { VlanLink } from '../../ethernet/vlan.ts'
import { Fields, type JsonObject } from './output.ts'
import type { Device, IpOptions } from './words.ts'

const QUEUE_LENGTH = 1000

/** Flags as iproute2 names and orders them. */
export function flagsOf({ iface, attached }: Device): string[] {
  const flags: string[] = []
  if (iface.isLoopback) flags.push('LOOPBACK')
  else if (iface.ethernet !== null) flags.push('BROADCAST', 'MULTICAST')
  else flags.push('POINTOPOINT', 'MULTICAST', 'NOARP')
  if (attached?.promiscuous === true) flags.push('PROMISC')
  if (iface.up) flags.push('UP', 'LOWER_UP')
  return flags
}

/** What has no carrier that could be lost is UNKNOWN (RFC 2863: ifOperStatus). */
export function stateOf({ iface }: Device): string {
  if (!iface.up) return 'DOWN'
  return iface.ethernet === null ? 'UNKNOWN' : 'UP'
}

/** `eth0.100@eth0` */
export function fullName({ iface, attached }: Device): string {
  const parent = attached?.parent ?? null
  return parent === null ? iface.name : `${iface.name}@${parent.name}`
}

/** True when a listing of `type` has it. */
export function isOfType(d: Device, type: string): boolean {
  return type === 'vlan' && d.iface.netif instanceof VlanLink
}

/** The lines of the interface itself. `mode`: `ip link` shows one word more than `ip addr`; `linkLine`: which needs no family. `named`: it
 * is the one that was asked for. */
export function linkFields(d: Device, options: IpOptions, mode: boolean, linkLine: boolean, named = true): Fields {
  const { iface, attached } = d
  const out = new Fields()
  const parent = attached?.parent ?? null
  const flags = flagsOf(d)
  const state = stateOf(d)
  out.add('ifindex', iface.index, `${iface.index}: `)
  if (parent !== null) out.add('link', parent.name, '')
  out.add('ifname', iface.name, `${fullName(d)}: `)
  out.add('flags', flags, `<${flags.join(',')}> `)
  out.add('mtu', iface.mtu, `mtu ${iface.mtu} `)
  // What IPv6 tells of all interfaces is less than what the link layer tells of one.
  const short = !mode && options.family === 6 && !named
  if (!short) out.add('qdisc', 'noqueue', 'qdisc noqueue ')
  out.add('operstate', state, `state ${state} `)
  if (mode) out.add('linkmode', 'DEFAULT', 'mode DEFAULT ')
  if (!short) out.add('group', 'default', 'group default ')
  out.add('txqlen', QUEUE_LENGTH, `qlen ${QUEUE_LENGTH}\n`)
  if (!linkLine) return out
  const type = iface.isLoopback ? 'loopback' : iface.ethernet === null ? 'none' : 'ether'
  out.add('link_type', type, `    link/${type} `)
  const hardware = hardwareOf(d)
  if (hardware !== null) {
    out.add('address', hardware.address, `${hardware.address} `)
    out.add('broadcast', hardware.broadcast, `brd ${hardware.broadcast}`)
  }
  if (options.details) detail(d, out)
  return out.say('\n')
}

/** One line: `eth0  UP  02:00:00:00:00:02 <BROADCAST,...>`. */
export function briefLink(d: Device): Fields {
  const out = briefHead(d)
  const flags = flagsOf(d)
  const hardware = hardwareOf(d)
  if (hardware !== null) out.add('address', hardware.address, `${hardware.address} `)
  return out.add('flags', flags, `<${flags.join(',')}> \n`)
}

export function briefHead(d: Device): Fields {
  const out = new Fields()
  const parent = d.attached?.parent ?? null
  if (parent !== null) out.add('link', parent.name, '')
  out.add('ifname', d.iface.name, `${fullName(d).padEnd(16)} `)
  return out.add('operstate', stateOf(d), `${stateOf(d).padEnd(14)} `)
}

/** The counters of the interface, as `-s` adds them. */
export function statistics(d: Device, out: Fields): Fields {
  const { rx, tx } = trafficOf(d)
  const rows = [Object.values(rx), Object.values(tx)]
  const width = [10, 7, 6, 7, 7, 7, 10].map((least, i) => Math.max(least, ...rows.map((r) => `${r[i] ?? 0}`.length)))
  const head = (name: string, titles: string): string => {
    const cells = titles.split(' ').map((t, i) => t.padStart(i === 0 ? width[0] - 4 : width[i]))
    return `    ${name}: ${[...cells, ' '.repeat(width[6])].join(' ')}\n`
  }
  const row = (values: readonly number[]): string => `    ${values.map((v, i) => `${`${v}`.padStart(width[i])} `).join('')}\n`
  out.add('stats64', { rx, tx }, head('RX', 'bytes packets errors dropped missed mcast'))
  return out.say(row(rows[0]) + head('TX', 'bytes packets errors dropped carrier collsns') + row(rows[1]))
}

/** What came and left, in whole link frames; of links without Ethernet as their own counters have it. */
function trafficOf({ iface }: Device): { rx: Record<string, number>; tx: Record<string, number> } {
  const frames: Record<string, number> = iface.ethernet?.counters.snapshot() ?? iface.netif.counters?.() ?? {}
  const own = iface.counters.snapshot()
  const of = (name: string): number => frames[name] ?? 0
  let dropped = (own.inDropDown ?? 0) + (own.inDropVersion ?? 0)
  for (const [name, n] of Object.entries(iface.ethernet?.counters.snapshot() ?? {})) if (name.startsWith('drop')) dropped += n
  const lost = (own.outDropDown ?? 0) + (own.outDropNoNeighbor ?? 0)
  const rx = { bytes: of('inOctets'), packets: of('inFrames'), errors: 0, dropped, over_errors: 0, multicast: of('inMulticast') }
  const tx = { bytes: of('outOctets'), packets: of('outFrames'), errors: 0, dropped: lost, carrier_errors: 0, collisions: 0 }
  return { rx, tx }
}

function hardwareOf({ iface }: Device): { address: string; broadcast: string } | null {
  const none = '00:00:00:00:00:00'
  if (iface.isLoopback) return { address: none, broadcast: none }
  return iface.mac === null ? null : { address: formatMac(iface.mac), broadcast: 'ff:ff:ff:ff:ff:ff' }
}

function detail({ iface, attached }: Device, out: Fields): void {
  const { netif } = iface
  const promiscuity = attached?.promiscuous === true ? 1 : 0
  out.add('promiscuity', promiscuity, ` promiscuity ${promiscuity} `).add('allmulti', 0, ' allmulti 0 ')
  out.add('min_mtu', 68, 'minmtu 68 ').add('max_mtu', netif.mtu, `maxmtu ${netif.mtu} `)
  if (netif instanceof VlanLink) {
    const data: JsonObject = { protocol: netif.protocol, id: netif.id, flags: ['REORDER_HDR'] }
    out.add(
      'linkinfo',
      { info_kind: 'vlan', info_data: data },
      `\n    vlan protocol ${netif.protocol} id ${netif.id} <REORDER_HDR> `,
    )
  }
  out.add('gso_max_size', netif.gsoMax, `gso_max_size ${netif.gsoMax} `)
}
