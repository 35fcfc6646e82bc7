/**
 * From `connect({ hostname, port })` to a connection: the name looked up, its addresses tried. One that has not answered in time is joined by the next,
 * and the first to connect ends the others (RFC 8305 section 5).
 */
import type { Address } from '../base/address.ts'
import type { Task, TimerHandle } from '../base/clock.ts'
import { NetError } from '../base/errors.ts'
import { webDefaults } from '../base/web-config.ts'
import type { ConnectionHandler, OpenOptions, RawConnection } from '../tcp/api.ts'
import type { WebDeps } from './deps.ts'

export class Opening implements ConnectionHandler, Task {
  private addresses: Address[] = []
  private next = 0
  private readonly trying = new Set<RawConnection>()
  /** Why the first address could not be reached: the best of them, by RFC 6724. */
  private failure: unknown = null
  private timer: TimerHandle | null = null
  private isDone = false

  constructor(
    private readonly deps: WebDeps,
    hostname: string,
    private readonly options: Omit<OpenOptions, 'remoteAddress'>,
    private readonly open: (options: OpenOptions, handler: ConnectionHandler) => RawConnection,
    private readonly opened: (connection: RawConnection) => void,
    private readonly failed: (error: unknown) => void,
  ) {
    deps.lookup(hostname).then(
      (found) => {
        if (this.isDone) return
        this.addresses = found
        this.tryNext()
      },
      (error) => this.fail(error),
    )
  }

  /** Nobody wants it any more. */
  cancel(): void {
    this.done()
    for (const c of this.trying) c.abort()
    this.trying.clear()
  }

  private tryNext(): void {
    while (this.next < this.addresses.length) {
      const remoteAddress = this.addresses[this.next++]
      try {
        this.trying.add(this.open({ ...this.options, remoteAddress }, this))
        if (this.next < this.addresses.length) this.timer = this.deps.host.after(webDefaults.attemptDelayMs, this)
        return
      } catch (error) {
        this.failure ??= this.placed(error, remoteAddress)
      }
    }
    if (this.trying.size === 0) this.fail(this.failure ?? new NetError('ENOTFOUND'))
  }

  /** As Node words it: `connect ENETUNREACH 10.0.0.1:80`. */
  private placed(error: unknown, to: Address): unknown {
    if (!(error instanceof NetError) || !error.code.startsWith('E') || error.code.startsWith('ERR_')) return error
    return new NetError(error.code, { syscall: 'connect', address: to.toString(), port: this.options.remotePort, cause: error })
  }

  /** The timer: the address that is tried takes its time. */
  run(): void {
    this.timer = null
    this.tryNext()
  }

  onConnect(connection: RawConnection): void {
    this.trying.delete(connection)
    this.cancel()
    this.opened(connection)
  }

  onClose(connection: RawConnection, error: NetError | null): void {
    if (this.isDone || !this.trying.delete(connection)) return
    this.failure ??= error ?? new NetError('ECONNABORTED')
    if (this.timer !== null) this.deps.host.cancel(this.timer)
    this.timer = null
    this.tryNext()
  }

  private fail(error: unknown): void {
    this.done()
    this.failed(error)
  }

  private done(): void {
    this.isDone = true
    if (this.timer !== null) this.deps.host.cancel(this.timer)
    this.timer = null
  }
}
