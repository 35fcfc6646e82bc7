/** Who is asked: servers as text (`10.0.0.1`, `[fd00::1]:5353`, `fe80::1%eth0`), and what resolv.conf(5) says. */
import { parseAddress } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import { canonicalName } from './names.ts'

export const DNS_PORT = 53

/** A server as it was named: a zone is looked up when it is asked, for its interface may come later. */
export interface Server {
  /** The address, with a zone if there is one. */
  readonly host: string
  readonly port: number
  /** As node:dns shows it: without the port when it is 53. */
  readonly text: string
}

/** Throws ERR_INVALID_IP_ADDRESS. */
export function parseServer(text: string): Server {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text)
  const plain = bracketed ?? /^([^:]+):(\d{1,5})$/.exec(text)
  const host = plain === null ? text : plain[1]
  const port = plain?.[2] === undefined ? DNS_PORT : Number(plain[2])
  const zone = host.indexOf('%')
  const a = parseAddress(zone < 0 ? host : host.slice(0, zone))
  if (a === null || (zone >= 0 && a.isV4) || (bracketed !== null && a.isV4) || !(port >= 1 && port <= 65535)) {
    throw invalidArgument(`Invalid IP address: ${text}`, 'ERR_INVALID_IP_ADDRESS')
  }
  const shown = `${a}${zone < 0 ? '' : host.slice(zone)}`
  return { host: shown, port, text: port === DNS_PORT ? shown : a.isV4 ? `${shown}:${port}` : `[${shown}]:${port}` }
}

/** It answers within this stack: by the loopback. */
export function isNear({ host }: Server): boolean {
  return parseAddress(host)?.isLoopback === true
}

/** A search domain in one form. Throws ERR_INVALID_ARG_VALUE. */
export function parseDomain(text: string): string {
  const name = canonicalName(text)
  if (name === null) throw invalidArgument(`${text} is not a domain name`)
  return name
}

/** What resolv.conf(5) knows, as far as it is said. */
export interface ResolvConf {
  servers: Server[]
  searchDomains: string[]
  ndots?: number
  timeoutMs?: number
  attempts?: number
  rotate?: boolean
}

/** MAXNS of resolv.conf(5), and RES_MAXNDOTS, RES_MAXRETRANS, RES_MAXRETRY of glibc: more is silently cut. */
const MAX_SERVERS = 3
const MAX_NDOTS = 15
const MAX_TIMEOUT = 30
const MAX_ATTEMPTS = 5

/** Reads a resolv.conf(5). As glibc does: what is not understood is skipped; `domain` and `search` replace each other, the last one counts. */
export function parseResolvConf(text: string): ResolvConf {
  const out: ResolvConf = { servers: [], searchDomains: [] }
  for (const line of text.split(/\r?\n/)) {
    const [word, ...rest] = line.split(/[\s]+/)
    if (word === 'nameserver' && rest[0] !== undefined && out.servers.length < MAX_SERVERS) {
      try {
        out.servers.push(parseServer(rest[0]))
      } catch {
        // not an address
      }
    } else if (word === 'search' || word === 'domain') {
      const names = word === 'domain' ? rest.slice(0, 1) : rest
      out.searchDomains = names.map(canonicalName).filter((name) => name !== null && name !== '') as string[]
    } else if (word === 'options') for (const option of rest) readOption(out, option)
  }
  return out
}

function readOption(out: ResolvConf, option: string): void {
  const [name, value] = option.split(':')
  const n = /^\d{1,6}$/.test(value ?? '') ? Number(value) : Number.NaN
  if (name === 'ndots' && n >= 0) out.ndots = Math.min(n, MAX_NDOTS)
  else if (name === 'timeout' && n >= 1) out.timeoutMs = Math.min(n, MAX_TIMEOUT) * 1000
  else if (name === 'attempts' && n >= 1) out.attempts = Math.min(n, MAX_ATTEMPTS)
  else if (name === 'rotate') out.rotate = true
}
