/** Losses found by time, probes of the tail, the window meanwhile, and mistakes taken back: RFC 8985, 9937, 5682, 3708, 4015. */
import { describe, expect, it } from 'vitest'
import { TcpLab } from '../support/tcp-lab.ts'

const MSS = 1460
const RTT = 40
const seg = (i: number, n = 1): string => `${1 + i * MSS}:${1 + (i + n) * MSS}(${n * MSS})`
const block = (i: number, n = 1): string => `${1 + i * MSS}:${1 + (i + n) * MSS}`
const ack = (i: number): string => `. 1:1(0) ack ${1 + i * MSS}`

/** A connection with SACK whose round trip took 40 ms; NewReno, for its numbers are easy. `options`: those of the SYN and its ACK. */
function connected(tcp = {}, options = ['<mss 1460,sackOK>', '<nop>']): TcpLab {
  const lab = new TcpLab({ config: { tcp: { congestion: 'newreno', ...tcp } } })
  lab.listen()
  lab.inject(`S 0:0(0) win 65535 ${options[0]}`)
  lab.advance(RTT)
  lab.inject(`. 1:1(0) ack 1 win 65535 ${options[1]}`)
  lab.clear()
  return lab
}

describe('RACK-TLP (RFC 8985)', () => {
  it('lost is what was sent before something that arrived, a quarter of the smallest round trip later (section 6.2)', () => {
    const lab = connected()
    lab.write(4 * MSS)
    lab.clear()
    lab.advance(RTT)
    lab.inject(`${ack(0)} <nop,nop,sack ${block(1)}>`)
    lab.advance(RTT / 4 - 1)
    lab.expect()
    lab.advance(2)
    lab.expect(`. ${seg(0)}`)
    expect(lab.c.info().recovery).toBe('recovery')
    expect(lab.counters.tcpTimeouts ?? 0).toBe(0)
  })

  it('reordering within that time is no loss', () => {
    const lab = connected()
    lab.write(4 * MSS)
    lab.clear()
    lab.advance(RTT)
    lab.inject(`${ack(0)} <nop,nop,sack ${block(1)}>`)
    lab.advance(RTT / 4 - 1)
    lab.inject(ack(4))
    lab.advance(1000)
    lab.expect()
    expect(lab.c.info()).toMatchObject({ recovery: 'open', retransmits: 0 })
  })

  it('a lost tail is probed after two round trips, and the answer shows what is missing: no time-out (section 7)', () => {
    const lab = connected()
    lab.write(4 * MSS)
    lab.clear()
    lab.advance(2 * RTT)
    lab.expect()
    lab.advance(4)
    lab.expect(`P. ${seg(3)}`)
    lab.advance(RTT)
    lab.inject(`${ack(2)} <nop,nop,sack ${block(3)}>`)
    lab.advance(RTT / 4 + 1)
    lab.expect(`. ${seg(2)}`)
    lab.inject(ack(4))
    expect(lab.c.info()).toMatchObject({ recovery: 'open', retransmits: 2, bytesInFlight: 0 })
    expect(lab.counters.tcpTimeouts ?? 0).toBe(0)
  })

  it('after a peer has delayed its ACK of a probe, probes are retransmissions: those are answered at once', () => {
    // The last of what is sent next when the first probe is answered `lateMs` after two round trips, and what the second probe is.
    const secondProbe = (lateMs: number): (string | undefined)[] => {
      const lab = connected()
      lab.write(44 * MSS)
      lab.clear()
      lab.advance(2 * RTT + 4)
      lab.expect(`. ${seg(10)}`)
      lab.advance(2 * RTT + lateMs)
      lab.inject(ack(11))
      const last = lab.take().at(-1)
      lab.advance(400)
      return [last, lab.take()[0]].map((s) => s?.text.replace(/\(.*$/, ''))
    }
    const [last, again] = secondProbe(15)
    expect(again).toBe(last)
    const [end, more] = secondProbe(5)
    expect(more?.split(' ')[1].split(':')[0]).toBe(end?.split(':')[1])
  })

  it('where a time-out was for a lost ACK, a recovery has its probe as well', () => {
    const lab = connected()
    const loseFirst = (i: number): void => {
      lab.write(5 * MSS)
      lab.clear()
      lab.advance(RTT)
      lab.inject(`${ack(i)} <nop,nop,sack ${block(i + 1, 4)}>`)
      lab.expect(`. ${seg(i)}`)
    }
    loseFirst(0)
    lab.advance(150)
    lab.expect()
    lab.advance(200)
    lab.expect(`. ${seg(0)}`) // the time-out
    lab.advance(RTT)
    lab.inject(`${ack(5)} <nop,nop,sack ${block(0)}>`)
    expect(lab.c.info()).toMatchObject({ recovery: 'open', bytesInFlight: 0 })

    lab.write(20 * MSS)
    while (lab.c.info().bytesInFlight > 0) {
      lab.advance(RTT)
      lab.inject(ack((lab.c.snd.nxt - lab.c.snd.iss - 1) / MSS))
    }
    loseFirst(25)
    const timeouts = lab.counters.tcpTimeouts
    lab.advance(2 * RTT + 4)
    lab.expect(`. ${seg(25)}`)
    const { cwnd } = lab.c.info()
    lab.inject(`${ack(30)} <nop,nop,sack ${block(25)}>`)
    expect(lab.c.info()).toMatchObject({ recovery: 'open', bytesInFlight: 0 })
    expect(lab.counters).toMatchObject({ tcpTimeouts: timeouts, TCPLossProbes: 1 })
    expect(lab.counters.TCPDSACKUndo ?? 0).toBe(0) // the first retransmission was needed
    expect(lab.c.info().cwnd).toBeLessThanOrEqual(cwnd + MSS)
  })

  it('a retransmission that is lost is sent again, without a time-out', () => {
    const lab = connected()
    lab.write(20 * MSS)
    lab.clear()
    lab.advance(RTT)
    lab.inject(`${ack(0)} <nop,nop,sack ${block(1, 4)}>`)
    lab.expect(`. ${seg(0)}`)
    lab.advance(5)
    lab.inject(`${ack(0)} <nop,nop,sack ${block(1, 9)}>`)
    expect(lab.take()[0].text).toContain(seg(10))
    lab.advance(RTT)
    // What was sent after the retransmission arrives; the retransmission does not.
    lab.inject(`${ack(0)} <nop,nop,sack ${block(1, 10)}>`)
    lab.advance(RTT / 2)
    expect(lab.take().some((e) => e.text.includes(` ${seg(0)} `))).toBe(true)
    expect(lab.counters.tcpTimeouts ?? 0).toBe(0)
  })
})

describe('proportional rate reduction (RFC 9937)', () => {
  it('sends half of what arrives while the window is halved, and ends at ssthresh', () => {
    const lab = connected()
    lab.write(40 * MSS)
    expect(lab.take().length).toBe(10)
    lab.advance(RTT)
    let left = 0
    let silent = 0
    for (let i = 1; i < 10; i++) {
      lab.inject(`${ack(0)} <nop,nop,sack ${block(1, i)}>`)
      const sent = lab.take()
      expect(sent.length).toBeLessThanOrEqual(2)
      left += sent.length
      silent = sent.length > 0 ? 0 : silent + 1
      expect(silent).toBeLessThanOrEqual(2) // spread over the round trip, not held back until enough has left the path
    }
    // Nine of ten have arrived: two new segments by limited transmit, then one for every two, the retransmission among them.
    expect(left).toBeGreaterThanOrEqual(4)
    expect(left).toBeLessThanOrEqual(7)
    lab.inject(ack(10))
    const { cwnd, ssthresh } = lab.c.info()
    expect([ssthresh, cwnd]).toEqual([5 * MSS, 5 * MSS])
  })
})

describe('mistakes', () => {
  it('a time-out that was none is seen by the first ACK of what was sent once (RFC 5682), and taken back (RFC 4015)', () => {
    const lab = connected({ tailLossProbe: false })
    lab.write(10 * MSS)
    lab.clear()
    const { cwnd } = lab.c.info()
    lab.advance(6 * RTT + 5)
    lab.expect(`. ${seg(0)}`)
    expect(lab.c.info()).toMatchObject({ recovery: 'loss', cwnd: MSS })
    lab.inject(ack(2))
    expect(lab.c.info().recovery).toBe('open')
    expect(lab.c.info().cwnd).toBeGreaterThanOrEqual(cwnd)
    expect(lab.take().some((e) => e.len > 0)).toBe(false) // nothing else is sent again
    expect(lab.counters.TCPSpuriousRTOs).toBe(1)
  })

  it('with frto off the same time-out sends all again', () => {
    const lab = connected({ tailLossProbe: false, frto: false })
    lab.write(10 * MSS)
    lab.advance(6 * RTT + 5)
    lab.clear()
    lab.inject(ack(2))
    lab.expect(`. ${seg(2)}`, `. ${seg(3)}`, `. ${seg(4)}`)
  })

  it('an ACK that echoes a time before the retransmission was of the original (RFC 3522): taken back at once', () => {
    const lab = connected({}, ['<mss 1460,sackOK,TS val 100 ecr 0>', '<nop,nop,TS val 140 ecr 0>'])
    const size = MSS - 12
    lab.write(10 * size)
    const first = lab.take()[0].tsVal
    const { cwnd } = lab.c.info()
    lab.advance(RTT)
    lab.inject(`. 1:1(0) ack 1 <nop,nop,TS val 180 ecr ${first},nop,nop,sack ${1 + size}:${1 + 5 * size}>`)
    expect(lab.take()[0].text).toContain(`1:${1 + size}(${size})`)
    expect(lab.c.info().recovery).toBe('recovery')
    lab.advance(5)
    lab.inject(`. 1:1(0) ack ${1 + 5 * size} <nop,nop,TS val 185 ecr ${first}>`)
    const info = lab.c.info()
    expect(info.recovery).not.toBe('recovery')
    expect(info.cwnd).toBeGreaterThanOrEqual(cwnd)
    expect(info.ssthresh).toBeGreaterThan(cwnd)
    expect(lab.counters.TCPPartialUndo).toBe(1)
  })

  it('retransmissions that D-SACK calls duplicates: the window is what it was (RFC 3708, RFC 4015)', () => {
    const lab = connected()
    lab.write(10 * MSS)
    lab.clear()
    const { cwnd } = lab.c.info()
    lab.advance(RTT)
    lab.inject(`${ack(0)} <nop,nop,sack ${block(1, 4)}>`)
    expect(lab.take()[0].text).toContain(seg(0))
    lab.advance(5)
    lab.inject(`${ack(5)}`) // the original had only been late
    lab.inject(`${ack(5)} <nop,nop,sack ${block(0)}>`)
    const info = lab.c.info()
    expect(info.cwnd).toBeGreaterThanOrEqual(cwnd)
    expect([info.dsacks, info.retransmits]).toEqual([1, 1])
    expect(info.recovery).not.toBe('recovery')
    expect(info.ssthresh).toBeGreaterThan(cwnd)
  })
})
