import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseData } from '../../../src/dns/parse.ts'
import type { ResourceRecord } from '../../../src/dns/records.ts'
import { Authority, type Reply } from '../../../src/dns/server/authority.ts'
import { wordsOf } from '../../../src/dns/server/lexer.ts'
import { parseMasterFile } from '../../../src/dns/server/master-file.ts'
import { Zone } from '../../../src/dns/server/zone.ts'
import { dataText } from '../../../src/dns/text.ts'
import { record } from '../../support/dns-arbitrary.ts'
import { runs } from '../../support/runs.ts'

const line = (r: ResourceRecord): string => `${r.name || '.'} ${r.ttl} ${r.type} ${dataText(r)}`
const lines = (text: string, origin: string | null = 'example.com'): string[] => parseMasterFile(text, origin).map(line)

describe('master files', () => {
  it('the example of RFC 1035 section 5.3', () => {
    const text = `
@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32
`
    expect(lines(text, 'ISI.EDU')).toEqual([
      'ISI.EDU 60 SOA VENERA.ISI.EDU. Action\\.domains.ISI.EDU. 20 7200 600 3600000 60',
      'ISI.EDU 60 NS A.ISI.EDU.',
      'ISI.EDU 60 NS VENERA.ISI.EDU.',
      'ISI.EDU 60 MX 10 VENERA.ISI.EDU.',
      'ISI.EDU 60 MX 20 VAXA.ISI.EDU.',
      'A.ISI.EDU 60 A 26.3.0.103',
      'VENERA.ISI.EDU 60 A 10.1.0.52',
      'VENERA.ISI.EDU 60 A 128.9.0.32',
    ])
  })

  it('$ORIGIN, $TTL, TTL and class in either order, units, case', () => {
    const text = `$TTL 1h
www A 10.0.0.1
    IN 5m A 10.0.0.2 ; after a comment
    1d IN AAAA fd00::1
$ORIGIN sub
www a 10.0.0.3
$ORIGIN other.example.
www 2 CLASS1 A 10.0.0.4
$ttl 7
. TXT x
`
    expect(lines(text)).toEqual([
      'www.example.com 3600 A 10.0.0.1',
      'www.example.com 300 A 10.0.0.2',
      'www.example.com 86400 AAAA fd00::1',
      'www.sub.example.com 3600 A 10.0.0.3',
      'www.other.example 2 A 10.0.0.4',
      '. 7 TXT "x"',
    ])
  })

  it('quotes, escapes, parentheses within data, types that are not known, data of all kinds', () => {
    const text = `a TXT "a ; b" c\\ d "\\"\\\\ \\065" (
  "next"
)
b TYPE731 \\# 3 ab cd ef
c TYPE62347 \\# 0
d CAA 128 issue "ca.example; x=1"
e HTTPS 1 . alpn="h3,h2" port=443 ipv4hint=10.0.0.1,10.0.0.2 key4000="\\001x" no-default-alpn
f SVCB 0 foo.example.com.
f SVCB 16 . alpn="f\\\\\\\\oo\\\\,bar,h2" mandatory=port,alpn
g TLSA 3 1 1 ( AB
  CD )
h NAPTR 1 2 "s" "SIP+D2U" "" _sip._udp
i SRV 1 2 5060 sip
e\\.f.g A 10.0.0.1
j TXT "grün"
k DNAME @
`
    expect(lines(text).map((l) => l.replace(/ 3600 /, ' '))).toEqual([
      'a.example.com TXT "a ; b" "c d" "\\"\\\\ A" "next"',
      'b.example.com TYPE731 \\# 3 abcdef',
      'c.example.com TYPE62347 \\# 0',
      'd.example.com CAA 128 issue "ca.example; x=1"',
      'e.example.com HTTPS 1 . alpn="h3,h2" no-default-alpn port=443 ipv4hint=10.0.0.1,10.0.0.2 key4000="\\001x"',
      'f.example.com SVCB 0 foo.example.com.',
      'f.example.com SVCB 16 . mandatory=alpn,port alpn="f\\\\\\\\oo\\\\,bar,h2"',
      'g.example.com TLSA 3 1 1 ABCD',
      'h.example.com NAPTR 1 2 "s" "SIP+D2U" "" _sip._udp.example.com.',
      'i.example.com SRV 1 2 5060 sip.example.com.',
      'e\\.f.g.example.com A 10.0.0.1',
      'j.example.com TXT "gr\\195\\188n"',
      'k.example.com DNAME example.com.',
    ])
  })

  it.each([
    ['www A 10.0.0', 'line 1: A: its address: 10.0.0 is no IPv4 address'],
    ['\n\nwww MX 10', 'line 3: MX: its exchange is missing'],
    ['www MX ten mail', 'line 1: MX: its preference: ten is no number from 0 to 65535'],
    ['www A 10.0.0.1 10.0.0.2', 'line 1: A: 10.0.0.2 is too much'],
    ['www SPF "x"', 'line 1: type SPF is not known: write TYPE and its number (RFC 3597)'],
    ['www 60', 'line 1: its type is missing'],
    ['www CH A 10.0.0.1', 'line 1: class CH: only IN is served'],
    ['  A 10.0.0.1', 'line 1: no record stands before, whose owner this one might have'],
    ['$INCLUDE other', 'line 1: $INCLUDE is not understood: $ORIGIN and $TTL are'],
    ['$TTL x', 'line 1: x is no TTL'],
    ['a\nb (\nc', 'line 3: a parenthesis is not closed'],
    ['a )', 'line 1: a parenthesis is closed that was not opened'],
    ['a TXT "x\n', 'line 1: quotes are not closed'],
    ['a TYPE731 \\# 3 abcd', 'line 1: TYPE731: 3 is not the length of what follows'],
    ['a TYPE731 abcd', 'line 1: TYPE731: its data is written as \\# LENGTH HEX (RFC 3597)'],
    ['a A \\# 4 0a000001', 'line 1: A: write its fields: \\# is for types that are not known here'],
    [`a TXT ${'x'.repeat(256)}`, 'line 1: TXT: its strings: a string has at most 255 bytes'],
    ['a..b A 10.0.0.1', 'line 1: a..b is not a domain name'],
    ['a AAAA 10.0.0.1', 'line 1: AAAA: its address: 10.0.0.1 is no IPv6 address'],
    ['a HTTPS 1 . bogus=1', 'line 1: HTTPS: its params: bogus is no SvcParamKey'],
  ])('%j is refused: %s', (text, words) => {
    expect(() => parseMasterFile(text, 'example.com')).toThrow(words)
  })

  it('without a name of the zone the first owner says it', () => {
    expect(new Zone(null, 'lab.test. SOA ns admin 1 2 3 4 5\n TXT x\nwww A 10.0.0.2').records.map(line)).toEqual([
      'lab.test 5 SOA ns.lab.test. admin.lab.test. 1 2 3 4 5',
      'lab.test 5 TXT "x"',
      'www.lab.test 5 A 10.0.0.2',
    ])
    expect(() => new Zone(null, 'www A 10.0.0.1')).toThrow('line 1: www is relative, and no origin is known')
    expect(() => new Zone(null, 'www.lab. A 10.0.0.1')).toThrow('a zone needs a name, or an SOA record that has it')
  })

  it('what text.ts writes is read as the same data', () => {
    // Not those that no text stands for: no bytes in hexadecimal, values that do not fit their SvcParamKey.
    const shown = record.filter((r) => {
      if ('data' in r.data) return r.data.data.length > 0
      return !('params' in r.data) || r.data.params.every(({ key }) => key > 6)
    })
    fc.assert(
      fc.property(shown, (r) => {
        expect(dataText({ ...r, data: parseData(r.type, wordsOf(dataText(r)), 'origin.example') } as ResourceRecord)).toBe(
          dataText(r),
        )
      }),
      { numRuns: runs(400) },
    )
  })

  it('neither throws anything else nor hangs, whatever it is given', () => {
    const piece = fc.constantFrom(
      '$ORIGIN',
      '@',
      ' ',
      '\n',
      '(',
      ')',
      '"',
      '\\',
      ';',
      'A',
      'www',
      '10.0.0.1',
      'TXT',
      '3600',
      'IN',
      '\\#',
      '.',
      'HTTPS',
      '=',
      ',',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 4 })), { maxLength: 30 }), (parts) => {
        try {
          parseMasterFile(parts.join(''), 'example.com')
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', message: expect.stringMatching(/^line \d+: /) })
        }
      }),
      { numRuns: runs(500) },
    )
  })
})

