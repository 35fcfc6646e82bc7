/**
 * A link that is full at every possible moment, sequence numbers that wrap, a clock that wraps: whole transfers with a peer that acknowledges
 * honestly. The lab compares every payload byte and every right edge.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Offload } from '../../src/netif/netif.ts'
import { type Emitted, type LabOptions, TcpLab } from '../support/tcp-lab.ts'

const TSO = { offload: Offload.TX_CHECKSUM | Offload.TSO4, gsoMax: 65535 }

interface Peer {
  /** What arrived in order, relative (the next byte wanted). */
  next: number
  finned: boolean
}

/** Takes in what was emitted and acknowledges it, with SACK-free honesty; `drop` loses a segment. */
function answer(lab: TcpLab, peer: Peer, drop: (e: Emitted) => boolean = () => false): boolean {
  const got = lab.take()
  let any = false
  for (const e of got) {
    if (e.len === 0 && (e.flags & 1) === 0) continue
    if (drop(e)) continue
    any = true
    const seq = (e.seq - lab.c.snd.iss) | 0
    if (seq > peer.next) continue
    const end = seq + e.len
    if (end > peer.next) peer.next = end
    if ((e.flags & 1) !== 0 && end === peer.next && !peer.finned) {
      peer.finned = true
      peer.next++
    }
  }
  if (any) lab.inject(`. ${(lab.c.rcv.nxt - lab.irs) | 0 || 1}:${(lab.c.rcv.nxt - lab.irs) | 0 || 1}(0) ack ${peer.next}`)
  return any
}

/** Sends `total` bytes and FIN; returns the segments that carried something. */
function sendAll(lab: TcpLab, total: number, drop?: (e: Emitted) => boolean): Peer {
  const peer: Peer = { next: 1, finned: false }
  for (let rounds = 0; !(peer.finned && lab.c.stateName !== 'ESTABLISHED' && lab.c.snd.flight.count === 0); rounds++) {
    if (rounds > 5000) throw new Error(`no end: ${JSON.stringify(lab.c.info())}`)
    if (lab.written < total) {
      lab.write(total - lab.written)
      if (lab.written === total) lab.c.shutdown()
      lab.run()
    }
    if (!answer(lab, peer, drop)) lab.advance(lab.host.nextMs < 0 ? 1 : Math.max(lab.host.nextMs, 0.001))
    if (lab.link.refused > 0) lab.link.sink!.writable()
  }
  return peer
}

describe('a link that is full', () => {
  for (const [what, options] of [
    ['plain', {}],
    ['super-segments', TSO],
  ] as [string, LabOptions][]) {
    it(`at the n-th send, for every n: nothing lost, nothing sent twice (${what})`, () => {
      for (let n = 1; n <= 24; n++) {
        const lab = new TcpLab(options)
        lab.listen()
        let asked = 0
        lab.link.refuse = () => ++asked === n
        lab.inject('S 0:0(0) win 65535 <mss 1000>')
        if (lab.out.length === 0) lab.advance(1000) // the SYN-ACK is best effort; its timer helps
        lab.inject('. 1:1(0) ack 1')
        lab.clear()
        const peer = sendAll(lab, 20_000)
        expect(peer.next).toBe(20_002)
        expect(lab.c.info()).toMatchObject({ bytesSent: 20_000, bytesAcked: 20_000, retransmits: 0 })
      }
    })
  }

  it('refusing at random, with writable whenever it likes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1 << 30 }), fc.integer({ min: 10, max: 90 }), (seed, percent) => {
        let x = seed
        const lab = new TcpLab({ seed: (seed % 100) + 1 }).accept('<mss 1460>')
        lab.link.refuse = () => {
          x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff
          return (x >>> 8) % 100 < percent
        }
        expect(sendAll(lab, 15_000).next).toBe(15_002)
        expect(lab.c.snd.bytesSent).toBe(15_000)
      }),
      { numRuns: 25 },
    )
  })

  it('a SYN that found no room goes out as soon as there is', () => {
    const lab = new TcpLab()
    lab.link.full = true
    lab.open()
    lab.expect()
    lab.link.full = false
    lab.link.sink!.writable()
    lab.run()
    lab.expect('S 0:0(0)')
  })

  it('an ACK that found no room is not forgotten', () => {
    const lab = new TcpLab().accept()
    lab.link.full = 1
    lab.inject('. 1:11(10) ack 1')
    lab.expect()
    lab.link.sink!.writable()
    lab.run()
    lab.expect('. 1:1(0) ack 11')
  })

  it('does not keep the host busy while it is full', () => {
    const lab = new TcpLab().accept()
    lab.link.full = true
    lab.write(5000)
    const before = lab.host.events
    lab.advance(100)
    expect(lab.host.events - before).toBeLessThan(5)
  })
})

