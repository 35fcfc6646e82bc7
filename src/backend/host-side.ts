/**
 * The kernel's side of a tap: its MTU, its addresses, up or down. As `ip` would do it, without spawning `ip`.
 *
 * Theory of operation. MTU and flags by ioctl on a datagram socket. Addresses by one rtnetlink message each (rtnetlink(7)), not by
 * SIOCSIFADDR: that ioctl replaces what an administrator may have put on a persistent tap, knows one IPv4 address per
 * name, and leaves an IPv6 address tentative for a second (duplicate address detection) in which nothing can be sent from it.
 * Whatever is already as asked is left alone, so that the owner of a persistent tap needs no privilege to use it again.
 */
import * as layout from 'buffer-layout'
import type { Prefix } from '../base/address.ts'
import { put32 } from '../base/bytes.ts'
import { NetError } from '../base/errors.ts'
import type { Libc } from './libc.ts'
import { EACCES, EEXIST, errnoName, O_CLOEXEC, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_RAW } from './libc.ts'
import { hostFailed } from './tuntap-errors.ts'
import {
  IFF_UP,
  IFREQ,
  IFREQ_SIZE,
  SIOCGIFFLAGS,
  SIOCGIFHWADDR,
  SIOCGIFINDEX,
  SIOCGIFMTU,
  SIOCSIFFLAGS,
  SIOCSIFMTU,
} from './tuntap-wire.ts'

export const AF_INET = 2
export const AF_INET6 = 10
export const AF_NETLINK = 16
export const NETLINK_ROUTE = 0

const RTM_NEWADDR = 20
const NLMSG_ERROR = 2
const NLM_F_REQUEST = 0x001
const NLM_F_ACK = 0x004
const NLM_F_EXCL = 0x200
const NLM_F_CREATE = 0x400
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_BROADCAST = 4
const IFA_F_NODAD = 0x02

export const addressMessage = layout.struct([
  layout.u32('length'),
  layout.u16('type'),
  layout.u16('flags'),
  layout.u32('sequence'),
  layout.u32('port'),
  layout.u8('family'),
  layout.u8('prefixLength'),
  layout.u8('addressFlags'),
  layout.u8('scope'),
  layout.u32('index'),
])
/** A struct nlmsgerr: header, negated errno, the request's header. */
const ERROR_AT = 16

export class HostSide {
  private readonly socket: number
  private readonly request = Buffer.alloc(IFREQ_SIZE)

  /** @throws NetError when the kernel gives no socket. */
  constructor(
    private readonly libc: Libc,
    private readonly name: string,
  ) {
    this.socket = libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if (this.socket < 0) throw new NetError(errnoName(libc.errno()), { syscall: 'socket' })
  }

  close(): void {
    this.libc.close(this.socket)
  }

  get mtu(): number {
    this.ask(SIOCGIFMTU, 'read the MTU')
    return this.request.readInt32LE(IFREQ.value)
  }

  /** @throws NetError EPERM, EINVAL (out of the device's range). */
  setMtu(mtu: number): void {
    if (this.mtu === mtu) return
    this.begin()
    this.request.writeInt32LE(mtu, IFREQ.value)
    if (this.libc.ioctl(this.socket, SIOCSIFMTU, this.request) < 0) {
      throw hostFailed(`set the MTU of ${this.name} to ${mtu}`, this.libc.errno(), `ip link set ${this.name} mtu ${mtu}`)
    }
  }

  /** Its number. */
  get index(): number {
    this.ask(SIOCGIFINDEX, 'find')
    return this.request.readInt32LE(IFREQ.value)
  }

  /** What kind of hardware it is: ARPHRD_ETHER, ... */
  get hardware(): number {
    this.ask(SIOCGIFHWADDR, 'read the hardware type')
    return this.request.readUInt16LE(IFREQ.value)
  }

  get up(): boolean {
    this.ask(SIOCGIFFLAGS, 'read the flags')
    return (this.request.readUInt16LE(IFREQ.value) & IFF_UP) !== 0
  }

