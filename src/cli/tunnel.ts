/** `tapstack tunnel`: two links as one wire, until it is told to stop or one of them ends. */
import type { LinkChange } from '../backend/dialer.ts'
import { splice } from '../link/splice.ts'
import type { NetIf } from '../netif/netif.ts'
import { capture } from '../node/capture-file.ts'
import { clampMss, type MssLimit } from '../tunnel/mss-clamp.ts'
import { type Command, type Context, integer, text, UsageError, type Values } from './command.ts'
import { counterLines } from './counter-lines.ts'
import { frameLog } from './frame-log.ts'
import { changeLine } from './link-change.ts'
import { NETWORK_OPTIONS, stopped } from './network.ts'

export const tunnel: Command = {
  name: 'tunnel',
  summary: 'join two links into one wire',
  usage: '[options] LINK LINK',
  about: [
    'What comes in by one link goes out by the other, and nothing else: a tap and a tunnel to another machine, a switch and a guest. Where their MTUs',
    'differ, TCP connections are told of the smaller one as they begin; other packets that are too large for a link are lost, and counted.',
    'Prints a line that begins with "ready" and one whenever the other end of a tunnel comes or goes, ends with Ctrl-C, and with --verbose says at the',
    'end what was carried.',
  ],
  options: {
    clamp: {
      type: 'string',
      value: 'MSS|off',
      text: 'segments that TCP may ask for, in bytes (what fits the smaller MTU, if they differ)',
    },
    pcap: { ...NETWORK_OPTIONS.pcap, text: 'capture all frames of the first link to FILE (pcapng)' },
    quiet: NETWORK_OPTIONS.quiet,
    verbose: NETWORK_OPTIONS.verbose,
  },
  words: 2,
  examples: [
    ['tunnel tap://tap0?host=10.0.0.1/24 tunnel+tcp://:5000?listen', 'one end of a wire between two machines'],
    [
      'tunnel tap://tap0?host=10.0.0.2/24 tunnel+tcp://192.0.2.1:5000',
      'the other end; it comes back when the connection was cut',
    ],
    [
      "tunnel tap://tap0 'vxlan://239.1.1.1?vni=42&local=192.0.2.7' --verbose",
      'a tap on a VXLAN segment, each frame in one line',
    ],
  ],
  failure: 2,
  run: joinLinks,
}

async function joinLinks(context: Context, values: Values, urls: readonly string[]): Promise<number> {
  if (urls.length !== 2) throw new UsageError('two links are expected: tapstack tunnel LINK LINK')
  const verbose = values.verbose === true
  if (verbose && values.quiet === true) throw new UsageError('--quiet and --verbose: one of them is expected')
  const clamp = text(values, 'clamp')
  // Seen before anything is opened.
  const mss = clamp === undefined || clamp === 'off' ? 0 : integer(values, 'clamp', 8, 65_535, 0)
  const pcap = text(values, 'pcap')

  const links: NetIf[] = []
  context.platform.host.hold() // a wire has neither servers nor sockets that would
  try {
    const told = (url: string) => (change: LinkChange) => context.out(changeLine(url, change))
    for (const url of urls) links.push(await context.openLink(url, values.quiet === true ? undefined : told(url)))
    if (pcap !== undefined) links[0] = capture(links[0], pcap)
    if (verbose) links[0] = frameLog(links[0], context.out)
    const [one, two] = links
    const limit = clamp === 'off' ? null : clamp === undefined ? smallerMtu(one, two) : mss
    if (limit !== null) links[0] = clampMss(one, limit)
    let broken: (error: Error) => void = () => undefined
    const end = new Promise<never>((_, reject) => {
      broken = reject
    })
    const wire = splice(links[0], two, context.platform.host, {
      onClosed: (link, error) => broken(error ?? new Error(`${link.name}: the link has ended`)),
    })
    if (values.quiet !== true) for (const link of links) context.out(link.describe?.() ?? link.name)
    context.out(`ready: ${one.name} and ${two.name} are one wire`)
    try {
      await Promise.race([stopped(context), end])
      return 0
    } finally {
      await wire.close()
      if (verbose) {
        const counted = { ...wire.counters(), [one.name]: links[0].counters?.() ?? {}, [two.name]: two.counters?.() ?? {} }
        for (const line of counterLines(counted)) context.out(line)
      }
    }
  } finally {
    context.platform.host.release()
    for (const link of links) await link.close()
  }
}

/** What SYNs have to be told where the two links differ; null where they do not. */
function smallerMtu(one: NetIf, two: NetIf): MssLimit | null {
  return one.mtu === two.mtu ? null : { mtu: Math.min(one.mtu, two.mtu) }
}
