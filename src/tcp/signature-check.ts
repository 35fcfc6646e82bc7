/** Who must sign, and is it signed: signatures (signature.ts) as the layer, its listeners and connections use them. */
import { invalidArgument } from '../base/errors.ts'
import { ErrorKind, type ErrorReport } from '../ip/ip.ts'
import type { TcpKey } from './api.ts'
import type { Connection } from './connection.ts'
import type { Flow } from './flows.ts'
import type { Listener } from './listener.ts'
import type { Segment } from './segment.ts'
import type { Signature } from './signature.ts'
import { AoSignature } from './signature-ao.ts'
import { KeyChain } from './signature-keys.ts'
import { Md5Signature } from './signature-md5.ts'
import { State } from './state.ts'
import type { Tcp } from './tcp.ts'
import { C } from './tcp-counters.ts'
import { TimeWait } from './time-wait.ts'
import { ACK, OPT_MD5, SYN } from './wire.ts'

/**
 * May anybody look at this segment? `flow`: whose it is. Sets `seg.keys`. Called when the segment has an option, or the stack has keys.
 */
export function isAuthentic(tcp: Tcp, flow: Flow | null, seg: Segment): boolean {
  const n = tcp.counters.values
  seg.keys = null
  if (seg.signatureAt < 0) {
    n[C.dropBadSignatureOption]++
    return false
  }
  const listener = needsListener(flow, seg) ? tcp.listeners.find(seg.packet.destination, seg.destinationPort) : null
  if (listener === null) {
    if (flow === null) return true // and no reset, if it is signed
    seg.keys = flow.keys
  } else if (listener.keys !== null) {
    const key = listener.keys.firstOf(seg.packet.source)
    if (key !== null && seg.signatureAt === 0) {
      n[key.algorithm === null ? C.TCPMD5NotFound : C.TCPAORequired]++ // a flood of these is cheap
      return false
    }
    if (key !== null) seg.keys = candidate(tcp, listener.keys, seg)
  }
  return seg.keys !== null ? seg.keys.verify(seg, n) : seg.signatureAt === 0 || mayIgnore(tcp, seg)
}

/** Of no flow; or a SYN that may end TIME-WAIT: its connection would be a new one. */
function needsListener(flow: Flow | null, seg: Segment): boolean {
  return flow === null || (flow instanceof TimeWait && (seg.flags & (SYN | ACK)) === SYN)
}

/** Signed, and we have no key. Linux drops MD5; of TCP-AO RFC 5925 section 7.3 says that by default it is to be accepted, as by who knows no AO. */
function mayIgnore(tcp: Tcp, seg: Segment): boolean {
  const n = tcp.counters.values
  if (seg.buf[seg.signatureAt] === OPT_MD5) n[C.TCPMD5Unexpected]++
  else if (tcp.config.acceptUnknownAo) return true
  else n[C.TCPAOKeyNotFound]++
  return false
}

/** Keys of a listener, for a segment of no flow: a SYN, or an ACK that may bring back a cookie and so tells both initial numbers. */
function candidate(tcp: Tcp, chain: KeyChain, seg: Segment): Signature {
  const { packet } = seg
  const keys = chain.of(packet.source)
  if (keys[0].algorithm === null) return new Md5Signature(keys[0])
  const { local, remote } = tcp.paths.get(packet.destination, packet.source) // the packet's own change with the next
  const ao = new AoSignature(keys, local, seg.destinationPort, remote, seg.sourcePort)
  if ((seg.flags & SYN) === 0) ao.resume((seg.ack - 1) | 0, (seg.seq - 1) | 0)
  return ao
}

/** Keys of a new listener's options, or changed ones. */
export function keysOfListener(l: Listener): KeyChain | null {
  const { keys } = l.options
  if (keys === undefined || keys.length === 0) return null
  l.tcp.signing = true
  return new KeyChain(keys)
}

/** Keys of an active open, before its SYN. ERR_INVALID_ARG_VALUE if none is of the peer: it would go out unsigned, and nobody notice. */
export function openSigned(c: Connection, keys: readonly TcpKey[] | undefined): void {
  if (keys === undefined || keys.length === 0) return
  const own = new KeyChain(keys).of(c.remoteAddress)
  if (own.length === 0) throw invalidArgument(`option keys: none is of ${c.remoteAddress}`)
  c.tcp.signing = true
  c.keys =
    own[0].algorithm === null
      ? new Md5Signature(own[0])
      : new AoSignature(own, c.localAddress, c.localPort, c.remoteAddress, c.remotePort)
  c.keys.begin(c.snd.iss)
}

/**
 * Other keys for a connection that runs. That it is signed, and how, its handshake has decided: ERR_INVALID_ARG_VALUE for keys of another kind, or when
 * none is of the peer.
 */
export function changeKeys(c: Connection, keys: readonly TcpKey[] | undefined): void {
  if (keys === undefined) return
  const own = new KeyChain(keys).of(c.remoteAddress)
  const kind = own.length === 0 ? 'none' : own[0].algorithm === null ? 'md5' : 'ao'
  if (kind !== (c.keys === null ? 'none' : c.keys.name))
    throw invalidArgument('option keys: a connection that runs cannot begin or cease to be signed, nor change from MD5 to TCP-AO')
  if (c.keys instanceof AoSignature) c.keys.change(own)
  else if (c.keys !== null) c.keys = new Md5Signature(own[0])
}

/**
 * RFC 5925 section 7.8: what could end a connection, or shrink its segments, is not believed of ICMP, which nobody signs, once the connection is
 * synchronized: types 3 codes 2 to 4, and of ICMPv6 type 1 codes 1 and 4. What this host itself says is.
 */
export function ignoresIcmp(c: Connection, report: ErrorReport): boolean {
  if (c.keys === null || c.keys.name !== 'ao' || report.local) return false
  if (c.state < State.ESTABLISHED || c.tcp.config.acceptIcmpWithAo) return false
  switch (report.kind) {
    case ErrorKind.PROTOCOL_UNREACHABLE:
    case ErrorKind.PORT_UNREACHABLE:
      return true
    case ErrorKind.PACKET_TOO_BIG:
      return c.remoteAddress.isV4
    case ErrorKind.PROHIBITED:
      return !c.remoteAddress.isV4
    default:
      return false
  }
}
