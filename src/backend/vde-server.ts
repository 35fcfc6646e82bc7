/**
 * A VDE control socket of our own: `vde_plug vde:///tmp/sw`, `vdens vde:///tmp/sw`, QEMU's `-netdev vde` and our `vde://` connect to it, and each
 * connection is a link, given to whoever is to have it: a switch, a hub, a stack.
 *
 * Theory of operation. The control socket `ctl` is a stream server of Node's in the directory. Each connection says one request (vde-control.ts); a
 * datagram socket is made for it, connected to the asker's, bound to a path of its own beside `ctl`, and told to the asker; frame-device.ts
 * makes it a link. The connection's end is the unplugging: the link ends. A link that is closed here closes the connection, which the other side
 * hears. Paths are removed when their port goes, and all of them at the end of the process; what a killed process left behind is taken over by the next.
 */
import { chmodSync, chownSync, mkdirSync, realpathSync, rmdirSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { invalidArgument } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { VDE_MAX_MTU, vdeDefaults } from '../base/vde-config.ts'
import type { NetIf } from '../netif/netif.ts'
import { splitBrackets, vnlMode, vnlNumber, vnlOptions } from '../vde/vnl.ts'
import { FrameDevice } from './frame-device.ts'
import { groupId } from './group-id.ts'
import { listenAt } from './socket-places.ts'
import { loadSystem, type System } from './system.ts'
import { bindUnix, connectUnix, unixDatagram } from './unix-datagram.ts'
import { decodeRequest, encodeUnixAddress, MAX_REQUEST, type PortRequest } from './vde-control.ts'
import { serveFailed, unplugged } from './vde-errors.ts'
import { hear } from './vde-hear.ts'

/** Who connected. */
export interface VdeVisitor {
  /** The number of the port, asked for or given. */
  readonly port: number
  /** What the visitor says of itself: `vdeplug: user=alice pid=42`. */
  readonly description: string
}

/** Takes the link of each connection: a switch, or a function. One that throws refuses the connection. */
export type VdeTarget = ((link: NetIf, visitor: VdeVisitor) => void) | { join(link: NetIf): unknown }

/** Who may connect to the control socket, and who hears of those that were refused. */
export interface VdeServerOptions {
  /** Permissions of the sockets. 0o600 when left out. */
  mode?: number
  /** Permissions of the directory, if it is made. 0o2700, or as `mode` needs it, when left out. */
  directoryMode?: number
  /** Group of users, by name or number, that the sockets and the directory belong to. */
  group?: string | number
  /** Largest IP packet of a frame, up to 9216 bytes. 1500 when left out. */
  mtu?: number
  /** Told of a request that was refused, and why. */
  onRefused?: (why: string) => void
}

const OPTIONS = ['mode', 'dirmode', 'group', 'mtu']

/** `/tmp/vde.ctl[mode=660/group=vde]` in two. Throws ERR_INVALID_ARG_VALUE. */
export function vdeServerOptions(text: string): { directory: string; options: VdeServerOptions } {
  const { path, options: inside } = splitBrackets(text)
  if (path === '') throw invalidArgument(`Invalid VDE switch ${JSON.stringify(text)}: a directory is expected`)
  const given = vnlOptions(inside, OPTIONS, text)
  return {
    directory: path,
    options: {
      mode: vnlMode(given, 'mode', text),
      directoryMode: vnlMode(given, 'dirmode', text),
      group: given.get('group'),
      mtu: vnlNumber(given, 'mtu', MIN_MTU, VDE_MAX_MTU, text),
    },
  }
}

const MIN_MTU = 68

interface Plug {
  readonly device: FrameDevice
  /** Of its data socket. */
  readonly path: string
}

/**
 * Serves a VDE control socket in `directory`, which is made if it is not there.
 * @throws NetError EADDRINUSE (another switch serves it), EACCES, ENOTDIR, ERR_INVALID_ARG_VALUE, ERR_KOFFI_UNAVAILABLE, ERR_UNSUPPORTED_PLATFORM.
 */
export async function serveVde(
  target: VdeTarget,
  directory: string,
  options: VdeServerOptions = {},
  system?: System,
): Promise<VdeServer> {
  const { mtu = LINK_DEFAULTS.mtuBytes } = options
  if (!Number.isInteger(mtu) || mtu < MIN_MTU || mtu > VDE_MAX_MTU)
    throw invalidArgument(`Invalid MTU ${mtu}: ${MIN_MTU} to ${VDE_MAX_MTU} expected`)
  const group = options.group === undefined ? -1 : groupId(options.group)
  const server = new VdeServer(target, system ?? (await loadSystem()), directory, group, mtu, options)
  await server.open()
  return server
}

/** The same for a command: options stand in brackets behind the directory. */
export function serveVdeAt(target: VdeTarget, text: string, onRefused: (why: string) => void): Promise<VdeServer> {
  const { directory, options } = vdeServerOptions(text)
  return serveVde(target, directory, { ...options, onRefused })
}

/** The control socket of a switch, as vde_switch has one, until it is closed. Made by `serveVde`. */
export class VdeServer {
  /** The directory, absolute. */
  directory: string
  /** Requests that were refused. */
  refused = 0
  private readonly ports = new Map<number, Plug>()
  private readonly visitors = new Set<Socket>()
  private readonly server: Server
  private readonly mode: number
  private madeDirectory = false
  private isOpen = false
  private readonly atExit = (): void => this.removeFiles()

  constructor(
    private readonly target: VdeTarget,
    private readonly system: System,
    directory: string,
    private readonly group: number,
    private readonly mtu: number,
    private readonly options: VdeServerOptions,
  ) {
    this.directory = directory
    this.mode = options.mode ?? vdeDefaults.serverMode
    this.server = createServer((socket) => void this.visit(socket))
    this.server.maxConnections = vdeDefaults.maxConnections
  }

  /** Ports that are plugged in. */
  get count(): number {
    return this.ports.size
  }

  async open(): Promise<void> {
    try {
      this.makeDirectory()
      await this.listen()
    } catch (error) {
      const { code = 'EIO', syscall = 'listen' } = error as NodeJS.ErrnoException
      if (this.madeDirectory) rmSync(this.directory, { recursive: true, force: true })
      throw serveFailed(this.directory, code, syscall)
    }
    this.isOpen = true
    process.once('exit', this.atExit)
  }

  /** Ends all ports, as if their visitors had gone, and removes the files. */
  async close(): Promise<void> {
    if (!this.isOpen) return
    this.isOpen = false
    process.removeListener('exit', this.atExit)
    const ended = new Promise<void>((resolve) => this.server.close(() => resolve()))
    for (const { device } of [...this.ports.values()]) device.end()
    for (const socket of this.visitors) socket.destroy()
    this.removeFiles()
    await ended
  }

  private makeDirectory(): void {
    try {
      mkdirSync(this.directory)
      this.madeDirectory = true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    this.directory = realpathSync(this.directory)
    if (!this.madeDirectory) return
    const { directoryMode = this.options.mode === undefined ? vdeDefaults.serverDirectoryMode : passable(this.mode) } =
      this.options
    if (this.group >= 0) chownSync(this.directory, -1, this.group)
    chmodSync(this.directory, directoryMode)
  }

  private async listen(): Promise<void> {
    const path = join(this.directory, 'ctl')
    if (encodeUnixAddress(path) === null) throw Object.assign(new Error(path), { code: 'ENAMETOOLONG' })
    await listenAt(this.server, { path })
    this.permit(path)
  }

  private permit(path: string): void {
    if (this.group >= 0) chownSync(path, -1, this.group)
    chmodSync(path, this.mode)
  }

  private async visit(socket: Socket): Promise<void> {
    this.visitors.add(socket)
    socket.unref()
    socket.on('error', () => undefined) // 'close' follows
    socket.once('close', () => this.visitors.delete(socket))
    const request = await hear(socket, MAX_REQUEST, decodeRequest).catch((error: Error) => error.message)
    if (request === null || socket.destroyed || !this.isOpen) {
      socket.destroy()
      return
    }
    const refused = typeof request === 'string' ? request : this.plug(socket, request)
    if (refused === null) return
    this.refused++
    socket.destroy()
    this.options.onRefused?.(refused)
  }

  /** Makes a port of a connection. Null, or why not. */
  private plug(socket: Socket, request: PortRequest): string | null {
    const port = this.portFor(request.port)
    if (port < 0) return `port ${request.port} is taken (${request.description})`
    const { libc, waker } = this.system
    const fd = unixDatagram(libc)
    const path = join(this.directory, `${String(port).padStart(3, '0')}.${fd}`)
    rmSync(path, { force: true })
    const failed = connectUnix(libc, fd, request.path) ?? bindUnix(libc, fd, path)
    if (failed !== null) {
      libc.close(fd)
      rmSync(path, { force: true })
      return `${request.path} or ${path}: ${failed}`
    }
    const name = `vde:${this.directory}.${port}`
    const device = new FrameDevice(libc, waker, {
      fd,
      name,
      medium: 'ethernet',
      mtu: this.mtu,
      what: `port ${port} of our VDE switch ${this.directory} (${request.description})`,
      gone: () => unplugged(name),
      release: () => {
        this.ports.delete(port)
        rmSync(path, { force: true })
        socket.destroy()
      },
    })
    this.ports.set(port, { device, path })
    socket.once('close', () => device.end())
    // Before the visitor is told where to send: who is refused shall not think that he is in.
    try {
      this.permit(path)
      const { target } = this
      if (typeof target === 'function') target(device, { port, description: request.description })
      else target.join(device)
    } catch (error) {
      void device.close()
      return (error as Error).message
    }
    const answer = encodeUnixAddress(path)
    if (answer !== null) socket.write(answer)
    return null
  }

  /** The number that is asked for, or the least that is free; -1: it is taken. */
  private portFor(asked: number): number {
    if (asked !== 0) {
      const port = Math.max(asked, 0)
      return this.ports.has(port) ? -1 : port
    }
    let port = 1
    while (this.ports.has(port)) port++
    return port
  }

  private removeFiles(): void {
    for (const { path } of this.ports.values()) rmSync(path, { force: true })
    rmSync(join(this.directory, 'ctl'), { force: true })
    if (!this.madeDirectory) return
    try {
      rmdirSync(this.directory)
    } catch {
      // Somebody keeps something else in it.
    }
  }
}

/** Permissions of a directory that make those of its sockets of use: who may read or write there may pass (vde-2, datasock.c). */
function passable(mode: number): number {
  let directory = 0o2000 | mode
  for (const shift of [0, 3, 6]) if (((mode >> shift) & 6) !== 0) directory |= 1 << shift
  return directory
}