/** RFC 4592 section 2.2.1. */
const WILDCARDS = `
@ SOA ns host 1 2 3 4 60
@ NS ns.example.com.
*          3600     TXT   "this is a wildcard"
*          3600     MX    10 host1.example.
sub.*      3600     TXT   "this is not a wildcard"
host1      3600     A     192.0.2.1
_ssh._tcp.host1  3600 SRV  0 0 22 host1
_ssh._tcp.host2  3600 SRV  0 0 22 host1
subdel     3600     NS    ns.example.com.
subdel     3600     NS    ns.example.net.
`

function ask(authority: Authority, name: string, type: string, isAnyWhole = true): Reply {
  return authority.answer(name, type, isAnyWhole)!
}

function shown({ rcode, authoritative, answers, authorities, additionals }: Reply): string {
  const short = (list: readonly ResourceRecord[]): string => list.map((r) => `${r.name} ${r.type} ${dataText(r)}`).join(', ')
  const sections = [short(answers), short(authorities.filter((r) => r.type !== 'SOA')), short(additionals)].join(' | ')
  const soa = authorities.some((r) => r.type === 'SOA') ? ' SOA' : ''
  return `${['ok', '', '', 'nx', '', '', 'yx'][rcode]}${authoritative ? ' aa' : ''}${soa}: ${sections}`
}

