/**
 * `openLink(url)`: any link by its URL. One line of `SCHEMES` per kind of link; a kind that is not there does not exist.
 */
import { invalidArgument, NetError } from '../base/errors.ts'
import type { NetIf } from '../netif/netif.ts'
import type { TapOptions } from './tap.ts'
import { openTap, openTun } from './tap.ts'

/** A link's URL, taken apart: `scheme://target?options`. Not by `new URL`: `tap%d` and `udp://1->h:2` are none. */
export interface LinkUrl {
  readonly text: string
  readonly scheme: string
  /** What stands between the scheme and the options, without `//`. */
  readonly target: string
  readonly options: ReadonlyMap<string, string>
}

const SCHEMES: { readonly [scheme: string]: (url: LinkUrl) => Promise<NetIf> } = {
  tap: (url) => openTap(tapOptions(url)),
  tun: (url) => openTun(tapOptions(url)),
}

/**
 * Opens the link that a URL names, as `tap://tap0?host=10.0.0.1/24,fd00::1/64&mtu=1500&offload=on`.
 * @throws NetError ERR_UNKNOWN_LINK, ERR_INVALID_ARG_VALUE (with the option in its words), and what the link's own function throws.
 */
export async function openLink(url: string | { toString(): string }): Promise<NetIf> {
  const parsed = parseLinkUrl(String(url))
  return SCHEMES[parsed.scheme](parsed)
}

/** @throws NetError ERR_UNKNOWN_LINK, ERR_INVALID_ARG_VALUE. */
export function parseLinkUrl(text: string): LinkUrl {
  const m = /^([a-z][a-z0-9+.-]*):(?:\/\/)?([^?]*)(?:\?(.*))?$/i.exec(text)
  const scheme = m === null ? '' : m[1].toLowerCase()
  if (m === null || !Object.hasOwn(SCHEMES, scheme)) {
    const known = Object.keys(SCHEMES).map((name) => `${name}://`)
    throw new NetError('ERR_UNKNOWN_LINK', {
      message: `Unknown link ${JSON.stringify(text)}: a URL that begins with one of ${known.join(', ')} is expected`,
    })
  }
  const options = new Map<string, string>()
  for (const part of m[3] === undefined || m[3] === '' ? [] : m[3].split('&')) {
    const equals = part.indexOf('=')
    const name = equals < 0 ? part : part.slice(0, equals)
    if (options.has(name)) throw invalidArgument(`Option ${name} is given twice in ${text}`)
    // A bare option is switched on: `?persist`.
    options.set(name, equals < 0 ? 'on' : decode(part.slice(equals + 1), text))
  }
  return { text, scheme, target: m[2], options }
}

function decode(value: string, text: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw invalidArgument(`Invalid percent-encoding ${value} in ${text}`)
  }
}

const TAP_OPTIONS = ['host', 'mtu', 'offload', 'uso', 'queues', 'persist', 'owner', 'group', 'up']

/** The options of a tap's URL, ready for `openTap`. */
export function tapOptions(url: LinkUrl): TapOptions {
  for (const name of url.options.keys()) {
    if (!TAP_OPTIONS.includes(name)) {
      throw invalidArgument(`Unknown option ${name} in ${url.text}: one of ${TAP_OPTIONS.join(', ')} expected`)
    }
  }
  if (url.target.includes('/'))
    throw invalidArgument(`Invalid link ${url.text}: an interface name is expected after ${url.scheme}://`)
  return {
    name: url.target === '' ? undefined : url.target,
    host: url.options.get('host')?.split(','),
    mtu: number(url, 'mtu'),
    offload: flag(url, 'offload'),
    uso: flag(url, 'uso'),
    queues: number(url, 'queues'),
    persist: flag(url, 'persist'),
    owner: url.options.get('owner'),
    group: url.options.get('group'),
    up: flag(url, 'up'),
  }
}

function number(url: LinkUrl, name: string): number | undefined {
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

function flag(url: LinkUrl, name: string): boolean | undefined {
  const value = url.options.get(name)
  if (value === undefined) return undefined
  const on = WORDS.get(value)
  if (on === undefined) throw invalidArgument(`Option ${name}=${value} in ${url.text} is neither on nor off`)
  return on
}
