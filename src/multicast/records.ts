/** What a report says of groups, before it has a wire format, and how it is cut into messages that fit. */
import type { Address } from '../base/address.ts'
import { RecordType } from './wire.ts'

/** One group record (RFC 3376 section 4.2.4). */
export interface GroupRecord {
  readonly type: number
  readonly group: Address
  readonly sources: readonly Address[]
}

/**
 * The records by messages, each with at most `room` bytes of records of `header` bytes and `source` bytes per source. Records that do not fit
 * one message are cut up; those of type EXCLUDE cannot be, and lose sources (RFC 3376 section 4.2.16, RFC 3810 section 5.2.15).
 */
export function messages(records: readonly GroupRecord[], room: number, header: number, source: number): GroupRecord[][] {
  const most = Math.max(1, Math.floor((room - header) / source))
  const out: GroupRecord[][] = []
  let message: GroupRecord[] = []
  let used = 0
  const put = (record: GroupRecord): void => {
    const bytes = header + record.sources.length * source
    if (message.length > 0 && used + bytes > room) {
      out.push(message)
      message = []
      used = 0
    }
    message.push(record)
    used += bytes
  }
  for (const record of records) {
    const { type, group, sources } = record
    if (sources.length <= most) put(record)
    else if (type === RecordType.MODE_IS_EXCLUDE || type === RecordType.CHANGE_TO_EXCLUDE) {
      put({ type, group, sources: sources.slice(0, most) })
    } else for (let i = 0; i < sources.length; i += most) put({ type, group, sources: sources.slice(i, i + most) })
  }
  if (message.length > 0) out.push(message)
  return out
}
