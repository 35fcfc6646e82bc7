/** Records as text, as master files have them (RFC 1035 section 5, RFC 9460 section 2.1, RFC 3597 section 5), which is how dig(1) shows them. */
import { Address } from '../base/address.ts'
import { get16 } from '../base/bytes.ts'
import { labelText } from './names.ts'
import { fieldsOf, type ResourceRecord, type SvcParam, type TypeName, type UnknownRecord } from './records.ts'

/** `10 mail.example.com.`: the data of a record. */
export function dataText(record: ResourceRecord): string {
  const fields = fieldsOf(record)
  if (fields === null) {
    const { bytes } = (record as UnknownRecord).data
    return `\\# ${bytes.length}${bytes.length === 0 ? '' : ` ${hex(bytes)}`}`
  }
  return fields
    .map(([kind, value]) => {
      switch (kind) {
        case 'name':
        case 'plainName':
          return `${value as string}.`
        case 'text':
        case 'quoted':
          return quoted(value as Uint8Array)
        case 'texts':
          return (value as Uint8Array[]).map(quoted).join(' ')
        case 'tag':
          // An empty one is malformed (RFC 8659 section 4.1), and yet a field: the value must not be taken for it.
          return labelText(value as Uint8Array, 0, (value as Uint8Array).length) || '""'
        case 'hex':
          return hex(value as Uint8Array).toUpperCase()
        case 'types':
          return (value as TypeName[]).join(' ')
        case 'params':
          return (value as SvcParam[]).map(paramText).join(' ')
        default:
          return String(value)
      }
    })
    .filter((text) => text !== '')
    .join(' ')
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
}

function quoted(bytes: Uint8Array): string {
  let text = ''
  for (const b of bytes) {
    if (b === 34 || b === 92) text += `\\${String.fromCharCode(b)}`
    else text += b >= 32 && b < 127 ? String.fromCharCode(b) : `\\${String(b).padStart(3, '0')}`
  }
  return `"${text}"`
}

/** RFC 9460 section 14.3.2. */
const KEYS = ['mandatory', 'alpn', 'no-default-alpn', 'port', 'ipv4hint', 'ech', 'ipv6hint']

export function keyName(key: number): string {
  return KEYS[key] ?? `key${key}`
}

/** The number of `alpn` or `key4000`; null: there is none of that name. */
export function keyCode(name: string): number | null {
  const known = KEYS.indexOf(name.toLowerCase())
  if (known >= 0) return known
  const number = /^key(\d{1,5})$/i.exec(name)
  return number !== null && Number(number[1]) <= 0xffff ? Number(number[1]) : null
}

function paramText({ key, value }: SvcParam): string {
  const name = keyName(key)
  const text = valueText(name, value)
  return value.length === 0 ? name : `${name}=${text ?? quoted(value)}`
}

/** Null: it does not fit its key, and is shown as bytes. */
function valueText(name: string, value: Uint8Array): string | null {
  const n = value.length
  const parts = (size: number, one: (at: number) => string): string | null => {
    if (n % size !== 0) return null
    return Array.from({ length: n / size }, (_, i) => one(i * size)).join(',')
  }
  if (name === 'port') return n === 2 ? String(get16(value, 0)) : null
  if (name === 'mandatory') return parts(2, (at) => keyName(get16(value, at)))
  if (name === 'ipv4hint') return parts(4, (at) => value.slice(at, at + 4).join('.'))
  if (name === 'ipv6hint') return parts(16, (at) => String(new Address().read(value, at)))
  if (name !== 'alpn') return null
  const out: string[] = []
  for (let at = 0; at < n; at += 1 + value[at]) {
    if (at + 1 + value[at] > n) return null
    // RFC 9460 appendix A.1: a comma of an item has a backslash, which is then escaped as any other.
    const item = [...value.slice(at + 1, at + 1 + value[at])].flatMap((b) => (b === 44 || b === 92 ? [92, b] : [b]))
    out.push(quoted(Uint8Array.from(item)).slice(1, -1))
  }
  return `"${out.join(',')}"`
}
