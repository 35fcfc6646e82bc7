/** `--link`, `--address` and their like: from options to a stack with one interface. */
import { parseAddress } from '../base/address.ts'
import type { DhcpOptions } from '../dhcp/client-options.ts'
import type { Dhcp6Options } from '../dhcp6/client-options.ts'
import type { NetIf } from '../netif/netif.ts'
import { capture } from '../node/capture-file.ts'
import type { StackOptions } from '../node/stack.ts'
import type { AttachedInterface } from '../stack/attached.ts'
import { Stack } from '../stack/stack.ts'
import { type Context, integer, type Option, text, texts, UsageError, type Values } from './command.ts'
import { counterLines } from './counter-lines.ts'
import { frameLog } from './frame-log.ts'

export const DEFAULT_LINK = 'tap://tap0?host=10.0.0.1/24'
export const DEFAULT_ADDRESS = '10.0.0.2/24'

export const NETWORK_OPTIONS: { readonly [name: string]: Option } = {
  link: { type: 'string', short: 'l', value: 'URL', text: `the link to be on (${DEFAULT_LINK})` },
  address: { type: 'string', short: 'a', multiple: true, value: 'A/LEN', text: `our address, repeatable (${DEFAULT_ADDRESS})` },
  slaac: {
    type: 'boolean',
    text: 'IPv6 address, routes and DNS servers from the routers on the link; no default --address then',
  },
  dhcp: { type: 'boolean', text: 'IPv4 address, routes and DNS servers from a DHCP server; no default --address then' },
  dhcp6: {
    type: 'boolean',
    text: 'IPv6 address and DNS servers from a DHCPv6 server, routes from routers; no default --address then',
  },
  gateway: { type: 'string', short: 'g', multiple: true, value: 'G', text: 'default gateway, one per family' },
  mac: { type: 'string', value: 'M', text: 'our MAC address (a random local one)' },
  name: { type: 'string', value: 'NAME', text: 'name of our interface (eth0)' },
  mtu: { type: 'string', value: 'N', text: "largest IP packet (the link's)" },
  pcap: { type: 'string', value: 'FILE', text: 'capture all frames to FILE (pcapng: open it with wireshark or tshark)' },
  quiet: { type: 'boolean', short: 'q', text: 'say only what is asked for' },
  verbose: { type: 'boolean', short: 'v', text: 'say more: every frame in one line, counters at the end' },
}

export interface Network {
  readonly stack: Stack
  readonly iface: AttachedInterface
  readonly link: NetIf
  /** `10.0.0.2`, for messages. */
  readonly address: string
  /** Rejects when the link ends by itself. */
  readonly broken: Promise<never>
  /** Everything is released; counters are shown if that was asked for. */
  close(): Promise<void>
}

/** What the library takes and a person on the command line hardly means. Throws UsageError. */
export function checkAddresses(addresses: readonly string[], url: string): void {
  const hosts = new URLSearchParams(url.split('?')[1]).getAll('host').join().split(',')
  for (const given of addresses) {
    const [address, length] = given.split('/')
    const a = parseAddress(address)
    if (length === undefined)
      throw new UsageError(`--address ${given}: a prefix length is missing, as in ${given}/${a?.isV4 === false ? 64 : 24}`)
    if (a !== null && hosts.some((host) => parseAddress(host.split('/')[0])?.equals(a)))
      throw new UsageError(`--address ${given}: ${address} is the host's own address in ${url}: give the stack another one`)
  }
}

/** Addresses that are of routers' prefixes, or a DHCP server's. */
function configured(iface: AttachedInterface): string[] {
  return iface.iface.addresses.filter((own) => own.lifetime != null).map((own) => `${own.address}/${own.prefix.length}`)
}

/** `slaac: fd00:1::5/64 by fe80::1%eth0, DNS fd00:1::53 (example.org)`. */
function slaacLine(iface: AttachedInterface, addresses: readonly string[]): string {
  const routers = iface.ra?.routers.map((r) => r.address).join(' ') ?? ''
  const { nameservers, searchDomains } = iface
  const dns = nameservers.length === 0 ? '' : `, DNS ${nameservers.join(' ')}`
  const search = searchDomains.length === 0 ? '' : ` (${searchDomains.join(' ')})`
  return `slaac: ${addresses.join(' ')}${routers === '' ? ', no default router' : ` by ${routers}`}${dns}${search}`
}