  setUp(up: boolean): void {
    if (this.up === up) return
    // The flags that `up` has just read are still in the request.
    this.request.writeUInt16LE(this.request.readUInt16LE(IFREQ.value) ^ IFF_UP, IFREQ.value)
    if (this.libc.ioctl(this.socket, SIOCSIFFLAGS, this.request) < 0) {
      const to = up ? 'up' : 'down'
      throw hostFailed(`set ${this.name} ${to}`, this.libc.errno(), `ip link set ${this.name} ${to}`)
    }
  }

  /**
   * Adds an address. One that is there already is left alone.
   * @param present whether the interface has the address: asked when the kernel refuses for want of privilege.
   */
  addAddress(prefix: Prefix, present: (index: number, prefix: Prefix) => boolean): void {
    const { index } = this
    const errno = this.netlink(encodeAddress(prefix, index))
    if (errno === 0 || errno === EEXIST || present(index, prefix)) return
    const what = `give ${this.name} the address ${prefix}`
    if (errno === EACCES && !prefix.address.isV4) {
      // The kernel's words for disable_ipv6; want of privilege is EPERM.
      throw new NetError('EACCES', {
        syscall: 'netlink',
        message: `Cannot ${what} (EACCES): IPv6 is disabled there: \`sysctl net.ipv6.conf.${this.name}.disable_ipv6=0\``,
      })
    }
    throw hostFailed(what, errno, `ip addr add ${prefix} dev ${this.name}`)
  }

  /** Sends one request to the kernel; 0 or the errno that it answers. The answer is there when write(2) returns. */
  private netlink(message: Buffer): number {
    const libc = this.libc
    const fd = libc.socket(AF_NETLINK, SOCK_RAW | O_CLOEXEC, NETLINK_ROUTE)
    if (fd < 0) return libc.errno()
    const answer = Buffer.alloc(1024)
    let errno = 0
    if (libc.write(fd, message, message.length) < 0) errno = libc.errno()
    else {
      const n = libc.read(fd, answer, answer.length)
      if (n < 0) errno = libc.errno()
      else if (n >= ERROR_AT + 4 && answer.readUInt16LE(4) === NLMSG_ERROR) errno = -answer.readInt32LE(ERROR_AT)
    }
    libc.close(fd)
    return errno
  }

  private begin(): void {
    this.request.fill(0)
    this.request.write(this.name, IFREQ.name, 'utf8')
  }

  private ask(request: number, what: string): void {
    this.begin()
    if (this.libc.ioctl(this.socket, request, this.request) < 0) {
      throw hostFailed(`${what} of ${this.name}`, this.libc.errno(), `ip link show ${this.name}`)
    }
  }
}

/** RTM_NEWADDR for interface `index`. IPv4 gets its broadcast address, as ifconfig gives it; IPv6 skips DAD: the wire is ours. */
export function encodeAddress(prefix: Prefix, index: number): Buffer {
  const a = prefix.address
  const v4 = a.isV4
  const bytes = new Uint8Array(v4 ? 4 : 16)
  const words = v4 ? [a.w3] : [a.w0, a.w1, a.w2, a.w3]
  for (let i = 0; i < words.length; i++) put32(bytes, i * 4, words[i])
  const attributes: [number, Uint8Array][] = [
    [IFA_LOCAL, bytes],
    [IFA_ADDRESS, bytes],
  ]
  if (prefix.broadcast !== null) {
    const broadcast = new Uint8Array(4)
    put32(broadcast, 0, prefix.broadcast.w3)
    attributes.push([IFA_BROADCAST, broadcast])
  }
  const length = addressMessage.span + attributes.length * (4 + bytes.length)
  const message = Buffer.alloc(length)
  addressMessage.encode(
    {
      length,
      type: RTM_NEWADDR,
      flags: NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
      sequence: 1,
      port: 0,
      family: v4 ? AF_INET : AF_INET6,
      prefixLength: prefix.length,
      addressFlags: v4 ? 0 : IFA_F_NODAD,
      scope: 0,
      index,
    },
    message,
  )
  let at = addressMessage.span
  for (const [type, value] of attributes) {
    message.writeUInt16LE(4 + value.length, at)
    message.writeUInt16LE(type, at + 2)
    message.set(value, at + 4)
    at += 4 + value.length
  }
  return message
}
