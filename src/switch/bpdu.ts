/**
 * BPDUs (IEEE 802.1D-2004 clause 9), and the vectors that they carry (clause 17.6): who is the root, how far it is, and who says so.
 *
 * Identifiers of bridges are 16 hexadecimal digits, priority first: their order as texts is their order as numbers, which 64 bits have not here.
 * This is no hot path: a switch hears a few BPDUs a second.
 */
import { get16, get32, hex, put16, put32 } from '../base/bytes.ts'
import { blob, offsetsOf, struct, u8, u16be, u32be } from '../base/layout.ts'
import { ETH, ETH_HEADER, ETH_MIN_FRAME, ETHERTYPE_MIN } from '../ethernet/wire.ts'

/** From the LLC header on; a TCN ends after `type`, a Configuration BPDU before `version1Length`. Times are in 1/256 s. */
export const bpduLayout = struct([
  u8('dsap'),
  u8('ssap'),
  u8('control'),
  u16be('protocol'),
  u8('version'),
  u8('type'),
  u8('flags'),
  blob(8, 'root'),
  u32be('cost'),
  blob(8, 'bridge'),
  u16be('port'),
  u16be('messageAge'),
  u16be('maxAge'),
  u16be('helloTime'),
  u16be('forwardDelay'),
  u8('version1Length'),
])
const B = offsetsOf(bpduLayout, [
  'protocol',
  'version',
  'type',
  'flags',
  'root',
  'cost',
  'bridge',
  'port',
  'messageAge',
  'maxAge',
  'helloTime',
  'forwardDelay',
] as const)
const LLC = 3
const LLC_BPDU = 0x42
const LLC_UI = 0x03
/** Bytes from the LLC header on. */
const RST_LENGTH = bpduLayout.span
const CONFIG_LENGTH = RST_LENGTH - 1
const TCN_LENGTH = LLC + 4
const IDENTIFIER = 8
/** Room that `writeBpdu` needs. */
export const BPDU_FRAME = ETH_MIN_FRAME
const GROUP = Uint8Array.of(0x01, 0x80, 0xc2, 0, 0, 0)

export const BpduType = { CONFIG: 0x00, RST: 0x02, TCN: 0x80 } as const
export const BpduFlag = {
  TOPOLOGY_CHANGE: 0x01,
  PROPOSAL: 0x02,
  ROLE: 0x0c,
  LEARNING: 0x10,
  FORWARDING: 0x20,
  AGREEMENT: 0x40,
  TOPOLOGY_CHANGE_ACK: 0x80,
} as const
/** Values of the two bits of `ROLE`. */
export const BpduRole = { UNKNOWN: 0x00, ALTERNATE: 0x04, ROOT: 0x08, DESIGNATED: 0x0c } as const

/** A priority vector: the less, the better. */
export interface Vector {
  readonly root: string
  readonly cost: number
  readonly bridge: string
  readonly port: number
}

/** Below 0: `a` is better. 0: they are the same. */
export function compareVectors(a: Vector, b: Vector): number {
  if (a.root !== b.root) return a.root < b.root ? -1 : 1
  if (a.cost !== b.cost) return a.cost - b.cost
  if (a.bridge !== b.bridge) return a.bridge < b.bridge ? -1 : 1
  return a.port - b.port
}

/** Times in seconds, fractions too. */
export interface TreeTimes {
  readonly messageAge: number
  readonly maxAge: number
  readonly helloTime: number
  readonly forwardDelay: number
}

export function sameTimes(a: TreeTimes, b: TreeTimes): boolean {
  return (
    a.messageAge === b.messageAge && a.maxAge === b.maxAge && a.helloTime === b.helloTime && a.forwardDelay === b.forwardDelay
  )
}

export interface Bpdu {
  /** `BpduType`. */
  readonly type: number
  /** `BpduFlag`s. */
  readonly flags: number
  /** Of a TCN, which has none: nobody looks. */
  readonly vector: Vector
  readonly times: TreeTimes
}

const NO_VECTOR: Vector = { root: '', cost: 0, bridge: '', port: 0 }
const NO_TIMES: TreeTimes = { messageAge: 0, maxAge: 0, helloTime: 0, forwardDelay: 0 }

/** Reads the BPDU in an Ethernet frame; null: it is none that counts (clause 9.3.4). */
export function readBpdu(buf: Uint8Array, start: number, frameEnd: number): Bpdu | null {
  const length = get16(buf, start + ETH.etherType)
  const at = start + ETH_HEADER
  if (length >= ETHERTYPE_MIN || length < TCN_LENGTH || at + length > frameEnd) return null
  if (buf[at] !== LLC_BPDU || buf[at + 1] !== LLC_BPDU || buf[at + 2] !== LLC_UI) return null
  if (get16(buf, at + B.protocol) !== 0) return null
  const type = buf[at + B.type]
  if (type === BpduType.TCN) return { type, flags: 0, vector: NO_VECTOR, times: NO_TIMES }
  const version = buf[at + B.version]
  const isConfig = type === BpduType.CONFIG && length >= CONFIG_LENGTH
  const isRapid = type === BpduType.RST && version >= 2 && length >= RST_LENGTH
  if (!isConfig && !isRapid) return null
  const time = (off: number): number => get16(buf, at + off) / 256
  const times = {
    messageAge: time(B.messageAge),
    maxAge: time(B.maxAge),
    helloTime: Math.max(1, time(B.helloTime)),
    forwardDelay: time(B.forwardDelay),
  }
  if (times.messageAge >= times.maxAge) return null
  const vector = {
    root: hex(buf, at + B.root, IDENTIFIER),
    cost: get32(buf, at + B.cost) >>> 0,
    bridge: hex(buf, at + B.bridge, IDENTIFIER),
    port: get16(buf, at + B.port),
  }
  return { type, flags: buf[at + B.flags], vector, times }
}

/** Writes a BPDU as a frame of `BPDU_FRAME` bytes at `start`. */
export function writeBpdu(buf: Uint8Array, start: number, source: Uint8Array, bpdu: Bpdu): void {
  const { type, flags, vector, times } = bpdu
  const length = type === BpduType.TCN ? TCN_LENGTH : type === BpduType.RST ? RST_LENGTH : CONFIG_LENGTH
  const at = start + ETH_HEADER
  buf.fill(0, start, start + BPDU_FRAME)
  buf.set(GROUP, start)
  buf.set(source, start + ETH.source)
  put16(buf, start + ETH.etherType, length)
  buf[at] = LLC_BPDU
  buf[at + 1] = LLC_BPDU
  buf[at + 2] = LLC_UI
  buf[at + B.version] = type === BpduType.RST ? 2 : 0
  buf[at + B.type] = type
  if (type === BpduType.TCN) return
  buf[at + B.flags] = flags
  putIdentifier(buf, at + B.root, vector.root)
  put32(buf, at + B.cost, vector.cost)
  putIdentifier(buf, at + B.bridge, vector.bridge)
  put16(buf, at + B.port, vector.port)
  put16(buf, at + B.messageAge, times.messageAge * 256)
  put16(buf, at + B.maxAge, times.maxAge * 256)
  put16(buf, at + B.helloTime, times.helloTime * 256)
  put16(buf, at + B.forwardDelay, times.forwardDelay * 256)
}

function putIdentifier(buf: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < IDENTIFIER; i++) buf[at + i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
}
