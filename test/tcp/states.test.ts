/**
 * Every synchronized state with every kind of segment: RFC 9293 section 3.10.7.4 as a table. Our data is one byte (sequence 1) where the state
 * allows; `una` is what the peer has to acknowledge next, `n` our SND.NXT, `r` what we expect from the peer.
 */
import { describe, expect, it } from 'vitest'
import { TcpLab } from '../support/tcp-lab.ts'

interface Start {
  lab: TcpLab
  /** SND.NXT, SND.UNA and RCV.NXT, relative. */
  n: number
  una: number
  r: number
}

function start(state: string): Start {
  const lab = new TcpLab({
    config: { tcp: { quickAcks: 0, receiveBufferInitialBytes: 60_000, receiveBufferMaxBytes: 60_000 } },
  }).accept()
  let una = 1
  let r = 1
  let n = 1
  if (state !== 'ESTABLISHED' && state !== 'CLOSE-WAIT' && state !== 'LAST-ACK') {
    lab.c.shutdown()
    lab.run()
    n = 2
  }
  if (state === 'FIN-WAIT-2' || state === 'TIME-WAIT') {
    lab.inject('. 1:1(0) ack 2')
    una = 2
  }
  if (state === 'CLOSE-WAIT' || state === 'LAST-ACK' || state === 'CLOSING' || state === 'TIME-WAIT') {
    lab.inject(`F. 1:1(0) ack ${una}`)
    r = 2
  }
  if (state === 'LAST-ACK') {
    lab.c.shutdown()
    lab.run()
    n = 2
  }
  expect(lab.state).toBe(state)
  lab.clear()
  lab.app.take()
  return { lab, n, una, r }
}

const STATES = ['ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSE-WAIT', 'CLOSING', 'LAST-ACK', 'TIME-WAIT']
const RECEIVING = ['ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2']

/** Is there still anything with these addresses and ports? */
const alive = (lab: TcpLab): boolean => lab.stack.tcp.flowTable.size === 1

