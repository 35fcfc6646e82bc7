/** What the families have of their own in reassembly (reassembly.ts). */
import type { Packet } from './packet.ts'

/** As the configuration of both families has them. */
export interface ReassemblyLimits {
  reassemblyTimeMs: number
  reassemblyBytes: number
  reassemblyFragments: number
  reassemblyDatagrams: number
}

/** Where a family counts: indices into its counters. */
export interface ReassemblyCounters {
  readonly requests: number
  readonly oks: number
  readonly fails: number
  readonly timeout: number
  readonly length: number
  readonly tooBig: number
  readonly header: number
  readonly overlap: number
  readonly duplicate: number
  readonly ecn: number
  readonly fragments: number
  readonly memory: number
}

/** What a family has of its own. */
export interface ReassemblyRules {
  readonly limits: ReassemblyLimits
  readonly index: ReassemblyCounters
  /** Most header bytes of a first fragment, and what is assumed while it is missing. */
  readonly headerRoom: number
  readonly headerLeast: number
  /** Most bytes of header and payload together. */
  readonly most: number
  /** What overlapped stays dropped, with all that is still to come of it, until its time is over (RFC 8200 section 4.5). */
  readonly remembersOverlap: boolean
  /** `packet` describes a whole datagram behind the header of its first fragment: makes that the header of the whole. `tos`: the whole's. */
  finish(packet: Packet, tos: number): void
}

/** What `add` says. */
export const Added = { WAITS: 0, WHOLE: 1, BAD_LENGTH: 2, TOO_BIG: 3 } as const
