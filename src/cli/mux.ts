/** `tapstack mux`: a multiplexer on links, and a socket for those who want to be its clients, until it is told to stop. */
import { DEFAULT_MUX } from '../backend/mux-client.ts'
import { type MuxPlace, muxPath, serveMux } from '../backend/mux-server.ts'
import { formatMac } from '../ethernet/mac.ts'
import type { MuxClient } from '../mux/client.ts'
import { Mux } from '../mux/mux.ts'
import type { NetIf } from '../netif/netif.ts'
import { type Command, type Context, text, texts, UsageError, type Values } from './command.ts'
import { counterLines } from './counter-lines.ts'
import { DEFAULT_LINK, NETWORK_OPTIONS, stopped } from './network.ts'

export const mux: Command = {
  name: 'mux',
  summary: 'share a link among many clients, each with a MAC address of its own',
  usage: '[options]',
  about: [
    'Clients are other commands and programs with --link mux://NAME, mux:///PATH or mux://HOST:PORT; docs/mux.md has what a URL may say of address and',
    'filter. The first link is the device eth0, the next eth1 and so on; lo is there besides. Prints a line that begins with "ready", a line for each',
    'client that comes or goes, and ends with Ctrl-C.',
  ],
  options: {
    link: { type: 'string', short: 'l', multiple: true, value: 'URL', text: `a link to share, repeatable (${DEFAULT_LINK})` },
    name: { type: 'string', short: 'n', value: 'NAME', text: `the server's name (${DEFAULT_MUX})` },
    'device-mac': {
      type: 'string',
      multiple: true,
      value: 'M',
      text: "a device's own MAC address, in the order of links (the link's, or a random one)",
    },
    socket: { type: 'string', short: 's', value: 'PATH', text: 'where clients connect (a path that the name stands for)' },
    listen: { type: 'string', value: 'HOST:PORT', text: 'a TCP port instead: whoever reaches it may be a client' },
    quiet: NETWORK_OPTIONS.quiet,
    verbose: { ...NETWORK_OPTIONS.verbose, text: 'say more: counters of each client when it goes, and of devices at the end' },
  },
  words: 0,
  examples: [
    ['mux', 'tap0 as eth0, found by the name ORe; then: tapstack echo --link ore: --address 10.0.0.2/24'],
    ['mux --device-mac 52:54:00:12:34:56', 'the first client is 04:ea:43:01:96:09, as with ORe on QEMU'],
    ['mux --link tap://tap1 --name lab --listen 127.0.0.1:5000', 'for clients at mux://127.0.0.1:5000'],
  ],
  failure: 2,
  run: serve,
}

async function serve(context: Context, values: Values): Promise<number> {
  const name = text(values, 'name') ?? DEFAULT_MUX
  const place = placeOf(values)
  muxPath(name) // throws for a name that cannot be one, even where it is not a place
  const urls = Array.isArray(values.link) ? values.link.map(String) : [DEFAULT_LINK]
  const macs = texts(values, 'device-mac')
  if (macs.length > urls.length) throw new UsageError(`--device-mac: there are ${macs.length}, and ${urls.length} of --link`)
  const { host } = context.platform
  const server = await given(context, urls[0], (link) => new Mux(context.platform, link, { name, mac: macs[0] }))
  host.hold() // a server of clients that are not there yet
  try {
    for (const [i, url] of urls.entries()) if (i > 0) await given(context, url, (link) => server.add(`eth${i}`, link, macs[i]))
    if (context.stop.aborted) return 0 // while the links were opened
    if (values.quiet !== true) report(context, server, values.verbose === true)
    const broken = new Promise<never>((_, reject) => {
      server.onDeviceGone = (_device, error) => reject(error)
    })
    broken.catch(() => undefined)
    const socket = await serveMux(server, place, {
      onRefused: (why) => values.quiet !== true && context.out(`refused: ${why.message}`),
    })
    try {
      const devices = server.deviceNames.map((device) => server.device(device).describe())
      if (values.quiet !== true) for (const line of devices) context.out(line)
      context.out(`ready: ${name} at ${socket.at}`)
      await Promise.race([stopped(context), broken])
      return 0
    } finally {
      await socket.close()
    }
  } finally {
    host.release()
    const counters = Object.fromEntries(server.deviceNames.map((device) => [device, server.device(device).counters()]))
    await server.close()
    if (values.verbose === true) for (const line of counterLines(counters)) context.out(line)
  }
}

/** Opens a link and gives it away; closes it again when it is not taken. */
async function given<T>(context: Context, url: string, take: (link: NetIf) => T): Promise<T> {
  const link = await context.openLink(url)
  try {
    return take(link)
  } catch (error) {
    await link.close()
    throw error
  }
}

function placeOf(values: Values): MuxPlace {
  const [path, listen] = [text(values, 'socket'), text(values, 'listen')]
  if (path !== undefined && listen !== undefined) throw new UsageError('--socket and --listen: one of them is expected')
  if (listen === undefined) return { path }
  const m = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(listen)
  if (m === null || Number(m[3]) > 65535) throw new UsageError(`--listen ${listen}: HOST:PORT is expected`)
  return { host: m[1] ?? m[2], port: Number(m[3]) }
}

/** A line for each client that comes or goes. */
function report(context: Context, server: Mux, verbose: boolean): void {
  const words = (client: MuxClient): string => `client ${client.channel}: ${client.device} ${formatMac(client.mac)}`
  server.onOpened = (client) => context.out(`${words(client)} (${client.macRule})`)
  server.onGone = (client, error) => {
    context.out(`${words(client)} gone${error === null ? '' : `: ${error.message}`}`)
    if (verbose) for (const line of counterLines({ [`client ${client.channel}`]: client.counters() })) context.out(line)
  }
}
