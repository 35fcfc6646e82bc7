/**
 * Reads captures, pcapng (draft-ietf-opsawg-pcapng) and pcap (draft-ietf-opsawg-pcap) of either byte order, in whatever pieces their bytes come.
 *
 * Theory of operation. Bytes that are no whole block yet are kept; a block is looked at when it is whole, and what it says of its own lengths is believed only as far as
 * the block goes. Blocks and fields that are not known are passed over, as the formats ask. A file that contradicts itself is told from one that merely ends early.
 */
import { NetError } from '../base/errors.ts'
import { utf8Text } from '../base/utf8.ts'
import type { Medium } from '../netif/netif.ts'
import { PacketFlag } from './pcapng.ts'

/** One frame of a capture. `bytes` are lent during the call. */
export interface CapturedFrame {
  timeNs: bigint
  bytes: Uint8Array
  /** Of the frame on its link; more than there are bytes when it was cut. */
  length: number
  /** Null: a kind of link that is not known here; `linkType` is its number. */
  medium: Medium | null
  linkType: number
  /** Bits of `PacketFlag`; 0 where nothing is known. */
  flags: number
  /** Name of the interface, if the capture has it. */
  name: string
}

const SECTION_HEADER = 0x0a0d0d0a
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const INTERFACE_DESCRIPTION = 1
const SIMPLE_PACKET = 3
const ENHANCED_PACKET = 6
const OPT_IF_NAME = 2
const OPT_IF_TSRESOL = 9
const OPT_IF_TSOFFSET = 14
const OPT_EPB_FLAGS = 2

const PCAP_MICROSECONDS = 0xa1b2c3d4
const PCAP_NANOSECONDS = 0xa1b23c4d
const PCAP_HEADER = 24
const PCAP_RECORD = 16

/** No block is larger: a frame of 64 KiB, some options, and room for what others write. In bytes. */
const MAX_BLOCK = 16 << 20

const ETHERNET = 1
/** Raw IP: LINKTYPE_RAW, two of its old numbers, LINKTYPE_IPV4 and LINKTYPE_IPV6. */
const RAW: readonly number[] = [101, 12, 14, 228, 229]

interface CaptureInterface {
  linkType: number
  name: string
  /** Units of time stamps in a second, and what is added to them in ns. */
  perSecond: bigint
  offsetNs: bigint
}

function mediumOf(linkType: number): Medium | null {
  return linkType === ETHERNET ? 'ethernet' : RAW.includes(linkType) ? 'ip' : null
}

function corrupt(why: string): NetError {
  return new NetError('EINVAL', { message: `this is no capture, or a damaged one: ${why}` })
}

/** Takes a capture in pieces, and hands over its frames one by one. */
export class CaptureReader {
  private kept = new Uint8Array(0)
  private kind: 'unknown' | 'pcap' | 'pcapng' = 'unknown'
  private little = true
  private interfaces: CaptureInterface[] = []
  /** Frames that were read. */
  frames = 0

  constructor(private readonly onFrame: (frame: CapturedFrame) => void) {}

  /** Takes more of the file. Throws NetError EINVAL when it is no capture. */
  push(chunk: Uint8Array): void {
    let bytes = chunk
    if (this.kept.length > 0) {
      bytes = new Uint8Array(this.kept.length + chunk.length)
      bytes.set(this.kept)
      bytes.set(chunk, this.kept.length)
    }
    let at = 0
    for (;;) {
      const taken = this.take(bytes, at)
      if (taken === 0) break
      at += taken
    }
    this.kept = bytes.slice(at)
  }

  /** The file has ended. Throws NetError EINVAL when it ended within a frame. */
  end(): void {
    if (this.kind === 'unknown') throw corrupt(this.kept.length === 0 ? 'it is empty' : 'it is too short')
    if (this.kept.length > 0)
      throw new NetError('EINVAL', { message: `the capture ends within a frame, after ${this.frames} whole ones` })
  }

