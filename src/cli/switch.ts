/** `tapstack switch`: a switch, or a hub, between links, until it is told to stop. */
import { mkdirSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import type { LinkChange } from '../backend/dialer.ts'
import type { NetIf } from '../netif/netif.ts'
import { capture } from '../node/capture-file.ts'
import { createHub, createSwitch } from '../switch/create.ts'
import type { SwitchPort, SwitchPortOptions } from '../switch/port.ts'
import type { PortVlanOptions } from '../switch/port-vlan.ts'
import type { Switch } from '../switch/switch.ts'
import { clampMss, type MssLimit } from '../tunnel/mss-clamp.ts'
import { type Command, type Context, integer, seconds, text, texts, UsageError, type Values } from './command.ts'
import { counterLines } from './counter-lines.ts'
import { changeLine } from './link-change.ts'
import { NETWORK_OPTIONS, stopped } from './network.ts'
import { switchTable } from './switch-table.ts'

export const switchCommand: Command = {
  name: 'switch',
  summary: 'join links by a learning switch',
  usage: '[options] LINK LINK...',
  about: [
    'Ports have the names of their links (tap0), or are numbers in the order of the links, from 1. Prints a line that begins with "ready",',
    'its tables when it gets SIGUSR2, and ends with Ctrl-C. A link that ends takes its port with it; the others go on.',
  ],
  options: {
    stp: { type: 'boolean', text: 'rapid spanning tree: loops are blocked (a loop is held down by limits of floods only)' },
    'stp-priority': { type: 'string', value: 'N', text: 'the least becomes the root, in steps of 4096 (32768)' },
    vlan: {
      type: 'string',
      multiple: true,
      value: 'PORT=...',
      text: 'PORT=10 (access), PORT=trunk:10,20 or trunk:all, with native:5 behind it, PORT=tunnel:100 (no VLANs)',
    },
    mirror: { type: 'string', value: 'PORT[=P,P]', text: 'copies of what passes these ports, or all of them, leave by PORT' },
    isolate: { type: 'string', multiple: true, value: 'P,P', text: 'ports that do not reach each other' },
    edge: { type: 'string', multiple: true, value: 'P,P', text: 'with --stp: ports of hosts, which forward at once' },
    rate: { type: 'string', multiple: true, value: 'PORT=R', text: 'bits a second at PORT, each way: 64k, 10M, 1G (no limit)' },
    ageing: { type: 'string', value: 'S', text: 'seconds after which a silent address is forgotten (300)' },
    clamp: {
      type: 'string',
      value: 'MSS|off',
      text: 'segments that TCP may ask for, in bytes (what fits, at links whose MTU is less than that of others)',
    },
    hub: { type: 'boolean', text: 'a hub: everything goes everywhere' },
    vde: {
      type: 'string',
      value: 'DIR',
      text: 'serve a VDE control socket in DIR, for vde_plug and vdens; DIR[mode=660/group=vde] says who may',
    },
    guests: {
      type: 'string',
      multiple: true,
      value: 'URL',
      text: 'serve virtual machines at unix:///PATH or qemu://:PORT (QEMU -netdev stream), pages at ws://:PORT',
    },
    pcap: { type: 'string', value: 'DIR', text: 'capture each port to DIR/NAME.pcapng' },
    interval: { type: 'string', value: 'S', text: 'seconds between two tables with --verbose (10)' },
    quiet: NETWORK_OPTIONS.quiet,
    verbose: { type: 'boolean', short: 'v', text: 'tables every few seconds, counters at the end' },
  },
  words: Number.POSITIVE_INFINITY,
  examples: [
    ['switch tap://tap0?host=10.0.0.1/24 tap://tap1 --stp', 'two taps, and whatever is behind them'],
    ['switch tap://tap0 tap://tap1 tap://tap2 --vlan tap0=10 --vlan tap1=20 --vlan tap2=trunk:10,20', 'two VLANs and a trunk'],
    ['switch tap://tap0 tap://tap1 tap://spy0 --mirror spy0', 'and a third that hears what passes'],
    ['switch --vde /tmp/vde.ctl tap://tap0', 'a tap, and whoever connects by vde_plug vde:///tmp/vde.ctl'],
    [
      'switch --guests unix:///tmp/guests.sock --guests ws://:8080?origin=https://copy.sh tap://tap0',
      'virtual machines, and v86 in pages',
    ],
  ],
  failure: 2,
  run: runSwitch,
}

async function runSwitch(context: Context, values: Values, urls: readonly string[]): Promise<number> {
  const vde = text(values, 'vde')
  const serves = vde !== undefined || texts(values, 'guests').length > 0
  if (urls.length < 2 && !serves)
    throw new UsageError('two links are expected, or more: tapstack switch LINK LINK... (or --vde DIR, --guests URL)')
  const verbose = values.verbose === true
  if (verbose && values.quiet === true) throw new UsageError('--quiet and --verbose: one of them is expected')
  if (values.hub === true && values.stp === true) throw new UsageError('--hub and --stp: a hub has no spanning tree')
  const { host, random } = context.platform
  const priority = integer(values, 'stp-priority', 0, 61440, 32768)
  if (values['stp-priority'] !== undefined && values.stp !== true)
    throw new UsageError('--stp-priority: without --stp there is no tree')
  const ageingMs = seconds(values, 'ageing', 1, 1_000_000, 300)
  const intervalMs = seconds(values, 'interval', 0.1, 86_400, 10)
  const make = values.hub === true ? createHub : createSwitch
  const sw = make({ host, random, ageingMs: Math.round(ageingMs), spanningTree: values.stp === true && { priority } })
  host.hold()
  const ended = new AbortController()
  const report = (): void => {
    for (const line of switchTable(sw)) context.out(line)
  }
  let atEnd = (): void => undefined
  const servers: Service[] = []
  try {
    await joinLinks(context, sw, values, urls)
    await startServers(context, sw, values, servers)
    const allGone = new Promise<never>((_, reject) => {
      sw.onPortClosed = (port, error) => {
        context.err(`tapstack switch: ${port.name} has ended${error === undefined ? '' : `: ${error.message}`}`)
        if (sw.list.length === 0 && !serves) reject(new Error('no link is left'))
      }
    })
    sw.onBpduGuard = (port) => context.err(`tapstack switch: a switch is behind ${port.name}: switched off`)
    atEnd = context.onReport?.(report) ?? atEnd
    if (verbose) every(context, intervalMs, report, ended.signal)
    const ports = sw.list.map((port) => port.name)
    context.out(`ready: ${[...ports, ...servers.map((server) => `whoever connects to ${server.where}`)].join(', ')}`)
    await Promise.race([stopped(context), allGone])
    return 0
  } finally {
    atEnd()
    ended.abort()
    host.release()
    if (verbose) {
      report()
      for (const line of counterLines(sw.counters(true))) context.out(line)
    }
    for (const server of servers) await server.close()
    await sw.close()
  }
}

interface Service {
  readonly where: string
  close(): Promise<void>
}

/** Opens what others connect to. What was opened is in `servers`, also when the next fails. */
async function startServers(context: Context, sw: Switch, values: Values, servers: Service[]): Promise<void> {
  const refused = (where: string) => (why: string) => context.err(`tapstack switch: refused at ${where}: ${why}`)
  const missing = (option: string): Error => new Error(`--${option}: there are no sockets here`)
  const vde = text(values, 'vde')
  if (vde !== undefined) {
    if (context.serveVde === undefined) throw missing('vde')
    const server = await context.serveVde(sw, vde, refused(vde))
    servers.push({ where: server.directory, close: () => server.close() })
  }
  for (const url of texts(values, 'guests')) {
    if (context.serveGuests === undefined) throw missing('guests')
    const server = await context.serveGuests(sw, url, refused(url))
    servers.push({ where: url, close: () => server.close() })
  }
}

function every(context: Context, ms: number, run: () => void, until: AbortSignal): void {
  const { host } = context.platform
  let timer = host.after(ms, {
    run: function again(): void {
      run()
      timer = host.after(ms, { run: again })
    },
  })
  until.addEventListener('abort', () => host.cancel(timer), { once: true })
}

/** Opens all links and joins them. What was opened is closed with the switch. Throws UsageError, and what links throw. */
async function joinLinks(context: Context, sw: Switch, values: Values, urls: readonly string[]): Promise<void> {
  const directory = text(values, 'pcap')
  if (directory !== undefined) makeDirectory(directory)
  const links: NetIf[] = []
  try {
    const told = (url: string) => (change: LinkChange) => context.err(`tapstack switch: ${changeLine(url, change)}`)
    for (const url of urls) links.push(await context.openLink(url, values.quiet === true ? undefined : told(url)))
    const names = distinct(links.map((link) => link.name))
    const options = portOptions(values, names)
    const limits = clampLimits(values, links)
    for (const [i, name] of names.entries()) {
      const file = directory === undefined ? undefined : joinPath(directory, `${name.replace(/[^\w.-]/g, '_')}.pcapng`)
      const whole = file === undefined ? links[i] : capture(links[i], file)
      const limit = limits[i]
      const link = limit === null ? whole : clampMss(whole, limit)
      sw.join(link, { ...options[i], name })
    }
    setMirror(sw, values, names)
  } catch (error) {
    for (const link of links) await link.close()
    throw error
  }
}

/** What SYNs are told at each link: nobody says PACKET TOO BIG behind a switch. Throws UsageError. */
function clampLimits(values: Values, links: readonly NetIf[]): (MssLimit | null)[] {
  const clamp = text(values, 'clamp')
  if (clamp === 'off') return links.map(() => null)
  if (clamp !== undefined) return links.map(() => integer(values, 'clamp', 8, 65_535, 0))
  const most = Math.max(...links.map((link) => link.mtu))
  return links.map((link) => (link.mtu < most ? 'mtu' : null))
}

/** Makes it if it is not there; the one above must be (`recursive` goes on for ever in /proc, where nothing can be made). */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** Two links of one name are `name` and `name#2`. */
function distinct(names: readonly string[]): string[] {
  return names.map((name, i) => {
    const before = names.slice(0, i).filter((other) => other === name).length
    return before === 0 ? name : `${name}#${before + 1}`
  })
}

/** The place of a port in the order of the links. Throws UsageError. */
function place(names: readonly string[], port: string, option: string): number {
  const i = names.indexOf(port)
  if (i >= 0) return i
  const number = /^\d{1,4}$/.test(port) ? Number(port) : 0
  if (number >= 1 && number <= names.length) return number - 1
  throw new UsageError(`--${option} ${port}: there is no such port, only ${names.join(', ')}`)
}

/** `PORT=VALUE`, each time the option is given. Throws UsageError. */
function assigned(values: Values, option: string, names: readonly string[]): [at: number, value: string][] {
  const given = Array.isArray(values[option]) ? values[option].map(String) : []
  return given.map((word) => {
    const equals = word.indexOf('=')
    if (equals < 0) throw new UsageError(`--${option} ${word}: PORT=... is expected`)
    return [place(names, word.slice(0, equals), option), word.slice(equals + 1)]
  })
}

function portOptions(values: Values, names: readonly string[]): SwitchPortOptions[] {
  const options: SwitchPortOptions[] = names.map(() => ({}))
  for (const [at, value] of assigned(values, 'vlan', names)) options[at].vlan = vlanOf(value)
  for (const [at, value] of assigned(values, 'rate', names)) options[at].rateIn = options[at].rateOut = rateOf(value)
  for (const port of texts(values, 'isolate')) options[place(names, port, 'isolate')].isolated = true
  for (const port of texts(values, 'edge')) options[place(names, port, 'edge')].edge = true
  return options
}

/** `10`, `trunk:10,20,native:5`, `trunk:all`, `tunnel:100`. Throws UsageError. */
function vlanOf(value: string): PortVlanOptions {
  const wrong = (): UsageError =>
    new UsageError(`--vlan ${value}: a number, trunk:10,20, trunk:all (with ,native:5) or tunnel:100 is expected`)
  const id = (word: string): number => {
    const n = /^\d{1,4}$/.test(word) ? Number(word) : 0
    if (n < 1 || n > 4094) throw wrong()
    return n
  }
  const [kind, list] = value.split(/:(.*)/)
  if (list === undefined) return { access: id(kind) }
  if (kind === 'tunnel') return { tunnel: id(list) }
  if (kind !== 'trunk') throw wrong()
  const words = list.split(',')
  const natives = words.filter((word) => word.startsWith('native:')).map((word) => id(word.slice(7)))
  const vlans = words.filter((word) => !word.startsWith('native:'))
  if (natives.length > 1) throw wrong()
  const trunk = vlans.length === 1 && vlans[0] === 'all' ? 'all' : vlans.map(id)
  return natives.length === 0 ? { trunk } : { trunk, native: natives[0] }
}

/** `64k`, `10M`, `2.5G`: bits a second. Throws UsageError. */
function rateOf(value: string): number {
  const m = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(value)
  const bits = m === null ? 0 : Number(m[1]) * { '': 1, k: 1e3, M: 1e6, G: 1e9 }[m[2] as '' | 'k' | 'M' | 'G']
  if (!(bits >= 1000 && bits <= 1e12)) throw new UsageError(`--rate ${value}: bits a second are expected, as 64k, 10M or 1G`)
  return bits
}

function setMirror(sw: Switch, values: Values, names: readonly string[]): void {
  const given = text(values, 'mirror')
  if (given === undefined) return
  const [to, from] = given.split('=')
  const port = (word: string): SwitchPort => sw.list[place(names, word, 'mirror')]
  const target = port(to)
  const sources = from === undefined ? sw.list.filter((p) => p !== target) : from.split(',').map(port)
  sw.mirror(sources, target)
}
