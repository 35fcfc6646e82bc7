/**
 * A UDP service: each datagram gets at most one answer, made in the buffer it came in.
 *
 * When the link is full, the one answer that could not leave is kept, and the datagrams behind it wait in the socket's bounded queue.
 * Two such services must not talk to each other for ever (CERT CA-1996-01): datagrams from a port where another one may sit are not
 * answered. Nor are those that were sent to everybody: one question must not become a flood of answers.
 */
import { allocate } from '../base/arena.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { Datagram } from '../udp/receive-queue.ts'
import type { UdpHandler, UdpSocket } from '../udp/socket.ts'
import type { ServiceWatcher } from './service.ts'

export interface Answerer {
  readonly name: string
  /** Puts the answer at the beginning of `datagram.buf` (the question is there, `datagram.len` bytes) and returns its length; -1: none. */
  answer(datagram: Datagram): number
}

const NAMES = ['datagrams', 'answers', 'dropServicePort', 'dropToMany', 'dropUnsendable'] as const
const C = indexOf(NAMES)

/** Ports whose services answer anything: echo, daytime, quote of the day, chargen, time. */
const ANSWERING_PORTS: readonly number[] = [7, 13, 17, 19, 37]

export class UdpResponder implements UdpHandler {
  readonly counters = new Counters(NAMES)
  private readonly datagram = new Datagram(allocate(0x10000))
  /** Bytes of an answer that waits for room on the link; -1 when none does. */
  private held = -1

  constructor(
    private readonly answerer: Answerer,
    private readonly watcher: ServiceWatcher = {},
  ) {}

  onReadable(socket: UdpSocket): void {
    const { datagram } = this
    const n = this.counters.values
    while (this.held < 0 && socket.receive(datagram)) {
      n[C.datagrams]++
      let length = this.answerer.answer(datagram)
      if (length >= 0 && !this.mayAnswer(datagram)) length = -1
      this.watcher.datagram?.(this.answerer.name, datagram, length >= 0)
      if (length >= 0) this.send(socket, length)
    }
  }

  onWritable(socket: UdpSocket): void {
    const length = this.held
    this.held = -1
    if (length >= 0) this.send(socket, length)
    this.onReadable(socket)
  }

  private send(socket: UdpSocket, length: number): void {
    const { datagram } = this
    try {
      // From the address that was asked: with several, routing might choose another.
      if (socket.send(datagram.buf, 0, length, datagram.address, datagram.port, datagram.localAddress))
        this.counters.values[C.answers]++
      else this.held = length
    } catch {
      // No way back to whoever asked (its address may be forged): nobody to tell.
      this.counters.values[C.dropUnsendable]++
    }
  }

  private mayAnswer(d: Datagram): boolean {
    if (d.port === 0 || ANSWERING_PORTS.includes(d.port)) {
      this.counters.values[C.dropServicePort]++
      return false
    }
    if (d.wasToMany) {
      this.counters.values[C.dropToMany]++
      return false
    }
    return true
  }
}
