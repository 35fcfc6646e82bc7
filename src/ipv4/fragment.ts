/** Fragmentation of outgoing datagrams (RFC 791 section 3.2): what ip/fragment-sender.ts leaves to IPv4. */
import { copyBytes, get16, get32 } from '../base/bytes.ts'
import type { BufferPool } from '../base/pool.ts'
import { ETHERTYPE_IPV4 } from '../ethernet/wire.ts'
import { FragmentSender, type FragmentWriter, Train } from '../ip/fragment-sender.ts'
import type { Interface } from '../ip/interface.ts'
import type { Neighbor } from '../ip/neighbor.ts'
import type { Packet } from '../ip/packet.ts'
import { C } from './counters.ts'
import { writeHeader } from './header.ts'
import { copiedOptions, MAX_OPTIONS } from './options.ts'
import { IP4, IP4_HEADER, IP4_MORE_FRAGMENTS, IP4_OFFSET_MASK } from './wire.ts'

const INDEX = {
  oks: C.ipFragOKs,
  fails: C.ipFragFails,
  creates: C.ipFragCreates,
  octets: C.ipOutOctets,
  tooBig: C.ipOutDropTooBig,
  pending: C.ipFragDropPending,
}

/** `more`: IP4_MORE_FRAGMENTS or 0. */
export class Train4 extends Train {
  source = 0
  destination = 0
  /** Options of the first fragment. */
  readonly options = new Uint8Array(MAX_OPTIONS)
  optionsLength = 0
}

class Writer4 implements FragmentWriter<Train4> {
  readonly etherType = ETHERTYPE_IPV4
  readonly index = INDEX
  /** Options of fragments after the first. */
  private readonly later = new Uint8Array(MAX_OPTIONS)

  create(): Train4 {
    return new Train4()
  }

  headerBytes(train: Train4): number {
    if (train.offset === 0) return IP4_HEADER + train.optionsLength
    return IP4_HEADER + copiedOptions(train.options, train.optionsLength, this.later)
  }

  write(train: Train4, buf: Uint8Array, at: number, header: number, payload: number, isLast: boolean): void {
    copyBytes(train.offset === 0 ? train.options : this.later, 0, buf, at + IP4_HEADER, header - IP4_HEADER)
    writeHeader(
      buf,
      at,
      header,
      header + payload,
      train.identification,
      (isLast ? train.more : IP4_MORE_FRAGMENTS) | (train.offset >> 3),
      train.tos,
      train.ttl,
      train.protocol,
      train.source,
      train.destination,
    )
  }
}

export class Fragmenter extends FragmentSender<Train4> {
  constructor(pool: BufferPool, counters: Float64Array) {
    super(new Writer4(), pool, counters)
  }

  /**
   * Cuts up a packet of others as it stands, a fragment perhaps: what its header says stays, but for length and place. As `send`.
   */
  forward(packet: Packet, iface: Interface, neighbor: Neighbor | null, mtu: number): boolean {
    const { train } = this
    const { buf, start } = packet
    const field = get16(buf, start + IP4.flagsFragment)
    train.iface = iface
    train.neighbor = neighbor
    train.mtu = mtu
    train.identification = get16(buf, start + IP4.identification)
    train.tos = buf[start + IP4.tos]
    train.ttl = buf[start + IP4.ttl]
    train.protocol = buf[start + IP4.protocol]
    train.source = get32(buf, start + IP4.source)
    train.destination = get32(buf, start + IP4.destination)
    const header = (buf[start] & 15) << 2
    train.optionsLength = header - IP4_HEADER
    copyBytes(buf, start + IP4_HEADER, train.options, 0, train.optionsLength)
    train.buf = buf
    train.at = start + header
    train.end = packet.end
    train.offset = (field & IP4_OFFSET_MASK) << 3
    train.more = field & IP4_MORE_FRAGMENTS
    return this.send()
  }
}
