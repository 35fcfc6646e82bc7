/**
 * `tapstack bench`: a few seconds' look at speed, in memory or over a link to a host that has discard, chargen and echo (`tapstack inetd` has them). For
 * figures that are to be compared, docs/performance.md has the whole of it.
 */
import { arch, cpus } from 'node:os'
import { parseAddress } from '../base/address.ts'
import { createPipe } from '../link/pipe.ts'
import { startServices } from '../services/inetd.ts'
import { Stack } from '../stack/stack.ts'
import { BenchClient, type Measured, type Measurement } from './bench-client.ts'
import { type Command, type Context, seconds, text, texts, UsageError, type Values } from './command.ts'
import { destinationOf, FAMILY_OPTIONS, hostOf } from './destination.ts'
import { NETWORK_OPTIONS, openNetwork } from './network.ts'
import { unlessEnded } from './node-network.ts'

const ALL: readonly Measurement[] = ['send', 'receive', 'rr', 'connect']
/** The longest that is not measured: until then code is compiled and windows are open. */
const WARM_MS = 300

const LABELS: Readonly<Record<Measurement, string>> = {
  send: 'bytes sent',
  receive: 'bytes received',
  rr: '1-byte round trips',
  connect: 'connections (open, 1 byte, reset)',
}

export const bench: Command = {
  name: 'bench',
  summary: 'measure throughput, round trips and connections for a few seconds',
  usage: '[options] [HOST]',
  about: [
    'Without HOST two stacks in this process are measured. HOST needs discard, chargen and echo over TCP: tapstack inetd has them, and so have inetd and xinetd.',
    'A look, not a figure: it says what else is in its numbers. Exit code: 0, or 1 when it could not be done.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    ...FAMILY_OPTIONS,
    time: { type: 'string', short: 't', value: 'SECONDS', text: 'how long each of them is measured (1)' },
    only: {
      type: 'string',
      short: 'o',
      multiple: true,
      value: 'WHAT',
      text: 'send, receive, rr or connect, repeatable (all four)',
    },
    json: { type: 'boolean', text: 'numbers for programs' },
  },
  words: 1,
  examples: [
    ['bench', 'two stacks in memory'],
    ['bench -t 3 --only send -a 10.0.0.9/24 10.0.0.2', 'to a tapstack inetd at the other end of the link'],
  ],
  failure: 1,
  run: startBench,
}

interface Row {
  name: string
  what: Measurement
  measured: Measured
}

async function startBench(context: Context, values: Values, words: readonly string[]): Promise<number> {
  const ms = seconds(values, 'time', 0.001, 3600, 1000)
  const given = texts(values, 'only')
  for (const one of given)
    if (!(ALL as readonly string[]).includes(one)) throw new UsageError(`--only ${one}: send, receive, rr or connect is expected`)
  const only = given.length === 0 ? ALL : ALL.filter((one) => given.includes(one))
  if (words.length > 0) destinationOf('bench', words, values)
  else if (text(values, 'link') !== undefined) throw new UsageError('--link is for a HOST: tapstack bench --link URL 10.0.0.1')
  const rows = words.length > 0 ? await overLink(context, values, words[0], only, ms) : await inMemory(context, only, ms)
  if (values.json === true)
    context.out(JSON.stringify(Object.fromEntries(rows.map((row) => [`${row.name} ${row.what}`, numbersOf(row)]))))
  else for (const line of table(rows)) context.out(line)
  const about = words.length > 0 ? CAVEATS_LINK : CAVEATS_MEMORY
  if (values.json !== true && values.quiet !== true) for (const line of [...about, machine()]) context.out(line)
  return 0
}

const CAVEATS_MEMORY = [
  'Both stacks, client and server, share one thread: a host that does one side only has about twice as much.',
  'No wire, no kernel, no system call is in it. "offload" passes segments of up to 64 KB, as a tap does; "MTU 1500" makes and checks each packet.',
]
const CAVEATS_LINK = [
  'The other host, its services and what is between are in these numbers as much as this stack.',
  'One connection at a time; what is sent counts when it was acknowledged.',
]

