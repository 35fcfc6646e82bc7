/**
 * Whole zones over TCP (RFC 5936): the SOA, everything else, the SOA again, in as many messages as it takes. The zone as it is when the transfer begins is
 * what is sent. Who asks for changes only (IXFR, RFC 1995 section 4) gets the whole zone, too, or the SOA when he has it already.
 */
import { NetError } from '../../base/errors.ts'
import { encodeMessage, type Message } from '../message.ts'
import type { ResourceRecord } from '../records.ts'
import type { Zone } from './zone.ts'

/** Records tried in one message; fewer when they are large. */
const RECORDS = 200

export class Transfer {
  private readonly records: readonly ResourceRecord[]
  private at = 0

  constructor(
    zone: Zone,
    /** The answer without its records: the first message is that, the others have no question (RFC 5936 section 2.2.1). */
    private readonly head: Message,
  ) {
    this.records = [...zone.records, zone.soa]
  }

  /** The next message; null: that was all. */
  next(): Uint8Array | null {
    const { records, head } = this
    if (this.at >= records.length) return null
    const questions = this.at === 0 ? head.questions : []
    for (let n = RECORDS; ; n = Math.ceil(n / 2)) {
      const answers = records.slice(this.at, this.at + n)
      try {
        const bytes = encodeMessage({ ...head, questions, answers })
        this.at += answers.length
        return bytes
      } catch (error) {
        if (n === 1 || !(error instanceof NetError && error.code === 'EMSGSIZE')) throw error
      }
    }
  }
}
