/**
 * Finding the transport behind extension headers, where nobody is to be told what is wrong with them: in packets that errors quote,
 * in our own, in those that an error is about. `extensions.ts` is for packets that are to be obeyed.
 */
import { get16 } from '../base/bytes.ts'
import {
  IP6,
  IP6_EXT,
  IP6_FRAG,
  IP6_FRAGMENT_HEADER,
  IP6_HEADER,
  IP6_OFFSET_MASK,
  NEXT_AUTHENTICATION,
  NEXT_DESTINATION,
  NEXT_FRAGMENT,
  NEXT_HOP_BY_HOP,
  NEXT_ROUTING,
} from './wire.ts'

/** No honest chain is longer: what is, is not followed. */
const MOST_HEADERS = 16

/** One reused record: what `follow` found. */
export class HeaderChain {
  /** What begins at `off`: the first header that is none of those that come before a transport. */
  protocol = 0
  off = 0
  /** It is a fragment other than the first: what begins at `off` is the middle of something. */
  middle = false

  /**
   * Walks from the IPv6 header at `start`. False: `buf[start, end)` ends before the chain does, and `off` is where the header begins that
   * is cut short.
   */
  follow(buf: Uint8Array, start: number, end: number): boolean {
    this.middle = false
    this.off = start + IP6_HEADER
    if (this.off > end) return false
    this.protocol = buf[start + IP6.nextHeader]
    return this.walk(buf, end)
  }

  /** The same from the header at `off`, which is a `protocol`. */
  followFrom(buf: Uint8Array, off: number, end: number, protocol: number): boolean {
    this.middle = false
    this.off = off
    this.protocol = protocol
    return this.walk(buf, end)
  }

  private walk(buf: Uint8Array, end: number): boolean {
    for (let i = 0; i < MOST_HEADERS; i++) {
      const { protocol, off } = this
      let length: number
      if (protocol === NEXT_HOP_BY_HOP || protocol === NEXT_ROUTING || protocol === NEXT_DESTINATION) {
        if (off + 8 > end) return false
        length = 8 + (buf[off + IP6_EXT.length] << 3)
      } else if (protocol === NEXT_FRAGMENT) {
        if (off + IP6_FRAGMENT_HEADER > end) return false
        length = IP6_FRAGMENT_HEADER
        this.middle = (get16(buf, off + IP6_FRAG.offsetFlags) & IP6_OFFSET_MASK) !== 0
      } else if (protocol === NEXT_AUTHENTICATION) {
        if (off + 8 > end) return false
        length = (buf[off + IP6_EXT.length] + 2) << 2 // RFC 4302 section 2.2: in four-byte units
      } else return true
      if (off + length > end) return false
      this.protocol = buf[off + IP6_EXT.nextHeader]
      this.off = off + length
      if (this.middle) return true
    }
    return false
  }
}
