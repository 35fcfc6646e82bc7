/** ICMPv6 for dissect-transport.ts: errors with the packet that they quote, Neighbor Discovery with its options, MLD with its records. */
import { get16, get32 } from '../base/bytes.ts'
import { formatMac } from '../ethernet/mac.ts'
import { ICMP_HEADER } from '../icmp/wire.ts'
import * as wire from '../icmp6/wire.ts'
import * as mld from '../multicast/wire.ts'
import * as nd from '../nd/wire.ts'
import { ipv6At, type View } from './dissect.ts'
import { quote } from './dissect-transport.ts'

const UNREACHABLE = [
  'no route',
  'admin prohibited',
  'beyond scope',
  'address unreachable',
  'port unreachable',
  'source policy',
  'route rejected',
]
const PROBLEM = ['header', 'next header', 'option', 'first fragment']
const RECORD = ['', 'is include', 'is exclude', 'to include', 'to exclude', 'allow', 'block']
/** Records and options that one line names. */
const MOST = 8

/** `[at, end)` are the bytes that are there, of `length`. */
export function icmp6(buf: Uint8Array, at: number, end: number, length: number, view: View): string {
  if (end - at < ICMP_HEADER) return `ICMP6 malformed: ${Math.max(0, end - at)} bytes`
  const type = buf[at]
  const code = buf[at + 1]
  const word = get32(buf, at + 4) >>> 0
  const ids = `id ${word >>> 16}, seq ${word & 0xffff}, length ${length}`
  const about = (what: string): string => `ICMP6 ${what}, length ${length}${quote(buf, at + ICMP_HEADER, end, view)}`
  const found = (what: string): string => `ICMP6 ${what}, length ${length}`
  const options = (from: number): string => discoveryOptions(buf, at + from, end)
  const address = (off: number): string => (end - at < off + 16 ? 'malformed target' : ipv6At(buf, at + off))
  switch (type) {
    case wire.ICMP6_UNREACHABLE:
      return about(UNREACHABLE[code] ?? `unreachable code ${code}`)
    case wire.ICMP6_TOO_BIG:
      return about(`packet too big (mtu ${word})`)
    case wire.ICMP6_TIME_EXCEEDED:
      return about(code === 0 ? 'time exceeded in-transit' : 'reassembly time exceeded')
    case wire.ICMP6_PARAMETER_PROBLEM:
      return about(`parameter problem (${PROBLEM[code] ?? `code ${code}`}) at octet ${word}`)
    case wire.ICMP6_ECHO:
      return `ICMP6 echo request, ${ids}`
    case wire.ICMP6_ECHO_REPLY:
      return `ICMP6 echo reply, ${ids}`
    case wire.ND_ROUTER_SOLICITATION:
      return found(`router solicitation${options(nd.ND_RS_LENGTH)}`)
    case wire.ND_ROUTER_ADVERTISEMENT:
      return found(`router advertisement${routerAdvertisement(buf, at, end)}`)
    case wire.ND_NEIGHBOR_SOLICITATION:
      return found(`neighbor solicitation, who has ${address(nd.ND_NEIGHBOR.target)}${options(nd.ND_NEIGHBOR_LENGTH)}`)
    case wire.ND_NEIGHBOR_ADVERTISEMENT: {
      const flags = flagNames(buf[at + 4], [nd.NA_ROUTER, nd.NA_SOLICITED, nd.NA_OVERRIDE], ['router', 'solicited', 'override'])
      return found(`neighbor advertisement, tgt is ${address(nd.ND_NEIGHBOR.target)}${flags}${options(nd.ND_NEIGHBOR_LENGTH)}`)
    }
    case wire.ND_REDIRECT: {
      const { target, destination } = nd.ND_REDIRECT_AT
      return found(`redirect, ${address(destination)} to ${address(target)}${options(nd.ND_REDIRECT_LENGTH)}`)
    }
    case wire.MLD_QUERY:
      return found(query(buf, at, end))
    case wire.MLD_REPORT_V1:
      return found(`multicast listener report, ${address(mld.MLD.group)}`)
    case wire.MLD_DONE_V1:
      return found(`multicast listener done, ${address(mld.MLD.group)}`)
    case wire.MLD_REPORT_V2:
      return found(`multicast listener report v2${records(buf, at, end)}`)
    default:
      return `ICMP6 type ${type} code ${code}, length ${length}`
  }
}

/** ` [a b]` of the bits that are set, or nothing. */
function flagNames(byte: number, bits: readonly number[], names: readonly string[]): string {
  const set = names.filter((_, i) => (byte & bits[i]) !== 0)
  return set.length === 0 ? '' : ` [${set.join(' ')}]`
}