describe('sequence numbers wrap', () => {
  const starts = [0x7fffffff - 20_000, -20_000, -1, -2, 0x7fffffff, 0x7ffffffe, -30_001, 0x7fffffff - 30_000]

  for (const options of [{}, TSO] as LabOptions[]) {
    it(`sending${options === TSO ? ', super-segments' : ''}, with every fifth segment lost`, () => {
      for (const iss of starts) {
        const lab = new TcpLab({ iss, ...options }).accept('<mss 1460>')
        let i = 0
        expect(sendAll(lab, 40_000, () => ++i % 5 === 0).next).toBe(40_002)
        expect(lab.c.stateName).toBe('FIN-WAIT-2')
      }
    })
  }

  it('receiving, in any order, with overlaps and FIN', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...starts),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 39_999 }), fc.integer({ min: 1, max: 1460 })), { maxLength: 60 }),
        (irs, pieces) => {
          const lab = new TcpLab({ irs }).accept('<mss 1460,sackOK>')
          for (const [from, len] of pieces) {
            const to = Math.min(from + len, 40_000)
            lab.inject(`. ${from + 1}:${to + 1}(${to - from}) ack 1`)
          }
          lab.inject('F. 40001:40001(0) ack 1')
          for (let at = 0; at < 40_000; at += 1000) lab.inject(`. ${at + 1}:${at + 1001}(1000) ack 1`)
          expect(lab.app.received).toBe(40_000)
          expect(lab.state).toBe('CLOSE-WAIT')
        },
      ),
      { numRuns: 25 },
    )
  })
})

describe('the clock wraps', () => {
  for (const before of [50, 150, 1000]) {
    it(`${before} ms after the beginning: RTO, delayed ACK, PAWS, keep-alive go on`, () => {
      const lab = new TcpLab({ startMs: 0x7fffffff - before }).accept('<mss 1460,sackOK,TS val 2147483600 ecr 0>')
      lab.c.setKeepAlive(true, 5000, 1000, 2)
      lab.write(10)
      lab.clear()
      lab.advance(200)
      expect(lab.take().map((e) => e.len)).toEqual([10])
      lab.advance(400)
      expect(lab.take().map((e) => e.len)).toEqual([10])
      lab.inject('. 1:11(10) ack 11')
      lab.advance(2000)
      lab.inject('. 11:21(10) ack 11')
      expect(lab.app.received).toBe(20)
      lab.clear()
      lab.advance(5100)
      expect(lab.take().at(-1)!.text).toContain('. 10:10(0) ack 21')
    })
  }

  it('microseconds wrap in the middle of a round trip', () => {
    const lab = new TcpLab({ startMs: 2_147_483 }).accept('<mss 1460>')
    lab.write(10)
    lab.advance(30)
    lab.inject('. 1:1(0) ack 11')
    expect(lab.c.info().rttUs).toBeGreaterThan(0)
    expect(lab.c.info().rttUs).toBeLessThan(31_000)
  })
})
