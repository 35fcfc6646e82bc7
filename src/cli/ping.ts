/** `tapstack ping`: as ping(8) of iputils, from a stack of its own. */
import { type Address, parseAddress } from '../base/address.ts'
import type { Task, TimerHandle } from '../base/clock.ts'
import { NetError, wordsOf } from '../base/errors.ts'
import { Ping, type PingHandler, type PingSettings } from '../icmp/ping.ts'
import { ErrorKind } from '../ip/ip.ts'
import { scopedText } from '../ip/zone.ts'
import { type Command, type Context, integer, seconds, text, UsageError, type Values } from './command.ts'
import { cannotAsk, destinationOf, FAMILY_OPTIONS, hostOf, sourceOf } from './destination.ts'
import { NETWORK_OPTIONS, type Network, openNetwork } from './network.ts'
import { RoundTrips } from './round-trips.ts'

/** ICMP and IP headers: what `56(84) bytes of data` adds. */
const ICMP_BYTES = 8
const IP_BYTES = 20

export const ping: Command = {
  name: 'ping',
  summary: 'send echo requests and show what comes back',
  usage: '[options] HOST',
  about: [
    'Ends after --count requests or with Ctrl-C. Exit code: 0 there were replies, 1 there were none, 2 it could not be done.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    ...FAMILY_OPTIONS,
    count: { type: 'string', short: 'c', value: 'N', text: 'end after N requests (never)' },
    interval: { type: 'string', short: 'i', value: 'SECONDS', text: 'time between requests (1)' },
    size: { type: 'string', short: 's', value: 'BYTES', text: 'payload of a request (56)' },
    timeout: { type: 'string', short: 'W', value: 'SECONDS', text: 'how long the last replies are waited for (10)' },
    ttl: { type: 'string', short: 't', value: 'N', text: 'time to live (64)' },
    source: { type: 'string', short: 'I', value: 'A|NAME', text: 'our address or interface to ask from' },
    pmtudisc: { type: 'string', short: 'M', value: 'do|dont', text: 'do: never fragment (dont)' },
  },
  words: 1,
  examples: [
    ['ping -c 3 10.0.0.1', "the host's side of tap0"],
    ['ping -s 65000 -i 0.2 10.0.0.1', 'large requests, in fragments, five a second'],
    ['ping -6 -l tap://tap0?host=fd00::1/64 -a fd00::2/64 fd00::1', 'over IPv6'],
  ],
  failure: 2,
  async run(context, values, words) {
    const { name, isV4 } = destinationOf('ping', words, values)
    const settings: PingSettings = {
      size: integer(values, 'size', 0, isV4 ? 65507 : 65527, 56),
      ttl: integer(values, 'ttl', 1, 255, 0),
      dontFragment: fragmentation(values),
    }
    const schedule = {
      count: integer(values, 'count', 1, 1e15, Number.POSITIVE_INFINITY),
      intervalMs: seconds(values, 'interval', 0.001, 86_400, 1000),
      timeoutMs: seconds(values, 'timeout', 0.001, 86_400, 10_000),
    }
    const network = await openNetwork(context, values)
    try {
      const { stack } = network
      const all = { ...settings, ...sourceOf(stack, values, 'source') }
      const to = await hostOf(stack, name, values)
      return await new Pinger(context, network, name, to, all, schedule, values.quiet === true).done()
    } finally {
      await network.close()
    }
  },
}

function fragmentation(values: Values): boolean {
  const given = text(values, 'pmtudisc')
  if (given !== undefined && given !== 'do' && given !== 'dont')
    throw new UsageError(`--pmtudisc ${given}: do or dont is expected`)
  return given === 'do'
}

interface Schedule {
  count: number
  intervalMs: number
  timeoutMs: number
}

/** One run: requests on the host's timers, lines as they come, statistics at the end. */
class Pinger implements PingHandler, Task {
  private readonly ping: Ping
  private timer: TimerHandle = null
  private readonly startMs: number
  private dueMs: number
  private readonly size: number
  /** The host as it is shown, and its address. */
  private readonly name: string
  private readonly address: string
  private sent = 0
  private received = 0
  private duplicates = 0
  private errors = 0
  /** Replies and errors that end the wait for a request. */
  private settled = 0
  private readonly roundTrips = new RoundTrips()
  private finish: (code: number) => void = () => undefined
  private fail: (error: unknown) => void = () => undefined

  constructor(
    private readonly context: Context,
    private readonly network: Network,
    word: string,
    private readonly to: Address,
    settings: PingSettings,
    private readonly schedule: Schedule,
    private readonly quiet: boolean,
  ) {
    const { stack } = network
    const { host, random, tellList } = stack
    const icmp = to.isV4 ? stack.icmp : stack.icmp6
    this.address = scopedText(stack.ipLayer, to)
    this.name = parseAddress(word.replace(/%.*$/, '')) === null ? word : this.address
    this.ping = new Ping({ icmp, host, random, tells: tellList, wake: stack.turn.wake }, to, this, settings)
    this.size = settings.size!
    this.startMs = host.ms()
    this.dueMs = this.startMs
  }

  async done(): Promise<number> {
    const { host } = this.network.stack
    const { stop } = this.context
    const onStop = (): void => this.end()
    host.hold()
    try {
      const ended = new Promise<number>((resolve, reject) => {
        this.finish = resolve
        this.fail = reject
      })
      stop.addEventListener('abort', onStop)
      if (stop.aborted) this.end()
      else this.run()
      return await Promise.race([ended, this.network.broken])
    } finally {
      stop.removeEventListener('abort', onStop)
      if (this.timer !== null) host.cancel(this.timer)
      this.ping.close()
      host.release()
    }
  }

