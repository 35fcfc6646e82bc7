/** Kernel variables by name. The tables are data; this file has the forms of their lines. */
import { defaults } from '../../base/config.ts'
import type { ConfigValues, Effect } from './ast.ts'
import { Unsupported } from './problem.ts'
import { FREEBSD } from './sysctls-freebsd.ts'
import { LINUX } from './sysctls-linux.ts'

export type Section = 'tcp' | 'ipv4' | 'ipv6' | 'icmp' | 'udp'

/**
 * A line of a table.
 * - `ignored`: cannot matter to a stack that is alone with a script.
 * - `only`: the stack has no such choice, and does what these values ask for.
 * - `flag`: 0 or 1, a boolean of the config (`not`: the other way round).
 * - `number`: a number of the config (or several that are the same), times `times`, plus `plus`, at most `max`.
 * - `choice`: values of the config by value of the variable.
 * - `list`: several numbers in one value, each its own value of the config; null passes one over.
 * - `bit`: 0 or 1, one bit of a number of the config.
 * - `text`: as it is; `texts`: several with commas between them.
 * - `effect`: not a matter of the config.
 * - `connectLimit`: milliseconds for a handshake.
 *
 * `otherwise`: values that say what is done anyhow, for a line whose value of the config does not exist.
 */
export type Sysctl = 'ignored' | (Line & { otherwise?: readonly string[] })

type Line =
  | { only: readonly string[] }
  | { flag: string; section?: Section; not?: boolean }
  | { number: string | readonly string[]; section?: Section; times?: number; plus?: number; max?: number }
  | { choice: { readonly [value: string]: { readonly [name: string]: number | boolean | string } }; section?: Section }
  | { list: readonly (string | null)[]; section?: Section; times?: number; max?: number }
  | { bit: number; of: string }
  | { text: string; section?: Section }
  | { texts: string; section?: Section }
  | { effect: Effect }
  | { connectLimit: true }

export type SysctlTable = { readonly [name: string]: Sysctl }

/** Prefixes whose variables are of no concern to TCP on a link of its own. */
const IGNORED = /^(?:net\.mptcp\.|net\.core\.|net\.unix\.|kernel\.|vm\.|debug\.|dev\.|hw\.|fs\.|kern\.)/

/** The largest receive buffer that window scaling can announce (RFC 7323 section 2.2), and `base/config.ts` allows. */
const MAX_BYTES = 0x3fffffff

/** The effects of setting a variable. Throws Unsupported. */
export function sysctl(name: string, value: string): Effect[] {
  const key = name.trim().replaceAll('/', '.')
  const v = value.trim().replace(/^"(.*)"$/, '$1')
  const line = LINUX[key] ?? FREEBSD[key]
  if (line === undefined) {
    if (IGNORED.test(key)) return []
    throw new Unsupported(`sysctl ${key}`)
  }
  return line === 'ignored' ? [] : apply(line, key, v)
}

/** All names of both tables, for tests and documentation. */
export function sysctlTables(): { readonly linux: SysctlTable; readonly freebsd: SysctlTable } {
  return { linux: LINUX, freebsd: FREEBSD }
}

function apply(line: Exclude<Sysctl, 'ignored'>, key: string, value: string): Effect[] {
  const refuse = (): never => {
    throw new Unsupported(`sysctl ${key}=${value}`)
  }
  if ('effect' in line) return [line.effect]
  if ('only' in line) return line.only.includes(normal(value)) ? [] : refuse()
  const section = 'section' in line ? (line.section ?? 'tcp') : 'tcp'
  const config = (values: ConfigValues): Effect[] => {
    const known = defaults()[section] as unknown as { [name: string]: unknown }
    for (const [name, v] of Object.entries(values)) {
      if (typeof known[name] !== typeof v) return line.otherwise?.includes(normal(value)) ? [] : refuse()
    }
    return [{ kind: 'config', section, values }]
  }
  if ('choice' in line) {
    const values = line.choice[normal(value)]
    return values === undefined ? refuse() : config(values)
  }
  if ('text' in line) return config({ [line.text]: value })
  if ('texts' in line) return config({ [line.texts]: value.split(',') })
  if ('list' in line) {
    const numbers = value.split(/\s+/).map(integer)
    if (numbers.length < line.list.length || numbers.includes(Number.NaN)) refuse()
    const values: { [name: string]: number } = {}
    for (const [i, name] of line.list.entries())
      if (name !== null) values[name] = Math.min(numbers[i] * (line.times ?? 1), line.max ?? MAX_BYTES)
    return config(values)
  }
  const n = integer(value)
  if (Number.isNaN(n)) refuse()
  if ('connectLimit' in line) return [{ kind: 'connect-limit', ms: n }]
  if ('bit' in line) return [{ kind: 'config-bit', section: 'tcp', name: line.of, bit: line.bit, on: n !== 0 }]
  if ('flag' in line) return config({ [line.flag]: (n !== 0) !== (line.not ?? false) })
  if (n < 0) refuse()
  const meant = Math.min(Math.round(n * (line.times ?? 1)) + (line.plus ?? 0), line.max ?? 0x7fffffff)
  return config(Object.fromEntries([line.number].flat().map((name) => [name, meant])))
}

function integer(text: string): number {
  return /^-?(?:0x[0-9a-f]+|\d+)$/i.test(text) ? (text.startsWith('-') ? -Number(text.slice(1)) : Number(text)) : Number.NaN
}

/** Numbers in decimal, so that `0x1` finds `1`. */
function normal(value: string): string {
  const n = integer(value)
  return Number.isNaN(n) ? value : String(n)
}
