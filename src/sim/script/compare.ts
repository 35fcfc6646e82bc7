/**
 * What the stack has sent beside what the script expects.
 *
 * As packetdrill compares: everything the script writes, options in order and byte for byte, the window as it stands in the header; the value
 * of timestamps only if their tick is known. Two differences. Segments that follow one another with the same flags count as the one packet of
 * their bytes that the script may have in their place: kernels hand such super-segments to the link. And the PSH flag of such a packet is not
 * compared, since kernels set it on every super-segment. Where the profile says so a full segment in the middle of a stream may lack the PSH
 * that the script has: Linux pushes each time half a window was written, whatever the application did. What the stack echoes of the peer's timestamps is compared where the profile says so.
 */
import { ACK, CWR, FIN, type IpSpec, PSH, SYN, type TcpSpec } from './ast.ts'
import type { Endpoint } from './endpoint.ts'
import { ECN_BITS } from './inject.ts'
import type { LivePacket, LiveTcp } from './live-packet.ts'
import { ecnText, flagText, scriptOptions } from './packet-text.ts'
import type { Profile } from './profiles.ts'
import type { Settings } from './settings.ts'
import { optionText, parseOptions, type RawOption, rawOptions, TIMESTAMPS, word } from './tcp-options.ts'

/** Timestamps and what aligns them. */
const TIMESTAMPS_SPACE = 12

/** May `next` be the continuation of what `first` begins? */
export function continues(first: LiveTcp, next: LiveTcp): boolean {
  const differ = first.flags ^ next.flags
  return (
    next.length > 0 &&
    (differ & ~(PSH | FIN | CWR)) === 0 &&
    (first.flags & FIN) === 0 &&
    next.seq === (first.seq + first.length) >>> 0 &&
    next.ack === first.ack &&
    next.window === first.window
  )
}

/** Both as one packet. */
export function joined(first: LiveTcp, next: LiveTcp): LiveTcp {
  return {
    ...first,
    flags: first.flags | (next.flags & (PSH | FIN)),
    length: first.length + next.length,
    segments: first.segments + next.segments,
  }
}

/** Null: the segment is what the script expects. Else what differs, in packetdrill's words. */
export function tcpFault(spec: TcpSpec, live: LiveTcp, e: Endpoint, s: Settings, p: Profile): string | null {
  learnTimestamps(spec, live, e)
  if (spec.options !== null) {
    const expected = rawOptions(spec.options)
    const actual = scriptOptions(live, e)
    const fault = actual === null ? 'TCP options cannot be read' : optionsFault(spec, expected, actual, s, p.checkEcho)
    if (fault !== null) return fault
  }
  const isSyn = (live.flags & SYN) !== 0
  const isFull = live.length > 0 && isFullSegment(live, e)
  const mayLack = p.pushesInStream && isFull && (live.flags & PSH) === 0
  const liberal = live.segments > 1 || mayLack ? PSH : 0
  if (((spec.flags ^ live.flags) & ~liberal) !== 0)
    return `flags: expected ${flagText(spec.flags, spec.ace)}, got ${flagText(live.flags, spec.ace)}`
  if (spec.seq.length !== live.length) return field('payload', spec.seq.length, live.length, 'bytes')
  if (!spec.seq.any) {
    const seq = spec.seq.absolute ? live.seq : (live.seq - e.localOffset(isSyn)) >>> 0
    if (seq !== spec.seq.start >>> 0) return field('seq', spec.seq.start, seq)
  }
  if ((spec.flags & ACK) !== 0) {
    const ack = (live.ack - e.remoteOffset(isSyn)) >>> 0
    if (ack !== (spec.ack ?? 0) >>> 0) return field('ack', spec.ack ?? 0, ack)
  }
  if (spec.window !== null && spec.window !== live.window) return field('win', spec.window, live.window)
  if (spec.urgent !== live.urgent) return field('urg', spec.urgent, live.urgent)
  return null
}

/** As long as its options leave room for. `mss` is without timestamps, if there are any. */
function isFullSegment(live: LiveTcp, e: Endpoint): boolean {
  const info = e.socket?.connection?.info()
  return info !== undefined && live.length + live.options.length - (info.timestamps ? TIMESTAMPS_SPACE : 0) >= info.mss
}

function field(name: string, expected: number, actual: number, unit = ''): string {
  return `${name}: expected ${expected}, got ${actual}${unit === '' ? '' : ` ${unit}`}`
}

/** Also of a segment that will not match: the script may go on with it. */
function learnTimestamps(spec: TcpSpec, live: LiveTcp, e: Endpoint): void {
  const expected = spec.options?.find((o) => o.kind === 'TS')
  const actual = parseOptions(live.options)?.find((o) => o.kind === TIMESTAMPS)
  if (expected?.kind === 'TS' && expected.val !== null && actual?.data.length === 8)
    e.learnTimestamp(expected.val, word(actual.data, 0))
}

function optionsFault(
  spec: TcpSpec,
  expected: readonly RawOption[],
  actual: readonly RawOption[],
  s: Settings,
  checkEcho: boolean,
): string | null {
  const words = (options: readonly RawOption[]): string => `<${options.map(optionText).join(',')}>`
  const different = (): string => `TCP options: expected ${words(expected)}, got ${words(actual)}`
  if (expected.length !== actual.length) return different()
  for (let i = 0; i < expected.length; i++) {
    const e = expected[i]
    const a = actual[i]
    if (e.kind !== a.kind || e.data.length !== a.data.length) return different()
    if (e.kind === TIMESTAMPS) {
      const written = spec.options![i]
      if (written.kind === 'TS' && written.val !== null && s.tsTickUs > 0) {
        const off = Math.abs((word(a.data, 0) - word(e.data, 0)) | 0)
        if (off * s.tsTickUs > s.toleranceUs) return `TS val: expected ${word(e.data, 0)}, got ${word(a.data, 0)}`
      }
      if (checkEcho && word(e.data, 4) !== word(a.data, 4)) return `TS ecr: expected ${word(e.data, 4)}, got ${word(a.data, 4)}`
    } else if (e.data.some((byte, k) => byte !== a.data[k])) return different()
  }
  return null
}

/** A flow has one label, and all packets of a connection are one flow (RFC 6437 section 3): whatever the script says. */
export function flowFault(live: LivePacket, e: Endpoint): string | null {
  if (live.flowLabel < 0) return null
  const known = e.flowLabel
  e.flowLabel = live.flowLabel
  return known < 0 || known === live.flowLabel ? null : field('flowlabel', known, live.flowLabel)
}

/** The same for what stands in brackets behind the direction. */
export function ipFault(ip: IpSpec, live: LivePacket): string | null {
  const ecn = live.tos & 3
  if (ip.tos !== null && ip.tos !== live.tos) return field('tos', ip.tos, live.tos)
  if (ip.dscp !== null && ip.dscp !== live.tos >> 2) return field('dscp', ip.dscp, live.tos >> 2)
  if (ip.ecn === 'ect01') {
    if (ecn !== ECN_BITS.ect0 && ecn !== ECN_BITS.ect1) return `ecn: expected ect0 or ect1, got ${ecnText(ecn)}`
  } else if (ip.ecn !== null && ECN_BITS[ip.ecn] !== ecn) return `ecn: expected ${ip.ecn}, got ${ecnText(ecn)}`
  if (ip.ttl !== null && ip.ttl !== live.ttl) return field('ttl', ip.ttl, live.ttl)
  if (ip.flowLabel !== null && ip.flowLabel !== live.flowLabel) return field('flowlabel', ip.flowLabel, live.flowLabel)
  return null
}
