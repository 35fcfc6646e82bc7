/**
 * What a client of the multiplexer hears, as a network card's receive filter: by kind of destination, and by a function of its own at
 * the end. ORe had two switches, broadcast and active; the others are what cards have.
 */
import { get16, get32 } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import { muxConfig } from '../base/mux-config.ts'
import { formatMac, parseMac } from '../ethernet/mac.ts'
import { MacTable } from './mac-table.ts'

/** True: the frame is wanted. The bytes are lent for the call, to be read only. */
export type FramePredicate = (buf: Uint8Array, start: number, end: number) => boolean

/** Those switches that may cross to another thread or process. */
export interface MuxSwitches {
  /** False: nothing at all is heard. True when left out. */
  active?: boolean
  /** Frames to the client's own address. True when left out. */
  unicast?: boolean
  /** Frames to everybody. True when left out: without them nobody finds the client by ARP. (ORe: false.) */
  broadcast?: boolean
  /** Frames to groups: all, none, or those of a list of MAC addresses. All when left out. */
  multicast?: boolean | readonly string[]
  /** Whatever passes the device, whomever it is for. False when left out. */
  promiscuous?: boolean
}

/** What a client lets in. */
export interface MuxFilter extends MuxSwitches {
  /** Asked last, for each frame that the rest would let in. Null: no such function. */
  accept?: FramePredicate | null
}

/** Why a frame is not heard. */
export const Heard = { YES: 0, FILTERED: 1, INACTIVE: 2 } as const

/** A filter in force: every part of it settled. */
export class ReceiveFilter {
  active = true
  unicast = true
  broadcast = true
  promiscuous = false
  accept: FramePredicate | null = null
  /** Null: all groups. */
  private groups: MacTable | null = null
  private groupList: readonly string[] = []

  /** The parts as they were given, with all that was left out. */
  get settings(): Required<MuxFilter> {
    return { ...this.switches, accept: this.accept }
  }

  get switches(): Required<MuxSwitches> {
    const { active, unicast, broadcast, promiscuous, groups, groupList } = this
    return {
      active,
      unicast,
      broadcast,
      multicast: groups === null ? true : groupList.length === 0 ? false : groupList,
      promiscuous,
    }
  }

  /** Changes the given parts. Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_MAC_ADDRESS; nothing is changed then. */
  set(changes: MuxFilter): void {
    const { active, unicast, broadcast, multicast, promiscuous, accept } = changes
    for (const [name, value] of Object.entries({ active, unicast, broadcast, promiscuous })) {
      if (value !== undefined && typeof value !== 'boolean')
        throw invalidArgument(`${name}: true or false is expected, not ${value}`)
    }
    if (accept !== undefined && accept !== null && typeof accept !== 'function')
      throw invalidArgument(`accept: a function or null is expected, not ${accept}`)
    if (multicast !== undefined && typeof multicast !== 'boolean' && !Array.isArray(multicast))
      throw invalidArgument(`multicast: true, false or a list of addresses is expected, not ${multicast}`)
    if (multicast !== undefined) this.setGroups(multicast)
    if (active !== undefined) this.active = active
    if (unicast !== undefined) this.unicast = unicast
    if (broadcast !== undefined) this.broadcast = broadcast
    if (promiscuous !== undefined) this.promiscuous = promiscuous
    if (accept !== undefined) this.accept = accept
  }

  private setGroups(multicast: boolean | readonly string[]): void {
    if (multicast === true) {
      this.groups = null
      this.groupList = []
      return
    }
    const list = multicast === false ? [] : multicast
    if (list.length > muxConfig.maxGroups)
      throw invalidArgument(`multicast: ${list.length} addresses, and a client's list has room for ${muxConfig.maxGroups}`)
    const table = new MacTable()
    const texts: string[] = []
    for (const text of list) {
      const mac = parseMac(text)
      if ((mac[0] & 1) === 0) throw invalidArgument(`multicast: ${text} is no group's address`)
      if (table.get(get16(mac, 0), get32(mac, 2)) >= 0) continue
      table.add(get16(mac, 0), get32(mac, 2), texts.length)
      texts.push(formatMac(mac))
    }
    this.groups = table
    this.groupList = texts
  }

  /**
   * Whether a frame is heard. @param high @param low its destination @param isOwn it is the client's own address. Throws what `accept`
   * throws.
   */
  hears(buf: Uint8Array, start: number, end: number, high: number, low: number, isOwn: boolean): number {
    if (!this.active) return Heard.INACTIVE
    if (!this.promiscuous && !this.isWanted(high, low, isOwn)) return Heard.FILTERED
    return this.accept === null || this.accept(buf, start, end) ? Heard.YES : Heard.FILTERED
  }

  private isWanted(high: number, low: number, isOwn: boolean): boolean {
    if ((high & 0x100) === 0) return isOwn && this.unicast
    if (high === 0xffff && low === -1) return this.broadcast
    return this.groups === null || this.groups.get(high, low) >= 0
  }
}
