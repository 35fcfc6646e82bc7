/**
 * `tapstack nc`: standard input and output on a connection of the stack's, as OpenBSD's nc(1), which Debian has, does it: what it says, its options and its exit codes.
 * What becomes of the bytes is in nc-relay.ts.
 */
import type { Socket as NetSocket } from 'node:net'
import { wordsOf } from '../base/errors.ts'
import type { Place } from '../node/place.ts'
import { serviceName } from '../node/service-names.ts'
import { type Command, type Context, Interrupted, integer, seconds, text, UsageError, type Values } from './command.ts'
import { destinationOf, FAMILY_OPTIONS, hostOf, resolved } from './destination.ts'
import { relayDatagrams, relayStream } from './nc-relay.ts'
import { NETWORK_OPTIONS } from './network.ts'
import { allSaid, forData, inputOf, type NodeNetwork, openNodeNetwork, outputOf, unlessEnded } from './node-network.ts'

/** How long a port is waited on for the word that nobody is there, by UDP. */
const UDP_SCAN_MS = 1000

export const nc: Command = {
  name: 'nc',
  summary: 'standard input and output over TCP or UDP: connect, listen, look for open ports',
  usage: '[options] HOST PORT... | -l [options] [HOST] PORT',
  about: [
    'What comes by standard input is sent, what is received goes to standard output; all else that is said goes to standard error. It ends when both',
    'directions have ended. Exit code: 0, or 1 when there was no connection (-z: when no port was open); 130 with Ctrl-C.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    link: { ...NETWORK_OPTIONS.link, short: undefined },
    verbose: { ...NETWORK_OPTIONS.verbose, short: undefined },
    ...FAMILY_OPTIONS,
    listen: { type: 'boolean', short: 'l', text: 'listen for a connection instead of opening one' },
    keep: { type: 'boolean', short: 'k', text: 'with -l: listen on after each connection; with -u: hear everybody' },
    udp: { type: 'boolean', short: 'u', text: 'UDP instead of TCP' },
    say: { type: 'boolean', short: 'v', text: 'say what is connected' },
    timeout: {
      type: 'string',
      short: 'w',
      value: 'SECONDS',
      text: 'give up connecting, and end when nothing happens, after this time (never)',
    },
    shutdown: { type: 'boolean', short: 'N', text: 'end our direction of the connection when standard input ends' },
    scan: { type: 'boolean', short: 'z', text: 'only see which ports are open: several, and ranges as in 20-30' },
    port: { type: 'string', short: 'p', value: 'N', text: 'our port' },
    source: { type: 'string', short: 's', value: 'A', text: 'our address' },
    detach: { type: 'boolean', short: 'd', text: 'do not read standard input' },
  },
  words: 1000,
  examples: [
    ['nc 10.0.0.1 7', 'talk to a service'],
    ['nc -N 10.0.0.1 5000', 'send what standard input has, and receive the answer'],
    ['nc -l 5000', 'receive one connection; on the host: nc -N 10.0.0.2 5000 < file'],
    ['nc -zv -w 2 10.0.0.1 20-25 80', 'which of these ports are open?'],
    ['nc -u -w 1 10.0.0.1 7', 'by UDP, until nothing comes for a second'],
  ],
  failure: 1,
  run: startNc,
}

async function startNc(context: Context, values: Values, words: readonly string[]): Promise<number> {
  const settings = settingsOf(values)
  if (values.listen === true) {
    const { port, host } = listenAt(values, words)
    return within(context, values, (network) => new Nc(forData(context), network, values, settings).listen(host, port))
  }
  if (values.keep === true) throw new UsageError('-k is for -l')
  const [name, ...given] = words
  destinationOf('nc', words, values)
  if (given.length === 0) throw new UsageError('a port is missing: tapstack nc 10.0.0.1 7')
  const ports = portsOf(given)
  return within(context, values, (network) => new Nc(forData(context), network, values, settings).connect(name, ports))
}

async function within(context: Context, values: Values, work: (network: NodeNetwork) => Promise<number>): Promise<number> {
  const network = await openNodeNetwork(forData(context), values)
  try {
    const code = await unlessEnded(context, network, work(network))
    await unlessEnded(context, network, allSaid(network))
    return code
  } finally {
    await network.close()
  }
}

interface Settings {
  udp: boolean
  say: boolean
  scan: boolean
  keep: boolean
  shutdown: boolean
  timeoutMs: number
  port: number
}

