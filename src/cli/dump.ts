/**
 * `tapstack dump`: the frames of a link, or of a capture, as tcpdump(8) shows them; -r, -w, -c, -e, -x, -q and the filter's words mean what they mean there.
 *
 * Theory of operation. Without an address the command is no host: it takes the link and listens. With one (--address, --dhcp, --slaac) a stack is on the link and answers,
 * and both directions are seen, the frames of the stack's own included.
 */
import { createReadStream } from 'node:fs'
import { hex } from '../base/bytes.ts'
import { NetError } from '../base/errors.ts'
import { formatMac } from '../ethernet/mac.ts'
import { LinkAround } from '../netif/around.ts'
import { CSUM_PARTIAL, CSUM_VALID, type NetIf, type NetIfSink } from '../netif/netif.ts'
import { openCapture } from '../node/capture-file.ts'
import { type CapturedFrame, CaptureReader, directionOf } from '../trace/capture-reader.ts'
import { dissect } from '../trace/dissect.ts'
import { type FrameMatcher, parseExpression } from '../trace/expression.ts'
import { PacketFlag, PcapngWriter } from '../trace/pcapng.ts'
import { type Command, type Context, integer, text, texts, UsageError, type Values } from './command.ts'
import { counterLines } from './counter-lines.ts'
import { DEFAULT_LINK, NETWORK_OPTIONS, openNetwork, stopped } from './network.ts'
import { forData, outputOf } from './node-network.ts'

export const dump: Command = {
  name: 'dump',
  summary: 'show the frames of a link or of a capture',
  usage: '[options] [FILTER...]',
  about: [
    'Without an address of its own it only listens; with --address, --dhcp or --slaac it is a host there, and both directions are shown. FILTER is in the words of',
    'tcpdump: host, net, port, portrange, ether, proto, src, dst, ip, ip6, arp, tcp, udp, icmp, icmp6, vlan, less, greater, and, or, not. Exit code: 0, or 1',
    'when it could not be done.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    address: { ...NETWORK_OPTIONS.address, text: 'be a host with this address, repeatable (only listen)' },
    pcap: { ...NETWORK_OPTIONS.pcap, text: 'the same as --write' },
    quiet: { ...NETWORK_OPTIONS.quiet, text: 'no line for each frame' },
    verbose: { ...NETWORK_OPTIONS.verbose, text: 'the link at the beginning, its counters at the end' },
    read: {
      type: 'string',
      short: 'r',
      value: 'FILE',
      text: 'from a capture (pcapng, pcap; -: standard input) instead of a link',
    },
    write: {
      type: 'string',
      short: 'w',
      value: 'FILE',
      text: 'write the frames to FILE (pcapng; -: standard output, no lines then)',
    },
    count: { type: 'string', short: 'c', value: 'N', text: 'end after N frames (never)' },
    ether: { type: 'boolean', short: 'e', text: 'MAC addresses, type and length of each frame' },
    hex: { type: 'boolean', short: 'x', text: 'the bytes of each frame' },
    numeric: { type: 'boolean', short: 'n', text: 'no names: there are none anyway' },
    'no-time': { type: 'boolean', short: 't', text: 'without the time' },
  },
  words: 1000,
  examples: [
    ['dump', 'what the host says on tap0'],
    ['dump -e -c 10 arp or icmp6', 'the next ten that find neighbours, with their MAC addresses'],
    ['dump -a 10.0.0.2/24 tcp port 80', 'as 10.0.0.2, which answers ping'],
    ['dump -w web.pcapng host 10.0.0.1 and not port 22', 'into a capture'],
  ],
  failure: 1,
  run: startDump,
}

async function startDump(context: Context, values: Values, words: readonly string[]): Promise<number> {
  const filter = parse(words)
  const count = integer(values, 'count', 1, 1e15, Number.POSITIVE_INFINITY)
  if (values.quiet === true && values.verbose === true) throw new UsageError('--quiet and --verbose: one of them is expected')
  const file = text(values, 'write') ?? text(values, 'pcap')
  const read = text(values, 'read')
  // Before anything is opened, and what is to be overwritten not before it can be read.
  if (read !== undefined && read === file && file !== '-') throw new UsageError(`--read and --write: ${read} cannot be both`)
  const isData = file === '-'
  const written = file === undefined ? null : isData ? new PcapngWriter(new StreamTarget(context)) : openCapture(file)
  try {
    // What is said must not get between what is written.
    const around = isData ? forData(context) : context
    const dumper = new Dumper(around, values, filter, count, written, isData)
    return await (read === undefined ? live(around, values, dumper) : fromCapture(around, read, dumper))
  } finally {
    written?.end()
  }
}

