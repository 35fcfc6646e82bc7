/** Addresses as `ip addr` shows them, and which of them a listing selects. */
import type { Prefix } from '../../base/address.ts'
import { type AddressScope, AddressState, type InterfaceAddress } from '../../ip/interface.ts'
import { Fields } from './output.ts'
import { badArgument, garbage, unsupported } from './problems.ts'
import { abbreviates, type Device, deviceToShow, parsePrefix, type Words } from './words.ts'

/** What a time without end is in JSON. */
const FOREVER = 0xffff_ffff

/** As iproute2 orders them. `permanent` stands for not being dynamic, and is not shown. */
const FLAGS = [
  'secondary',
  'temporary',
  'nodad',
  'dadfailed',
  'deprecated',
  'tentative',
  'permanent',
  'dynamic',
  'noprefixroute',
] as const
type Flag = (typeof FLAGS)[number]

/** What `show` and `flush` select. */
export interface Selection {
  dev: Device | null
  up: boolean
  scope: AddressScope | null
  to: Prefix | null
  label: RegExp | null
  type: string | null
  /** Flags that must be there, or must not. */
  readonly flags: Map<Flag, boolean>
}

export function readSelection(w: Words): Selection {
  const s: Selection = { dev: null, up: false, scope: null, to: null, label: null, type: null, flags: new Map() }
  while (w.more) {
    const word = w.take()
    const flag = flagOf(word)
    if (word === 'up') s.up = true
    else if (word === 'scope') s.scope = readScope(w)
    else if (word === 'to') s.to = parsePrefix(w.argument(), w.options.family)
    else if (word === 'label') s.label = glob(w.argument())
    else if (word === 'type') s.type = w.argument()
    else if (word === 'primary') s.flags.set('secondary', false)
    else if (flag !== null) s.flags.set(flag, !word.startsWith('-'))
    else if (word === 'master' || word === 'nomaster' || word === 'vrf' || word === 'group') throw unsupported(`"${word}"`)
    else if (s.dev !== null) throw garbage('dev', word)
    else s.dev = deviceToShow(w.stack, word === 'dev' ? w.argument() : word)
  }
  return s
}

/** True when not every address is selected, or not every family: interfaces without any are left out then. */
export function isNarrow(s: Selection): boolean {
  return s.scope !== null || s.to !== null || s.label !== null || s.flags.size > 0
}

export function selects(s: Selection, d: Device, own: InterfaceAddress, family: number): boolean {
  if (family !== 0 && own.address.family !== family) return false
  if (s.scope !== null && scopeOf(own) !== s.scope) return false
  if (s.to !== null && (s.to.address.family !== own.address.family || !s.to.contains(own.address))) return false
  if (s.label !== null && !s.label.test(labelOf(own, d))) return false
  const flags = allFlags(d, own)
  for (const [flag, wanted] of s.flags) if (flags.includes(flag) !== wanted) return false
  return true
}

export function readScope(w: Words): AddressScope {
  const word = w.argument()
  const found = (['global', 'site', 'link', 'host'] as const).find((name) => name === word)
  if (found === undefined) throw badArgument(word, 'invalid scope value.')
  return found
}

/** What the scope is when nobody says. */
export function scopeOf({ address, notes }: InterfaceAddress): AddressScope {
  if (notes?.scope) return notes.scope
  if (address.isLoopback) return 'host'
  return !address.isV4 && address.isLinkLocal ? 'link' : 'global'
}

/** The lines of one address, without what `-o` puts before them. */
export function addressFields(d: Device, own: InterfaceAddress): Fields {
  const { address, prefix, notes } = own
  const out = new Fields()
  const family = address.isV4 ? 'inet' : 'inet6'
  const text = plain(own)
  out.add('family', family, `    ${family} `).add('local', text, text)
  const peer = notes?.peer ?? null
  if (peer !== null) out.add('address', `${peer.address}`, ` peer ${peer.address}`)
  out.add('prefixlen', prefix.length, `/${prefix.length} `)
  // Whoever gave it without more words wants the usual.
  const broadcast = d.iface.isLoopback ? null : notes === null || notes === undefined ? own.broadcast : notes.broadcast
  if (broadcast !== null) out.add('broadcast', `${broadcast}`, `brd ${broadcast} `)
  const scope = scopeOf(own)
  out.add('scope', scope, `scope ${scope} `)
  for (const flag of allFlags(d, own)) if (flag !== 'permanent') out.add(flag, true, `${flag} `)
  if (address.isV4) out.add('label', labelOf(own, d), labelOf(own, d))
  const { lifetime } = own
  const left = (n: number | undefined): number => (n === undefined || n === Number.POSITIVE_INFINITY ? FOREVER : n)
  const [valid, preferred] = [left(lifetime?.validLeft), left(lifetime?.preferredLeft)]
  const words = (n: number): string => (n === FOREVER ? 'forever' : `${n}sec`)
  out.add('valid_life_time', valid, `\n       valid_lft ${words(valid)} `)
  return out.add('preferred_life_time', preferred, `preferred_lft ${words(preferred)}\n`)
}

/** `10.0.0.2/24`, for `-br`. */
export function briefAddress(own: InterfaceAddress): Fields {
  const peer = own.notes?.peer ?? null
  const out = new Fields().add('local', plain(own), plain(own))
  if (peer !== null) out.add('address', `${peer.address}`, ` peer ${peer.address}`)
  return out.add('prefixlen', own.prefix.length, `/${own.prefix.length} `)
}

/** The interface is shown beside it: no zone. */
function plain(own: InterfaceAddress): string {
  return own.address.toString().replace(/%.*$/, '')
}

function labelOf(own: InterfaceAddress, d: Device): string {
  return own.notes?.label ?? d.iface.name
}

function allFlags({ iface }: Device, own: InterfaceAddress): Flag[] {
  const { state, notes, lifetime } = own
  const on: Record<Flag, boolean> = {
    secondary: own.address.isV4 && iface.addresses.find((a) => isSameNetwork(a, own)) !== own,
    temporary: own.temporary === true,
    nodad: notes?.noDad === true && !own.address.isV4,
    dadfailed: state === AddressState.DUPLICATE,
    deprecated: state === AddressState.DEPRECATED,
    tentative: state === AddressState.TENTATIVE || state === AddressState.DUPLICATE,
    permanent: lifetime?.ends !== true,
    dynamic: lifetime?.ends === true,
    noprefixroute: notes?.noPrefixRoute === true,
  }
  return FLAGS.filter((flag) => on[flag])
}

function isSameNetwork(a: InterfaceAddress, b: InterfaceAddress): boolean {
  return a.address.isV4 === b.address.isV4 && a.prefix.length === b.prefix.length && a.prefix.contains(b.prefix.address)
}

function flagOf(word: string): Flag | null {
  const name = word.startsWith('-') ? word.slice(1) : word
  return FLAGS.find((f) => f === name) ?? null
}

/** A shell pattern: `eth0:*`. */
function glob(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.')
  return new RegExp(`^${source}$`)
}

/** A keyword that may be cut short is one of these. */
export function isBroadcastWord(word: string): boolean {
  return word === 'brd' || (word.length > 1 && abbreviates(word, 'broadcast'))
}
