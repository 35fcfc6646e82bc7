/** ECN in the classic way: RFC 3168 section 6.1. */
import { describe, expect, it } from 'vitest'
import { Offload } from '../../src/netif/netif.ts'
import { Segmenter } from '../../src/offload/segment.ts'
import type { EcnMode } from '../../src/tcp/api.ts'
import { type LabOptions, TcpLab } from '../support/tcp-lab.ts'

const MSS = 1460
const NOT_ECT = 0
const ECT1 = 1
const ECT0 = 2
const CE = 3

function lab(ecn: EcnMode, options: LabOptions = {}, tcp: Record<string, unknown> = {}): TcpLab {
  return new TcpLab({ ...options, config: { tcp: { ecn, congestion: 'newreno', ...tcp } } })
}

/** A connection that we accepted and that uses ECN. */
function accepted(options: LabOptions = {}): TcpLab {
  const l = lab('accept', options)
  l.listen()
  l.inject('SEW 0:0(0) win 65535 <mss 1460>')
  l.inject('. 1:1(0) ack 1')
  l.clear()
  l.app.take()
  return l
}

const seg = (i: number, n = 1): string => `${1 + i * MSS}:${1 + (i + n) * MSS}(${n * MSS})`

describe('negotiation (RFC 3168 section 6.1.1)', () => {
  it('is not asked for, but given, by default', () => {
    const l = new TcpLab()
    l.open()
    l.expect('S 0:0(0)')
    l.c.abort()
    const server = new TcpLab()
    server.listen()
    server.inject('SEW 0:0(0) win 65535 <mss 1460>')
    const [synAck] = server.expect('SE. 0:0(0) ack 1')
    expect(synAck.tos).toBe(NOT_ECT)
    server.inject('. 1:1(0) ack 1')
    expect(server.c.info().ecn).toBe('classic')
  })

  it('is asked for by `on`; a SYN-ACK with ECE alone agrees', () => {
    const l = lab('on')
    l.open()
    const [syn] = l.expect('SEW 0:0(0)')
    expect(syn.tos).toBe(NOT_ECT)
    l.inject('SE. 0:0(0) ack 1 <mss 1460>')
    const [ack] = l.expect('. 1:1(0) ack 1')
    expect(ack.tos).toBe(NOT_ECT)
    expect(l.c.info().ecn).toBe('classic')
    l.write(10)
    const [data] = l.expect('P. 1:11(10)')
    expect(data.tos).toBe(ECT0)
  })

  it.each([
    ['S.', 'no ECN'],
    ['SEW.', 'our flags, reflected by a host that copies reserved bits'],
    ['SW.', 'nonsense'],
  ])('%s in the SYN-ACK means none: %s', (flags) => {
    const l = lab('on')
    l.open()
    l.inject(`${flags} 0:0(0) ack 1 <mss 1460>`)
    l.clear()
    expect(l.c.info().ecn).toBe('off')
    expect(l.c.ecn).toBe(null)
    l.write(10)
    expect(l.expect('P. 1:11(10)')[0].tos).toBe(NOT_ECT)
  })

  it.each(['SE', 'SW', 'S'])('a SYN that says %s asks for nothing', (flags) => {
    const l = lab('on')
    l.listen()
    l.inject(`${flags} 0:0(0) win 65535 <mss 1460>`)
    l.expect('S. 0:0(0) ack 1')
    l.inject('. 1:1(0) ack 1')
    expect(l.c.ecn).toBe(null)
  })

  it('`off` hears no ECN-setup SYN, neither for a stack nor for one listener', () => {
    const l = lab('off')
    l.listen()
    l.inject('SEW 0:0(0) win 65535 <mss 1460>')
    l.expect('S. 0:0(0) ack 1')
    const other = lab('on')
    other.listen({ ecn: 'off' })
    other.inject('SEW 0:0(0) win 65535 <mss 1460>')
    other.expect('S. 0:0(0) ack 1')
  })

  it('the socket option decides for one connection', () => {
    const l = lab('off')
    l.open({ ecn: 'on' })
    l.expect('SEW 0:0(0)')
    expect(() => l.open({ ecn: 'maybe' as EcnMode })).toThrow(/ecn cannot be maybe/)
    expect(() => lab('maybe' as EcnMode)).toThrow(/tcp.ecn cannot be maybe/)
  })

  it('an AccECN SYN is answered by what is accepted', () => {
    const l = lab('accept')
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>')
    l.expect('SE. 0:0(0) ack 1')
  })

  it('a SYN that was lost is sent again without (section 6.1.1.1); the late answer to the first counts all the same', () => {
    const l = lab('on')
    l.open()
    l.expect('SEW 0:0(0)')
    l.advance(1000)
    l.expect('S 0:0(0)')
    l.inject('SE. 0:0(0) ack 1 <mss 1460>')
    expect(l.c.info().ecn).toBe('classic')
    const stubborn = lab('on', {}, { ecnFallback: false })
    stubborn.open()
    stubborn.advance(1000)
    stubborn.expect('SEW 0:0(0)', 'SEW 0:0(0)')
  })

  it('the SYN-ACK says ECE again when it is sent again', () => {
    const l = lab('accept')
    l.listen()
    l.inject('SEW 0:0(0) win 65535 <mss 1460>')
    l.advance(1000)
    l.expect('SE. 0:0(0) ack 1', 'SE. 0:0(0) ack 1')
  })

  it('SYNs that cross agree too', () => {
    const l = lab('on')
    l.open()
    l.inject('SEW 0:0(0) win 65535 <mss 1460>')
    l.expect('SEW 0:0(0)', 'SE. 0:0(0) ack 1')
    l.inject('SE. 0:0(0) ack 1')
    expect(l.state).toBe('ESTABLISHED')
    expect(l.c.info().ecn).toBe('classic')
  })
})

