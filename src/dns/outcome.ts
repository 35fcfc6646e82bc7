/** What comes of a question. */
import type { ResourceRecord } from './records.ts'

/** As node:dns has them, without the name of the call. */
export type DnsCode =
  | 'ENODATA'
  | 'EFORMERR'
  | 'ESERVFAIL'
  | 'ENOTFOUND'
  | 'ENOTIMP'
  | 'EREFUSED'
  | 'EBADNAME'
  | 'EBADRESP'
  | 'ECONNREFUSED'
  | 'ETIMEOUT'
  | 'ENOMEM'
  | 'ECANCELLED'

/** What became of a question. */
export interface Outcome {
  /** Empty: it was answered. */
  readonly code: DnsCode | ''
  readonly records: readonly ResourceRecord[]
  /** The name at the end of a chain of CNAMEs. */
  readonly canonical: string
  /** The CNAMEs of that chain, and the SOA that came with what is not there: for who passes an answer on. None when left out. */
  readonly chain?: readonly ResourceRecord[]
  readonly soa?: ResourceRecord | undefined
  /** Seconds for which this holds. */
  readonly ttl: number
  /** More than the code says, for people. */
  readonly why?: string
}

export function failed(code: DnsCode, canonical: string, why?: string): Outcome {
  return { code, records: [], canonical, ttl: 0, ...(why === undefined ? {} : { why }) }
}

/** Something that is under way. */
export interface Cancelable {
  /** Nothing is told any more. */
  cancel(): void
}