function authorityOf(...zones: Zone[]): Authority {
  const authority = new Authority(4)
  for (const zone of zones) authority.add(zone)
  return authority
}

describe('answers of a zone (RFC 1034 section 4.3.2)', () => {
  const wild = authorityOf(new Zone('example', WILDCARDS))

  it.each([
    // RFC 4592 section 2.2.1: those that are made of the wildcard, and those that are not
    ['host3.example', 'MX', 'ok aa: host3.example MX 10 host1.example. |  | host1.example A 192.0.2.1'],
    ['host3.example', 'A', 'ok aa SOA:  |  | '],
    ['foo.bar.example', 'TXT', 'ok aa: foo.bar.example TXT "this is a wildcard" |  | '],
    ['host1.example', 'MX', 'ok aa SOA:  |  | '],
    ['sub.*.example', 'MX', 'ok aa SOA:  |  | '],
    ['_telnet._tcp.host1.example', 'SRV', 'nx aa SOA:  |  | '],
    ['host.subdel.example', 'A', 'ok:  | subdel.example NS ns.example.com., subdel.example NS ns.example.net. | '],
    ['ghost.*.example', 'MX', 'nx aa SOA:  |  | '],
    // empty non-terminals
    ['_tcp.host2.example', 'SRV', 'ok aa SOA:  |  | '],
    ['host2.example', 'TXT', 'ok aa SOA:  |  | '],
    ['*.example', 'TXT', 'ok aa: *.example TXT "this is a wildcard" |  | '],
  ])('wildcards: %s %s', (name, type, expected) => {
    expect(shown(ask(wild, name, type))).toBe(expected)
  })

  const zone = new Zone(
    'example.com',
    `@ SOA ns host 1 2 3 4 60
@ 300 NS ns
@ 300 NS ns.example.net.
@ MX 10 mail
@ MX 20 mail.elsewhere.test.
ns A 10.0.0.1
mail A 10.0.0.2
mail AAAA fd00::2
www CNAME web
web A 10.0.0.3
out CNAME www.elsewhere.test.
over CNAME x.other.test.
a CNAME b
b CNAME a
c1 CNAME c2
c2 CNAME c3
c3 CNAME c4
c4 CNAME c5
c5 CNAME c6
c6 A 10.0.0.6
gone CNAME nothing
sub NS ns.sub
sub NS ns2.elsewhere.test.
ns.sub A 10.0.0.9
below.sub A 10.0.0.10
old DNAME new.example.com.
x.new A 10.0.0.7
_sip._udp SRV 1 2 5060 mail
svc HTTPS 1 .
svc A 10.0.0.8
`,
  )
  const other = new Zone('other.test', { x: { A: '10.1.0.1' }, '@': { TXT: ['"one"', 'two'] } })
  const authority = authorityOf(zone, other)

  it.each([
    ['ns.example.com', 'A', 'ok aa: ns.example.com A 10.0.0.1 |  | '],
    ['NS.Example.COM', 'A', 'ok aa: NS.Example.COM A 10.0.0.1 |  | '],
    ['mail.example.com', 'ANY', 'ok aa: mail.example.com A 10.0.0.2, mail.example.com AAAA fd00::2 |  | '],
    ['nothing.example.com', 'A', 'nx aa SOA:  |  | '],
    ['ns.example.com', 'AAAA', 'ok aa SOA:  |  | '],
    [
      'example.com',
      'MX',
      'ok aa: example.com MX 10 mail.example.com., example.com MX 20 mail.elsewhere.test. |  | mail.example.com A 10.0.0.2, mail.example.com AAAA fd00::2',
    ],
    ['example.com', 'NS', 'ok aa: example.com NS ns.example.com., example.com NS ns.example.net. |  | ns.example.com A 10.0.0.1'],
    ['www.example.com', 'A', 'ok aa: www.example.com CNAME web.example.com., web.example.com A 10.0.0.3 |  | '],
    ['www.example.com', 'CNAME', 'ok aa: www.example.com CNAME web.example.com. |  | '],
    ['www.example.com', 'MX', 'ok aa SOA: www.example.com CNAME web.example.com. |  | '],
    ['gone.example.com', 'A', 'nx aa SOA: gone.example.com CNAME nothing.example.com. |  | '],
    ['over.example.com', 'A', 'ok aa: over.example.com CNAME x.other.test., x.other.test A 10.1.0.1 |  | '],
    ['out.example.com', 'A', 'ok aa: out.example.com CNAME www.elsewhere.test. |  | '],
    ['a.example.com', 'A', 'ok aa: a.example.com CNAME b.example.com., b.example.com CNAME a.example.com. |  | '],
    [
      'below.sub.example.com',
      'A',
      'ok:  | sub.example.com NS ns.sub.example.com., sub.example.com NS ns2.elsewhere.test. | ns.sub.example.com A 10.0.0.9',
    ],
    [
      'sub.example.com',
      'NS',
      'ok:  | sub.example.com NS ns.sub.example.com., sub.example.com NS ns2.elsewhere.test. | ns.sub.example.com A 10.0.0.9',
    ],
    // DS is the parent's own
    ['sub.example.com', 'TYPE43', 'ok aa SOA:  |  | '],
    [
      'x.old.example.com',
      'A',
      'ok aa: old.example.com DNAME new.example.com., x.old.example.com CNAME x.new.example.com., x.new.example.com A 10.0.0.7 |  | ',
    ],
    ['old.example.com', 'DNAME', 'ok aa: old.example.com DNAME new.example.com. |  | '],
    ['old.example.com', 'A', 'ok aa SOA:  |  | '],
    [
      '_sip._udp.example.com',
      'SRV',
      'ok aa: _sip._udp.example.com SRV 1 2 5060 mail.example.com. |  | mail.example.com A 10.0.0.2, mail.example.com AAAA fd00::2',
    ],
    ['_udp.example.com', 'A', 'ok aa SOA:  |  | '],
    ['svc.example.com', 'HTTPS', 'ok aa: svc.example.com HTTPS 1 . |  | svc.example.com A 10.0.0.8'],
    ['other.test', 'TXT', 'ok aa: other.test TXT "one", other.test TXT "two" |  | '],
  ])('%s %s', (name, type, expected) => {
    expect(shown(ask(authority, name, type))).toBe(expected)
  })

  it('a chain is cut after so many links; a DNAME that makes too long a name is YXDOMAIN', () => {
    expect(ask(authority, 'c1.example.com', 'A').answers.length).toBe(5)
    const long = Array(3).fill('x'.repeat(63)).join('.')
    zone.set('d', 'DNAME', `${'y'.repeat(60)}.${'z'.repeat(60)}.test.`)
    expect(shown(ask(authority, `${long}.d.example.com`, 'A'))).toMatch(/^yx aa: d.example.com DNAME/)
    zone.delete('d')
  })

  it('ANY in part: the first set alone', () => {
    expect(ask(authority, 'mail.example.com', 'ANY', false).answers.map((r) => r.type)).toEqual(['A'])
  })

  it('of no zone of ours; where a chain leaves them; what glue must be there', () => {
    expect(authority.answer('www.elsewhere.test', 'A', true)).toBe(null)
    expect(ask(authority, 'out.example.com', 'A').elsewhere).toBe('www.elsewhere.test')
    expect(ask(authority, 'below.sub.example.com', 'A').needed).toBe(1)
  })

  it('negative answers have the least of the SOA and its minimum as TTL (RFC 2308 section 3)', () => {
    expect(ask(authority, 'nothing.example.com', 'A').authorities[0].ttl).toBe(60)
  })
})