function settingsOf(values: Values): Settings {
  if (values.listen === true && values.scan === true) throw new UsageError('-l and -z: one of them is expected')
  return {
    udp: values.udp === true,
    say: values.say === true,
    scan: values.scan === true,
    keep: values.keep === true,
    shutdown: values.shutdown === true,
    timeoutMs: seconds(values, 'timeout', 0.001, 1e6, 0),
    port: integer(values, 'port', 1, 65535, 0),
  }
}

/** `-l 5000`, `-l 10.0.0.2 5000`, `-l -p 5000`, `-l -s 10.0.0.2 -p 5000`. */
function listenAt(values: Values, words: readonly string[]): { host: string | undefined; port: number } {
  if (words.length > 2) throw new UsageError(`unexpected ${JSON.stringify(words[2])}`)
  const [last, before] = [words.at(-1), words.at(-2)]
  const host = before ?? text(values, 'source')
  if (last === undefined) {
    const port = integer(values, 'port', 1, 65535, 0)
    if (port === 0) throw new UsageError('a port is missing: tapstack nc -l 5000')
    return { host, port }
  }
  if (values.port !== undefined) throw new UsageError(`-p ${values.port} and ${last}: one port is expected`)
  return { host, port: integer({ PORT: last }, 'PORT', 1, 65535, 0) }
}

