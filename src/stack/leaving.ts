/** Where what a user sends leaves from: our address and our interface, as text or as what the stack gave (`stack.ping`, `stack.traceroute`, `stack.tracepath`). */
import { Address } from '../base/address.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import type { PingOptions as PingSettings } from '../icmp/ping-iterator.ts'
import { Interface } from '../ip/interface.ts'
import { parseScoped } from '../ip/zone.ts'
import type { TracepathOptions as TracepathSettings } from '../probe/tracepath.ts'
import type { TracerouteOptions as TracerouteSettings } from '../probe/traceroute.ts'
import { AttachedInterface } from './attached.ts'
import type { Stack } from './stack.ts'

type Leaving<T> = Omit<T, 'source' | 'iface'> & {
  /** One of our addresses: `10.0.0.2`, `fe80::2%eth0`. Routing chooses when left out. */
  source?: Address | string
  /** The interface to leave by, or its name. */
  iface?: AttachedInterface | Interface | string
}

/** What `stack.ping` takes. */
export type PingOptions = Leaving<PingSettings>
/** What `stack.traceroute` takes. */
export type TracerouteOptions = Leaving<TracerouteSettings>
/** What `stack.tracepath` takes. */
export type TracepathOptions = Leaving<TracepathSettings>

interface Settings {
  source?: Address
  iface?: Interface
}

/** The same options, as the protocols have them. Throws ERR_INVALID_IP_ADDRESS, ENODEV (no interface of that name), ERR_INVALID_ARG_TYPE. */
export function leaving<T>(stack: Stack, options: Leaving<T>): Omit<T, 'source' | 'iface'> & Settings {
  const iface = interfaceOf(stack, options.iface)
  const source = sourceOf(stack, options.source)
  if (source?.isLinkLocal && source.zone === 0 && iface !== undefined) source.zone = iface.index
  return { ...options, source, iface }
}

function interfaceOf(stack: Stack, given: AttachedInterface | Interface | string | undefined): Interface | undefined {
  if (given === undefined || given instanceof Interface) return given
  if (given instanceof AttachedInterface) return given.iface
  if (typeof given !== 'string') throw notThis('iface', 'an interface or its name')
  const found = stack.ipLayer.interfaces.find((i) => i.name === given)
  if (found === undefined) throw new NetError('ENODEV', { message: `there is no interface ${given}` })
  return found
}

function sourceOf(stack: Stack, given: Address | string | undefined): Address | undefined {
  if (given === undefined) return undefined
  if (given instanceof Address) return given.clone()
  if (typeof given !== 'string') throw notThis('source', 'an address')
  return parseScoped(stack.ipLayer, given)
}

function notThis(name: string, what: string): NetError {
  return invalidArgument(`The "${name}" option must be ${what}`, 'ERR_INVALID_ARG_TYPE')
}
