/**
 * `tapstack script`: scripts of packetdrill's language, a line for each, a diff where one fails, and a closing line that a program can read.
 * Nothing of the machine is touched: the stack, its link and its clock are in memory, and commands in scripts are looked up, not run.
 */
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Outcome } from '../sim/script/ast.ts'
import { PROFILES, type ProfileName } from '../sim/script/profiles.ts'
import { runScript } from '../sim/script/script.ts'
import { IP_VERSIONS, type IpVersion } from '../sim/script/settings.ts'
import { type Command, type Context, text, UsageError, type Values } from './command.ts'

export const script: Command = {
  name: 'script',
  summary: "play scripts of packetdrill's language on a stack in memory",
  usage: '[options] FILE|DIR...',
  about: [
    'A directory stands for all *.pkt below it. Prints a line for each script, what was expected and what came where one fails, and',
    '"N passed, N failed, N skipped". A script that wants what there is not is skipped with its reason, never passed. Ends with 1',
    'if any failed. docs/scripts.md has the language and how it differs from packetdrill.',
  ],
  options: {
    profile: {
      type: 'string',
      short: 'p',
      value: 'NAME',
      text: "linux, freebsd or rfc: whose stack is expected (by the script's commands)",
    },
    'ip-version': {
      type: 'string',
      value: 'NAME',
      text: 'ipv4, ipv6 or ipv4-mapped-ipv6, for scripts that do not say (ipv4); the MTU of ipv6 is 20 more',
    },
    define: {
      type: 'string',
      short: 'D',
      multiple: true,
      value: 'NAME=VALUE',
      text: 'a word that scripts leave open; repeatable',
    },
    option: {
      type: 'string',
      short: 'o',
      multiple: true,
      value: 'NAME=VALUE',
      text: "--NAME=VALUE of packetdrill, over the scripts' own",
    },
    quiet: { type: 'boolean', short: 'q', text: 'no lines for what passes' },
    verbose: { type: 'boolean', short: 'v', text: 'each event with its time, as it is played' },
  },
  words: Number.POSITIVE_INFINITY,
  examples: [
    ['script examples', 'all scripts below a directory'],
    ['script --ip-version ipv6 examples', 'the same over IPv6, those that are not for IPv4 alone'],
    ['script -v -o tolerance_usecs=14000 examples/handshake.pkt', 'one, each event with its time, with more patience'],
  ],
  failure: 2,
  run: async (context, values, words) => play(context, values, words),
}

function play(context: Context, values: Values, words: readonly string[]): number {
  if (words.length === 0) throw new UsageError('a file or a directory is expected')
  const profile = text(values, 'profile')
  if (profile !== undefined && !Object.hasOwn(PROFILES, profile)) {
    throw new UsageError(`--profile ${profile}: one of ${Object.keys(PROFILES).join(', ')} is expected`)
  }
  const ipVersion = text(values, 'ip-version')
  if (ipVersion !== undefined && !IP_VERSIONS.some((v) => v === ipVersion)) {
    throw new UsageError(`--ip-version ${ipVersion}: one of ${IP_VERSIONS.join(', ')} is expected`)
  }
  const options = {
    ipVersion: ipVersion as IpVersion | undefined,
    profile: profile as ProfileName | undefined,
    defines: pairs(values, 'define'),
    options: pairs(values, 'option'),
  }
  const count = { passed: 0, failed: 0, skipped: 0 }
  const paths = words.flatMap(scripts)
  for (const path of paths) {
    if (context.stop.aborted) break
    const outcome = runScript(readFileSync(path, 'utf8'), {
      ...options,
      file: path,
      includes: (name) => include(path, name),
      watch: values.verbose === true ? (line) => context.out(`  ${line}`) : undefined,
    })
    count[outcome.result]++
    tell(context, path, outcome, values)
  }
  context.out(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
  if (paths.length === 0) {
    context.err(`tapstack script: ${words.join(', ')}: there is no *.pkt in it or below`)
    return 2
  }
  return count.failed > 0 ? 1 : 0
}

function tell(context: Context, path: string, outcome: Outcome, values: Values): void {
  // The path stands in front of the line already; what follows it in the reason is the place in the file.
  const reason = (outcome.reason ?? '').startsWith(path)
    ? (outcome.reason ?? '').slice(path.length).replace(/^:\s*/, '')
    : (outcome.reason ?? '')
  const [first, ...more] = reason.split('\n')
  switch (outcome.result) {
    case 'passed':
      if (values.quiet !== true) context.out(`ok ${path}`)
      return
    case 'skipped':
      context.out(`skip ${path}: ${first}`)
      return
    case 'failed':
      context.out(`not ok ${path}: ${first}`)
      for (const line of [...more, ...(outcome.diff ?? '').split('\n')]) if (line !== '') context.out(`    ${line}`)
  }
}

/** `NAME=VALUE` of an option that may be repeated; a name alone is 1, as a compiler's -D. */
function pairs(values: Values, name: string): { [name: string]: string } {
  const given = values[name]
  const out: { [name: string]: string } = {}
  for (const item of Array.isArray(given) ? given : []) {
    const found = /^([A-Za-z_]\w*)(?:=([\s\S]*))?$/.exec(String(item))
    if (found === null) throw new UsageError(`--${name} ${item}: NAME=VALUE is expected`)
    out[found[1]] = found[2] ?? '1'
  }
  return out
}

/** A file itself, or all scripts below a directory, sorted. Throws UsageError. */
function scripts(path: string): string[] {
  let isDirectory: boolean
  try {
    isDirectory = statSync(path).isDirectory()
  } catch {
    throw new UsageError(`${path}: there is no such file or directory`)
  }
  if (!isDirectory) return [path]
  const found: string[] = []
  walk(path, [], found)
  return found.sort()
}

/** Links are followed: not those to a directory that we are in (`inside`), and not those to nothing. */
function walk(directory: string, inside: readonly string[], found: string[]): void {
  const real = realpathSync(directory)
  if (inside.includes(real)) return
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    const kind = statSync(path, { throwIfNoEntry: false })
    if (kind?.isDirectory()) walk(path, [...inside, real], found)
    else if (kind?.isFile() && name.endsWith('.pkt')) found.push(path)
  }
}

/**
 * A file that a script runs: from the script's directory, as packetdrill is run there; else the file of that name beside the script or in
 * `common` of a directory above, because scripts are moved and their helpers are not.
 */
function include(script: string, name: string): string | null {
  const directory = dirname(script)
  const base = basename(name)
  const places = [join(directory, name), join(directory, base)]
  for (let up = directory, i = 0; i < 4; i++, up = join(up, '..')) places.push(join(up, 'common', base))
  for (const place of places) {
    try {
      if (statSync(place).isFile()) return readFileSync(place, 'utf8')
    } catch {
      // Not there: the next place.
    }
  }
  return null
}
