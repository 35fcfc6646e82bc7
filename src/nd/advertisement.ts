/** A router advertisement on its way out (RFC 4861 section 4.2), and beside another router's (section 6.2.7). */
import { put16, put32 } from '../base/bytes.ts'
import { ND_ROUTER_ADVERTISEMENT } from '../icmp6/wire.ts'
import type { Frame } from '../netif/frame.ts'
import type { Advertised, AdvertisedPrefix } from './advertise-options.ts'
import { readLifetime } from './lifetimes.ts'
import { putLinkAddress } from './link-local.ts'
import type { NdInterface } from './nd-interface.ts'
import type { NdOptions } from './options.ts'
import {
  ND_DNS,
  ND_DNS_LENGTH,
  ND_MTU,
  ND_MTU_LENGTH,
  ND_OPTION,
  ND_PREFIX,
  ND_PREFIX_LENGTH,
  ND_RA,
  ND_RA_LENGTH,
  ND_ROUTE,
  ND_ROUTE_LENGTH,
  OPTION_DNSSL,
  OPTION_MTU,
  OPTION_PREFIX,
  OPTION_RDNSS,
  OPTION_ROUTE,
  OPTION_SOURCE_LINK,
  PREFIX_AUTONOMOUS,
  PREFIX_ON_LINK,
  RA_MANAGED,
  RA_OTHER,
  RA_PREFERENCE_SHIFT,
} from './wire.ts'

/** What fits into a packet of the least MTU behind its header. */
export const MAX_ADVERTISEMENT = 1280 - 40

/** Bytes of the message. */
export function advertisementLength(a: Advertised, prefixes: number): number {
  let length = ND_RA_LENGTH + 8 + prefixes * ND_PREFIX_LENGTH + (a.mtu === 0 ? 0 : ND_MTU_LENGTH)
  for (const { prefix } of a.routes) length += ND_ROUTE_LENGTH + prefixBytes(prefix.length)
  if (a.rdnss.length > 0) length += ND_DNS_LENGTH + 16 * a.rdnss.length
  if (a.dnssl.length > 0) length += namesLength(a.dnssl)
  return length
}

/** Writes the message, without its checksum. `lifetime` seconds: what we are as a default router now. */
export function writeAdvertisement(
  frame: Frame,
  nd: NdInterface,
  a: Advertised,
  prefixes: readonly AdvertisedPrefix[],
  lifetime: number,
): void {
  const { buf, start } = frame.reset()
  put16(buf, start, ND_ROUTER_ADVERTISEMENT << 8)
  buf[start + ND_RA.hopLimit] = a.hopLimit
  // RFC 4191 section 2.2: no preference where there is no default router.
  const preference = lifetime === 0 ? 0 : a.preference
  buf[start + ND_RA.flags] = (a.managed ? RA_MANAGED : 0) | (a.other ? RA_OTHER : 0) | preferenceBits(preference)
  put16(buf, start + ND_RA.lifetime, lifetime)
  put32(buf, start + ND_RA.reachableTime, a.reachableTimeMs)
  put32(buf, start + ND_RA.retransTimer, a.retransTimerMs)
  frame.end = start + ND_RA_LENGTH
  putLinkAddress(frame, OPTION_SOURCE_LINK, nd)
  if (a.mtu !== 0) put32(buf, option(frame, OPTION_MTU, ND_MTU_LENGTH) + ND_MTU.mtu, a.mtu)
  for (const p of prefixes) {
    const at = option(frame, OPTION_PREFIX, ND_PREFIX_LENGTH)
    buf[at + ND_PREFIX.prefixLength] = p.prefix.length
    buf[at + ND_PREFIX.flags] = (p.onLink ? PREFIX_ON_LINK : 0) | (p.autonomous ? PREFIX_AUTONOMOUS : 0)
    put32(buf, at + ND_PREFIX.validLifetime, p.valid)
    put32(buf, at + ND_PREFIX.preferredLifetime, p.preferred)
    p.prefix.address.write(buf, at + ND_PREFIX.prefix)
  }
  for (const r of a.routes) {
    const bytes = prefixBytes(r.prefix.length)
    const at = option(frame, OPTION_ROUTE, ND_ROUTE_LENGTH + bytes)
    buf[at + ND_ROUTE.prefixLength] = r.prefix.length
    buf[at + ND_ROUTE.flags] = preferenceBits(r.preference)
    put32(buf, at + ND_ROUTE.lifetime, r.lifetime)
    const address = new Uint8Array(16)
    r.prefix.address.write(address, 0)
    for (let i = 0; i < bytes; i++) buf[at + ND_ROUTE_LENGTH + i] = address[i]
  }
  if (a.rdnss.length > 0) {
    const at = option(frame, OPTION_RDNSS, ND_DNS_LENGTH + 16 * a.rdnss.length)
    put32(buf, at + ND_DNS.lifetime, a.dnsLifetime)
    for (let i = 0; i < a.rdnss.length; i++) a.rdnss[i].write(buf, at + ND_DNS_LENGTH + 16 * i)
  }
  if (a.dnssl.length > 0) {
    const at = option(frame, OPTION_DNSSL, namesLength(a.dnssl))
    put32(buf, at + ND_DNS.lifetime, a.dnsLifetime)
    let to = at + ND_DNS_LENGTH
    for (const name of a.dnssl) {
      for (let i = 0; i < name.length; i++) buf[to + i] = name[i]
      to += name.length
    }
  }
}

