/** Numbers of the names that scripts compare as numbers. Names that only choose something (options, levels, flags of calls) need none. */
import { errnoOf } from '../../base/errors.ts'
import type { Platform } from './ast.ts'

const COMMON: { readonly [name: string]: number } = {
  NULL: 0,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  SHUT_RD: 0,
  SHUT_WR: 1,
  SHUT_RDWR: 2,
  INADDR_ANY: 0,
  POLLIN: 0x1,
  POLLPRI: 0x2,
  POLLOUT: 0x4,
  POLLERR: 0x8,
  POLLHUP: 0x10,
  POLLNVAL: 0x20,
  POLLRDNORM: 0x40,
  POLLRDBAND: 0x80,
  IPTOS_LOWDELAY: 0x10,
  IPTOS_THROUGHPUT: 0x08,
  IPTOS_RELIABILITY: 0x04,
  ...codepoints(),
}

/** IPTOS_DSCP_*: the code points of RFC 2474, 2597 and 3246 as values of the whole octet. */
function codepoints(): { [name: string]: number } {
  const out: { [name: string]: number } = { IPTOS_DSCP_EF: 0xb8, IPTOS_DSCP_VA: 0xb0 }
  for (let c = 0; c < 8; c++) out[`IPTOS_DSCP_CS${c}`] = c << 5
  for (let c = 1; c <= 4; c++) for (let drop = 1; drop <= 3; drop++) out[`IPTOS_DSCP_AF${c}${drop}`] = (c << 5) | (drop << 3)
  return out
}

const LINUX: { readonly [name: string]: number } = {
  O_NONBLOCK: 0x800,
  POLLWRNORM: 0x100,
  POLLWRBAND: 0x200,
  POLLRDHUP: 0x2000,
  EPOLLIN: 0x1,
  EPOLLPRI: 0x2,
  EPOLLOUT: 0x4,
  EPOLLERR: 0x8,
  EPOLLHUP: 0x10,
  EPOLLRDNORM: 0x40,
  EPOLLRDBAND: 0x80,
  EPOLLWRNORM: 0x100,
  EPOLLWRBAND: 0x200,
  EPOLLRDHUP: 0x2000,
  EPOLLEXCLUSIVE: 0x10000000,
  EPOLLONESHOT: 0x40000000,
  EPOLLET: 0x80000000,
  AF_UNSPEC: 0,
  AF_INET: 2,
  AF_INET6: 10,
  IP_PMTUDISC_DONT: 0,
  IP_PMTUDISC_WANT: 1,
  IP_PMTUDISC_DO: 2,
  IP_PMTUDISC_PROBE: 3,
  IPV6_PMTUDISC_DONT: 0,
  IPV6_PMTUDISC_WANT: 1,
  IPV6_PMTUDISC_DO: 2,
  IPV6_PMTUDISC_PROBE: 3,
}

const FREEBSD: { readonly [name: string]: number } = {
  O_NONBLOCK: 0x4,
  POLLWRNORM: 0x4,
  POLLWRBAND: 0x100,
  POLLRDHUP: 0x4000,
  POLLINIGNEOF: 0x2000,
  AF_UNSPEC: 0,
  AF_INET: 2,
  AF_INET6: 28,
}

export function numberOf(name: string, platform: Platform): number | undefined {
  return (platform === 'linux' ? LINUX : FREEBSD)[name] ?? COMMON[name]
}

/** FreeBSD's <errno.h> where it counts otherwise than Linux. */
const FREEBSD_ERRORS: { readonly [name: string]: number } = {
  EAGAIN: 35,
  EWOULDBLOCK: 35,
  EINPROGRESS: 36,
  EALREADY: 37,
  EDESTADDRREQ: 39,
  EMSGSIZE: 40,
  ENOPROTOOPT: 42,
  EPROTONOSUPPORT: 43,
  EOPNOTSUPP: 45,
  EAFNOSUPPORT: 47,
  EADDRINUSE: 48,
  EADDRNOTAVAIL: 49,
  ENETDOWN: 50,
  ENETUNREACH: 51,
  ECONNABORTED: 53,
  ECONNRESET: 54,
  ENOBUFS: 55,
  EISCONN: 56,
  ENOTCONN: 57,
  ETIMEDOUT: 60,
  ECONNREFUSED: 61,
  EHOSTUNREACH: 65,
}

/** The number of an error, as SO_ERROR gives it. -1: it has none. */
export function errnoNumber(name: string, platform: Platform): number {
  if (platform === 'freebsd' && name in FREEBSD_ERRORS) return FREEBSD_ERRORS[name]
  return -(errnoOf(name === 'EWOULDBLOCK' ? 'EAGAIN' : name) ?? 1)
}
