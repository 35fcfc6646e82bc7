/**
 * `stdio:`: frames on standard input and output, each behind its length in two bytes (big-endian), as vde_plug and dpipe speak:
 * `vde_plug vde:///tmp/sw = node app.js --link stdio:`.
 *
 * Standard output belongs to the frames then. Whatever else this process says there (`console.log`, a library's chatter) would be taken for one, and
 * so goes to standard error for as long as the link is open.
 */
import { Writable } from 'node:stream'
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { checkOptions, type LinkUrl, numberOption } from './link-url.ts'
import type { StreamHalves } from './open-stream.ts'
import { type Carrier, StreamLink } from './stream-link.ts'

export interface StdioOptions {
  /** Largest IP packet of a frame. 1500 when left out. */
  mtu?: number
  name?: string
}

/** The options of `stdio:?mtu=...`. */
export function stdioOptions(url: LinkUrl): StdioOptions {
  checkOptions(url, ['mtu', 'name'])
  if (url.target !== '') throw invalidArgument(`Invalid link ${url.text}: nothing is expected after stdio:`)
  return { mtu: numberOption(url, 'mtu'), name: url.options.get('name') }
}

let isOpen = false

/**
 * The link on this process's standard input and output; there can be one.
 * @throws NetError ERR_INVALID_ARG_VALUE for an MTU that cannot be, EBUSY when it is open already, ENOTSUP on a terminal.
 */
export async function openStdio(options: StdioOptions = {}): Promise<StreamLink> {
  const { name = 'stdio', mtu = LINK_DEFAULTS.mtuBytes } = options
  if (isOpen)
    throw new NetError('EBUSY', { message: 'Cannot open stdio: twice: standard input and output carry the frames of one link' })
  if (process.stdin.isTTY || process.stdout.isTTY) {
    throw new NetError('ENOTSUP', {
      message:
        'Cannot open stdio: on a terminal: it speaks to a program, as in `vde_plug vde:///tmp/sw = node app.js --link stdio:`',
    })
  }
  const carrier: Carrier = {
    text: 'standard input and output',
    start: () => undefined,
    ended: () => false,
    close() {
      isOpen = false
      giveBack()
    },
  }
  const link = new StreamLink({ name, mtu, carrier })
  const giveBack = divert(process.stdout, process.stderr)
  isOpen = true
  link.use(standardStreams())
  return link
}

/** What is written to `from` goes to `to`, until the function returned is called. */
function divert(from: Writable, to: Writable): () => void {
  const own = Object.getOwnPropertyDescriptor(from, 'write')
  const write = to.write.bind(to)
  Object.defineProperty(from, 'write', { value: write, configurable: true, writable: true })
  return () => {
    if (from.write !== write) return // somebody did the same after us
    if (own === undefined) delete (from as { write?: unknown }).write
    else Object.defineProperty(from, 'write', own)
  }
}

/** Standard input as it is, and what writes to standard output as it was. Node never closes that: its reader hears an end when the process does. */
function standardStreams(): StreamHalves {
  const { stdin, stdout } = process
  const prototype = Object.getPrototypeOf(stdout) as Writable
  const writable = new Writable({
    write: (chunk, encoding, done) => void prototype.write.call(stdout, chunk, encoding, done),
  })
  stdout.on('error', (error) => writable.destroy(error))
  return { readable: stdin, writable }
}
