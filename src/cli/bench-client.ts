/**
 * What `tapstack bench` measures, from the client's side, in the raw shape: bytes to discard, bytes from chargen, round trips of one byte and connections with echo
 * (RFC 863, 864, 862). Whoever is asked need only have these services.
 */
import type { Address } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import { SERVICES, type ServiceName } from '../services/inetd.ts'
import type { Stack } from '../stack/stack.ts'
import type { ConnectionHandler, RawConnection } from '../tcp/api.ts'

/** What a write offers at once, in bytes. */
const CHUNK = 256 << 10

export interface Measured {
  /** Bytes, round trips, connections: those that came within the time. */
  count: number
  /** Microseconds that they took. */
  us: number
  /** Of each, in microseconds, in ascending order; empty where only the sum counts. */
  each: number[]
}

export type Measurement = 'send' | 'receive' | 'rr' | 'connect'

/** One measurement: `warmMs` that do not count, then `ms` that do. */
export class BenchClient {
  private connection: RawConnection | null = null
  private fail: (error: Error) => void = () => undefined
  private counting = false
  private count = 0
  private each: number[] = []
  private sinceUs = 0
  private readonly byte = Uint8Array.of(1)

  constructor(
    private readonly stack: Stack,
    private readonly to: Address,
  ) {}

  async measure(what: Measurement, warmMs: number, ms: number): Promise<Measured> {
    const { host } = this.stack
    this.count = 0
    this.each = []
    this.counting = false
    const failed = new Promise<never>((_, reject) => {
      this.fail = reject
    })
    failed.catch(() => undefined)
    const wait = (time: number): Promise<void> => Promise.race([failed, new Promise<void>((run) => host.after(time, { run }))])
    try {
      this.begin(what)
      await wait(warmMs)
      const base = what === 'send' ? (this.connection?.info().bytesAcked ?? 0) : 0
      const start = host.us()
      this.counting = true
      await wait(ms)
      this.counting = false
      const us = (host.us() - start) | 0
      if (what === 'send') this.count = (this.connection?.info().bytesAcked ?? 0) - base
      return { count: this.count, us, each: this.each.sort((a, b) => a - b) }
    } finally {
      const { connection } = this
      this.connection = null
      if (connection !== null) {
        connection.handler = {}
        connection.abort()
      }
    }
  }

  private begin(what: Measurement): void {
    if (what === 'send') this.send()
    else if (what === 'receive') this.receive()
    else if (what === 'rr') this.roundTrips()
    else this.connections()
  }

  private open(service: ServiceName, handler: ConnectionHandler): void {
    const remotePort = SERVICES[service]
    const onClose = (c: RawConnection, error: NetError | null): void => {
      if (c !== this.connection) return
      this.connection = null
      const why = error ?? new NetError('ECONNRESET')
      const advice = why.code === 'ECONNREFUSED' ? `there is no ${service} service: start tapstack inetd there` : why.message
      this.fail(new NetError(why.code, { message: `${this.to} port ${remotePort}: ${advice}`, cause: why }))
    }
    this.connection = this.stack.tcp.open({ remoteAddress: this.to, remotePort }, { ...handler, onClose })
    this.connection.setNoDelay(true)
  }

  private send(): void {
    const bytes = new Uint8Array(CHUNK)
    const more = (c: RawConnection): void => {
      while (c.write(bytes, 0, CHUNK) === CHUNK);
    }
    this.open('discard', { onConnect: more, onWritable: more })
  }

  private receive(): void {
    this.open('chargen', {
      onReadable: (c) => {
        const got = c.skip(c.readable)
        if (this.counting) this.count += got
      },
    })
  }

  private ask(c: RawConnection): void {
    this.sinceUs = this.stack.host.us()
    c.write(this.byte, 0, 1)
  }

  private answered(c: RawConnection): boolean {
    if (c.skip(1) === 0) return false
    if (this.counting) {
      this.count++
      this.each.push((this.stack.host.us() - this.sinceUs) | 0)
    }
    return true
  }

  private roundTrips(): void {
    this.open('echo', {
      onConnect: (c) => this.ask(c),
      onReadable: (c) => {
        if (this.answered(c)) this.ask(c)
      },
    })
  }

  /** Opened, a byte there and back, reset: nothing of it waits in TIME-WAIT. */
  private connections(): void {
    let since = 0
    const next = (): void => {
      since = this.stack.host.us()
      this.open('echo', {
        onConnect: (c) => this.ask(c),
        onReadable: (c) => {
          this.sinceUs = since
          if (!this.answered(c)) return
          this.connection = null
          c.abort()
          next()
        },
      })
    }
    next()
  }
}
