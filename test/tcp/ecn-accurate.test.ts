/** Accurate ECN: RFC 9768. ACE is AE CWR ECE as a number: 5 is `EA`, 6 `WA`, 7 `EWA`, 0 nothing. */
import { describe, expect, it } from 'vitest'
import { Offload } from '../../src/netif/netif.ts'
import { aceFlags, aceOf } from '../../src/tcp/ace.ts'
import type { EcnReport } from '../../src/tcp/api.ts'
import { type LabOptions, TcpLab } from '../support/tcp-lab.ts'

const NOT_ECT = 0
const ECT1 = 1
const ECT0 = 2
const CE = 3
const MSS = 1460

function lab(options: LabOptions = {}, tcp: Record<string, unknown> = {}): TcpLab {
  return new TcpLab({
    ...options,
    config: { tcp: { ecn: 'accurate', ecnControlPackets: true, congestion: 'newreno', ...tcp } },
  })
}

const OPTION = 'ECN e0b 1 ceb 0 e1b 1,nop'

/** Accepted from a peer that sends the option, or does not. */
function accepted(
  o: { mss?: number; option?: boolean; ts?: boolean; lab?: LabOptions; tcp?: Record<string, unknown> } = {},
): TcpLab {
  const { mss = 1460, option = true, ts = false } = o
  const l = lab(o.lab, o.tcp)
  l.listen()
  l.inject(`SEWA 0:0(0) win 65535 <mss ${mss},sackOK${ts ? ',TS val 1 ecr 0' : ''}>`)
  if (ts) l.peerTs = 2
  const stamp = ts ? `nop,nop,TS val 2 ecr ${l.out[0].tsVal}` : ''
  l.inject(`W. 1:1(0) ack 1 win 65535 <${[stamp, option ? OPTION : ''].filter((s) => s !== '').join(',')}>`, { ecn: ECT0 })
  l.clear()
  l.app.take()
  return l
}

const report = (l: TcpLab): EcnReport => l.c.info().ecnReport!
const FLAGS = ['', 'E', 'W', 'EW', 'A', 'EA', 'WA', 'EWA']
const option = (e1b: number, ceb: number, e0b: number): string => `<ECN e1b ${e1b} ceb ${ceb} e0b ${e0b}>`

it('the three flags are a number', () => {
  for (let ace = 0; ace < 8; ace++) expect(aceOf(aceFlags(ace))).toBe(ace)
})

