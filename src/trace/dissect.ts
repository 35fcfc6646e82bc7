/**
 * One line for one frame, in tcpdump's manner: `IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [S], seq 1, win 65535, length 0`.
 *
 * For people and for tests; strings are made freely here. Nothing is believed: every length is checked against the bytes that are
 * there, what does not fit is said to be malformed, and no input can throw. This file has the link and network layers;
 * dissect-transport.ts has what they carry.
 */

import { ARP, ARP_ETHERNET, ARP_LENGTH, ARP_REPLY, ARP_REQUEST } from '../arp/wire.ts'
import { Address, formatIPv4, formatIPv6 } from '../base/address.ts'
import { get16, get32 } from '../base/bytes.ts'
import { checksum } from '../base/checksum.ts'
import { formatMac } from '../ethernet/mac.ts'
import {
  ETH,
  ETH_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_MIN,
  ETHERTYPE_QINQ,
  ETHERTYPE_VLAN,
  VLAN_TAG,
} from '../ethernet/wire.ts'
import { IP4, IP4_HEADER, IP4_MORE_FRAGMENTS, IP4_OFFSET_MASK } from '../ipv4/wire.ts'
import {
  IP6,
  IP6_EXT,
  IP6_FRAG,
  IP6_FRAGMENT_HEADER,
  IP6_HEADER,
  IP6_MORE_FRAGMENTS,
  IP6_OFFSET_MASK,
  NEXT_DESTINATION,
  NEXT_FRAGMENT,
  NEXT_HOP_BY_HOP,
  NEXT_ROUTING,
} from '../ipv6/wire.ts'
import { CSUM_MASK, CSUM_NONE, GSO_MASK, gsoSize, type Medium } from '../netif/netif.ts'
import { protocolName, transport } from './dissect-transport.ts'

/** Whether the frame is a whole one off a link, or the quote in an ICMP error: cut short, its checksums not to be verified. */
export interface View {
  quoted: boolean
  meta: number
}

/**
 * Describes `buf[start, end)`. `meta` is the frame's, as netif.ts has it: partial checksums are not called bad, super-segments
 * are named.
 */
export function dissect(buf: Uint8Array, start: number, end: number, medium: Medium, meta = 0): string {
  const view: View = { quoted: false, meta }
  const text = medium === 'ip' ? network(buf, start, end, view) : ethernet(buf, start, end, view)
  return (meta & GSO_MASK) === 0 ? text : `${text} (super-segment of ${gsoSize(meta)})`
}

function ethernet(buf: Uint8Array, start: number, end: number, view: View): string {
  if (end - start < ETH_HEADER) return `Ethernet malformed: ${Math.max(0, end - start)} bytes`
  let type = get16(buf, start + ETH.etherType)
  let at = start + ETH_HEADER
  let tags = ''
  while (type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ) {
    if (end - at < VLAN_TAG) return `${tags}vlan malformed: tag cut short`
    const tci = get16(buf, at)
    tags += `vlan ${tci & 0xfff}${tci >> 13 === 0 ? '' : ` priority ${tci >> 13}`}, `
    type = get16(buf, at + 2)
    at += VLAN_TAG
  }
  if (type === ETHERTYPE_ARP) return tags + arp(buf, at, end)
  if (type === ETHERTYPE_IPV4) return tags + ipv4(buf, at, end, view)
  if (type === ETHERTYPE_IPV6) return tags + ipv6(buf, at, end, view)
  const way = `${formatMac(buf, start + ETH.source)} > ${formatMac(buf, start + ETH.destination)}`
  if (type < ETHERTYPE_MIN) return `${tags}${way}, 802.3, length ${type}${type > end - at ? ' (malformed: cut short)' : ''}`
  return `${tags}${way}, ethertype 0x${type.toString(16).padStart(4, '0')}, length ${end - at}`
}

/** An IP packet of either version. */
export function network(buf: Uint8Array, at: number, end: number, view: View): string {
  if (end <= at) return 'IP malformed: empty'
  const version = buf[at] >> 4
  if (version === 4) return ipv4(buf, at, end, view)
  if (version === 6) return ipv6(buf, at, end, view)
  return `IP malformed: version ${version}`
}

function arp(buf: Uint8Array, at: number, end: number): string {
  if (end - at < ARP_LENGTH) return `ARP malformed: ${end - at} bytes`
  const operation = get16(buf, at + ARP.operation)
  const hardware = get16(buf, at + ARP.hardwareType)
  const protocol = get16(buf, at + ARP.protocolType)
  const lengths = get16(buf, at + ARP.hardwareLength)
  if (hardware !== ARP_ETHERNET || protocol !== ETHERTYPE_IPV4 || lengths !== 0x0604) {
    return `ARP malformed: hardware ${hardware}, protocol 0x${protocol.toString(16)}, lengths ${lengths >> 8} and ${lengths & 255}`
  }
  const sender = formatIPv4(get32(buf, at + ARP.senderProtocol))
  const target = formatIPv4(get32(buf, at + ARP.targetProtocol))
  if (operation === ARP_REQUEST) {
    const kind = sender === target ? ' (announcement)' : sender === '0.0.0.0' ? ' (probe)' : ''
    return `ARP who-has ${target} tell ${sender}${kind}`
  }
  if (operation === ARP_REPLY) return `ARP reply ${sender} is-at ${formatMac(buf, at + ARP.senderHardware)}`
  return `ARP operation ${operation}, ${sender} to ${target}`
}

