/** From the text of a script to what became of it: read (`parse.ts`), played (`run.ts`), told in one form. */
import type { ConfigOverrides } from '../../base/config.ts'
import { invalidArgument } from '../../base/errors.ts'
import type { Outcome, ScriptOption } from './ast.ts'
import type { Includes } from './commands.ts'
import { LONGER_HEADER, RUNNER_PLACES6 } from './definitions.ts'
import { parse } from './parse.ts'
import { ScriptError, Unsupported } from './problem.ts'
import { PROFILES, type ProfileName } from './profiles.ts'
import { run } from './run.ts'
import { DEFAULT_MTU, IP_VERSIONS, type IpVersion, MAX_MTU } from './settings.ts'

/** How a script is played. */
export interface ScriptRunOptions {
  /** Whose stack the script expects. Left out: FreeBSD's for a script that sets FreeBSD's variables or expects its order of options, else Linux's. */
  profile?: ProfileName
  /** Name of the script in messages. */
  file?: string
  /** `-D name=value` of packetdrill: words that the script's text leaves open. They win over its own `--define`. */
  defines?: { readonly [name: string]: string }
  /** `--name=value` of packetdrill, over the script's own: `{ tolerance_usecs: '14000' }`. */
  options?: { readonly [name: string]: string }
  /**
   * Plays the script in this family, as the runners of published scripts do (google's `run_all.py`, Linux's `ksft_runner.sh`): over IPv6 with an MTU 20 bytes larger, so that segments are as long as over
   * IPv4. `ipv4-mapped-ipv6`: sockets of IPv6 over IPv4. A script that names a version itself is played as it stands, and in no other (skipped);
   * one whose file's name ends in `v4.pkt` or `v6.pkt` in that family alone, as with `run_all.py`.
   * Left out: as the script says, IPv4 if it says nothing.
   */
  ipVersion?: IpVersion
  /** The text of a file that a command of the script runs (`./defaults.sh`), or null. Linux's `defaults.sh` is known without. */
  includes?: Includes
  /** Values of the stack's config over the profile's; the script's own commands are over both. */
  config?: ConfigOverrides
  /** 1 when left out; ports, initial sequence numbers and the host's time follow from it. */
  seed?: number
  /** Hears of each event when its turn comes: its time and what it says. */
  watch?: (line: string) => void
}

/**
 * Plays a script of packetdrill's language on a stack of its own, in virtual time. Whatever the script says, it does not throw; arguments that
 * cannot be meant (no text, a profile that does not exist) are ERR_INVALID_ARG_TYPE and ERR_INVALID_ARG_VALUE.
 *
 * `failed`: the stack does not do what the script says, or the text is no script (the reason has line and column). `skipped`: it wants
 * what the runner or the stack does not have, and `reason` says what; such a script never counts as passed. `diff` has what was
 * expected and what came, a line each.
 */
export function runScript(text: string, options: ScriptRunOptions = {}): Outcome {
  if (typeof text !== 'string') throw invalidArgument('the text of a script must be a string', 'ERR_INVALID_ARG_TYPE')
  if (options.profile !== undefined && !Object.hasOwn(PROFILES, options.profile))
    throw invalidArgument(`unknown profile ${options.profile}, known: ${Object.keys(PROFILES).join(', ')}`)
  if (options.ipVersion !== undefined && !IP_VERSIONS.includes(options.ipVersion))
    throw invalidArgument(`unknown IP version ${options.ipVersion}, known: ${IP_VERSIONS.join(', ')}`)
  const file = options.file ?? 'script'
  try {
    const { profile = profileOf(text), includes, config, seed, watch, ipVersion } = options
    const script = parse(text, {
      file,
      defines: options.defines,
      options: options.options,
      includes,
      platform: PROFILES[profile].platform,
      ipVersion: versionOf(text, options),
    })
    if (ipVersion !== undefined) {
      const own = script.options.find((o) => isNamed(o, 'ip_version'))?.value
      if (own !== undefined && own !== ipVersion) return { result: 'skipped', reason: `${file}: is for ${own}` }
      const family = ipVersion === 'ipv6' ? '6' : '4'
      const named = /v([46])\.pkt$/.exec(file)?.[1] ?? family
      if (own === undefined && named !== family) return { result: 'skipped', reason: `${file}: is for IPv${named} by its name` }
      if (own === undefined) script.options.unshift(...versionOptions(ipVersion, script.options))
    }
    // packetdrill only reads such a script.
    if (script.options.some((o) => o.name === 'dry_run')) return { result: 'passed' }
    // Empty, or everything in it is for another system: nothing was shown.
    if (script.events.length === 0) return { result: 'skipped', reason: `${file}: no event to play with profile ${profile}` }
    return run(script, { profile, config, seed, watch })
  } catch (error) {
    if (error instanceof ScriptError) {
      const [reason, ...lines] = error.message.split('\n')
      return { result: 'failed', reason, diff: lines.join('\n') }
    }
    if (error instanceof Unsupported) {
      const where = error.position === null ? '' : `line ${error.position.line}: `
      return { result: 'skipped', reason: `${file}: ${where}not supported: ${error.message}` }
    }
    // A stack that throws has not done what the script says.
    return { result: 'failed', reason: `${file}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}` }
  }
}

function isNamed(option: ScriptOption, name: string): boolean {
  return option.name.replaceAll('-', '_') === name
}

/** The version that the caller asks for, or the script itself: what it is read with. */
function versionOf(text: string, options: ScriptRunOptions): IpVersion {
  const named = options.ipVersion ?? options.options?.ip_version ?? /^--ip[_-]version[= ]"?([\w-]+)/m.exec(text)?.[1]
  return IP_VERSIONS.find((v) => v === named) ?? 'ipv4'
}

/** What runners of published scripts add to a script's own options. */
function versionOptions(ipVersion: IpVersion, own: ScriptOption[]): ScriptOption[] {
  const made = (name: string, value: string): ScriptOption => ({ name, value, position: { line: 0, column: 0 } })
  const out = [made('ip_version', ipVersion)]
  if (ipVersion !== 'ipv6') return out
  for (const [name, value] of Object.entries(RUNNER_PLACES6)) out.push(made(name, value))
  const mtu = own.filter((o) => isNamed(o, 'mtu')).at(-1)
  if (mtu === undefined) out.push(made('mtu', String(DEFAULT_MTU + LONGER_HEADER)))
  else mtu.value = String(Math.min(Number(mtu.value) + LONGER_HEADER, MAX_MTU))
  return out
}

/** FreeBSD's variables and modules. */
const FREEBSD_COMMANDS = /\bnet\.inet\.|\bkern\.ipc\.|\bkldload\b/
/** A SYN of FreeBSD's that is expected: window scale before SACK, or padding with the end of the list. */
const FREEBSD_SYN = />\s*(?:[[(][^\])\n]*[\])]\s*)?S[A-Z]*\.? [^\n]*<mss \d+,\s*(?:nop,\s*wscale \d+,\s*sackOK|[^>\n]*\beol\b)/

function profileOf(text: string): ProfileName {
  return FREEBSD_COMMANDS.test(text) || FREEBSD_SYN.test(text) ? 'freebsd' : 'linux'
}
