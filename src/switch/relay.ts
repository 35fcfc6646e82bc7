/**
 * What becomes of a frame (IEEE 802.1D-2004 section 7.5 to 7.8, 802.1Q section 8.6): the one file on the hot path.
 *
 * A frame is one record, reused: the fields of this class. It comes in as it is on the wire of its port, gets a VLAN, teaches the switch where its
 * sender is, and leaves by one port or by several. It is never copied but for a port whose link may scribble over it while another port still wants
 * it, and for mirrors.
 *
 * Tags. A frame has two forms in the same bytes: bare, from `bare` on, and tagged, from four bytes before. Going from one to the other moves the
 * two addresses, twelve bytes, and so a flood over access ports and trunks takes a few words for each change. Tags that are inside the bare form (a
 * tunnel, or a port that says nothing of VLANs) are payload.
 */

import { arena } from '../base/arena.ts'
import { copyBytes, get16, get32, put16, put32 } from '../base/bytes.ts'
import { ETH, ETH_HEADER, VLAN_TAG } from '../ethernet/wire.ts'
import { MAX_FRAME } from '../link/frame-queue.ts'
import { HEADROOM } from '../netif/netif.ts'
import { type AddressTable, Learned } from './address-table.ts'
import { Kind, P, type SwitchPort } from './port.ts'
import { Egress } from './port-vlan.ts'
import { type Snooping, Verdict } from './snooping.ts'

/** 01:80:c2:00:00:00 to 0f: for the switch itself or nobody (802.1D-2004 table 7-10); the first is the spanning tree's. */
const RESERVED_HIGH = 0x0180
const RESERVED_LOW = 0xc2000000 | 0
const VID_MASK = 0xfff
const PRIORITY_MASK = 0xf000

/** What the relay needs of its switch. */
export interface RelaySite {
  readonly table: AddressTable
  readonly ports: readonly (SwitchPort | null)[]
  readonly ageingMs: number
  /** Frames go everywhere, and nothing is looked at. */
  readonly isHub: boolean
  readonly snooping: Snooping | null
  nowMs: number
  nowUs: number
}

export class Relay {
  private buf: Uint8Array
  private bare = 0
  private end = 0
  private meta = 0
  private isTagged = false
  private vlan = 0
  /** Priority and drop eligible indicator of the tag it had. */
  private priority = 0
  private kind = 0
  private readonly scratch: Uint8Array

  constructor(private readonly site: RelaySite) {
    this.scratch = arena.take(HEADROOM + MAX_FRAME + 4)
    this.buf = this.scratch
  }

  /** A lent frame came in. */
  heard(port: SwitchPort, buf: Uint8Array, start: number, end: number, meta: number): void {
    const n = port.count.values
    if (end - start < ETH_HEADER) {
      n[P.dropTooShort]++
      return
    }
    const high = get16(buf, start)
    const low = get32(buf, start + 2)
    const kind = (high & 0x100) === 0 ? Kind.UNICAST : high === 0xffff && low === -1 ? Kind.BROADCAST : Kind.MULTICAST
    n[P.ifInOctets] += end - start
    n[P.ifInUcastPkts + kind]++
    if (!port.isUp) {
      n[P.dropDown]++
      return
    }
    if (port.mirrorIn !== null) this.mirror(port.mirrorIn, buf, start, end, meta, kind)
    if (port.isMirror) {
      n[P.dropMirror]++
      return
    }
    if (kind === Kind.MULTICAST && high === RESERVED_HIGH && (low & ~0xf) === RESERVED_LOW && !this.site.isHub) {
      if (low !== RESERVED_LOW) {
        n[P.dropReserved]++
        return
      }
      if (port.tree !== null) {
        port.tree.bpdu(buf, start, end)
        return
      }
      // Without a spanning tree of its own a switch passes on that of others, as Linux does: the loop through it is found.
    }
    if (port.rateIn !== null && !port.rateIn.take((end - start) * 8, this.site.nowUs)) {
      n[P.dropRate]++
      return
    }
    this.buf = buf
    this.end = end
    this.meta = meta
    this.kind = kind
    if (!this.classify(port, start)) {
      n[P.dropVlan]++
      return
    }
    this.forward(port, start, high, low)
  }

  /** Ingress rules: finds VLAN, priority and the two forms. False: the frame has no business here. */
  private classify(port: SwitchPort, start: number): boolean {
    const { vlan } = port
    const { buf } = this
    this.bare = start
    this.isTagged = false
    this.priority = 0
    this.vlan = vlan.pvid
    if (!vlan.looks || get16(buf, start + ETH.etherType) !== vlan.tpid) return vlan.pvid !== 0
    if (this.end - start < ETH_HEADER + VLAN_TAG) return false
    const tci = get16(buf, start + ETH_HEADER)
    const vid = tci & VID_MASK
    this.bare = start + VLAN_TAG
    this.isTagged = true
    this.priority = tci & PRIORITY_MASK
    // VLAN 0 is a priority tag: as if without one (802.1Q section 6.9.1).
    if (vid !== 0) this.vlan = vid
    return vlan.egress[this.vlan] !== Egress.NOT
  }

