/**
 * `tapstack get`: one URL, by a stack of its own; options, messages and exit codes are curl(1)'s. Names, TCP, TLS and HTTP all run on the stack.
 *
 * Theory of operation. A request by `stack.http` or `stack.https`; redirects are followed here, so that each is seen and counted. The body goes to its place as fast
 * as that takes it: what is not taken is not read, and the window closes.
 */
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { wordsOf } from '../base/errors.ts'
import { type Command, type Context, integer, seconds, text, UsageError, type Values } from './command.ts'
import { FAMILY_OPTIONS, hostOf, UnknownHost } from './destination.ts'
import { NETWORK_OPTIONS } from './network.ts'
import { forData, type NodeNetwork, openNodeNetwork, outputOf, unlessEnded } from './node-network.ts'
import { Progress } from './progress.ts'

/** Exit codes of curl(1). */
const EXIT = {
  PROTOCOL: 1,
  URL: 3,
  RESOLVE: 6,
  CONNECT: 7,
  PARTIAL: 18,
  HTTP: 22,
  WRITE: 23,
  TIMEOUT: 28,
  TLS: 35,
  REDIRECTS: 47,
  EMPTY: 52,
  RECEIVE: 56,
  CERTIFICATE: 60,
} as const

export const get: Command = {
  name: 'get',
  summary: 'fetch a URL by HTTP or HTTPS',
  usage: '[options] URL',
  about: [
    'The body goes to standard output or into a file. Exit codes are those of curl(1): 0, 3 the URL is wrong, 6 the name is not known, 7 there is no connection,',
    '18 the body was cut short, 22 an error of HTTP with --fail, 28 it took too long, 35 and 60 TLS and its certificate, 47 too many redirects,',
    '52 no answer, 56 the connection broke; 2 for all else.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    verbose: { ...NETWORK_OPTIONS.verbose, text: 'the headers of both sides, every frame in one line, counters at the end' },
    ...FAMILY_OPTIONS,
    output: { type: 'string', short: 'o', value: 'FILE', text: 'write the body to FILE (standard output)' },
    include: { type: 'boolean', short: 'i', text: 'the headers of the answer before its body' },
    head: { type: 'boolean', short: 'I', text: 'only the headers (HEAD)' },
    header: {
      type: 'string',
      short: 'H',
      multiple: true,
      value: 'N: V',
      text: 'a header of the request, repeatable; "N:" takes one away',
    },
    request: { type: 'string', short: 'X', value: 'METHOD', text: 'method (GET)' },
    data: { type: 'string', short: 'd', value: 'TEXT|@FILE', text: 'send this, by POST' },
    location: { type: 'boolean', short: 'L', text: 'go where redirects lead' },
    'max-redirs': { type: 'string', value: 'N', text: 'at most N redirects (50)' },
    fail: { type: 'boolean', short: 'f', text: 'no body and exit code 22 when the answer is an error (400 and above)' },
    insecure: { type: 'boolean', short: 'k', text: 'any certificate will do' },
    cacert: { type: 'string', value: 'FILE', text: 'certificates (PEM) that are trusted' },
    'connect-timeout': { type: 'string', value: 'SECONDS', text: 'how long a connection may take (never)' },
    'max-time': { type: 'string', short: 'm', value: 'SECONDS', text: 'how long all may take (never)' },
  },
  words: 1,
  examples: [
    ['get http://10.0.0.1:8000/', "the host's side: python3 -m http.server"],
    ['get -g 10.0.0.1 --dns 10.0.0.1 -L -o page.html https://www.example.com/', 'through the host, where it forwards'],
    ['get -I http://10.0.0.1/', 'only the headers'],
  ],
  failure: 2,
  run: startGet,
}

/** Ends the command with an exit code of curl's. */
class Failed extends Error {
  constructor(
    readonly exit: number,
    message: string,
  ) {
    super(message)
  }
}

