/**
 * `unixgram:///run/us.sock->/run/vm.sock`: one frame per datagram between two sockets of the UNIX domain, without a header, as QEMU's `-netdev dgram` has it with
 * `local.type=unix,local.path=/run/vm.sock,remote.type=unix,remote.path=/run/us.sock`.
 *
 * Theory of operation. Our socket is bound to the first path and connected to the second: so the kernel's queue of the peer is our back-pressure (EAGAIN, and
 * writable when it has read), and nobody else's datagrams are taken. frame-device.ts is the link. A datagram socket does not hear of its peer's end, and
 * one that stays connected to a dead peer refuses the next at the same path: so it is connected anew before a frame is given up, when a frame
 * comes from a peer that was not there, and once a second. No peer is no error: frames for it are lost and counted (`dropOutNoPeer`) until it is
 * there. A socket's file that a killed process has left is removed; one that is in use is not.
 */
import { lstatSync, rmSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { type DeviceCalls, FrameDevice } from './frame-device.ts'
import { ECONNREFUSED, ECONNRESET, EINTR, ENOTCONN, errnoName, type Libc } from './libc.ts'
import { checkOptions, type LinkUrl, linkUrlOf, numberOption } from './link-url.ts'
import { loadSystem, type System } from './system.ts'
import { bindUnix, connectUnix, disconnectUnix, unixDatagram } from './unix-datagram.ts'

/** The two files of frames in datagrams of UNIX sockets. */
export interface UnixgramLinkOptions {
  /** The path of our socket: the peer's `remote.path`. */
  path: string
  /** The path of the peer's socket, which need not be there yet: its `local.path`. */
  peer: string
  /** `unixgram:PATH` when left out. */
  name?: string | undefined
  /** Largest IP packet of a frame in bytes. 1500 when left out. */
  mtu?: number | undefined
}

/** No socket is there, a dead one, or one that is still connected to who was here before us: as ours would be, for a second. */
const NOT_YET = ['ENOENT', 'ECONNREFUSED', 'EPERM']
/** A frame-device reads 64 KiB and a header at most. */
const MOST_MTU = 65535

/**
 * Opens a link over UNIX datagrams to one peer, by options or by its URL.
 * @throws NetError with one line that says what to do: EADDRINUSE (somebody has our path), ENOENT (no such directory), EACCES, EPROTOTYPE (the peer's is no
 *   datagram socket), ENAMETOOLONG, ERR_INVALID_ARG_VALUE, ERR_KOFFI_UNAVAILABLE, ERR_UNSUPPORTED_PLATFORM.
 */
export async function openUnixgramLink(which: UnixgramLinkOptions | string, system?: System): Promise<FrameDevice> {
  const {
    path,
    peer,
    mtu = LINK_DEFAULTS.mtuBytes,
    name = `unixgram:${path}`,
  } = typeof which === 'string' ? unixgramOptions(linkUrlOf('unixgram', which)) : which
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > MOST_MTU)
    throw invalidArgument(`Invalid MTU ${mtu}: 68 to ${MOST_MTU} expected`)
  if (path === peer) throw invalidArgument(`Invalid link ${name}: its two paths are the same`)
  const { libc, waker } = system ?? (await loadSystem())
  const fd = unixDatagram(libc)
  const refused = bindUnixOver(libc, fd, path)
  if (refused !== null) {
    libc.close(fd)
    throw failed(name, refused, 'bind', path)
  }
  // The working directory may be another by then.
  const file = resolve(path)
  const { ino } = lstatSync(file)
  const remove = (): void => {
    // Whoever took the path over has a file of their own there.
    try {
      if (lstatSync(file).ino === ino) rmSync(file)
    } catch {
      // Gone already, or its directory is: there is nothing to remove.
    }
  }
  const calls = new PeerCalls(libc, fd, peer)
  const why = calls.meet()
  if (why !== null && !NOT_YET.includes(why)) {
    libc.close(fd)
    remove()
    throw failed(name, why, 'connect', peer)
  }
  const timer = setInterval(() => calls.meet(), LINK_DEFAULTS.unixPeerCheckMs)
  timer.unref()
  return new FrameDevice(calls, waker, {
    fd,
    name,
    medium: 'ethernet',
    mtu,
    what: `UNIX datagrams ${path} -> ${peer}`,
    gone: (errno) => {
      const code = errnoName(errno)
      return new NetError(code, { syscall: 'read', message: `${name} has ended (${code}): reading failed` })
    },
    release: () => {
      clearInterval(timer)
      remove()
    },
  })
}

