/**
 * Addresses of interfaces and the connected routes that come and go with them: the plumbing behind `attach({ addresses })`,
 * `ip addr add` and DHCP. Routing caches are told through `ip.changed()`.
 */
import type { Address, Prefix } from '../base/address.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import { type AddressNotes, AddressState, type Interface, type InterfaceAddress } from './interface.ts'
import type { Ip } from './ip.ts'
import { removeRoutes } from './tables.ts'

/** Who makes sure that an address is nobody else's: conflict detection for IPv4 (RFC 5227), DAD for IPv6 (RFC 4862). */
export interface AddressClaims {
  /** Takes charge of an address of the interface. With `probe` it is TENTATIVE until nobody has objected. */
  add(own: InterfaceAddress, probe: boolean): void
  /** Lets go of it. */
  remove(own: InterfaceAddress): void
  /** The link came up (again): neighbours may be others. */
  linkUp(): void
}

/** What is said of an address that is claimed. From timers only, never while a packet is being heard. */
export interface ClaimListener {
  /** The address may be used: nobody else answered, or nobody was asked. Once per `add`. */
  onReady(iface: Interface, own: InterfaceAddress): void
  /** Another host has the address; its state is DUPLICATE already. `mac`: the other's, 6 bytes, the listener's to keep. */
  onConflict(iface: Interface, own: InterfaceAddress, mac: Uint8Array): void
}

/**
 * Gives `iface` the address of `prefix` (with its length) and the connected route of its network.
 * `state`: AddressState, PREFERRED unless it has to be probed first. `notes`: what ip-address(8) may say besides. Throws NetError: EEXIST when the interface has it already,
 * ERR_INVALID_ARG_VALUE for what cannot be a host's address.
 */
export function addAddress(
  ip: Ip,
  iface: Interface,
  prefix: Prefix,
  state: number = AddressState.PREFERRED,
  notes: AddressNotes | null = null,
): InterfaceAddress {
  const address = prefix.address.clone()
  checkHostAddress(prefix)
  if (address.isLinkLocal) address.zone = iface.index
  for (const own of iface.addresses) {
    if (own.address.equals(address)) {
      throw new NetError('EEXIST', { message: `${iface.name} already has the address ${address}`, address: address.toString() })
    }
  }
  const peer = notes?.peer ?? null
  const network = peer ?? prefix
  const own: InterfaceAddress = {
    address,
    prefix: network,
    broadcast: notes?.broadcast ?? network.broadcast,
    state,
    temporary: false,
    notes,
    lifetime: null,
  }
  iface.addresses.push(own)
  // A host prefix reaches nobody but ourselves, and that way is the loopback's: no route.
  if (notes?.noPrefixRoute !== true && (peer !== null || prefix.length < (address.isV4 ? 32 : 128))) {
    ip.routes.add({ prefix: network.network, gateway: null, iface, metric: 0, source: address, origin: 'connected' })
  }
  ip.changed()
  return own
}

/**
 * Takes an address from `iface`, with its connected route and every route that prefers it as source. False: it was not there.
 */
export function removeAddress(ip: Ip, iface: Interface, address: Address): boolean {
  const at = iface.addresses.findIndex((own) => own.address.equals(address))
  if (at < 0) return false
  iface.addresses[at].lifetime?.end()
  iface.addresses.splice(at, 1)
  removeRoutes(ip, (e) => e.iface === iface && e.source !== null && e.source.equals(address))
  ip.changed()
  return true
}

/** RFC 1122 section 3.2.1.3: what may stand as the address of one host. */
function checkHostAddress(prefix: Prefix): void {
  const a = prefix.address
  let why = ''
  if (a.isUnspecified) why = 'is the unspecified address'
  else if (a.isMulticast) why = 'is a multicast group'
  else if (a.isLimitedBroadcast) why = 'is the limited broadcast address'
  else if (prefix.broadcast?.equals(a)) why = `is the broadcast address of ${prefix.network}`
  else if (prefix.broadcast !== null && prefix.network.address.equals(a)) why = `is the network address of ${prefix.network}`
  if (why !== '') throw invalidArgument(`${a} ${why}, not a host's address`)
}