describe('negotiation as client (section 3.1, table 2)', () => {
  it.each([
    [0, 'off'],
    [1, 'classic'],
    [2, 'accurate'],
    [3, 'accurate'],
    [4, 'accurate'],
    [5, 'classic'],
    [6, 'accurate'],
    [7, 'off'],
  ] as const)('a SYN-ACK with %i means %s', (ace, mode) => {
    const l = lab()
    l.open()
    const [syn] = l.expect('SEWA 0:0(0)')
    expect(syn.tos).toBe(NOT_ECT)
    expect(syn.options.some((o) => o.startsWith('ECN'))).toBe(false)
    l.inject(`S${FLAGS[ace]}. 0:0(0) ack 1 <mss 1460>`)
    expect(l.c.info().ecn).toBe(mode)
    expect(l.c.info().ecnReport === null).toBe(mode !== 'accurate')
  })

  it.each([
    [NOT_ECT, 'W.'],
    [ECT1, 'EW.'],
    [ECT0, 'A.'],
    [CE, 'WA.'],
  ])('the ACK tells that the SYN-ACK came with %i', (ecn, ack) => {
    const l = lab()
    l.open()
    l.inject('SW. 0:0(0) ack 1 <mss 1460,ECN e0b 1 ceb 0 e1b 1>', { ecn })
    l.clear()
    l.inject('SW. 0:0(0) ack 1 <mss 1460>', { ecn })
    expect(l.out[1].text.startsWith(`${ack} 1:1(0) ack 1`), l.out[1].text).toBe(true)
    expect(l.out[1].options).toEqual(['ECN e1b 1 ceb 0 e0b 1'])
    l.expect(`${ack} 1:1(0) ack 1`) // the SYN-ACK again: the same again
    l.write(100)
    l.expect(`P${ecn === CE ? 'WA' : 'EA'}. 1:101(100) ack 1`)
    expect(report(l).receivedCePackets).toBe(ecn === CE ? 1 : 0)
  })

  it('a SYN-ACK that came again with another codepoint is answered by that', () => {
    const l = lab()
    l.open()
    l.inject('SW. 0:0(0) ack 1 <mss 1460>')
    l.inject('S. 0:0(0) ack 1 <mss 1460>', { ecn: ECT0 })
    l.expect('SEWA 0:0(0)', 'W. 1:1(0) ack 1', 'A. 1:1(0) ack 1')
  })

  it('the option is sent when the SYN-ACK had it, or later once the peer sends it', () => {
    const l = lab()
    l.open()
    l.inject('SW. 0:0(0) ack 1 <mss 1460>')
    l.expect('SEWA 0:0(0)', 'W. 1:1(0) ack 1 <>')
    l.write(1000)
    l.expect('PEA. 1:1001(1000) ack 1 <>')
    l.inject('EA. 1:1(0) ack 1001 <ECN e0b 1001 ceb 0 e1b 1,nop>')
    l.write(1000)
    l.expect(`PEA. 1001:2001(1000) ack 1 ${option(1, 0, 1)}`)
  })

  it('our SYN that arrives with another codepoint says that the path writes into it: no ECT', () => {
    const l = lab()
    l.open()
    l.inject('SA. 0:0(0) ack 1 <mss 1460>')
    l.write(100)
    expect(l.take().map((e) => e.tos)).toEqual([NOT_ECT, NOT_ECT, NOT_ECT])
    expect(l.c.info().ecn).toBe('accurate')
  })

  it('the first retransmission of the SYN still asks, the second does not; a late answer counts', () => {
    const l = lab()
    l.open()
    l.advance(1000)
    l.advance(2000)
    l.expect('SEWA 0:0(0)', 'SEWA 0:0(0)', 'S 0:0(0)')
    l.inject('SW. 0:0(0) ack 1 <mss 1460>')
    expect(l.c.info().ecn).toBe('accurate')
  })

  it('SYNs that cross', () => {
    const l = lab()
    l.open()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>', { ecn: ECT1 })
    l.expect('SEWA 0:0(0)', 'SEW. 0:0(0) ack 1')
    l.inject('SW. 0:0(0) ack 1')
    expect(l.c.info().ecn).toBe('accurate')
  })
})

