/** Help texts, made from what the commands say of themselves. */
import type { Command } from './command.ts'

/** What `tapstack --help` prints. */
export function overview(commands: readonly Command[]): string[] {
  const width = Math.max(...commands.map((c) => c.name.length))
  return [
    'Usage: tapstack COMMAND [options]',
    '',
    "A TCP/IP stack in user space, on a link of one's own.",
    '',
    'Commands:',
    ...commands.map((c) => `  ${c.name.padEnd(width)}  ${c.summary}`),
    '',
    'Options:',
    '  -h, --help     this text; after a command: that of the command, with examples',
    '  -V, --version  the version',
    '',
    'TAPSTACK_DEBUG=1 shows the whole stack trace of an error.',
  ]
}

/** What `tapstack COMMAND --help` prints. */
export function commandHelp(command: Command): string[] {
  const rows = Object.entries(command.options).map(([name, o]) => {
    const short = o.short === undefined ? '    ' : `-${o.short}, `
    return [`  ${short}--${name}${o.value === undefined ? '' : ` ${o.value}`}`, o.text] as const
  })
  rows.push(['  -h, --help', 'this text'])
  const width = Math.max(...rows.map(([left]) => left.length))
  return [
    `Usage: tapstack ${command.name} ${command.usage}`,
    '',
    `${command.summary[0].toUpperCase()}${command.summary.slice(1)}.`,
    ...command.about,
    '',
    'Options (in parentheses what holds when they are left out):',
    ...rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`),
    '',
    'Examples:',
    ...command.examples.flatMap(([line, what]) => [`  tapstack ${line}`, `      ${what}`]),
  ]
}
