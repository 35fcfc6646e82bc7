/**
 * `vde:///run/vde.ctl`: a port of a VDE switch, be it vde_switch, one of vdeplug's (`vde_plug null:// switch:///tmp/sw`) or our own (vde-server.ts).
 *
 * Two ways. Through koffi the link has the switch's sockets itself (vde-port.ts). Where koffi is missing a `vde_plug` of this machine does it, as a
 * child whose standard input and output carry the frames, each behind its length in two bytes. `describe()` says which way it is.
 */
import { spawn } from 'node:child_process'
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { VDE_MAX_MTU, vdeDefaults } from '../base/vde-config.ts'
import type { NetIf } from '../netif/netif.ts'
import { splitBrackets, vnlMode, vnlNumber, vnlOptions } from '../vde/vnl.ts'
import { checkOptions, type LinkUrl, linkUrlOf, numberOption } from './link-url.ts'
import { type Carrier, StreamLink } from './stream-link.ts'
import { loadSystem, type System } from './system.ts'
import { joinSwitch, openControl, type VdePlan } from './vde-port.ts'

/** Which switch, and which of its ports. */
export interface VdeOptions {
  /** The switch's directory. The first of /var/run/vde.ctl and /tmp/vde.ctl with a switch in it when left out. */
  path?: string
  /** Number of the port; any that is free when left out. */
  port?: number
  /** A group of ports, in place of a number (switches that have them). */
  portGroup?: string
  /** Group of users, by name or number, that may have our data socket. */
  group?: string | number
  /** Permissions of our data socket. 0o700, or what the switch needs, when left out. */
  mode?: number
  /** What the switch shows at our port. */
  description?: string
  /** Largest IP packet of a frame, up to 9216 bytes. 1500: Debian's vde_switch cuts off what is beyond, without a word. */
  mtu?: number
  name?: string
  /** `koffi`: the sockets themselves; `vde_plug`: a child. koffi where it is to be had when left out. */
  by?: 'koffi' | 'vde_plug'
}

const OPTIONS = ['port', 'portgroup', 'group', 'mode']
const OUR_OPTIONS = ['mtu', 'name', 'by', 'description']

/** The options in `vde://[path][\[port\]]`; those behind `?` are ours: mtu, name, by, description. */
export function vdeOptions(url: LinkUrl): VdeOptions {
  const { text } = url
  checkOptions(url, OUR_OPTIONS)
  const { path, options: inside } = splitBrackets(url.target)
  const options = vnlOptions(inside, OPTIONS, text, 'port')
  const port = options.get('port') ?? options.get('portgroup')
  const isNumber = port !== undefined && /^\d+$/.test(port)
  const by = url.options.get('by')
  if (by !== undefined && by !== 'koffi' && by !== 'vde_plug')
    throw invalidArgument(`Option by=${by} in ${text}: koffi or vde_plug expected`)
  return {
    path: path === '' ? undefined : path,
    port: isNumber ? (vnlNumber(new Map([['port', port]]), 'port', 0, MAX_PORT, text) ?? 0) : undefined,
    portGroup: isNumber ? undefined : port,
    group: options.get('group'),
    mode: vnlMode(options, 'mode', text),
    description: url.options.get('description'),
    mtu: numberOption(url, 'mtu'),
    name: url.options.get('name'),
    by,
  }
}

/** A request has 24 bits for it. */
const MAX_PORT = 0xff_ffff

/**
 * Joins a VDE switch, named by its URL or by options.
 * @throws NetError with one line that says what to do: ENOENT (no switch there), ECONNREFUSED (it has ended, or has no such port), EACCES,
 *   ETIMEDOUT, ERR_INVALID_ARG_VALUE, ERR_KOFFI_UNAVAILABLE (and no vde_plug either), ERR_UNSUPPORTED_PLATFORM.
 */
export async function openVde(which: string | VdeOptions = {}, system?: System): Promise<NetIf> {
  const options = typeof which === 'string' ? vdeOptions(linkUrlOf('vde', which)) : which
  const { path, port, portGroup, mtu = LINK_DEFAULTS.mtuBytes } = options
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > VDE_MAX_MTU)
    throw invalidArgument(`Invalid MTU ${mtu}: 68 to ${VDE_MAX_MTU} expected`)
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= MAX_PORT))
    throw invalidArgument(`Invalid port ${port} of a VDE switch: 0 to ${MAX_PORT} expected`)
  if (portGroup !== undefined && (portGroup === '' || portGroup.includes('/')))
    throw invalidArgument(`Invalid group of ports ${JSON.stringify(portGroup)}: the name of a socket of the switch expected`)
  const plan: VdePlan = {
    name: options.name ?? null,
    directory: path ?? null,
    // 0 is "any" on the wire, and port 0 is asked for otherwise.
    port: port === undefined ? 0 : port === 0 ? -1 : port,
    portGroup: portGroup ?? null,
    group: options.group ?? null,
    mode: options.mode ?? null,
    description: options.description ?? 'tapstack',
    mtu,
  }
  if (options.by === 'vde_plug') return plugByChild(plan)
  try {
    return await joinSwitch(system ?? (await loadSystem()), plan)
  } catch (error) {
    if (options.by === 'koffi' || (error as NetError).code !== 'ERR_KOFFI_UNAVAILABLE') throw error
    return plugByChild(plan, error as NetError)
  }
}

/** A `vde_plug` of this machine as a child. `instead`: why it is not done without. */
async function plugByChild(plan: VdePlan, instead?: NetError): Promise<NetIf> {
  // vde_plug says little about a switch that is not there.
  const { directory, control } = await openControl(plan)
  control.destroy()
  const inside = [
    plan.portGroup ?? (plan.port === 0 ? '' : `port=${Math.max(plan.port, 0)}`),
    plan.group === null ? '' : `group=${plan.group}`,
    plan.mode === null ? '' : `mode=${plan.mode.toString(8)}`,
  ].filter((option) => option !== '')
  const url = `vde://${directory}${inside.length === 0 ? '' : `[${inside.join('/')}]`}`
  const child = spawn('vde_plug', ['-D', plan.description, url], { stdio: 'pipe' })
  let said = ''
  child.stderr.on('data', (data: Buffer) => {
    said = (said + data.toString()).slice(-1000)
  })
  const carrier: Carrier = {
    text: `${url} by a child vde_plug${instead === undefined ? '' : ', for koffi is missing'}`,
    start: () => undefined,
    ended: () => false,
    // The end of its input ends it; if not, we do.
    close: () => void setTimeout(() => child.kill(), LINK_DEFAULTS.streamCloseMs).unref(),
    ref: (on) => (on ? child.ref() : child.unref()),
  }
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, vdeDefaults.childStartsMs)
    child.once('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      const why = instead === undefined ? '' : `${instead.message}; and `
      const message = `${why}vde_plug, which could do it instead, cannot be run (${cause.code}): install it (Debian: vdeplug)`
      reject(new NetError(instead?.code ?? cause.code ?? 'ENOENT', { syscall: 'spawn', message, cause }))
    })
    child.once('close', () => {
      clearTimeout(timer)
      const message = `Cannot join the VDE switch ${directory} by vde_plug: ${said.trim().split('\n')[0] || 'it ended at once'}`
      reject(new NetError('ECONNREFUSED', { syscall: 'connect', message }))
    })
  })
  const link = new StreamLink({ name: plan.name ?? `vde:${directory}`, mtu: plan.mtu, carrier })
  link.use({ readable: child.stdout, writable: child.stdin })
  child.unref()
  return link
}
