/**
 * Flow labels (RFC 6437): the same for all packets of a flow, spread evenly, and unknowable to those who do not see them. A keyed hash of
 * addresses, protocol and ports; a route remembers the last, so that a connection hashes once.
 */
import { get32 } from '../base/bytes.ts'
import type { Random } from '../base/random.ts'
import { HalfSipHash } from '../base/siphash.ts'
import { PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import type { Route } from '../ip/route.ts'

/** Twenty bits. */
const LABEL = 0xfffff

export class FlowLabels {
  private readonly hash: HalfSipHash

  constructor(random: Random) {
    this.hash = new HalfSipHash(random)
  }

  /** The label for what is sent by `route`, whose transport header is at `buf[off]`. Never 0, which says "none". */
  of(route: Route, protocol: number, buf: Uint8Array, off: number): number {
    const ports = protocol === PROTO_TCP || protocol === PROTO_UDP ? get32(buf, off) : 0
    const key = (ports + Math.imul(protocol, 0x9e3779b1)) | 0
    if (route.flow !== 0 && route.flowKey === key) return route.flow
    const { source: s, destination: d } = route
    const { hash } = this
    const label = hash.hash4(hash.hash4(s.w0, s.w1, s.w2, s.w3), hash.hash4(d.w0, d.w1, d.w2, d.w3), ports, protocol) & LABEL
    route.flowKey = key
    route.flow = label === 0 ? 1 : label
    return route.flow
  }
}