  /** Bytes that were taken from `at` on; 0: more are needed. */
  private take(bytes: Uint8Array, at: number): number {
    const left = bytes.length - at
    if (left < 4) return 0
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, left)
    if (this.kind === 'unknown') {
      const magic = view.getUint32(0, true)
      this.kind = magic === SECTION_HEADER ? 'pcapng' : 'pcap'
      if (this.kind === 'pcap') return this.pcapHeader(view)
    } else if (this.kind === 'pcap') return this.interfaces.length === 0 ? this.pcapHeader(view) : this.record(view, bytes, at)
    return this.block(view, bytes, at)
  }

  private pcapHeader(view: DataView): number {
    for (const little of [true, false]) {
      const magic = view.getUint32(0, little)
      if (magic !== PCAP_MICROSECONDS && magic !== PCAP_NANOSECONDS) continue
      if (view.byteLength < PCAP_HEADER) return 0
      this.little = little
      const linkType = view.getUint32(20, little) & 0xffff
      this.interfaces = [
        { linkType, name: '', perSecond: magic === PCAP_NANOSECONDS ? 1_000_000_000n : 1_000_000n, offsetNs: 0n },
      ]
      return PCAP_HEADER
    }
    throw corrupt('it begins with neither pcapng nor pcap')
  }

  private record(view: DataView, bytes: Uint8Array, at: number): number {
    if (view.byteLength < PCAP_RECORD) return 0
    const u32 = (off: number): number => view.getUint32(off, this.little)
    const captured = u32(8)
    if (captured > MAX_BLOCK) throw corrupt(`frame ${this.frames + 1} has ${captured} bytes`)
    if (view.byteLength < PCAP_RECORD + captured) return 0
    const one = this.interfaces[0]
    const timeNs = BigInt(u32(0)) * 1_000_000_000n + (BigInt(u32(4)) * 1_000_000_000n) / one.perSecond
    this.frame(one, timeNs, bytes.subarray(at + PCAP_RECORD, at + PCAP_RECORD + captured), u32(12), 0)
    return PCAP_RECORD + captured
  }

  private block(view: DataView, bytes: Uint8Array, at: number): number {
    if (view.byteLength < 12) return 0
    const type = view.getUint32(0, this.little)
    // A section may be of another byte order than the one before it; its type reads the same in both.
    if (type === SECTION_HEADER) {
      if (view.getUint32(8, true) === BYTE_ORDER_MAGIC) this.little = true
      else if (view.getUint32(8, false) === BYTE_ORDER_MAGIC) this.little = false
      else throw corrupt('its byte order is not known')
    }
    const length = view.getUint32(4, this.little)
    if (length < 12 || length % 4 !== 0 || length > MAX_BLOCK) throw corrupt(`a block has ${length} bytes`)
    if (view.byteLength < length) return 0
    if (view.getUint32(length - 4, this.little) !== length) throw corrupt('the two lengths of a block differ')
    const body = new DataView(view.buffer, view.byteOffset + 8, length - 12)
    if (type === SECTION_HEADER) this.interfaces = []
    else if (type === INTERFACE_DESCRIPTION) this.describe(body)
    else if (type === ENHANCED_PACKET) this.enhanced(body, bytes.subarray(at + 8, at + length - 4))
    else if (type === SIMPLE_PACKET) this.simple(body, bytes.subarray(at + 8, at + length - 4))
    return length
  }

  private describe(body: DataView): void {
    if (body.byteLength < 8) throw corrupt('the description of an interface is cut short')
    const options = this.options(body, 8)
    const resolution = options.get(OPT_IF_TSRESOL)?.[0] ?? 6
    const exponent = BigInt(resolution & 0x7f)
    const offset = options.get(OPT_IF_TSOFFSET)
    const seconds = offset?.length === 8 ? new DataView(offset.buffer, offset.byteOffset).getBigInt64(0, this.little) : 0n
    this.interfaces.push({
      linkType: body.getUint16(0, this.little),
      name: text(options.get(OPT_IF_NAME)),
      perSecond: (resolution & 0x80) !== 0 ? 2n ** exponent : 10n ** exponent,
      offsetNs: seconds * 1_000_000_000n,
    })
  }

  private enhanced(body: DataView, bytes: Uint8Array): void {
    if (body.byteLength < 20) throw corrupt('a frame is cut short')
    const u32 = (off: number): number => body.getUint32(off, this.little)
    const one = this.interfaces[u32(0)]
    const captured = u32(12)
    if (one === undefined) throw corrupt(`a frame is of interface ${u32(0)}, which is not described`)
    if (captured > body.byteLength - 20) throw corrupt('a frame is longer than its block')
    const stamp = (BigInt(u32(4)) << 32n) | BigInt(u32(8))
    const flags = this.options(body, 20 + ((captured + 3) & ~3)).get(OPT_EPB_FLAGS)
    const bits = flags?.length === 4 ? new DataView(flags.buffer, flags.byteOffset).getUint32(0, this.little) : 0
    this.frame(one, (stamp * 1_000_000_000n) / one.perSecond + one.offsetNs, bytes.subarray(20, 20 + captured), u32(16), bits)
  }

  /** Without a time, and of the first interface. */
  private simple(body: DataView, bytes: Uint8Array): void {
    const one = this.interfaces[0]
    if (body.byteLength < 4 || one === undefined) throw corrupt('a frame is cut short')
    const length = body.getUint32(0, this.little)
    this.frame(one, 0n, bytes.subarray(4, 4 + Math.min(length, bytes.length - 4)), length, 0)
  }

  private options(body: DataView, from: number): Map<number, Uint8Array> {
    const found = new Map<number, Uint8Array>()
    for (let at = from; at + 4 <= body.byteLength; ) {
      const code = body.getUint16(at, this.little)
      const length = body.getUint16(at + 2, this.little)
      if (code === 0 || at + 4 + length > body.byteLength) break
      if (!found.has(code)) found.set(code, new Uint8Array(body.buffer, body.byteOffset + at + 4, length))
      at += 4 + ((length + 3) & ~3)
    }
    return found
  }

  private frame({ linkType, name }: CaptureInterface, timeNs: bigint, bytes: Uint8Array, length: number, flags: number): void {
    this.frames++
    this.onFrame({ timeNs, bytes, length, medium: mediumOf(linkType), linkType, flags, name })
  }
}

function text(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : utf8Text(bytes)
}

/** Which way a frame went, where the capture says so: `<` in, `>` out. */
export function directionOf(flags: number): string {
  const way = flags & 3
  return way === PacketFlag.INBOUND ? '<' : way === PacketFlag.OUTBOUND ? '>' : ''
}
