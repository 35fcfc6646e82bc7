/** A first success that is waited for: an address, a lease. Until it comes, or fails, the process is kept alive: who awaits it holds nothing else yet. */
import type { Host } from '../base/clock.ts'
import type { NetError } from '../base/errors.ts'

export class Awaited {
  readonly promise: Promise<void>
  isOver = false
  private resolve: () => void = () => undefined
  private reject: (error: NetError) => void = () => undefined

  constructor(private readonly host: Host) {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    this.promise.catch(() => undefined) // whoever does not await it is not punished with an unhandled rejection
    host.hold()
  }

  succeeded(): void {
    if (this.end()) this.resolve()
  }

  failed(error: NetError): void {
    if (this.end()) this.reject(error)
  }

  private end(): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.host.release()
    return true
  }
}
