/** `ip address`: adds, changes, removes and shows addresses of interfaces. */
import { Address, type Prefix } from '../../base/address.ts'
import { addAddress, removeAddress } from '../../ip/addresses.ts'
import type { AddressNotes, AddressScope, InterfaceAddress } from '../../ip/interface.ts'
import {
  addressFields,
  briefAddress,
  isBroadcastWord,
  isNarrow,
  readScope,
  readSelection,
  type Selection,
  selects,
} from './addr-view.ts'
import { briefHead, isOfType, linkFields, statistics } from './link-view.ts'
import { Fields, print, type Shown } from './output.ts'
import {
  asKernel,
  badArgument,
  deviceNeeded,
  garbage,
  refused,
  refusedAs,
  unknownCommand,
  unsupported,
  wrong,
} from './problems.ts'
import { abbreviates, type Device, devicesOf, parsePrefix, type Words } from './words.ts'

const FOREVER = Number.POSITIVE_INFINITY

export function addrCommand(w: Words): string {
  const word = w.more ? w.take() : 'show'
  if (abbreviates(word, 'add')) return modify(w, false)
  if (abbreviates(word, 'change', 'chg', 'replace')) return modify(w, true)
  if (abbreviates(word, 'delete')) return remove(w)
  if (abbreviates(word, 'show', 'lst', 'list')) return show(w)
  if (abbreviates(word, 'flush')) return flush(w)
  throw unknownCommand(word, 'address')
}

/** An address with what is said of it. */
interface Wanted {
  dev: Device | null
  local: Prefix | null
  /** Whether a prefix length was given. */
  hasLength: boolean
  peer: Prefix | null
  broadcast: string | null
  label: string | null
  scope: AddressScope | null
  valid: number
  preferred: number
  noDad: boolean
  noPrefixRoute: boolean
}

function read(w: Words): Wanted & { dev: Device } {
  const a: Wanted = {
    dev: null,
    local: null,
    hasLength: false,
    peer: null,
    broadcast: null,
    label: null,
    scope: null,
    valid: FOREVER,
    preferred: FOREVER,
    noDad: false,
    noPrefixRoute: false,
  }
  while (w.more) {
    const word = w.take()
    if (word === 'dev') a.dev = w.device()
    else if (word === 'peer' || word === 'remote') a.peer = w.prefix(familyOf(w, a))
    else if (isBroadcastWord(word)) a.broadcast = w.argument()
    else if (word === 'label') a.label = w.argument()
    else if (word === 'scope') a.scope = readScope(w)
    else if (word === 'valid_lft') a.valid = lifetime(w, word)
    else if (word === 'preferred_lft') a.preferred = lifetime(w, word)
    else if (word === 'nodad') a.noDad = true
    else if (word === 'noprefixroute') a.noPrefixRoute = true
    else if (['anycast', 'metric', 'home', 'mngtmpaddr', 'autojoin', 'proto'].includes(word)) throw unsupported(`"${word}"`)
    else if (a.local !== null) throw garbage('local', word)
    else {
      const text = word === 'local' ? w.argument() : word
      a.local = parsePrefix(text, w.options.family)
      a.hasLength = text.includes('/')
    }
  }
  const { dev } = a
  if (dev === null) throw deviceNeeded()
  if (a.preferred > a.valid && a.preferred !== FOREVER) throw wrong('preferred_lft is greater than valid_lft')
  return { ...a, dev }
}

function familyOf(w: Words, a: Wanted): 0 | 4 | 6 {
  return a.local?.address.family ?? w.options.family
}

function lifetime(w: Words, word: string): number {
  if (w.takeIf('forever')) return FOREVER
  const n = w.number(0, 0xffff_ffff, (bad) => badArgument(bad, `${word} value`))
  if (n === 0 && word === 'valid_lft') throw wrong('valid_lft is zero')
  return n === 0xffff_ffff ? FOREVER : n
}

function modify(w: Words, mayBeThere: boolean): string {
  const a = read(w)
  if (a.local === null) throw refused('EOPNOTSUPP')
  const prefix = a.local
  const known = find(a.dev, prefix)
  const notes: AddressNotes = {
    label: a.label,
    scope: a.scope,
    broadcast: broadcastOf(a.broadcast, a.peer ?? prefix),
    peer: a.peer,
    noPrefixRoute: a.noPrefixRoute,
    noDad: a.noDad,
  }
  if (mayBeThere && known !== undefined && known.prefix.length === (a.peer ?? prefix).length) change(a, known, notes)
  else give(w, a, prefix, notes)
  w.stack.turn.wake()
  return ''
}

function give(w: Words, a: Wanted & { dev: Device }, prefix: Prefix, notes: AddressNotes): void {
  const { iface, attached } = a.dev
  const options = { validSeconds: a.valid, preferredSeconds: a.preferred, ...(a.noDad && { probe: false }) }
  try {
    if (attached === null) addAddress(w.stack.ipLayer, iface, prefix, undefined, notes)
    else void attached.giveAddress(prefix, options, notes)
  } catch (error) {
    const v4 = prefix.address.isV4
    throw asKernel(error, {
      EEXIST: v4 ? 'ipv4: Address already assigned' : 'ipv6: address already assigned',
      EACCES: 'ipv6: IPv6 is disabled on this device',
    })
  }
}