describe('ECT (RFC 3168 sections 6.1.4 to 6.1.6)', () => {
  it('is on new data, not on ACKs, retransmissions, probes, FIN, RST', () => {
    const l = accepted()
    l.write(MSS)
    expect(l.expect(`P. ${seg(0)}`)[0].tos).toBe(ECT0)
    l.untilEmitted(2000)
    expect(l.expect(`P. ${seg(0)}`)[0].tos, 'retransmission').toBe(NOT_ECT)
    l.inject(`. 1:101(100) ack ${1 + MSS} win 0`)
    l.advance(40)
    expect(l.take().map((e) => e.tos)).toEqual([NOT_ECT])
    l.write(10)
    l.untilEmitted(5000)
    expect(l.take().map((e) => [e.len, e.tos])).toEqual([[0, NOT_ECT]]) // probe
    l.inject(`. 101:101(0) ack ${1 + MSS} win 65535`)
    l.clear()
    l.inject(`. 101:101(0) ack ${11 + MSS}`)
    l.c.shutdown()
    l.run()
    expect(l.expect(`F. ${11 + MSS}:${11 + MSS}(0)`)[0].tos).toBe(NOT_ECT)
    l.c.abort()
    l.run()
    expect(l.take().every((e) => e.tos === NOT_ECT)).toBe(true)
  })

  it('keeps the DSCP of the connection; what the application put into the two bits is not sent', () => {
    const l = accepted()
    l.c.set({ tos: 0xb9 })
    l.write(10)
    expect(l.expect('P. 1:11(10)')[0].tos).toBe(0xb8 | ECT0)
    l.inject('. 1:101(100) ack 11')
    l.advance(40)
    expect(l.expect('. 11:11(0)')[0].tos).toBe(0xb8)
  })

  it('without ECN the traffic class is the application’s', () => {
    const l = new TcpLab().accept()
    l.c.set({ tos: 0xb9 })
    l.write(10)
    expect(l.expect('P. 1:11(10)')[0].tos).toBe(0xb9)
  })
})

describe('the receiver (RFC 3168 section 6.1.3)', () => {
  it('echoes CE in everything until it hears CWR', () => {
    const l = accepted()
    l.inject('. 1:1001(1000) ack 1', { ecn: CE })
    l.expect('E. 1:1(0) ack 1001')
    l.inject('. 1001:2001(1000) ack 1', { ecn: ECT0 })
    l.expect('E. 1:1(0) ack 2001')
    l.write(10)
    l.expect('PE. 1:11(10) ack 2001')
    l.inject('W. 2001:3001(1000) ack 11', { ecn: ECT0 })
    l.expect('. 11:11(0) ack 3001') // at once: the sender may have a window of one segment
    expect(l.counters.tcpInCe).toBe(1)
  })

  it('a segment with CWR and CE begins anew', () => {
    const l = accepted()
    l.inject('. 1:1001(1000) ack 1', { ecn: CE })
    l.inject('W. 1001:2001(1000) ack 1', { ecn: CE })
    l.expect('E. 1:1(0) ack 1001', 'E. 1:1(0) ack 2001')
  })

  it('marks on ACKs and on what lies outside the window say nothing (section 6.1.5)', () => {
    const l = accepted()
    l.write(10)
    l.inject('. 1:1(0) ack 11', { ecn: CE })
    l.inject('. 1:1001(1000) ack 11', { ecn: ECT1 })
    l.inject('. 1:1001(1000) ack 11', { ecn: CE })
    l.clear()
    l.inject('. 1001:2001(1000) ack 11', { ecn: ECT0 })
    l.advance(40)
    l.expect('. 11:11(0) ack 2001')
    expect(l.counters.tcpInCe).toBe(undefined)
  })

  it('a connection without ECN does not see it', () => {
    const l = new TcpLab().accept()
    l.inject('EW. 1:1001(1000) ack 1', { ecn: CE })
    l.expect('. 1:1(0) ack 1001')
    expect(l.c.ecn).toBe(null)
  })
})

