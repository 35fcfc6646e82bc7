/** The notation of the TCP lab, packetdrill's as far as it goes: flags, segments, options as text; and the pattern that payloads follow. */

/** `A` is AE (RFC 9768). */
export const FLAGS = 'FSRP.UEWA'

/** The byte at a relative sequence number (1 is the first): the same for both directions. */
export function patternAt(relative: number): number {
  const x = Math.imul(relative, 0x9e3779b1)
  return ((x >>> 24) ^ (x >>> 11)) & 0xff
}

export function pattern(from: number, length: number): Uint8Array {
  const out = new Uint8Array(length)
  for (let i = 0; i < length; i++) out[i] = patternAt(from + i)
  return out
}

export interface Emitted {
  flags: number
  /** Absolute, int32. */
  seq: number
  ack: number
  len: number
  win: number
  urgent: number
  options: string[]
  tsVal: number
  tsEcr: number
  localPort: number
  remotePort: number
  remote: number
  tos: number
  ttl: number
  /** Payload bytes per segment of a super-segment; 0 = none. */
  gso: number
  atMs: number
  payload: Uint8Array
  /** As in the notation, relative numbers. */
  text: string
}

/** Option bytes from the notation, padded with zeros (MUST-69); `iss`: what SACK blocks are relative to. */
export function optionBytes(text: string, iss: number): number[] {
  const out: number[] = []
  for (const raw of text.split(',')) {
    const word = raw.trim().split(' ')
    switch (word[0]) {
      case '':
        break
      case 'mss':
        out.push(2, 4, ...b16(Number(word[1])))
        break
      case 'wscale':
        out.push(3, 3, Number(word[1]))
        break
      case 'sackOK':
        out.push(4, 2)
        break
      case 'nop':
        out.push(1)
        break
      case 'eol':
        out.push(0)
        break
      case 'FO':
      case 'FOEXP': {
        const cookie = [...Buffer.from(word[1] ?? '', 'hex')]
        if (word[0] === 'FO') out.push(34, 2 + cookie.length, ...cookie)
        else out.push(254, 4 + cookie.length, 0xf9, 0x89, ...cookie)
        break
      }
      case 'TS':
        out.push(8, 10, ...b32(Number(word[2])), ...b32(Number(word[4])))
        break
      case 'sack': {
        const blocks = word.slice(1).map((b) => b.split(':').map(Number))
        out.push(5, 2 + 8 * blocks.length, ...blocks.flatMap(([l, r]) => [...b32((iss + l) | 0), ...b32((iss + r) | 0)]))
        break
      }
      case 'ECN': {
        const isFirst = word[1] !== 'e1b'
        const values = word.slice(1).filter((_, i) => i % 2 === 1)
        out.push(isFirst ? 172 : 174, 2 + 3 * values.length, ...values.flatMap((v) => b32(Number(v)).slice(1)))
        break
      }
      case 'hex':
        for (let i = 0; i < word[1].length; i += 2) out.push(Number.parseInt(word[1].slice(i, i + 2), 16))
        break
      default:
        throw new Error(`unknown option ${raw}`)
    }
  }
  while (out.length % 4 !== 0) out.push(0)
  return out
}

/** What must always hold of a segment that we emit. */
export function law(holds: boolean, what: string): void {
  if (!holds) throw new Error(`law broken: ${what}`)
}

export function b16(v: number): number[] {
  return [(v >>> 8) & 255, v & 255]
}

export function b32(v: number): number[] {
  return [(v >>> 24) & 255, (v >>> 16) & 255, (v >>> 8) & 255, v & 255]
}

/** The options of a segment in the notation, sequence numbers absolute. */
export function readOptions(bytes: Uint8Array, from: number, to: number): { list: string[]; tsVal: number; tsEcr: number } {
  const list: string[] = []
  const word = (i: number): number => (bytes[i] << 24) | (bytes[i + 1] << 16) | (bytes[i + 2] << 8) | bytes[i + 3]
  let tsVal = 0
  let tsEcr = 0
  for (let i = from; i < to; ) {
    const kind = bytes[i]
    if (kind === 1) {
      i++
      continue
    }
    law(kind !== 0, 'options are padded with NOP')
    const length = bytes[i + 1]
    law(length >= 2 && i + length <= to, 'option length (MUST-68)')
    if (kind === 2 && length === 4) list.push(`mss ${(bytes[i + 2] << 8) | bytes[i + 3]}`)
    else if (kind === 3 && length === 3) list.push(`wscale ${bytes[i + 2]}`)
    else if (kind === 4 && length === 2) list.push('sackOK')
    else if (kind === 8 && length === 10) {
      tsVal = word(i + 2)
      tsEcr = word(i + 6)
      list.push(`TS val ${tsVal} ecr ${tsEcr}`)
    } else if (kind === 5 && length > 2 && (length - 2) % 8 === 0) {
      const blocks: string[] = []
      for (let j = i + 2; j < i + length; j += 8) blocks.push(`${word(j)}:${word(j + 4)}`)
      list.push(`sack ${blocks.join(' ')}`)
    } else if ((kind === 172 || kind === 174) && length <= 11 && (length - 2) % 3 === 0) {
      const names = kind === 172 ? ['e0b', 'ceb', 'e1b'] : ['e1b', 'ceb', 'e0b']
      const values = names.slice(0, (length - 2) / 3).map((name, j) => `${name} ${word(i + 1 + 3 * j) & 0xffffff}`)
      list.push(['ECN', ...values].join(' '))
    } else if (kind === 34 || (kind === 254 && length >= 4 && bytes[i + 2] === 0xf9 && bytes[i + 3] === 0x89)) {
      const cookie = Buffer.from(bytes.slice(i + (kind === 34 ? 2 : 4), i + length)).toString('hex')
      list.push(`${kind === 34 ? 'FO' : 'FOEXP'} ${cookie}`.trim())
    } else law(false, `option ${kind} of length ${length}`)
    i += length
  }
  return { list, tsVal, tsEcr }
}

/** What `line` says is true of `e`; options in `<...>` are compared as a whole, `TS` and `TS ecr N` match any value left out. */
export function matches(line: string, e: Emitted): boolean {
  const m = /^(\S+) (\S+)(?: ack (\S+))?(?: win (\S+))?(?: urg (\S+))?(?: <(.*)>)?$/.exec(line)
  if (m === null) throw new Error(`cannot read expectation: ${line}`)
  const got = /^(\S+) (\S+)(?: ack (\S+))?(?: win (\S+))?(?: urg (\S+))?(?: <(.*)>)?$/.exec(e.text)!
  const set = (s: string): string => [...s].sort().join('')
  if (set(m[1].replace('P', '')) !== set(got[1].replace('P', ''))) return false
  if (m[1].includes('P') && !got[1].includes('P')) return false
  if (m[2] !== got[2]) return false
  for (let i = 3; i <= 5; i++) if (m[i] !== undefined && m[i] !== got[i]) return false
  if (m[6] === undefined) return true
  const want = m[6] === '' ? [] : m[6].split(',').map((o) => o.trim())
  return (
    want.length === e.options.length &&
    want.every((w, i) => {
      const o = e.options[i]
      if (w === 'TS') return o.startsWith('TS')
      if (w.startsWith('TS ecr')) return o.startsWith('TS') && o.endsWith(w.slice(3))
      return w === o
    })
  )
}
