/** Waiting for what the other side of a control socket has to say, with bounds on time and length. */
import type { Socket } from 'node:net'
import { NetError } from '../base/errors.ts'
import { vdeDefaults } from '../base/vde-config.ts'

/**
 * Gathers what comes until `read` makes something of it (null: more is needed) or `most` bytes are there. Resolves to null when the other side closed
 * before. Afterwards the stream flows on, and what comes is thrown away: only its end is of interest.
 */
export function hear<T>(socket: Socket, most: number, read: (bytes: Buffer) => T | null): Promise<T | null> {
  return new Promise((resolve, reject) => {
    let had = Buffer.alloc(0)
    const done = (result: T | null): void => {
      clearTimeout(timer)
      socket.off('data', data).off('close', closed)
      socket.resume()
      resolve(result)
    }
    const timer = setTimeout(() => {
      socket.off('data', data).off('close', closed)
      reject(new NetError('ETIMEDOUT', { syscall: 'read' }))
    }, vdeDefaults.answerMs)
    const closed = (): void => done(null)
    const data = (chunk: Buffer): void => {
      had = Buffer.concat([had, chunk])
      const result = read(had)
      if (result !== null || had.length >= most) done(result)
    }
    socket.on('data', data).once('close', closed)
  })
}