describe('the sender (RFC 3168 section 6.1.2)', () => {
  function sending(segments: number): TcpLab {
    const l = accepted()
    l.write(segments * MSS)
    l.clear()
    return l
  }

  it('reduces its window once per window of data, as for a loss, and says CWR with the next new data', () => {
    const l = sending(40)
    const { window } = l.c.snd
    expect(window.cwnd).toBe(10 * MSS)
    l.inject(`E. 1:1(0) ack ${1 + MSS}`)
    expect(window.ssthresh).toBeLessThan(10 * MSS)
    const reduced = window.ssthresh
    for (let i = 2; i <= 9; i++) l.inject(`E. 1:1(0) ack ${1 + i * MSS}`)
    expect(window.ssthresh, 'not again within the window').toBe(reduced)
    expect(window.cwnd).toBeLessThan(10 * MSS)
    l.inject(`E. 1:1(0) ack ${1 + 10 * MSS}`)
    const sent = l.take()
    const said = sent.filter((e) => e.text.includes('W'))
    expect(said.map((e) => e.len > 0 && e.tos === ECT0)).toEqual(said.map(() => true))
    expect(said[0]).toBe(sent[0])
    expect(said.length).toBeLessThanOrEqual(2)
    expect(l.counters.tcpRetransSegs).toBe(undefined)
    expect(l.c.info().deliveredCe).toBe(10 * MSS)
  })

  it('an echo without new data counts too', () => {
    const l = sending(5)
    l.inject('E. 1:1(0) ack 1')
    expect(l.counters.tcpEcnReductions).toBe(1)
  })

  it('says CWR after a loss as well, with new data, not with the retransmission', () => {
    const l = lab('accept')
    l.listen()
    l.inject('SEW 0:0(0) win 65535 <mss 1460,sackOK>')
    l.inject('. 1:1(0) ack 1')
    l.write(10 * MSS)
    l.clear()
    for (let i = 2; i <= 10; i++) l.inject(`. 1:1(0) ack 1 <nop,nop,sack ${1 + MSS}:${1 + i * MSS}>`)
    const again = l.take().filter((e) => e.len > 0)
    expect(again[0].text).toContain(seg(0))
    expect(again.every((e) => !e.text.includes('W') && e.tos === NOT_ECT)).toBe(true)
    l.inject(`. 1:1(0) ack ${1 + 10 * MSS}`)
    l.write(3 * MSS)
    const fresh = l.take().filter((e) => e.len > 0)
    expect(l.counters.tcpEcnReductions).toBe(undefined)
    expect(fresh.map((e) => e.text.includes('W'))).toEqual([true, ...fresh.slice(1).map(() => false)])
    expect(l.out.filter((e) => /^P?W/.test(e.text)).length).toBe(1)
  })

  it('does not react to ECE while losses are repaired', () => {
    const l = lab('accept')
    l.listen()
    l.inject('SEW 0:0(0) win 65535 <mss 1460,sackOK>')
    l.inject('. 1:1(0) ack 1')
    l.write(10 * MSS)
    for (let i = 2; i <= 10; i++) l.inject(`. 1:1(0) ack 1 <nop,nop,sack ${1 + MSS}:${1 + i * MSS}>`)
    const { ssthresh } = l.c.snd.window
    l.inject(`E. 1:1(0) ack 1 <nop,nop,sack ${1 + MSS}:${1 + 10 * MSS}>`)
    expect(l.c.snd.window.ssthresh).toBe(ssthresh)
    expect(l.counters.tcpEcnReductions).toBe(undefined)
  })

  it('reacts again two gigabytes later', () => {
    const l = sending(1)
    l.inject(`E. 1:1(0) ack ${1 + MSS}`)
    expect(l.counters.tcpEcnReductions).toBe(1)
    l.write(MSS)
    l.inject(`. 1:1(0) ack ${1 + 2 * MSS}`)
    l.write(MSS)
    l.inject(`E. 1:1(0) ack ${1 + 3 * MSS}`)
    expect(l.counters.tcpEcnReductions).toBe(2)
  })

  it('CWR of a super-segment is in its first segment only', () => {
    const l = accepted({ offload: Offload.TSO4 | Offload.TX_CHECKSUM, gsoMax: 65535 })
    const frames: number[] = []
    const segmenter = new Segmenter()
    const send = l.link.send.bind(l.link)
    l.link.send = (buf, start, end, meta) => {
      if (segmenter.begin(buf, start, end, meta, 'ip'))
        segmenter.run({
          frame: (b, s) => {
            frames.push(b[s + 33] & 0x80)
            return true
          },
        })
      return send(buf, start, end, meta)
    }
    l.write(10 * MSS)
    l.inject(`E. 1:1(0) ack ${1 + 10 * MSS}`)
    frames.length = 0
    l.write(4 * MSS)
    expect(l.take().some((e) => e.gso > 0 && e.text.includes('W'))).toBe(true)
    expect(frames[0]).toBe(0x80)
    expect(frames.slice(1).every((f) => f === 0)).toBe(true)
    expect(frames.length).toBeGreaterThan(2)
  })
})
