/** The passive path beyond the bare handshake: TCP_DEFER_ACCEPT, tcp_abort_on_overflow, how often SYN and SYN-ACK are sent. */
import { describe, expect, it } from 'vitest'
import { TcpLab } from '../support/tcp-lab.ts'

function synAcks(lab: TcpLab, ms: number): number[] {
  const from = lab.host.elapsedMs
  lab.advance(ms)
  return lab.take().map((e) => Math.round(e.atMs - from))
}

describe('TCP_DEFER_ACCEPT', () => {
  it('accepts only with data; the SYN-ACK is not repeated meanwhile', () => {
    const lab = new TcpLab()
    lab.listen({ deferAcceptMs: 6000 }) // 3 expiries
    lab.inject('S 0:0(0) <mss 1460>')
    lab.inject('. 1:1(0) ack 1')
    lab.clear()
    expect(synAcks(lab, 2500)).toEqual([])
    expect(lab.accepted.length).toBe(0)
    expect(lab.counters.TCPDeferAcceptDrop).toBe(1)
    lab.inject('P. 1:11(10) ack 1')
    expect(lab.accepted.length).toBe(1)
    expect(lab.app.received).toBe(10)
  })

  it('gives in when the time is over: a last SYN-ACK, and its ACK completes', () => {
    const lab = new TcpLab()
    lab.listen({ deferAcceptMs: 6000 })
    lab.inject('S 0:0(0) <mss 1460>')
    lab.inject('. 1:1(0) ack 1')
    lab.clear()
    expect(synAcks(lab, 7500)).toEqual([7000]) // 1 + 2 + 4 s
    lab.inject('. 1:1(0) ack 1')
    expect(lab.accepted.length).toBe(1)
  })

  it('FIN is as good as data, and who never acknowledges gets every SYN-ACK', () => {
    const lab = new TcpLab()
    lab.listen({ deferAcceptMs: 6000 })
    lab.inject('S 0:0(0) <mss 1460>')
    lab.inject('F. 1:1(0) ack 1')
    expect(lab.state).toBe('CLOSE-WAIT')
    lab.inject('S 0:0(0) <mss 1460>', { remotePort: 3 })
    lab.clear()
    lab.remotePort = 3
    expect(synAcks(lab, 100_000)).toEqual([1000, 3000, 7000, 15_000, 31_000])
  })

  it('can be set later, and taken back', () => {
    const lab = new TcpLab()
    const listener = lab.listen()
    listener.set({ deferAcceptMs: 1000 })
    lab.inject('S 0:0(0) <mss 1460>')
    lab.inject('. 1:1(0) ack 1')
    expect(lab.accepted.length).toBe(0)
    listener.set({ deferAcceptMs: 0 })
    lab.inject('. 1:1(0) ack 1')
    expect(lab.accepted.length).toBe(1)
    for (const wrong of [{ deferAcceptMs: -1 }, { deferAcceptMs: 0.5 }, { port: 3 }])
      expect(() => listener.set(wrong)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })
})

describe('how often', () => {
  it('SYN: synRetries of the connection; SYN-ACK: synRetries of the listener (TCP_SYNCNT)', () => {
    const lab = new TcpLab()
    lab.open({ synRetries: 2 })
    lab.clear()
    expect(synAcks(lab, 100_000)).toEqual([1000, 3000])
    expect(lab.app.take()).toEqual(['close ETIMEDOUT'])
    lab.listen({ synRetries: 1 })
    lab.remotePort = 5
    lab.localPort = lab.listenPort
    lab.inject('S 0:0(0) <mss 1460>')
    lab.clear()
    expect(synAcks(lab, 100_000)).toEqual([1000])
    expect(lab.stack.tcp.flowTable.size).toBe(0)
  })

  it('more than one SYN-ACK lost: one segment to begin with (RFC 5681 section 3.1, RFC 6928)', () => {
    for (const [lostMs, cwnd] of [
      [1500, 14_600],
      [3500, 1460],
    ]) {
      const lab = new TcpLab()
      lab.listen()
      lab.inject('S 0:0(0) <mss 1460>')
      lab.advance(lostMs)
      lab.inject('. 1:1(0) ack 1')
      expect(lab.c.info().cwnd).toBe(cwnd)
      const client = new TcpLab()
      client.open()
      client.advance(lostMs)
      client.inject('S. 0:0(0) ack 1 <mss 1460>')
      expect(client.c.info().cwnd).toBe(cwnd)
    }
  })
})

describe('tcp_abort_on_overflow', () => {
  it('resets who completes a handshake for which there is no room', () => {
    const lab = new TcpLab({ config: { tcp: { abortOnOverflow: true } } })
    lab.listen({ backlog: 1 }, false)
    lab.inject('S 0:0(0) <mss 1460>', { remotePort: 1 })
    lab.inject('S 0:0(0) <mss 1460>', { remotePort: 2 })
    lab.inject('. 1:1(0) ack 1', { remotePort: 1 })
    lab.clear()
    lab.inject('. 1:1(0) ack 1', { remotePort: 2 })
    lab.expect('R 1:1(0)')
    expect(lab.stack.tcp.flowTable.size).toBe(1)
  })
})