/** `7`, `20-30`. */
function portsOf(words: readonly string[]): number[] {
  return words.flatMap((word) => {
    const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word) ?? []
    const [first, last] = [Number(from), Number(to)]
    if (!(first >= 1 && last <= 65535 && first <= last)) throw new UsageError(`${word}: a port or a range of ports is expected`)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}

class Nc {
  constructor(
    private readonly context: Context,
    private readonly network: NodeNetwork,
    private readonly values: Values,
    private readonly settings: Settings,
  ) {}

  async connect(name: string, ports: readonly number[]): Promise<number> {
    const { context, network, settings } = this
    const { stack } = network
    const host = stack.addressText(await hostOf(stack, name, this.values))
    const kind = settings.udp ? 'udp' : 'tcp'
    const shown = name === host ? name : `${name} (${host})`
    let opened = 0
    for (const [i, port] of ports.entries()) {
      if (ports.length > 8) context.progress?.(`port ${port}, ${i} of ${ports.length}, ${opened} open`)
      if (context.stop.aborted) throw new Interrupted('interrupted')
      try {
        await (settings.udp ? this.datagrams(host, port, shown) : this.stream(host, port, shown))
        opened++
      } catch (error) {
        if (!(error instanceof NoConnection)) throw error
        if (settings.say || !settings.scan) context.err(`nc: connect to ${shown} port ${port} (${kind}) failed: ${error.message}`)
      }
    }
    if (ports.length > 8) context.progress?.('')
    return opened > 0 ? 0 : 1
  }

  private connected(shown: string, port: number): void {
    const { udp, say, scan } = this.settings
    const kind = udp ? 'udp' : 'tcp'
    const name = serviceName(port)
    const service = name === String(port) ? '*' : name
    // As nc has it, -z speaks of what it found without -v.
    if (say || scan) this.context.err(`Connection to ${shown} ${port} port [${kind}/${service}] succeeded!`)
  }

  private async stream(host: string, port: number, shown: string): Promise<void> {
    const { stack } = this.network
    const { timeoutMs, scan, port: localPort } = this.settings
    const localAddress = text(this.values, 'source')
    const socket = stack.net.connect({ host, port, localAddress, localPort: localPort || undefined, allowHalfOpen: true })
    await new Promise<void>((resolve, reject) => {
      const timer = timeoutMs === 0 ? null : stack.host.after(timeoutMs, { run: () => failed({ code: 'ETIMEDOUT' }) })
      const failed = (error: { code?: string; message?: string }): void => {
        if (timer !== null) stack.host.cancel(timer)
        socket.destroy()
        reject(noConnection(error))
      }
      socket.once('error', failed)
      socket.once('connect', () => {
        if (timer !== null) stack.host.cancel(timer)
        socket.off('error', failed)
        resolve()
      })
    })
    this.connected(shown, port)
    if (scan) {
      // As nc does: what the other side hears is an orderly end.
      socket.on('error', () => undefined)
      socket.end().destroySoon()
      return
    }
    await this.relay(socket as unknown as NetSocket)
  }

  private relay(socket: NetSocket, serves = false): Promise<void> {
    const { shutdown, timeoutMs } = this.settings
    const input = this.values.detach === true ? null : inputOf(this.context)
    return relayStream(socket, input, outputOf(this.context), { shutdown, timeoutMs: serves ? 0 : timeoutMs, serves })
  }

  private async datagrams(host: string, port: number, shown: string): Promise<void> {
    const { stack } = this.network
    const { scan, timeoutMs, port: localPort } = this.settings
    const isSix = host.includes(':')
    const socket = stack.dgram.createSocket(isSix ? 'udp6' : 'udp4')
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', (error) => reject(noConnection(error)))
        socket.bind({ port: localPort, address: text(this.values, 'source') }, () => socket.connect(port, host, resolve))
      })
      if (scan) await this.probe(socket)
      this.connected(shown, port)
      if (scan) return
      const input = this.values.detach === true ? null : inputOf(this.context)
      await relayDatagrams(socket, input, outputOf(this.context), { host: stack.host, timeoutMs, peer: null })
    } finally {
      socket.close()
    }
  }

  /** A port of UDP is closed when its host says so; one that is silent may be open. */
  private probe(socket: ReturnType<NodeNetwork['stack']['dgram']['createSocket']>): Promise<void> {
    const { host } = this.network.stack
    return new Promise((resolve, reject) => {
      const timer = host.after(this.settings.timeoutMs || UDP_SCAN_MS, { run: resolve })
      const refused = (error: Error): void => {
        host.cancel(timer)
        reject(noConnection(error))
      }
      socket.removeAllListeners('error').once('error', refused)
      socket.send('X', (error: Error | null) => error !== null && refused(error))
    })
  }

  async listen(given: string | undefined, port: number): Promise<number> {
    const { stack } = this.network
    // Checked before, so that what is wrong with it is told as of the command line.
    const host = given === undefined ? undefined : stack.addressText(resolved(stack, given))
    return this.settings.udp ? this.listenUdp(host, port) : this.listenTcp(host, port)
  }

  private async listenTcp(given: string | undefined, port: number): Promise<number> {
    const { stack } = this.network
    const { keep } = this.settings
    const host = given ?? (this.values.ipv4 === true ? '0.0.0.0' : undefined)
    const server = stack.net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
    const accepted: NetSocket[] = []
    let wake: () => void = () => undefined
    server.on('connection', (socket: unknown) => {
      accepted.push(socket as NetSocket)
      // One at a time: others wait their turn, and without -k there is no other.
      if (!keep) server.close()
      wake()
    })
    const failed = new Promise<never>((_, reject) => server.once('error', reject))
    failed.catch(() => undefined)
    const bound = new Promise<void>((resolve) =>
      server.listen({ port, host, ipv6Only: this.values.ipv6 === true, exclusive: true, backlog: keep ? 128 : 1 }, resolve),
    )
    await Promise.race([bound, failed])
    this.say(`Listening on ${host ?? (stack.hasIpv6 ? '::' : '0.0.0.0')} ${port}`)
    try {
      do {
        while (accepted.length === 0) {
          const came = new Promise<void>((resolve) => {
            wake = resolve
          })
          await Promise.race([came, failed])
        }
        const socket = accepted.shift()!
        this.say(`Connection received on ${plain(socket.remoteAddress)} ${socket.remotePort}`)
        await this.relay(socket, true)
      } while (keep)
      return 0
    } finally {
      server.close()
      for (const socket of accepted) socket.destroy()
    }
  }

  private async listenUdp(given: string | undefined, port: number): Promise<number> {
    const { stack } = this.network
    const { keep } = this.settings
    const isSix = given === undefined ? this.values.ipv4 !== true && stack.hasIpv6 : given.includes(':')
    const socket = stack.dgram.createSocket({ type: isSix ? 'udp6' : 'udp4', ipv6Only: this.values.ipv6 === true })
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        socket.bind({ port, address: given }, () => {
          socket.off('error', reject)
          resolve()
        })
      })
      this.say(`Bound on ${given ?? (isSix ? '::' : '0.0.0.0')} ${port}`)
      // Without -k the first who says something is whom we talk to.
      const input = this.values.detach === true || keep ? null : inputOf(this.context)
      const peer = (from: Place): void => this.say(`Connection received on ${plain(from.address)} ${from.port}`)
      await relayDatagrams(socket, input, outputOf(this.context), { host: stack.host, timeoutMs: 0, peer: { keep, first: peer } })
      return 0
    } finally {
      socket.close()
    }
  }

  private say(line: string): void {
    if (this.settings.say) this.context.err(line)
  }
}

/** There is no connection, and why. */
class NoConnection extends Error {}

function noConnection(error: { code?: string; message?: string }): NoConnection {
  return new NoConnection(error.code === undefined ? error.message : wordsOf(error.code))
}

/** `::ffff:10.0.0.1` is 10.0.0.1. */
function plain(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:(?=\d+\.)/, '')
}
