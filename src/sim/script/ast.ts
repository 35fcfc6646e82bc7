/**
 * What a script in packetdrill's language says, as plain data. `parse.ts` makes it from text, `run.ts` plays it on a stack.
 *
 * The language is the union of what google's, nplab's and FreeBSD's packetdrill read; where they write the same thing in two ways there is
 * one form here. Times are microseconds, as in packetdrill; numbers of TCP are as written (relative to the initial sequence numbers,
 * unless marked absolute). What the language has but this stack cannot play is not in the tree: the parser names it, and the script is
 * skipped with that reason.
 */

export type Platform = 'linux' | 'freebsd'

/** Where something stands in the file; both count from 1. */
export interface Position {
  line: number
  column: number
}

export interface Script {
  file: string
  /** `--name=value` and `--name`, in order, those of the caller last; defines are applied already and not among them. */
  options: ScriptOption[]
  /** Commands in backticks before the first event that have no time: done before there is a stack. */
  init: Command[]
  events: ScriptEvent[]
  /** Commands in backticks after the last event that have no time: done when the script is over. */
  cleanup: Command[]
}

export interface ScriptOption {
  /** Without the dashes: `tolerance_usecs`. */
  name: string
  /** As written without quotes; empty for `--name` alone. */
  value: string
  position: Position
}

export type ScriptTime =
  | { kind: 'absolute'; us: number }
  /** After the event before. */
  | { kind: 'relative'; us: number }
  | { kind: 'absolute-range'; us: number; endUs: number }
  | { kind: 'relative-range'; us: number; endUs: number }
  /** `*`: whenever. Outbound packets only. */
  | { kind: 'any' }

interface EventBase {
  time: ScriptTime
  position: Position
  /** The event as it stands in the file, white space squeezed, without its time. */
  text: string
}

export interface PacketEvent extends EventBase {
  kind: 'packet'
  packet: PacketSpec
}

export interface SyscallEvent extends EventBase {
  kind: 'syscall'
  call: Syscall
}

export interface CommandEvent extends EventBase {
  kind: 'command'
  command: Command
}

export interface CodeEvent extends EventBase {
  kind: 'code'
  code: Code
}

export type ScriptEvent = PacketEvent | SyscallEvent | CommandEvent | CodeEvent

/** `in`: `<`, injected. `out`: `>`, expected of the stack. */
export type Direction = 'in' | 'out'

export type Ecn = 'noecn' | 'ect0' | 'ect1' | 'ce'

/** What stands in brackets behind the direction. Null where nothing is said: not checked, defaults when injected. */
export interface IpSpec {
  /** `ect01`: either of ECT(0) and ECT(1). */
  ecn: Ecn | 'ect01' | null
  /** The whole octet. */
  tos: number | null
  /** The upper six bits of it. */
  dscp: number | null
  ttl: number | null
  flowLabel: number | null
}

export interface PacketSpec {
  direction: Direction
  ip: IpSpec
  /** As they stand in the packet: `source > destination`. */
  ports: { source: number; destination: number } | null
  body: TcpSpec | UdpSpec | IcmpSpec
}

/** The flags of TCP as bits of octets 12 and 13 of the header. */
export const FIN = 0x001
export const SYN = 0x002
export const RST = 0x004
export const PSH = 0x008
export const ACK = 0x010
export const URG = 0x020
export const ECE = 0x040
export const CWR = 0x080
/** Accurate ECN, RFC 9768 section 2. */
export const AE = 0x100

export interface TcpSpec {
  kind: 'tcp'
  /** Nine bits. An ACE digit (`5.`, `P.5`) is in them as AE, CWR, ECE. */
  flags: number
  /** True when the ACE field was written as a digit. */
  ace: boolean
  seq: SeqSpec
  /** Null where there was none: 0 when injected; not compared when expected without the ACK flag. */
  ack: number | null
  /** As in the header, unscaled. Null: not compared; 0 when injected. */
  window: number | null
  urgent: number
  /** Null: `<...>`, not compared. Outbound packets only. */
  options: TcpOptionSpec[] | null
}

/** `1:1001(1000)`, `5:5(0)!`, `...(1000)`. */
export interface SeqSpec {
  start: number
  length: number
  /** The number on the wire, not relative to the initial one (nplab's `!`). */
  absolute: boolean
  /** Only the length is meant (nplab's `...(length)`). */
  any: boolean
}

export type TcpOptionSpec =
  | { kind: 'eol' | 'nop' | 'sackOK' }
  | { kind: 'mss'; value: number }
  | { kind: 'wscale'; shift: number }
  /** In order, relative numbers: of what the receiver of the SACK has sent. */
  | { kind: 'sack'; blocks: { left: number; right: number }[] }
  /** `val` null: any. `ecrAbsolute`: the value on the wire (nplab's `!`). */
  | { kind: 'TS'; val: number | null; ecr: number; ecrAbsolute: boolean }
  /** RFC 7413; experimental: kind 254 with the magic 0xf989. No bytes: asks for a cookie. */
  | { kind: 'FO'; cookie: number[]; experimental: boolean }
  /** RFC 2385: bytes as written, a digest that is right, or one that is not (with the secret of `--tcp_md5_secret`). */
  | { kind: 'md5'; digest: number[]; mode: 'bytes' | 'valid' | 'invalid' }
  /** RFC 9768 section 3.2.3; kind 172 (order 0: e0b ceb e1b) or 174 (order 1: e1b ceb e0b), trailing counters may lack. */
  | { kind: 'accecn'; order: 0 | 1; counters: number[]; experimental: boolean }
  /** TCP ACK rate request, experimental (0x00ac): null without a rate. */
  | { kind: 'tarr'; rate: number | null }

