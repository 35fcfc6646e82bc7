/**
 * Ethernet: frames in are checked for being ours and handed to the protocol of their EtherType; frames out get their 14 bytes.
 *
 * Theory of operation. A port knows one MAC address as two integers, so that the filter is two compares. It accepts its own
 * unicast, broadcast and (for now all) multicast; everything else is counted and dropped. An 802.1Q tag is parsed: VLAN 0 is a
 * priority tag and means "untagged" (802.1Q section 6.9.1), other VLANs belong to links of their own (vlan.ts), which register in `vlans`.
 * IEEE 802.3 frames with LLC/SNAP are accepted as RFC 1042 and RFC 1122 section 2.3.3 ask (received, never sent).
 */
import { get16, get32, put16, put32 } from '../base/bytes.ts'
import { Counters, indexOf } from '../base/counters.ts'
import type { Frame } from '../netif/frame.ts'
import type { NetIf } from '../netif/netif.ts'
import {
  ETH_HEADER,
  ETH_MIN_FRAME,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_MIN,
  ETHERTYPE_QINQ,
  ETHERTYPE_VLAN,
  VLAN_TAG,
} from './wire.ts'

/** How the frame was addressed on the link. */
export const Cast = { UNICAST: 0, MULTICAST: 1, BROADCAST: 2 } as const

/** A protocol above Ethernet. `buf[start, end)` is what follows the Ethernet header; `frame` is where that header begins. */
export interface EtherProtocol {
  etherInput(buf: Uint8Array, start: number, end: number, meta: number, cast: number, frame: number): void
}

/** A VLAN of a port. */
export interface VlanTaker {
  /** A whole frame with its tag, lent: `buf[frame, end)`. `tci`: priority, drop eligible, VLAN id. */
  tagged(buf: Uint8Array, frame: number, end: number, meta: number, tci: number): void
  /** The link has room again. */
  writable(): void
}

/** The VLANs of the two protocols are not the same. `tpid`: ETHERTYPE_VLAN or ETHERTYPE_QINQ. */
export function vlanKey(vid: number, tpid: number): number {
  return vid | (tpid === ETHERTYPE_QINQ ? 0x1000 : 0)
}

const NAMES = [
  'inFrames',
  'inOctets',
  'outFrames',
  'outOctets',
  'inBroadcast',
  'inMulticast',
  'dropTooShort',
  'dropNotForUs',
  'dropOwnSource',
  'dropUnknownEtherType',
  'dropUnknownVlan',
  'dropBadLlc',
  'outBlocked',
] as const
const C = indexOf(NAMES)

export class EthernetPort {
  readonly counters = new Counters(NAMES)
  /** Our address as 16 + 32 bits. */
  macHigh = 0
  macLow = 0
  /** Frames for other stations are heard as well, by `others` of their EtherType. */
  promiscuous = false
  ipv4: EtherProtocol | null = null
  arp: EtherProtocol | null = null
  ipv6: EtherProtocol | null = null
  /** Other EtherTypes, for users' own protocols. Those of IP and ARP: only frames for other stations (`promiscuous`). */
  readonly others = new Map<number, EtherProtocol>()
  /** VLANs by `vlanKey`. */
  readonly vlans = new Map<number, VlanTaker>()

  constructor(
    readonly netif: NetIf,
    readonly mac: Uint8Array,
  ) {
    this.setMac(mac)
  }

  setMac(mac: Uint8Array): void {
    this.mac.set(mac)
    this.macHigh = get16(mac, 0)
    this.macLow = get32(mac, 2)
  }

  /** One received frame, lent. */
  input(buf: Uint8Array, start: number, end: number, meta: number): void {
    const n = this.counters.values
    if (end - start < ETH_HEADER) {
      n[C.dropTooShort]++
      return
    }
    n[C.inFrames]++
    n[C.inOctets] += end - start
    const high = get16(buf, start)
    const low = get32(buf, start + 2)
    let cast: number = Cast.UNICAST
    if (high !== this.macHigh || low !== this.macLow) {
      if ((high & 0x100) !== 0) {
        cast = high === 0xffff && low === -1 ? Cast.BROADCAST : Cast.MULTICAST
        n[cast === Cast.BROADCAST ? C.inBroadcast : C.inMulticast]++
        // Our own broadcast come back from a hub or a loop: answering it would make a storm.
        if (get32(buf, start + 8) === this.macLow && get16(buf, start + 6) === this.macHigh) {
          n[C.dropOwnSource]++
          return
        }
      } else {
        // A VLAN may have a MAC address of its own.
        const isHeard = (this.vlans.size > 0 && this.forVlan(buf, start, end, meta)) || this.overheard(buf, start, end, meta)
        if (!isHeard) n[C.dropNotForUs]++
        return
      }
    }
    this.demux(buf, start + ETH_HEADER, end, get16(buf, start + 12), meta, cast, start)
  }

