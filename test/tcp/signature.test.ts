/** Signed connections (RFC 2385, RFC 5925) with a peer that is played by hand and signs by Node's cryptography. */
import { describe, expect, it } from 'vitest'
import type { TcpKey } from '../../src/tcp/api.ts'
import { SequenceExtension } from '../../src/tcp/signature-ao.ts'
import { type PeerKey, SignedPeer } from '../support/signed-peer.ts'
import { type LabOptions, TcpLab } from '../support/tcp-lab.ts'

const OLD: PeerKey = { secret: 'old secret', peerId: 61, ourId: 84 }
const NEW: PeerKey = { secret: 'new secret', peerId: 62, ourId: 85 }
const FULL = '<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>'

const md5 = (key = 'secret'): TcpKey => ({ algorithm: 'md5', key })
const ao = (key: PeerKey = OLD): TcpKey => ({
  algorithm: 'hmac-sha-1-96',
  key: key.secret,
  sendId: key.ourId,
  receiveId: key.peerId,
})

interface Bench {
  lab: TcpLab
  peer: SignedPeer
}

function bench(kind: 'md5' | 'ao', options: LabOptions = {}): Bench {
  const lab = new TcpLab(options)
  const peer = new SignedPeer(lab, kind, kind === 'md5' ? [{ secret: 'secret', peerId: 0, ourId: 0 }] : [OLD, NEW])
  return { lab, peer }
}

const keysOf = (kind: 'md5' | 'ao'): TcpKey[] => [kind === 'md5' ? md5() : ao()]

/** A server whose peer signs, its connection established. */
function server(kind: 'md5' | 'ao', options: LabOptions = {}, syn = '<mss 1460>'): Bench {
  const b = bench(kind, options)
  b.lab.listen({ keys: keysOf(kind) })
  b.lab.accept(syn)
  b.peer.take()
  return b
}

