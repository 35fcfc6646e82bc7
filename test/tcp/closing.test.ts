/** Closing: RFC 9293 sections 3.6, 3.9.1; RFC 1122 4.2.2.13; RFC 2525 2.17; and the errors of the raw shape. */
import { describe, expect, it } from 'vitest'
import { TcpLab } from '../support/tcp-lab.ts'

const code = (c: string) => expect.objectContaining({ code: c })

describe('close', () => {
  it('actively: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT; told once', () => {
    const lab = new TcpLab().accept()
    lab.c.close()
    lab.run()
    lab.expect('F. 1:1(0) ack 1')
    lab.inject('. 1:1(0) ack 2')
    lab.inject('F. 1:1(0) ack 2')
    lab.expect('. 2:2(0) ack 2')
    expect(lab.transitions.slice(-3)).toEqual(['FIN-WAIT-1', 'FIN-WAIT-2', 'TIME-WAIT'])
    expect(lab.app.take()).toEqual(['close'])
    expect(lab.stack.pool.inUse).toBe(0)
  })

  it('passively: CLOSE-WAIT, LAST-ACK, gone', () => {
    const lab = new TcpLab().accept()
    lab.inject('F. 1:1(0) ack 1')
    lab.expect('. 1:1(0) ack 2')
    expect(lab.app.take()).toEqual(['readable'])
    expect(lab.c.ended).toBe(true)
    lab.c.close()
    lab.run()
    lab.expect('F. 1:1(0) ack 2')
    lab.inject('. 2:2(0) ack 2')
    expect(lab.app.take()).toEqual(['close'])
    expect(lab.stack.tcp.flowTable.size).toBe(0)
  })

  it('simultaneously: CLOSING (figure 13)', () => {
    const lab = new TcpLab().accept()
    lab.c.close()
    lab.run()
    lab.inject('F. 1:1(0) ack 1')
    lab.expect('F. 1:1(0) ack 1', '. 2:2(0) ack 2')
    expect(lab.state).toBe('CLOSING')
    lab.inject('. 2:2(0) ack 2')
    expect(lab.state).toBe('TIME-WAIT')
  })

  it('half: receiving goes on (MAY-1) for as long as it takes', () => {
    const lab = new TcpLab().accept()
    lab.c.shutdown()
    lab.run()
    lab.inject('. 1:1(0) ack 2')
    lab.advance(3600_000)
    expect(lab.state).toBe('FIN-WAIT-2')
    lab.inject('. 1:101(100) ack 2')
    expect(lab.app.received).toBe(100)
    expect(() => lab.write(1)).toThrow(code('EPIPE'))
  })

  it('the peer closes half: we may go on sending', () => {
    const lab = new TcpLab().accept()
    lab.inject('F. 1:1(0) ack 1')
    lab.clear()
    lab.write(100)
    lab.expect('P. 1:101(100) ack 2')
    expect(lab.state).toBe('CLOSE-WAIT')
  })

  it('with unread data: RST (SHLD-3, RFC 2525)', () => {
    const lab = new TcpLab().accept()
    lab.app.reading = false
    lab.inject('. 1:11(10) ack 1')
    lab.clear()
    lab.c.close()
    lab.run()
    lab.expect('R. 1:1(0) ack 11')
    expect(lab.counters.tcpAbortOnClose).toBe(1)
    expect(lab.stack.pool.inUse).toBe(0)
  })

  it('what was written before such a close leaves before the RST, as far as the windows let it', () => {
    const lab = new TcpLab().accept('<mss 1000>', 2000)
    lab.app.reading = false
    lab.inject('. 1:11(10) ack 1 win 2000')
    lab.clear()
    lab.write(2500, false)
    lab.c.close()
    lab.run()
    lab.expect('. 1:1001(1000) ack 11', '. 1001:2001(1000)', 'R. 2001:2001(0) ack 11')
    expect(lab.stack.pool.inUse).toBe(0)
  })

  it('data after it: RST (RFC 1122 section 4.2.2.13); its FIN alone is fine', () => {
    const lab = new TcpLab().accept()
    lab.c.close()
    lab.run()
    lab.clear()
    lab.inject('. 1:11(10) ack 1')
    lab.expect('R. 2:2(0) ack 1')
    expect(lab.app.take()).toEqual(['close'])
    expect(lab.counters.tcpAbortOnData).toBe(1)

    const fine = new TcpLab().accept()
    fine.c.close()
    fine.run()
    fine.clear()
    fine.inject('F. 1:1(0) ack 2')
    fine.expect('. 2:2(0) ack 2')
    expect(fine.app.take()).toEqual(['close'])
    expect(fine.counters.tcpAbortOnData).toBeUndefined()
  })

  it('nobody answers: FIN-WAIT-2 of an orphan ends silently', () => {
    const lab = new TcpLab().accept()
    lab.c.close()
    lab.run()
    lab.inject('. 1:1(0) ack 2')
    lab.clear()
    lab.advance(59_900)
    expect(lab.state).toBe('FIN-WAIT-2')
    lab.advance(200)
    lab.expect()
    expect(lab.stack.tcp.flowTable.size).toBe(0)
    expect(lab.app.take()).toEqual(['close'])
  })

  it('an orphan whose FIN nobody acknowledges is given up', () => {
    const lab = new TcpLab().accept()
    lab.write(10)
    lab.c.close()
    lab.run()
    lab.advance(300_000)
    expect(lab.stack.tcp.flowTable.size).toBe(0)
    expect(lab.stack.pool.inUse).toBe(0)
  })

  it('waits for what was written, however slow', () => {
    const lab = new TcpLab().accept('<mss 1000>', 2000)
    lab.write(5000)
    lab.c.close()
    lab.run()
    lab.expect('. 1:1001(1000)', '. 1001:2001(1000)')
    lab.inject('. 1:1(0) ack 2001 win 2000')
    lab.expect('. 2001:3001(1000)', '. 3001:4001(1000)')
    lab.inject('. 1:1(0) ack 4001 win 2000')
    lab.expect('FP. 4001:5001(1000)')
  })
})

