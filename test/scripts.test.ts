/**
 * Our own scripts in packetdrill's language: every one of them passes. Nothing may be skipped, for a script that is not played proves nothing.
 *
 * Whose stack a script is written for goes by its folder: `rfc` and `freebsd` name a profile, everything else is for `linux`. A script that names no
 * version of IP is played in both.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type IpVersion, type ProfileName, runScript } from '../src/sim.ts'

const ROOT = new URL('./scripts/', import.meta.url)

const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.pkt'))
  .sort()

function profileOf(name: string): ProfileName {
  const folder = name.split('/')[0]
  return folder === 'rfc' || folder === 'freebsd' ? folder : 'linux'
}

/** The one family that a script is for, if it says so (`--ip_version`, as packetdrill has it). */
function versionOf(name: string): string | undefined {
  return /^--ip_version=(\S+)/m.exec(textOf(name))?.[1]
}

const textOf = (name: string): string => readFileSync(new URL(name, ROOT), 'utf8')

/** Why a script that is not about IPv6 is for IPv4 alone; `ipv6/` has what takes its place. */
const ONLY_IPV4: { readonly [name: string]: string } = {
  'freebsd/dscp-names.pkt': 'IP_TOS is of packets of IPv4',
  'freebsd/icmp-refusal.pkt': 'codes that ICMPv6 does not have',
  'icmp/port-unreachable-is-soft.pkt': 'codes that ICMPv6 does not have',
  'icmp/quotes-too-little.pkt': '"fragmentation needed" is of IPv4',
  'icmp/source-quench.pkt': 'source quench is of IPv4',
  'icmp/time-exceeded-while-connecting.pkt': 'the code has another name',
  'mtu/route.pkt': 'a route of IPv4',
  'mtu/syn-too-big-announces-less.pkt': '"fragmentation needed" is of IPv4',
  'mtu/too-big-absurd.pkt': 'the least MTU is another one',
  'mtu/too-big-forged.pkt': '"fragmentation needed" is of IPv4',
  'mtu/too-big-no-congestion.pkt': '"fragmentation needed" is of IPv4',
  'mtu/too-big-nonsense.pkt': 'routers of IPv6 always say how much',
  'mtu/too-big.pkt': '"fragmentation needed" is of IPv4',
  'options/mss-absent-in-syn-ack.pkt': 'the MSS that is assumed is another one',
  'options/mss-absent.pkt': 'the MSS that is assumed is another one',
  'options/mss-zero.pkt': 'the MSS that is assumed is another one',
}

const played = (name: string, ipVersion?: IpVersion): unknown =>
  runScript(textOf(name), { file: name, profile: profileOf(name), ipVersion })

/** Sockets of IPv6 over IPv4: nothing of it is on the wire, so a part tells. CI plays all. */
const MAPPED_STEP = process.env.CI === 'true' ? 1 : 8

const unnamed = files.filter((name) => versionOf(name) === undefined)

describe('scripts', () => {
  it('cover the whole of TCP', () => {
    expect(files.length).toBeGreaterThanOrEqual(450)
  })

  it.each(files)('%s', (name) => {
    expect(played(name)).toEqual({ result: 'passed' })
  })

  it.each(unnamed)('%s over IPv6', (name) => {
    expect(played(name, 'ipv6')).toEqual({ result: 'passed' })
  })

  it.each(unnamed.filter((_, i) => i % MAPPED_STEP === 0))('%s over IPv4 by sockets of IPv6', (name) => {
    expect(played(name, 'ipv4-mapped-ipv6')).toEqual({ result: 'passed' })
  })

  it('are for both families, but those of IPv6 and a few that say why not', () => {
    const named = files.filter((name) => versionOf(name) !== undefined)
    expect(named.filter((name) => versionOf(name) === 'ipv4')).toEqual(Object.keys(ONLY_IPV4))
    expect(named.filter((name) => versionOf(name) !== 'ipv4')).toEqual(files.filter((name) => name.split('/').includes('ipv6')))
  })

  it('say at their head what they prove, and by which document', () => {
    for (const name of files) {
      const head = textOf(name).split('\n\n')[0]
      expect(head, name).toMatch(/^\/\/ /)
      expect(head, name).toMatch(/RFC \d+|packetdrill|Linux|FreeBSD|draft-/)
    }
  })

  it('end with something that would notice a segment too many', () => {
    // A script whose last event is injected would pass although the stack answered it wrongly.
    const blind = files.filter((name) => {
      const events = textOf(name)
        .split('\n')
        .filter((line) => /^\s*[\d+*.]/.test(line))
      return /^\s*\S+\s*</.test(events.at(-1) ?? '')
    })
    expect(blind).toEqual([])
  })
})
