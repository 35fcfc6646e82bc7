/** Connecting to a place, a UNIX socket's path or a port, and listening there: over what a killed process may have left, too. */
import { existsSync, lstatSync, rmSync } from 'node:fs'
import { connect, type ListenOptions, type NetConnectOpts, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { NetError } from '../base/errors.ts'

/** A stream to that place, which keeps no process alive. Rejects with Node's own error. */
export function connected(place: NetConnectOpts): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(place, () => {
      socket.off('error', reject)
      socket.on('error', () => undefined) // 'close' follows, and says all that matters
      socket.unref()
      resolve(socket)
    })
    socket.once('error', reject)
  })
}

/** What is needed of a server: Node's, or one with its shape. */
export interface Listening {
  listen(place: ListenOptions, done: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

/** Rejects with Node's own error; EADDRINUSE on a path means that somebody serves it, and not only that it is there. */
export async function listenAt(server: Listening, place: ListenOptions): Promise<void> {
  const { path } = place
  // libuv says EACCES both of what may not be and of what cannot.
  if (path !== undefined && !existsSync(dirname(path)))
    throw new NetError('ENOENT', { syscall: 'listen', message: `listen ENOENT ${path}: there is no directory ${dirname(path)}` })
  try {
    await bind(server, place)
  } catch (error) {
    if (path === undefined || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || !(await isLeft(path))) throw error
    rmSync(path)
    await bind(server, place)
  }
}

function bind(server: Listening, place: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      server.off('error', failed)
      reject(error)
    }
    server.on('error', failed)
    server.listen(place, () => {
      server.off('error', failed)
      resolve()
    })
  })
}

/** Whether it is a socket, and nobody's. What else stands there is not ours to remove. */
async function isLeft(path: string): Promise<boolean> {
  if (!lstatSync(path).isSocket()) return false
  try {
    const socket = await connected({ path })
    socket.destroy()
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
  }
}