async function startGet(context: Context, values: Values, words: readonly string[]): Promise<number> {
  const [word] = words
  if (word === undefined) throw new UsageError('a URL is missing: tapstack get http://10.0.0.1/')
  if (values.ipv4 === true && values.ipv6 === true) throw new UsageError('-4 and -6: one of them is expected')
  const settings = {
    method: text(values, 'request') ?? (values.head === true ? 'HEAD' : values.data === undefined ? 'GET' : 'POST'),
    headers: headersOf(values),
    redirects: values.location === true ? integer(values, 'max-redirs', 0, 1000, 50) : -1,
    connectMs: seconds(values, 'connect-timeout', 0.001, 1e6, 0),
    totalMs: seconds(values, 'max-time', 0.001, 1e6, 0),
    body: await bodyOf(values),
    ca: await certificatesOf(values),
  }
  try {
    const url = urlOf(word)
    const network = await openNodeNetwork(forData(context), values)
    try {
      const transfer = new Transfer(context, network, values, settings)
      try {
        return await unlessEnded(context, network, transfer.run(url))
      } finally {
        transfer.end()
      }
    } finally {
      await network.close()
    }
  } catch (error) {
    const failed = error instanceof UnknownHost ? new Failed(EXIT.RESOLVE, error.message) : error
    if (!(failed instanceof Failed)) throw failed
    context.err(`tapstack get: (${failed.exit}) ${failed.message}`)
    return failed.exit
  }
}

