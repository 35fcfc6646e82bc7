/**
 * An open descriptor as a NetIf where one read(2) or write(2) is one frame: a tap, a tun, a socket that keeps messages apart.
 *
 * Theory of operation. Reads go into one reused buffer, at an
 * offset that puts the IP header on a word boundary, until EAGAIN, the caller's budget or a budget of bytes that still fit the
 * caches. With a virtio_net_hdr before each frame (IFF_VNET_HDR) the kernel exchanges super-segments of up to 64 KiB and leaves
 * checksums unfinished in both directions; the header of what we send is written backwards into the headroom of the lent
 * frame, so that a frame of any size leaves in one write. What the kernel refuses a tap is lost as on a wire, and counted; only
 * EAGAIN (TUNSETSNDBUF exhausted) is back-pressure. Waking up is wake.ts's.
 */

import { arena } from '../base/arena.ts'
import { put32 } from '../base/bytes.ts'
import { Counters, indexOf } from '../base/counters.ts'
import type { NetError } from '../base/errors.ts'
import type { Medium, NetIfSink } from '../netif/netif.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK, GSO_NONE, HEADROOM } from '../netif/netif.ts'
import type { Libc } from './libc.ts'
import * as os from './libc.ts'
import type { TapNetIf } from './tap.ts'
import * as wire from './tuntap-wire.ts'
import type { Waker, Watch } from './wake.ts'

/** The calls that an open device needs. */
export type DeviceCalls = Pick<Libc, 'read' | 'write' | 'close' | 'errno' | 'addressOf'>

/** What opening a device has come to. */
export interface OpenDevice {
  readonly fd: number
  readonly name: string
  readonly medium: Medium
  readonly mtu: number
  /** A virtio_net_hdr is before each frame: TUN_F_ bits that the kernel knows, and those it was left with. Absent: frames are bare. */
  readonly vnet?: { readonly known: number; readonly accepted: number } | undefined
  /** Each packet stands behind its address family (macOS's utun): IPv6's, IPv4's being 2. Absent: it does not. */
  readonly ipv6Family?: number | undefined
  /** For people: what it is (`tap`), and what else there is to say of it. */
  readonly what: string
  readonly more?: string
  /** Why the link has ended when a read fails with this error. */
  gone(errno: number): NetError
  /**
   * Makes what reads in place of read(2), for sockets whose frames have something beside them: one frame to `rx` at `at`, whose address is `address`.
   * Returns its length, or the negated errno. There are four bytes more than `most`.
   */
  reader?(rx: Uint8Array, at: number, address: bigint, most: number): () => number
  /** Called once when it closes, for what its owner has open beside the descriptor. */
  release?(): void
}

const NAMES = [
  'inFrames',
  'inOctets',
  'inSuper',
  'inPartial',
  'inBatches',
  'wakeUps',
  'outFrames',
  'outOctets',
  'outSuper',
  'outPartial',
  'outBlocked',
  'dropInShort',
  'dropInUnknownGso',
  'dropOutBadRange',
  'dropOutTooLong',
  'dropOutNoOffload',
  'dropOutNoTransport',
  'dropOutInterfaceDown',
  'dropOutInvalid',
  'dropOutNoMemory',
  'dropOutNoPeer',
  'dropOutOther',
  'dropOutClosed',
] as const
const C = indexOf(NAMES)

/** The largest frame: vnet header, Ethernet with a tag, 65535 bytes of IP. One size up: 68 KiB. */
const READ_SIZE = 68 << 10
/** Bytes handed over in one `receive`, so that what a turn touches stays in the second-level cache; with less, ACKs cost more than the cache saves. */
const BYTE_BUDGET = 512 << 10
/** An address family of four bytes in network order before a packet, and IPv4's. */
const FAMILY_HEADER = 4
const INET = 2
/** Offsets whose addresses are remembered: frames that headers were written into backwards begin below this. */
const REMEMBERED = 256

/** A buffer that frames are sent from, and the addresses of its bytes as BigInts: made once, so that a send allocates nothing. */
class SendBuffer {
  buf: Uint8Array | null = null
  private base = 0n
  private readonly at: bigint[] = new Array<bigint>(REMEMBERED).fill(0n)

  constructor(private readonly libc: DeviceCalls) {}

