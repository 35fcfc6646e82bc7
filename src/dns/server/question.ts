/** A question on its way through a server: who asked, what EDNS says back, why it was refused. */
import type { Address } from '../../base/address.ts'
import { type EdnsOption, type Message, Rcode } from '../message.ts'
import type { TypeName } from '../records.ts'
import { emptyReply, type Reply } from './authority.ts'

/** Who asked, and how he is answered: by one of these calls, once, now or later. */
export interface Asker {
  readonly address: Address
  readonly overTcp: boolean
  answer(bytes: Uint8Array): void
  /** A row of messages, taken as there is room for them. TCP alone. */
  stream(next: () => Uint8Array | null): void
  /** Nothing comes. */
  dropped(): void
}

/** What is known of an answer before it is made. */
export interface Answering {
  /** Bytes that it may have. */
  limit: number
  /** Its asker is where he says: over TCP, on our networks, or by a cookie. */
  proven: boolean
  readonly options: EdnsOption[]
}

/** A question that can be answered. */
export interface Asked {
  readonly query: Message
  /** As it was written, and in lower case. */
  readonly asked: string
  readonly name: string
  readonly type: TypeName
  readonly asker: Asker
  readonly edns: Answering
}

/** Extended errors (RFC 8914 section 4): why, for people. */
const OPTION_ERROR = 15
export const Why = { OTHER: 0, BLOCKED: 15, PROHIBITED: 18, NOT_AUTHORITATIVE: 20, NO_REACHABLE: 22, NETWORK: 23 } as const

/** A reply without records that says why. */
export function failure(edns: Answering, rcode: number, why: number): Reply {
  edns.options.push({ code: OPTION_ERROR, data: Uint8Array.of(why >> 8, why) })
  return emptyReply(rcode)
}

export function refusal(edns: Answering, why: number): Reply {
  return failure(edns, Rcode.REFUSED, why)
}