function parse(words: readonly string[]): FrameMatcher {
  try {
    return parseExpression(words.join(' '))
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

class StreamTarget {
  private readonly output

  constructor(context: Context) {
    this.output = outputOf(context)
  }

  write(bytes: Uint8Array): void {
    this.output.write(bytes)
  }
}

/** Shows, counts and writes frames until there were enough. */
class Dumper {
  seen = 0
  shown = 0
  private resolve: () => void = () => undefined
  /** There were enough. */
  readonly enough = new Promise<void>((resolve) => {
    this.resolve = resolve
  })
  private readonly interfaces = new Map<string, number>()
  private readonly lines: boolean
  private beforeNs = 0n

  constructor(
    private readonly context: Context,
    private readonly values: Values,
    private readonly filter: FrameMatcher,
    private readonly count: number,
    private readonly written: PcapngWriter | null,
    private readonly isData: boolean,
  ) {
    // As tcpdump: what is written is not shown, too; with --verbose it is.
    this.lines = values.quiet !== true && !isData && (written === null || values.verbose === true)
  }

  get isDone(): boolean {
    return this.shown >= this.count
  }

  frame(frame: CapturedFrame, meta: number): void {
    if (this.isDone) return
    this.seen++
    const { bytes, medium, length } = frame
    const { filter, values, context } = this
    if (!filter.matches(bytes, 0, medium === null ? 0 : bytes.length, medium ?? 'ip', length)) return
    this.shown++
    this.write(frame)
    if (this.lines) {
      const time = values['no-time'] === true ? '' : `${clockText(frame.timeNs)} `
      const way = directionOf(frame.flags)
      context.out(`${time}${way === '' ? '' : `${way} `}${this.described(frame, meta)}`)
      if (values.hex === true) for (const line of hexLines(bytes)) context.out(line)
    }
    if (this.isDone) this.resolve()
  }

  private described({ bytes, medium, linkType, length }: CapturedFrame, meta: number): string {
    if (medium === null) return `link type ${linkType}, length ${length}`
    const cut = length > bytes.length ? ` (${bytes.length} of ${length} bytes)` : ''
    const words = dissect(bytes, 0, bytes.length, medium, cut === '' ? meta : CSUM_VALID)
    return `${this.values.ether === true && medium === 'ethernet' ? etherText(bytes, length) : ''}${words}${cut}`
  }

  private write({ name, medium, timeNs, bytes, flags }: CapturedFrame): void {
    const { written } = this
    if (written === null || medium === null) return
    const key = `${medium} ${name}`
    const id = this.interfaces.get(key) ?? written.addInterface({ name, medium }, timeNs)
    this.interfaces.set(key, id)
    this.beforeNs = timeNs
    written.packet(id, timeNs, bytes, 0, bytes.length, flags)
    // Whoever reads standard output sees each frame when it comes; a file is written in larger pieces.
    if (this.isData) written.flush()
  }

  /** As tcpdump says at its end. */
  summary(): void {
    for (const id of this.interfaces.values()) this.written?.statistics(id, this.beforeNs)
    if (this.values.quiet === true) return
    this.context.err(`${this.shown} packet${this.shown === 1 ? '' : 's'} captured`)
    this.context.err(`${this.seen} packet${this.seen === 1 ? '' : 's'} seen`)
  }
}

async function fromCapture(context: Context, file: string, dumper: Dumper): Promise<number> {
  const reader = new CaptureReader((frame) => dumper.frame(frame, metaOf(frame.flags)))
  const stream = file === '-' ? (context.input?.() ?? []) : createReadStream(file)
  try {
    for await (const chunk of stream) {
      reader.push(chunk as Buffer)
      if (dumper.isDone || context.stop.aborted) return 0
    }
    reader.end()
    return 0
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new NetError(code ?? 'EIO', {
      message: `${file}: ${code === 'ENOENT' ? 'there is no such file' : message}`,
      cause: error,
    })
  } finally {
    dumper.summary()
  }
}

/** Of what the capture says of a frame's checksum. */
function metaOf(flags: number): number {
  return (flags & PacketFlag.CHECKSUM_NOT_READY) !== 0 ? CSUM_PARTIAL : (flags & PacketFlag.CHECKSUM_VALID) !== 0 ? CSUM_VALID : 0
}

async function live(context: Context, values: Values, dumper: Dumper): Promise<number> {
  const isHost = texts(values, 'address').length > 0 || values.dhcp === true || values.dhcp6 === true || values.slaac === true
  if (isHost) {
    const around = (link: NetIf): NetIf => new Seen(link, dumper)
    const network = await openNetwork(context, { ...values, verbose: false, quiet: true, pcap: undefined }, { around })
    try {
      if (values.verbose === true) context.out(network.link.describe?.() ?? network.link.name)
      context.err(`listening on ${network.link.name} as ${network.address}`)
      await Promise.race([dumper.enough, stopped(context), network.broken])
      return 0
    } finally {
      await network.close()
      ended(context, values, network.link, dumper)
    }
  }
  const { host } = context.platform
  const link = new Seen(await context.openLink(text(values, 'link') ?? DEFAULT_LINK), dumper)
  host.hold() // a link alone does not keep the process
  try {
    const ear = new Ear(link, host)
    if (values.verbose === true) context.out(link.describe())
    context.err(`listening on ${link.name}`)
    await Promise.race([dumper.enough, stopped(context), ear.broken])
    return 0
  } finally {
    await link.close()
    host.release()
    ended(context, values, link, dumper)
  }
}

function ended(context: Context, values: Values, link: NetIf, dumper: Dumper): void {
  dumper.summary()
  if (values.verbose === true) for (const line of counterLines({ [link.name]: link.counters?.() ?? {} })) context.out(line)
}

/** Frames that were taken from a batch before others have their turn. */
const BUDGET = 64

/** Takes all that comes and lets it go. */
class Ear implements NetIfSink {
  private fail: (error: Error) => void = () => undefined
  readonly broken = new Promise<never>((_, reject) => {
    this.fail = reject
  })

  constructor(
    private readonly link: NetIf,
    readonly host: NetIfSink['host'],
  ) {
    this.broken.catch(() => undefined)
    link.attach(this)
  }

  readable(): void {
    this.host.soon(this)
  }

  run(): void {
    if (this.link.receive(BUDGET)) this.readable()
  }

  input(): void {
    // The link around has shown it.
  }

  writable(): void {
    // Nothing is sent.
  }

  closed(error?: Error): void {
    this.fail(error ?? new Error(`${this.link.name}: the link has ended`))
  }
}

/** A link whose frames are seen. */
class Seen extends LinkAround {
  private copy = new Uint8Array(2048)

  constructor(
    inner: NetIf,
    private readonly dumper: Dumper,
  ) {
    super(inner)
  }

  override send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    // The link below may scribble over what it takes: a copy is looked at.
    const length = end - start
    if (length > this.copy.length) this.copy = new Uint8Array(length)
    this.copy.set(buf.subarray(start, end))
    const taken = super.send(buf, start, end, meta)
    if (taken) this.show(this.copy.subarray(0, length), meta, PacketFlag.OUTBOUND)
    return taken
  }

  override input(buf: Uint8Array, start: number, end: number, meta: number): void {
    this.show(buf.subarray(start, end), meta, PacketFlag.INBOUND)
    super.input(buf, start, end, meta)
  }

  private show(bytes: Uint8Array, meta: number, flags: number): void {
    const { name, medium } = this
    const sum = meta & 3
    const known = sum === CSUM_PARTIAL ? PacketFlag.CHECKSUM_NOT_READY : sum === CSUM_VALID ? PacketFlag.CHECKSUM_VALID : 0
    this.dumper.frame(
      { timeNs: this.host.wallNs(), bytes, length: bytes.length, medium, linkType: 0, flags: flags | known, name },
      meta,
    )
  }
}

/** As tcpdump, in the time of this place: `09:30:01.123456`. */
export function clockText(ns: bigint): string {
  const at = new Date(Number(ns / 1_000_000n))
  const two = (n: number): string => String(n).padStart(2, '0')
  const micros = String((ns / 1000n) % 1_000_000n).padStart(6, '0')
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${micros}`
}

/** `02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, 0x0806, length 42: `. */
function etherText(bytes: Uint8Array, length: number): string {
  if (bytes.length < 14) return ''
  const mac = (at: number): string => formatMac(bytes, at)
  return `${mac(6)} > ${mac(0)}, 0x${hex(bytes, 12, 2)}, length ${length}: `
}

/** As tcpdump -XX: sixteen bytes in a line, and what of them is text. */
export function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += 16) {
    const part = bytes.subarray(at, at + 16)
    const pairs = Array.from({ length: Math.ceil(part.length / 2) }, (_, i) => hex(part, 2 * i, Math.min(2, part.length - 2 * i)))
    const said = Array.from(part, (b) => (b > 32 && b < 127 ? String.fromCharCode(b) : '.')).join('')
    lines.push(`\t0x${at.toString(16).padStart(4, '0')}:  ${pairs.join(' ').padEnd(39)}  ${said}`)
  }
  return lines
}
