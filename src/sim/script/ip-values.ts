/**
 * Options of sockets at the levels of IP and IPv6.
 *
 * Theory of operation. A socket of IPv6 has both: those of IPv6 for packets of IPv6, those of IP for what it sends to mapped addresses
 * (RFC 3493 section 3.7). Each is kept and given back in any case, and is the stack's only if packets of its family are on the wire. A socket of IPv4
 * has none of IPv6 (Linux: ENOPROTOOPT, EOPNOTSUPP).
 */
import { NetError } from '../../base/errors.ts'
import type { PosixSocket } from './posix-socket.ts'
import { skip } from './stop.ts'
import { type Entry, number, remembered, type Value } from './value-entry.ts'

type Table = { readonly [name: string]: Entry }

/** RFC 3168: the two bits of ECN are TCP's own (Linux, of a socket of SOCK_STREAM). */
const ECN_BITS = 3

/** `entry` where packets of this version are on the wire, `kept` where they are not. Numbers outside min..max are EINVAL; -1 is what there is without. */
function of(version: 4 | 6, entry: Entry, kept: Entry, min: number, max: number): Entry {
  const own = (s: PosixSocket): Entry => (s.place.wireVersion === version ? entry : kept)
  return {
    set: (s, v) => (typeof v !== 'number' || v < min || v > max ? 'EINVAL' : own(s).set!(s, v)),
    get: (s) => own(s).get!(s),
  }
}

const tos: Entry = {
  set: (s, v) => s.apply({ tos: Number(v) }),
  get: (s) => Number(s.option('tos') ?? 0),
}

const trafficClass: Entry = {
  set: (s, v) => s.apply({ tos: Math.max(0, Number(v)) & ~ECN_BITS }),
  get: tos.get,
}

const ttl = number('ttl', 1, 1, 255, (s) => s.place.hopLimit)

const hops: Entry = {
  set: (s, v) => {
    if (v === 0) skip('IPV6_UNICAST_HOPS of 0 is not played')
    return s.apply({ ttl: v === -1 ? s.place.hopLimit : Number(v) })
  },
  get: ttl.get,
}

const pathMtu: Entry = {
  get: (s) => {
    const mtu = s.connection?.info().pathMtu
    if (mtu === undefined) throw new NetError('ENOTCONN')
    return mtu
  },
}

/** Only these values are what the stack does. */
function only(name: string, ...values: number[]): Entry {
  return {
    set: (_, v) => (values.includes(Number(v)) ? 0 : skip(`${name} of ${v} is not played`)),
    get: () => values[0],
  }
}

const v6only: Entry = {
  set: (s, v: Value) => {
    // Nothing changes for an address that is taken already (Linux ipv6_setsockopt, FreeBSD ip6_ctloutput).
    if (s.isBound) return 'EINVAL'
    s.remembered.set('IPV6_V6ONLY', v === 0 ? 0 : 1)
    return 0
  },
  get: (s) => s.remembered.get('IPV6_V6ONLY') ?? 0,
}

export const IP: Table = {
  IP_TOS: of(4, tos, remembered('IP_TOS'), 0, 255),
  IP_TTL: of(4, ttl, remembered('IP_TTL', 64), 1, 255),
  IP_RECVERR: remembered('IP_RECVERR'),
  IP_MTU_DISCOVER: remembered('IP_MTU_DISCOVER', 1),
  IP_MTU: pathMtu,
  IP_BIND_ADDRESS_NO_PORT: remembered('IP_BIND_ADDRESS_NO_PORT'),
  IP_LOCAL_PORT_RANGE: remembered('IP_LOCAL_PORT_RANGE'),
  IP_FREEBIND: remembered('IP_FREEBIND'),
  IP_TRANSPARENT: remembered('IP_TRANSPARENT'),
}

const IPV6_OPTIONS: Table = {
  IPV6_TCLASS: of(6, trafficClass, remembered('IPV6_TCLASS'), -1, 255),
  IPV6_UNICAST_HOPS: of(6, hops, remembered('IPV6_UNICAST_HOPS', 64), -1, 255),
  IPV6_V6ONLY: v6only,
  IPV6_MTU: pathMtu,
  IPV6_MTU_DISCOVER: remembered('IPV6_MTU_DISCOVER', 1),
  IPV6_RECVERR: remembered('IPV6_RECVERR'),
  IPV6_AUTOFLOWLABEL: only('IPV6_AUTOFLOWLABEL', 1),
  IPV6_FREEBIND: remembered('IPV6_FREEBIND'),
  IPV6_TRANSPARENT: remembered('IPV6_TRANSPARENT'),
}

export const IPV6: Table = Object.fromEntries(
  Object.entries(IPV6_OPTIONS).map(([name, entry]) => [
    name,
    {
      ...(entry.set === undefined ? {} : { set: (s: PosixSocket, v: Value) => (s.isV6 ? entry.set!(s, v) : 'ENOPROTOOPT') }),
      get: (s: PosixSocket): Value => {
        if (!s.isV6) throw new NetError('EOPNOTSUPP') // of another level, as Linux says to getsockopt
        return entry.get!(s)
      },
    },
  ]),
)