function routerAdvertisement(buf: Uint8Array, at: number, end: number): string {
  if (end - at < nd.ND_RA_LENGTH) return ' cut short'
  const hops = buf[at + nd.ND_RA.hopLimit]
  const flags = flagNames(buf[at + nd.ND_RA.flags], [nd.RA_MANAGED, nd.RA_OTHER], ['managed', 'other'])
  const lifetime = `, lifetime ${get16(buf, at + nd.ND_RA.lifetime)}s${flags}`
  return `${lifetime}${hops === 0 ? '' : `, hop limit ${hops}`}${discoveryOptions(buf, at + nd.ND_RA_LENGTH, end)}`
}

function discoveryOptions(buf: Uint8Array, start: number, end: number): string {
  let text = ''
  let at = start
  for (let i = 0; at + 8 <= end; i++) {
    const length = buf[at + nd.ND_OPTION.length] << 3
    if (length === 0 || at + length > end) return `${text}, malformed option ${buf[at]}`
    if (i === MOST) return `${text}, ...`
    text += `, ${discoveryOption(buf, at, length)}`
    at += length
  }
  return text
}

function discoveryOption(buf: Uint8Array, at: number, length: number): string {
  const type = buf[at]
  const seconds = (off: number): string => {
    const n = get32(buf, at + off) >>> 0
    return n === 0xffffffff ? 'forever' : `${n}s`
  }
  if (type === nd.OPTION_SOURCE_LINK) return `source ${formatMac(buf, at + nd.ND_LINK_ADDRESS.address)}`
  if (type === nd.OPTION_TARGET_LINK) return `target ${formatMac(buf, at + nd.ND_LINK_ADDRESS.address)}`
  if (type === nd.OPTION_MTU) return `mtu ${get32(buf, at + nd.ND_MTU.mtu) >>> 0}`
  if (type === nd.OPTION_NONCE) return 'nonce'
  if (type === nd.OPTION_REDIRECTED) return 'redirected packet'
  if (type === nd.OPTION_PREFIX && length >= nd.ND_PREFIX_LENGTH) {
    const { prefix, prefixLength, flags, validLifetime, preferredLifetime } = nd.ND_PREFIX
    const names = flagNames(buf[at + flags], [nd.PREFIX_ON_LINK, nd.PREFIX_AUTONOMOUS], ['onlink', 'auto'])
    const times = `valid ${seconds(validLifetime)} preferred ${seconds(preferredLifetime)}`
    return `prefix ${ipv6At(buf, at + prefix)}/${buf[at + prefixLength]}${names} ${times}`
  }
  if (type === nd.OPTION_ROUTE) return `route of ${buf[at + nd.ND_ROUTE.prefixLength]} bits, ${seconds(nd.ND_ROUTE.lifetime)}`
  if (type === nd.OPTION_RDNSS && length >= nd.ND_DNS_LENGTH + 16) {
    const servers: string[] = []
    for (let off = nd.ND_DNS_LENGTH; off + 16 <= length && servers.length < MOST; off += 16) servers.push(ipv6At(buf, at + off))
    return `rdnss ${servers.join(' ')} ${seconds(nd.ND_DNS.lifetime)}`
  }
  if (type === nd.OPTION_DNSSL) return `dnssl ${seconds(nd.ND_DNS.lifetime)}`
  return `option ${type}`
}

function query(buf: Uint8Array, at: number, end: number): string {
  if (end - at < mld.MLD_HEADER) return 'multicast listener query malformed'
  const group = ipv6At(buf, at + mld.MLD.group)
  const of = group === '::' ? '' : ` of ${group}`
  const code = get16(buf, at + mld.MLD.maxResponse)
  if (end - at < mld.MLD_QUERY_HEADER) return `multicast listener query v1${of}, max response ${code} ms`
  const sources = get16(buf, at + mld.MLD.count)
  return `multicast listener query v2${of}${sources === 0 ? '' : `, ${sources} sources`}, max response ${mld.timeOf(code, 16)} ms`
}

function records(buf: Uint8Array, start: number, end: number): string {
  const count = get16(buf, start + mld.MLD_REPORT.count)
  let text = ''
  let at = start + mld.MLD_REPORT_HEADER
  for (let i = 0; i < count; i++) {
    if (at + mld.MLD_RECORD_HEADER > end) return `${text}, malformed`
    if (i === MOST) return `${text}, ...`
    const kind = RECORD[buf[at + mld.MLD_RECORD.type]] ?? `record ${buf[at + mld.MLD_RECORD.type]}`
    const sources = get16(buf, at + mld.MLD_RECORD.count)
    const list: string[] = []
    at += mld.MLD_RECORD_HEADER
    for (let s = 0; s < Math.min(sources, MOST) && at + 16 * (s + 1) <= end; s++) list.push(ipv6At(buf, at + 16 * s))
    text += `, ${ipv6At(buf, at - 16)} ${kind} {${list.join(' ')}${sources > MOST ? ' ...' : ''}}`
    at += 16 * sources + 4 * buf[at - mld.MLD_RECORD_HEADER + mld.MLD_RECORD.auxiliary]
  }
  return text
}
