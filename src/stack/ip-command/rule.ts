/** `ip rule`: which routing table is asked for which packets. */
import type { Prefix } from '../../base/address.ts'
import { TABLE_LOCAL } from '../../ip/rules.ts'
import type { RoutingRuleOptions, RoutingRuleSummary } from '../routing.ts'
import { readTable, tableName } from './names.ts'
import { Fields, print } from './output.ts'
import { asKernel, badArgument, refused, unknownCommand, unsupported, wrong } from './problems.ts'
import { abbreviates, parsePrefix, type Words } from './words.ts'

const ACTIONS = ['blackhole', 'unreachable', 'prohibit'] as const

export function ruleCommand(w: Words): string {
  const word = w.more ? w.take() : 'show'
  if (abbreviates(word, 'list', 'lst', 'show')) return show(w)
  if (abbreviates(word, 'add')) return modify(w, 'add')
  if (abbreviates(word, 'delete')) return modify(w, 'del')
  if (abbreviates(word, 'flush')) return flush(w)
  throw unknownCommand(word, 'rule')
}

function read(w: Words): RoutingRuleOptions {
  const r: RoutingRuleOptions = {}
  const family = (): 0 | 4 | 6 => w.options.family
  while (w.more) {
    const word = w.take()
    const action = ACTIONS.find((a) => a === word)
    if (word === 'from' || word === 'to') {
      const prefix = parsePrefix(w.argument(), family())
      // "all" says nothing: neither of addresses nor of a family.
      if (prefix.length > 0) r[word] = prefix
    } else if (['preference', 'order', 'priority', 'pref', 'prio'].includes(word)) {
      r.priority = w.number(0, 0xffff_ffff, (bad) => badArgument(bad, 'preference value is invalid\n'))
    } else if (word === 'table' || abbreviates(word, 'lookup')) {
      r.table = readTable(w, (bad) => badArgument(bad, 'invalid table ID\n'))
    } else if (word === 'iif' || word === 'dev') r.iif = w.argument()
    else if (word === 'oif') r.oif = w.argument()
    else if (action !== undefined) r.action = action
    else if (
      [
        'not',
        'fwmark',
        'tos',
        'dsfield',
        'uidrange',
        'ipproto',
        'sport',
        'dport',
        'nat',
        'goto',
        'l3mdev',
        'realms',
        'tun_id',
      ].includes(word)
    ) {
      throw unsupported(`"${word}"`)
    } else throw badArgument(word, 'Failed to parse rule type')
  }
  const given = (r.from ?? r.to) as Prefix | undefined
  r.family = w.options.family === 6 || given?.address.family === 6 ? 6 : 4
  return r
}

function modify(w: Words, verb: 'add' | 'del'): string {
  if (!w.more) throw wrong(`"ip rule ${verb}" requires arguments.`)
  const wanted = read(w)
  if (verb === 'add') attempt(() => w.stack.addRule(wanted))
  else {
    // The first that has all that is said; what is not said, may be anything.
    const found = w.stack.rules.find((r) => r.family === wanted.family && fits(r, wanted))
    if (found === undefined) throw refused('ENOENT')
    remove(w, found)
  }
  w.stack.turn.wake()
  return ''
}

function attempt(call: () => void): void {
  try {
    call()
  } catch (error) {
    throw asKernel(error)
  }
}

function remove(w: Words, r: RoutingRuleSummary): void {
  const { priority, family, table, action } = r
  attempt(() =>
    w.stack.removeRule({
      priority,
      family,
      ...(r.from !== null && { from: r.from }),
      ...(r.to !== null && { to: r.to }),
      ...(r.iif !== null && { iif: r.iif }),
      ...(r.oif !== null && { oif: r.oif }),
      ...(table !== null && { table }),
      ...(action !== 'lookup' && { action }),
    }),
  )
}

function fits(r: RoutingRuleSummary, wanted: RoutingRuleOptions): boolean {
  return (
    (wanted.table === undefined || r.table === wanted.table) &&
    (wanted.action === undefined || r.action === wanted.action) &&
    (wanted.from === undefined || r.from === `${wanted.from}`) &&
    (wanted.to === undefined || r.to === `${wanted.to}`) &&
    (wanted.iif === undefined || r.iif === wanted.iif) &&
    (wanted.oif === undefined || r.oif === wanted.oif) &&
    (wanted.priority === undefined || r.priority === wanted.priority)
  )
}

function selected(w: Words): RoutingRuleSummary[] {
  const wanted = w.more ? read(w) : {}
  const family = w.options.family === 0 ? (wanted.family ?? 4) : w.options.family
  return w.stack.rules.filter((r) => r.family === family && fits(r, wanted))
}

function show(w: Words): string {
  return print(
    selected(w).map((r) => fields(w, r)),
    w.options,
  )
}

function fields(w: Words, r: RoutingRuleSummary): Fields {
  const out = new Fields().add('priority', r.priority, `${r.priority}:\t`)
  const add = (key: string, text: string | null, words: string): void => {
    if (text === null) return
    const [a, length] = text.split('/')
    const isHost = length === (r.family === 4 ? '32' : '128')
    out.add(key, a, `${words} ${isHost ? a : text} `)
    if (!isHost) out.add(`${key}len`, Number(length), '')
  }
  if (r.from === null) out.add('src', 'all', 'from all ')
  else add('src', r.from, 'from')
  add('dst', r.to, 'to')
  for (const which of ['iif', 'oif'] as const) {
    const name = r[which]
    if (name === null) continue
    out.add(which, name, `${which} ${name} `)
    if (!w.stack.ipLayer.interfaces.some((i) => i.name === name)) out.add(`${which}_detached`, null, '[detached] ')
  }
  if (r.table !== null) return out.add('table', tableName(r.table), `lookup ${tableName(r.table)}\n`)
  return out.add('action', r.action, `${r.action}\n`)
}

/** All but the one for what is local, as ip(8) has it. */
function flush(w: Words): string {
  for (const r of selected(w)) if (r.table !== TABLE_LOCAL) remove(w, r)
  return ''
}
