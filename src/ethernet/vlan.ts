/**
 * A VLAN on an Ethernet port: IEEE 802.1Q (C-tags) and 802.1ad (S-tags), a link of its own.
 *
 * Theory of operation. A `VlanLink` is a NetIf, so that an interface over it has everything that any interface has: a port with a MAC
 * address, neighbours, addresses, counters, and VLANs of its own (QinQ: an 802.1Q link over an 802.1ad one). The port below finds it by tag
 * protocol and VLAN id, and hands over frames whole; the tag is taken out where it stands, by moving the two MAC addresses over it, and put in
 * by moving them back: twelve bytes, whatever the frame measures. Checksum state and super-segments are passed on as they are: whoever
 * splits or completes a frame, a kernel or src/offload, looks for the headers behind the tags.
 *
 * The MTU is that of the link below. A tag does not count against it (IEEE 802.3 clause 3.2.7: a Q-tagged frame may be four bytes longer,
 * an envelope frame more), and every link of ours has room for two tags.
 */
import { get16, get32, put16, put32 } from '../base/bytes.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import type { Medium, NetIf, NetIfSink } from '../netif/netif.ts'
import { type EthernetPort, type VlanTaker, vlanKey } from './ethernet.ts'
import { ETH, ETH_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_QINQ, ETHERTYPE_VLAN, VLAN_TAG } from './wire.ts'

/** `802.1Q`: customer tags, 0x8100. `802.1ad`: service tags, 0x88a8, the outer ones of two. */
export type VlanProtocol = '802.1Q' | '802.1ad'

/** The tag of a VLAN: its protocol, and the priorities of what is sent. */
export interface VlanTagOptions {
  /** `802.1Q` when left out. */
  protocol?: VlanProtocol
  /** Priority code point (PCP) of frames sent, 0 to 7; 0 when left out. */
  priority?: number
  /**
   * PCP of IP packets by the three highest bits of their traffic class (the class selector of RFC 2474 section 4.2.2), eight of them.
   * `priority` for all when left out.
   */
  egress?: readonly number[]
  /** Drop eligible indicator of frames sent. False when left out. */
  dropEligible?: boolean
}

const NAMES = [
  'inFrames',
  'inOctets',
  'outFrames',
  'outOctets',
  'outBlocked',
  'outDropParentDown',
  // how what came in was marked
  'inPriority0',
  'inPriority1',
  'inPriority2',
  'inPriority3',
  'inPriority4',
  'inPriority5',
  'inPriority6',
  'inPriority7',
] as const
const C = indexOf(NAMES)

const PCP_SHIFT = 13
const DEI = 0x1000

/** The link of one VLAN on an Ethernet: tags what it sends, hears what has its tag. */
export class VlanLink implements NetIf, VlanTaker {
  readonly name: string
  readonly medium: Medium = 'ethernet'
  readonly protocol: VlanProtocol
  /** The tag of the frame that is being heard, or was last: priority (3 bits), drop eligible (1), VLAN id (12). */
  lastTci = 0
  private sink: NetIfSink | null = null
  private readonly count = new Counters(NAMES)
  private readonly tpid: number
  /** The tag by class selector; one more, the ninth, for what is not IP. */
  private readonly tci = new Uint16Array(9)

  /**
   * `below`: whether the interface under it is up. Throws ERR_INVALID_ARG_VALUE for an id that is not between 1 and 4094, and priorities that
   * are not between 0 and 7.
   */
  constructor(
    private readonly port: EthernetPort,
    private readonly below: { readonly up: boolean },
    readonly id: number,
    options: VlanTagOptions = {},
  ) {
    const { protocol = '802.1Q', priority = 0, egress = [], dropEligible = false } = options
    if (!(Number.isInteger(id) && id >= 1 && id <= 4094)) throw invalidArgument(`a VLAN id is from 1 to 4094, not ${id}`)
    if (protocol !== '802.1Q' && protocol !== '802.1ad') {
      throw invalidArgument(`VLAN protocol ${protocol}: 802.1Q or 802.1ad expected`)
    }
    this.name = `${port.netif.name}.${id}`
    this.protocol = protocol
    this.tpid = protocol === '802.1Q' ? ETHERTYPE_VLAN : ETHERTYPE_QINQ
    if (egress.length !== 0 && egress.length !== 8) throw invalidArgument('egress: eight priorities are expected')
    this.tci.fill(id | (dropEligible ? DEI : 0))
    for (let i = 0; i < 9; i++) this.setTci(i, i < egress.length ? egress[i] : priority)
  }

