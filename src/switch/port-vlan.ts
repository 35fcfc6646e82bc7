/**
 * What VLANs a port is in, and whether frames have tags there (IEEE 802.1Q section 6.9: ingress and egress rules). Inside the switch every frame
 * is of one VLAN, and its tag is outside of it.
 */
import { invalidArgument } from '../base/errors.ts'
import type { VlanProtocol } from '../ethernet/vlan.ts'
import { ETHERTYPE_QINQ, ETHERTYPE_VLAN } from '../ethernet/wire.ts'

/** How a port takes part in VLANs. */
export interface PortVlanOptions {
  /** Frames without a tag, in this VLAN. Those with another VLAN's tag are dropped. */
  access?: number
  /** Frames with tags, of these VLANs or of all. */
  trunk?: readonly number[] | 'all'
  /** Of a trunk: the VLAN whose frames have no tag there. Without one, frames without a tag are dropped. */
  native?: number
  /** All frames, whatever tags they have, in this VLAN (a customer's port of IEEE 802.1ad, "dot1q-tunnel"): tags inside are not looked at. */
  tunnel?: number
  /** The tags of a trunk: `802.1Q` (0x8100, when left out) or `802.1ad` (0x88a8). */
  protocol?: VlanProtocol
}

/** VLAN ids in use are from 1 to 4094 (802.1Q table 9-2). */
const VIDS = 4096
/** The VLAN of ports that say nothing of VLANs. */
export const DEFAULT_VLAN = 1

/** How frames of a VLAN leave. */
export const Egress = { NOT: 0, BARE: 1, TAGGED: 2 } as const

export class PortVlan {
  /** `Egress` by VLAN id. */
  readonly egress = new Uint8Array(VIDS)
  /** VLAN of frames without a tag, 0: they are dropped. */
  readonly pvid: number
  /** Tags are looked at. */
  readonly looks: boolean
  readonly tpid: number
  private readonly words: string

  /** Throws ERR_INVALID_ARG_VALUE. */
  constructor(options: PortVlanOptions = {}) {
    const { access, trunk, native, tunnel, protocol = '802.1Q' } = options
    const kinds = [access, trunk, tunnel].filter((kind) => kind !== undefined).length
    if (kinds > 1) throw invalidArgument('a port is an access port, a trunk or a tunnel: one of them is expected')
    if (native !== undefined && trunk === undefined) throw invalidArgument('a native VLAN is a trunk’s')
    if (protocol !== '802.1Q' && protocol !== '802.1ad')
      throw invalidArgument(`VLAN protocol ${protocol}: 802.1Q or 802.1ad expected`)
    this.tpid = protocol === '802.1Q' ? ETHERTYPE_VLAN : ETHERTYPE_QINQ
    this.looks = trunk !== undefined || access !== undefined
    if (trunk === undefined) {
      this.pvid = checkVlan(access ?? tunnel ?? DEFAULT_VLAN)
      this.egress[this.pvid] = Egress.BARE
      this.words = access !== undefined ? `access ${access}` : tunnel !== undefined ? `tunnel ${tunnel}` : ''
      return
    }
    this.pvid = native === undefined ? 0 : checkVlan(native)
    if (trunk === 'all') this.egress.fill(Egress.TAGGED, 1, VIDS - 1)
    else for (const vlan of trunk) this.egress[checkVlan(vlan)] = Egress.TAGGED
    if (this.pvid !== 0) this.egress[this.pvid] = Egress.BARE
    const list = trunk === 'all' ? 'all' : trunk.join(',')
    this.words = `trunk ${list}${native === undefined ? '' : ` native ${native}`}${protocol === '802.1Q' ? '' : ' 802.1ad'}`
  }

  /** `access 10`; empty for a port that says nothing of VLANs. */
  toString(): string {
    return this.words
  }
}

/** Throws ERR_INVALID_ARG_VALUE. */
function checkVlan(vlan: number): number {
  if (!(Number.isInteger(vlan) && vlan >= 1 && vlan < VIDS - 1)) throw invalidArgument(`a VLAN id is from 1 to 4094, not ${vlan}`)
  return vlan
}
