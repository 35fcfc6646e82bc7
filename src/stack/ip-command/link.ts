/** `ip link`: up and down, name, MTU, MAC address, promiscuity; VLANs; counters. */
import { formatMac } from '../../ethernet/mac.ts'
import type { VlanProtocol } from '../../ethernet/vlan.ts'
import type { AttachedInterface } from '../attached.ts'
import { briefLink, isOfType, linkFields, statistics } from './link-view.ts'
import { print } from './output.ts'
import {
  asKernel,
  badArgument,
  deviceNeeded,
  duplicate,
  garbage,
  refused,
  refusedAs,
  unknownCommand,
  unsupported,
  wrong,
} from './problems.ts'
import { abbreviates, type Device, deviceNamed, devicesOf, deviceToShow, type Words } from './words.ts'

/** Linux: dev_valid_name. */
const NAME = /^(?!\.{1,2}$)[^\s/:]{1,15}$/
const MAX_MTU = 0xffff_ffff

export function linkCommand(w: Words): string {
  const word = w.more ? w.take() : 'show'
  if (abbreviates(word, 'add')) return add(w)
  if (abbreviates(word, 'set', 'change')) return set(w)
  if (abbreviates(word, 'delete')) return remove(w)
  if (abbreviates(word, 'show', 'lst', 'list')) return show(w)
  throw unknownCommand(word, 'link')
}

/** What is asked of an interface. */
interface Wanted {
  dev: Device | null
  name: string | null
  up: boolean | null
  mtu: number | null
  mac: Uint8Array | null
  promisc: boolean | null
}

function set(w: Words): string {
  const wanted: Wanted = { dev: null, name: null, up: null, mtu: null, mac: null, promisc: null }
  while (w.more) {
    const word = w.take()
    if (!common(w, word, wanted)) setOnly(w, word, wanted)
  }
  if (wanted.dev === null) throw deviceNeeded()
  apply(w, wanted.dev, wanted)
  return ''
}

/** Keywords of `add` and `set`. */
function common(w: Words, word: string, wanted: Wanted): boolean {
  if (word === 'name') {
    const name = w.argument()
    if (!NAME.test(name)) throw badArgument(name, '"name" not a valid ifname')
    wanted.name = name
  } else if (word === 'mtu') {
    if (wanted.mtu !== null) throw duplicate('mtu', w.argument())
    wanted.mtu = w.number(0, MAX_MTU, (bad) => badArgument(bad, 'Invalid "mtu" value\n'))
  } else if (abbreviates(word, 'address')) wanted.mac = w.mac()
  else if (word === 'txqueuelen' || word === 'qlen' || word === 'txqlen') {
    throw unsupported(`"${word}" (a stack has no queue of its own)`)
  } else return false
  return true
}

function setOnly(w: Words, word: string, wanted: Wanted): void {
  switch (word) {
    case 'up':
    case 'down':
      wanted.up = word === 'up'
      return
    case 'promisc':
      wanted.promisc = w.onOff(word)
      return
    case 'arp':
    case 'multicast':
      // Every interface of a stack has both.
      if (!w.onOff(word)) throw unsupported(`"${word} off"`)
      return
    case 'index':
      throw wrong('index can be used only when creating devices or when moving device to another netns.')
    case 'master':
    case 'nomaster':
    case 'alias':
    case 'netns':
    case 'allmulticast':
    case 'broadcast':
    case 'brd':
    case 'group':
    case 'type':
    case 'vf':
      throw unsupported(`"${word}"`)
  }
  const name = word === 'dev' ? w.argument() : word
  if (wanted.dev !== null) throw garbage('dev', name)
  wanted.dev = deviceNamed(w.stack, name)
}

/** In the order in which the kernel does it (rtnetlink: do_setlink). */
function apply(w: Words, { attached }: Device, { mac, mtu, name, promisc, up }: Wanted): void {
  if (attached === null) {
    if (mac !== null || mtu !== null || name !== null || promisc !== null || up === false) {
      throw unsupported('a change of the loopback interface')
    }
    return
  }
  if (mac !== null) setMac(attached, mac)
  if (mtu !== null) setMtu(attached, mtu)
  if (name !== null) attempt(() => attached.rename(name))
  if (promisc !== null) attempt(() => attached.setPromiscuous(promisc))
  if (up !== null) attempt(() => attached.setUp(up))
  w.stack.turn.wake()
}

function attempt(call: () => void): void {
  try {
    call()
  } catch (error) {
    throw asKernel(error)
  }
}

function setMac(attached: AttachedInterface, mac: Uint8Array): void {
  if ((mac[0] & 1) !== 0) throw refused('EADDRNOTAVAIL')
  attempt(() => attached.setMac(mac))
}