  use(buf: Uint8Array): void {
    this.buf = buf
    this.base = this.libc.addressOf(buf)
    for (let i = 0; i < REMEMBERED; i++) this.at[i] = this.base + BigInt(i)
  }

  address(off: number): bigint {
    return off < REMEMBERED ? this.at[off] : this.base + BigInt(off)
  }
}

export class FrameDevice implements TapNetIf {
  readonly name: string
  readonly mtu: number
  readonly vnetHeader: boolean
  readonly medium: Medium
  readonly mac = null
  readonly offload: number
  readonly gsoMax: number
  private readonly stats = new Counters(NAMES)
  private readonly libc: DeviceCalls
  private readonly watch: Watch
  private sink: NetIfSink | null = null
  private fd: number
  /** Frames wait, and the sink is not there to be told. */
  private early = false
  private readonly rx = arena.take(HEADROOM + 16 + READ_SIZE)
  /** Where a received frame begins: room for a header of ours before it, and its IP header on a word boundary. */
  private readonly rxStart: number
  private readonly rxAddress: bigint
  private readonly headerSize: number
  private readonly ipv6Family: number
  private readonly isEthernet: boolean
  /** Two: the stack's frame, and a second sender (fragments, a bridge). */
  private current: SendBuffer
  private other: SendBuffer
  private ended: Promise<void> | null = null
  /** It ended by itself, and why: for a sink that comes later. */
  private isOver = false
  private endError: Error | undefined

  private readonly reader: (() => number) | null
  private readonly got: OpenDevice
  private readonly wakeKind: string

  constructor(libc: DeviceCalls, waker: Waker, got: OpenDevice) {
    this.libc = libc
    this.fd = got.fd
    this.got = got
    this.name = got.name
    this.mtu = got.mtu
    this.vnetHeader = got.vnet !== undefined
    this.medium = got.medium
    this.isEthernet = got.medium === 'ethernet'
    this.offload = got.vnet === undefined ? 0 : wire.offloadOf(got.vnet.known)
    this.gsoMax = this.vnetHeader ? 65535 : 0
    this.ipv6Family = got.ipv6Family ?? 0
    this.headerSize = this.vnetHeader ? wire.VNET_HEADER : this.ipv6Family !== 0 ? FAMILY_HEADER : 0
    // 18 + 14 and 20 are both multiples of four.
    this.rxStart = this.isEthernet ? HEADROOM + 2 : HEADROOM + 4
    this.rxAddress = libc.addressOf(this.rx) + BigInt(this.rxStart - this.headerSize)
    this.reader = got.reader?.(this.rx, this.rxStart - this.headerSize, this.rxAddress, READ_SIZE) ?? null
    this.current = new SendBuffer(libc)
    this.other = new SendBuffer(libc)
    this.wakeKind = waker.kind
    this.watch = waker.watch(got.fd, this)
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
    if (this.isOver) sink.closed(this.endError)
    else if (this.early) sink.readable()
  }

  /** From the watch. */
  readable(): void {
    this.stats.values[C.wakeUps]++
    if (this.sink === null) this.early = true
    else if (this.fd >= 0) this.sink.readable()
  }

  /** From the watch. */
  writable(): void {
    if (this.fd >= 0) this.sink?.writable()
  }