function machine(): string {
  const [cpu] = cpus()
  return `${cpu === undefined ? arch() : cpu.model.trim()}, ${process.platform}, Node ${process.version}; the machine's other work counts, too.`
}

async function overLink(
  context: Context,
  values: Values,
  name: string,
  only: readonly Measurement[],
  ms: number,
): Promise<Row[]> {
  const network = await openNetwork(context, values)
  try {
    const client = new BenchClient(network.stack, await hostOf(network.stack, name, values))
    const rows: Row[] = []
    for (const what of only) {
      context.progress?.(`${what}, ${rows.length + 1} of ${only.length}`)
      rows.push({
        name: network.link.name,
        what,
        measured: await unlessEnded(context, network, client.measure(what, warm(ms), ms)),
      })
    }
    return rows
  } finally {
    context.progress?.('')
    await network.close()
  }
}

const warm = (ms: number): number => Math.min(WARM_MS, ms)

/** Nothing can become of a pipe. */
const UNBROKEN = { broken: new Promise<never>(() => undefined) }

async function inMemory(context: Context, only: readonly Measurement[], ms: number): Promise<Row[]> {
  const rows: Row[] = []
  const { host } = context.platform
  host.hold() // what is measured has no sockets that would
  try {
    for (const offload of [true, false]) {
      const [a, b] = createPipe({ offload })
      const [client, server] = [new Stack(context.platform, { name: 'client' }), new Stack(context.platform, { name: 'server' })]
      client.attach(a, { addresses: ['10.0.0.1/24'] })
      server.attach(b, { addresses: ['10.0.0.2/24'] })
      const services = startServices(server, { names: ['echo', 'discard', 'chargen'] })
      try {
        const measuring = new BenchClient(client, parseAddress('10.0.0.2')!)
        // Round trips and connections have no large segments that an offload could be of use to.
        const some = only.filter((what) => offload || what === 'send' || what === 'receive')
        for (const what of some) {
          context.progress?.(`${what}, ${offload ? 'offload' : 'MTU 1500'}`)
          rows.push({
            name: offload ? 'offload' : 'MTU 1500',
            what,
            measured: await unlessEnded(context, UNBROKEN, measuring.measure(what, warm(ms), ms)),
          })
        }
      } finally {
        services.close()
        await Promise.all([client.close(), server.close()])
      }
    }
    return rows
  } finally {
    context.progress?.('')
    host.release()
  }
}

function numbersOf({ what, measured: { count, us, each } }: Row): Record<string, number> {
  const perSecond = us <= 0 ? 0 : (count * 1e6) / us
  if (what === 'send' || what === 'receive') return { bytes: count, us, bitsPerSecond: Math.round(perSecond * 8) }
  return { count, us, perSecond: Math.round(perSecond), p50us: quantile(each, 0.5), p99us: quantile(each, 0.99) }
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
}

function table(rows: readonly Row[]): string[] {
  return rows.map((row) => {
    const n = numbersOf(row)
    const rate = n.bitsPerSecond === undefined ? `${n.perSecond.toLocaleString('en')}/s` : bits(n.bitsPerSecond)
    const each = n.p50us === undefined ? '' : `  median ${n.p50us} us, 99 % below ${n.p99us} us`
    return `${`${LABELS[row.what]}, ${row.name}`.padEnd(44)} ${rate.padStart(14)}${each}`
  })
}

/** Three digits: `9.81 Gbit/s`. */
function bits(perSecond: number): string {
  const [unit, value] = perSecond >= 1e9 ? ['Gbit/s', perSecond / 1e9] : ['Mbit/s', perSecond / 1e6]
  return `${value.toPrecision(Math.max(3, Math.floor(Math.log10(Math.max(1, value))) + 1))} ${unit}`
}