describe('linger and abort', () => {
  it('what was written before an abort leaves before the RST', () => {
    const lab = new TcpLab().accept()
    lab.write(10, false)
    lab.c.abort()
    lab.run()
    lab.expect('P. 1:11(10) ack 1', 'R. 11:11(0) ack 1')
  })

  it('linger runs out: RST', () => {
    const lab = new TcpLab().accept()
    lab.write(10)
    lab.c.close(1000)
    lab.run()
    lab.advance(2000)
    expect(lab.take().at(-1)!.text).toMatch(/^R\. 12:12\(0\) ack 1/)
    expect(lab.app.take()).toEqual(['close'])
  })

  it('linger 0 and abort: RST at once, told', () => {
    for (const end of [(lab: TcpLab) => lab.c.close(0), (lab: TcpLab) => lab.c.abort()]) {
      const lab = new TcpLab().accept()
      lab.write(10)
      lab.clear()
      end(lab)
      lab.run()
      lab.expect('R. 11:11(0) ack 1')
      expect(lab.app.take()).toEqual(['close'])
      expect(lab.stack.tcp.flowTable.size).toBe(0)
      expect(lab.stack.timers.size).toBeLessThanOrEqual(1)
    }
  })

  it('closing twice, aborting after the end, shutting down after the end do nothing', () => {
    const lab = new TcpLab().accept()
    lab.c.close()
    lab.c.close()
    lab.c.shutdown()
    lab.run()
    lab.expect('F. 1:1(0) ack 1')
    lab.inject('R 1:1(0)')
    lab.c.abort()
    lab.c.close()
    lab.c.shutdown()
    lab.run()
    lab.expect()
    expect(lab.app.take()).toEqual(['close ECONNRESET'])
  })
})

describe('errors of the raw shape (MUST-12)', () => {
  it('writing after a reset says why; reading gives nothing', () => {
    const lab = new TcpLab().accept()
    lab.inject('R 1:1(0)')
    expect(() => lab.write(1)).toThrow(code('ECONNRESET'))
    expect(lab.c.read(new Uint8Array(1), 0, 1)).toBe(0)
    expect(lab.c.writable).toBe(0)
  })

  it('what came before a regular end can be read after it', () => {
    const lab = new TcpLab().accept()
    lab.app.reading = false
    lab.c.shutdown()
    lab.run()
    lab.inject('. 1:1(0) ack 2')
    lab.inject('F. 1:11(10) ack 2')
    expect(lab.app.take()).toEqual(['readable', 'close'])
    expect(lab.c.ended).toBe(false)
    expect(lab.app.drain(lab.c)).toBe(10)
    expect(lab.c.ended).toBe(true)
    expect(lab.stack.pool.inUse).toBe(0)
  })

  it('a full buffer takes a part, then nothing, then tells', () => {
    const lab = new TcpLab({ config: { tcp: { sendBufferInitialBytes: 5000, sendBufferMaxBytes: 5000 } } }).accept()
    expect(lab.write(8000)).toBe(5000)
    expect(lab.write(1)).toBe(0)
    lab.inject('. 1:1(0) ack 1461')
    expect(lab.app.take()).toEqual([])
    lab.inject('. 1:1(0) ack 2921')
    expect(lab.app.take()).toEqual(['writable'])
  })

  it('a handler that throws: reported, nothing lost, the connection goes on', () => {
    const lab = new TcpLab().accept()
    let throws = true
    lab.app.onReadableHook = () => {
      if (throws) throw new Error('mine')
    }
    expect(() => lab.inject('P. 1:11(10) ack 1')).toThrow('mine')
    throws = false
    lab.run()
    lab.advance(50)
    expect(lab.take().at(-1)!.text).toContain('ack 11')
    lab.inject('P. 11:21(10) ack 1')
    expect(lab.app.received).toBe(20)
    lab.write(5)
    expect(lab.take().at(-1)!.text).toContain('1:6(5)')
  })
})

describe('what arrived before the end', () => {
  it('is still read when data and a reset come in one batch, then the error is told', () => {
    const lab = new TcpLab().accept()
    lab.inject('. 1:101(100) ack 1', { hold: true })
    lab.inject('R 101:101(0)')
    expect(lab.app.received).toBe(100)
    expect(lab.app.take()).toEqual(['readable', 'close ECONNRESET'])
    expect(lab.stack.pool.inUse).toBe(0)
  })
})
