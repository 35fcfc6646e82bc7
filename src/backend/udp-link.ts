/**
 * `udp://5000->10.0.0.2:5000`: one frame per datagram, without a header, between two ports; as vdeplug's udp:// has it.
 *
 * Datagrams of anybody else are refused, as far as a source address can say who it is. The MTU is what a datagram holds that is not cut into fragments:
 * 1458 bytes over IPv4, 1438 over IPv6, on a carrier of 1500.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { invalidArgument } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { ETH_HEADER } from '../ethernet/wire.ts'
import type { Medium } from '../netif/netif.ts'
import { bindDatagram, DatagramLink, type DatagramOutlet, type DatagramProtocol, type DatagramSource } from './datagram-link.ts'
import { checkOptions, type LinkUrl, numberOption } from './link-url.ts'
import { parsePlace, placeText } from './stream-socket.ts'
import { wholeNumber } from './whole-number.ts'

/** The two ends of frames in UDP datagrams, one each. */
export interface UdpLinkOptions {
  /** Our port; 0: any, for a peer that learns it otherwise. */
  port: number
  /** Our address. All when left out. */
  bind?: string | undefined
  /** The other end: address or name, and port. */
  host: string
  peerPort: number
  /** `udp:PORT` when left out. */
  name?: string | undefined
  /** Ethernet when left out. */
  medium?: Medium
  /** Largest IP packet of a frame in bytes. What fits a datagram on a carrier of 1500 when left out; larger ones are sent in fragments. */
  mtu?: number | undefined
}

/** Bytes of IP and UDP headers before the payload. */
export function datagramOverhead(isV6: boolean): number {
  return (isV6 ? 40 : 20) + 8
}

/** An address as the system writes it in what it says of a datagram. @throws NetError ENOTFOUND. */
export async function resolveHost(host: string): Promise<{ address: string; isV6: boolean }> {
  const { address, family } = await lookup(host)
  return { address, isV6: family === 6 }
}

class OnePeer implements DatagramProtocol {
  readonly header = 0

  constructor(
    private readonly host: string,
    private readonly port: number,
  ) {}

  accept(_message: Uint8Array, from: DatagramSource): boolean {
    return from.port === this.port && from.address === this.host
  }

  address(_slot: Uint8Array, _end: number, outlet: DatagramOutlet): void {
    outlet.to(this.host, this.port)
  }
}

/** Opens a link over UDP to one peer. @throws Node's errors of bind and lookup; NetError ERR_INVALID_ARG_VALUE. */
export async function openUdpLink(options: UdpLinkOptions): Promise<DatagramLink> {
  const { port, bind, host, peerPort, medium = 'ethernet' } = options
  wholeNumber('peerPort', peerPort, 1, 65_535)
  const { address, isV6 } = await resolveHost(host)
  const socket = await bindDatagram({ type: isV6 ? 'udp6' : 'udp4' }, port, bind)
  const own = socket.address().port
  const room = LINK_DEFAULTS.carrierMtuBytes - datagramOverhead(isV6) - (medium === 'ethernet' ? ETH_HEADER : 0)
  try {
    return new DatagramLink({
      name: options.name ?? `udp:${own}`,
      sockets: [socket],
      protocol: new OnePeer(address, peerPort),
      medium,
      mtu: options.mtu ?? room,
      text: `${own} -> ${placeText({ host: address, port: peerPort })}`,
    })
  } catch (error) {
    socket.close()
    throw error
  }
}

/** The options of `udp://[BIND:]PORT->HOST:PORT`, ready for `openUdpLink`. */
export function udpOptions(url: LinkUrl): UdpLinkOptions {
  checkOptions(url, ['name', 'mtu', 'medium'])
  const [from, to, ...more] = url.target.replace('%3E', '>').replace('%3e', '>').split('->')
  if (to === undefined || more.length > 0) {
    throw invalidArgument(`Invalid link ${url.text}: udp://PORT->HOST:PORT is expected (in a shell between quotes)`)
  }
  const own = parsePlace(from.includes(':') ? from : `:${from}`, url.text)
  const peer = parsePlace(to, url.text)
  const medium = url.options.get('medium') ?? 'ethernet'
  if (medium !== 'ethernet' && medium !== 'ip')
    throw invalidArgument(`Option medium=${medium} in ${url.text} is neither ethernet nor ip`)
  if (
    peer.host === undefined ||
    peer.port === undefined ||
    own.port === undefined ||
    (own.host !== undefined && isIP(own.host) === 0)
  ) {
    throw invalidArgument(`Invalid link ${url.text}: udp://PORT->HOST:PORT is expected`)
  }
  return {
    port: own.port,
    bind: own.host,
    host: peer.host,
    peerPort: peer.port,
    name: url.options.get('name'),
    medium,
    mtu: numberOption(url, 'mtu'),
  }
}
