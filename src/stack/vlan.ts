/** VLANs of an interface (IEEE 802.1Q): interfaces over its link that go down, come up and go away with it. */
import { NetError } from '../base/errors.ts'
import { VlanLink, type VlanTagOptions } from '../ethernet/vlan.ts'
import { VLAN_TAG } from '../ethernet/wire.ts'
import type { AttachedInterface, AttachOptions } from './attached.ts'
import type { Stack } from './stack.ts'

/** Name (`eth0.100` when left out), MAC address (the parent's), MTU (the parent's), addresses, and how frames are tagged. */
export interface VlanOptions extends AttachOptions, VlanTagOptions {}

/** See `Stack.addVlan`. */
export function attachVlan(stack: Stack, parent: AttachedInterface, id: number, options: VlanOptions): AttachedInterface {
  const { ethernet } = parent.iface
  if (ethernet === null) throw new NetError('EOPNOTSUPP', { message: `${parent.name} is no Ethernet: it has no VLANs` })
  const { protocol, priority, egress, dropEligible, ...rest } = options
  const link = new VlanLink(ethernet, parent.iface, id, { protocol, priority, egress, dropEligible })
  let vlan: AttachedInterface
  try {
    vlan = stack.attach(link, { mtu: parent.mtu, ...rest, name: rest.name ?? `${parent.name}.${id}` })
  } catch (error) {
    link.close()
    throw error
  }
  vlan.iface.linkHeader = parent.iface.linkHeader + VLAN_TAG
  vlan.parent = parent
  parent.vlans.push(vlan)
  if (!parent.up) vlan.setUp(false)
  return vlan
}