  receive(budget: number): boolean {
    const sink = this.sink
    if (sink === null || this.fd < 0) return false
    const { libc, rx, rxStart, headerSize, reader } = this
    const n = this.stats.values
    n[C.inBatches]++
    let bytes = BYTE_BUDGET
    for (let i = 0; i < budget; i++) {
      const got = reader === null ? libc.read(this.fd, this.rxAddress, READ_SIZE) : reader()
      if (got < 0) {
        const errno = reader === null ? libc.errno() : -got
        if (errno === os.EINTR) continue
        if (errno === os.EAGAIN) this.watch.rearm()
        else this.end(this.got.gone(errno))
        return false
      }
      const length = got - headerSize
      if (length <= 0) {
        n[C.dropInShort]++
        continue
      }
      n[C.inFrames]++
      n[C.inOctets] += length
      let meta = 0
      if (this.vnetHeader) {
        meta = wire.metaOf(rx, rxStart - wire.VNET_HEADER)
        if (meta < 0) {
          n[C.dropInUnknownGso]++
          continue
        }
        if ((meta & GSO_MASK) !== GSO_NONE) n[C.inSuper]++
        if ((meta & CSUM_MASK) === CSUM_PARTIAL) n[C.inPartial]++
      }
      sink.input(rx, rxStart, rxStart + length, meta)
      if (this.fd < 0) return false
      bytes -= length
      if (bytes <= 0) return true
    }
    return true
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.stats.values
    const headerSize = this.headerSize
    const length = end - start
    if (this.fd < 0) return this.lost(C.dropOutClosed)
    // A buffer whose memory was transferred away has length 0: nothing of it may be read through the address remembered.
    if (length <= 0 || start < headerSize || end > buf.length) return this.lost(C.dropOutBadRange)
    const isSuper = (meta & GSO_MASK) !== GSO_NONE
    if (length > (isSuper ? this.gsoMax : this.mtu)) {
      const packet = this.isEthernet ? length - wire.linkBytes(buf, start) : length
      if (packet > (isSuper ? this.gsoMax : this.mtu)) return this.lost(C.dropOutTooLong)
    }
    if (!this.vnetHeader) {
      if (isSuper || (meta & CSUM_MASK) === CSUM_PARTIAL) return this.lost(C.dropOutNoOffload)
      if (headerSize !== 0) put32(buf, start - FAMILY_HEADER, buf[start] >>> 4 === 6 ? this.ipv6Family : INET)
    } else if (!wire.putVnetHeader(buf, start, end, meta, this.isEthernet)) return this.lost(C.dropOutNoTransport)
    if (this.current.buf !== buf) this.switchTo(buf)
    const address = this.current.address(start - headerSize)
    if (this.libc.write(this.fd, address, length + headerSize) < 0) {
      const errno = this.libc.errno()
      if (errno === os.EAGAIN) {
        n[C.outBlocked]++
        this.watch.wantWritable()
        return false
      }
      return this.lost(reasonOf(errno))
    }
    n[C.outFrames]++
    n[C.outOctets] += length
    if (isSuper) n[C.outSuper]++
    if ((meta & CSUM_MASK) === CSUM_PARTIAL) n[C.outPartial]++
    return true
  }

  flush(): void {}

  close(): Promise<void> | void {
    if (this.fd < 0) return this.ended ?? undefined
    const fd = this.fd
    this.fd = -1
    const done = this.watch.close()
    if (done === undefined) this.libc.close(fd)
    else this.ended = done.then(() => void this.libc.close(fd))
    this.got.release?.()
    return this.ended ?? undefined
  }

  counters(): Record<string, number> {
    return {
      ...(this.stats.snapshot() as Record<string, number>),
      vnetHeader: this.vnetHeader ? 1 : 0,
      offloadAccepted: this.got.vnet?.accepted ?? 0,
    }
  }

  describe(): string {
    const { vnet, what, more = '' } = this.got
    const offload = vnet === undefined ? 'no offload' : `offload ${wire.offloadNames(vnet.accepted) || 'transmit only'}`
    return `${this.name}: ${what}, mtu ${this.mtu}, ${offload}${more}, woken by ${this.wakeKind}`
  }

  /** Ends the link as if by itself: the sink is told, with the reason if there is one. */
  end(error?: Error): void {
    if (this.fd < 0) return
    this.isOver = true
    this.endError = error
    void this.close()
    this.sink?.closed(error)
  }

  ref(on: boolean): void {
    if (this.fd >= 0) this.watch.ref(on)
  }

  /** The buffers take turns: the one used last is looked at first. */
  private switchTo(buf: Uint8Array): void {
    const spare = this.other
    this.other = this.current
    this.current = spare
    if (spare.buf !== buf) spare.use(buf)
  }

  /** Lost, as a wire loses: the sender sees it taken. */
  private lost(reason: number): true {
    this.stats.values[reason]++
    return true
  }
}

function reasonOf(errno: number): number {
  if (errno === os.EIO || errno === os.ENETDOWN) return C.dropOutInterfaceDown
  if (errno === os.EINVAL) return C.dropOutInvalid
  if (errno === os.EMSGSIZE) return C.dropOutTooLong
  if (errno === os.ECONNREFUSED || errno === os.ENOTCONN || errno === os.ECONNRESET) return C.dropOutNoPeer
  if (errno === os.ENOMEM || errno === os.ENOBUFS) return C.dropOutNoMemory
  return C.dropOutOther
}
