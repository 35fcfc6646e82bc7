/** TCP options between the tree, bytes and text. */
import type { TcpOptionSpec } from './ast.ts'

/** One option as on the wire; `data` without kind and length. EOL and NOP have none. */
export interface RawOption {
  kind: number
  data: number[]
}

const EOL = 0
const NOP = 1
const MSS = 2
const WSCALE = 3
const SACK_PERMITTED = 4
export const SACK = 5
export const TIMESTAMPS = 8
const MD5 = 19
const FAST_OPEN = 34
const ACCECN0 = 172
const ACCECN1 = 174
const EXPERIMENT = 254

const FAST_OPEN_MAGIC = [0xf9, 0x89]
const TARR_MAGIC = [0x00, 0xac]
/** draft-ietf-tcpm-accurate-ecn before it had numbers of its own. */
const ACCECN_MAGIC: readonly (readonly number[])[] = [
  [0xac, 0xc0],
  [0xac, 0xc1],
]

export function u32(value: number): number[] {
  return [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]
}

export function word(data: readonly number[], at: number): number {
  return ((data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | data[at + 3]) >>> 0
}

/** What the tree says, as on the wire. Numbers stay as written: SACK blocks and timestamps are the caller's to map. */
export function rawOptions(specs: readonly TcpOptionSpec[]): RawOption[] {
  return specs.map(rawOption)
}

function rawOption(o: TcpOptionSpec): RawOption {
  switch (o.kind) {
    case 'eol':
      return { kind: EOL, data: [] }
    case 'nop':
      return { kind: NOP, data: [] }
    case 'sackOK':
      return { kind: SACK_PERMITTED, data: [] }
    case 'mss':
      return { kind: MSS, data: [(o.value >> 8) & 0xff, o.value & 0xff] }
    case 'wscale':
      return { kind: WSCALE, data: [o.shift & 0xff] }
    case 'sack':
      return { kind: SACK, data: o.blocks.flatMap((b) => [...u32(b.left), ...u32(b.right)]) }
    case 'TS':
      return { kind: TIMESTAMPS, data: [...u32(o.val ?? 0), ...u32(o.ecr)] }
    case 'FO':
      return o.experimental
        ? { kind: EXPERIMENT, data: [...FAST_OPEN_MAGIC, ...o.cookie] }
        : { kind: FAST_OPEN, data: [...o.cookie] }
    case 'md5':
      return { kind: MD5, data: [...o.digest] }
    case 'accecn': {
      const counters = o.counters.flatMap((c) => [(c >> 16) & 0xff, (c >> 8) & 0xff, c & 0xff])
      if (o.experimental) return { kind: EXPERIMENT, data: [...ACCECN_MAGIC[o.order], ...counters] }
      return { kind: o.order === 0 ? ACCECN0 : ACCECN1, data: counters }
    }
    case 'tarr':
      return { kind: EXPERIMENT, data: o.rate === null ? [...TARR_MAGIC] : [...TARR_MAGIC, ...u32(o.rate).slice(1)] }
  }
}

export function optionBytes(options: readonly RawOption[]): number[] {
  const out: number[] = []
  for (const o of options) {
    out.push(o.kind)
    if (o.kind !== EOL && o.kind !== NOP) out.push(o.data.length + 2, ...o.data)
  }
  while (out.length % 4 !== 0) out.push(EOL)
  return out
}

/** Null when a length does not fit. Every EOL is one option, as scripts write them. */
export function parseOptions(bytes: Uint8Array): RawOption[] | null {
  const out: RawOption[] = []
  for (let i = 0; i < bytes.length; ) {
    const kind = bytes[i]
    if (kind === EOL || kind === NOP) {
      out.push({ kind, data: [] })
      i++
      continue
    }
    const length = i + 1 < bytes.length ? bytes[i + 1] : 0
    if (length < 2 || i + length > bytes.length) return null
    out.push({ kind, data: [...bytes.subarray(i + 2, i + length)] })
    i += length
  }
  return out
}

/** As scripts write it. */
export function optionText(o: RawOption): string {
  const { kind, data } = o
  if (kind === EOL) return 'eol'
  if (kind === NOP) return 'nop'
  if (kind === SACK_PERMITTED && data.length === 0) return 'sackOK'
  if (kind === MSS && data.length === 2) return `mss ${(data[0] << 8) | data[1]}`
  if (kind === WSCALE && data.length === 1) return `wscale ${data[0]}`
  if (kind === TIMESTAMPS && data.length === 8) return `TS val ${word(data, 0)} ecr ${word(data, 4)}`
  if (kind === SACK && data.length % 8 === 0 && data.length > 0) {
    const blocks: string[] = []
    for (let i = 0; i < data.length; i += 8) blocks.push(`${word(data, i)}:${word(data, i + 4)}`)
    return `sack ${blocks.join(' ')}`
  }
  const hex = data.map((b) => b.toString(16).padStart(2, '0')).join('')
  if (kind === FAST_OPEN) return hex === '' ? 'FO' : `FO ${hex}`
  if (kind === MD5) return `md5 ${hex}`
  if ((kind === ACCECN0 || kind === ACCECN1) && data.length % 3 === 0) {
    const names = kind === ACCECN0 ? ['e0b', 'ceb', 'e1b'] : ['e1b', 'ceb', 'e0b']
    const counters: string[] = []
    for (let i = 0; i < data.length; i += 3)
      counters.push(`${names[i / 3]} ${(data[i] << 16) | (data[i + 1] << 8) | data[i + 2]}`)
    return `ECN ${counters.join(' ')}`.trim()
  }
  if (kind === EXPERIMENT) return `exp-${hex}`
  return `kind ${kind} ${hex}`.trim()
}