describe('negotiation as server (section 3.1.2)', () => {
  it.each([
    [0, 'S.', 'off'],
    [1, 'SW.', 'accurate'],
    [2, 'SW.', 'accurate'],
    [3, 'SE.', 'classic'],
    [4, 'SW.', 'accurate'],
    [5, 'SW.', 'accurate'],
    [6, 'SW.', 'accurate'],
    [7, 'SW.', 'accurate'],
  ] as const)('a SYN with %i gets %s: %s', (ace, synAck, mode) => {
    const l = lab()
    l.listen()
    l.inject(`S${FLAGS[ace]} 0:0(0) win 65535 <mss 1460>`)
    const [answer] = l.expect(`${synAck} 0:0(0) ack 1`)
    expect(answer.tos).toBe(NOT_ECT)
    expect(answer.options.includes('ECN e1b 1 ceb 0 e0b 1')).toBe(mode === 'accurate')
    l.inject(`${mode === 'accurate' ? 'W.' : '.'} 1:1(0) ack 1`)
    expect(l.c.info().ecn).toBe(mode)
  })

  it.each([
    [NOT_ECT, 'SW.'],
    [ECT1, 'SEW.'],
    [ECT0, 'SA.'],
    [CE, 'SWA.'],
  ])('the SYN-ACK tells that the SYN came with %i', (ecn, synAck) => {
    const l = lab()
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>', { ecn })
    l.expect(`${synAck} 0:0(0) ack 1`)
  })

  it('the option has its place beside the others, and yields none of theirs', () => {
    const l = lab()
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 8>')
    const [synAck] = l.take()
    expect(synAck.options.map((o) => o.split(' ')[0])).toEqual(['mss', 'sackOK', 'TS', 'ECN', 'wscale'])
  })

  it('is accepted by a stack that asks for less, if it is told to', () => {
    const l = lab({}, { ecn: 'accept', ecnAcceptAccurate: true })
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>')
    l.expect('SW. 0:0(0) ack 1')
    l.open()
    l.expect('S 0:0(0)')
  })

  it('the SYN-ACK comes again without the option, then without flags; the answer decides', () => {
    const l = lab()
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>')
    l.advance(1000)
    l.advance(2000)
    const [first, second, third] = l.expect('SW. 0:0(0)', 'SW. 0:0(0)', 'S. 0:0(0)')
    expect([first, second, third].map((e) => e.options.some((o) => o.startsWith('ECN')))).toEqual([true, false, false])
    l.inject(`W. 1:1(0) ack 1 <${OPTION}>`)
    l.write(100)
    expect(l.expect(`PEA. 1:101(100) ack 1 ${option(1, 0, 1)}`)[0].tos).toBe(ECT0)
  })

  it('a SYN that comes again without flags: the mode stays, ECT does not', () => {
    const l = lab()
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>', { ecn: ECT0 })
    l.inject('S 0:0(0) win 65535 <mss 1460>')
    l.expect('SA. 0:0(0) ack 1', 'SW. 0:0(0) ack 1')
    l.inject(`W. 1:1(0) ack 1 <${OPTION}>`)
    l.write(100)
    expect(l.expect(`PEA. 1:101(100) ack 1 ${option(1, 0, 1)}`)[0].tos).toBe(NOT_ECT)
  })

  it('a SYN without that comes again with: it is too late', () => {
    const l = lab()
    l.listen()
    l.inject('S 0:0(0) win 65535 <mss 1460>')
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>', { ecn: ECT0 })
    l.expect('S. 0:0(0) ack 1', 'S. 0:0(0) ack 1')
  })

  it.each([
    [0, NOT_ECT, 0], // bleached
    [1, ECT0, 0],
    [2, ECT0, 0],
    [3, NOT_ECT, 0], // we sent Not-ECT
    [4, NOT_ECT, 0],
    [5, ECT0, 0],
    [6, NOT_ECT, 0],
    [7, ECT0, 0],
  ])('the ACK of the handshake with %i: data leaves with %i (table 4)', (ace, tos, marked) => {
    const l = lab()
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>')
    l.inject(`${FLAGS[ace]}. 1:1(0) ack 1`)
    l.clear()
    l.write(100)
    expect(l.expect('PEA. 1:101(100) ack 1')[0].tos).toBe(tos)
    expect(report(l).deliveredCePackets).toBe(marked)
  })

  it('without validation a SYN-ACK reported as marked counts as one', () => {
    const l = lab({}, { ecnValidate: false })
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>')
    l.inject('WA. 1:1(0) ack 1', { ecn: ECT0 })
    expect(report(l).deliveredCePackets).toBe(1)
    l.write(100)
    l.inject('WA. 1:1(0) ack 101')
    expect(report(l).deliveredCePackets).toBe(1)
  })

  it('a marked SYN and a marked ACK are counted', () => {
    const l = lab()
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>', { ecn: CE })
    l.inject('W. 1:1(0) ack 1', { ecn: CE })
    l.write(10)
    l.expect('SWA. 0:0(0) ack 1', 'PEWA. 1:11(10)')
  })

  it('data instead of the ACK, which was lost, counts from the start', () => {
    const l = lab()
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>')
    l.clear()
    l.inject(`EAP. 1:1001(1000) ack 1 <${OPTION}>`, { ecn: CE })
    l.expect(`WA. 1:1(0) ack 1001 ${option(1, 1000, 1)}`)
    expect(report(l).deliveredCePackets).toBe(0)
  })
})

