/**
 * What crosses /dev/net/tun: requests, flags, struct ifreq and the virtio_net_hdr before each frame.
 * Sources: linux/if_tun.h, linux/virtio_net.h, virtio 1.2 section 5.1.6.
 *
 * All little-endian: the header is forced to it (TUNSETVNETLE), and big-endian machines are refused (libc.ts).
 */
import * as layout from 'buffer-layout'
import { get16 } from '../base/bytes.ts'
import { offsetsOf } from '../base/layout.ts'
import {
  CSUM_MASK,
  CSUM_NONE,
  CSUM_PARTIAL,
  CSUM_VALID,
  frameMeta,
  GSO_MASK,
  GSO_NONE,
  GSO_TCP4,
  GSO_TCP6,
  GSO_UDP,
  gsoSize,
  Offload,
} from '../netif/netif.ts'

export const TUN_DEVICE = '/dev/net/tun'

export const TUNSETIFF = 0x400454ca
/** PERSIST, OWNER, GROUP and OFFLOAD take the value itself, the others a pointer to an int. */
export const TUNSETPERSIST = 0x400454cb
export const TUNSETOWNER = 0x400454cc
export const TUNSETGROUP = 0x400454ce
export const TUNSETOFFLOAD = 0x400454d0
export const TUNSETSNDBUF = 0x400454d4
export const TUNSETVNETHDRSZ = 0x400454d8
export const TUNSETVNETLE = 0x400454dc

export const IFF_TUN = 0x0001
export const IFF_TAP = 0x0002
export const IFF_NO_PI = 0x1000
export const IFF_VNET_HDR = 0x4000

export const TUN_F_CSUM = 0x01
export const TUN_F_TSO4 = 0x02
export const TUN_F_TSO6 = 0x04
export const TUN_F_TSO_ECN = 0x08
export const TUN_F_USO4 = 0x20
export const TUN_F_USO6 = 0x40

/** TUNSETOFFLOAD, best first. The last is always accepted. USO needs Linux 6.2. */
export const OFFLOAD_STEPS: readonly number[] = [0x6f, 0x0f, 0x07, 0x01, 0x00]

export const SIOCGIFFLAGS = 0x8913
export const SIOCSIFFLAGS = 0x8914
export const SIOCGIFMTU = 0x8921
export const SIOCSIFMTU = 0x8922
export const SIOCGIFHWADDR = 0x8927
export const SIOCGIFINDEX = 0x8933
export const IFF_UP = 0x0001

/** struct ifreq: 40 bytes with 64-bit pointers, 32 otherwise; the kernel reads no more than its own. */
export const IFREQ_SIZE = 40
/** With the final NUL. */
export const IFNAMSIZ = 16
export const ifreq = layout.struct([layout.blob(IFNAMSIZ, 'name'), layout.u32('value'), layout.blob(20, 'rest')])
export const IFREQ = offsetsOf(ifreq, ['name', 'value'] as const)

export const vnetHeader = layout.struct([
  layout.u8('flags'),
  layout.u8('gsoType'),
  layout.u16('hdrLen'),
  layout.u16('gsoSize'),
  layout.u16('csumStart'),
  layout.u16('csumOffset'),
])
export const VNET = offsetsOf(vnetHeader, ['flags', 'gsoType', 'hdrLen', 'gsoSize', 'csumStart', 'csumOffset'] as const)
export const VNET_HEADER = vnetHeader.span

export const VNET_NEEDS_CSUM = 1
export const VNET_DATA_VALID = 2
export const VNET_GSO_NONE = 0
export const VNET_GSO_TCPV4 = 1
export const VNET_GSO_TCPV6 = 4
export const VNET_GSO_UDP_L4 = 5
/** Set beside a TCP type when CWR is in the super-segment: it belongs to the first segment only. */
export const VNET_GSO_ECN = 0x80

/*
 * The few facts of Ethernet and IP that finding a transport header takes. Backends know netif and base only.
 */
const ETH_HEADER = 14
const VLAN_TAG = 4
const ETHERTYPE_IPV4 = 0x0800
const ETHERTYPE_VLAN = 0x8100
const ETHERTYPE_QINQ = 0x88a8
const ETHERTYPE_IPV6 = 0x86dd
const IPV6_HEADER = 40
const PROTOCOL_TCP = 6
const PROTOCOL_UDP = 17
const TCP_CHECKSUM = 16
const UDP_CHECKSUM = 6
const UDP_HEADER = 8
/** Hop-by-hop options, routing, destination options: `next header`, `length in 8 bytes beyond the first 8` (RFC 8200 section 4). */
const EXTENSIONS = [0, 43, 60]

/** What the kernel's header says, as a meta int; -1 for a super-frame of a kind that was not asked for. */
export function metaOf(buf: Uint8Array, at: number): number {
  const flags = buf[at + VNET.flags]
  const csum = (flags & VNET_NEEDS_CSUM) !== 0 ? CSUM_PARTIAL : (flags & VNET_DATA_VALID) !== 0 ? CSUM_VALID : CSUM_NONE
  const type = buf[at + VNET.gsoType] & ~VNET_GSO_ECN
  if (type === VNET_GSO_NONE) return csum
  const gso =
    type === VNET_GSO_TCPV4 ? GSO_TCP4 : type === VNET_GSO_TCPV6 ? GSO_TCP6 : type === VNET_GSO_UDP_L4 ? GSO_UDP : GSO_NONE
  if (gso === GSO_NONE) return -1
  return frameMeta(csum, gso, buf[at + VNET.gsoSize] | (buf[at + VNET.gsoSize + 1] << 8))
}