function setMtu(attached: AttachedInterface, mtu: number): void {
  try {
    attached.setMtu(mtu)
  } catch (error) {
    throw refusedAs('EINVAL', mtu < 68 ? 'mtu less than device minimum' : 'mtu greater than device maximum', error)
  }
}

function add(w: Words): string {
  const wanted: Wanted = { dev: null, name: null, up: null, mtu: null, mac: null, promisc: null }
  let below: Device | null = null
  let type: string | null = null
  while (w.more && type === null) {
    const word = w.take()
    if (common(w, word, wanted)) continue
    if (word === 'link') below = w.device()
    else if (word === 'type') type = w.argument()
    else if (wanted.name !== null) throw garbage('name', word)
    else if (!NAME.test(word)) throw badArgument(word, '"name" not a valid ifname')
    else wanted.name = word
  }
  if (type === null) throw wrong('Not enough information: "type" argument is required')
  if (type !== 'vlan') throw refusedAs('EOPNOTSUPP', 'Unknown device type')
  const { id, protocol } = vlanWords(w)
  if (below === null) throw refusedAs('EINVAL', '8021q: link not specified')
  if (id === null) throw refusedAs('EINVAL', '8021q: VLAN id not specified')
  if (id < 1 || id > 4094) throw refusedAs('ERANGE', '8021q: Invalid VLAN id')
  const { attached: parent, iface } = below
  if (parent === null || iface.ethernet === null) throw refusedAs('EOPNOTSUPP', '8021q: VLANs not supported on device')
  const name = wanted.name ?? `${iface.name}.${id}`
  if (w.stack.ipLayer.interfaces.some((i) => i.name === name)) throw refused('EEXIST')
  let vlan: AttachedInterface
  try {
    vlan = w.stack.addVlan(parent, id, {
      name,
      protocol,
      ...(wanted.mac !== null && { mac: formatMac(wanted.mac) }),
      ...(wanted.mtu !== null && { mtu: wanted.mtu }),
    })
  } catch (error) {
    throw asKernel(error, { EEXIST: '8021q: VLAN device already exists' })
  }
  vlan.setUp(false) // until somebody says `ip link set ... up`
  return ''
}

function vlanWords(w: Words): { id: number | null; protocol: VlanProtocol } {
  let id: number | null = null
  let protocol: VlanProtocol = '802.1Q'
  while (w.more) {
    const word = w.take()
    if (word === 'id') id = w.number(0, 0xffff, (bad) => badArgument(bad, 'id is invalid'))
    else if (abbreviates(word, 'protocol')) {
      const name = w.argument()
      if (/^802\.1q$/i.test(name)) protocol = '802.1Q'
      else if (/^802\.1ad$/i.test(name)) protocol = '802.1ad'
      else throw badArgument(name, 'protocol is invalid')
    } else if (word === 'reorder_hdr') {
      if (!w.onOff(word)) throw unsupported('"reorder_hdr off"')
    } else if (['gvrp', 'mvrp', 'loose_binding', 'bridge_binding', 'ingress-qos-map', 'egress-qos-map'].includes(word)) {
      throw unsupported(`"${word}"`)
    } else throw wrong(`vlan: unknown command "${word}"?`)
  }
  return { id, protocol }
}

function remove(w: Words): string {
  let dev: Device | null = null
  while (w.more) {
    const word = w.take()
    if (word === 'type') w.argument()
    else if (dev !== null) throw garbage('dev', word)
    else dev = deviceNamed(w.stack, word === 'dev' ? w.argument() : word)
  }
  if (dev === null) throw deviceNeeded()
  if (dev.attached === null) throw refused('EOPNOTSUPP')
  detach(w, dev.attached)
  return ''
}

/** Those above it first, so that all are gone when the command ends. */
function detach(w: Words, attached: AttachedInterface): void {
  for (const vlan of [...attached.vlans]) detach(w, vlan)
  w.stack.detach(attached).catch((error: unknown) => w.stack.host.uncaught(error))
}

function show(w: Words): string {
  let dev: Device | null = null
  let up = false
  let type: string | null = null
  while (w.more) {
    const word = w.take()
    if (word === 'up') up = true
    else if (word === 'type') type = w.argument()
    else if (word === 'master' || word === 'nomaster' || word === 'vrf' || word === 'group') throw unsupported(`"${word}"`)
    else if (dev !== null) throw garbage('dev', word)
    else dev = deviceToShow(w.stack, word === 'dev' ? w.argument() : word)
  }
  const wanted = dev
  const list = devicesOf(w.stack).filter(
    (d) => (wanted === null || d.iface === wanted.iface) && (!up || d.iface.up) && (type === null || isOfType(d, type)),
  )
  const { options } = w
  if (options.brief) return print(list.map(briefLink), options)
  const shown = list.map((d) => {
    const fields = linkFields(d, options, true, true)
    return options.statistics ? statistics(d, fields) : fields
  })
  return print(shown, options)
}
