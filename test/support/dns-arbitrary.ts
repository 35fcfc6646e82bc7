/** Messages of DNS at random, for property tests. */
import fc from 'fast-check'
import { Address } from '../../src/base/address.ts'
import { type Message, message } from '../../src/dns/message.ts'
import { joinLabels, MAX_NAME } from '../../src/dns/names.ts'
import { type KnownType, type ResourceRecord, TYPES, typeName } from '../../src/dns/records.ts'

const u8 = fc.nat(0xff)
const u16 = fc.nat(0xffff)
const u32 = fc.nat(0xffffffff)
const bytes = fc.uint8Array({ maxLength: 40 })
const word = fc.integer({ min: -0x80000000, max: 0x7fffffff })
// Few different labels, so that names meet and are compressed.
const label = fc.oneof(
  fc.constantFrom('www', 'mail', 'example', 'com', 'a').map((text) => Uint8Array.from(text, (c) => c.charCodeAt(0))),
  fc.uint8Array({ minLength: 1, maxLength: 63 }),
)

export const name: fc.Arbitrary<string> = fc
  .array(label, { maxLength: 6 })
  .filter((labels) => labels.reduce((sum, l) => sum + l.length + 1, 1) <= MAX_NAME)
  .map(joinLabels)

const params = fc
  .uniqueArray(u16, { maxLength: 4 })
  .chain((keys) => fc.tuple(fc.constant(keys.sort((a, b) => a - b)), fc.array(bytes, { minLength: keys.length, maxLength: 4 })))
  .map(([keys, values]) => keys.map((key, i) => ({ key, value: values[i] })))

const KINDS: Record<string, fc.Arbitrary<unknown>> = {
  u8,
  u16,
  u32,
  a: word.map((w) => Address.v4(w)),
  aaaa: fc.tuple(word, word, word, word).map(([a, b, c, d]) => new Address(a, b, c, d)),
  name,
  plainName: name,
  text: bytes,
  tag: bytes,
  texts: fc.array(bytes, { minLength: 1, maxLength: 4 }),
  hex: bytes,
  quoted: bytes,
  params,
  types: fc.uniqueArray(u16, { maxLength: 6 }).map((codes) => codes.sort((a, b) => a - b).map(typeName)),
}

const known = fc
  .constantFrom(...(Object.keys(TYPES) as KnownType[]))
  .chain((type) =>
    fc
      .record(
        Object.fromEntries(TYPES[type].fields.map(([field, kind]) => [field, KINDS[kind]])) as Record<
          string,
          fc.Arbitrary<unknown>
        >,
      )
      .map((data) => ({ type, data })),
  )
const unknown = fc.record({ type: fc.constantFrom('TYPE65280', 'TYPE99'), data: fc.record({ bytes }) })

export const record = fc
  .tuple(name, u16, fc.nat(0x7fffffff), fc.oneof({ weight: 8, arbitrary: known }, unknown))
  .map(([owner, rrclass, ttl, rest]) => ({ name: owner, class: rrclass, ttl, ...rest }) as ResourceRecord)

export const anyMessage: fc.Arbitrary<Message> = fc
  .record({
    id: u16,
    isResponse: fc.boolean(),
    opcode: fc.nat(15),
    authoritative: fc.boolean(),
    truncated: fc.boolean(),
    recursionDesired: fc.boolean(),
    recursionAvailable: fc.boolean(),
    authenticData: fc.boolean(),
    checkingDisabled: fc.boolean(),
    rcode: fc.nat(15),
    questions: fc.array(fc.record({ name, type: fc.constantFrom('A', 'AAAA', 'ANY', 'HTTPS', 'TYPE731'), class: u16 }), {
      maxLength: 2,
    }),
    answers: fc.array(record, { maxLength: 5 }),
    authorities: fc.array(record, { maxLength: 2 }),
    additionals: fc.array(record, { maxLength: 2 }),
    edns: fc.option(
      fc.record({
        udpPayloadBytes: u16,
        version: u8,
        dnssecOk: fc.boolean(),
        options: fc.array(fc.record({ code: u16, data: bytes }), { maxLength: 3 }),
      }),
    ),
  })
  .map((given) => message(given))
