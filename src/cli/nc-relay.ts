/**
 * Bytes between standard input and output and a connection, or datagrams.
 *
 * Theory of operation, of a stream. Each direction stops when it cannot go on and goes on when it can: what the output does not take is not read from the
 * connection, whose window then closes, and what the connection does not take is not read from standard input. Each ends by itself: the other side's FIN ends what
 * we write, and our input's end is told as FIN only if that was asked for (-N), as services that answer need their client to stay. It is over when both have ended
 * (for who listens: when the other side has), or when the connection breaks, or when nothing came either way for the time of -w.
 */
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import type { Host, TimerHandle } from '../base/clock.ts'
import { NetError, wordsOf } from '../base/errors.ts'
import type { DgramSocket, RemoteInfo } from '../node/dgram.ts'

export interface StreamManner {
  /** FIN when the input ends. */
  shutdown: boolean
  /** 0: never. */
  timeoutMs: number
  /** It is over with the other side's FIN, whatever input may still come: who listens serves. */
  serves: boolean
}

/** Resolves when it is over. Rejects when the connection breaks, or output cannot be written. */
export function relayStream(socket: Socket, input: Readable | null, output: Writable, manner: StreamManner): Promise<void> {
  return new Promise((resolve, reject) => {
    let isEnded = input === null
    let isHeard = false
    const undo: (() => void)[] = []
    const on = <T>(emitter: NodeJS.EventEmitter, event: string, heard: (value: T) => void): void => {
      emitter.on(event, heard)
      undo.push(() => emitter.off(event, heard))
    }
    const over = (error?: Error): void => {
      for (const one of undo.splice(0)) one()
      input?.pause()
      socket.on('error', () => undefined)
      socket.destroy()
      if (error === undefined) resolve()
      else reject(error)
    }

    on(socket, 'data', (chunk: Buffer) => {
      if (!output.write(chunk)) socket.pause()
    })
    on(output, 'drain', () => socket.resume())
    on(output, 'error', over)
    on(socket, 'end', () => {
      // What was received is written before it is over. Data of ours may still be on the way, or to come.
      isHeard = true
      if (isEnded || manner.serves) flushed()
    })
    on(socket, 'error', (error: NodeJS.ErrnoException) => over(broken(error)))
    on(socket, 'close', () => over())
    const flushed = (): void => {
      if (!socket.writableEnded) socket.end()
      // The output's callback comes when it has taken all that was written before.
      const written = (): void => void output.write('', () => over())
      if (socket.writableFinished) written()
      else on(socket, 'finish', written)
    }

    if (input !== null) {
      on(input, 'data', (chunk: Buffer) => {
        if (socket.writable && !socket.write(chunk)) input.pause()
      })
      on(socket, 'drain', () => input.resume())
      on(input, 'error', over)
      on(input, 'end', () => {
        isEnded = true
        if (isHeard) flushed()
        else if (manner.shutdown) socket.end()
      })
    }
    if (manner.timeoutMs > 0) {
      socket.setTimeout(manner.timeoutMs)
      on(socket, 'timeout', () => over())
    }
    socket.resume()
    input?.resume()
    if (input?.readableEnded === true) {
      isEnded = true
      if (manner.shutdown) socket.end()
    }
  })
}

function broken(error: NodeJS.ErrnoException): Error {
  return new NetError(error.code ?? 'EIO', { message: `the connection broke: ${wordsOf(error.code ?? 'EIO')}`, cause: error })
}

/** What may wait for standard output to take it, in bytes. */
const MAX_WAITING_BYTES = 1 << 20

export interface DatagramManner {
  host: Host
  /** 0: never. */
  timeoutMs: number
  /** For a socket that listens: null when it is connected. `keep`: to everybody, else to whoever is first. */
  peer: { keep: boolean; first: (from: RemoteInfo) => void } | null
}

/** Resolves after the time of -w, else never: datagrams have no end. Rejects when nobody is there (ECONNREFUSED). */
export function relayDatagrams(
  socket: DgramSocket,
  input: Readable | null,
  output: Writable,
  manner: DatagramManner,
): Promise<void> {
  const { host, timeoutMs, peer } = manner
  return new Promise((resolve, reject) => {
    let isConnected = peer === null
    let timer: TimerHandle = null
    const over = (error?: Error): void => {
      if (timer !== null) host.cancel(timer)
      input?.pause()
      input?.off('data', send)
      socket.removeAllListeners().on('error', () => undefined)
      if (error === undefined) resolve()
      else reject(error)
    }
    const happened = (): void => {
      if (timer !== null) host.cancel(timer)
      timer = timeoutMs === 0 ? null : host.after(timeoutMs, { run: () => over() })
    }
    // One datagram for each piece that is read, as nc has it; the next piece when it has left.
    const send = (chunk: Buffer): void => {
      input!.pause()
      happened()
      const left = (): void => void input!.resume()
      socket.send(chunk, (error: Error | null) => {
        if (error === null) left()
        else over(broken(error))
      })
    }
    socket.removeAllListeners('error').on('error', (error) => over(broken(error)))
    socket.on('message', (message, from) => {
      happened()
      // Nobody can be told to wait: beyond this, what comes is lost, as in a socket's full buffer.
      if (output.writableLength < MAX_WAITING_BYTES) output.write(message)
      if (isConnected || peer === null) return
      peer.first(from)
      if (peer.keep) return
      isConnected = true
      socket.connect(from.port, from.address, () => input?.resume())
    })
    happened()
    input?.on('data', send)
    if (!isConnected) input?.pause()
  })
}
