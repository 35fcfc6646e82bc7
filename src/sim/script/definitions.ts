/**
 * What scripts are played with that they do not say themselves, by family: the addresses and definitions that runners of published scripts give
 * on packetdrill's command line. Those of Linux's `ksft_runner.sh`; google's `run_all.py` has other addresses, and cookies that follow from them.
 */
import type { IpVersion } from './settings.ts'

/** google's icmp-before-accept expects EHOSTUNREACH of it; over IPv6 the same is "address unreachable". */
const CODES = { ipv4: 'host_unreachable', ipv6: 'address_unreachable' }

/** Fast Open's cookies: SipHash of the peer's address and ours under the key of `defaults.sh`, and under zeros. */
const COOKIES4 = { TFO_COOKIE: '3021b9d889017eeb', TFO_COOKIE_ZERO: 'b7c12350a90dc8f5' }
const COOKIES6 = { TFO_COOKIE: 'c1d1e9742a47a9bc', TFO_COOKIE_ZERO: '82af1a8f9a205c34' }

/** Control messages are of the family of the socket, whatever is on the wire. */
const LEVEL4 = { CMSG_LEVEL_IP: 'SOL_IP', CMSG_TYPE_RECVERR: 'IP_RECVERR' }
const LEVEL6 = { CMSG_LEVEL_IP: 'SOL_IPV6', CMSG_TYPE_RECVERR: 'IPV6_RECVERR' }

const DEFINITIONS: { readonly [V in IpVersion]: { readonly [name: string]: string } } = {
  ipv4: { ...LEVEL4, ...COOKIES4, CODE: CODES.ipv4 },
  ipv6: { ...LEVEL6, ...COOKIES6, CODE: CODES.ipv6 },
  'ipv4-mapped-ipv6': { ...LEVEL6, ...COOKIES4, CODE: CODES.ipv4 },
}

/** Names and values; the script's own win over them. */
export function definitionsOf(ipVersion: IpVersion): { readonly [name: string]: string } {
  return DEFINITIONS[ipVersion]
}

/** `--local_ip` and its like of the runner. */
export const RUNNER_PLACES6 = {
  local_ip: 'fd3d:a0b:17d6::1',
  gateway_ip: 'fd3d:a0b:17d6:8888::1',
  remote_ip: 'fd3d:fa7b:d17d::1',
}

/** What an IPv6 header is longer than that of IPv4: with so much more MTU segments are as long. */
export const LONGER_HEADER = 20
