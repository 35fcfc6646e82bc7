/**
 * Our own scripts in packetdrill's language: every one of them passes. Nothing may be skipped, for a script that is not played proves nothing.
 *
 * Whose stack a script is written for goes by its folder: `rfc` and `freebsd` name a profile, everything else is for `linux`.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type ProfileName, runScript } from '../src/sim.ts'

const ROOT = new URL('./scripts/', import.meta.url)

const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.pkt'))
  .sort()

function profileOf(name: string): ProfileName {
  const folder = name.split('/')[0]
  return folder === 'rfc' || folder === 'freebsd' ? folder : 'linux'
}

/** The one family that a script is for, if it says so. */
function versionOf(name: string): string | undefined {
  return /^--ip_version=(\S+)/m.exec(textOf(name))?.[1]
}

const textOf = (name: string): string => readFileSync(new URL(name, ROOT), 'utf8')

describe('scripts', () => {
  it('cover the whole of TCP', () => {
    expect(files.length).toBeGreaterThanOrEqual(450)
  })

  it.each(files.filter((name) => versionOf(name) !== 'ipv6'))('%s', (name) => {
    expect(runScript(textOf(name), { file: name, profile: profileOf(name) })).toEqual({ result: 'passed' })
  })

  it.each(files.filter((name) => versionOf(name) !== 'ipv4'))('%s over IPv6', (name) => {
    expect(runScript(textOf(name), { file: name, profile: profileOf(name), ipVersion: 'ipv6' })).toEqual({ result: 'passed' })
  })

  it('are for both families, but those of ICMP, whose names and numbers differ', () => {
    const only4 = files.filter((name) => versionOf(name) === 'ipv4')
    const differing = /\bicmp\b|mss|ip route/
    expect(only4.filter((name) => !differing.test(textOf(name)))).toEqual([])
    expect(only4.length).toBeLessThan(20)
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