/**
 * Writes the header for the frame `buf[start, end)` at `start - VNET_HEADER`. False when `meta` says PARTIAL or super-frame and
 * no TCP or UDP header can be found: such a frame cannot be sent.
 */
export function putVnetHeader(buf: Uint8Array, start: number, end: number, meta: number, ethernet: boolean): boolean {
  const at = start - VNET_HEADER
  const csum = meta & CSUM_MASK
  const gso = meta & GSO_MASK
  if (csum !== CSUM_PARTIAL && gso === GSO_NONE) {
    // Checksums are complete. DATA_VALID would not make the kernel skip them.
    for (let i = at; i < start; i++) buf[i] = 0
    return true
  }
  const packed = transportOf(buf, start, end, ethernet)
  if (packed < 0) return false
  const transport = packed >> 8
  const tcp = (packed & 0xff) === PROTOCOL_TCP
  let headers = 0
  let type = VNET_GSO_NONE
  if (gso !== GSO_NONE) {
    if (tcp === (gso === GSO_UDP)) return false
    headers = transport - start + (tcp ? (buf[transport + 12] >> 4) << 2 : UDP_HEADER)
    type = gso === GSO_TCP4 ? VNET_GSO_TCPV4 : gso === GSO_TCP6 ? VNET_GSO_TCPV6 : VNET_GSO_UDP_L4
    if (tcp && (buf[transport + 13] & 0x80) !== 0) type |= VNET_GSO_ECN
  }
  const partial = csum === CSUM_PARTIAL
  buf[at + VNET.flags] = partial ? VNET_NEEDS_CSUM : 0
  buf[at + VNET.gsoType] = type
  putLe16(buf, at + VNET.hdrLen, headers)
  putLe16(buf, at + VNET.gsoSize, gso === GSO_NONE ? 0 : gsoSize(meta))
  putLe16(buf, at + VNET.csumStart, partial ? transport - start : 0)
  putLe16(buf, at + VNET.csumOffset, partial ? (tcp ? TCP_CHECKSUM : UDP_CHECKSUM) : 0)
  return true
}

/** Bytes before the packet in an Ethernet frame: 14, and 4 for each of up to two tags. */
export function linkBytes(buf: Uint8Array, start: number): number {
  let bytes = ETH_HEADER
  for (let tags = 0; tags < 2; tags++) {
    const type = get16(buf, start + bytes - 2)
    if (type !== ETHERTYPE_VLAN && type !== ETHERTYPE_QINQ) break
    bytes += VLAN_TAG
  }
  return bytes
}

/** (offset of the transport header in `buf` << 8) | protocol, for TCP and UDP whose fixed header is whole; -1 otherwise. */
function transportOf(buf: Uint8Array, start: number, end: number, ethernet: boolean): number {
  let at = start
  let type: number
  if (ethernet) {
    at += linkBytes(buf, start)
    type = get16(buf, at - 2)
  } else {
    type = buf[start] >> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4
  }
  let protocol: number
  if (type === ETHERTYPE_IPV4) {
    protocol = buf[at + 9]
    at += (buf[at] & 15) << 2
  } else if (type === ETHERTYPE_IPV6) {
    protocol = buf[at + 6]
    at += IPV6_HEADER
    while (EXTENSIONS.includes(protocol) && at + 8 <= end) {
      protocol = buf[at]
      at += (buf[at + 1] + 1) << 3
    }
  } else return -1
  if (protocol === PROTOCOL_TCP) return at + 20 <= end ? (at << 8) | protocol : -1
  if (protocol === PROTOCOL_UDP) return at + UDP_HEADER <= end ? (at << 8) | protocol : -1
  return -1
}

function putLe16(buf: Uint8Array, off: number, value: number): void {
  buf[off] = value
  buf[off + 1] = value >>> 8
}

/**
 * `NetIf.offload` of a device with a virtio_net_hdr whose kernel accepted `accepted` in TUNSETOFFLOAD. Those bits are about what
 * the kernel may give us; what it takes from us comes with the header itself, except that USO must be known to it.
 */
export function offloadOf(accepted: number): number {
  let bits: number = Offload.TX_CHECKSUM | Offload.TSO4 | Offload.TSO6
  if ((accepted & TUN_F_CSUM) !== 0) bits |= Offload.RX_CHECKSUM
  if ((accepted & TUN_F_USO4) !== 0) bits |= Offload.USO
  return bits
}

const OFFLOAD_NAMES: readonly (readonly [number, string])[] = [
  [TUN_F_CSUM, 'csum'],
  [TUN_F_TSO4, 'tso4'],
  [TUN_F_TSO6, 'tso6'],
  [TUN_F_TSO_ECN, 'ecn'],
  [TUN_F_USO4, 'uso4'],
  [TUN_F_USO6, 'uso6'],
]

/** `csum,tso4,tso6`, for people. */
export function offloadNames(accepted: number): string {
  return OFFLOAD_NAMES.filter(([bit]) => (accepted & bit) !== 0)
    .map(([, name]) => name)
    .join(',')
}
