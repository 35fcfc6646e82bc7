/** What a command is, and what it runs in. Everything that touches the process comes by `Context`, so that tests run commands in memory. */
import type { Readable, Writable } from 'node:stream'
import type { LinkChange } from '../backend/dialer.ts'
import type { NetIf } from '../netif/netif.ts'
import type { StackPlatform } from '../stack/stack.ts'

export interface Context {
  /** One line to standard output. */
  out(line: string): void
  /** One line to standard error. */
  err(line: string): void
  /** `onChange` hears when the stream of a tunnel or a guest comes or goes. */
  openLink(url: string, onChange?: (change: LinkChange) => void): Promise<NetIf>
  readonly platform: StackPlatform
  /** Aborted by SIGINT or SIGTERM: end cleanly. */
  readonly stop: AbortSignal
  /** Standard input and output as bytes, for commands that carry them. */
  input?(): Readable
  output?(): Writable
  /** On a terminal: shows this text on standard error in place of the one before; '' takes it away. */
  progress?(text: string): void
  /** Calls `run` whenever somebody asks for a report by SIGUSR2, until what is returned is called. */
  onReport?(run: () => void): () => void
  /** Serves a VDE control socket in a directory, options in brackets behind it: each connection becomes a port. */
  serveVde?: VdeService
  /** Serves guests (QEMU, WebSockets) at a URL: each that connects becomes a port. */
  serveGuests?: GuestService
}

export type VdeService = (
  target: { join(link: NetIf): unknown },
  directory: string,
  onRefused: (why: string) => void,
) => Promise<{ readonly directory: string; close(): Promise<void> }>

export type GuestService = (
  target: { join(link: NetIf): unknown },
  url: string,
  onRefused: (why: string) => void,
) => Promise<{ close(): Promise<void> }>

/** An option as `parseArgs` of node:util takes it, and as help shows it. */
export interface Option {
  readonly type: 'string' | 'boolean'
  readonly short?: string | undefined
  readonly multiple?: boolean
  /** What stands after it in help: `URL`. */
  readonly value?: string
  /** One line of help. */
  readonly text: string
}

/** Values by option name: a text, true, or several texts for `multiple`. */
export interface Values {
  readonly [name: string]: string | boolean | (string | boolean)[] | undefined
}

export interface Command {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** After the name: `[options] HOST`. */
  readonly usage: string
  /** Sentences between usage and options. */
  readonly about: readonly string[]
  readonly options: { readonly [name: string]: Option }
  /** Words after the options: how many there may be. */
  readonly words: number
  /** Command lines without the leading `tapstack`, and what each does. */
  readonly examples: readonly (readonly [line: string, what: string])[]
  /** Exit code of a wrong command line and of failures: 2 unless the tool of that name has another. */
  readonly failure: number
  /** Returns the exit code. */
  run(context: Context, values: Values, words: readonly string[]): Promise<number>
}

/** The command line cannot be meant. Its message says what is wrong, in one line. */
export class UsageError extends Error {}

/** It was to stop before it had begun. */
export class Interrupted extends Error {}

/** The one text of an option, or undefined. */
export function text(values: Values, name: string): string | undefined {
  const v = values[name]
  return typeof v === 'string' ? v : undefined
}

/** All texts of an option that may be repeated; commas separate as well. */
export function texts(values: Values, name: string): string[] {
  const v = values[name]
  const list = Array.isArray(v) ? v : v === undefined ? [] : [v]
  return list.flatMap((item) => (typeof item === 'string' ? item.split(',') : [])).filter((item) => item !== '')
}

/** A whole number from `min` to `max`, or `otherwise`. Throws UsageError. */
export function integer(values: Values, name: string, min: number, max: number, otherwise: number): number {
  const given = text(values, name)
  if (given === undefined) return otherwise
  const n = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN
  if (!(n >= min && n <= max)) throw new UsageError(`--${name} ${given}: a whole number from ${min} to ${max} is expected`)
  return n
}

/** Seconds, fractions too, as milliseconds. Throws UsageError. */
export function seconds(values: Values, name: string, min: number, max: number, otherwise: number): number {
  const given = text(values, name)
  if (given === undefined) return otherwise
  const n = /^\d*\.?\d+$/.test(given) ? Number(given) : Number.NaN
  if (!(n >= min && n <= max)) throw new UsageError(`--${name} ${given}: seconds from ${min} to ${max} are expected`)
  return n * 1000
}
