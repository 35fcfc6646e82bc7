/**
 * `tapstack arping`: who has an address on the link, or whether a MAC address is there. It looks as Thomas Habets's arping does; -D, -U and -A (whether an
 * address is free, and telling the neighbours of ours) mean and print what they do in iputils' arping.
 *
 * Theory of operation. Frames are made here and sent by the link itself, answers are seen on their way to the stack, which meanwhile answers ARP for our own
 * address: a host that is pinged by its MAC address may want to know where its answer is to go.
 */
import { type Address, formatIPv4, parseAddress } from '../base/address.ts'
import type { Task, TimerHandle } from '../base/clock.ts'
import { NetError, wordsOf } from '../base/errors.ts'
import { BROADCAST_MAC, formatMac, parseMac } from '../ethernet/mac.ts'
import { LinkAround } from '../netif/around.ts'
import { HEADROOM, type NetIf } from '../netif/netif.ts'
import { arpFrame, type EchoWords, EVERYBODY, echoFrame, heardArp, heardEcho, NOBODY } from './arping-wire.ts'
import { type Command, type Context, integer, seconds, text, UsageError, type Values } from './command.ts'
import { destinationOf, FAMILY_OPTIONS, hostOf } from './destination.ts'
import { NETWORK_OPTIONS, type Network, openNetwork } from './network.ts'
import { RoundTrips } from './round-trips.ts'

/** RFC 5227 section 1.1: PROBE_NUM. */
const PROBES = 3
const MAC = /^[\da-f]{1,2}([:-][\da-f]{1,2}){5}$/i

export const arping: Command = {
  name: 'arping',
  summary: 'ask who has an address on the link, or ping a MAC address',
  usage: '[options] HOST|MAC',
  about: [
    'Ends after --count requests, after --deadline or with Ctrl-C. Exit code: 0 there were answers, 1 there were none, 2 it could not be done;',
    'with -D: 0 the address is free, 1 somebody has it; with -U and -A: 0.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    count: { type: 'string', short: 'c', value: 'N', text: `end after N requests (never; ${PROBES} with -D)` },
    deadline: { type: 'string', short: 'w', value: 'SECONDS', text: 'end after this time (never)' },
    interval: { type: 'string', short: 'i', value: 'SECONDS', text: 'time between requests (1)' },
    wait: {
      type: 'string',
      short: 'W',
      value: 'SECONDS',
      text: "the same as --interval, which has this letter in Habets's arping",
    },
    first: { type: 'boolean', short: 'f', text: 'end with the first answer' },
    duplicates: { type: 'boolean', short: 'd', text: 'exit code 1 when two MAC addresses answer' },
    raw: { type: 'boolean', short: 'r', text: 'only the MAC address of each answer; of a pinged MAC, the IP address' },
    probe: {
      type: 'boolean',
      short: 'D',
      text: 'is the address free? (RFC 5227: asked from 0.0.0.0, ends with the first answer)',
    },
    unsolicited: { type: 'boolean', short: 'U', text: 'tell the neighbours that our address is here, by requests' },
    answer: { type: 'boolean', short: 'A', text: 'tell them by replies' },
    source: { type: 'string', short: 's', value: 'A', text: 'address to ask from (ours)' },
    zero: { type: 'boolean', short: '0', text: 'ask from 0.0.0.0: we need no address of our own' },
    target: { type: 'string', short: 'T', value: 'A', text: 'address that a pinged MAC is asked for (255.255.255.255)' },
    dns: FAMILY_OPTIONS.dns,
  },
  words: 1,
  examples: [
    ['arping -c 3 10.0.0.1', "the MAC address of the host's side of tap0"],
    ['arping -c 3 04:EA:43:01:96:09', 'is that MAC address there? (examples/ore_arping.ts answers)'],
    ['arping -D 10.0.0.50', 'is it free? before an address is taken'],
    ['arping -U -c 2 -a 10.0.0.2/24 10.0.0.2', 'the neighbours learn anew where 10.0.0.2 is'],
  ],
  failure: 2,
  run: startArping,
}

type Kind = 'ping' | 'probe' | 'unsolicited' | 'answer'

function kindOf(values: Values): Kind {
  const given = (['probe', 'unsolicited', 'answer'] as const).filter((kind) => values[kind] === true)
  if (given.length > 1) throw new UsageError('-D, -U and -A: one of them is expected')
  return given[0] ?? 'ping'
}

function word(values: Values, option: string): number | null {
  const given = text(values, option)
  if (given === undefined) return null
  const a = parseAddress(given)
  if (a === null || !a.isV4) throw new UsageError(`--${option} ${given}: an IPv4 address is expected`)
  return a.w3
}

