/**
 * How VDE writes a network's name (a "virtual network locator"): `vxvde://234.0.0.1/ttl=2/vni=7`, `vde:///run/vde.ctl[3]`,
 * `vde:///run/vde.ctl[port=3/group=vde]`. Options are separated by slashes, may be shortened, and may have no value (vdeplug4, parseparms.c).
 */
import { invalidArgument } from '../base/errors.ts'

/**
 * The options in `text`, by their full names; a shortened one is the first of `known` that begins with it. A word that is none of
 * them is the value of `lone`, where there is one. Throws ERR_INVALID_ARG_VALUE with `url` in its words.
 */
export function vnlOptions(text: string, known: readonly string[], url: string, lone?: string): Map<string, string> {
  const options = new Map<string, string>()
  for (const element of text.split('/')) {
    if (element === '') continue
    const equals = element.indexOf('=')
    const word = equals < 0 ? element : element.slice(0, equals)
    const name = word === '' ? undefined : (known.find((k) => k === word) ?? known.find((k) => k.startsWith(word)))
    if (name !== undefined) options.set(name, equals < 0 ? '' : element.slice(equals + 1))
    else if (equals < 0 && lone !== undefined) options.set(lone, element)
    else throw invalidArgument(`Unknown option ${word} in ${url}: one of ${known.join(', ')} expected`)
  }
  return options
}

/** A whole number from `min` to `max`, or undefined where the option is not given. Throws ERR_INVALID_ARG_VALUE. */
export function vnlNumber(
  options: ReadonlyMap<string, string>,
  name: string,
  min: number,
  max: number,
  url: string,
): number | undefined {
  const value = options.get(name)
  if (value === undefined) return undefined
  const n = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN
  if (!(n >= min && n <= max))
    throw invalidArgument(`Option ${name}=${value} in ${url}: a whole number from ${min} to ${max} expected`)
  return n
}

/** Permissions in octal digits, or undefined where the option is not given. Throws ERR_INVALID_ARG_VALUE. */
export function vnlMode(options: ReadonlyMap<string, string>, name: string, url: string): number | undefined {
  const value = options.get(name)
  if (value === undefined) return undefined
  if (!/^[0-7]{1,4}$/.test(value)) throw invalidArgument(`Option ${name}=${value} in ${url}: an octal number expected`)
  return Number.parseInt(value, 8)
}

/** `D[port=3/group=vde]` in two: a path, and what stands in brackets. */
export function splitBrackets(target: string): { path: string; options: string } {
  const open = target.indexOf('[')
  if (open < 0) return { path: target, options: '' }
  return { path: target.slice(0, open), options: target.slice(open + 1).replace(/\]$/, '') }
}
