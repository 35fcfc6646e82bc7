/** What a service says of itself in its TXT record: keys and values (RFC 6763 section 6). */
import { invalidArgument } from '../base/errors.ts'
import { utf8Bytes, utf8Text } from '../base/utf8.ts'

/** A key alone says true; a value is text, or bytes where it is none. */
export type TxtInput = { readonly [key: string]: string | Uint8Array | true }

/** As it was heard: bytes that are no UTF-8 show as U+FFFD. */
export type Txt = { [key: string]: string | true }

const MAX_STRING = 255
const EQUALS = 61
/** RFC 6763 section 6.4: printable ASCII but for `=`. */
const KEY = /^[\x20-\x3c\x3e-\x7e]+$/

/** The strings of a TXT record. Nothing at all is one empty string (section 6.1). Throws ERR_INVALID_ARG_VALUE. */
export function txtStrings(txt: TxtInput): Uint8Array[] {
  const seen = new Set<string>()
  const strings = Object.entries(txt).map(([key, value]) => {
    if (!KEY.test(key)) throw invalidArgument(`${JSON.stringify(key)} is no key of TXT: printable ASCII without = is expected`)
    if (seen.has(key.toLowerCase())) throw invalidArgument(`key ${key} of TXT is there twice: its case does not count`)
    seen.add(key.toLowerCase())
    const bytes = value === true ? [] : typeof value === 'string' ? utf8Bytes(value) : value
    const whole = Uint8Array.from([...utf8Bytes(key), ...(value === true ? [] : [EQUALS]), ...bytes])
    if (whole.length > MAX_STRING) throw invalidArgument(`${key} of TXT and its value have more than ${MAX_STRING} bytes`)
    return whole
  })
  return strings.length === 0 ? [new Uint8Array(0)] : strings
}

/** Keys and values: strings without a key are skipped, of equal keys the first counts (section 6.4). */
export function readTxt(strings: readonly Uint8Array[]): Txt {
  const out = Object.create(null) as Txt // a key may be called __proto__
  const seen = new Set<string>()
  for (const string of strings) {
    const at = string.indexOf(EQUALS)
    const key = utf8Text(at < 0 ? string : string.subarray(0, at))
    if (key === '' || seen.has(key.toLowerCase())) continue
    seen.add(key.toLowerCase())
    out[key] = at < 0 ? true : utf8Text(string.subarray(at + 1))
  }
  return out
}
