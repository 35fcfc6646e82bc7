/**
 * Tests that need a tap and a network namespace of their own. They run as root or, where unprivileged user namespaces are allowed,
 * as anybody. Where neither is possible they say so loudly and are left out; under CI they fail instead.
 *
 * Nothing of this touches the network of the machine: taps and addresses live in the namespace only.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { describe, it } from 'vitest'

/** Ways to a namespace in which a tap can be made, best first. */
const PREFIXES = [
  ['unshare', '-n'],
  ['unshare', '-Urn'],
]

function works(prefix: readonly string[]): boolean {
  const [command, ...rest] = prefix
  return spawnSync(command, [...rest, 'ip', 'tuntap', 'add', 'dev', 'tap0', 'mode', 'tap'], { stdio: 'ignore' }).status === 0
}

/** What to put before a command so that it runs in a new network namespace where it may do anything; null when impossible. */
export const namespacePrefix: readonly string[] | null =
  process.platform === 'linux' && existsSync('/dev/net/tun') ? (PREFIXES.find(works) ?? null) : null

export const canTap = namespacePrefix !== null

/** Root of the machine, not only of a user namespace: may make device nodes and become another user. */
export const isRoot =
  process.platform === 'linux' &&
  process.getuid?.() === 0 &&
  /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'))

/** `describe` for tests that need a tap. */
export function describeTap(name: string, define: () => void): void {
  if (canTap) {
    describe(name, define)
    return
  }
  if (process.env.CI === 'true') {
    describe(name, () => {
      it('needs /dev/net/tun and the right to make a network namespace', () => {
        throw new Error('no tap can be made here, and under CI=true tests that need one do not pass by being left out')
      })
    })
    return
  }
  console.warn(`\n*** NOT TESTED: ${name}: no tap can be made here (run as root, or allow unprivileged user namespaces)\n`)
  describe.skip(name, define)
}