describe('a zone that changes', () => {
  it('set replaces, delete removes, the serial number goes up and round', () => {
    const zone = new Zone('lab', 'x.y A 10.0.0.9\n@ SOA ns host 4294967295 2 3 4 5')
    const authority = authorityOf(zone)
    zone.set('www', 'A', ['10.0.0.1', '10.0.0.1', '10.0.0.2'], 60)
    expect(shown(ask(authority, 'www.lab', 'A'))).toBe('ok aa: www.lab A 10.0.0.1, www.lab A 10.0.0.2 |  | ')
    expect([zone.size, zone.soa.data.serial]).toEqual([4, 0])
    zone.set('www.lab.', 'a', '10.0.0.3')
    expect(shown(ask(authority, 'www.lab', 'A'))).toBe('ok aa: www.lab A 10.0.0.3 |  | ')
    expect(zone.delete('www')).toBe(true)
    expect(zone.delete('www')).toBe(false)
    expect(shown(ask(authority, 'www.lab', 'A'))).toBe('nx aa SOA:  |  | ')
    expect([zone.size, zone.soa.data.serial]).toEqual([2, 2])
    // the names above go with the last one below
    zone.delete('x.y', 'A')
    expect(shown(ask(authority, 'y.lab', 'A'))).toBe('nx aa SOA:  |  | ')
  })

  it('tells listeners what was and what is', () => {
    const zone = new Zone('lab', {})
    const told: string[] = []
    zone.listeners.add({ changed: (before, after) => told.push(`${before.map(line)} -> ${after.map(line)}`) })
    zone.set('www', 'A', '10.0.0.1', 5)
    zone.set('www', 'A', '10.0.0.2', 5)
    zone.delete('www', 'A')
    expect(told).toEqual([' -> www.lab 5 A 10.0.0.1', 'www.lab 5 A 10.0.0.1 -> www.lab 5 A 10.0.0.2', 'www.lab 5 A 10.0.0.2 -> '])
  })

  it('delegations come and go', () => {
    const zone = new Zone('lab', { 'www.sub': { A: '10.0.0.1' } })
    const authority = authorityOf(zone)
    zone.set('sub', 'NS', 'ns.elsewhere.')
    expect(shown(ask(authority, 'www.sub.lab', 'A'))).toBe('ok:  | sub.lab NS ns.elsewhere. | ')
    zone.delete('sub', 'NS')
    expect(shown(ask(authority, 'www.sub.lab', 'A'))).toBe('ok aa: www.sub.lab A 10.0.0.1 |  | ')
  })

  it.each([
    [(z: Zone) => z.set('@', 'CNAME', 'x'), 'lab: a CNAME is alone at its name, which is not that of the zone'],
    [(z: Zone) => z.set('www', 'CNAME', 'x'), 'www.lab: a CNAME is alone at its name, which is not that of the zone'],
    [(z: Zone) => z.set('alias', 'A', '10.0.0.1'), 'alias.lab: it has a CNAME, which is alone at its name'],
    [(z: Zone) => z.set('www.example.', 'A', '10.0.0.1'), 'www.example. is not within lab'],
    [(z: Zone) => z.set('www', 'A', []), 'www A: no data; delete removes records'],
    [(z: Zone) => z.set('www', 'SOA', 'a b 1 2 3 4 5'), 'www.lab: a zone has one SOA, at its own name'],
    [(z: Zone) => z.set('www', 'ANY', '\\# 0'), 'ANY is no type of data'],
    [(z: Zone) => z.set('www', 'A', 'x'), 'A: its address: x is no IPv4 address'],
    [(z: Zone) => z.set('www', 'TXT', { strings: [new Uint8Array(256)] }), 'a string of DNS has at most 255 bytes'],
    [(z: Zone) => z.set('www', 'MX', { preference: 1, exchange: 'a..b' }), 'a..b is not a domain name'],
    [(z: Zone) => z.set('a..b', 'A', '10.0.0.1'), 'a..b is not a domain name'],
    [(z: Zone) => z.delete('@', 'SOA'), 'the SOA of lab cannot be removed: set it'],
  ])('what cannot be is refused, and nothing changes (%#)', (change, words) => {
    const zone = new Zone('lab', { www: { A: '10.0.0.1' }, alias: { CNAME: 'www' } })
    const before = zone.records.map(line)
    expect(() => change(zone)).toThrow(words)
    expect(zone.records.map(line)).toEqual(before)
  })

  it('a zone is the same however its names are written', () => {
    expect(new Zone('LAB.', {}).name).toBe('lab')
  })
})