/** As curl has it, `http://` may be left out. */
function urlOf(word: string): URL {
  const full = /^[a-z][a-z\d+.-]*:\/\//i.test(word) ? word : `http://${word}`
  let url: URL
  try {
    url = new URL(full)
  } catch {
    throw new Failed(EXIT.URL, `${word} is no URL: http://10.0.0.1/ or the like is expected`)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new Failed(EXIT.PROTOCOL, `${url.protocol} is neither http: nor https:`)
  return url
}

/** Names in lower case; null takes a header away that is there by itself. */
function headersOf(values: Values): Map<string, string | null> {
  const given = Array.isArray(values.header) ? values.header : []
  const headers = new Map<string, string | null>([
    ['user-agent', 'tapstack'],
    ['accept', '*/*'],
  ])
  for (const line of given) {
    const [, name, value] = /^([!#$%&'*+\-.^_`|~\w]+):\s*(.*?)\s*$/s.exec(String(line)) ?? []
    if (name === undefined || /[\r\n\0]/.test(value))
      throw new UsageError(`--header ${line}: a name, a colon and a value are expected`)
    headers.set(name.toLowerCase(), value === '' ? null : value)
  }
  return headers
}

async function bodyOf(values: Values): Promise<Buffer | null> {
  const data = text(values, 'data')
  if (data === undefined) return null
  return data.startsWith('@') ? readFile(data.slice(1)) : Buffer.from(data)
}

async function certificatesOf(values: Values): Promise<string | undefined> {
  const file = text(values, 'cacert')
  return file === undefined ? undefined : readFile(file, 'utf8')
}

interface Settings {
  method: string
  headers: ReadonlyMap<string, string | null>
  /** How many may be followed; -1: none is. */
  redirects: number
  connectMs: number
  totalMs: number
  body: Buffer | null
  ca: string | undefined
}

class Transfer {
  private request: ClientRequest | null = null
  private late: Failed | null = null
  private readonly timers: unknown[] = []
  private readonly progress: Progress

  constructor(
    private readonly context: Context,
    private readonly network: NodeNetwork,
    private readonly values: Values,
    private readonly settings: Settings,
  ) {
    this.progress = new Progress(network.stack.host, values.quiet === true ? undefined : context.progress)
    if (settings.totalMs > 0) this.within(settings.totalMs, `it took more than ${settings.totalMs} ms`)
  }

  /** Returns the exit code. Rejects with Failed. */
  async run(first: URL): Promise<number> {
    const { settings, values } = this
    let url = first
    let { method, body } = settings
    for (let followed = 0; ; followed++) {
      const response = await this.ask(url, method, body, url.origin === first.origin)
      const { statusCode = 0, headers } = response
      const to = statusCode >= 300 && statusCode < 400 && settings.redirects >= 0 ? headers.location : undefined
      if (to === undefined) return this.receive(url, response)
      if (values.include === true || method === 'HEAD') await this.write(headerText(response))
      response.resume()
      await finished(response).catch(() => undefined)
      if (followed >= settings.redirects) throw new Failed(EXIT.REDIRECTS, `there were more than ${settings.redirects} redirects`)
      // RFC 9110 sections 15.4.2 to 15.4.4: what was a POST becomes a GET, but with 307 and 308.
      if ((statusCode === 303 && method !== 'HEAD') || (statusCode < 303 && method === 'POST')) [method, body] = ['GET', null]
      url = urlOf(new URL(to, url).href)
    }
  }

  end(): void {
    for (const timer of this.timers) this.network.stack.host.cancel(timer)
    this.progress.end()
    this.request?.destroy()
  }

  private within(ms: number, why: string): void {
    const run = (): void => {
      this.late = new Failed(EXIT.TIMEOUT, why)
      this.request?.destroy(this.late)
    }
    this.timers.push(this.network.stack.host.after(ms, { run }))
  }

  private async ask(url: URL, method: string, body: Buffer | null, sameOrigin: boolean): Promise<IncomingMessage> {
    const { settings, values, context, network } = this
    const { stack } = network
    const secure = url.protocol === 'https:'
    const name = url.hostname.replace(/^\[|\]$/g, '')
    const host = stack.addressText(await hostOf(stack, name, values))
    if (this.late !== null) throw this.late
    const headers: Record<string, string | number> = { host: url.host }
    for (const [header, value] of settings.headers) {
      // What is a secret between us and the first server is not told to others.
      if (!sameOrigin && (header === 'authorization' || header === 'cookie')) continue
      if (value === null) delete headers[header]
      else headers[header] = value
    }
    if (body !== null) {
      headers['content-type'] ??= 'application/x-www-form-urlencoded'
      headers['content-length'] = body.length
    }
    const auth = url.username === '' ? undefined : `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
    const to = {
      host,
      port: url.port || (secure ? 443 : 80),
      path: `${url.pathname}${url.search}`,
      method,
      headers,
      auth,
      setHost: false,
    }
    const trust = {
      servername: /^[\d.]+$|:/.test(name) ? '' : name,
      rejectUnauthorized: values.insecure !== true,
      ca: settings.ca,
    }
    const request = secure
      ? stack.https.request({ ...to, ...trust, agent: new stack.https.Agent() })
      : stack.http.request({ ...to, agent: new stack.http.Agent() })
    this.request = request
    let isConnected = false
    request.once('socket', (socket) => {
      const connected = (): void => {
        isConnected = true
        if (timer !== null) stack.host.cancel(timer)
      }
      const run = (): void =>
        void request.destroy(new Failed(EXIT.TIMEOUT, `no connection to ${name} port ${to.port} in ${settings.connectMs} ms`))
      const timer = settings.connectMs > 0 ? stack.host.after(settings.connectMs, { run }) : null
      socket.once(secure ? 'secureConnect' : 'connect', connected)
      socket.once('close', () => timer !== null && stack.host.cancel(timer))
    })
    if (values.verbose === true) {
      context.err(`> ${method} ${to.path} HTTP/1.1`)
      for (const [header, value] of Object.entries(headers)) context.err(`> ${header}: ${value}`)
    }
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve)
      request.once('error', (error: NodeJS.ErrnoException) => reject(this.failure(error, name, Number(to.port), isConnected)))
      request.end(body ?? undefined)
    })
    request.on('error', () => undefined) // what breaks later is told by the response
    if (values.verbose === true) for (const line of headerText(response).trimEnd().split('\r\n')) context.err(`< ${line}`)
    return response
  }

  private failure(error: NodeJS.ErrnoException, name: string, port: number, isConnected: boolean): Failed {
    if (error instanceof Failed) return error
    const code = error.code ?? ''
    if (
      !isConnected &&
      /^E(CONNREFUSED|HOSTUNREACH|NETUNREACH|TIMEDOUT|CONNRESET|ADDR)/.test(code) &&
      !/TLS|SSL/.test(error.message)
    ) {
      const advice = code === 'ENETUNREACH' ? ': give a --gateway, or an --address on its network' : ''
      return new Failed(EXIT.CONNECT, `no connection to ${name} port ${port}: ${wordsOf(code)}${advice}`)
    }
    if (CERTIFICATE.test(code))
      return new Failed(EXIT.CERTIFICATE, `the certificate of ${name} is not good: ${error.message} (--insecure takes any)`)
    if (/SSL|TLS|EPROTO/.test(code)) return new Failed(EXIT.TLS, `TLS with ${name} failed: ${error.message}`)
    if (error.message === 'socket hang up') return new Failed(EXIT.EMPTY, `${name} ended the connection without an answer`)
    return new Failed(
      EXIT.RECEIVE,
      `${name}: ${code.startsWith('HPE_') ? 'the answer is no HTTP' : wordsOf(code)}: ${error.message}`,
    )
  }

  private async receive(url: URL, response: IncomingMessage): Promise<number> {
    const { values, context, progress } = this
    const { statusCode = 0 } = response
    if (values.fail === true && statusCode >= 400) {
      response.destroy()
      throw new Failed(EXIT.HTTP, `${url.href}: ${statusCode} ${response.statusMessage}`)
    }
    const file = text(values, 'output')
    const output = file === undefined ? outputOf(context) : createWriteStream(file)
    // Anybody who cannot write is heard here, and ends what is read.
    let why: Error | null = null
    const broken = (error: Error): void => {
      why ??= new Failed(EXIT.WRITE, `cannot write ${file ?? 'standard output'}: ${error.message}`)
      response.destroy()
    }
    output.on('error', broken)
    try {
      if (values.include === true || values.head === true) output.write(headerText(response))
      const total = Number(response.headers['content-length'] ?? Number.NaN)
      if (file !== undefined) progress.begin(total)
      await this.copy(response, output, () => why)
      if (file !== undefined) {
        output.end()
        await finished(output)
      } else await new Promise<void>((resolve) => output.write('', () => resolve()))
    } catch (error) {
      throw (
        why ??
        this.late ??
        new Failed(EXIT.PARTIAL, `the body ended early, after ${progress.bytes} bytes: ${(error as Error).message}`)
      )
    } finally {
      output.off('error', broken)
    }
    if (why !== null) throw why
    return 0
  }

  private async copy(response: IncomingMessage, output: Writable, why: () => Error | null): Promise<void> {
    for await (const chunk of response) {
      this.progress.add((chunk as Buffer).length)
      if (why() !== null) return
      if (!output.write(chunk))
        await new Promise<void>((resolve) => {
          const go = (): void => {
            output.off('drain', go).off('error', go).off('close', go)
            resolve()
          }
          output.on('drain', go).on('error', go).on('close', go)
        })
    }
  }

  private write(bytes: string): Promise<void> {
    return new Promise((resolve) => outputOf(this.context).write(bytes, () => resolve()))
  }
}

/** Codes of OpenSSL's and of Node's that are about who the other side is. */
const CERTIFICATE = /CERT|UNABLE_TO_|SELF_SIGNED|HOSTNAME_MISMATCH|ERR_TLS_CERT/

/** As it came, in the order and with the letters it came with. */
function headerText(response: IncomingMessage): string {
  const { rawHeaders, httpVersion, statusCode, statusMessage } = response
  const lines = [`HTTP/${httpVersion} ${statusCode} ${statusMessage}`.trimEnd()]
  for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}