async function startArping(context: Context, values: Values, words: readonly string[]): Promise<number> {
  const kind = kindOf(values)
  const [given] = words
  const isMac = given !== undefined && MAC.test(given)
  if (isMac && kind !== 'ping') throw new UsageError(`${given}: -D, -U and -A are for IP addresses`)
  if (!isMac && !destinationOf('arping', words, values).isV4)
    throw new UsageError(`${given}: IPv6 has no ARP: tapstack ping -6 asks for neighbours`)
  const interval = values.interval === undefined && values.wait !== undefined ? 'wait' : 'interval'
  const schedule = {
    count: integer(values, 'count', 1, 1e15, kind === 'probe' ? PROBES : Number.POSITIVE_INFINITY),
    intervalMs: seconds(values, interval, 0.001, 86_400, 1000),
    deadlineMs: seconds(values, 'deadline', 0.001, 1e6, 0),
  }
  if (values.zero === true && values.source !== undefined) throw new UsageError('-0 and --source: one of them is expected')
  const source = values.zero === true ? NOBODY : word(values, 'source')
  const target = word(values, 'target')
  if (target !== null && !isMac) throw new UsageError('--target is for a MAC address')

  const ear: { link: Ear | null } = { link: null }
  const around = (link: NetIf): NetIf => {
    ear.link = new Ear(link)
    return ear.link
  }
  const network = await openNetwork(context, values, { around, bare: kind === 'probe' || values.zero === true })
  try {
    if (network.iface.iface.mac === null)
      throw new NetError('EOPNOTSUPP', { message: `${network.link.name} is no Ethernet: there is no ARP on it` })
    const address = isMac ? null : await hostOf(network.stack, given, { ...values, ipv4: true })
    if ((kind === 'unsolicited' || kind === 'answer') && !network.stack.ipLayer.isLocal(address!))
      throw new UsageError(`${address} is no address of this stack: give it by --address`)
    const from = source ?? (kind === 'ping' ? sourceFor(network, address) : kind === 'probe' ? NOBODY : address!.w3)
    const asked = { name: address === null ? given : `${address}`, address, mac: isMac ? parseMac(given) : null, from, target }
    const manner = {
      kind,
      quiet: values.quiet === true,
      raw: values.raw === true,
      first: values.first === true || kind === 'probe',
      duplicates: values.duplicates === true,
    }
    return await new Arping(context, network, ear.link!, asked, manner, schedule).done()
  } finally {
    await network.close()
  }
}

/** Our address on the target's network, else our first, else 0.0.0.0. */
function sourceFor({ iface }: Network, target: Address | null): number {
  const own = iface.iface.addresses.filter((a) => a.address.isV4)
  const near = target === null ? undefined : own.find((a) => a.prefix.contains(target))
  return (near ?? own[0])?.address.w3 ?? NOBODY
}

/** Hears what comes in before the stack does. */
class Ear extends LinkAround {
  hear: ((buf: Uint8Array, start: number, end: number) => void) | null = null

  override input(buf: Uint8Array, start: number, end: number, meta: number): void {
    this.hear?.(buf, start, end)
    super.input(buf, start, end, meta)
  }
}

interface Asked {
  /** As it is shown. */
  name: string
  /** The IP address that is asked for; null: `mac` is. */
  address: Address | null
  mac: Uint8Array | null
  from: number
  target: number | null
}

interface Manner {
  kind: Kind
  quiet: boolean
  raw: boolean
  first: boolean
  duplicates: boolean
}

interface Schedule {
  count: number
  intervalMs: number
  deadlineMs: number
}

class Arping implements Task {
  private timer: TimerHandle = null
  private deadline: TimerHandle = null
  private sent = 0
  private received = 0
  /** Answers since the last request. */
  private answers = 0
  private sentUs = 0
  private readonly roundTrips = new RoundTrips()
  private readonly macs = new Set<string>()
  private readonly ownMac: Uint8Array
  private readonly echo: EchoWords | null
  private finish: (code: number) => void = () => undefined
  private ended = false

  constructor(
    private readonly context: Context,
    private readonly network: Network,
    private readonly ear: Ear,
    private readonly asked: Asked,
    private readonly manner: Manner,
    private readonly schedule: Schedule,
  ) {
    const { random } = network.stack
    this.ownMac = network.iface.iface.mac!
    const { mac, from, target } = asked
    this.echo =
      mac === null
        ? null
        : {
            mac: this.ownMac,
            to: mac,
            source: from,
            destination: target ?? EVERYBODY,
            id: random.int32() & 0xffff,
            seq: 0,
            mark: random.int32(),
          }
  }

  async done(): Promise<number> {
    const { host } = this.network.stack
    const { context, asked, schedule } = this
    const onStop = (): void => this.end()
    try {
      const ended = new Promise<number>((resolve) => {
        this.finish = resolve
      })
      context.stop.addEventListener('abort', onStop)
      const from = this.isPing ? '' : ` from ${formatIPv4(asked.from)} ${this.network.iface.name}`
      if (!this.manner.raw) this.say(`ARPING ${asked.name}${from}`)
      this.ear.hear = (buf, start, end) => this.hear(buf, start, end)
      if (schedule.deadlineMs > 0) this.deadline = host.after(schedule.deadlineMs, { run: () => this.end() })
      if (context.stop.aborted) this.end()
      else this.run()
      return await Promise.race([ended, this.network.broken])
    } finally {
      context.stop.removeEventListener('abort', onStop)
      this.ear.hear = null
      if (this.timer !== null) host.cancel(this.timer)
      if (this.deadline !== null) host.cancel(this.deadline)
    }
  }

