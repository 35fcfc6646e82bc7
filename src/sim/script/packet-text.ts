/** Packets of the stack as the script would write them, for what is said when they do not match. */
import { ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG } from './ast.ts'
import type { Endpoint } from './endpoint.ts'
import type { LivePacket, LiveTcp } from './live-packet.ts'
import { optionText, parseOptions, type RawOption, SACK, TIMESTAMPS, u32, word } from './tcp-options.ts'

const LETTERS: readonly (readonly [number, string])[] = [
  [FIN, 'F'],
  [SYN, 'S'],
  [RST, 'R'],
  [PSH, 'P'],
]

/** `P.`, `SEW`, or with `ace` the counter as a digit: `P5.`. `-` for none. */
export function flagText(flags: number, ace = false): string {
  let text = ''
  for (const [bit, letter] of LETTERS) if ((flags & bit) !== 0) text += letter
  if (ace) text += String(((flags & AE) !== 0 ? 4 : 0) | ((flags & CWR) !== 0 ? 2 : 0) | ((flags & ECE) !== 0 ? 1 : 0))
  else {
    if ((flags & ECE) !== 0) text += 'E'
    if ((flags & CWR) !== 0) text += 'W'
    if ((flags & AE) !== 0) text += 'A'
  }
  if ((flags & ACK) !== 0) text += '.'
  if ((flags & URG) !== 0) text += 'U'
  return text === '' ? '-' : text
}

/** Options as the script would write them: SACK blocks relative, our timestamps mapped. Null: they cannot be read. */
export function scriptOptions(tcp: LiveTcp, e: Endpoint): RawOption[] | null {
  const options = parseOptions(tcp.options)
  if (options === null) return null
  const offset = e.remoteOffset((tcp.flags & SYN) !== 0)
  for (const o of options) {
    if (o.kind === SACK && o.data.length % 4 === 0) {
      const data: number[] = []
      for (let k = 0; k < o.data.length; k += 4) data.push(...u32(word(o.data, k) - offset))
      o.data = data
    } else if (o.kind === TIMESTAMPS && o.data.length === 8) {
      o.data = [...u32(e.scriptTimestamp(word(o.data, 0))), ...o.data.slice(4)]
    }
  }
  return options
}

export function packetText(packet: LivePacket, e: Endpoint, ace = false): string {
  const { body } = packet
  const ip = ` [${ecnText(packet.tos)}]`
  if (body.kind === 'icmp') return `>${ip} icmp type ${body.type} code ${body.code}`
  if (body.kind === 'other') return `> a packet of protocol ${body.protocol}`
  return `>${(packet.tos & 3) === 0 ? '' : ip} ${tcpText(body, e, ace)}`
}

function tcpText(tcp: LiveTcp, e: Endpoint, ace: boolean): string {
  const isSyn = (tcp.flags & SYN) !== 0
  const seq = (tcp.seq - e.localOffset(isSyn)) >>> 0
  let text = `${flagText(tcp.flags, ace)} ${seq}:${(seq + tcp.length) >>> 0}(${tcp.length})`
  if ((tcp.flags & ACK) !== 0) text += ` ack ${(tcp.ack - e.remoteOffset(isSyn)) >>> 0}`
  text += ` win ${tcp.window}`
  if (tcp.urgent !== 0) text += ` urg ${tcp.urgent}`
  const options = scriptOptions(tcp, e)
  if (options === null) text += ' <unreadable options>'
  else if (options.length > 0) text += ` <${options.map(optionText).join(',')}>`
  if (tcp.segments > 1) text += ` (${tcp.segments} segments)`
  return text
}

export function ecnText(bits: number): string {
  return ['noecn', 'ect1', 'ect0', 'ce'][bits & 3]
}
