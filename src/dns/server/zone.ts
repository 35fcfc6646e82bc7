/**
 * One zone: the records below a name for which a server speaks with authority (RFC 1034 section 4.2), which may change while it is served.
 *
 * Theory of operation. Every name that exists is a node: those with records, and those above them that have none of their own (empty non-terminals),
 * for a name that exists is not "no such name", and no wildcard covers it (RFC 4592 section 2.2). `find` goes down from the top, as RFC 1034 section 4.3.2
 * does: a delegation or a DNAME on the way ends it, what is missing may be made of a wildcard. Where there is neither in the whole zone one look-up is
 * enough for a name that exists.
 */
import { invalidArgument } from '../../base/errors.ts'
import { canonicalName, isWithin, parentOf } from '../names.ts'
import { nameOf, parseData } from '../parse.ts'
import { CLASS_IN, isType, type RecordOf, type ResourceRecord, type TypeName, typeCode, typeName, writeData } from '../records.ts'
import { Writer } from '../writer.ts'
import { wordsOf } from './lexer.ts'
import { DEFAULT_TTL, originOf, parseMasterFile, zoneName } from './master-file.ts'

/** Names, below each its types, below each its data as master files have them: `{ www: { A: '10.0.0.5', TXT: ['"a b"', 'c'] } }`. */
export interface ZoneTable {
  readonly [name: string]: { readonly [type: string]: string | readonly string[] }
}

/** The text of a master file, a table, or records. */
export type ZoneSource = string | ZoneTable | readonly ResourceRecord[]

/** Hears of records that changed: a set as it was and as it is. */
export interface ZoneListener {
  changed(before: readonly ResourceRecord[], after: readonly ResourceRecord[]): void
}

type Sets = Map<TypeName, readonly ResourceRecord[]>

interface Node {
  readonly sets: Sets
  /** Nodes right below. */
  children: number
}

/** What a zone says of a name and type. */
export type Found =
  /** Sets of that type (with ANY all that there are), with the name that was asked for. */
  | { readonly kind: 'records'; readonly records: readonly ResourceRecord[] }
  /** The name is another's alias, by a CNAME, or by a DNAME above it; null: what the DNAME makes of it is too long. */
  | { readonly kind: 'alias'; readonly records: readonly ResourceRecord[]; readonly target: string | null }
  /** The name is another zone's: these are its servers. */
  | { readonly kind: 'referral'; readonly records: readonly ResourceRecord[] }
  | { readonly kind: 'nodata' | 'nxdomain' }

const NODATA: Found = { kind: 'nodata' }
const NXDOMAIN: Found = { kind: 'nxdomain' }
/** DS: the one type that is the parent's at a delegation (RFC 4035 section 3.1.4.1). */
const DS = 'TYPE43'

/** A zone in memory, which may change while it is served. */
export class Zone {
  /** In lower case, without a dot at its end. */
  readonly name: string
  readonly listeners = new Set<ZoneListener>()
  private readonly nodes = new Map<string, Node>()
  /** Delegations and DNAMEs: while there are none nobody need look for them. */
  private cuts = 0
  private count = 0

  /** Throws ERR_INVALID_ARG_VALUE: for a text with the line. Without a name: where the SOA of the records is. */
  constructor(name: string | null, source: ZoneSource = []) {
    const given = name === null ? null : zoneName(name)
    const records = recordsOf(source, given)
    const own = given ?? originOf(records)
    if (own === null) throw invalidArgument('a zone needs a name, or an SOA record that has it')
    this.name = own
    this.nodes.set(own, { sets: new Map(), children: 0 })
    for (const sets of grouped(records)) this.put(sets[0].name, sets[0].type, sets)
    if (this.rootNode.sets.get('SOA') === undefined) this.put(own, 'SOA', [standardSoa(own)])
  }

  get soa(): RecordOf<'SOA'> {
    return this.rootNode.sets.get('SOA')![0] as RecordOf<'SOA'>
  }

  /** Records in all. */
  get size(): number {
    return this.count
  }