/** What is there stays; only what is said of it and its times are others. */
function change({ dev, valid, preferred, label }: Wanted & { dev: Device }, own: InterfaceAddress, notes: AddressNotes): void {
  const { attached } = dev
  own.notes = {
    ...notes,
    label: label ?? own.notes?.label ?? null,
    peer: own.notes?.peer ?? null,
    noPrefixRoute: own.notes?.noPrefixRoute ?? false,
  }
  if (attached === null) {
    if (valid !== FOREVER || preferred !== FOREVER) throw unsupported('a lifetime on the loopback interface')
  } else if (valid !== FOREVER || preferred !== FOREVER || (own.lifetime ?? null) !== null) {
    attached.setLifetime(own, valid, preferred)
  }
}

/** `+`: all host bits set; `-`: none. */
function broadcastOf(text: string | null, { address, length }: Prefix): Address | null {
  if (text === null) return null
  const hostBits = length >= 31 ? 0 : -1 >>> length
  if (text === '+') return Address.v4(address.w3 | hostBits)
  if (text === '-') return Address.v4(address.w3 & ~hostBits)
  try {
    return parsePrefix(text, 4).address
  } catch {
    throw wrong(`Error: inet address is expected rather than "${text}".`, 'ERR_INVALID_IP_ADDRESS')
  }
}

/** The address of an interface; link-local ones are those of this interface. */
function find({ iface }: Device, prefix: Prefix): InterfaceAddress | undefined {
  const a = prefix.address.clone()
  if (a.isLinkLocal) a.zone = iface.index
  return iface.addresses.find((own) => own.address.equals(a))
}

function remove(w: Words): string {
  const { dev, local, peer, hasLength } = read(w)
  if (local === null) throw refused('EOPNOTSUPP')
  const own = find(dev, local)
  const v4 = local.address.isV4
  // Without a length IPv4 takes any: ip(8) warns that this may end, and it has not.
  const fits = own !== undefined && (own.prefix.length === (peer ?? local).length || (v4 && !hasLength))
  if (own === undefined || !fits) {
    throw refusedAs('EADDRNOTAVAIL', v4 ? 'ipv4: Address not found' : 'ipv6: address not found')
  }
  drop(w, dev, own)
  return ''
}

function drop(w: Words, { iface, attached }: Device, own: InterfaceAddress): void {
  if (attached !== null) attached.removeAddress(own.address.toString().replace(/%.*$/, ''))
  else removeAddress(w.stack.ipLayer, iface, own.address)
}

function flush(w: Words): string {
  if (!w.more) throw wrong('Flush requires arguments.')
  const s = readSelection(w)
  let n = 0
  for (const [d, list] of selected(w, s)) {
    n += list.length
    for (const own of list) drop(w, d, own)
  }
  if (!w.options.statistics) return ''
  if (n === 0) return 'Nothing to flush.\n'
  return `\n*** Round 1, deleting ${n} addresses ***\n*** Flush is complete after 1 round ***\n`
}

/** Interfaces with the addresses that are selected. */
function selected(w: Words, s: Selection): [Device, InterfaceAddress[]][] {
  const { dev, up, type } = s
  return devicesOf(w.stack)
    .filter((d) => (dev === null || d.iface === dev.iface) && (!up || d.iface.up) && (type === null || isOfType(d, type)))
    .map((d) => [d, d.iface.addresses.filter((own) => selects(s, d, own, w.options.family))])
}

function show(w: Words): string {
  const s = readSelection(w)
  const { options } = w
  w.stack.turn.readClock()
  const family = s.to?.address.family ?? options.family
  const all = selected(w, s)
  const list = isNarrow(s) || family !== 0 ? all.filter(([, addresses]) => addresses.length > 0) : all
  if (options.brief)
    return print(
      list.map(([d, addresses]) => brief(d, addresses)),
      options,
    )
  if (options.oneLine && !options.json) {
    const lines = list.flatMap(([d, addresses]) => addresses.map((own) => prefixed(d, addressFields(d, own))))
    return print(lines, options)
  }
  const shown = list.map(([d, addresses]) => {
    const fields = linkFields(d, options, false, family === 0, s.dev !== null)
    if (options.statistics && family === 0) statistics(d, fields)
    const each = addresses.map((own) => addressFields(d, own))
    return fields.add(
      'addr_info',
      each.map((one) => one.json),
      each.map((one) => one.text).join(''),
    )
  })
  return print(shown, options)
}

function brief(d: Device, addresses: readonly InterfaceAddress[]): Shown {
  const each = addresses.map(briefAddress)
  return briefHead(d).add(
    'addr_info',
    each.map((one) => one.json),
    `${each.map((one) => one.text).join('')}\n`,
  )
}

function prefixed({ iface }: Device, one: Fields): Shown {
  return new Fields().say(`${iface.index}: ${iface.name}${one.text}`)
}
