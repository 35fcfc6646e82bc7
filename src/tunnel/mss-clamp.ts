/**
 * `clampMss(link, mss)`: the same link, on which no SYN, in either direction, asks for segments larger than what fits. Where two links of different MTUs
 * are joined as one wire (a bridge, a tunnel), nobody in between sends PACKET TOO BIG: a full-size segment would vanish without a word. So the two
 * ends are told less than they said, in the one place where they say it (RFC 9293 section 3.7.1).
 *
 * An option is only made smaller, never put in: without one the peer assumes 536 (IPv4) or 1220 (IPv6), which fits everywhere. The checksum is
 * mended by the difference (RFC 1624); a partial one does not cover the options yet and stays. Signed connections (RFC 2385, RFC 5925) sign
 * their options: what is changed here breaks them.
 */
import { get16, put16 } from '../base/bytes.ts'
import { updateChecksum } from '../base/checksum.ts'
import { invalidArgument } from '../base/errors.ts'
import { PROTO_TCP } from '../ip/packet.ts'
import { IP4_HEADER } from '../ipv4/wire.ts'
import { IP6_HEADER } from '../ipv6/wire.ts'
import { LinkAround } from '../netif/around.ts'
import { CSUM_MASK, CSUM_PARTIAL, type NetIf } from '../netif/netif.ts'
import { Layers } from '../offload/layers.ts'
import { OPT_END, OPT_MSS, OPT_NOP, SYN, TCP, TCP_HEADER } from '../tcp/wire.ts'

/** What SYNs may ask for: so many bytes; what fits the link's own MTU; what fits another one. */
export type MssLimit = number | 'mtu' | { readonly mtu: number }

const MSS_LENGTH = 4

class MssClamp extends LinkAround {
  private readonly layers = new Layers()
  private clamped = 0
  /** What `lower` changed last: to be undone when the frame is refused. */
  private at = 0
  private was = 0
  private sum = 0

  constructor(
    inner: NetIf,
    private readonly most4: number,
    private readonly most6: number,
  ) {
    super(inner)
  }

  override send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const lowered = this.lower(buf, start, end, meta)
    if (this.inner.send(buf, start, end, meta)) {
      if (lowered) this.clamped++
      return true
    }
    if (lowered) {
      // Refused: it will come again, as it was.
      put16(buf, this.at, this.was)
      put16(buf, this.layers.checksumAt, this.sum)
    }
    return false
  }

  override counters(): Record<string, number> {
    return { ...super.counters(), mssClamped: this.clamped }
  }

  override describe(): string {
    return `${super.describe()}, MSS at most ${this.most4} (IPv4), ${this.most6} (IPv6)`
  }

  override input(buf: Uint8Array, start: number, end: number, meta: number): void {
    if (this.lower(buf, start, end, meta)) this.clamped++
    super.input(buf, start, end, meta)
  }

  /** True: the frame is a SYN whose MSS was too large and is so no longer. */
  private lower(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const { layers } = this
    if (!layers.parse(buf, start, end, this.medium) || layers.protocol !== PROTO_TCP) return false
    const { transport } = layers
    if ((buf[transport + TCP.flags] & SYN) === 0) return false
    const most = layers.family === 4 ? this.most4 : this.most6
    const at = findMss(buf, transport + TCP_HEADER, layers.payload)
    if (at < 0) return false
    const asked = get16(buf, at)
    if (asked <= most) return false
    this.at = at
    this.was = asked
    this.sum = get16(buf, layers.checksumAt)
    put16(buf, at, most)
    if ((meta & CSUM_MASK) !== CSUM_PARTIAL) {
      // At an odd place of the header the two bytes belong to two words of the sum, which is the same sum with bytes swapped.
      const isOdd = ((at - transport) & 1) !== 0
      put16(buf, layers.checksumAt, updateChecksum(this.sum, isOdd ? swap(asked) : asked, isOdd ? swap(most) : most))
    }
    return true
  }
}

function swap(word: number): number {
  return ((word & 0xff) << 8) | (word >> 8)
}

/** Where the value of a SYN's MSS option is, or -1. Options that are cut off or have no length end the search. */
function findMss(buf: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const kind = buf[at]
    if (kind === OPT_END) return -1
    if (kind === OPT_NOP) {
      at++
      continue
    }
    const length = at + 1 < end ? buf[at + 1] : 0
    if (length < 2 || at + length > end) return -1
    if (kind === OPT_MSS) return length === MSS_LENGTH ? at + 2 : -1
    at += length
  }
  return -1
}

/** @throws NetError ERR_INVALID_ARG_VALUE for a limit that no segment fits. */
export function clampMss(link: NetIf, limit: MssLimit): NetIf {
  const mtu = limit === 'mtu' ? link.mtu : typeof limit === 'object' ? limit.mtu : 0
  const most4 = typeof limit === 'number' ? limit : mtu - IP4_HEADER - TCP_HEADER
  const most6 = typeof limit === 'number' ? limit : mtu - IP6_HEADER - TCP_HEADER
  // 8 bytes of text beside the most options: a link of the least MTU (RFC 791) has that much.
  if (!Number.isInteger(most4) || most6 < 8 || most4 > 0xffff) {
    throw invalidArgument(`Invalid MSS ${typeof limit === 'number' ? limit : `for an MTU of ${mtu}`}: 8 to 65535 expected`)
  }
  return new MssClamp(link, most4, most6)
}
