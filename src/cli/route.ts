/** `tapstack route`: a router between links, both families, until it is told to stop. */
import { type Address, Prefix, address as parseAddress, prefix as parsePrefix } from '../base/address.ts'
import type { NetIf } from '../netif/netif.ts'
import type { AttachedInterface } from '../stack/attached.ts'
import { Stack } from '../stack/stack.ts'
import { type Command, type Context, texts, UsageError, type Values } from './command.ts'
import { counterLines } from './counter-lines.ts'
import { frameLog } from './frame-log.ts'
import { checkAddresses, NETWORK_OPTIONS, stopped } from './network.ts'

export const route: Command = {
  name: 'route',
  summary: 'route packets between links',
  usage: '[options] LINK LINK...',
  about: [
    'Give --address once for each link, in their order; commas separate several. Packets of both families are forwarded between them,',
    'with all that routers say about them. Prints what it routes and a line that begins with "ready", and ends with Ctrl-C.',
  ],
  options: {
    address: {
      type: 'string',
      short: 'a',
      multiple: true,
      value: 'A/LEN,...',
      text: 'our addresses on a link, once for each link',
    },
    gateway: {
      type: 'string',
      short: 'g',
      multiple: true,
      value: 'G',
      text: 'where everything else goes, one per family (nowhere)',
    },
    quiet: NETWORK_OPTIONS.quiet,
    verbose: NETWORK_OPTIONS.verbose,
  },
  words: Number.POSITIVE_INFINITY,
  examples: [
    [
      'route tap://tap0?host=10.1.0.2/24 tap://tap1?host=10.2.0.2/24 -a 10.1.0.1/24,fd01::1/64 -a 10.2.0.1/24,fd02::1/64',
      'between two networks, over IPv4 and IPv6',
    ],
  ],
  failure: 2,
  run: routeLinks,
}

async function routeLinks(context: Context, values: Values, urls: readonly string[]): Promise<number> {
  if (urls.length < 2) throw new UsageError('two links are expected, or more: tapstack route LINK LINK...')
  const verbose = values.verbose === true
  if (verbose && values.quiet === true) throw new UsageError('--quiet and --verbose: one of them is expected')
  const addresses = perLink(values, urls)
  const gateways = texts(values, 'gateway').map((text) => parseAddress(text))
  const stack = new Stack(context.platform, { name: 'tapstack', forwarding: true })
  context.platform.host.hold() // a router has neither servers nor sockets that would
  try {
    const broken = new Promise<never>((_, reject) => {
      stack.onLinkClosed = (iface, error) => reject(error ?? new Error(`${iface.name}: the link has ended`))
    })
    broken.catch(() => undefined)
    stack.onAddressConflict = (iface, address, mac) => {
      context.err(`tapstack: ${address} on ${iface.name} is also used by ${mac}: give one of the two another address`)
    }
    const interfaces: AttachedInterface[] = []
    for (const [i, url] of urls.entries()) interfaces.push(await attach(context, stack, url, addresses[i], verbose))
    for (const gateway of gateways) addGateway(stack, interfaces, gateway)
    await Promise.all(interfaces.map((iface) => iface.ready))
    if (values.quiet !== true) for (const line of routeLines(stack)) context.out(line)
    context.out(`ready: ${interfaces.map((i) => `${i.name} on ${i.link.name}`).join(', ')}`)
    await Promise.race([stopped(context), broken])
    return 0
  } finally {
    context.platform.host.release()
    await stack.close()
    if (verbose) for (const line of counterLines(stack.counters(true))) context.out(line)
  }
}

/** The addresses of each link. Throws UsageError. */
function perLink(values: Values, urls: readonly string[]): string[][] {
  const given = Array.isArray(values.address) ? values.address.map(String) : []
  if (given.length !== urls.length)
    throw new UsageError(`--address is expected once for each link: there are ${urls.length}, and ${given.length} of it`)
  return given.map((list, i) => {
    const addresses = list.split(',').filter((text) => text !== '')
    checkAddresses(addresses, urls[i])
    return addresses
  })
}

async function attach(
  context: Context,
  stack: Stack,
  url: string,
  addresses: readonly string[],
  verbose: boolean,
): Promise<AttachedInterface> {
  const opened = await context.openLink(url)
  const link: NetIf = verbose ? frameLog(opened, context.out, `${opened.name} `) : opened
  try {
    return stack.attach(link, { addresses })
  } catch (error) {
    await link.close()
    throw error
  }
}

/** The default route of a family, by the interface on whose network the gateway is. Throws UsageError. */
function addGateway(stack: Stack, interfaces: readonly AttachedInterface[], gateway: Address): void {
  const by = interfaces.find((i) => i.iface.addresses.some((own) => own.prefix.contains(gateway)))
  if (by === undefined)
    throw new UsageError(`--gateway ${gateway} is on no network of ours: ${interfaces.flatMap((i) => i.addresses).join(', ')}`)
  stack.addRoute(gateway.isV4 ? '0.0.0.0/0' : '::/0', gateway, by)
}

/** `10.1.0.0/24 dev eth0`, as `ip route` has it. What is for this host alone, or for one link, is not routed. */
function routeLines(stack: Stack): string[] {
  return stack.routes
    .filter((r) => isRouted(parsePrefix(r.destination.replace(/%[^/]*/, ''))))
    .map((r) => `${r.destination}${r.gateway === null ? '' : ` via ${r.gateway}`} dev ${r.interface}`)
}

function isRouted({ address, length }: Prefix): boolean {
  return !address.isLoopback && !address.isLinkLocal && !address.isMulticast && new Prefix(address, length).bits < 128
}
