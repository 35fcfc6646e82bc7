/** `ip neighbour`: the neighbours of both families, added, changed, forgotten and shown. */

import type { Address, Prefix } from '../../base/address.ts'
import { get16, get32 } from '../../base/bytes.ts'
import { macBytes } from '../../ethernet/mac.ts'
import { NeighborState } from '../../ip/neighbor.ts'
import type { NeighborCache } from '../../ip/neighbor-cache.ts'
import { Fields, print } from './output.ts'
import { badArgument, garbage, refused, refusedAs, unknownCommand, unsupported, wrong } from './problems.ts'
import { plain } from './route-view.ts'
import { abbreviates, type Device, devicesOf, familyWord, parseAnyAddress, parsePrefix, type Words } from './words.ts'

const STATES = ['permanent', 'reachable', 'stale', 'noarp', 'incomplete', 'delay', 'probe', 'failed', 'none'] as const
type State = (typeof STATES)[number]

export function neighCommand(w: Words): string {
  const word = w.more ? w.take() : 'show'
  if (abbreviates(word, 'add')) return modify(w, 'add')
  if (abbreviates(word, 'replace')) return modify(w, 'replace')
  if (abbreviates(word, 'change', 'chg')) return modify(w, 'change')
  if (abbreviates(word, 'delete')) return modify(w, 'delete')
  if (abbreviates(word, 'get')) return get(w)
  if (abbreviates(word, 'show', 'lst', 'list')) return show(w)
  if (abbreviates(word, 'flush')) return flush(w)
  throw unknownCommand(word, 'neigh')
}

interface Wanted {
  to: Address | null
  dev: Device | null
  mac: Uint8Array | null
  state: State
  router: boolean
}

function read(w: Words): Wanted {
  const n: Wanted = { to: null, dev: null, mac: null, state: 'permanent', router: false }
  while (w.more) {
    const word = w.take()
    if (word === 'lladdr') n.mac = w.mac()
    else if (word === 'nud') n.state = readState(w)
    else if (word === 'dev') n.dev = w.device()
    else if (word === 'router') n.router = true
    else if (['proxy', 'use', 'managed', 'extern_learn', 'protocol', 'vrf', 'nomaster', 'master'].includes(word)) {
      throw unsupported(`"${word}"`)
    } else {
      const text = word === 'to' ? w.argument() : word
      if (n.to !== null) throw garbage('to', text)
      const a = parseAnyAddress(text)
      const { family } = w.options
      if (a === null || (family !== 0 && a.family !== family)) {
        throw wrong(`Error: ${familyWord(family)} address is expected rather than "${text}".`, 'ERR_INVALID_IP_ADDRESS')
      }
      n.to = a
    }
  }
  return n
}

function readState(w: Words): State {
  const word = w.argument()
  const found = STATES.find((name) => name === word)
  if (found === undefined) throw badArgument(word, 'nud state is bad')
  return found
}

/** The neighbours of an interface of the address's family; IPv6 begins with the first that is asked about. */
function cacheOf(w: Words, { iface, attached }: Device, v4: boolean): NeighborCache | null {
  if (v4) return attached?.arp?.neighbors ?? null
  return attached === null ? null : (w.stack.nd.attach(iface)?.neighbors ?? null)
}

function modify(w: Words, mode: 'add' | 'replace' | 'change' | 'delete'): string {
  const { to, dev, mac, state, router } = read(w)
  if (to === null || dev === null) throw wrong('Device and destination are required arguments.')
  if (to.isLinkLocal) to.zone = dev.iface.index
  const cache = cacheOf(w, dev, to.isV4)
  if (cache === null) throw unsupported(`a neighbour on ${dev.iface.name}, which has no link addresses,`)
  w.stack.turn.readClock()
  const known = cache.find(to)
  if (mode === 'delete') {
    if (known === null) throw refused('ENOENT')
    cache.delete(to)
    return ''
  }
  if (mode === 'add' && known !== null) throw refused('EEXIST')
  if (mode === 'change' && known === null) throw refused('ENOENT')
  put(cache, to, mac ?? macOf(known), state)
  const now = cache.find(to)
  if (now !== null && !to.isV4) now.isRouter = router || (mode === 'change' && now.isRouter)
  w.stack.turn.rearm()
  return ''
}

function macOf(known: { usable: boolean; macHigh: number; macLow: number } | null): Uint8Array | null {
  if (known === null || !known.usable) return null
  return macBytes(known.macHigh, known.macLow)
}

