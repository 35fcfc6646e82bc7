/** What comes out of a link is counted. */
import type { Host } from '../src/base/clock.ts'
import type { NetIfSink } from '../src/netif/netif.ts'

export class CountingSink implements NetIfSink {
  frames = 0

  constructor(readonly host: Host) {}

  input(): void {
    this.frames++
  }
  readable(): void {}
  writable(): void {}
  closed(): void {}
}
