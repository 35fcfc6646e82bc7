/**
 * The keys that an application gives (`keys`): what they may be, and which of them belong to a peer. For MD5 the longest prefix decides, as routes do and
 * Linux does; with TCP-AO several keys may belong to one peer, told apart by their numbers, and their order says which is preferred.
 */
import { type Address, commonPrefix, type Prefix, prefix } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import type { TcpKey } from './api.ts'
import { AO_ALGORITHMS, type AoAlgorithm, MAC_LENGTH, sameBytes, secretBytes } from './signature-crypto.ts'
import { OPT_AO_LEAST_LENGTH } from './wire.ts'

/** The option of TCP-AO with either algorithm: a multiple of four, it needs no padding. */
export const AO_SPACE = OPT_AO_LEAST_LENGTH + MAC_LENGTH

/** A key as it is used: RFC 5925 calls it a master key tuple. */
export class MasterKey {
  /** Null: every peer. */
  readonly peer: Prefix | null
  readonly secret: Uint8Array
  /** Null: MD5. */
  readonly algorithm: AoAlgorithm | null
  readonly sendId: number
  readonly receiveId: number
  /** Other options are signed, too (RFC 5925 section 3.1). */
  readonly coversOptions: boolean

  constructor(key: TcpKey) {
    this.peer = key.peer === undefined ? null : prefix(key.peer)
    this.secret = typeof key.key === 'string' ? secretBytes(key.key) : key.key.slice()
    this.algorithm = key.algorithm === 'md5' ? null : AO_ALGORITHMS[key.algorithm]
    this.sendId = key.sendId ?? 0
    this.receiveId = key.receiveId ?? 0
    this.coversOptions = key.excludeOptions !== true
  }

  isOf(remote: Address): boolean {
    return this.peer === null || this.peer.contains(remote)
  }

  /** The same key, also if it was given anew. */
  equals(o: MasterKey): boolean {
    return (
      this.algorithm === o.algorithm &&
      this.sendId === o.sendId &&
      this.receiveId === o.receiveId &&
      this.coversOptions === o.coversOptions &&
      this.secret.length === o.secret.length &&
      sameBytes(this.secret, 0, o.secret, 0, o.secret.length)
    )
  }
}

/** All keys of a listener. */
export class KeyChain {
  private readonly keys: readonly MasterKey[]

  constructor(keys: readonly TcpKey[]) {
    this.keys = keys.map((key) => new MasterKey(key))
  }

  /** Some key of this peer, or null: segments need no signature. */
  firstOf(remote: Address): MasterKey | null {
    for (let i = 0; i < this.keys.length; i++) if (this.keys[i].isOf(remote)) return this.keys[i]
    return null
  }

  /** Those of the peer: one of MD5, or all of TCP-AO; empty when there is none. */
  of(remote: Address): readonly MasterKey[] {
    const found = this.keys.filter((key) => key.isOf(remote))
    return found.length < 2 || found[0].algorithm !== null ? found : [found.reduce((a, b) => (bits(b) > bits(a) ? b : a))]
  }
}

function bits(key: MasterKey): number {
  return key.peer === null ? 0 : key.peer.bits
}

const NAMES = ['peer', 'algorithm', 'key', 'sendId', 'receiveId', 'excludeOptions']

/** Throws ERR_INVALID_ARG_VALUE for what are no keys, or such that cannot stand together. The secrets are in no message. */
export function checkTcpKeys(value: unknown): true {
  if (!Array.isArray(value)) throw invalidArgument('option keys: must be a list of keys')
  for (const key of value as readonly TcpKey[]) checkKey(key)
  const keys = (value as readonly TcpKey[]).map((key) => new MasterKey(key))
  keys.forEach((a, i) => {
    for (let k = 0; k < i; k++) checkPair(a, keys[k])
  })
  return true
}

function checkKey(key: TcpKey): void {
  if (typeof key !== 'object' || key === null) throw invalidArgument('option keys: each must be an object')
  for (const name of Object.keys(key)) if (!NAMES.includes(name)) throw invalidArgument(`option keys: unknown property ${name}`)
  const { algorithm, key: secret, excludeOptions } = key
  if (algorithm !== 'md5' && !(typeof algorithm === 'string' && Object.hasOwn(AO_ALGORITHMS, algorithm)))
    throw invalidArgument(`option keys: algorithm cannot be ${String(algorithm)}`)
  if (!(typeof secret === 'string' || secret instanceof Uint8Array) || secret.length === 0)
    throw invalidArgument('option keys: key must be a string or bytes, not empty')
  for (const id of ['sendId', 'receiveId'] as const) {
    const n = key[id]
    if (n !== undefined && !(Number.isInteger(n) && n >= 0 && n <= 255))
      throw invalidArgument(`option keys: ${id} must be a number from 0 to 255`)
  }
  if (excludeOptions !== undefined && typeof excludeOptions !== 'boolean')
    throw invalidArgument('option keys: excludeOptions must be true or false')
}

/** RFC 5925 section 3.1: the numbers of keys for one peer must tell them apart, and a segment is signed one way or the other. */
function checkPair(a: MasterKey, b: MasterKey): void {
  const who = a.peer === null ? 'every peer' : a.peer.toString()
  if (a.algorithm === null && b.algorithm === null) {
    if (bits(a) === bits(b) && overlap(a, b)) throw invalidArgument(`option keys: two keys for ${who}`)
    return
  }
  if (!overlap(a, b)) return
  if (a.algorithm === null || b.algorithm === null) throw invalidArgument(`option keys: both MD5 and TCP-AO for ${who}`)
  if (a.sendId === b.sendId) throw invalidArgument(`option keys: two keys for ${who} with sendId ${a.sendId}`)
  if (a.receiveId === b.receiveId) throw invalidArgument(`option keys: two keys for ${who} with receiveId ${a.receiveId}`)
}

function overlap(a: MasterKey, b: MasterKey): boolean {
  if (a.peer === null || b.peer === null) return true
  return commonPrefix(a.peer.address, b.peer.address, Math.min(a.peer.bits, b.peer.bits))
}