describe('ECT', () => {
  it('is on everything but SYNs with ecnControlPackets, on new data only without', () => {
    for (const [ecnControlPackets, tos] of [
      [true, [ECT0, ECT0, ECT0]],
      [false, [ECT0, NOT_ECT, NOT_ECT]],
    ] as const) {
      const l = accepted({ tcp: { ecnControlPackets } })
      l.write(100)
      l.untilEmitted(2000)
      l.inject('EAP. 1:101(100) ack 101')
      l.advance(200)
      expect(l.take().map((e) => e.tos)).toEqual(tos)
    }
  })
})

describe('the receiver', () => {
  it('counts packets in ACE, which wraps, and bytes in the option (section 3.2.1)', () => {
    const l = accepted()
    const say = (i: number, ecn: number, flags: string, e1b: number, ceb: number, e0b: number): void => {
      l.inject(`EAP. ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1 <${OPTION}>`, { ecn })
      l.expect(`${flags} 1:1(0) ack ${1001 + 1000 * i} ${option(e1b, ceb, e0b)}`)
    }
    say(0, CE, 'WA.', 1, 1000, 1)
    say(1, ECT0, 'WA.', 1, 1000, 1001)
    say(2, CE, 'EWA.', 1, 2000, 1001)
    say(3, ECT1, 'EWA.', 1001, 2000, 1001)
    say(4, CE, '.', 1001, 3000, 1001)
    say(5, CE, 'E.', 1001, 4000, 1001)
    expect(report(l)).toMatchObject({
      receivedCePackets: 4,
      receivedCeBytes: 4000,
      receivedEct0Bytes: 1000,
      receivedEct1Bytes: 1000,
    })
  })

  it('counts every segment of a super-segment, marked pure ACKs, and duplicates', () => {
    const l = accepted()
    l.inject('EAP. 1:4001(4000) ack 1', { ecn: CE, gso: 1000 })
    expect(report(l)).toMatchObject({ receivedCePackets: 4, receivedCeBytes: 4000 })
    l.inject('EA. 4001:4001(0) ack 1', { ecn: CE })
    l.inject('EAP. 1:1001(1000) ack 1', { ecn: CE })
    expect(report(l)).toMatchObject({ receivedCePackets: 6, receivedCeBytes: 5000 })
  })

  it('counts nothing that does not belong here', () => {
    const l = accepted()
    l.inject('EAP. 900001:901001(1000) ack 1', { ecn: CE })
    l.inject('EA. -900001:-900001(0) ack 1', { ecn: CE })
    l.inject('R. 77:77(0) ack 1', { ecn: CE })
    expect(report(l).receivedCePackets).toBe(0)
  })

  it('an ACK at once when the codepoint of data changes, and for every second mark (section 3.2.2.5.1)', () => {
    const l = accepted()
    const data = (i: number, ecn: number): void => l.inject(`EAP. ${1 + 10 * i}:${11 + 10 * i}(10) ack 1`, { ecn })
    l.c.set({ quickAck: false })
    data(0, ECT0)
    expect(l.take().length, 'the SYN was not ECT').toBe(1)
    data(1, ECT0)
    expect(l.take().length, 'no change').toBe(0)
    data(2, CE)
    expect(l.take().length).toBe(1)
    data(3, CE)
    expect(l.take().length, 'one mark').toBe(0)
    data(4, CE)
    expect(l.take().length, 'two').toBe(1)
  })

  it('marks on pure ACKs are told after three: two stacks do not play ping-pong', () => {
    const l = accepted()
    l.inject('EA. 1:1(0) ack 1', { ecn: CE })
    l.inject('EA. 1:1(0) ack 1', { ecn: CE })
    l.expect()
    l.inject('EA. 1:1(0) ack 1', { ecn: CE })
    l.expect('. 1:1(0) ack 1')
    l.inject('EA. 1:1(0) ack 1', { ecn: NOT_ECT })
    l.expect()
  })
})

