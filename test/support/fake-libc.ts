/** A C library without a kernel: refuses what a test wants refused, and shows what it was asked. */

import { EAGAIN, type Libc } from '../../src/backend/libc.ts'
import type { TapSystem } from '../../src/backend/tap.ts'
import {
  IFREQ,
  SIOCGIFFLAGS,
  SIOCGIFINDEX,
  SIOCGIFMTU,
  SIOCSIFFLAGS,
  SIOCSIFMTU,
  TUNSETIFF,
} from '../../src/backend/tuntap-wire.ts'
import type { Waker, Watch, WatchOwner } from '../../src/backend/wake.ts'
import type { Prefix } from '../../src/base/address.ts'

/** A watch that is worked by hand. */
export class FakeWaker implements Waker, Watch {
  readonly kind = 'hand'
  owner: WatchOwner | null = null
  rearms = 0
  wants = 0
  refs: boolean[] = []
  closes = 0

  watch(_fd: number, owner: WatchOwner): Watch {
    this.owner = owner
    return this
  }

  rearm(): void {
    this.rearms++
  }

  wantWritable(): void {
    this.wants++
  }

  ref(on: boolean): void {
    this.refs.push(on)
  }

  close(): void {
    this.closes++
  }
}

const TAP_FD = 100
const SOCKET_FD = 200

export class FakeLibc implements Libc {
  /** Errno by name of call (`open`, `socket`, `read`, `write`) or by ioctl number; 0 or absent succeeds. */
  readonly fail = new Map<string | number, number>()
  /** Errno per (request, value) of an ioctl, e.g. `${TUNSETOFFLOAD}:111`. */
  readonly failValue = new Map<string, number>()
  readonly ioctls: [request: number, value: number][] = []
  readonly openFds = new Set<number>()
  /** Frames to be read, with their vnet header if there is one; then EAGAIN. */
  readonly incoming: Uint8Array[] = []
  readonly written: Uint8Array[] = []
  readonly netlink: Uint8Array[] = []
  netlinkErrno = 0
  device = { name: 'tap7', mtu: 1500, flags: 0x1002, index: 5 }
  lastErrno = 0
  private nextSocket = SOCKET_FD
  /** Buffers by pretended address, a gigabyte apart. */
  private readonly buffers: Uint8Array[] = []
  private readonly netlinkFds = new Set<number>()

  open(path: string): number {
    if (this.refused('open')) return -1
    if (path !== '/dev/net/tun') throw new Error(`open of ${path}`)
    this.openFds.add(TAP_FD)
    return TAP_FD
  }

  close(fd: number): number {
    if (!this.openFds.delete(fd)) throw new Error(`close of ${fd}, which is not open`)
    return 0
  }

  read(fd: number, bytes: bigint | Uint8Array, length: number): number {
    if (this.netlinkFds.has(fd)) {
      const answer = bytes as Uint8Array
      const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength)
      view.setUint16(4, 2, true)
      view.setInt32(16, -this.netlinkErrno, true)
      return 36
    }
    if (this.refused('read')) return -1
    const frame = this.incoming.shift()
    if (frame === undefined) {
      this.lastErrno = EAGAIN
      return -1
    }
    if (frame.length > length) throw new Error('the buffer is too small')
    const { buf, off } = this.find(bytes)
    buf.set(frame, off)
    return frame.length
  }

  write(fd: number, bytes: bigint | Uint8Array, length: number): number {
    if (this.netlinkFds.has(fd)) {
      this.netlink.push(Uint8Array.from(bytes as Uint8Array).slice(0, length))
      return length
    }
    if (this.refused('write')) return -1
    const { buf, off } = this.find(bytes)
    this.written.push(buf.slice(off, off + length))
    return length
  }

  ioctl(_fd: number, request: number, argument: Uint8Array): number {
    const view = new DataView(argument.buffer, argument.byteOffset, argument.byteLength)
    const value = view.getInt32(argument.length > 4 ? IFREQ.value : 0, true)
    this.ioctls.push([request, value])
    const valueErrno = this.failValue.get(`${request}:${value}`) ?? 0
    if (valueErrno !== 0) {
      this.lastErrno = valueErrno
      return -1
    }
    if (this.refused(request)) return -1
    if (request === TUNSETIFF) argument.fill(0, 0, 16).set(new TextEncoder().encode(this.device.name))
    else if (request === SIOCGIFMTU) view.setInt32(IFREQ.value, this.device.mtu, true)
    else if (request === SIOCSIFMTU) this.device.mtu = value
    else if (request === SIOCGIFFLAGS) view.setInt32(IFREQ.value, this.device.flags, true)
    else if (request === SIOCSIFFLAGS) this.device.flags = value
    else if (request === SIOCGIFINDEX) view.setInt32(IFREQ.value, this.device.index, true)
    return 0
  }

  ioctlValue(_fd: number, request: number, value: number): number {
    this.ioctls.push([request, value])
    const errno = this.failValue.get(`${request}:${value}`) ?? this.fail.get(request) ?? 0
    if (errno === 0) return 0
    this.lastErrno = errno
    return -1
  }

  socket(domain: number): number {
    if (this.refused('socket')) return -1
    const fd = this.nextSocket++
    if (domain === 16) this.netlinkFds.add(fd)
    this.openFds.add(fd)
    return fd
  }

  bind(): number {
    throw new Error('not used')
  }

  connect(): number {
    throw new Error('not used')
  }

  eventfd(): number {
    throw new Error('not used')
  }

  pollAsync(): void {
    throw new Error('not used')
  }

  errno(): number {
    return this.lastErrno
  }

  addressOf(buf: Uint8Array): bigint {
    let i = this.buffers.indexOf(buf)
    if (i < 0) i = this.buffers.push(buf) - 1
    return BigInt(i + 1) << 30n
  }

  uidOf(name: string): number {
    return name === 'alice' ? 1000 : -1
  }

  gidOf(name: string): number {
    return name === 'kvm' ? 78 : -1
  }

  /** The values that were given in one kind of ioctl, in order. */
  given(request: number): number[] {
    return this.ioctls.filter(([r]) => r === request).map(([, value]) => value)
  }

  private find(bytes: bigint | Uint8Array): { buf: Uint8Array; off: number } {
    if (typeof bytes !== 'bigint') return { buf: bytes, off: 0 }
    return { buf: this.buffers[Number(bytes >> 30n) - 1], off: Number(bytes & 0x3fffffffn) }
  }

  private refused(what: string | number): boolean {
    const errno = this.fail.get(what) ?? 0
    if (errno === 0) return false
    this.lastErrno = errno
    return true
  }
}

export interface FakeSystem extends TapSystem {
  libc: FakeLibc
  waker: FakeWaker
}

export function fakeSystem(hasAddress: (index: number, prefix: Prefix) => boolean = () => false): FakeSystem {
  return { libc: new FakeLibc(), waker: new FakeWaker(), hasAddress }
}