  private get isPing(): boolean {
    return this.manner.kind === 'ping'
  }

  /** The interval is over, or has not begun. */
  run(): void {
    const { host } = this.network.stack
    this.timer = null
    if (this.sent > 0 && this.answers === 0 && this.isPing && !this.manner.raw) this.say('Timeout')
    if (this.sent >= this.schedule.count) {
      this.end()
      return
    }
    this.request()
    this.timer = host.after(this.schedule.intervalMs, this)
  }

  private request(): void {
    const { asked, ownMac, echo } = this
    this.answers = 0
    if (echo !== null) echo.seq = this.sent & 0xffff
    const buf =
      echo !== null
        ? echoFrame(echo)
        : arpFrame({
            mac: ownMac,
            sender: asked.from,
            target: asked.address!.w3,
            to: BROADCAST_MAC,
            isReply: this.manner.kind === 'answer',
          })
    this.sent++
    this.sentUs = this.network.stack.host.us()
    if (!this.ear.send(buf, HEADROOM, buf.length, 0)) this.context.err(`arping: ${asked.name}: ${wordsOf('ENOBUFS')}`)
    this.ear.flush()
  }

  private hear(buf: Uint8Array, start: number, end: number): void {
    if (this.ended) return
    if (this.echo !== null) {
      const heard = heardEcho(buf, start, end, this.echo)
      if (heard !== null) this.pong(heard.mac, formatIPv4(heard.from), `icmp_seq=${heard.seq}`, heard.bytes)
      return
    }
    const heard = heardArp(buf, start, end)
    if (heard === null || heard.sender !== this.asked.address!.w3) return
    if (this.isPing) {
      if (heard.isReply) this.pong(heard.mac, formatIPv4(heard.sender), `index=${this.received}`, heard.bytes)
      return
    }
    // Whoever says anything as the address has it (RFC 5227 section 2.1.1).
    if (this.manner.kind !== 'probe' && !heard.isReply) return
    this.count(heard.mac)
    const how = `${heard.isUnicast ? 'Unicast' : 'Broadcast'} ${heard.isReply ? 'reply' : 'request'}`
    this.say(
      `${how} from ${formatIPv4(heard.sender)} [${formatMac(heard.mac).toUpperCase()}]  ${(this.elapsed() / 1000).toFixed(3)}ms`,
    )
    if (this.manner.first) this.end()
  }

  private pong(mac: Uint8Array, from: string, index: string, bytes: number): void {
    const us = this.elapsed()
    this.count(mac)
    this.roundTrips.add(us)
    const who = formatMac(mac)
    if (this.manner.raw) this.say(this.echo === null ? who : from)
    else this.say(`${bytes} bytes from ${who} (${from}): ${index} time=${time(us)}`)
    // Nothing more is to come: a second owner of the address is what -d waits for.
    if (this.manner.first || (this.sent >= this.schedule.count && !this.manner.duplicates)) this.end()
  }

  private count(mac: Uint8Array): void {
    this.macs.add(formatMac(mac))
    this.received++
    this.answers++
  }

  private elapsed(): number {
    return (this.network.stack.host.us() - this.sentUs) | 0
  }

  private say(line: string): void {
    if (!this.manner.quiet) this.context.out(line)
  }

  private end(): void {
    if (this.ended) return
    this.ended = true
    const { sent, received, manner } = this
    if (!this.isPing) {
      this.say(`Sent ${sent} probes (${sent} broadcast(s))`)
      this.say(`Received ${received} response(s)`)
      this.finish(manner.kind === 'probe' && received > 0 ? 1 : 0)
      return
    }
    if (!manner.raw) this.statistics()
    this.finish(received === 0 || (manner.duplicates && this.macs.size > 1) ? 1 : 0)
  }

  private statistics(): void {
    const { sent, received } = this
    const unanswered = sent === 0 ? 0 : Math.max(0, Math.round(100 - (100 * received) / sent))
    this.say('')
    this.say(`--- ${this.asked.name} statistics ---`)
    this.say(
      `${sent} packets transmitted, ${received} packets received, ${String(unanswered).padStart(3)}% unanswered (${Math.max(0, received - sent)} extra)`,
    )
    if (received > 0) this.say(this.roundTrips.line('std-dev'))
  }
}

/** As Habets's arping: `11.226 usec`, `1.207 msec`, `1.001 sec`. */
function time(us: number): string {
  if (us < 1000) return `${us.toFixed(3)} usec`
  return us < 1_000_000 ? `${(us / 1000).toFixed(3)} msec` : `${(us / 1e6).toFixed(3)} sec`
}
