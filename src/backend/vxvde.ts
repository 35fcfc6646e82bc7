/**
 * `vxvde://234.0.0.1/ttl=2`: a node of a vxvde network, whose other nodes are ours or those of vdeplug (vde_plug, vdens, QEMU, VirtualBox).
 *
 * Theory of operation. Two of Node's UDP sockets, one bound to the group and one with a port of its own, are the sockets of a datagram link
 * whose protocol is vxvde-protocol.ts. Frames of an MTU of 1500 make datagrams of 1536 bytes and more, which the machine's own IP cuts in fragments and
 * puts together again where a network underneath carries only 1500.
 */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import { type Address, parseAddress } from '../base/address.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { VDE_MAX_MTU, vxvdeDefaults } from '../base/vde-config.ts'
import { vnlNumber, vnlOptions } from '../vde/vnl.ts'
import { bindDatagram, DatagramLink } from './datagram-link.ts'
import { groupId } from './group-id.ts'
import { checkOptions, type LinkUrl, linkUrlOf, numberOption } from './link-url.ts'
import { VxvdeProtocol } from './vxvde-protocol.ts'
import { wholeNumber } from './whole-number.ts'

/** The network's group, port and number, as vdeplug's `vxvde://` has them. */
export interface VxvdeOptions {
  /** The multicast group, or a name for it. 239.0.0.1, over IPv6 ff05:56de::1, when left out. */
  address?: string
  /** 4 or 6: only that family. */
  family?: 4 | 6
  /** UDP port of the group. 14789. */
  port?: number
  /** Number of the network, up to 24 bits. 1, or that of `group`. */
  vni?: number
  /** A group of users, by name or number: its number is the network's, and the last three bytes of the address. */
  group?: string | number
  /** Routers that multicasts may pass, and one. 1: this network alone. */
  ttl?: number
  /** Bytes of the sockets' receive buffers. The system's when left out. */
  receiveBufferBytes?: number
  /** Places in the table of who is where. 1024. */
  hashSize?: number
  /** Seconds that a place is believed after the last frame from there. 128. */
  expireSeconds?: number
  /** The interface of this machine that multicasts leave and come in by. The system's choice when left out. */
  interface?: string
  /** An address of this machine: everything is sent from there, and by its interface. */
  bind?: string
  /** Largest IP packet of a frame, up to 9216 bytes. 1500. */
  mtu?: number
  name?: string
}

const OPTIONS = ['v4', 'v6', 'port', 'vni', 'grp', 'ttl', 'rcvbuf', 'hashsize', 'expiretime', 'if', 'bind', 'mtu']

/** The options in `vxvde://[address][/option]...`. `?mtu=` and `?name=` are ours. */
export function vxvdeOptions(url: LinkUrl): VxvdeOptions {
  const { text } = url
  checkOptions(url, ['mtu', 'name'])
  const slash = url.target.indexOf('/')
  const address = slash < 0 ? url.target : url.target.slice(0, slash)
  const options = vnlOptions(slash < 0 ? '' : url.target.slice(slash + 1), OPTIONS, text)
  const number = (name: string, min: number, max: number) => vnlNumber(options, name, min, max, text)
  const [v4, v6] = [options.has('v4'), options.has('v6')]
  const vni = options.get('vni')
  return {
    address: address === '' ? undefined : address,
    family: v4 === v6 ? undefined : v4 ? 4 : 6,
    port: number('port', 1, 65535),
    // A group's name can stand for the number of the network.
    vni: vni === undefined ? undefined : groupId(vni),
    group: options.get('grp'),
    ttl: number('ttl', 0, 255),
    receiveBufferBytes: bytes(options.get('rcvbuf'), text),
    hashSize: number('hashsize', 1, vxvdeDefaults.maxHashSize),
    // vdeplug takes 0 for its default.
    expireSeconds: number('expiretime', 0, 0x7fff_ffff) || undefined,
    interface: options.get('if'),
    bind: options.get('bind'),
    mtu: numberOption(url, 'mtu') ?? number('mtu', 68, VDE_MAX_MTU),
    name: url.options.get('name'),
  }
}

const UNITS = ['', 'k', 'm', 'g']

/** `64k`, `1M`. */
function bytes(text: string | undefined, url: string): number | undefined {
  if (text === undefined) return undefined
  const m = /^(\d{1,9})([kmg]?)$/i.exec(text)
  if (m === null) throw invalidArgument(`Option rcvbuf=${text} in ${url}: bytes expected, as 65536 or 64k`)
  return Number(m[1]) * 1024 ** UNITS.indexOf(m[2].toLowerCase())
}

/**
 * Joins a vxvde network, named by its URL or by options.
 * @throws NetError ERR_INVALID_ARG_VALUE; what Node says of sockets (EADDRNOTAVAIL, EADDRINUSE, ENODEV) with what it was about; ENETUNREACH
 *   where no interface can have multicasts.
 */
