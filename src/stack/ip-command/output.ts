/** What a command shows: each thing as text and as data, printed one way or the other. */
import type { IpOptions } from './words.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = Record<string, Json>

/** One thing of a listing: all its lines, each ended. */
export interface Shown {
  readonly text: string
  readonly json: JsonObject
}

/** Builds both forms at once, field by field. */
export class Fields implements Shown {
  readonly json: JsonObject = {}
  text = ''

  /** `words` is all of the text. */
  add(key: string, value: Json, words: string): this {
    this.json[key] = value
    this.text += words
    return this
  }

  /** Text that is no data. */
  say(words: string): this {
    this.text += words
    return this
  }
}

export function print(list: readonly Shown[], options: IpOptions): string {
  if (options.json) {
    const data = list.map((one) => one.json)
    return `${options.pretty ? pretty(data, 0) : JSON.stringify(data)}\n`
  }
  return list.map((one) => (options.oneLine ? one.text.replace(/\n(?!$)/g, '\\') : one.text)).join('')
}

/** As iproute2 indents it. */
function pretty(value: Json, depth: number): string {
  if (Array.isArray(value)) {
    return value.length === 0 ? '[ ]' : `[ ${value.map((v: Json) => pretty(v, depth + 1)).join(',')} ]`
  }
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const fields = Object.entries(value).map(([key, v]) => `\n${'    '.repeat(depth + 1)}"${key}": ${pretty(v, depth + 1)}`)
  return `{${fields.join(',')}\n${'    '.repeat(depth)}}`
}
