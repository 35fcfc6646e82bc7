/**
 * What crosses an AF_PACKET socket (packet(7), linux/if_packet.h), and the calls for it.
 *
 * Frames are read by recvmsg(2), not read(2): the kernel takes a VLAN tag out of the frame before a packet socket sees it, and says it in PACKET_AUXDATA
 * beside it. It is put back here, so that what is heard is what was on the wire. The structures are those of machines with pointers of 64 bits.
 */
import * as layout from 'buffer-layout'
import { offsetsOf } from '../base/layout.ts'
import type { Koffi, Libc } from './libc.ts'

export const AF_PACKET = 17
export const ETH_P_ALL = 3
/** linux/if_arp.h. The loopback interface carries Ethernet frames too. */
export const ARPHRD_ETHER = 1
export const ARPHRD_LOOPBACK = 772

export const SOL_SOCKET = 1
export const SO_RCVBUF = 8
export const SO_RCVBUFFORCE = 33
export const SOL_PACKET = 263
export const PACKET_ADD_MEMBERSHIP = 1
export const PACKET_AUXDATA = 8
export const PACKET_VNET_HDR = 15
/** Linux 4.20: no frames that this machine sends itself. */
export const PACKET_IGNORE_OUTGOING = 23
const PACKET_MR_PROMISC = 1

const sockaddr = layout.struct([
  layout.u16('family'),
  layout.u16be('protocol'),
  layout.u32('index'),
  layout.u16('hardware'),
  layout.u8('type'),
  layout.u8('length'),
  layout.blob(8, 'address'),
])

const membership = layout.struct([layout.u32('index'), layout.u16('type'), layout.u16('length'), layout.blob(8, 'address')])

const auxdata = layout.struct([
  layout.u32('status'),
  layout.u32('length'),
  layout.u32('snapLength'),
  layout.u16('mac'),
  layout.u16('net'),
  layout.u16('vlanTci'),
  layout.u16('vlanTpid'),
])
const AUX = offsetsOf(auxdata, ['status', 'vlanTci', 'vlanTpid'] as const)
const TP_STATUS_VLAN_VALID = 0x10
const TP_STATUS_VLAN_TPID_VALID = 0x40
const ETHERTYPE_VLAN = 0x8100
const VLAN_TAG = 4
/** Both addresses of an Ethernet frame. */
const MACS = 12

/** struct sockaddr_ll for bind(2): all frames of one interface. */
export function packetAddress(index: number): Uint8Array {
  const bytes = Buffer.alloc(sockaddr.span)
  sockaddr.encode(
    { family: AF_PACKET, protocol: ETH_P_ALL, index, hardware: 0, type: 0, length: 0, address: Buffer.alloc(8) },
    bytes,
  )
  return bytes
}

/** struct packet_mreq: frames for whomever, as long as the socket is open. */
export function promiscuous(index: number): Uint8Array {
  const bytes = Buffer.alloc(membership.span)
  membership.encode({ index, type: PACKET_MR_PROMISC, length: 0, address: Buffer.alloc(8) }, bytes)
  return bytes
}

/** The calls that only packet sockets need. */
export interface PacketCalls {
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, length: number): number
  recvmsg(fd: number, message: Uint8Array, flags: number): number
}

/** Those of the C library. */
export function packetCalls(koffi: Koffi): PacketCalls {
  const self = koffi.load(null)
  return {
    setsockopt: self.func('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'uint']) as PacketCalls['setsockopt'],
    recvmsg: self.func('recvmsg', 'long', ['int', 'void *', 'int']) as PacketCalls['recvmsg'],
  }
}

/** struct msghdr, iovec and cmsghdr with pointers of 64 bits, little-endian. */
const MSG = { iov: 16, iovCount: 24, control: 32, controlLength: 40, size: 56 } as const
const CMSG = { level: 8, type: 12, data: 16 } as const
const CONTROL = 64

/** Reads frames, one in each call, with their tags. */
export class PacketReader {
  private readonly message = new Uint8Array(MSG.size)
  private readonly iov = new Uint8Array(16)
  private readonly control = new Uint8Array(CONTROL)
  private readonly messageView = new DataView(this.message.buffer)
  private readonly controlView = new DataView(this.control.buffer)
  /** Where an Ethernet header's type is, behind the header of the virtio kind. */
  private readonly tagAt: number

  /** @param skip bytes before the Ethernet frame @param address of `rx[at]` */
  constructor(
    private readonly libc: Libc,
    private readonly calls: PacketCalls,
    private readonly fd: number,
    private readonly rx: Uint8Array,
    private readonly at: number,
    address: bigint,
    most: number,
    skip: number,
  ) {
    const iov = new DataView(this.iov.buffer)
    iov.setBigUint64(0, address, true)
    iov.setBigUint64(8, BigInt(most), true)
    this.messageView.setBigUint64(MSG.iov, libc.addressOf(this.iov), true)
    this.messageView.setUint32(MSG.iovCount, 1, true)
    this.messageView.setBigUint64(MSG.control, libc.addressOf(this.control), true)
    this.tagAt = at + skip + MACS
  }

  /** The length of what was read, with its header; or the negated errno. */
  read(): number {
    const { messageView, controlView, rx, tagAt, at } = this
    messageView.setUint32(MSG.controlLength, CONTROL, true)
    const got = this.calls.recvmsg(this.fd, this.message, 0)
    if (got < 0) return -this.libc.errno()
    const end = at + got
    if (messageView.getUint32(MSG.controlLength, true) < CMSG.data + auxdata.span || end < tagAt) return got
    if (controlView.getInt32(CMSG.level, true) !== SOL_PACKET || controlView.getInt32(CMSG.type, true) !== PACKET_AUXDATA)
      return got
    const status = controlView.getUint32(CMSG.data + AUX.status, true)
    if ((status & TP_STATUS_VLAN_VALID) === 0) return got
    const tpid =
      (status & TP_STATUS_VLAN_TPID_VALID) === 0 ? ETHERTYPE_VLAN : controlView.getUint16(CMSG.data + AUX.vlanTpid, true)
    const tci = controlView.getUint16(CMSG.data + AUX.vlanTci, true)
    rx.copyWithin(tagAt + VLAN_TAG, tagAt, end)
    rx[tagAt] = tpid >>> 8
    rx[tagAt + 1] = tpid
    rx[tagAt + 2] = tci >>> 8
    rx[tagAt + 3] = tci
    return got + VLAN_TAG
  }
}
