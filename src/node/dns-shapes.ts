/** Records in the shapes that node:dns gives them. */
import type { KnownType, RecordOf, ResourceRecord } from '../dns/records.ts'
import { isType } from '../dns/records.ts'

/** What a call asks for: the type, the name of the system call in errors, and the shape of a record. */
export interface Query {
  readonly type: string
  readonly syscall: string
  shape(records: readonly ResourceRecord[], ttl: boolean): unknown[]
}

/** Bytes as c-ares gives them to Node: one character each. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function of<T extends KnownType>(type: T, syscall: string, one: (r: RecordOf<T>, ttl: boolean) => unknown): Query {
  return {
    type,
    syscall,
    shape: (records, ttl) => records.filter((r): r is RecordOf<T> => isType(r, type)).map((r) => one(r, ttl)),
  }
}

const addressOf = (r: RecordOf<'A'> | RecordOf<'AAAA'>, ttl: boolean): unknown => {
  return ttl ? { address: String(r.data.address), ttl: r.ttl } : String(r.data.address)
}
const caa = ({ data }: RecordOf<'CAA'>): object => ({ critical: data.flags, [latin1(data.tag)]: latin1(data.value) })
const mx = ({ data }: RecordOf<'MX'>): object => ({ exchange: data.exchange, priority: data.preference })
const naptr = ({ data }: RecordOf<'NAPTR'>): object => ({
  flags: latin1(data.flags),
  service: latin1(data.services),
  regexp: latin1(data.regexp),
  replacement: data.replacement,
  order: data.order,
  preference: data.preference,
})
const soa = ({ data }: RecordOf<'SOA'>): object => ({
  nsname: data.mname,
  hostmaster: data.rname,
  serial: data.serial,
  refresh: data.refresh,
  retry: data.retry,
  expire: data.expire,
  minttl: data.minimum,
})
const srv = ({ data }: RecordOf<'SRV'>): object => ({
  name: data.target,
  port: data.port,
  priority: data.priority,
  weight: data.weight,
})
const tlsa = ({ data }: RecordOf<'TLSA'>): object => ({
  certUsage: data.usage,
  selector: data.selector,
  match: data.matchingType,
  data: data.data.slice().buffer,
})
const txt = ({ data }: RecordOf<'TXT'>): string[] => data.strings.map(latin1)

/** As `resolveAny` lists one; null: a type that it leaves out. */
function any(r: ResourceRecord): object | null {
  if (isType(r, 'A') || isType(r, 'AAAA')) return { address: String(r.data.address), ttl: r.ttl, type: r.type }
  if (isType(r, 'CNAME')) return { value: r.data.cname, type: 'CNAME' }
  if (isType(r, 'NS')) return { value: r.data.nsdname, type: 'NS' }
  if (isType(r, 'PTR')) return { value: r.data.ptrdname, type: 'PTR' }
  if (isType(r, 'MX')) return { ...mx(r), type: 'MX' }
  if (isType(r, 'TXT')) return { entries: txt(r), type: 'TXT' }
  if (isType(r, 'SRV')) return { ...srv(r), type: 'SRV' }
  if (isType(r, 'NAPTR')) return { ...naptr(r), type: 'NAPTR' }
  if (isType(r, 'SOA')) return { ...soa(r), type: 'SOA' }
  if (isType(r, 'CAA')) return { ...caa(r), type: 'CAA' }
  if (isType(r, 'TLSA')) return { ...tlsa(r), type: 'TLSA' }
  return null
}

/** By the name of the call. */
export const QUERIES = {
  resolve4: of('A', 'queryA', addressOf),
  resolve6: of('AAAA', 'queryAaaa', addressOf),
  resolveAny: { type: 'ANY', syscall: 'queryAny', shape: (records) => records.map(any).filter((one) => one !== null) },
  resolveCaa: of('CAA', 'queryCaa', caa),
  resolveCname: of('CNAME', 'queryCname', (r) => r.data.cname),
  resolveMx: of('MX', 'queryMx', mx),
  resolveNaptr: of('NAPTR', 'queryNaptr', naptr),
  resolveNs: of('NS', 'queryNs', (r) => r.data.nsdname),
  resolvePtr: of('PTR', 'queryPtr', (r) => r.data.ptrdname),
  resolveSoa: of('SOA', 'querySoa', soa),
  resolveSrv: of('SRV', 'querySrv', srv),
  resolveTlsa: of('TLSA', 'queryTlsa', tlsa),
  resolveTxt: of('TXT', 'queryTxt', txt),
} as const satisfies Record<string, Query>

export type QueryName = keyof typeof QUERIES
