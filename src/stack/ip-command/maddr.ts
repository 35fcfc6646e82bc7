/** `ip maddress`: the groups that are listened to, and their link addresses. */
import { formatMac } from '../../ethernet/mac.ts'
import type { GroupState } from '../../ip/groups.ts'
import { Fields, type JsonObject, print } from './output.ts'
import { garbage, unknownCommand, unsupported } from './problems.ts'
import { abbreviates, type Device, devicesOf, findDevice, type Words } from './words.ts'

export function maddrCommand(w: Words): string {
  const word = w.more ? w.take() : 'show'
  if (abbreviates(word, 'add', 'delete')) throw unsupported('a link address of a group that no socket has joined')
  if (abbreviates(word, 'show', 'lst', 'list')) return show(w)
  throw unknownCommand(word, 'maddr')
}

function show(w: Words): string {
  let name: string | null = null
  while (w.more) {
    const word = w.take()
    if (name !== null) throw garbage('dev', word)
    name = word === 'dev' ? w.argument() : word
  }
  // Of an interface that is not there ip(8) shows nothing, and says nothing.
  const one = name === null ? null : findDevice(w.stack, name)
  const list = name === null ? devicesOf(w.stack) : one === null || one === undefined ? [] : [one]
  return print(
    list.map((d) => fields(w, d)),
    w.options,
  )
}

function fields(w: Words, { iface }: Device): Fields {
  const { family } = w.options
  const states = [...iface.groups.states()]
  const groups: JsonObject[] = []
  const out = new Fields().add('ifindex', iface.index, `${iface.index}:\t`).add('ifname', iface.name, `${iface.name}\n`)
  if (family === 0 && iface.ethernet !== null) {
    for (const mac of new Set(states.map(macOf))) {
      groups.push({ link: mac })
      out.say(`\tlink  ${mac}\n`)
    }
  }
  for (const v of [4, 6] as const) {
    if (family !== 0 && family !== v) continue
    const name = v === 4 ? 'inet' : 'inet6'
    for (const { group, users } of states) {
      if (group.family !== v) continue
      const address = `${group}`
      groups.push({ family: name, address, ...(users > 1 && { users }) })
      out.say(`\t${name.padEnd(5)} ${address}${users > 1 ? ` users ${users}` : ''}\n`)
    }
  }
  return out.add('maddr', groups, '')
}

/** RFC 1112 section 6.4, RFC 2464 section 7. */
function macOf({ group }: GroupState): string {
  const low = group.w3
  return formatMac(
    group.isV4
      ? Uint8Array.of(1, 0, 0x5e, (low >>> 16) & 0x7f, low >>> 8, low)
      : Uint8Array.of(0x33, 0x33, low >>> 24, low >>> 16, low >>> 8, low),
  )
}