  /** All records, the SOA first. */
  get records(): ResourceRecord[] {
    const all = [...this.nodes.values()].flatMap((node) => [...node.sets.values()].flat())
    return [this.soa, ...all.filter((r) => r.type !== 'SOA')]
  }

  /**
   * What a name has of a type is this from now on: `zone.set('www', 'A', ['10.0.0.5', '10.0.0.6'])`; the serial number goes up. Names are relative to
   * the zone, `@` is the zone itself, data as in master files, or as fields. Throws ERR_INVALID_ARG_VALUE, EBADNAME, EBADSTR; nothing is
   * changed then.
   */
  set(
    name: string,
    type: string,
    data: string | ResourceRecord['data'] | readonly (string | ResourceRecord['data'])[],
    ttl = DEFAULT_TTL,
  ): void {
    const owner = this.ownerOf(name)
    const known = knownType(type)
    const list = Array.isArray(data) ? (data as readonly (string | ResourceRecord['data'])[]) : [data as string]
    if (list.length === 0) throw invalidArgument(`${name} ${type}: no data; delete removes records`)
    const records = list.map((one) => {
      const fields = typeof one === 'string' ? parseData(known, wordsOf(one), this.name) : one
      return { name: owner, type: known, class: CLASS_IN, ttl, data: fields } as unknown as ResourceRecord
    })
    this.put(owner, known, records)
    if (known !== 'SOA') this.bump()
  }

  /** Removes what a name has of a type, or all. False: there was nothing. Throws ERR_INVALID_ARG_VALUE: no name, or the SOA, which stays. */
  delete(name: string, type?: string): boolean {
    const owner = this.keyOf(this.ownerOf(name))
    const sets = this.nodes.get(owner)?.sets
    const known = type === undefined ? null : knownType(type)
    if (known === 'SOA') throw invalidArgument(`the SOA of ${this.name} cannot be removed: set it`)
    const types = [...(sets?.keys() ?? [])].filter((one) => one !== 'SOA' && (known === null || one === known))
    for (const one of types) this.remove(owner, one)
    if (types.length > 0) this.bump()
    return types.length > 0
  }

  /** Whether a name exists: it, or one below it, has records. Throws ERR_INVALID_ARG_VALUE. */
  has(name: string): boolean {
    return this.nodes.has(this.keyOf(this.ownerOf(name)))
  }

  /** The records of exactly that name and type; none: an empty list. `name` in lower case. */
  exactly(name: string, type: TypeName): readonly ResourceRecord[] {
    return this.nodes.get(name)?.sets.get(type) ?? []
  }

  /** RFC 1034 section 4.3.2, step 3. `name`: in lower case, within the zone; `asked`: the same as it was written, which answers repeat. */
  find(name: string, asked: string, type: TypeName): Found {
    if (this.cuts === 0) {
      const node = this.nodes.get(name)
      if (node !== undefined) return fromNode(node, asked, type)
    }
    const path: string[] = []
    for (let at = name; at !== this.name; at = parentOf(at)) path.push(at)
    let node = this.rootNode
    let encloser = this.name
    for (let i = path.length; i >= 0; i--) {
      if (i < path.length) {
        encloser = i + 1 < path.length ? path[i + 1] : this.name
        const next = this.nodes.get(path[i])
        if (next === undefined) return this.fromWildcard(encloser, asked, type)
        node = next
        const servers = node.sets.get('NS')
        if (servers !== undefined && !(i === 0 && type === DS)) return { kind: 'referral', records: servers }
      }
      const dname = i > 0 ? node.sets.get('DNAME')?.[0] : undefined
      if (dname !== undefined && isType(dname, 'DNAME')) return redirected(dname, asked)
    }
    return fromNode(node, asked, type)
  }

  /** RFC 4592 section 3.3: the asterisk below the closest encloser, or nothing. */
  private fromWildcard(encloser: string, asked: string, type: TypeName): Found {
    const node = this.nodes.get(encloser === '' ? '*' : `*.${encloser}`)
    return node === undefined ? NXDOMAIN : fromNode(node, asked, type)
  }

