/** From a command line to an exit code. Errors are one line that says what was tried, why it failed and what to do. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { arping } from './arping.ts'
import { bench } from './bench.ts'
import { type Command, type Context, Interrupted, UsageError, type Values } from './command.ts'
import { dhcp } from './dhcp.ts'
import { dns } from './dns.ts'
import { dump } from './dump.ts'
import { get } from './get.ts'
import { commandHelp, overview } from './help.ts'
import { browse, publish } from './mdns.ts'
import { mux } from './mux.ts'
import { nc } from './nc.ts'
import { ping } from './ping.ts'
import { resolve } from './resolve.ts'
import { route } from './route.ts'
import { script } from './script.ts'
import { echo, inetd } from './serve.ts'
import { serveFiles } from './serve-files.ts'
import { switchCommand } from './switch.ts'
import { tracepath } from './tracepath.ts'
import { traceroute } from './traceroute.ts'
import { tunnel } from './tunnel.ts'

export const COMMANDS: readonly Command[] = [
  echo,
  inetd,
  ping,
  arping,
  traceroute,
  tracepath,
  nc,
  get,
  serveFiles,
  resolve,
  browse,
  publish,
  route,
  mux,
  switchCommand,
  tunnel,
  dhcp,
  dns,
  dump,
  bench,
  script,
]

/** Commands that are to come: to be told apart from what is only mistyped. */
const PLANNED: readonly string[] = ['gateway']

const USAGE = 2
/** As a shell has it of a program that SIGINT ended. */
export const INTERRUPTED = 130

/** Runs `tapstack ARGS`. `version` is what --version prints; `debug` shows stack traces. */
export async function run(args: readonly string[], context: Context, version: string, debug = false): Promise<number> {
  const [word, ...rest] = args
  if (word === undefined) {
    for (const line of overview(COMMANDS)) context.err(line)
    return USAGE
  }
  if (word === '--help' || word === '-h' || word === 'help') return help(context, rest[0])
  if (word === '--version' || word === '-V') {
    context.out(`tapstack ${version}`)
    return 0
  }
  const command = COMMANDS.find((c) => c.name === word)
  if (command === undefined) {
    context.err(unknown(word))
    return USAGE
  }
  try {
    const { values, positionals } = parse(command, rest)
    if (values.help === true) return help(context, word)
    if (positionals.length > command.words) throw new UsageError(`unexpected ${JSON.stringify(positionals[command.words])}`)
    return await command.run(context, values, positionals)
  } catch (error) {
    if (error instanceof Interrupted) return INTERRUPTED
    const advice = error instanceof UsageError ? ` (tapstack ${word} --help)` : ''
    context.err(`tapstack ${word}: ${oneLine(error)}${advice}`)
    if (debug && error instanceof Error && error.stack !== undefined) context.err(error.stack)
    return command.failure
  }
}

function help(context: Context, word: string | undefined): number {
  const command = COMMANDS.find((c) => c.name === word)
  if (word !== undefined && command === undefined) {
    context.err(unknown(word))
    return USAGE
  }
  for (const line of command === undefined ? overview(COMMANDS) : commandHelp(command)) context.out(line)
  return 0
}

function unknown(word: string): string {
  if (PLANNED.includes(word))
    return `tapstack: ${word} is not built yet: this version has ${COMMANDS.map((c) => c.name).join(', ')}`
  const what = word.startsWith('-') ? 'option' : 'command'
  return `tapstack: unknown ${what} ${JSON.stringify(word)}: tapstack --help lists what there is`
}

function parse(command: Command, args: string[]): { values: Values; positionals: string[] } {
  const options: NonNullable<ParseArgsConfig['options']> = { help: { type: 'boolean', short: 'h' } }
  for (const [name, { type, short, multiple }] of Object.entries(command.options)) {
    options[name] = { type, multiple: multiple ?? false, ...(short === undefined ? {} : { short }) }
  }
  try {
    return parseArgs({ args, options, allowPositionals: true })
  } catch (error) {
    // The first sentence says what is wrong; the others are advice for another program.
    throw new UsageError((error as Error).message.split(/\. |\n/)[0].replace(/\.$/, ''))
  }
}

function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/\s*\n\s*/g, ' ')
}
