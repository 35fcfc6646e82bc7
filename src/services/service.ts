/**
 * What the small services (echo, discard, daytime, chargen) have in common: what they need of a stack, and whom they tell.
 *
 * Each service is one handler object that all its connections share, so a connection costs nothing beyond the connection itself.
 * Nothing is allocated per event.
 */
import type { Host } from '../base/clock.ts'
import type { NetError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { RawConnection, RawTcp } from '../tcp/api.ts'
import type { Datagram } from '../udp/receive-queue.ts'
import type { Udp } from '../udp/udp.ts'

/** What services need of a stack; a `Stack` is one. */
export interface ServiceStack {
  readonly tcp: RawTcp
  readonly udp: Pick<Udp, 'open'>
  readonly host: Host
  readonly random: Random
}

/** Hears what happens, for logs. Nobody listening costs a check for undefined. */
export interface ServiceWatcher {
  opened?(service: string, connection: RawConnection): void
  /** `error`: why it broke, or null. Byte counts are those of the connection. */
  closed?(service: string, connection: RawConnection, error: NetError | null): void
  /** A datagram came; it is lent. `answered`: an answer went out. */
  datagram?(service: string, datagram: Datagram, answered: boolean): void
}
