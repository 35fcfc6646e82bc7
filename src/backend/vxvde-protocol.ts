/** What a node of a vxvde network does with datagrams (vde/vxvde.ts says what that is), for datagram-link.ts. */
import { networkInterfaces } from 'node:os'
import type { Host } from '../base/clock.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { vxvdeDefaults } from '../base/vde-config.ts'
import { ETH_HEADER } from '../ethernet/wire.ts'
import type { NetIfSink } from '../netif/netif.ts'
import { VXVDE_HEADER, VxvdeTable, vxvdeHeader } from '../vde/vxvde.ts'
import type { DatagramOutlet, DatagramProtocol, DatagramSource } from './datagram-link.ts'

const NAMES = ['inOwnCopies', 'inByes', 'inOtherNetwork', 'dropInHeaderOnly', 'outUnicasts', 'outMulticasts'] as const
const C = indexOf(NAMES)

const SOURCE = 6

/** Which of its sockets a datagram came in by (`DatagramLinkOptions.sockets`). */
export const UNI = 0
export const MULTI = 1

export interface VxvdeNode {
  readonly vni: number
  /** Where multicasts go. */
  readonly group: string
  readonly port: number
  /** The port of our own socket, from which everything is sent. */
  readonly ownPort: number
  readonly hashSize: number
  readonly expireSeconds: number
  /** Spreads the table. */
  readonly seed: number
  /** Whether an address is one of this machine's. Given by tests. */
  isLocal?(address: string): boolean
}

export class VxvdeProtocol implements DatagramProtocol {
  readonly header = VXVDE_HEADER
  readonly table: VxvdeTable
  private readonly stats = new Counters(NAMES)
  private readonly word: Uint8Array
  private readonly locals: LocalAddresses
  private host: Host | null = null

  constructor(private readonly node: VxvdeNode) {
    this.table = new VxvdeTable(node.hashSize, node.expireSeconds, node.seed)
    this.word = vxvdeHeader(node.vni)
    this.locals = new LocalAddresses(node.isLocal)
  }

  start(sink: NetIfSink): void {
    this.host = sink.host
  }

  accept(message: Uint8Array, from: DatagramSource, socket: number): boolean {
    const n = this.stats.values
    const { word, host } = this
    for (let i = 0; i < VXVDE_HEADER; i++) {
      if (message[i] !== word[i]) {
        n[C.inOtherNetwork]++
        return false
      }
    }
    if (host === null) return false
    // What we send to the group comes back to us, as it should for other nodes of this machine.
    if (socket === MULTI && from.port === this.node.ownPort && this.locals.has(from.address, host.ms())) {
      n[C.inOwnCopies]++
      return false
    }
    if (message.length === VXVDE_HEADER) {
      n[C.inByes]++
      this.table.bye(from.address, from.port)
      return false
    }
    // vdeplug takes a header without a payload for nothing (measured); so that both ends of a wire agree, it is nothing here too.
    if (message.length <= VXVDE_HEADER + ETH_HEADER) {
      n[C.dropInHeaderOnly]++
      return false
    }
    this.table.learn(message, VXVDE_HEADER + SOURCE, from.address, from.port, host.ms())
    return true
  }

  address(slot: Uint8Array, _end: number, outlet: DatagramOutlet): void {
    slot.set(this.word)
    const peer = this.host === null ? null : this.table.find(slot, VXVDE_HEADER, this.host.ms())
    if (peer !== null) {
      this.stats.values[C.outUnicasts]++
      outlet.to(peer.address, peer.port)
    } else {
      this.stats.values[C.outMulticasts]++
      outlet.to(this.node.group, this.node.port)
    }
  }

  bye(slot: Uint8Array, outlet: DatagramOutlet): void {
    slot.set(this.word)
    outlet.to(this.node.group, this.node.port)
  }

  counters(): Record<string, number> {
    return { ...(this.stats.snapshot() as Record<string, number>), learned: this.table.count }
  }
}

/** The addresses of this machine, read again when one is asked for that is not among them, but not for every frame. */
class LocalAddresses {
  private known = new Set<string>()
  private readMs = 0
  private wasRead = false

  constructor(private readonly given: ((address: string) => boolean) | undefined) {}

  has(address: string, nowMs: number): boolean {
    if (this.given !== undefined) return this.given(address)
    // With only `lo` up the kernel sends to groups from 0.0.0.0 (measured): nobody else could.
    if (address === '0.0.0.0') return true
    const zone = address.indexOf('%')
    const bare = zone < 0 ? address : address.slice(0, zone)
    if (this.known.has(bare)) return true
    if (this.wasRead && ((nowMs - this.readMs) | 0) < vxvdeDefaults.localAddressMs) return false
    this.wasRead = true
    this.readMs = nowMs
    const now = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
    this.known = new Set(now.map((entry) => entry.address))
    return this.known.has(bare)
  }
}