  private get rootNode(): Node {
    return this.nodes.get(this.name)!
  }

  /** The whole name of what is named relative to the zone, as it was written. */
  private ownerOf(text: string): string {
    const owner = nameOf(text === '' ? '@' : text, this.name)
    if (!isWithin(this.keyOf(owner), this.name))
      throw invalidArgument(`${text} is not within ${this.name === '' ? 'the root' : this.name}`)
    return owner
  }

  private keyOf(owner: string): string {
    return zoneName(owner)
  }

  /** Throws before anything is changed. */
  private put(owner: string, type: TypeName, records: readonly ResourceRecord[]): void {
    const key = this.keyOf(owner)
    if (!isWithin(key, this.name)) throw invalidArgument(`${owner} is not within ${this.name}`)
    this.check(key, owner, type, records)
    // Fields that were given as such may be anything: what cannot be written must not wait for the first question.
    for (const record of records) writeData(new Writer(), record)
    // RFC 2181 section 5.2: the records of a set have one TTL, the least of those that were given.
    const ttl = Math.min(...records.map((r) => r.ttl))
    const set = unique(records).map((r) => (r.ttl === ttl ? r : { ...r, ttl }))
    const node = this.nodeAt(key)
    const before = node.sets.get(type) ?? []
    node.sets.set(type, set)
    this.count += set.length - before.length
    if (before.length === 0 && isCut(type, key === this.name)) this.cuts++
    for (const listener of this.listeners) listener.changed(before, set)
  }

  private check(key: string, owner: string, type: TypeName, records: readonly ResourceRecord[]): void {
    const others = [...(this.nodes.get(key)?.sets.keys() ?? [])].filter((one) => one !== type)
    if (type === 'SOA' && (key !== this.name || records.length !== 1))
      throw invalidArgument(`${owner}: a zone has one SOA, at its own name`)
    // RFC 2181 section 10.1, RFC 6672 section 2.4.
    if (type === 'CNAME' && (others.length > 0 || records.length > 1 || key === this.name))
      throw invalidArgument(`${owner}: a CNAME is alone at its name, which is not that of the zone`)
    if (type !== 'CNAME' && others.includes('CNAME'))
      throw invalidArgument(`${owner}: it has a CNAME, which is alone at its name`)
    if (type === 'DNAME' && records.length > 1) throw invalidArgument(`${owner}: a name has one DNAME`)
    const code = typeCode(type)!
    if (code === 0 || code === 41 || (code >= 128 && code <= 255)) throw invalidArgument(`${type} is no type of data`)
  }

  private nodeAt(key: string): Node {
    const known = this.nodes.get(key)
    if (known !== undefined) return known
    const made: Node = { sets: new Map(), children: 0 }
    this.nodes.set(key, made)
    this.nodeAt(parentOf(key)).children++
    return made
  }

  private remove(key: string, type: TypeName): void {
    const { sets } = this.nodes.get(key)!
    const before = sets.get(type)!
    sets.delete(type)
    this.count -= before.length
    if (isCut(type, key === this.name)) this.cuts--
    for (const listener of this.listeners) listener.changed(before, [])
    // Names that nothing is left of do not exist any more.
    for (let at = key; at !== this.name; at = parentOf(at)) {
      const node = this.nodes.get(at)!
      if (node.sets.size > 0 || node.children > 0) break
      this.nodes.delete(at)
      this.nodes.get(parentOf(at))!.children--
    }
  }

  /** RFC 1982: serial numbers go round. */
  private bump(): void {
    const { soa } = this
    const serial = (soa.data.serial + 1) >>> 0
    this.rootNode.sets.set('SOA', [{ ...soa, data: { ...soa.data, serial } }])
  }
}

/** Who looks below this must look for it. */
function isCut(type: TypeName, isTop: boolean): boolean {
  return type === 'DNAME' || (type === 'NS' && !isTop)
}