  private forward(port: SwitchPort, start: number, high: number, low: number): void {
    const n = port.count.values
    const { site, buf, vlan } = this
    if (!port.learning) {
      n[P.dropBlocked]++
      return
    }
    if (!site.isHub && !this.learn(port, get16(buf, start + ETH.source), get32(buf, start + ETH.source + 2))) {
      n[P.dropBadSource]++
      return
    }
    if (!port.forwarding) {
      n[P.dropBlocked]++
      return
    }
    if (this.kind === Kind.UNICAST && !site.isHub) {
      const to = site.table.find(vlan, high, low, site.nowMs, site.ageingMs)
      const out = to < 0 ? null : site.ports[to]
      if (out !== null) {
        this.toOne(port, out)
        return
      }
      if (port.stormUnknown !== null && !port.stormUnknown.take(1, site.nowUs)) {
        n[P.dropStormUnknown]++
        return
      }
    } else if (this.kind === Kind.BROADCAST && port.stormBroadcast !== null && !port.stormBroadcast.take(1, site.nowUs)) {
      n[P.dropStormBroadcast]++
      return
    } else if (this.kind === Kind.MULTICAST) {
      if (port.stormMulticast !== null && !port.stormMulticast.take(1, site.nowUs)) {
        n[P.dropStormMulticast]++
        return
      }
      const { snooping } = site
      if (snooping !== null) {
        this.flood(port, snooping.look(port, vlan, buf, this.bare, this.end, site.nowMs))
        return
      }
    }
    this.flood(port, Verdict.FLOOD)
  }

  /** False: no station has this address. */
  private learn(port: SwitchPort, high: number, low: number): boolean {
    if ((high & 0x100) !== 0 || (high | low) === 0) return false
    const { site, vlan } = this
    const n = port.count.values
    const { table } = site
    if (port.addresses >= port.maxAddresses && table.find(vlan, high, low, site.nowMs, site.ageingMs) !== port.index) {
      n[P.dot1dTpLearnedEntryDiscards]++
      return true
    }
    const did = table.learn(vlan, high, low, port.index, site.nowMs)
    if (did === Learned.SEEN) return true
    if (did === Learned.FULL) n[P.dot1dTpLearnedEntryDiscards]++
    else {
      port.addresses++
      if (did === Learned.MOVED) {
        n[P.macMoves]++
        const was = site.ports[table.movedFrom]
        if (was !== null) was.addresses--
      }
    }
    return true
  }

  private toOne(port: SwitchPort, out: SwitchPort): void {
    const n = port.count.values
    if (out === port) n[P.dropSamePort]++
    else if (port.isolated && out.isolated) n[P.dropIsolated]++
    else if (!out.isUp || !out.forwarding || out.isMirror) n[P.dropOutBlocked]++
    else if (out.vlan.egress[this.vlan] === Egress.NOT) n[P.dropOutVlan]++
    else this.give(out, false)
  }

  private flood(port: SwitchPort, verdict: number): void {
    const { site, vlan } = this
    const { ports, snooping } = site
    let last: SwitchPort | null = null
    for (let i = 0; i < ports.length; i++) {
      const out = ports[i]
      if (out === null || out === port || !out.isUp || !out.forwarding || out.isMirror) continue
      if (out.vlan.egress[vlan] === Egress.NOT || (port.isolated && out.isolated)) continue
      if (verdict !== Verdict.FLOOD && !snooping!.wants(out, verdict, site.nowMs)) continue
      if (last !== null) this.give(last, true)
      last = out
    }
    if (last !== null) this.give(last, false)
  }

  /** The frame leaves by a port; `keep`: it is wanted afterwards, as it is. */
  private give(out: SwitchPort, keep: boolean): void {
    if (out.vlan.egress[this.vlan] === Egress.TAGGED) this.tag(out.vlan.tpid)
    else if (this.isTagged) this.untag()
    const start = this.isTagged ? this.bare - VLAN_TAG : this.bare
    if (out.mirrorOut !== null) this.mirror(out.mirrorOut, this.buf, start, this.end, this.meta, this.kind)
    if (keep && !out.careful) this.copyTo(out, this.buf, start, this.end, this.meta, this.kind)
    else out.transmit(this.buf, start, this.end, this.meta, this.kind)
  }

  private mirror(to: SwitchPort, buf: Uint8Array, start: number, end: number, meta: number, kind: number): void {
    if (!to.isUp) return
    to.count.values[P.mirrored]++
    if (to.careful) to.transmit(buf, start, end, meta, kind)
    else this.copyTo(to, buf, start, end, meta, kind)
  }

  private copyTo(out: SwitchPort, buf: Uint8Array, start: number, end: number, meta: number, kind: number): void {
    const { scratch } = this
    const at = HEADROOM + ((buf.byteOffset + start) & 3) // checksums run over words
    const length = Math.min(end - start, MAX_FRAME)
    copyBytes(buf, start, scratch, at, length)
    out.transmit(scratch, at, at + length, meta, kind)
  }

  /** Gives the frame a tag, or the one it has another protocol. */
  private tag(tpid: number): void {
    const { buf, bare } = this
    if (!this.isTagged) {
      put32(buf, bare - 4, get32(buf, bare))
      put32(buf, bare, get32(buf, bare + 4))
      put32(buf, bare + 4, get32(buf, bare + 8))
      this.isTagged = true
    }
    put16(buf, bare + 8, tpid)
    put16(buf, bare + 10, this.priority | this.vlan)
  }

  private untag(): void {
    const { buf, bare } = this
    put32(buf, bare + 8, get32(buf, bare + 4))
    put32(buf, bare + 4, get32(buf, bare))
    put32(buf, bare, get32(buf, bare - 4))
    this.isTagged = false
  }
}
