/** Records as multicast DNS sees them: which are the same, which bit of their class means what, and those that are ours. */
import { CLASS_IN, isType, type KnownType, type RecordFields, type ResourceRecord, typeCode, writeData } from '../dns/records.ts'
import { dataText } from '../dns/text.ts'
import { Writer } from '../dns/writer.ts'

/** Top bit of a class: in an answer the set is whole (section 10.2), in a question unicast will do (section 5.4). */
export const FLUSH = 0x8000
export const UNICAST = 0x8000
const CLASS_BITS = 0x7fff
const CLASS_ANY = 255

export function isInternet(rrclass: number): boolean {
  return (rrclass & CLASS_BITS) === CLASS_IN
}

/** Of a question: class IN or ANY. */
export function asksInternet(qclass: number): boolean {
  return isInternet(qclass) || (qclass & CLASS_BITS) === CLASS_ANY
}

/** A record of ours, its class without a bit. */
export function rr<T extends KnownType>(name: string, type: T, data: RecordFields[T], ttl: number): ResourceRecord {
  return { name, type, class: CLASS_IN, ttl, data } as unknown as ResourceRecord
}

/** Name and type: a set of records. */
export function setKey(name: string, type: string): string {
  return `${type} ${name.toLowerCase()}`
}

/** The same for equal records, whatever their TTL. */
export function recordKey(record: ResourceRecord): string {
  const text = dataText(record)
  // Names in data are names: their case does not count.
  const data = isType(record, 'PTR') || isType(record, 'SRV') || isType(record, 'CNAME') ? text.toLowerCase() : text
  return `${setKey(record.name, record.type)} ${data}`
}

/** The data as it is on the wire, nothing compressed: what tie-breaks compare (section 8.2). */
function dataBytes(record: ResourceRecord): Uint8Array {
  const writer = new Writer()
  writeData(writer, record)
  return writer.done()
}

interface Comparable {
  readonly type: number
  readonly bytes: Uint8Array
}

function comparable(record: ResourceRecord): Comparable {
  return { type: typeCode(record.type) ?? 0, bytes: dataBytes(record) }
}

function compare(a: Comparable, b: Comparable): number {
  if (a.type !== b.type) return a.type - b.type
  const n = Math.min(a.bytes.length, b.bytes.length)
  for (let i = 0; i < n; i++) if (a.bytes[i] !== b.bytes[i]) return a.bytes[i] - b.bytes[i]
  return a.bytes.length - b.bytes.length
}

/** Who wins a tie-break (section 8.2.1), all of class IN: negative: the second. */
export function compareSets(a: readonly ResourceRecord[], b: readonly ResourceRecord[]): number {
  const ours = a.map(comparable).sort(compare)
  const theirs = b.map(comparable).sort(compare)
  for (let i = 0; i < Math.min(ours.length, theirs.length); i++) {
    const order = compare(ours[i], theirs[i])
    if (order !== 0) return order
  }
  return ours.length - theirs.length
}

/**
 * How a record is ours. `unique`: nobody else may have such a set, which is asked for first. `known`: the same, but nobody needs to be asked
 * (names of addresses that are ours). `shared`: others have the same set.
 */
export type Kind = 'unique' | 'known' | 'shared'

/** A record of ours on one link. */
export class Own {
  readonly key: string
  /** When it was multicast last; meaningful while `wasSent`. */
  sentMs = 0
  wasSent = false

  constructor(
    readonly record: ResourceRecord,
    readonly kind: Kind,
  ) {
    this.key = recordKey(record)
  }

  /** As it goes out, with its flush bit (section 10.2). */
  out(ttl = this.record.ttl): ResourceRecord {
    return { ...this.record, ttl, class: this.kind === 'shared' ? CLASS_IN : CLASS_IN | FLUSH }
  }

  /** For resolvers that know nothing of that bit (section 6.7). */
  legacy(mostSeconds: number): ResourceRecord {
    return { ...this.record, ttl: Math.min(this.record.ttl, mostSeconds) }
  }

  sent(now: number): void {
    this.sentMs = now
    this.wasSent = true
  }

  /** It was multicast within the last `ms`. */
  sentWithin(ms: number, now: number): boolean {
    return this.wasSent && ((now - this.sentMs) | 0) < ms
  }
}

/** That a name of ours has records of these types only (section 6.1). */
export function nsec(name: string, types: readonly string[], ttl: number): Own {
  return new Own(rr(name, 'NSEC', { next: name, types: [...new Set(types)] }, ttl), 'known')
}
