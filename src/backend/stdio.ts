/**
 * `stdio:`: frames on standard input and output, each behind its length in two bytes (big-endian), as vde_plug and dpipe speak:
 * `vde_plug -- vde:///tmp/sw = node app.js --link stdio:`.
 *
 * Standard output belongs to the frames from then on. Whatever else this process says there (`console.log`, a library's chatter) would be taken for
 * one, and so goes to standard error; also when the link is closed, for who reads has not changed.
 */
import { type Readable, Writable } from 'node:stream'
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { checkOptions, type LinkUrl, numberOption } from './link-url.ts'
import { type Carrier, StreamLink } from './stream-link.ts'

/** The largest packet of the link, and its name. */
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

/** Where frames come in and go out, and where words go meanwhile: the process itself, or what a test gives. */
export interface StdioSystem {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable
}

/** Those that carry frames, or did. */
const inUse = new WeakSet<StdioSystem>()

/**
 * The link on this process's standard input and output; there can be one.
 * @throws NetError ERR_INVALID_ARG_VALUE for an MTU that cannot be, EBUSY when it is open already, ENOTSUP on a terminal.
 */
export async function openStdio(options: StdioOptions = {}, system: StdioSystem = process): Promise<StreamLink> {
  const { name = 'stdio', mtu = LINK_DEFAULTS.mtuBytes } = options
  const { stdin, stdout, stderr } = system
  if (inUse.has(system)) {
    throw new NetError('EBUSY', { message: 'Cannot open stdio: twice: standard input and output carry the frames of one link' })
  }
  if (stdin.isTTY || stdout.isTTY) {
    throw new NetError('ENOTSUP', {
      message:
        'Cannot open stdio: on a terminal: it speaks to a program, as in `vde_plug -- vde:///tmp/sw = node app.js --link stdio:`',
    })
  }
  const carrier: Carrier = {
    text: 'standard input and output',
    start: () => undefined,
    ended: () => false,
    close: () => undefined,
  }
  const link = new StreamLink({ name, mtu, carrier })
  const frames = frameWriter(stdout)
  const words: Writable['write'] = stderr.write.bind(stderr)
  Object.defineProperty(stdout, 'write', { value: words, configurable: true, writable: true })
  inUse.add(system)
  link.use({ readable: stdin, writable: frames })
  return link
}

/** What writes to standard output as it is now. Node never closes it: its reader hears an end when the process does. */
function frameWriter(stdout: Writable): Writable {
  const write = stdout.write.bind(stdout) as Writable['write']
  const writer = new Writable({ write: (chunk, encoding, done) => void write(chunk, encoding, done) })
  stdout.on('error', (error) => writer.destroy(error))
  return writer
}
