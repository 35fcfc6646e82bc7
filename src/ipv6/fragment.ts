/** Fragmentation of what we send (RFC 8200 section 4.5; only sources fragment): what ip/fragment-sender.ts leaves to IPv6. */
import { Address } from '../base/address.ts'
import { put16, put32 } from '../base/bytes.ts'
import { ETHERTYPE_IPV6 } from '../ethernet/wire.ts'
import { type FragmentWriter, Train } from '../ip/fragment-sender.ts'
import { C } from './counters.ts'
import { putZones, writeHeader } from './header.ts'
import { IP6_FRAG, IP6_FRAGMENT_HEADER, IP6_HEADER, IP6_MORE_FRAGMENTS, NEXT_FRAGMENT } from './wire.ts'

const INDEX = {
  oks: C.ip6FragOKs,
  fails: C.ip6FragFails,
  creates: C.ip6FragCreates,
  octets: C.ip6OutOctets,
  tooBig: C.ip6OutDropTooBig,
  pending: C.ip6FragDropPending,
}

export class Train6 extends Train {
  readonly source = new Address()
  readonly destination = new Address()
  flow = 0
}

export class FragmentWriter6 implements FragmentWriter<Train6> {
  readonly etherType = ETHERTYPE_IPV6
  readonly index = INDEX

  create(): Train6 {
    return new Train6()
  }

  headerBytes(): number {
    return IP6_HEADER + IP6_FRAGMENT_HEADER
  }

  write(train: Train6, buf: Uint8Array, at: number, header: number, payload: number, isLast: boolean): void {
    const { tos, flow, ttl, source, destination } = train
    writeHeader(buf, at, header - IP6_HEADER + payload, NEXT_FRAGMENT, tos, flow, ttl, source, destination)
    if (train.iface!.isLoopback) putZones(buf, at, source, destination)
    const fragment = at + IP6_HEADER
    put16(buf, fragment + IP6_FRAG.nextHeader, train.protocol << 8) // and the reserved byte
    put16(buf, fragment + IP6_FRAG.offsetFlags, train.offset | (isLast ? train.more : IP6_MORE_FRAGMENTS))
    put32(buf, fragment + IP6_FRAG.identification, train.identification)
  }
}