/** True when another router's advertisement agrees with ours in what hosts of one link should be told alike. `off`: its message. */
export function agrees(
  buf: Uint8Array,
  off: number,
  options: NdOptions,
  a: Advertised,
  prefixes: readonly AdvertisedPrefix[],
): boolean {
  const same = (theirs: number, ours: number): boolean => theirs === 0 || ours === 0 || theirs === ours
  const word = (at: number): number => readLifetime(buf, at) / 1000
  const flags = buf[off + ND_RA.flags]
  if (!same(buf[off + ND_RA.hopLimit], a.hopLimit)) return false
  if (((flags & RA_MANAGED) !== 0) !== a.managed || ((flags & RA_OTHER) !== 0) !== a.other) return false
  if (!same(word(off + ND_RA.reachableTime), a.reachableTimeMs) || !same(word(off + ND_RA.retransTimer), a.retransTimerMs))
    return false
  if (!same(options.mtu, a.mtu)) return false
  for (let i = 0; i < options.prefixes.count; i++) {
    const at = options.prefixes.at[i]
    const ours = prefixes.find(
      (p) => p.prefix.length === buf[at + ND_PREFIX.prefixLength] && isPrefix(buf, at + ND_PREFIX.prefix, p),
    )
    if (ours === undefined) continue
    if (seconds(word(at + ND_PREFIX.validLifetime)) !== ours.valid) return false
    if (seconds(word(at + ND_PREFIX.preferredLifetime)) !== ours.preferred) return false
  }
  return true
}

function seconds(word: number): number {
  return word === Number.POSITIVE_INFINITY ? 0xffffffff : word
}

function isPrefix(buf: Uint8Array, at: number, { prefix }: AdvertisedPrefix): boolean {
  const bytes = new Uint8Array(16)
  prefix.address.write(bytes, 0)
  return bytes.every((b, i) => b === buf[at + i])
}

/** An option of `length` bytes behind the message, filled with zeros; returns where it begins. */
function option(frame: Frame, type: number, length: number): number {
  const { buf, end } = frame
  buf.fill(0, end, end + length)
  buf[end + ND_OPTION.type] = type
  buf[end + ND_OPTION.length] = length >> 3
  frame.end = end + length
  return end
}

/** As much of a prefix as has to be said (RFC 4191 section 2.3). */
function prefixBytes(length: number): number {
  return length === 0 ? 0 : length <= 64 ? 8 : 16
}

/** RFC 8106 section 5.2: filled up to whole units. */
function namesLength(names: readonly Uint8Array[]): number {
  return (ND_DNS_LENGTH + names.reduce((n, name) => n + name.length, 0) + 7) & ~7
}

function preferenceBits(preference: number): number {
  return (preference & 3) << RA_PREFERENCE_SHIFT
}
