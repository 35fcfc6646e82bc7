/** `tapstack traceroute`: as traceroute(8) of Linux with -n, from a stack of its own. */
import type { TracerouteAnswer, TracerouteHop, TracerouteOptions } from '../probe/traceroute.ts'
import { type Command, integer, seconds, UsageError, type Values } from './command.ts'
import { cannotAsk, destinationOf, FAMILY_OPTIONS, hostOf, sourceOf } from './destination.ts'
import { NETWORK_OPTIONS, openNetwork } from './network.ts'

export const traceroute: Command = {
  name: 'traceroute',
  summary: 'show the routers on the way to a host',
  usage: '[options] HOST [BYTES]',
  about: ['Probes by UDP unless told otherwise. BYTES is the length of a probe. Exit code: 0, or 2 when it could not be done.'],
  options: {
    ...NETWORK_OPTIONS,
    ...FAMILY_OPTIONS,
    quiet: { type: 'boolean', text: 'say only what is asked for' },
    icmp: { type: 'boolean', short: 'I', text: 'by echo requests' },
    tcp: { type: 'boolean', short: 'T', text: 'by SYNs: no connection comes of it' },
    udp: { type: 'boolean', short: 'U', text: 'by UDP datagrams (so it is)' },
    first: { type: 'string', short: 'f', value: 'N', text: 'the hop to begin with (1)' },
    'max-hops': { type: 'string', short: 'm', value: 'N', text: 'hops after which it is given up (30)' },
    queries: { type: 'string', short: 'q', value: 'N', text: 'probes for each hop (3)' },
    'sim-queries': { type: 'string', short: 'N', value: 'N', text: 'probes under way at once (16)' },
    port: { type: 'string', short: 'p', value: 'N', text: 'port: of the first UDP probe (33434), of all SYNs (80)' },
    wait: { type: 'string', short: 'w', value: 'SECONDS', text: 'how long an answer is waited for at most (5)' },
    source: { type: 'string', short: 's', value: 'A|NAME', text: 'our address or interface to ask from' },
    'dont-fragment': { type: 'boolean', short: 'F', text: 'probes must not be fragmented' },
  },
  words: 2,
  examples: [
    ['traceroute -g 10.0.0.1 10.0.0.1', "the host's side of tap0, one hop away"],
    ['traceroute -I -q 1 10.0.0.1', 'by ICMP, one probe for each hop'],
    ['traceroute -6 -l tap://tap0?host=fd00::1/64 -a fd00::2/64 fd00::1', 'over IPv6'],
  ],
  failure: 2,
  async run(context, values, words) {
    const { name, isV4 } = destinationOf('traceroute', words, values)
    optionsOf(values, isV4, words[1]) // what is wrong with them is said before anything is opened
    const network = await openNetwork(context, values)
    try {
      const { stack } = network
      const to = await hostOf(stack, name, values)
      const options = optionsOf(values, to.isV4, words[1])
      const hops = stack.traceroute(to, { ...options, ...sourceOf(stack, values, 'source'), signal: context.stop })
      let first = true
      const show = async (): Promise<void> => {
        for await (const hop of hops) {
          if (first) context.out(`traceroute to ${name} (${to}), ${options.maxHops} hops max, ${options.size} byte packets`)
          first = false
          context.out(hopLine(hop))
        }
      }
      await Promise.race([show(), network.broken])
      return 0
    } catch (error) {
      if (context.stop.aborted) return 0
      throw cannotAsk(name, error)
    } finally {
      await network.close()
    }
  },
}

function optionsOf(values: Values, isV4: boolean, bytes: string | undefined): TracerouteOptions {
  const methods = (['udp', 'icmp', 'tcp'] as const).filter((m) => values[m] === true)
  if (methods.length > 1) throw new UsageError('-I, -T and -U: one of them is expected')
  const maxHops = integer(values, 'max-hops', 1, 255, 30)
  const port = integer(values, 'port', 1, 65535, 0)
  return {
    method: methods[0] ?? 'udp',
    maxHops,
    firstHop: integer(values, 'first', 1, maxHops, 1),
    queries: integer(values, 'queries', 1, 10, 3),
    parallel: integer(values, 'sim-queries', 1, 1000, 16),
    timeoutMs: Math.max(1, Math.round(seconds(values, 'wait', 0.001, 86_400, 5000))),
    size: bytes === undefined ? (isV4 ? 60 : 80) : integer({ BYTES: bytes }, 'BYTES', 28, 65535, 0),
    dontFragment: values['dont-fragment'] === true,
    ...(port === 0 ? {} : { port }),
  }
}

/** ` 2  10.1.0.1  0.512 ms  0.400 ms 10.1.0.9  0.390 ms !H`. */
function hopLine({ hop, answers }: TracerouteHop): string {
  let line = `${String(hop).padStart(2)} `
  let before: string | undefined
  for (const answer of answers) {
    line += answerText(answer, before)
    before = answer.from ?? before
  }
  return line
}

function answerText({ from, timeMs, mark }: TracerouteAnswer, before: string | undefined): string {
  if (from === undefined) return ' *'
  const who = from === before ? '' : ` ${from}`
  return `${who}  ${timeMs!.toFixed(3)} ms${mark === undefined || mark === '' ? '' : ` ${mark}`}`
}
