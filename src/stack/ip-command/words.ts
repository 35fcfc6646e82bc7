/** The words of one command, and how ip(8) reads numbers, addresses and devices in them. */
import { Address, ANY, ANY_V4, Prefix, parseAddress, parseIPv4 } from '../../base/address.ts'
import type { NetError } from '../../base/errors.ts'
import { parseMac } from '../../ethernet/mac.ts'
import type { Interface } from '../../ip/interface.ts'
import type { AttachedInterface } from '../attached.ts'
import type { Stack } from '../stack.ts'
import { incomplete, wrong } from './problems.ts'

/** 0: either. */
export type Family = 0 | 4 | 6

/** What stands before the object. */
export interface IpOptions {
  family: Family
  json: boolean
  pretty: boolean
  oneLine: boolean
  brief: boolean
  details: boolean
  statistics: boolean
}

/** An interface, and what its user holds of it: null for the loopback. */
export interface Device {
  readonly iface: Interface
  readonly attached: AttachedInterface | null
}

/** What a command is given. */
export class Words {
  private at = 0

  constructor(
    readonly stack: Stack,
    readonly options: IpOptions,
    private readonly list: readonly string[],
  ) {}

  get more(): boolean {
    return this.at < this.list.length
  }

  /** The next word, left where it is; empty at the end. */
  get next(): string {
    return this.list[this.at] ?? ''
  }

  take(): string {
    return this.list[this.at++]
  }

  /** What must follow a keyword. */
  argument(): string {
    if (!this.more) throw incomplete()
    return this.take()
  }

  /** Takes the next word if it is this one. */
  takeIf(word: string): boolean {
    if (this.next !== word) return false
    this.at++
    return true
  }

  /** The family of what follows: that of the options, or else of what an address shows. */
  prefix(family: Family = this.options.family): Prefix {
    return parsePrefix(this.argument(), family)
  }

  address(family: Family = this.options.family): Address {
    const text = this.argument()
    const a = parseAnyAddress(text)
    if (a === null || (family !== 0 && a.family !== family)) {
      throw wrong(`Error: ${familyWord(family)} address is expected rather than "${text}".`, 'ERR_INVALID_IP_ADDRESS')
    }
    return a
  }

  device(): Device {
    return deviceNamed(this.stack, this.argument())
  }

  /** A whole number; `problem` makes the error of what is none. */
  number(low: number, high: number, problem: (word: string) => NetError): number {
    const word = this.argument()
    const n = /^(\d+|0x[0-9a-f]+)$/i.test(word) ? Number(word) : -1
    if (n < low || n > high) throw problem(word)
    return n
  }

  onOff(what: string): boolean {
    const word = this.argument()
    if (word !== 'on' && word !== 'off') {
      throw wrong(`Error: argument of "${what}" must be "on" or "off", not "${word}"`)
    }
    return word === 'on'
  }

  mac(): Uint8Array {
    const word = this.argument()
    const parts = word.split(':')
    if (!parts.every((p) => /^[0-9a-f]{1,2}$/i.test(p))) throw wrong(`"${word}" is invalid lladdr.`, 'ERR_INVALID_MAC_ADDRESS')
    if (parts.length !== 6) {
      throw wrong(`Invalid address length ${parts.length} - must be 6 bytes`, 'ERR_INVALID_MAC_ADDRESS')
    }
    return parseMac(word)
  }
}

/** True when `word` is `full` or its beginning. */
export function abbreviates(word: string, ...full: readonly string[]): boolean {
  return word !== '' && full.some((f) => f.startsWith(word))
}

export function familyWord(family: Family): string {
  return family === 0 ? 'any valid' : family === 4 ? 'inet' : 'inet6'
}

export function devicesOf(stack: Stack): Device[] {
  return stack.ipLayer.interfaces.map((iface) => ({ iface, attached: stack.interfaces.find((a) => a.iface === iface) ?? null }))
}

export function findDevice(stack: Stack, name: string): Device | undefined {
  return devicesOf(stack).find((d) => d.iface.name === name)
}

export function deviceNamed(stack: Stack, name: string): Device {
  const found = findDevice(stack, name)
  if (found === undefined) throw wrong(`Cannot find device "${name}"`, 'ENODEV')
  return found
}

/** For listings, which word it otherwise. */
export function deviceToShow(stack: Stack, name: string): Device {
  const found = findDevice(stack, name)
  if (found === undefined) throw wrong(`Device "${name}" does not exist.`, 'ENODEV')
  return found
}

/** `10.0.0.0/24`, `10/8`, `10.0.0.0/255.0.0.0`, `default`; without a length the whole address. */
export function parsePrefix(text: string, family: Family): Prefix {
  if (text === 'default' || text === 'any' || text === 'all') return new Prefix(family === 6 ? ANY : ANY_V4, 0)
  const slash = text.indexOf('/')
  const a = parseAnyAddress(slash < 0 ? text : text.slice(0, slash))
  if (a !== null && (family === 0 || a.family === family)) {
    const length = lengthOf(slash < 0 ? null : text.slice(slash + 1), a)
    if (length !== null) return new Prefix(a, length)
  }
  throw wrong(`Error: ${familyWord(family)} prefix is expected rather than "${text}".`, 'ERR_INVALID_IP_ADDRESS')
}

/** `10` and `10.1` are 10.0.0.0 and 10.1.0.0, as ip(8) has them. */
export function parseAnyAddress(text: string): Address | null {
  const known = parseAddress(text)
  if (known !== null) return known
  const parts = text.split('.')
  if (parts.length > 3 || !parts.every((p) => /^\d{1,3}$/.test(p))) return null
  const word = parseIPv4([...parts, '0', '0', '0'].slice(0, 4).join('.'))
  return word === null ? null : Address.v4(word)
}

function lengthOf(text: string | null, a: Address): number | null {
  const full = a.isV4 ? 32 : 128
  if (text === null) return full
  if (/^\d{1,3}$/.test(text)) return Number(text) <= full ? Number(text) : null
  const mask = a.isV4 ? parseIPv4(text) : null
  if (mask === null) return null
  const length = Math.clz32(~mask)
  return (length === 0 ? 0 : -1 << (32 - length)) === mask ? length : null
}
