/** `tapstack serve`: the files of a directory by HTTP or HTTPS, until it is told to stop. What is answered is in static-files.ts. */
import { readFileSync, realpathSync, statSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Command, type Context, integer, text, UsageError, type Values } from './command.ts'
import { NETWORK_OPTIONS, stopped } from './network.ts'
import { openNodeNetwork } from './node-network.ts'
import { StaticFiles } from './static-files.ts'

export const serveFiles: Command = {
  name: 'serve',
  summary: 'serve the files of a directory by HTTP',
  usage: '[options] [DIR]',
  about: [
    'GET and HEAD, with ranges and conditions; index.html or a list for a directory. What is not below DIR is not served, whatever links lead there, nor are names that',
    'begin with a dot. Prints a line that begins with "ready", a line for each request, and ends with Ctrl-C.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    port: { type: 'string', short: 'p', value: 'N', text: 'TCP port (80; 443 with --cert)' },
    dotfiles: { type: 'boolean', text: 'names that begin with a dot as well' },
    'no-list': { type: 'boolean', text: 'no lists of directories' },
    cert: { type: 'string', value: 'FILE', text: 'certificate (PEM): HTTPS' },
    key: { type: 'string', value: 'FILE', text: 'its key (PEM)' },
  },
  words: 1,
  examples: [
    ['serve docs', 'the directory docs on tap0 as 10.0.0.2; then: curl http://10.0.0.2/'],
    ['serve --port 8080 --no-list', 'this directory, without lists'],
  ],
  failure: 2,
  run: startServing,
}

async function startServing(context: Context, values: Values, words: readonly string[]): Promise<number> {
  const [given = '.'] = words
  const isSecure = values.cert !== undefined
  if (isSecure !== (values.key !== undefined)) throw new UsageError('--cert and --key: both are expected, or none')
  const port = integer(values, 'port', 1, 65535, isSecure ? 443 : 80)
  const root = rootOf(given)
  const [cert, key] = [pem(values, 'cert'), pem(values, 'key')]
  const network = await openNodeNetwork(context, values)
  const { stack, link } = network
  try {
    const files = new StaticFiles(root, { dotfiles: values.dotfiles === true, lists: values['no-list'] !== true })
    const tell = values.quiet === true ? null : context.out
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      if (tell !== null) {
        const peer = peerOf(request.socket) // a socket that is gone does not know
        response.once('close', () => tell(logLine(peer, request, response)))
      }
      void files.answer(request, response)
    }
    const server = isSecure ? stack.https.createServer({ cert, key }, answer) : stack.http.createServer(answer)
    const failed = new Promise<never>((_, reject) => server.once('error', reject))
    failed.catch(() => undefined)
    await Promise.race([new Promise<void>((resolve) => server.listen(port, resolve)), failed, stopped(context)])
    const scheme = isSecure ? 'https' : 'http'
    const place = port === (isSecure ? 443 : 80) ? '' : `:${port}`
    const urls = network.address.split(' ').map((a) => `${scheme}://${a.includes(':') ? `[${a}]` : a}${place}/`)
    context.out(`ready: ${urls.join(' ')} on ${link.name}, from ${root}`)
    await Promise.race([stopped(context), network.broken, failed])
    server.close()
    server.closeAllConnections()
    return 0
  } finally {
    await network.close()
  }
}

function rootOf(given: string): string {
  try {
    const root = realpathSync(given)
    if (statSync(root).isDirectory()) return root
  } catch (error) {
    throw new UsageError(
      `${given}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such directory' : (error as Error).message}`,
    )
  }
  throw new UsageError(`${given} is no directory`)
}

function pem(values: Values, option: string): string | undefined {
  const file = text(values, option)
  return file === undefined ? undefined : readFileSync(file, 'utf8')
}

/** `10.0.0.1:47978 GET /docs/ 200 1234 bytes`; what was not sent whole is told so. */
function logLine(peer: string, { method, url }: IncomingMessage, response: ServerResponse): string {
  const bytes = response.getHeader('content-length')
  const size = method === 'HEAD' || bytes === undefined || response.statusCode === 304 ? '' : ` ${bytes} bytes`
  // What others chose must not steer a terminal.
  const shown = (url ?? '').replace(/\p{Cc}/gu, '?')
  return `${peer} ${method} ${shown} ${response.statusCode}${size}${response.writableFinished ? '' : ', cut short'}`
}

function peerOf({ remoteAddress = '', remotePort = 0 }: IncomingMessage['socket']): string {
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, '')
  return address.includes(':') ? `[${address}]:${remotePort}` : `${address}:${remotePort}`
}
