/** The URL of a link, taken apart, and the options in it. */
import { invalidArgument } from '../base/errors.ts'

/** A link's URL: `scheme://target?options`. Not by `new URL`: `tap%d` and `udp://1->h:2` are none. */
export interface LinkUrl {
  readonly text: string
  readonly scheme: string
  /** What stands between the scheme and the options, without `//`. */
  readonly target: string
  readonly options: ReadonlyMap<string, string>
}

/** Null: it is no URL. @throws NetError ERR_INVALID_ARG_VALUE. */
export function splitLinkUrl(text: string): LinkUrl | null {
  const m = /^([a-z][a-z0-9+.-]*):(?:\/\/)?([^?]*)(?:\?(.*))?$/i.exec(text)
  if (m === null) return null
  const options = new Map<string, string>()
  for (const part of m[3] === undefined || m[3] === '' ? [] : m[3].split('&')) {
    const equals = part.indexOf('=')
    const name = equals < 0 ? part : part.slice(0, equals)
    if (options.has(name)) throw invalidArgument(`Option ${name} is given twice in ${text}`)
    // A bare option is switched on: `?persist`.
    options.set(name, equals < 0 ? 'on' : decode(part.slice(equals + 1), text))
  }
  return { text, scheme: m[1].toLowerCase(), target: m[2], options }
}

/** The URL of a link of one kind, for its own function. @throws NetError ERR_INVALID_ARG_VALUE when it is of another. */
export function linkUrlOf(scheme: string, text: string): LinkUrl {
  const url = splitLinkUrl(text)
  if (url === null || url.scheme !== scheme) throw invalidArgument(`Invalid link ${JSON.stringify(text)}: ${scheme}: is expected`)
  return url
}

function decode(value: string, text: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw invalidArgument(`Invalid percent-encoding ${value} in ${text}`)
  }
}

/** Throws ERR_INVALID_ARG_VALUE for an option that is none of `known`. */
export function checkOptions(url: LinkUrl, known: readonly string[]): void {
  for (const name of url.options.keys()) {
    if (!known.includes(name)) throw invalidArgument(`Unknown option ${name} in ${url.text}: one of ${known.join(', ')} expected`)
  }
}

/** An option that is a number, or undefined where it is not given. Throws ERR_INVALID_ARG_VALUE. */
export function numberOption(url: LinkUrl, name: string): number | undefined {
  const value = url.options.get(name)
  if (value === undefined) return undefined
  if (!/^\d{1,9}$/.test(value)) throw invalidArgument(`Option ${name}=${value} in ${url.text} is not a number`)
  return Number(value)
}

const WORDS: ReadonlyMap<string, boolean> = new Map([
  ['on', true],
  ['yes', true],
  ['true', true],
  ['1', true],
  ['off', false],
  ['no', false],
  ['false', false],
  ['0', false],
])

/** An option that is on or off, or undefined where it is not given. Throws ERR_INVALID_ARG_VALUE. */
export function flagOption(url: LinkUrl, name: string): boolean | undefined {
  const value = url.options.get(name)
  if (value === undefined) return undefined
  const on = WORDS.get(value)
  if (on === undefined) throw invalidArgument(`Option ${name}=${value} in ${url.text} is neither on nor off`)
  return on
}