function fromNode({ sets }: Node, asked: string, type: TypeName): Found {
  if (type === 'ANY') {
    if (sets.size === 0) return NODATA
    return { kind: 'records', records: [...sets.values()].flatMap((set) => named(set, asked)) }
  }
  const set = sets.get(type)
  if (set !== undefined) return { kind: 'records', records: named(set, asked) }
  const alias = sets.get('CNAME')?.[0]
  if (alias !== undefined && isType(alias, 'CNAME')) {
    return { kind: 'alias', records: named([alias], asked), target: alias.data.cname }
  }
  return NODATA
}

/** RFC 6672 section 3.2: the end of the name is replaced, and a CNAME says so to those who know no DNAME. */
function redirected(dname: RecordOf<'DNAME'>, asked: string): Found {
  let head = asked
  for (let at = dname.name; at !== ''; at = parentOf(at)) head = withoutLast(head)
  const { target } = dname.data
  const made = target === '' ? head : `${head}.${target}`
  if (canonicalName(made) === null) return { kind: 'alias', records: [dname], target: null }
  const cname = { name: asked, type: 'CNAME', class: CLASS_IN, ttl: dname.ttl, data: { cname: made } } as ResourceRecord
  return { kind: 'alias', records: [dname, cname], target: made }
}

/** A name without its last label. */
function withoutLast(name: string): string {
  let last = name
  for (let at = name; at !== ''; at = parentOf(at)) last = at
  return name.slice(0, Math.max(0, name.length - last.length - 1))
}

/** Records with the name as it was asked for: of a wildcard, or in other letters. */
function named(set: readonly ResourceRecord[], asked: string): readonly ResourceRecord[] {
  return set[0].name === asked ? set : set.map((r) => ({ ...r, name: asked }))
}

/** What is there twice is there once (RFC 2181 section 5). */
function unique(records: readonly ResourceRecord[]): ResourceRecord[] {
  const seen = new Map<string, ResourceRecord>()
  for (const r of records) {
    const key = JSON.stringify(r.data)
    if (!seen.has(key)) seen.set(key, r)
  }
  return [...seen.values()]
}

function knownType(type: string): TypeName {
  const code = typeCode(type.toUpperCase())
  if (code === null) throw invalidArgument(`type ${type} is not known: write TYPE and its number (RFC 3597)`)
  return typeName(code)
}

function recordsOf(source: ZoneSource, name: string | null): readonly ResourceRecord[] {
  if (typeof source === 'string') return parseMasterFile(source, name)
  if (Array.isArray(source)) return source as readonly ResourceRecord[]
  if (name === null) throw invalidArgument('a zone that is a table needs a name')
  const out: ResourceRecord[] = []
  for (const [owner, types] of Object.entries(source as ZoneTable)) {
    for (const [type, data] of Object.entries(types)) {
      for (const text of typeof data === 'string' ? [data] : data) {
        const fields = parseData(knownType(type), wordsOf(text), name)
        const owned = nameOf(owner === '' ? '@' : owner, name)
        out.push({
          name: owned,
          type: knownType(type),
          class: CLASS_IN,
          ttl: DEFAULT_TTL,
          data: fields,
        } as unknown as ResourceRecord)
      }
    }
  }
  return out
}

/** Records of one name and type each. */
function grouped(records: readonly ResourceRecord[]): ResourceRecord[][] {
  const groups = new Map<string, ResourceRecord[]>()
  for (const r of records) {
    const key = `${r.type} ${zoneName(r.name)}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [r])
    else group.push(r)
  }
  return [...groups.values()]
}

/** For zones that were given without one: times as RIPE-203 has them, and a minute for what is not there. */
function standardSoa(name: string): ResourceRecord {
  const below = (label: string): string => (name === '' ? label : `${label}.${name}`)
  return {
    name,
    type: 'SOA',
    class: CLASS_IN,
    ttl: DEFAULT_TTL,
    data: {
      mname: below('ns'),
      rname: below('hostmaster'),
      serial: 1,
      refresh: 86_400,
      retry: 7200,
      expire: 3_600_000,
      minimum: 60,
    },
  }
}