/** What a command wants besides what the options say. */
export interface NetworkManner {
  dhcp?: DhcpOptions
  dhcp6?: Dhcp6Options
  /** No address where none is given. */
  bare?: boolean
  /** Goes around the link, next to the stack: sees what the stack sees. */
  around?: (link: NetIf) => NetIf
  /** Makes the stack: one of Node, if sockets in Node's shape are wanted. */
  make?: (options: StackOptions) => Stack
}

/** Opens the link and puts a stack on it that answers. Nothing is left open when it throws. */
export async function openNetwork(context: Context, values: Values, manner: NetworkManner = {}): Promise<Network> {
  const { dhcp = {}, dhcp6 = {}, bare = false, around, make } = manner
  const url = text(values, 'link') ?? DEFAULT_LINK
  const verbose = values.verbose === true
  if (verbose && values.quiet === true) throw new UsageError('--quiet and --verbose: one of them is expected')
  const given = texts(values, 'address')
  const slaac = values.slaac === true
  const byDhcp = values.dhcp === true
  const byDhcp6 = values.dhcp6 === true
  const addresses = given.length > 0 || slaac || byDhcp || byDhcp6 || bare ? given : [DEFAULT_ADDRESS]
  checkAddresses(addresses, url)
  const mtu = integer(values, 'mtu', 68, 65535, 0)
  const pcap = text(values, 'pcap')

  let link = await context.openLink(url)
  const { host } = context.platform
  host.hold() // whoever waits for Ctrl-C, or for what is to come, may have nothing else that keeps the process
  const name = 'tapstack'
  const stack = make === undefined ? new Stack(context.platform, { name }) : make({ ...context.platform, name })
  try {
    if (pcap !== undefined) link = capture(link, pcap)
    if (verbose) link = frameLog(link, context.out)
    if (around !== undefined) link = around(link)
    const broken = new Promise<never>((_, reject) => {
      stack.onLinkClosed = (iface, error) => reject(error ?? new Error(`${iface.name}: the link has ended`))
    })
    broken.catch(() => undefined) // who does not wait for it is not told
    stack.onAddressConflict = (iface, address, mac) => {
      context.err(`tapstack: ${address} on ${iface.name} is also used by ${mac}: give one of the two another address`)
    }
    const iface = stack.attach(link, {
      addresses,
      slaac,
      gateway: texts(values, 'gateway'),
      mac: text(values, 'mac'),
      name: text(values, 'name'),
      mtu: mtu === 0 ? undefined : mtu,
      dhcp: byDhcp && dhcp,
      // Without `slaac` and `dhcp6` nothing is asked for; with the one alone routers say.
      ...(byDhcp6 && { dhcp6, acceptRa: true }),
    })
    // An answer may be long in coming: Ctrl-C is heard meanwhile.
    if (byDhcp || byDhcp6) await Promise.race([iface.ready, stopped(context), broken])
    else await iface.ready
    const got = slaac || byDhcp || byDhcp6 ? configured(iface) : []
    if (slaac && values.quiet !== true) context.out(slaacLine(iface, got))
    if (verbose && link.describe !== undefined) context.out(`link: ${link.describe()}`)
    return {
      stack,
      iface,
      link,
      address: [...addresses, ...got].map((a) => a.split('/')[0]).join(' '),
      broken,
      async close() {
        await stack.close()
        host.release()
        if (verbose) for (const line of counterLines(stack.counters(true))) context.out(line)
      },
    }
  } catch (error) {
    await stack.close()
    await link.close()
    host.release()
    throw error
  }
}

/** Resolves when the command is to end. */
export function stopped(context: Context): Promise<void> {
  return new Promise((resolve) => {
    if (context.stop.aborted) resolve()
    else context.stop.addEventListener('abort', () => resolve(), { once: true })
  })
}