  /** PCP of frames sent, by class selector, and of those that are not IP: nine. */
  get priorities(): number[] {
    return Array.from(this.tci, (t) => t >> PCP_SHIFT)
  }

  /** Changes the PCP of all frames sent, or of IP packets of one class selector (0 to 7). ERR_INVALID_ARG_VALUE. */
  setPriority(pcp: number, selector?: number): void {
    if (selector === undefined) for (let i = 0; i < 9; i++) this.setTci(i, pcp)
    else if (!(Number.isInteger(selector) && selector >= 0 && selector <= 7)) {
      throw invalidArgument(`a class selector is from 0 to 7, not ${selector}`)
    } else this.setTci(selector, pcp)
  }

  private setTci(at: number, pcp: number): void {
    if (!(Number.isInteger(pcp) && pcp >= 0 && pcp <= 7)) throw invalidArgument(`a VLAN priority is from 0 to 7, not ${pcp}`)
    this.tci[at] = (this.tci[at] & 0x1fff) | (pcp << PCP_SHIFT)
  }

  get mac(): Uint8Array {
    return this.port.mac
  }

  get mtu(): number {
    return this.port.netif.mtu
  }

  get offload(): number {
    return this.port.netif.offload
  }

  get gsoMax(): number {
    return this.port.netif.gsoMax
  }

  /** Throws NetError EEXIST when the port has that VLAN already. */
  attach(sink: NetIfSink): void {
    const key = vlanKey(this.id, this.tpid)
    if (this.port.vlans.has(key)) {
      throw new NetError('EEXIST', { message: `${this.port.netif.name} has ${this.protocol} VLAN ${this.id} already` })
    }
    this.sink = sink
    this.port.vlans.set(key, this)
  }

  /** Frames come with those of the port below. */
  receive(): boolean {
    return false
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.count.values
    if (!this.below.up) {
      n[C.outDropParentDown]++ // a wire that is down loses frames
      return true
    }
    const tci = this.tci[selectorOf(buf, start)]
    const at = start - VLAN_TAG
    put32(buf, at, get32(buf, start))
    put32(buf, at + 4, get32(buf, start + 4))
    put32(buf, at + 8, get32(buf, start + 8))
    put16(buf, start + 8, this.tpid)
    put16(buf, start + 10, tci)
    if (!this.port.transmit(buf, at, end, meta)) {
      moveUp(buf, at) // as it was
      n[C.outBlocked]++
      return false
    }
    n[C.outFrames]++
    n[C.outOctets] += end - start
    return true
  }

  /** A frame of this VLAN, with its tag, came in at the port below. */
  tagged(buf: Uint8Array, frame: number, end: number, meta: number, tci: number): void {
    const n = this.count.values
    moveUp(buf, frame)
    const start = frame + VLAN_TAG
    n[C.inFrames]++
    n[C.inOctets] += end - start
    n[C.inPriority0 + (tci >> PCP_SHIFT)]++
    this.lastTci = tci
    this.sink!.input(buf, start, end, meta)
  }

  /** The link below has room again. */
  writable(): void {
    this.sink!.writable()
  }

  flush(): void {}

  close(): void {
    const key = vlanKey(this.id, this.tpid)
    if (this.port.vlans.get(key) === this) this.port.vlans.delete(key)
  }

  counters(): Record<string, number> {
    return this.count.snapshot() as Record<string, number>
  }

  describe(): string {
    return `${this.name}: VLAN ${this.id} (${this.protocol}) on ${this.port.netif.name}, mtu ${this.mtu}`
  }
}

/** Moves the MAC addresses of the frame at `at` over the tag behind them. */
function moveUp(buf: Uint8Array, at: number): void {
  put32(buf, at + 12, get32(buf, at + 8))
  put32(buf, at + 8, get32(buf, at + 4))
  put32(buf, at + 4, get32(buf, at))
}

/** The class selector of an IP packet in a frame; 8 for anything else. */
function selectorOf(buf: Uint8Array, start: number): number {
  const type = get16(buf, start + ETH.etherType)
  if (type === ETHERTYPE_IPV4) return buf[start + ETH_HEADER + 1] >> 5
  // The traffic class begins in the low half of the first byte (RFC 8200 section 3).
  return type === ETHERTYPE_IPV6 ? (buf[start + ETH_HEADER] >> 1) & 7 : 8
}
