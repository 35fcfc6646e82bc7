/**
 * The cryptography of signed segments, from packages that are pure and audited: MD5 (RFC 1321), and the two pairs of key derivation and MAC that
 * every TCP-AO has (RFC 5926 section 3).
 */
import { cmac } from '@noble/ciphers/aes.js'
import { hmac } from '@noble/hashes/hmac.js'
import { md5, sha1 } from '@noble/hashes/legacy.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'

/** Bytes of an MD5 digest. */
export const MD5_LENGTH = 16
/** Bytes of both MACs: HMAC-SHA-1-96 and AES-128-CMAC-96 (RFC 5926 section 3.2). */
export const MAC_LENGTH = 12

const AES_KEY_LENGTH = 16
const LABEL = utf8ToBytes('TCP-AO')
/** Iteration, label, and after the context the length of the output in bits (RFC 5926 section 3.1.1). */
const AROUND_CONTEXT = 1 + LABEL.length + 2

/** UTF-8 bytes of a key that is given as text. */
export const secretBytes: (text: string) => Uint8Array = utf8ToBytes

/** The digest of RFC 2385 section 2.0: of head, data and key, in this order. */
export function md5Of(head: Uint8Array, data: Uint8Array, key: Uint8Array): Uint8Array {
  return md5.create().update(head).update(data).update(key).digest()
}

/** A pair of RFC 5926: how traffic keys are derived from a master key, and how segments are signed with them. */
export interface AoAlgorithm {
  /** The traffic key of a connection that `context` describes. */
  derive(master: Uint8Array, context: Uint8Array): Uint8Array
  /** MAC of head and data; its first MAC_LENGTH bytes are what is sent. */
  mac(trafficKey: Uint8Array, head: Uint8Array, data: Uint8Array): Uint8Array
}

/** KDF_HMAC_SHA1 (section 3.1.1.1) with HMAC-SHA-1-96 (section 3.2.1). */
const HMAC_SHA1: AoAlgorithm = {
  derive: (master, context) => hmac(sha1, master, derivation(context, 160)),
  mac: (key, head, data) => hmac.create(sha1, key).update(head).update(data).digest(),
}

/** KDF_AES_128_CMAC (section 3.1.1.2: master keys of other lengths become such of 128 bits first) with AES-128-CMAC-96 (section 3.2.2). */
const AES_CMAC: AoAlgorithm = {
  derive: (master, context) => {
    const key = master.length === AES_KEY_LENGTH ? master : cmac(master, new Uint8Array(AES_KEY_LENGTH))
    return cmac(derivation(context, 128), key)
  },
  mac: (key, head, data) => cmac.create(key).update(head).update(data).digest(),
}

/** By the names of the API. */
export const AO_ALGORITHMS = { 'hmac-sha-1-96': HMAC_SHA1, 'aes-128-cmac-96': AES_CMAC } as const

/** What a derivation hashes. One iteration is enough for both: their output is as long as the traffic key. */
function derivation(context: Uint8Array, bits: number): Uint8Array {
  const input = new Uint8Array(AROUND_CONTEXT + context.length)
  input[0] = 1
  input.set(LABEL, 1)
  input.set(context, 1 + LABEL.length)
  input[input.length - 2] = bits >> 8
  input[input.length - 1] = bits & 0xff
  return input
}

/** Equal for `length` bytes; takes as long whether they are or not, so that a forger cannot learn by time. */
export function sameBytes(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, length: number): boolean {
  let difference = 0
  for (let i = 0; i < length; i++) difference |= a[aAt + i] ^ b[bAt + i]
  return difference === 0
}