/** The calls of a frame device, on a socket whose peer comes and goes. */
class PeerCalls implements DeviceCalls {
  private isConnected = false
  private lastErrno = 0

  constructor(
    private readonly libc: Libc,
    private readonly fd: number,
    private readonly peer: string,
  ) {}

  /** Connects to who is there now. Null, or why nobody is. */
  meet(): string | null {
    const why = connectUnix(this.libc, this.fd, this.peer)
    if (why === null) this.isConnected = true
    else if (this.isConnected) {
      this.isConnected = false
      disconnectUnix(this.libc, this.fd)
    }
    return why
  }

  read(fd: number, bytes: bigint | Uint8Array, length: number): number {
    const got = this.libc.read(fd, bytes, length)
    if (got < 0) {
      this.lastErrno = this.libc.errno()
      // The peer has let go of us: no end, and no frame. The next read says what there is.
      if (this.lastErrno === ECONNRESET) this.lastErrno = EINTR
    } else if (!this.isConnected) this.meet()
    return got
  }

  write(fd: number, bytes: bigint | Uint8Array, length: number): number {
    const sent = this.libc.write(fd, bytes, length)
    if (sent >= 0) return sent
    this.lastErrno = this.libc.errno()
    if (!isNoPeer(this.lastErrno)) return sent
    const { lastErrno } = this
    if (this.meet() !== null) {
      this.lastErrno = lastErrno
      return sent
    }
    const again = this.libc.write(fd, bytes, length)
    if (again < 0) this.lastErrno = this.libc.errno()
    return again
  }

  close(fd: number): number {
    return this.libc.close(fd)
  }

  errno(): number {
    return this.lastErrno
  }

  addressOf(buf: Uint8Array): bigint {
    return this.libc.addressOf(buf)
  }
}

/** Nobody is connected to, or nobody any more. */
function isNoPeer(errno: number): boolean {
  return errno === ECONNREFUSED || errno === ENOTCONN || errno === ECONNRESET
}

/** Binds the socket, over a file that a killed process has left. Null, or why not. */
function bindUnixOver(libc: Libc, fd: number, path: string): string | null {
  const why = bindUnix(libc, fd, path)
  if (why !== 'EADDRINUSE' || !isLeft(libc, path)) return why
  rmSync(path)
  return bindUnix(libc, fd, path)
}

/** Whether it is a socket, and nobody's. What else stands there is not ours to remove. */
function isLeft(libc: Libc, path: string): boolean {
  if (!lstatSync(path).isSocket()) return false
  const fd = unixDatagram(libc)
  try {
    return connectUnix(libc, fd, path) === 'ECONNREFUSED'
  } finally {
    libc.close(fd)
  }
}

function failed(name: string, code: string, syscall: string, path: string): NetError {
  return new NetError(code, { syscall, message: `Cannot open ${name} (${code}): ${advice(code, syscall, path)}` })
}

function advice(code: string, syscall: string, path: string): string {
  switch (code) {
    case 'EADDRINUSE':
      return `${path} is somebody else's: choose another path`
    case 'ENOENT':
      return `there is no directory ${dirname(path)}`
    case 'EACCES':
      return syscall === 'bind' ? `permission denied in ${dirname(path)}` : `permission denied to send to ${path}`
    case 'EPROTOTYPE':
      return `${path} is no datagram socket: for a stream it is unix://${path}`
    case 'ENAMETOOLONG':
      return 'the path of a socket has at most 107 bytes'
    default:
      return `the system refused to ${syscall}`
  }
}

/** The options of `unixgram://PATH->PEER?name=vm&mtu=1500`, ready for `openUnixgramLink`. */
export function unixgramOptions(url: LinkUrl): UnixgramLinkOptions {
  checkOptions(url, ['name', 'mtu'])
  const [path, peer, ...more] = url.target.replace('%3E', '>').replace('%3e', '>').split('->')
  if (path === '' || peer === undefined || peer === '' || more.length > 0) {
    throw invalidArgument(`Invalid link ${url.text}: unixgram://PATH->PEER is expected (in a shell between quotes)`)
  }
  return { path, peer, name: url.options.get('name'), mtu: numberOption(url, 'mtu') }
}
