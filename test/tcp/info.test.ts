/** `connection.info()`: what `ss -ti` shows. */
import { describe, expect, it } from 'vitest'
import { Offload } from '../../src/netif/netif.ts'
import { TcpLab } from '../support/tcp-lab.ts'

const MSS = 1460
const SACK = '<mss 1460,sackOK>'

describe('segments as the log knows them', () => {
  it('in flight, SACKed, lost, sent again', () => {
    const lab = new TcpLab().accept(SACK)
    lab.write(8 * MSS)
    expect(lab.c.info()).toMatchObject({
      unackedSegments: 8,
      sackedSegments: 0,
      lostSegments: 0,
      retransSegments: 0,
      dataSegmentsOut: 8,
      segmentsOut: 8,
      notSentBytes: 0,
      delivered: 0,
    })
    lab.inject(`. 1:1(0) ack 1 <nop,nop,sack ${1 + 2 * MSS}:${1 + 6 * MSS}>`)
    const info = lab.c.info()
    expect(info).toMatchObject({ unackedSegments: 8, sackedSegments: 4, lostSegments: 2, delivered: 4 * MSS })
    expect(info.retransSegments).toBeGreaterThan(0)
    lab.inject(`. 1:1(0) ack ${1 + 8 * MSS}`)
    expect(lab.c.info()).toMatchObject({ unackedSegments: 0, sackedSegments: 0, lostSegments: 0, delivered: 8 * MSS })
  })

  it('a super-segment counts as the segments that it becomes', () => {
    const lab = new TcpLab({ offload: Offload.TSO4 | Offload.TX_CHECKSUM | Offload.RX_CHECKSUM, gsoMax: 65535 }).accept(SACK)
    lab.write(8 * MSS)
    expect(lab.out.length).toBeLessThan(8)
    expect(lab.c.info()).toMatchObject({ unackedSegments: 8, dataSegmentsOut: 8, segmentsOut: 8 })
  })

  it('data received, also by super-segments', () => {
    const lab = new TcpLab({ offload: Offload.TSO4 | Offload.TX_CHECKSUM | Offload.RX_CHECKSUM, gsoMax: 65535 }).accept()
    lab.inject('. 1:4001(4000) ack 1', { gso: 1000 })
    lab.inject('. 4001:4001(0) ack 1')
    expect(lab.c.info()).toMatchObject({ dataSegmentsIn: 4, segmentsIn: 6 })
  })
})

describe('what data waits for', () => {
  it('nothing sent, nothing counted', () => {
    const lab = new TcpLab().accept()
    lab.advance(1000)
    expect(lab.c.info()).toMatchObject({ busyMs: 0, windowLimitedMs: 0, bufferLimitedMs: 0 })
  })

  it('busy from the first byte to its acknowledgment', () => {
    const lab = new TcpLab().accept()
    lab.write(100)
    lab.advance(70)
    expect(lab.c.info().busyMs).toBe(70)
    lab.inject('. 1:1(0) ack 101')
    lab.advance(500)
    expect(lab.c.info()).toMatchObject({ busyMs: 70, windowLimitedMs: 0, bufferLimitedMs: 0 })
  })

  it('the peer’s window', () => {
    const lab = new TcpLab().accept('<mss 1460>', 2 * MSS)
    lab.write(4 * MSS)
    lab.advance(30)
    lab.inject(`. 1:1(0) ack ${1 + 2 * MSS} win 0`)
    lab.advance(100)
    expect(lab.c.info()).toMatchObject({ busyMs: 130, windowLimitedMs: 130, notSentBytes: 2 * MSS })
    lab.inject(`. 1:1(0) ack ${1 + 2 * MSS} win 65535`)
    lab.advance(20)
    expect(lab.c.info()).toMatchObject({ busyMs: 150, windowLimitedMs: 130 })
  })

  it('the congestion window is the network: busy, no more', () => {
    const lab = new TcpLab().accept()
    lab.write(40_000)
    lab.advance(50)
    expect(lab.c.info()).toMatchObject({ busyMs: 50, windowLimitedMs: 0, bufferLimitedMs: 0 })
    expect(lab.c.info().notSentBytes).toBeGreaterThan(0)
  })

  it('our buffer: all that it holds is under way, and the application has more', () => {
    const lab = new TcpLab({ config: { tcp: { sendBufferInitialBytes: 4000, sendBufferMaxBytes: 4000, nagle: 'rfc' } } }).accept()
    expect(lab.write(9000)).toBe(4000)
    lab.advance(10) // Nagle holds the tail back
    lab.inject(`. 1:1(0) ack ${1 + 2 * MSS}`)
    lab.advance(60)
    expect(lab.c.info()).toMatchObject({ busyMs: 70, bufferLimitedMs: 0 })
    lab.app.take()
    lab.c.setNoDelay(true)
    expect(lab.write(9000)).toBe(2 * MSS)
    lab.advance(25)
    expect(lab.c.info()).toMatchObject({ busyMs: 95, bufferLimitedMs: 25, windowLimitedMs: 0 })
  })
})

describe('without an answer', () => {
  it('time-outs in a row', () => {
    const lab = new TcpLab().accept()
    lab.write(100)
    lab.advance(10_000)
    const { retries, probes, backoff } = lab.c.info()
    expect(retries).toBeGreaterThan(2)
    expect({ probes, backoff }).toEqual({ probes: 0, backoff: retries })
    lab.inject('. 1:1(0) ack 101')
    expect(lab.c.info()).toMatchObject({ retries: 0, backoff: retries }) // until a segment is acknowledged that was sent once (Karn)
  })

  it('keep-alives in a row', () => {
    const lab = new TcpLab().accept()
    lab.c.setKeepAlive(true, 1000, 100, 5)
    lab.advance(1250)
    expect(lab.c.info()).toMatchObject({ retries: 0, probes: 3 })
    lab.inject('. 1:1(0) ack 1')
    expect(lab.c.info().probes).toBe(0)
  })
})