export interface UdpSpec {
  kind: 'udp'
  /** Payload, bytes. */
  length: number
}

export interface IcmpSpec {
  kind: 'icmp'
  /** As written: `unreachable`, `time_exceeded`, `packet_too_big`, `echo_request`... and `frag_needed`. Or numbers in decimal. */
  type: string
  code: string | null
  mtu: number | null
  id: number | null
  /** The packet that is quoted; null: none is named. */
  quoted: { kind: 'tcp'; seq: SeqSpec } | { kind: 'udp' | 'raw'; length: number } | null
}

export interface Syscall {
  name: string
  args: Expression[]
  /** When a blocking call returns, on the scale of the event's time: relative to the same event before if that is. Null: does not block. */
  endUs: number | null
  result: Expression
  /** `EINPROGRESS` after `= -1`. */
  errno: string | null
  /** What stands in parentheses at the end. */
  note: string | null
}

export type Expression =
  /** `...`: given by the runner, or not compared. */
  | { kind: 'any'; position: Position }
  | { kind: 'int'; value: number; position: Position }
  | { kind: 'word'; name: string; position: Position }
  /** `open`: followed by an ellipsis, the beginning of something. */
  | { kind: 'string'; value: string; open: boolean; position: Position }
  /** `|` of flags; `=` of a name and a value. */
  | { kind: 'binary'; op: '|' | '='; left: Expression; right: Expression; position: Position }
  /** `[a, b]`. */
  | { kind: 'list'; items: Expression[]; position: Position }
  /** `{name=value, name(count)=value, value}`. */
  | { kind: 'struct'; fields: Field[]; position: Position }
  /** `htons(8080)`, `inet_addr("192.0.2.1")`. */
  | { kind: 'call'; name: string; args: Expression[]; position: Position }

export interface Field {
  /** Empty where there is only a value, as in an iovec. */
  name: string
  /** What stands in parentheses behind the name: `msg_iov(2)=`. */
  count: Expression | null
  value: Expression
}

/** A command in backticks and what the table makes of it. */
export interface Command {
  text: string
  position: Position
  effects: Effect[]
}

/** What a command does to the stack or asks of it. The table (`commands.ts`) has only these; a command that is none of them skips the script. */
export type Effect =
  /** Values of `base/config.ts`: of the stack from now on. */
  | { kind: 'config'; section: 'tcp' | 'ipv4' | 'ipv6' | 'icmp' | 'udp'; values: ConfigValues }
  /** A bit of such a value. */
  | { kind: 'config-bit'; section: 'tcp'; name: string; bit: number; on: boolean }
  /** Of the routes to the peer. Null: as before; `mtuLocked`: no path MTU discovery below it; `family`: of which its addresses are, if it names any. */
  | {
      kind: 'route'
      family: 4 | 6 | null
      mtu: number | null
      mtuLocked: boolean
      advertisedMss: number | null
      initialWindowSegments: number | null
      congestion: string | null
      rtoMinMs: number | null
    }
  | { kind: 'link-mtu'; mtu: number }
  | { kind: 'link-state'; up: boolean }
  /** The link's queue takes nothing. */
  | { kind: 'link-queue'; full: boolean }
  /** A file of so many zeros; null: there is none. */
  | { kind: 'file'; path: string; bytes: number | null }
  /** What is remembered of peers: metrics, fast open cookies. */
  | { kind: 'flush-metrics' }
  /** Nothing happens for so long. */
  | { kind: 'sleep'; us: number }
  /** The number of sockets in a state (all when null) must be this; null: at least one. */
  | { kind: 'count-sockets'; state: string | null; expected: number | null }
  /** A counter of the stack, by Linux's name (`OutOfWindowIcmps`), must have moved since the last `counters-marked`, by so much if not null. */
  | { kind: 'counter-moved'; name: string; by: number | null }
  | { kind: 'counters-marked' }
  /** How long a handshake of the sockets made from now on may take. */
  | { kind: 'connect-limit'; ms: number }
  /** Connections in TIME-WAIT are forgotten. */
  | { kind: 'forget-time-wait' }
  /** RFC 2385: the key of what goes from one address to the other. `md5-keys-flushed`: none any more. */
  | { kind: 'md5-key'; source: string; destination: string; key: string }
  | { kind: 'md5-keys-flushed' }

export interface ConfigValues {
  [name: string]: number | boolean | string | string[]
}

/** A `%{ }%` block, parsed by `code.ts`. */
export interface Code {
  text: string
  statements: CodeStatement[]
}

export type CodeStatement =
  | { kind: 'assert'; test: CodeExpression; message: CodeExpression | null; text: string }
  | { kind: 'assign'; name: string; value: CodeExpression }
  | { kind: 'if'; test: CodeExpression; then: CodeStatement[]; otherwise: CodeStatement[] }

export type CodeExpression =
  | { kind: 'number'; value: number }
  | { kind: 'string'; value: string }
  | { kind: 'name'; name: string }
  | { kind: 'unary'; op: '-' | '+' | '~' | 'not'; operand: CodeExpression }
  | { kind: 'binary'; op: string; left: CodeExpression; right: CodeExpression }
  /** `a < b <= c`: as many operators as operands less one. */
  | { kind: 'compare'; ops: string[]; operands: CodeExpression[] }
  | { kind: 'choice'; test: CodeExpression; then: CodeExpression; otherwise: CodeExpression }
  | { kind: 'tuple'; items: CodeExpression[] }
  | { kind: 'call'; name: string; args: CodeExpression[] }

/** What became of a script. */
export interface Outcome {
  result: 'passed' | 'failed' | 'skipped'
  /** Why it failed or was skipped: `file:line: what`. */
  reason?: string
  /** Lines: what was expected and what came. */
  diff?: string
}