function ipv4(buf: Uint8Array, at: number, end: number, view: View): string {
  if (end - at < IP4_HEADER) return `IP malformed: ${Math.max(0, end - at)} bytes`
  if (buf[at] >> 4 !== 4) return `IP malformed: version ${buf[at] >> 4}`
  const header = (buf[at] & 15) << 2
  const total = get16(buf, at + IP4.totalLength)
  const from = formatIPv4(get32(buf, at + IP4.source))
  const to = formatIPv4(get32(buf, at + IP4.destination))
  const way = `IP ${from} > ${to}:`
  if (header < IP4_HEADER) return `${way} malformed: header length ${header}`
  if (total < header) return `${way} malformed: total length ${total}`
  if (header > end - at) return `${way} malformed: header cut short`
  if (total > end - at && !view.quoted) return `${way} malformed: ${end - at} bytes of ${total}`
  const bad = !view.quoted && checksum(buf, at, header) !== 0 ? ' [bad header checksum]' : ''
  const protocol = buf[at + IP4.protocol]
  const word = get16(buf, at + IP4.flagsFragment)
  const offset = (word & IP4_OFFSET_MASK) << 3
  const more = (word & IP4_MORE_FRAGMENTS) !== 0
  if (offset > 0 || more) return way + fragment(protocol, get16(buf, at + IP4.identification), offset, total - header, more) + bad
  const stop = Math.min(end, at + total)
  const sums = { from: at + IP4.source, bytes: 8, verify: verifies(view) && stop === at + total }
  return transport(buf, at + header, stop, at + total, protocol, 'IP', from, to, sums, view) + bad
}

function ipv6(buf: Uint8Array, at: number, end: number, view: View): string {
  if (end - at < IP6_HEADER) return `IP6 malformed: ${Math.max(0, end - at)} bytes`
  if (buf[at] >> 4 !== 6) return `IP6 malformed: version ${buf[at] >> 4}`
  const from = ipv6At(buf, at + IP6.source)
  const to = ipv6At(buf, at + IP6.destination)
  const way = `IP6 ${from} > ${to}:`
  const full = at + IP6_HEADER + get16(buf, at + IP6.payloadLength)
  if (full > end && !view.quoted) return `${way} malformed: ${end - at} bytes of ${full - at}`
  const stop = Math.min(end, full)
  let next = buf[at + IP6.nextHeader]
  let off = at + IP6_HEADER
  let routed = false
  while (next === NEXT_HOP_BY_HOP || next === NEXT_ROUTING || next === NEXT_DESTINATION) {
    if (stop - off < 8) return `${way} malformed: extension header ${next} cut short`
    routed ||= next === NEXT_ROUTING
    next = buf[off + IP6_EXT.nextHeader]
    off += 8 + (buf[off + IP6_EXT.length] << 3)
    if (off > stop) return `${way} malformed: extension header cut short`
  }
  if (next === NEXT_FRAGMENT) {
    if (stop - off < IP6_FRAGMENT_HEADER) return `${way} malformed: fragment header cut short`
    const word = get16(buf, off + IP6_FRAG.offsetFlags)
    const id = get32(buf, off + IP6_FRAG.identification) >>> 0
    const more = (word & IP6_MORE_FRAGMENTS) !== 0
    return way + fragment(buf[off], id, word & IP6_OFFSET_MASK, full - off - IP6_FRAGMENT_HEADER, more)
  }
  // Behind a routing header the checksum covers another destination than the one seen here.
  const sums = { from: at + IP6.source, bytes: 32, verify: verifies(view) && stop === full && !routed }
  return transport(buf, off, stop, full, next, 'IP6', from, to, sums, view)
}

function verifies(view: View): boolean {
  return !view.quoted && (view.meta & CSUM_MASK) === CSUM_NONE && (view.meta & GSO_MASK) === 0
}

function fragment(protocol: number, id: number, offset: number, length: number, more: boolean): string {
  return ` ${protocolName(protocol)} fragment id ${id}, offset ${offset}, length ${length}${more ? ', more' : ', last'}`
}

/** RFC 5952 text of the 16 bytes at an offset. */
export function ipv6At(buf: Uint8Array, at: number): string {
  return formatIPv6(new Address(get32(buf, at), get32(buf, at + 4), get32(buf, at + 8), get32(buf, at + 12)))
}