export async function openVxvde(network: string | VxvdeOptions = {}): Promise<DatagramLink> {
  const options = typeof network === 'string' ? vxvdeOptions(linkUrlOf('vxvde', network)) : network
  const { port = vxvdeDefaults.port, ttl = vxvdeDefaults.ttl, mtu = LINK_DEFAULTS.mtuBytes, bind } = options
  if (mtu > VDE_MAX_MTU) throw invalidArgument(`Invalid MTU ${mtu}: VDE has frames of at most ${VDE_MAX_MTU}`)
  const gid = options.group === undefined ? null : groupId(options.group)
  const vni = options.vni ?? gid ?? vxvdeDefaults.vni
  wholeNumber('vni', vni, 0, 0xff_ffff)
  wholeNumber('ttl', ttl, 0, 255)
  const { hashSize = vxvdeDefaults.hashSize, expireSeconds = vxvdeDefaults.expireSeconds } = options
  wholeNumber('hashSize', hashSize, 1, vxvdeDefaults.maxHashSize)
  wholeNumber('expireSeconds', expireSeconds, 0)
  const group = await groupAddress(options, gid)
  const name = options.name ?? `vxvde:${group}`
  const isV4 = group.isV4
  const via = options.interface === undefined ? bind : interfaceAddress(options.interface, isV4)
  const zone = !isV4 && options.interface !== undefined ? `%${options.interface}` : ''
  const type = isV4 ? 'udp4' : 'udp6'
  const open: Socket[] = []
  try {
    const multi = await bindDatagram(
      { type, reuseAddr: true, recvBufferSize: options.receiveBufferBytes },
      port,
      `${group}${zone}`,
    )
    open.push(multi)
    multi.addMembership(String(group), via)
    const uni = await bindDatagram({ type, recvBufferSize: options.receiveBufferBytes }, 0, bind)
    open.push(uni)
    if (via !== undefined) uni.setMulticastInterface(via)
    uni.setMulticastTTL(ttl)
    if (isV4 && ttl > 0) uni.setTTL(ttl)
    const protocol = new VxvdeProtocol({
      vni,
      group: `${group}${zone}`,
      port,
      ownPort: uni.address().port,
      hashSize,
      expireSeconds,
      seed: randomBytes(4).readInt32LE(),
    })
    const text = `a node of ${group} port ${port}, vni ${vni}, sends from port ${uni.address().port}`
    return new DatagramLink({ name, sockets: [uni, multi], protocol, mtu, text })
  } catch (error) {
    for (const socket of open) socket.close()
    throw joinFailed(String(group), port, error as NodeJS.ErrnoException)
  }
}

/** The group: given, looked up, or the default of its family; with the number of a group of users in its last three bytes. */
async function groupAddress(options: VxvdeOptions, gid: number | null): Promise<Address> {
  const { family } = options
  const text = options.address ?? (family === 6 ? vxvdeDefaults.address6 : vxvdeDefaults.address4)
  const address = parseAddress(text) ?? parseAddress((await lookup(text, { family: family ?? 0 })).address)
  if (address === null || !address.isMulticast || (family !== undefined && address.isV4 !== (family === 4))) {
    const which = family === undefined ? '' : ` of IPv${family}`
    throw invalidArgument(`Invalid vxvde address ${text}: a multicast group${which} expected, as ${vxvdeDefaults.address4}`)
  }
  if (gid !== null) address.w3 = (address.w3 & ~0xff_ffff) | (gid & 0xff_ffff)
  return address
}

/** How Node wants an interface of this machine named: by an address of it, or by zone. */
function interfaceAddress(name: string, isV4: boolean): string {
  const found = networkInterfaces()[name]
  const own = found?.find((entry) => entry.family === 'IPv4')
  if (found === undefined || (isV4 && own === undefined)) {
    const why = found === undefined ? 'there is none of that name that is up and has an address' : 'it has no IPv4 address'
    throw invalidArgument(`Invalid interface ${name} for vxvde: ${why}`)
  }
  return isV4 && own !== undefined ? own.address : `::%${name}`
}

function joinFailed(group: string, port: number, error: NodeJS.ErrnoException): NetError {
  const { code = 'EIO', syscall } = error
  const advice =
    code === 'ENODEV' || code === 'ENETUNREACH'
      ? ': no interface of this machine has multicasts; alone on it, `ip link set lo up multicast on; ip route add 224.0.0.0/4 dev lo`'
      : ''
  return new NetError(code, {
    syscall,
    address: group,
    port,
    message: `Cannot join the vxvde network ${group} port ${port}: ${error.message}${advice}`,
    cause: error,
  })
}
