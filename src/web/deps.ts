/** What sockets in the web's shape need besides TCP and UDP. */
import type { Address } from '../base/address.ts'
import type { Host } from '../base/clock.ts'
import type { SecureConnect } from './tcp-socket.ts'

export interface WebDeps {
  readonly host: Host
  /** Addresses of a name or literal, best first, at least one; rejects with ENOTFOUND or EAI_AGAIN. */
  lookup(hostname: string): Promise<Address[]>
  /** TLS of the platform; null: there is none. */
  secure: SecureConnect | null
  /** Makes chunks, whose memory may be what it was before: all of it is written. */
  memory(bytes: number): Uint8Array<ArrayBuffer>
}