  private demux(buf: Uint8Array, start: number, end: number, type: number, meta: number, cast: number, frame: number): void {
    const n = this.counters.values
    if (type === ETHERTYPE_IPV4 && this.ipv4 !== null) this.ipv4.etherInput(buf, start, end, meta, cast, frame)
    else if (type === ETHERTYPE_ARP && this.arp !== null) this.arp.etherInput(buf, start, end, meta, cast, frame)
    else if (type === ETHERTYPE_IPV6 && this.ipv6 !== null) this.ipv6.etherInput(buf, start, end, meta, cast, frame)
    else if (type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ) this.tagged(buf, start, end, type, meta, cast, frame)
    else if (type < ETHERTYPE_MIN) this.llc(buf, start, end, type, meta, cast, frame)
    else {
      const other = this.others.get(type)
      if (other !== undefined) other.etherInput(buf, start, end, meta, cast, frame)
      else n[C.dropUnknownEtherType]++
    }
  }

  private tagged(buf: Uint8Array, start: number, end: number, tpid: number, meta: number, cast: number, frame: number): void {
    if (end - start < VLAN_TAG) {
      this.counters.values[C.dropTooShort]++
      return
    }
    const tci = get16(buf, start)
    if ((tci & 0xfff) === 0) {
      const type = get16(buf, start + 2)
      // A second tag behind a priority tag would recurse without bound on a crafted frame: one level only.
      if (type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ) this.counters.values[C.dropUnknownVlan]++
      else this.demux(buf, start + VLAN_TAG, end, type, meta, cast, frame)
      return
    }
    const vlan = this.vlans.get(vlanKey(tci & 0xfff, tpid))
    if (vlan === undefined) this.counters.values[C.dropUnknownVlan]++
    else vlan.tagged(buf, frame, end, meta, tci)
  }

  /** Gives a frame that is for another MAC address to the VLAN of its tag, which looks for itself. False: it has none. */
  private forVlan(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const tpid = get16(buf, start + 12)
    if ((tpid !== ETHERTYPE_VLAN && tpid !== ETHERTYPE_QINQ) || end - start < ETH_HEADER + VLAN_TAG) return false
    const tci = get16(buf, start + ETH_HEADER)
    const vlan = this.vlans.get(vlanKey(tci & 0xfff, tpid))
    if (vlan === undefined) return false
    vlan.tagged(buf, start, end, meta, tci)
    return true
  }

  /**
   * A frame for another station is for those who asked for all of an EtherType, and never for IP or ARP, which would answer and forward
   * what is not theirs (Linux: PACKET_OTHERHOST). False: nobody wants it.
   */
  private overheard(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const other = this.promiscuous ? this.others.get(get16(buf, start + 12)) : undefined
    if (other === undefined) return false
    other.etherInput(buf, start + ETH_HEADER, end, meta, Cast.UNICAST, start)
    return true
  }

  /** Sends a frame of a VLAN, tag and all. False: the link is full. */
  transmit(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.counters.values
    if (!this.netif.send(buf, start, end, meta)) {
      n[C.outBlocked]++
      return false
    }
    n[C.outFrames]++
    n[C.outOctets] += end - start
    return true
  }

  /** IEEE 802.3 length + LLC AA-AA-03 + SNAP with a zero OUI: the EtherType follows (RFC 1042). */
  private llc(buf: Uint8Array, start: number, end: number, length: number, meta: number, cast: number, frame: number): void {
    const isSnap = length >= 8 && length <= end - start && get32(buf, start) === (0xaaaa0300 | 0) && get16(buf, start + 4) === 0
    const type = isSnap ? get16(buf, start + 6) : 0
    if (type < ETHERTYPE_MIN || type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ) this.counters.values[C.dropBadLlc]++
    else this.demux(buf, start + 8, start + length, type, meta, cast, frame)
  }

  /**
   * Puts the Ethernet header before `frame.start` and sends. Short frames are padded with zeros, never with what the buffer held
   * before (RFC 894; the "EtherLeak" of CVE-2003-0001). False: the link is full, nothing was taken; `frame` is as before.
   */
  output(frame: Frame, macHigh: number, macLow: number, etherType: number): boolean {
    const buf = frame.buf
    const start = frame.start - ETH_HEADER
    put16(buf, start, macHigh)
    put32(buf, start + 2, macLow)
    put16(buf, start + 6, this.macHigh)
    put32(buf, start + 8, this.macLow)
    put16(buf, start + 12, etherType)
    let end = frame.end
    if (end - start < ETH_MIN_FRAME) {
      buf.fill(0, end, start + ETH_MIN_FRAME)
      end = start + ETH_MIN_FRAME
    }
    const n = this.counters.values
    if (!this.netif.send(buf, start, end, frame.meta)) {
      n[C.outBlocked]++
      return false
    }
    n[C.outFrames]++
    n[C.outOctets] += end - start
    return true
  }
}