for (const state of STATES) {
  const waiting = state === 'TIME-WAIT'
  describe(state, () => {
    const ack = (s: Start): string => `. ${s.n}:${s.n}(0) ack ${s.r}`

    it('RST at RCV.NXT ends it (except TIME-WAIT, RFC 1337)', () => {
      const s = start(state)
      s.lab.inject(`R ${s.r}:${s.r}(0)`)
      s.lab.expect()
      expect(alive(s.lab)).toBe(waiting)
      if (!waiting) {
        const silent = state === 'CLOSING' || state === 'LAST-ACK' // both sides had closed: no error
        expect(s.lab.app.take()).toEqual([silent ? 'close' : 'close ECONNRESET'])
      }
    })

    it('RST in the window: challenge ACK; outside: nothing', () => {
      const s = start(state)
      s.lab.inject(`R ${s.r + 70_000}:${s.r + 70_000}(0)`)
      s.lab.inject(`R ${s.r - 1}:${s.r - 1}(0)`)
      s.lab.expect()
      s.lab.inject(`R ${s.r + 10}:${s.r + 10}(0)`)
      s.lab.expect(...(waiting ? [] : [ack(s)]))
      expect(s.lab.state).toBe(state)
    })

    it('SYN, SYN-ACK: an ACK, no change', () => {
      for (const line of ['S -10:-10(0)', `S. 0:0(0) ack 1`]) {
        const s = start(state)
        s.lab.inject(line)
        s.lab.expect(ack(s))
        expect(s.lab.state).toBe(state)
        expect(alive(s.lab)).toBe(true)
      }
    })

    it('an ACK of something not sent: an ACK, no change', () => {
      const s = start(state)
      s.lab.inject(`. ${s.r}:${s.r}(0) ack ${s.n + 10}`)
      s.lab.expect(ack(s))
      expect(s.lab.state).toBe(state)
    })

    it('a duplicate ACK changes nothing', () => {
      const s = start(state)
      s.lab.inject(`. ${s.r}:${s.r}(0) ack ${s.una}`)
      s.lab.expect()
      expect(s.lab.state).toBe(state)
    })

    it('the ACK of our FIN moves on', () => {
      const s = start(state)
      s.lab.inject(`. ${s.r}:${s.r}(0) ack ${s.n}`)
      s.lab.expect()
      const next: Record<string, string> = { 'FIN-WAIT-1': 'FIN-WAIT-2', CLOSING: 'TIME-WAIT', 'LAST-ACK': 'CLOSED' }
      expect(s.lab.state).toBe(next[state] ?? state)
      expect(alive(s.lab)).toBe(state !== 'LAST-ACK')
    })

    it('data in order is taken while the peer has not closed, ignored after (section 3.10.7.4, seventh)', () => {
      const s = start(state)
      s.lab.app.reading = false
      s.lab.inject(`P. ${s.r}:${s.r + 10}(10) ack ${s.una}`)
      s.lab.advance(50)
      expect(s.lab.c.readable).toBe(RECEIVING.includes(state) ? 10 : 0)
      if (RECEIVING.includes(state)) expect(s.lab.take().at(-1)!.text).toContain(`ack ${s.r + 10}`)
      expect(s.lab.state).toBe(state)
    })

    it('data outside the window: an ACK', () => {
      const s = start(state)
      s.lab.inject(`. ${s.r + 100_000}:${s.r + 100_010}(10) ack ${s.una}`)
      s.lab.expect(ack(s))
      expect(s.lab.state).toBe(state)
    })

    it('the urgent bit is announced only where data may follow', () => {
      const s = start(state)
      s.lab.app.reading = false
      s.lab.inject(`PU. ${s.r}:${s.r + 2}(2) ack ${s.una} win 65535 urg 2`)
      expect(s.lab.app.take().some((e) => e.startsWith('urgent'))).toBe(RECEIVING.includes(state))
    })

    it('FIN', () => {
      const s = start(state)
      s.lab.inject(`F. ${s.r}:${s.r}(0) ack ${s.una}`)
      const next: Record<string, string> = { ESTABLISHED: 'CLOSE-WAIT', 'FIN-WAIT-1': 'CLOSING', 'FIN-WAIT-2': 'TIME-WAIT' }
      expect(s.lab.state).toBe(next[state] ?? state)
      if (RECEIVING.includes(state)) s.lab.expect(`. ${s.n}:${s.n}(0) ack ${s.r + 1}`)
    })

    it('the FIN again: acknowledged again, no change', () => {
      if (RECEIVING.includes(state)) return
      const s = start(state)
      s.lab.inject(`F. 1:1(0) ack ${s.una}`)
      s.lab.expect(ack(s))
      expect(s.lab.state).toBe(state)
    })

    it('data with FIN and the ACK of our FIN, all at once', () => {
      const s = start(state)
      s.lab.app.reading = false
      s.lab.inject(`F. ${s.r}:${s.r + 5}(5) ack ${s.n}`)
      const next: Record<string, string> = {
        ESTABLISHED: 'CLOSE-WAIT',
        'FIN-WAIT-1': 'TIME-WAIT',
        'FIN-WAIT-2': 'TIME-WAIT',
        CLOSING: 'TIME-WAIT',
        'LAST-ACK': 'CLOSED',
      }
      expect(s.lab.state).toBe(next[state] ?? state)
      if (RECEIVING.includes(state)) expect(s.lab.c.readable).toBe(5)
    })

    it('no ACK bit: dropped', () => {
      const s = start(state)
      s.lab.inject(`P ${s.r}:${s.r + 5}(5)`)
      expect(s.lab.c.readable).toBe(0)
      expect(s.lab.state).toBe(state)
    })

    it('a keep-alive of the peer is answered', () => {
      const s = start(state)
      s.lab.inject(`. ${s.r - 1}:${s.r - 1}(0) ack ${s.una}`)
      s.lab.expect(ack(s))
      expect(s.lab.state).toBe(state)
    })
  })
}
