/**
 * What goes wrong when a tap is opened, in one line each: what was tried, why it failed, what to do. The `code` is the kernel's.
 */
import { invalidArgument, NetError } from '../base/errors.ts'
import { EACCES, EBUSY, EINVAL, ENODEV, ENOENT, ENXIO, EPERM, errnoName } from './libc.ts'
import { IFNAMSIZ, TUN_DEVICE } from './tuntap-wire.ts'

export type Kind = 'tap' | 'tun'

/** The ways to a tap for who is not root. */
function withoutRoot(kind: Kind, name: string): string {
  const device = name.includes('%') ? `${kind}0` : name
  return (
    `make the device once for yourself with ` +
    `\`sudo ip tuntap add dev ${device} mode ${kind} user $USER\`, or run it in a network of its own with \`unshare -Urn\``
  )
}

/** An interface name as the kernel takes it; ERR_INVALID_ARG_VALUE otherwise. One `%d` stands for the first free number. */
export function checkName(kind: Kind, name: string): void {
  const bytes = new TextEncoder().encode(name).length
  const refuse = (why: string): never => {
    throw invalidArgument(`Invalid ${kind} name ${JSON.stringify(name)}: ${why}`)
  }
  if (bytes === 0) refuse('it is empty')
  if (bytes >= IFNAMSIZ) refuse(`it has ${bytes} bytes, an interface name has at most ${IFNAMSIZ - 1}`)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a name with a NUL would be cut there
  if (/[/:\s\u0000-\u001f]/.test(name) || name === '.' || name === '..') refuse('no slash, colon or white space is allowed')
  if (name.replace('%d', '').includes('%')) refuse('the only pattern is one %d')
}

/** open(2) of /dev/net/tun failed. */
export function openFailed(kind: Kind, name: string, errno: number): NetError {
  const code = errnoName(errno)
  const tried = `Cannot open ${TUN_DEVICE} for ${name} (${code}): `
  const place = { syscall: 'open' }
  if (errno === ENOENT || errno === ENODEV || errno === ENXIO) {
    return new NetError(code, {
      ...place,
      message:
        `${tried}this machine has no tun driver: load it with \`sudo modprobe tun\`; ` +
        `in a container add --device ${TUN_DEVICE} --cap-add NET_ADMIN`,
    })
  }
  if (errno === EPERM || errno === EACCES) {
    // Nothing but the file's mode is in the way yet: not even a network namespace of one's own would help.
    return new NetError(code, {
      ...place,
      message:
        `${tried}permission denied: run it with sudo, or open the device to users with \`sudo chmod 666 ${TUN_DEVICE}\` ` +
        `(its usual mode) and then either ${withoutRoot(kind, name)}`,
    })
  }
  return new NetError(code, { ...place, message: `${tried}the kernel refused` })
}

/** TUNSETIFF failed. */
export function attachFailed(kind: Kind, name: string, errno: number): NetError {
  const code = errnoName(errno)
  const tried = `Cannot create or attach ${kind} ${name} (${code}): `
  const place = { syscall: 'ioctl' }
  if (errno === EPERM || errno === EACCES) {
    return new NetError(code, { ...place, message: `${tried}permission denied: run it with sudo, or ${withoutRoot(kind, name)}` })
  }
  if (errno === EBUSY) {
    return new NetError(code, {
      ...place,
      message: `${tried}another program holds it: end that one, or choose another name (${kind}%d takes the first free number)`,
    })
  }
  if (errno === EINVAL) {
    return new NetError(code, {
      ...place,
      message:
        `${tried}an interface of that name exists and is not a ${kind} that can be attached ` +
        `(another kind of device, or made with multi_queue): choose another name, or remove it with \`sudo ip link del ${name}\``,
    })
  }
  return new NetError(code, { ...place, message: `${tried}the kernel refused` })
}

/** A later ioctl on the device failed: `what` says which, as in `make tap0 persistent`. */
export function setupFailed(what: string, errno: number): NetError {
  const code = errnoName(errno)
  return new NetError(code, { syscall: 'ioctl', message: `Cannot ${what} (${code}): the kernel refused` })
}

/** The host's side could not be configured: `what` as in `set the MTU of tap0 to 9000`; `command` is what root would type. */
export function hostFailed(what: string, errno: number, command: string): NetError {
  const code = errnoName(errno)
  const denied = errno === EPERM || errno === EACCES
  return new NetError(code, {
    syscall: 'ioctl',
    message: denied
      ? `Cannot ${what} (${code}): permission denied: run it with sudo, or let root do it once with \`sudo ${command}\``
      : `Cannot ${what} (${code}): the kernel refused; \`${command}\` would tell the same`,
  })
}

/** The link died under us: someone deleted the interface. */
export function deviceGone(name: string, errno: number): NetError {
  const code = errnoName(errno)
  return new NetError(code, {
    syscall: 'read',
    message: `${name} is gone (${code}): the interface was deleted while it was open`,
  })
}