describe('the option (section 3.2.3)', () => {
  it('shares the space with SACK', () => {
    const l = accepted()
    l.inject('EAP. 1001:2001(1000) ack 1', { ecn: ECT1 })
    l.expect('EA. 1:1(0) ack 1 <ECN e1b 1001 ceb 0 e0b 1,sack 1001:2001>')
    l.inject('EAP. 3001:4001(1000) ack 1', { ecn: ECT0 })
    l.inject('EAP. 5001:6001(1000) ack 1', { ecn: CE })
    l.inject('EAP. 7001:8001(1000) ack 1', { ecn: CE })
    const [, , last] = l.take()
    expect(last.options).toEqual(['ECN e1b 1001 ceb 2000 e0b 1001', 'sack 7001:8001 5001:6001 3001:4001'])
  })

  it('with timestamps: the counters that have moved, two blocks; or none, if the third has', () => {
    const l = accepted({ ts: true })
    const said = (): string[] => {
      const all = l.take()
      return all[all.length - 1].options.filter((o) => !o.startsWith('TS'))
    }
    const ts = (): string => `<nop,nop,TS val ${l.tsNow()} ecr ${l.out[0].tsVal}>`
    l.inject(`EAP. 1001:2001(1000) ack 1 ${ts()}`, { ecn: ECT1 })
    expect(said()).toEqual(['ECN e1b 1001 ceb 0 e0b 1', 'sack 1001:2001'])
    l.inject(`EAP. 3001:4001(1000) ack 1 ${ts()}`, { ecn: ECT1 })
    expect(said()).toEqual(['ECN e1b 2001 ceb 0', 'sack 3001:4001 1001:2001'])
    l.inject(`EAP. 5001:6001(1000) ack 1 ${ts()}`, { ecn: CE })
    expect(said()).toEqual(['ECN e1b 2001 ceb 1000', 'sack 5001:6001 3001:4001'])
    l.inject(`EAP. 6001:7001(1000) ack 1 ${ts()}`, { ecn: ECT0 })
    expect(said()).toEqual(['sack 5001:7001 3001:4001 1001:2001'])
  })

  it('takes its bytes from the payload of data', () => {
    const l = accepted({ mss: 1016 })
    l.write(2000)
    l.expect(`EA. 1:1005(1004) ack 1 ${option(1, 0, 1)}`, `PEA. 1005:2001(996) ack 1 ${option(1, 0, 1)}`)
    const bare = accepted({ mss: 1016, option: false })
    bare.write(2000)
    bare.expect('EA. 1:1017(1016) ack 1 <>', 'PEA. 1017:2001(984) ack 1 <>')
  })

  it('never, if told so', () => {
    const l = lab({}, { ecnOption: 'never' })
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>')
    l.inject(`W. 1:1(0) ack 1 <${OPTION}>`)
    l.inject(`EAP. 1:1001(1000) ack 1 <${OPTION}>`, { ecn: CE })
    expect(l.take().some((e) => e.options.some((o) => o.startsWith('ECN')))).toBe(false)
  })

  it('`changes`: with news, twice, and as a beacon', () => {
    const l = accepted({ tcp: { ecnOption: 'changes', ecnOptionBeacon: 0 } })
    const has: boolean[] = []
    for (let i = 0; i < 6; i++) {
      l.inject(`EAP. ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`, { ecn: ECT0 })
      l.advance(200)
      has.push(l.take()[0].options.length > 0)
    }
    expect(has).toEqual([true, true, false, false, false, false])
    const beacon = accepted({ tcp: { ecnOption: 'changes', ecnOptionBeacon: 1 } })
    beacon.advance(1000)
    beacon.write(10)
    beacon.write(10)
    expect(beacon.take().map((e) => e.options.length > 0)).toContain(true)
  })

  it('of zeros is not believed, nor answered', () => {
    const l = lab()
    l.listen()
    l.inject('SEWA 0:0(0) win 65535 <mss 1460>')
    l.inject('W. 1:1(0) ack 1 <ECN e0b 0 ceb 0 e1b 0,nop>')
    l.clear()
    l.write(1000)
    l.expect('PEA. 1:1001(1000) ack 1 <>')
    l.inject('WA. 1:1(0) ack 1001 <ECN e0b 0 ceb 700 e1b 0,nop>')
    expect(report(l)).toMatchObject({ deliveredCePackets: 1, deliveredCeBytes: 0 })
  })

  it('is left out when ACKs with it do not arrive', () => {
    const l = accepted()
    const data = '. 1:1001(1000) ack 1'
    l.inject(`EAP${data}`, { ecn: ECT0 })
    l.inject(`EAP${data}`, { ecn: ECT0 })
    l.inject(`EAP${data}`, { ecn: ECT0 })
    const options = l.take().map((e) => e.options)
    expect(options).toEqual([['ECN e1b 1 ceb 0 e0b 1001'], ['ECN e1b 1 ceb 0 e0b 2001', 'sack 1:1001'], ['sack 1:1001']])
    l.inject('EAP. 1001:2001(1000) ack 1', { ecn: ECT0 })
    l.expect('EA. 1:1(0) ack 2001 <>')
  })

  it('in both orders, of any length, whole counters only', () => {
    const l = accepted()
    l.write(1000)
    l.inject('EA. 1:1(0) ack 1001 <ECN e1b 1 ceb 0 e0b 1001,nop>')
    expect(report(l)).toMatchObject({ deliveredEct0Bytes: 1000, deliveredEct1Bytes: 0, deliveredCeBytes: 0 })
    l.write(1000)
    l.inject('EA. 1:1(0) ack 2001 <ECN e0b 2001>')
    expect(report(l).deliveredEct0Bytes).toBe(2000)
    l.write(1000)
    l.inject('EA. 1:1(0) ack 3001 <hex ac06000bb900>') // a counter and a byte
    expect(report(l).deliveredEct0Bytes).toBe(3000)
  })
})