describe.each(['md5', 'ao'] as const)('%s', (kind) => {
  const unsignedCounter = kind === 'md5' ? 'TCPMD5NotFound' : 'TCPAORequired'
  const badCounter = kind === 'md5' ? 'TCPMD5Failure' : 'TCPAOBad'
  const space = kind === 'md5' ? 20 : 16

  it('a server signs everything from the SYN-ACK to the last ACK of TIME-WAIT', () => {
    const { lab, peer } = bench(kind)
    lab.listen({ keys: keysOf(kind) })
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    lab.expect('S. 0:0(0) ack 1 <mss 1460>')
    lab.advance(1000)
    lab.expect('S. 0:0(0) ack 1') // again, by its timer
    lab.inject('. 1:1(0) ack 1')
    expect(lab.c.info().signed).toBe(kind)
    lab.inject('P. 1:101(100) ack 1')
    expect(lab.app.received).toBe(100)
    lab.clear()
    lab.write(50)
    lab.expect('P. 1:51(50) ack 101')
    lab.c.shutdown()
    lab.run()
    lab.expect('F. 51:51(0) ack 101')
    lab.inject('F. 101:101(0) ack 52')
    lab.expect('. 52:52(0) ack 102')
    expect(lab.stack.tcp.timeWaits.size).toBe(1)
    lab.advance(1000)
    lab.inject('F. 101:101(0) ack 52')
    lab.expect('. 52:52(0) ack 102')
    expect(peer.take().length).toBe(7)
  })

  it('a client signs everything from the SYN to the reset', () => {
    const { lab, peer } = bench(kind)
    lab.open({ keys: keysOf(kind) })
    lab.expect('S 0:0(0)')
    lab.advance(1000)
    lab.expect('S 0:0(0)')
    lab.inject('S. 0:0(0) ack 1 win 65535 <mss 1460>')
    lab.expect('. 1:1(0) ack 1')
    lab.write(10)
    lab.expect('P. 1:11(10) ack 1')
    expect(lab.c.info().signed).toBe(kind)
    lab.c.abort()
    lab.run()
    lab.expect('R. 11:11(0) ack 1')
    expect(peer.take().length).toBe(5)
  })

  it('two that open at once', () => {
    const { lab } = bench(kind)
    lab.open({ keys: keysOf(kind) })
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    lab.expect('S 0:0(0)', 'S. 0:0(0) ack 1')
    lab.inject('S. 0:0(0) ack 1 win 65535 <mss 1460>')
    expect(lab.state).toBe('ESTABLISHED')
    lab.inject('P. 1:11(10) ack 1')
    expect(lab.app.received).toBe(10)
  })

  it('nothing unsigned, badly signed or signed twice is heard, in any state', () => {
    const states: [string, () => Bench, string][] = [
      [
        'LISTEN',
        () => {
          const b = bench(kind)
          b.lab.listen({ keys: keysOf(kind) })
          return b
        },
        'S 0:0(0) win 65535',
      ],
      [
        'SYN-SENT',
        () => {
          const b = bench(kind)
          b.lab.open({ keys: keysOf(kind) })
          return b
        },
        'S. 0:0(0) ack 1 win 65535',
      ],
      [
        'SYN-SENT',
        () => {
          const b = bench(kind)
          b.lab.open({ keys: keysOf(kind) })
          return b
        },
        'R. 0:0(0) ack 1',
      ],
      [
        'SYN-RECEIVED',
        () => {
          const b = bench(kind)
          b.lab.listen({ keys: keysOf(kind) })
          b.lab.inject('S 0:0(0) win 65535 <mss 1460>')
          return b
        },
        '. 1:1(0) ack 1',
      ],
      ['ESTABLISHED', () => server(kind), 'R 1:1(0)'],
      ['ESTABLISHED', () => server(kind), 'P. 1:11(10) ack 1'],
      ['ESTABLISHED', () => server(kind), 'F. 1:1(0) ack 1'],
      ['ESTABLISHED', () => server(kind), 'S 500:500(0) win 65535'],
    ]
    for (const [, make, segment] of states) {
      for (const [mode, counter] of [
        ['none', unsignedCounter],
        ['bad', badCounter],
        ['twice', 'dropBadSignatureOption'],
        ['short', 'dropBadSignatureOption'],
      ] as const) {
        const { lab, peer } = make()
        lab.clear()
        lab.app.take()
        const before = lab.c === undefined ? '' : lab.state
        const segments = lab.c === undefined ? 0 : lab.c.segmentsIn
        const count = lab.counters[counter] ?? 0
        peer.mode = mode
        lab.inject(segment)
        lab.expect()
        expect(lab.app.take()).toEqual([])
        expect(lab.c === undefined ? '' : lab.state).toBe(before)
        expect(lab.c === undefined ? 0 : lab.c.segmentsIn).toBe(segments)
        expect(lab.counters[counter], `${mode} ${segment}`).toBe(count + 1)
      }
    }
  })

  it('TIME-WAIT hears nothing unsigned, and a signed SYN may end it', () => {
    const { lab, peer } = server(kind)
    lab.c.shutdown()
    lab.run()
    lab.inject('F. 1:1(0) ack 2')
    lab.clear()
    expect(lab.stack.tcp.timeWaits.size).toBe(1)
    peer.mode = 'none'
    lab.inject('F. 1:1(0) ack 2')
    lab.inject('S 100000:100000(0) win 65535 <mss 1460>')
    lab.expect()
    expect(lab.counters[unsignedCounter]).toBe(2)
    peer.mode = 'good'
    lab.forget()
    lab.irs += 100_000
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    lab.expect('S. 0:0(0) ack 1')
    expect(lab.stack.tcp.timeWaits.size).toBe(0)
    lab.inject('. 1:1(0) ack 1')
    lab.inject('P. 1:11(10) ack 1')
    expect(lab.accepted.length).toBe(2)
    expect(lab.c.info()).toMatchObject({ state: 'ESTABLISHED', signed: kind, bytesReceived: 10 })
  })

  it('segments are smaller by the option, and never super-segments', () => {
    const { lab, peer } = server(kind, { offload: 7, gsoMax: 65_535 })
    expect(lab.c.info().mss).toBe(1460 - space)
    lab.write(5000)
    for (const e of lab.take()) expect([e.gso, e.len <= 1460 - space]).toEqual([0, true])
    expect(Math.max(...peer.take().map((s) => s.length))).toBe(1500)
  })

  it('timestamps and SACK share what room is left', () => {
    const { lab } = bench(kind)
    lab.listen({ keys: keysOf(kind) })
    lab.inject(`S 0:0(0) win 65535 ${FULL}`)
    // 36 bytes of options beside 16; MD5's 20 leave no room for a SACK block with timestamps, so those go, as on Linux.
    lab.expect(
      kind === 'md5' ? 'S. 0:0(0) ack 1 <mss 1460,sackOK,wscale 7>' : 'S. 0:0(0) ack 1 <mss 1460,sackOK,TS ecr 100,wscale 7>',
    )
    if (kind === 'ao') lab.peerTs = 100
    lab.inject('. 1:1(0) ack 1')
    lab.inject('. 101:201(100) ack 1')
    lab.inject('. 301:401(100) ack 1')
    const acks = lab.take().map((e) => e.options.filter((o) => o.startsWith('sack')))
    expect(acks).toEqual(kind === 'md5' ? [['sack 101:201'], ['sack 301:401 101:201']] : [['sack 101:201'], ['sack 301:401']])
    lab.inject('. 1:101(100) ack 1')
    expect(lab.app.received).toBe(200)
  })

  it('an opener offers both; a peer that takes both gets no block that would not fit', () => {
    const { lab } = bench(kind)
    lab.open({ keys: keysOf(kind) })
    lab.expect('S 0:0(0) <mss 1460,sackOK,TS ecr 0,wscale 7>')
    lab.inject('S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>')
    lab.clear()
    lab.peerTs = 100
    lab.inject('. 101:201(100) ack 1')
    lab.expect(kind === 'md5' ? '. 1:1(0) ack 1 <TS>' : '. 1:1(0) ack 1 <TS,sack 101:201>')
  })

  it('SYN cookies: signed, and the ACK that brings one back is verified', () => {
    const { lab, peer } = bench(kind, { config: { tcp: { synCookies: 'always' } } })
    lab.listen({ keys: keysOf(kind) })
    lab.inject(`S 0:0(0) win 65535 ${FULL}`)
    lab.peerTs = 100
    const [synAck] = lab.take()
    expect(synAck.text).toContain('S. 0:0(0) ack 1')
    expect(lab.stack.tcp.flowTable.size).toBe(0)
    peer.mode = 'bad'
    lab.inject('. 1:1(0) ack 1')
    expect(lab.accepted.length).toBe(0)
    peer.mode = 'good'
    lab.inject('P. 1:11(10) ack 1')
    expect(lab.c.info()).toMatchObject({ state: 'ESTABLISHED', signed: kind, bytesReceived: 10 })
    lab.write(100)
    expect(lab.take().some((e) => e.len === 100)).toBe(true)
  })

  it('Fast Open is not used', () => {
    const { lab } = bench(kind)
    lab.listen({ keys: keysOf(kind), fastOpen: 4 })
    lab.inject('S 0:0(0) win 65535 <mss 1460,FO>')
    lab.expect('S. 0:0(0) ack 1 <mss 1460>')
    const other = bench(kind)
    other.lab.open({ keys: keysOf(kind), fastOpen: true })
    other.lab.expect('S 0:0(0) <mss 1460,sackOK,TS ecr 0,wscale 7>')
  })

  it('AccECN’s option gets what room is left', () => {
    const { lab } = bench(kind, { config: { tcp: { ecn: 'accurate', ecnOption: 'always' } } })
    lab.listen({ keys: keysOf(kind) })
    lab.inject('SEWA 0:0(0) win 65535 <mss 1460,sackOK>')
    lab.clear()
    lab.inject('. 1:1(0) ack 1 <ECN e0b 1 ceb 0 e1b 1,nop>')
    lab.inject('. 101:201(100) ack 1 <ECN e0b 1 ceb 0 e1b 1,nop>', { ecn: 2 })
    for (const e of lab.take()) expect(e.options.length).toBeGreaterThan(0)
    expect(lab.c.info()).toMatchObject({ signed: kind, ecn: 'accurate' })
  })

  it('a link that is full: the segment is signed when it goes', () => {
    const { lab, peer } = server(kind)
    lab.link.full = true
    lab.write(100)
    lab.expect()
    lab.link.full = false
    lab.link.sink!.writable()
    lab.run()
    lab.expect('P. 1:101(100) ack 1')
    expect(peer.take().length).toBe(1)
  })

  it('others on the same port are served without; peers go by prefix', () => {
    const { lab, peer } = bench(kind)
    lab.listen({ keys: [{ ...keysOf(kind)[0], peer: '10.0.0.0/29' }] })
    peer.unsigned.add(9)
    lab.inject('S 0:0(0) win 65535 <mss 1460>', { from: 9 })
    lab.expect('S. 0:0(0) ack 1')
    lab.inject('. 1:1(0) ack 1', { from: 9 })
    expect(lab.c.info().signed).toBe('none')
    lab.inject('S 0:0(0) win 65535 <mss 1460>', { from: 7 })
    lab.expect('S. 0:0(0) ack 1')
    lab.inject('. 1:1(0) ack 1', { from: 7 })
    expect(lab.c.info().signed).toBe(kind)
  })

  it('a signed segment for nobody gets no reset, an unsigned one does', () => {
    const { lab, peer } = bench(kind)
    lab.inject('. 1:1(0) ack 1', { localPort: 99 })
    lab.expect()
    expect(lab.counters).toMatchObject({ dropNoSocket: 1 })
    peer.unsigned.add(1)
    lab.inject('. 1:1(0) ack 1', { localPort: 99 })
    lab.expect('R 1:1(0)')
  })

  it('an opener whose keys are of others is told', () => {
    const { lab } = bench(kind)
    expect(() => lab.open({ keys: [{ ...keysOf(kind)[0], peer: '10.9.0.0/16' }] })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    )
    expect(lab.stack.tcp.flowTable.size).toBe(0)
  })

  it('a connection cannot begin or cease to be signed', () => {
    const { lab } = server(kind)
    for (const keys of [[], [kind === 'md5' ? ao() : md5()], [{ ...keysOf(kind)[0], peer: '10.9.0.0/16' }]])
      expect(() => lab.c.set({ keys })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    const plain = new TcpLab().accept()
    expect(() => plain.c.set({ keys: keysOf(kind) })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    plain.c.set({ keys: [] })
    expect(plain.c.info().signed).toBe('none')
  })
})

describe('md5', () => {
  it('the longest prefix has the key', () => {
    const { lab } = bench('md5')
    lab.listen({
      keys: [
        { peer: '10.0.0.0/8', algorithm: 'md5', key: 'wrong' },
        { peer: '10.0.0.1', algorithm: 'md5', key: new TextEncoder().encode('secret') },
        { algorithm: 'md5', key: 'wrong, too' },
      ],
    })
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    lab.expect('S. 0:0(0) ack 1')
  })

  it('where there is no key, signed segments are dropped', () => {
    const { lab, peer } = bench('md5')
    lab.listen()
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    lab.expect()
    peer.unsigned.add(1)
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    lab.expect('S. 0:0(0) ack 1')
    peer.unsigned.clear()
    lab.inject('. 1:1(0) ack 1')
    expect(lab.accepted.length).toBe(0)
    expect(lab.counters).toMatchObject({ TCPMD5Unexpected: 2 })
  })

  it('a reset of a listener to a stray segment is signed', () => {
    const { lab, peer } = bench('md5')
    lab.listen({ keys: [md5()] })
    lab.inject('. 1:1(0) ack 1')
    lab.expect('R 1:1(0)')
    expect(peer.take().length).toBe(1)
  })

  it('an ACK that completes nothing is reset with a signature', () => {
    const { lab, peer } = bench('md5')
    lab.listen({ keys: [md5()] })
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    lab.clear()
    peer.take()
    lab.inject('. 1:1(0) ack 7')
    lab.expect('R 7:7(0)')
    expect(peer.take().length).toBe(1)
  })

  it('a key may change while the connection runs', () => {
    const { lab, peer } = server('md5')
    lab.c.set({ keys: [md5('another')] })
    lab.inject('P. 1:11(10) ack 1')
    expect(lab.app.received).toBe(0)
    peer.keys[0].secret = 'another'
    lab.inject('P. 1:11(10) ack 1')
    expect(lab.app.received).toBe(10)
    lab.clear()
    lab.write(10)
    lab.expect('P. 1:11(10)')
  })

  it('a listener’s keys may change: those of new handshakes', () => {
    const { lab, peer } = server('md5')
    lab.listener!.set({ keys: [md5('another')] })
    lab.inject('P. 1:11(10) ack 1')
    expect(lab.app.received).toBe(10)
    lab.listener!.set({ keys: [] })
    peer.unsigned.add(5)
    lab.clear()
    lab.inject('S 0:0(0) win 65535 <mss 1460>', { from: 5 })
    lab.expect('S. 0:0(0) ack 1')
  })

  it('ICMP is heard as always', () => {
    const { lab } = server('md5')
    lab.write(100)
    lab.icmp(3, 3, { seq: 1 })
    expect(lab.c.softError).toBe('ECONNREFUSED')
  })
})

describe('TCP-AO', () => {
  it('counts what is good, and what has no key', () => {
    const { lab, peer } = server('ao')
    expect(lab.counters).toMatchObject({ TCPAOGood: 2 })
    peer.key = { ...OLD, peerId: 99 }
    lab.inject('P. 1:11(10) ack 1')
    expect(lab.app.received).toBe(0)
    expect(lab.counters).toMatchObject({ TCPAOGood: 2, TCPAOKeyNotFound: 1 })
  })

  it('without any key the option is ignored (RFC 5925 section 7.3), or the segment dropped if one says so', () => {
    const open = bench('ao')
    open.lab.listen()
    open.peer.unsigned.add(7)
    open.lab.emitted = TcpLab.prototype.emitted.bind(open.lab)
    open.lab.inject('S 0:0(0) win 65535 <mss 1460>')
    open.lab.inject('. 1:1(0) ack 1')
    expect(open.lab.c.info()).toMatchObject({ state: 'ESTABLISHED', signed: 'none' })
    const strict = bench('ao', { config: { tcp: { acceptUnknownAo: false } } })
    strict.lab.listen()
    strict.lab.inject('S 0:0(0) win 65535 <mss 1460>')
    strict.lab.expect()
    expect(strict.lab.counters).toMatchObject({ TCPAOKeyNotFound: 1 })
  })

  it('a new key without losing a segment: both add it, one puts it first, the other follows (RFC 5925 section 6.1)', () => {
    const { lab, peer } = server('ao')
    lab.c.set({ keys: [ao(OLD), ao(NEW)], noDelay: true })
    lab.write(10)
    expect(peer.take()).toMatchObject([{ keyId: OLD.ourId, rnextKeyId: OLD.peerId }])
    // We would like to see the new one, and take it at once.
    lab.c.set({ keys: [ao(NEW), ao(OLD)] })
    lab.write(10)
    expect(peer.take()).toMatchObject([{ keyId: OLD.ourId, rnextKeyId: NEW.peerId }])
    peer.key = NEW
    lab.inject('P. 1:11(10) ack 21')
    expect(lab.app.received).toBe(10)
    lab.inject('P. 11:21(10) ack 21')
    expect(peer.take().every((s) => s.keyId === OLD.ourId)).toBe(true)
    // The peer would like to see it, too.
    peer.rnextKeyId = NEW.ourId
    lab.inject('P. 21:31(10) ack 21')
    lab.write(10)
    expect(peer.take().at(-1)).toMatchObject({ keyId: NEW.ourId, rnextKeyId: NEW.peerId })
    // The old one may go.
    lab.c.set({ keys: [ao(NEW)] })
    peer.key = OLD
    lab.inject('P. 31:41(10) ack 31')
    expect(lab.counters.TCPAOKeyNotFound).toBe(1)
    peer.key = NEW
    lab.inject('P. 31:41(10) ack 31')
    expect(lab.app.received).toBe(40)
  })

  it('what an older segment asks for is not done, nor what nobody has', () => {
    const { lab, peer } = server('ao')
    lab.c.set({ keys: [ao(OLD), ao(NEW)] })
    lab.inject('P. 1:11(10) ack 1')
    lab.inject('P. 11:21(10) ack 1')
    peer.rnextKeyId = NEW.ourId
    lab.inject('P. 1:11(10) ack 1')
    peer.take()
    lab.write(1)
    expect(peer.take()).toMatchObject([{ keyId: OLD.ourId }])
    peer.rnextKeyId = 200
    lab.inject('P. 21:31(10) ack 2')
    lab.write(1)
    expect(peer.take().at(-1)).toMatchObject({ keyId: OLD.ourId })
  })

  it('a SYN chooses by its numbers: the key it is signed with, and the one it asks for', () => {
    const { lab, peer } = bench('ao')
    lab.listen({ keys: [ao(OLD), ao(NEW)] })
    peer.key = NEW
    peer.rnextKeyId = 200
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    expect(peer.take()).toMatchObject([{ keyId: NEW.ourId, rnextKeyId: OLD.peerId }])
    peer.rnextKeyId = OLD.ourId
    lab.inject('S 0:0(0) win 65535 <mss 1460>', { remotePort: 40_001 })
    expect(peer.take()).toMatchObject([{ keyId: OLD.ourId, rnextKeyId: OLD.peerId }])
  })

  it('the key in use taken away: the first of the others', () => {
    const { lab, peer } = server('ao')
    lab.c.set({ keys: [ao(NEW)] })
    lab.write(10)
    expect(peer.take()).toMatchObject([{ keyId: NEW.ourId }])
  })

  it('sequence numbers that wrap, ours and the peer’s, are extended', () => {
    const { lab, peer } = server('ao', { iss: -3000, irs: -150 })
    for (let i = 0; i < 5; i++) lab.inject(`P. ${1 + 100 * i}:${101 + 100 * i}(100) ack 1`)
    expect(lab.app.received).toBe(500)
    lab.write(6000)
    expect(peer.take().length).toBeGreaterThan(4)
    lab.inject('. 501:501(0) ack 1445')
    // Retransmissions lie before the wrap, what is new after it.
    lab.advance(3000)
    expect(lab.take().at(-1)!.len).toBeGreaterThan(0)
    lab.inject('P. 1:101(100) ack 1445') // and a duplicate of the peer
    expect(lab.counters.TCPAOBad ?? 0).toBe(0)
  })

  it('the reset of an ACK that completes nothing is signed with its number extended, too', () => {
    const { lab, peer } = bench('ao', { iss: -5 })
    lab.listen({ keys: [ao()] })
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    lab.clear()
    peer.take()
    lab.inject('. 1:1(0) ack 20') // beyond the wrap
    lab.expect('R 20:20(0)')
    expect(peer.take().length).toBe(1)
  })

  it('a listener cannot reset what it does not know: neither number is known to both (RFC 5925 section 7.7)', () => {
    const { lab, peer } = bench('ao')
    lab.listen({ keys: [ao()] })
    // Signed as on a connection that began long before.
    lab.inject('S 0:0(0) win 65535 <mss 1460>', { localPort: 99 })
    peer.mode = 'good'
    lab.inject('. 5000:5000(0) ack 5000')
    lab.expect()
    expect(lab.counters).toMatchObject({ TCPAOBad: 1 })
  })

  it('ICMP that nobody signs neither ends nor shrinks it (RFC 5925 section 7.8)', () => {
    const { lab } = server('ao')
    lab.write(100)
    for (const code of [2, 3, 4]) lab.icmp(3, code, { seq: 1, mtu: 600 })
    expect(lab.counters).toMatchObject({ TCPAODroppedIcmps: 3 })
    expect([lab.c.softError, lab.c.info().mss]).toEqual([null, 1444])
    lab.icmp(3, 1, { seq: 1 })
    expect(lab.c.softError).toBe('EHOSTUNREACH')
    const other = server('ao', { config: { tcp: { acceptIcmpWithAo: true } } })
    other.lab.write(100)
    other.lab.icmp(3, 3, { seq: 1 })
    expect(other.lab.c.softError).toBe('ECONNREFUSED')
  })
})

describe('SequenceExtension', () => {
  it('counts wraps, forwards and back', () => {
    const x = new SequenceExtension()
    x.begin(0xffff_ff00 | 0)
    expect(x.of(0xffff_ffff | 0)).toBe(0)
    expect(x.of(5)).toBe(1)
    let position = 0xffff_ff00
    for (let i = 0; i < 40; i++) {
      position += 0x3000_0000
      const high = Math.floor(position / 2 ** 32)
      expect(x.of(position | 0)).toBe(high)
      x.advance(position | 0)
      const before = position - 0x1000_0000
      expect(x.of(before | 0)).toBe(Math.floor(before / 2 ** 32))
      x.advance(before | 0) // older: nothing changes
      expect(x.of(position | 0)).toBe(high)
    }
  })
})

describe('what keys may be', () => {
  const refuse = (keys: unknown, words: RegExp): void => {
    const lab = new TcpLab()
    const attempt = (): unknown => lab.stack.tcp.listen({ port: 179, keys: keys as TcpKey[] }, {})
    expect(attempt).toThrow(expect.objectContaining({ code: expect.stringMatching(/^ERR_INVALID_/) }))
    expect(attempt).toThrow(words)
    expect(attempt).not.toThrow(/hush/)
  }

  it.each([
    ['no list', 'hush', /list/],
    ['no object', ['hush'], /each must be an object/],
    ['an unknown algorithm', [{ algorithm: 'sha256', key: 'hush' }], /algorithm cannot be sha256/],
    ['an algorithm from the prototype', [{ algorithm: 'toString', key: 'hush' }], /algorithm/],
    ['no secret', [{ algorithm: 'md5' }], /key must be/],
    ['an empty secret', [{ algorithm: 'md5', key: '' }], /key must be/],
    ['a number too large', [{ algorithm: 'aes-128-cmac-96', key: 'hush', sendId: 256 }], /sendId/],
    ['half a number', [{ algorithm: 'aes-128-cmac-96', key: 'hush', receiveId: 0.5 }], /receiveId/],
    ['an unknown property', [{ algorithm: 'md5', key: 'hush', id: 1 }], /unknown property id/],
    ['no flag', [{ algorithm: 'hmac-sha-1-96', key: 'hush', excludeOptions: 1 }], /excludeOptions/],
    ['no prefix', [{ algorithm: 'md5', key: 'hush', peer: '10.0.0.0/33' }], /10\.0\.0\.0\/33/],
    [
      'two of MD5 for one peer',
      [
        { algorithm: 'md5', key: 'hush' },
        { algorithm: 'md5', key: 'hush2' },
      ],
      /two keys for every peer/,
    ],
    [
      'both kinds',
      [
        { algorithm: 'md5', key: 'hush', peer: '10.0.0.1' },
        { algorithm: 'hmac-sha-1-96', key: 'hush', peer: '10.0.0.0/24' },
      ],
      /both MD5 and TCP-AO/,
    ],
    [
      'one sendId twice',
      [
        { ...ao(), sendId: 1 },
        { ...ao(NEW), sendId: 1 },
      ],
      /sendId 1/,
    ],
    [
      'one receiveId twice',
      [
        { ...ao(), receiveId: 1 },
        { ...ao(NEW), receiveId: 1 },
      ],
      /receiveId 1/,
    ],
  ])('not %s', (_, keys, words) => refuse(keys, words))

  it('but several of other peers, or with other numbers', () => {
    const lab = new TcpLab()
    const l = lab.stack.tcp.listen(
      {
        port: 179,
        keys: [
          { ...ao(), peer: '10.0.0.1' },
          { ...ao(NEW), peer: '10.0.0.1' },
          { ...ao(), peer: '10.0.0.8/29' },
          { ...ao(), peer: 'fd00::/64' },
          { algorithm: 'md5', key: 'x', peer: '10.1.0.0/16' },
          { algorithm: 'md5', key: 'y', peer: '10.1.1.0/24' },
        ],
      },
      {},
    )
    expect(l.localPort).toBe(179)
  })
})
