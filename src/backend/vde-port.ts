/**
 * A port of a VDE switch, by the sockets of the UNIX domain themselves.
 *
 * Theory of operation. The switch's control socket is a stream, which Node has; the data socket is a datagram socket, which is made through
 * koffi and read by frame-device.ts. What is said over the first is in vde-control.ts. Our data socket needs a path only until the switch is
 * connected to it, and its path is removed as soon as it has answered, so nothing is left behind however the process ends.
 */
import { chmodSync, chownSync, realpathSync, rmSync, statSync } from 'node:fs'
import type { Socket } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { NetError } from '../base/errors.ts'
import { vdeDefaults } from '../base/vde-config.ts'
import { FrameDevice } from './frame-device.ts'
import { groupId } from './group-id.ts'
import { errnoName, type Libc } from './libc.ts'
import { connected } from './socket-places.ts'
import type { System } from './system.ts'
import { bindUnix, connectUnix, unixDatagram } from './unix-datagram.ts'
import { decodeUnixAddress, encodeRequest, UNIX_ADDRESS } from './vde-control.ts'
import { joinFailed, noPort, unplugged } from './vde-errors.ts'
import { hear } from './vde-hear.ts'

/** Which port of which switch, everything said. */
export interface VdePlan {
  /** Null: after the switch's directory. */
  readonly name: string | null
  /** The switch's directory; null: where switches usually are. */
  readonly directory: string | null
  /** 0: any. -1: port 0. */
  readonly port: number
  /** The name of a group of ports: its own control socket beside `ctl`. */
  readonly portGroup: string | null
  readonly group: string | number | null
  /** Of our data socket; null: ours alone, or as the switch needs it. */
  readonly mode: number | null
  readonly description: string
  readonly mtu: number
}

/** Joins the switch. @throws NetError that says what is wrong. */
export async function joinSwitch(system: System, plan: VdePlan): Promise<FrameDevice> {
  const { libc, waker } = system
  const { directory, control, controlPath } = await openControl(plan)
  const name = plan.name ?? `vde:${directory}`
  let fd = -1
  let path = ''
  try {
    fd = unixDatagram(libc)
    path = bindData(libc, fd, directory)
    permit(path, controlPath, plan)
    // As libvdeplug says it, for `port/print` of a switch.
    const description = `${plan.description} user=${userInfo().username} pid=${process.pid}`
    control.write(encodeRequest({ path, port: plan.port, description }))
    const answer = await hear(control, UNIX_ADDRESS, (bytes) =>
      bytes.length < UNIX_ADDRESS ? null : decodeUnixAddress(bytes),
    ).catch((error: NetError) => Promise.reject(joinFailed(directory, error.code, 'read')))
    if (answer === null) throw noPort(directory, plan.port)
    const refused = connectUnix(libc, fd, answer)
    if (refused !== null) throw joinFailed(directory, refused, 'connect')
    const number = /\/0*(\d+)\.\d+$/.exec(answer)?.[1]
    const device = new FrameDevice(libc, waker, {
      fd,
      name,
      medium: 'ethernet',
      mtu: plan.mtu,
      what: `${number === undefined ? 'a port' : `port ${number}`} of the VDE switch ${directory} through koffi`,
      gone: (errno) => joinFailed(directory, errnoName(errno), 'read'),
      release: () => void control.destroy(),
    })
    control.once('close', () => device.end(unplugged(name)))
    if (control.destroyed) device.end(unplugged(name))
    return device
  } catch (error) {
    if (fd >= 0) libc.close(fd)
    control.destroy()
    throw error
  } finally {
    if (path !== '') rmSync(path, { force: true })
  }
}

interface Control {
  directory: string
  controlPath: string
  control: Socket
}

/** The control stream, of the switch that is named or the first that is there. */
export async function openControl({ directory, portGroup }: VdePlan): Promise<Control> {
  let failed: NetError | null = null
  for (const candidate of directory === null ? vdeDefaults.directories : [directory]) {
    let real = candidate
    try {
      real = realpathSync(candidate) // the switch has another working directory
      const controlPath = join(real, portGroup ?? 'ctl')
      return { directory: real, controlPath, control: await connected({ path: controlPath }) }
    } catch (error) {
      const { code = 'EIO', syscall = 'connect' } = error as NodeJS.ErrnoException
      failed ??= joinFailed(real, code, syscall)
    }
  }
  throw failed
}

/** Binds our socket where the switch can reach it: in its own directory, or where everybody may. Returns the path. */
function bindData(libc: Libc, fd: number, directory: string): string {
  let why: string | null = 'EACCES'
  for (const [i, place] of [directory, ...vdeDefaults.socketDirectories].entries()) {
    const pid = String(process.pid).padStart(5, '0')
    for (let n = 0; n < 100_000; n++) {
      const path = join(place, `${i === 0 ? '.' : 'vde.'}${pid}-${String(n).padStart(5, '0')}`)
      why = bindUnix(libc, fd, path)
      if (why === null) return path
      if (why !== 'EADDRINUSE') break
    }
  }
  throw joinFailed(directory, why ?? 'EADDRINUSE', 'bind')
}

/** Lets the switch send to our socket. As libvdeplug: ours alone, or the switch's group's too, or everybody's where neither is possible. */
function permit(path: string, controlPath: string, { group, mode }: VdePlan): void {
  let bits = mode ?? vdeDefaults.socketMode
  if (group !== null) chownSync(path, -1, groupId(group))
  else if ((bits & 0o077) === 0) {
    const { uid, gid } = statSync(controlPath)
    if (uid !== 0 && uid !== process.geteuid?.()) {
      try {
        chownSync(path, -1, gid)
        bits |= 0o070
      } catch {
        bits |= 0o077
      }
    }
  }
  chmodSync(path, bits)
}