describe('the sender', () => {
  it('decodes ACE, and reduces its window once a round trip', () => {
    const l = accepted()
    const { window } = l.c.snd
    const say = (i: number, ace: number, ceb: number, e0b: number): void => {
      l.write(1000)
      l.inject(`${FLAGS[ace]}. 1:1(0) ack ${1001 + 1000 * i} <ECN e0b ${e0b} ceb ${ceb} e1b 1,nop>`)
    }
    say(0, 6, 1000, 1)
    expect(report(l)).toMatchObject({ deliveredCePackets: 1, deliveredCeBytes: 1000 })
    expect(l.counters.tcpEcnReductions).toBe(1)
    const { ssthresh } = window
    expect(ssthresh).toBeLessThan(10 * MSS)
    say(1, 6, 1000, 1001)
    say(2, 7, 2000, 1001)
    say(3, 7, 2000, 2001)
    say(4, 0, 3000, 2001)
    expect(report(l)).toMatchObject({ deliveredCePackets: 3, deliveredCeBytes: 3000, deliveredEct0Bytes: 2000 })
    expect(l.counters.TCPDeliveredCE).toBe(3)
    expect(l.c.info().deliveredCe).toBe(3000)
    expect(l.out.some((e) => e.text.startsWith('W'))).toBe(false) // CWR is a number here
  })

  it('hears nothing from what brings nothing: it may be from before', () => {
    const l = accepted()
    l.write(1000)
    l.inject('WA. 1:1(0) ack 1 <ECN e0b 1 ceb 1000 e1b 1,nop>')
    expect(report(l)).toMatchObject({ deliveredCePackets: 0, deliveredCeBytes: 0 })
    const stamped = accepted({ ts: true })
    stamped.write(1000)
    const stamp = (val: number): string => `<nop,nop,TS val ${val} ecr ${stamped.out[0].tsVal}>`
    stamped.inject(`WA. 1:1(0) ack 1 ${stamp(2)}`)
    expect(report(stamped).deliveredCePackets).toBe(0)
    stamped.inject(`WA. 1:1(0) ack 1 ${stamp(3)}`)
    expect(report(stamped).deliveredCePackets).toBe(1)
  })

  it('hears what SACK brings', () => {
    const l = accepted()
    l.write(2 * MSS)
    l.inject('WA. 1:1(0) ack 1 <ECN e0b 1 ceb 1000 e1b 1,nop,nop,nop,sack 1449:2921>')
    expect(report(l).deliveredCePackets).toBe(1)
  })

  it('the ACK of the handshake again counts nothing, whatever its number', () => {
    const l = accepted({ ts: true })
    l.advance(50)
    l.inject(`W. 1:1(0) ack 1 <nop,nop,TS val ${l.tsNow()} ecr ${l.out[0].tsVal}>`)
    expect(report(l).deliveredCePackets).toBe(0)
  })

  const ten = (): TcpLab => {
    const l = accepted({ option: false })
    l.write(10 * MSS)
    return l
  }

  it('ACKs for more than seven packets: what is usual on this path is no wrap', () => {
    const l = ten()
    l.inject(`EA. 1:1(0) ack ${1 + 10 * MSS}`)
    expect(report(l).deliveredCePackets).toBe(0)
    const marked = ten()
    marked.inject(`A. 1:1(0) ack ${1 + 10 * MSS}`)
    expect(report(marked).deliveredCePackets).toBe(7)
  })

  it('where ACKs came for each packet, one for nine may hide eight marks (appendix A.2)', () => {
    const l = ten()
    l.inject(`EA. 1:1(0) ack ${1 + MSS}`)
    l.inject(`EA. 1:1(0) ack ${1 + 10 * MSS}`)
    expect(report(l).deliveredCePackets).toBe(8)
  })

  it('the option says how many it were', () => {
    const quiet = ten()
    quiet.inject(`EA. 1:1(0) ack ${1 + MSS} <ECN e0b ${1 + MSS} ceb 0 e1b 1,nop>`)
    quiet.inject(`EA. 1:1(0) ack ${1 + 10 * MSS} <ECN e0b ${1 + 10 * MSS} ceb 0 e1b 1,nop>`)
    expect(report(quiet).deliveredCePackets).toBe(0)
    const loud = ten()
    loud.inject(`EA. 1:1(0) ack ${1 + MSS} <ECN e0b ${1 + MSS} ceb 0 e1b 1,nop>`)
    loud.inject(`WA. 1:1(0) ack ${1 + 10 * MSS} <ECN e0b ${1 + MSS} ceb ${9 * MSS} e1b 1,nop>`)
    expect(report(loud)).toMatchObject({ deliveredCePackets: 9, deliveredCeBytes: 9 * MSS })
  })

  it('counters wrap at 24 bits, and do not run backwards', () => {
    const l = accepted()
    const { accurate } = l.c.ecn!
    accurate!.deliveredCeBytes = 0xfffff0
    l.write(1000)
    l.inject('WA. 1:1(0) ack 1001 <ECN e0b 1 ceb 8 e1b 1,nop>')
    expect(report(l).deliveredCeBytes).toBe(0x1000008)
    l.write(1000)
    l.inject('WA. 1:1(0) ack 2001 <ECN e0b 1 ceb 2 e1b 1,nop>')
    expect(report(l).deliveredCeBytes).toBe(0x1000008)
  })

  it('a wiped ACE in the first feedback ends ECT (section 3.2.2.4)', () => {
    const l = lab()
    l.open()
    l.inject('SW. 0:0(0) ack 1 <mss 1460>')
    l.write(100)
    l.clear()
    l.inject('. 1:1(0) ack 101')
    l.write(100)
    expect(l.take()[0].tos).toBe(NOT_ECT)
  })

  it('sends super-segments only while segmentation leaves the number whole', () => {
    const l = accepted({ lab: { offload: Offload.TSO4 | Offload.TX_CHECKSUM, gsoMax: 65535 } })
    l.write(4 * MSS)
    expect(l.take().some((e) => e.gso > 0)).toBe(true)
    l.inject('EAP. 1:1001(1000) ack 5841', { ecn: CE }) // 6: the bit CWR is set
    l.write(4 * MSS)
    const sent = l.take().filter((e) => e.len > 0)
    expect(sent.length).toBeGreaterThan(3)
    expect(sent.every((e) => e.gso === 0 && e.text.includes('WA'))).toBe(true)
  })
})
