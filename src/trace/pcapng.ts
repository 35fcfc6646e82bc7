/**
 * pcapng (draft-ietf-opsawg-pcapng) as bytes: a section header, an interface description for each link, an enhanced packet block
 * for each frame, interface statistics at the end. Little-endian, timestamps in nanoseconds.
 *
 * Theory of operation. Blocks are built in one buffer and handed to the target when it is half full or when `flush` is called.
 * Several links may share one writer; each gets an interface number of its own.
 */
import { copyBytes } from '../base/bytes.ts'
import { utf8Bytes } from '../base/utf8.ts'
import type { Medium } from '../netif/netif.ts'

/** Where the bytes of a capture go. `bytes` belong to the target once it was called. */
export interface ByteTarget {
  write(bytes: Uint8Array): void
  /** No more will come. */
  end?(): void
}

export interface InterfaceDescription {
  name: string
  description?: string
  medium: Medium
  /** 6 bytes. */
  mac?: Uint8Array | null
}

/** Bits of an enhanced packet block's flags word (section 4.3.1). */
export const PacketFlag = {
  INBOUND: 1,
  OUTBOUND: 2,
  CHECKSUM_NOT_READY: 1 << 9,
  CHECKSUM_VALID: 1 << 10,
  SEGMENTATION: 1 << 11,
} as const

const SECTION_HEADER = 0x0a0d0d0a
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const INTERFACE_DESCRIPTION = 1
const INTERFACE_STATISTICS = 5
const ENHANCED_PACKET = 6

const LINKTYPE_ETHERNET = 1
const LINKTYPE_RAW = 101

const OPT_END = 0
const OPT_COMMENT = 1
const OPT_SHB_APPLICATION = 4
const OPT_IF_NAME = 2
const OPT_IF_DESCRIPTION = 3
const OPT_IF_MAC = 6
const OPT_IF_TSRESOL = 9
const OPT_EPB_FLAGS = 2
const OPT_ISB_START = 2
const OPT_ISB_END = 3
const OPT_ISB_RECEIVED = 4
/** if_tsresol: 10^-9 seconds. */
const NANOSECONDS = 9

const BUFFER_BYTES = 64 << 10

interface Captured {
  startNs: bigint
  packets: number
}

/** Writes pcapng, block by block, to whoever takes the bytes. */
export class PcapngWriter {
  private buf = new Uint8Array(BUFFER_BYTES)
  private at = 0
  private blockStart = 0
  private readonly interfaces: Captured[] = []
  private ended = false

  constructor(
    private readonly target: ByteTarget,
    application = 'tapstack',
  ) {
    this.beginBlock(SECTION_HEADER, 64 + application.length)
    this.u32(BYTE_ORDER_MAGIC)
    this.u16(1)
    this.u16(0)
    this.u32(-1) // section length: not specified
    this.u32(-1)
    this.textOption(OPT_SHB_APPLICATION, application)
    this.endOptions()
    this.endBlock()
  }

  /** Declares a link; returns its number for `packet`. */
  addInterface(description: InterfaceDescription, nowNs: bigint): number {
    const { name, description: words, medium, mac } = description
    this.beginBlock(INTERFACE_DESCRIPTION, 128 + 4 * (name.length + (words?.length ?? 0)))
    this.u16(medium === 'ethernet' ? LINKTYPE_ETHERNET : LINKTYPE_RAW)
    this.u16(0)
    this.u32(0) // frames are captured whole
    this.textOption(OPT_IF_NAME, name)
    if (words !== undefined) this.textOption(OPT_IF_DESCRIPTION, words)
    if (mac !== undefined && mac !== null) this.bytesOption(OPT_IF_MAC, mac)
    this.bytesOption(OPT_IF_TSRESOL, Uint8Array.of(NANOSECONDS))
    this.endOptions()
    this.endBlock()
    this.interfaces.push({ startNs: nowNs, packets: 0 })
    return this.interfaces.length - 1
  }

  /** One frame, lent. `flags` are of `PacketFlag`; a comment is shown by Wireshark beside the frame. */
  packet(id: number, timeNs: bigint, buf: Uint8Array, start: number, end: number, flags: number, comment?: string): void {
    const length = end - start
    this.beginBlock(ENHANCED_PACKET, 80 + length + (comment === undefined ? 0 : 4 * comment.length))
    this.u32(id)
    this.time(timeNs)
    this.u32(length)
    this.u32(length)
    copyBytes(buf, start, this.buf, this.at, length)
    this.at += length
    this.pad()
    this.u16(OPT_EPB_FLAGS)
    this.u16(4)
    this.u32(flags)
    if (comment !== undefined) this.textOption(OPT_COMMENT, comment)
    this.endOptions()
    this.endBlock()
    this.interfaces[id].packets++
  }

  /** The last block of an interface: from when to when it was captured, and how many frames. */
  statistics(id: number, nowNs: bigint): void {
    const { startNs, packets } = this.interfaces[id]
    this.beginBlock(INTERFACE_STATISTICS, 96)
    this.u32(id)
    this.time(nowNs)
    this.u16(OPT_ISB_START)
    this.u16(8)
    this.time(startNs)
    this.u16(OPT_ISB_END)
    this.u16(8)
    this.time(nowNs)
    this.u16(OPT_ISB_RECEIVED)
    this.u16(8)
    this.u32(packets)
    this.u32(Math.floor(packets / 0x1_0000_0000))
    this.endOptions()
    this.endBlock()
  }

  /** Hands what there is to the target. */
  flush(): void {
    const length = this.at
    this.at = 0
    if (length > 0 && !this.ended) this.target.write(this.buf.slice(0, length))
  }

  /** Flushes and ends the target. What is written later is lost. Idempotent. */
  end(): void {
    if (this.ended) return
    this.flush()
    this.ended = true
    this.target.end?.()
  }

  private beginBlock(type: number, room: number): void {
    if (this.at + room > this.buf.length) {
      this.flush()
      if (room > this.buf.length) this.buf = new Uint8Array(room + BUFFER_BYTES)
    }
    this.blockStart = this.at
    this.u32(type)
    this.u32(0)
  }

  private endBlock(): void {
    const length = this.at + 4 - this.blockStart
    this.u32(length)
    const end = this.at
    this.at = this.blockStart + 4
    this.u32(length)
    this.at = end
    if (end >= BUFFER_BYTES >> 1) this.flush()
  }

  private u16(v: number): void {
    this.buf[this.at++] = v
    this.buf[this.at++] = v >>> 8
  }

  private u32(v: number): void {
    this.u16(v & 0xffff)
    this.u16((v >>> 16) & 0xffff)
  }

  /** A 64-bit time is split high word first, whatever the byte order (section 4.3). */
  private time(ns: bigint): void {
    this.u32(Number((ns >> 32n) & 0xffffffffn))
    this.u32(Number(ns & 0xffffffffn))
  }

  private pad(): void {
    while ((this.at - this.blockStart) & 3) this.buf[this.at++] = 0
  }

  private bytesOption(code: number, bytes: Uint8Array): void {
    this.u16(code)
    this.u16(bytes.length)
    copyBytes(bytes, 0, this.buf, this.at, bytes.length)
    this.at += bytes.length
    this.pad()
  }

  private textOption(code: number, text: string): void {
    this.bytesOption(code, utf8Bytes(text))
  }

  private endOptions(): void {
    this.u16(OPT_END)
    this.u16(0)
  }
}