function put(cache: NeighborCache, to: Address, mac: Uint8Array | null, state: State): void {
  if (mac === null) throw refusedAs('EINVAL', 'No link layer address given')
  if (to.isMulticast || to.isUnspecified || to.isLimitedBroadcast) throw refused('EINVAL')
  if ((mac[0] & 1) !== 0) throw refused('EADDRNOTAVAIL')
  if (state === 'permanent') {
    cache.setPermanent(to, mac)
    return
  }
  if (state !== 'reachable' && state !== 'stale') throw unsupported(`"nud ${state}" of a new neighbour`)
  // What was permanent stands against all that is heard.
  if (cache.find(to)?.state === NeighborState.PERMANENT) cache.delete(to)
  const [high, low] = [get16(mac, 0), get32(mac, 2)]
  cache.learn(to, high, low, true)
  if (state === 'reachable') cache.find(to)?.update(high, low, true, true)
}

function get(w: Words): string {
  const { to, dev } = read(w)
  if (to === null || dev === null) throw wrong('Device and address are required arguments.')
  const found = lines(w).find((line) => line.dev.iface === dev.iface && plain(line.address) === plain(to))
  if (found === undefined) throw refusedAs('ENOENT', 'Neighbour entry not found')
  return print([fields(w, found, false)], w.options)
}

/** One neighbour. */
interface Line {
  readonly dev: Device
  readonly address: Address
  readonly mac: string | null
  readonly state: string
  readonly router: boolean
  readonly cache: NeighborCache
}

function lines(w: Words): Line[] {
  const out: Line[] = []
  for (const dev of devicesOf(w.stack)) {
    // Looking begins nothing: `nd` is null before the first address of IPv6.
    for (const cache of [dev.attached?.arp?.neighbors, dev.attached?.nd?.neighbors]) {
      if (cache === undefined) continue
      for (const { address, mac, state } of cache.entries()) {
        const n = cache.find(address)
        out.push({ dev, address, mac, state, router: n?.isRouter === true, cache })
      }
    }
  }
  return out
}

interface Selection {
  dev: Device | null
  to: Prefix | null
  states: State[] | 'all' | null
}

function readSelection(w: Words): Selection {
  const s: Selection = { dev: null, to: null, states: null }
  while (w.more) {
    const word = w.take()
    if (word === 'dev') s.dev = w.device()
    else if (word === 'nud') {
      if (w.takeIf('all')) s.states = 'all'
      else if (s.states !== 'all') s.states = [...(s.states ?? []), readState(w)]
    } else if (word === 'unused') s.states = ['permanent', 'stale', 'failed', 'incomplete']
    else if (['proxy', 'vrf', 'nomaster', 'master'].includes(word)) throw unsupported(`"${word}"`)
    else s.to = parsePrefix(word === 'to' ? w.argument() : word, w.options.family)
  }
  return s
}

function selected(w: Words, s: Selection): Line[] {
  const { family } = w.options
  return lines(w).filter(
    ({ dev, address, state }) =>
      (s.dev === null || dev.iface === s.dev.iface) &&
      (family === 0 || address.family === family) &&
      (s.to === null || (s.to.address.isV4 === address.isV4 && s.to.contains(address))) &&
      (s.states === null || s.states === 'all' || s.states.some((name) => name.toUpperCase() === state)),
  )
}

function show(w: Words): string {
  w.stack.turn.readClock()
  const s = readSelection(w)
  return print(
    selected(w, s).map((line) => fields(w, line, s.dev !== null)),
    w.options,
  )
}

function fields(w: Words, { dev, address, mac, state, router, cache }: Line, hideDev: boolean): Fields {
  const out = new Fields()
  out.add('dst', plain(address), `${plain(address)} `)
  if (!hideDev) out.add('dev', dev.iface.name, `dev ${dev.iface.name} `)
  if (mac !== null) out.add('lladdr', mac, `lladdr ${mac} `)
  if (router) out.add('router', null, 'router ')
  if (w.options.statistics) {
    const n = cache.find(address)
    const seconds = (at: number): number => Math.max(0, Math.floor(((w.stack.turn.nowMs - at) | 0) / 1000))
    const [used, confirmed] = n === null ? [0, 0] : [seconds(n.usedAt), seconds(n.confirmedAt)]
    out.add('used', used, ` used ${used}/`).add('confirmed', confirmed, `${confirmed} `)
  }
  return out.add('state', [state], `${state} \n`)
}

function flush(w: Words): string {
  if (!w.more) throw wrong('Flush requires arguments.')
  if (w.next === 'all') w.take()
  const s = readSelection(w)
  let n = 0
  for (const { cache, address, state } of selected(w, s)) {
    // What the user fixed goes only by name.
    if (s.states === null && state === 'PERMANENT') continue
    cache.delete(address)
    n++
  }
  if (!w.options.statistics) return ''
  if (n === 0) return 'Nothing to flush.\n'
  return `\n*** Round 1, deleting ${n} entries ***\n*** Flush is complete after 1 round ***\n`
}
