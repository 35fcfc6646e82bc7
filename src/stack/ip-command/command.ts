/**
 * `stack.ip('addr add 10.0.0.50/24 dev vde0; link set vde0 up')`: the everyday subset of ip(8) (iproute2), for a stack.
 *
 * Theory of operation. A line is cut at `;` and line ends into commands; of each the program's name is left out if it is there. The options
 * are read, the object is found by its name or the beginning of it, and its file reads the rest word by word, as iproute2 does, and either
 * changes the stack by the calls that its user has too, or makes a listing. A listing is made of things that are text and data at once
 * (output.ts), so that `-j` needs no code of its own. What is wrong is told by a NetError with ip(8)'s words, or the kernel's, and a code.
 */
import { NetError } from '../../base/errors.ts'
import type { Stack } from '../stack.ts'
import { addrCommand } from './addr.ts'
import { linkCommand } from './link.ts'
import { maddrCommand } from './maddr.ts'
import { neighCommand } from './neigh.ts'
import { badArgument, incomplete, unsupported, wrong } from './problems.ts'
import { routeCommand } from './route.ts'
import { ruleCommand } from './rule.ts'
import { abbreviates, type IpOptions, Words } from './words.ts'

/** In iproute2's order: the first that begins with the word is meant. */
const OBJECTS: readonly (readonly [string, (w: Words) => string])[] = [
  ['address', addrCommand],
  ['maddress', maddrCommand],
  ['route', routeCommand],
  ['rule', ruleCommand],
  ['neighbor', neighCommand],
  ['neighbour', neighCommand],
  ['link', linkCommand],
]

const USAGE = `Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }
where  OBJECT := { address | link | maddress | neighbour | route | rule }
       OPTIONS := { -4 | -6 | -f[amily] { inet | inet6 } | -s[tatistics] | -d[etails] | -j[son] | -p[retty] |
                    -o[neline] | -br[ief] }
`

/** A command that failed: what it was, and how many were done before it. */
export class IpCommandError extends NetError {
  constructor(
    cause: NetError,
    /** As it was written. */
    readonly command: string,
    /** Commands of the line that had been done, and stay done. */
    readonly done: number,
    chained: boolean,
  ) {
    super(cause.code, { message: chained ? `${cause.message} (command ${done + 1}: ${command})` : cause.message, cause })
  }
}

/** See `Stack.ip`. */
export function ipCommand(stack: Stack, line: string): string {
  const commands = line
    .split(/[;\n]/)
    .map((text) => text.trim())
    .filter((text) => text !== '' && !text.startsWith('#'))
  let shown = ''
  commands.forEach((text, done) => {
    try {
      shown += one(stack, withoutProgram(wordsOf(text)))
    } catch (error) {
      if (!(error instanceof NetError)) throw error
      throw new IpCommandError(error, text, done, commands.length > 1)
    }
  })
  return shown
}

/** Words are parted by blanks; quotes hold one together, as in a shell. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replace(/["']/g, ''))
}

/** `/bin/busybox ip addr`, `/sbin/ip addr` and `ip addr` are `addr`. */
function withoutProgram(words: readonly string[]): readonly string[] {
  const base = (word: string | undefined): string => word?.replace(/^.*\//, '') ?? ''
  const rest = base(words[0]) === 'busybox' ? words.slice(1) : words
  return base(rest[0]) === 'ip' ? rest.slice(1) : rest
}

function one(stack: Stack, list: readonly string[]): string {
  const options: IpOptions = {
    family: 0,
    json: false,
    pretty: false,
    oneLine: false,
    brief: false,
    details: false,
    statistics: false,
  }
  let at = 0
  while (at < list.length && list[at].startsWith('-')) {
    const word = list[at++]
    if (word !== '-f' && !(word.length > 2 && abbreviates(word.replace(/^--/, '-'), '-family'))) readOption(word, options)
    else if (at < list.length) options.family = familyNamed(list[at++])
    else throw incomplete()
  }
  if (at >= list.length) throw wrong(USAGE.trimEnd())
  const word = list[at++]
  if (word === 'help') return USAGE
  const object = OBJECTS.find(([name]) => abbreviates(word, name))
  if (object === undefined) throw wrong(`Object "${word}" is unknown, try "ip help".`)
  if (list[at] === 'help') return USAGE
  return object[1](new Words(stack, options, list.slice(at)))
}

function readOption(word: string, options: IpOptions): void {
  const name = word.replace(/^--?/, '')
  const is = (...full: string[]): boolean => abbreviates(name, ...full)
  if (name === '4') options.family = 4
  else if (name === '6') options.family = 6
  else if (is('stats', 'statistics')) options.statistics = true
  else if (is('details')) options.details = true
  else if (is('oneline')) options.oneLine = true
  else if (is('json')) options.json = true
  else if (is('pretty')) options.pretty = true
  else if (name.length > 1 && is('brief')) options.brief = true
  else if (is('netns')) throw unsupported('"-netns" (every stack is a network of its own)')
  // Names are never looked up, and text has no colours.
  else if (!is('Numeric') && !is('color')) {
    throw wrong(`Option "${word}" is unknown, try "ip -help".`)
  }
}

function familyNamed(word: string): 4 | 6 {
  if (word === 'inet') return 4
  if (word === 'inet6') return 6
  throw badArgument(word, 'invalid protocol family')
}