  /** The next request is due, or the wait for the last replies is over. */
  run(): void {
    const { count, intervalMs, timeoutMs } = this.schedule
    const { host } = this.network.stack
    this.timer = null
    if (this.sent >= count) {
      this.end()
      return
    }
    try {
      this.request()
    } catch (error) {
      this.fail(error)
      return
    }
    this.dueMs += intervalMs
    if (this.sent < count) {
      // From the first request on, so that delays do not add up; what is late is sent now, not made up for.
      const late = (host.ms() - this.dueMs) | 0
      if (late > 0) this.dueMs += late
      this.timer = host.after(Math.max(0, (this.dueMs - host.ms()) | 0), this)
    } else if (this.settled >= this.sent) this.end()
    else this.timer = host.after(timeoutMs, this)
  }

  private request(): void {
    const { context, name, address, to, size } = this
    const seq = ++this.sent
    let problem: string | null = null
    try {
      if (!this.ping.send(seq)) problem = wordsOf('ENOBUFS')
    } catch (error) {
      if (!(error instanceof NetError)) throw error
      problem = error.code === 'EMSGSIZE' ? `message too long, mtu=${this.network.iface.mtu}` : wordsOf(error.code)
      // Without a way to it there is no use in going on.
      if (seq === 1 && error.code !== 'EMSGSIZE') throw cannotAsk(name, error)
    }
    if (seq === 1)
      context.out(
        to.isV4
          ? `PING ${name} (${address}) ${size}(${size + ICMP_BYTES + IP_BYTES}) bytes of data.`
          : `PING ${name} (${address}) ${size} data bytes`,
      )
    if (problem === null) return
    context.err(`ping: ${name}: ${problem}`)
    this.errors++
    this.settled++
  }

  onReply(seq: number, rttUs: number, ttl: number, bytes: number, from: Address, duplicate: boolean): void {
    if (duplicate) this.duplicates++
    else {
      this.received++
      this.settled++
      this.roundTrips.add(rttUs)
    }
    if (!this.quiet) {
      const time = formatMs(rttUs)
      this.say(
        `${bytes + ICMP_BYTES} bytes from ${this.shown(from)}: icmp_seq=${seq} ttl=${ttl} time=${time} ms${duplicate ? ' (DUP!)' : ''}`,
      )
    }
    this.endIfDone()
  }

  onError(seq: number, code: string, from: Address, kind: number): void {
    this.errors++
    this.settled++
    if (!this.quiet) {
      const words = (this.to.isV4 ? KINDS : KINDS6).get(kind) ?? wordsOf(code)
      this.say(`From ${this.shown(from)} icmp_seq=${seq} ${words}`)
    }
    this.endIfDone()
  }

  private shown(a: Address): string {
    return scopedText(this.network.stack.ipLayer, a)
  }

  private say(line: string): void {
    this.context.out(line)
  }

  private endIfDone(): void {
    if (this.sent >= this.schedule.count && this.settled >= this.sent) this.end()
  }

  private end(): void {
    const { sent, received, duplicates, errors } = this
    const extra = `${duplicates > 0 ? `+${duplicates} duplicates, ` : ''}${errors > 0 ? `+${errors} errors, ` : ''}`
    const loss = sent === 0 ? 0 : Number((((sent - received) / sent) * 100).toPrecision(6))
    const time = Math.round((this.network.stack.host.ms() - this.startMs) | 0)
    this.say('')
    this.say(`--- ${this.name} ping statistics ---`)
    this.say(`${sent} packets transmitted, ${received} received, ${extra}${loss}% packet loss, time ${time}ms`)
    if (received > 0) this.say(this.roundTrips.line('mdev'))
    this.finish(received > 0 ? 0 : 1)
  }
}

/** As iputils: three significant digits below 100 ms. */
function formatMs(us: number): string {
  const digits = us >= 100_000 ? 0 : us >= 10_000 ? 1 : us >= 1000 ? 2 : 3
  return (us / 1000).toFixed(digits)
}

const KINDS: ReadonlyMap<number, string> = new Map([
  [ErrorKind.NET_UNREACHABLE, 'Destination Net Unreachable'],
  [ErrorKind.HOST_UNREACHABLE, 'Destination Host Unreachable'],
  [ErrorKind.PROTOCOL_UNREACHABLE, 'Destination Protocol Unreachable'],
  [ErrorKind.PORT_UNREACHABLE, 'Destination Port Unreachable'],
  [ErrorKind.PROHIBITED, 'Packet filtered'],
  [ErrorKind.PACKET_TOO_BIG, 'Frag needed and DF set'],
  [ErrorKind.TIME_EXCEEDED, 'Time to live exceeded'],
  [ErrorKind.PARAMETER_PROBLEM, 'Parameter problem'],
])

/** As ping(8) of iputils words ICMPv6. */
const KINDS6: ReadonlyMap<number, string> = new Map([
  [ErrorKind.NET_UNREACHABLE, 'Destination unreachable: No route'],
  [ErrorKind.HOST_UNREACHABLE, 'Destination unreachable: Address unreachable'],
  [ErrorKind.PORT_UNREACHABLE, 'Destination unreachable: Port unreachable'],
  [ErrorKind.PROTOCOL_UNREACHABLE, 'Parameter problem: unknown next header'],
  [ErrorKind.PROHIBITED, 'Destination unreachable: Administratively prohibited'],
  [ErrorKind.BEYOND_SCOPE, 'Destination unreachable: Beyond scope of source address'],
  [ErrorKind.PACKET_TOO_BIG, 'Packet too big'],
  [ErrorKind.TIME_EXCEEDED, 'Time exceeded: Hop limit'],
  [ErrorKind.PARAMETER_PROBLEM, 'Parameter problem'],
])
