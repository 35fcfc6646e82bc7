/**
 * `capture(link, target)`: the same link, and every frame in and out of it as pcapng.
 *
 * A frame out is copied before the link below is asked (it may scribble over what it takes) and kept only if it was taken, so a
 * frame that is refused and sent again appears once. Offloaded frames are captured as they pass: a partial checksum and a
 * super-segment are marked as such, so that Wireshark does not call them wrong. Nothing is changed on the way, refusals included.
 */
import { copyBytes } from '../base/bytes.ts'
import { LinkAround } from '../netif/around.ts'
import { CSUM_MASK, CSUM_PARTIAL, CSUM_VALID, GSO_MASK, type NetIf, type NetIfSink } from '../netif/netif.ts'
import { type ByteTarget, PacketFlag, PcapngWriter } from '../trace/pcapng.ts'

/** What the capture says of the interface, and who ends the writer. */
export interface CaptureOptions {
  /** Name of the interface in the capture. The link's own when left out. */
  name?: string
  /** Its description. What the link says of itself when left out. */
  description?: string
  /** Its MAC address. The one that the link insists on, if any, when left out. */
  mac?: Uint8Array
  /** End the writer when the link is closed. True for a `ByteTarget`, false for a writer that may be shared, when left out. */
  end?: boolean
}

class Capture extends LinkAround {
  private readonly writer: PcapngWriter
  private readonly ownsWriter: boolean
  private id = -1
  private isClosed = false
  /** The copy of the frame that is being sent. */
  private scratch = new Uint8Array(2048)

  constructor(
    inner: NetIf,
    target: ByteTarget | PcapngWriter,
    private readonly options: CaptureOptions,
  ) {
    super(inner)
    this.ownsWriter = options.end ?? !(target instanceof PcapngWriter)
    this.writer = target instanceof PcapngWriter ? target : new PcapngWriter(target)
  }

  override attach(sink: NetIfSink): void {
    const { name = this.name, description = this.inner.describe?.(), mac = this.inner.mac } = this.options
    this.id = this.writer.addInterface({ name, description, medium: this.medium, mac }, sink.host.wallNs())
    super.attach(sink)
  }

  override send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    if (this.isClosed || this.sink === null) return this.inner.send(buf, start, end, meta)
    const length = end - start
    if (length > this.scratch.length) this.scratch = new Uint8Array(length)
    copyBytes(buf, start, this.scratch, 0, length)
    if (!this.inner.send(buf, start, end, meta)) return false
    this.writer.packet(this.id, this.sink.host.wallNs(), this.scratch, 0, length, PacketFlag.OUTBOUND | offloadFlags(meta))
    return true
  }

  override async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    await this.inner.close()
    if (this.sink !== null) this.writer.statistics(this.id, this.sink.host.wallNs())
    if (this.ownsWriter) this.writer.end()
    else this.writer.flush()
  }

  override describe(): string {
    return `${super.describe()}, captured`
  }

  override input(buf: Uint8Array, start: number, end: number, meta: number): void {
    const sink = this.sink!
    this.writer.packet(this.id, sink.host.wallNs(), buf, start, end, PacketFlag.INBOUND | offloadFlags(meta))
    sink.input(buf, start, end, meta)
  }

  override closed(error?: Error): void {
    this.writer.flush()
    this.sink!.closed(error)
  }
}

function offloadFlags(meta: number): number {
  const state = meta & CSUM_MASK
  let flags = state === CSUM_PARTIAL ? PacketFlag.CHECKSUM_NOT_READY : state === CSUM_VALID ? PacketFlag.CHECKSUM_VALID : 0
  if ((meta & GSO_MASK) !== 0) flags |= PacketFlag.SEGMENTATION
  return flags
}

/**
 * Captures a link. A `ByteTarget` becomes a capture of its own, ended when the link is closed; a `PcapngWriter` may be shared by
 * several links and is ended by its owner.
 */
export function capture(link: NetIf, target: ByteTarget | PcapngWriter, options: CaptureOptions = {}): NetIf {
  return new Capture(link, target, options)
}
