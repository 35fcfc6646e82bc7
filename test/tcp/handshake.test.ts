/** Opening: RFC 9293 sections 3.5, 3.10.7.1 to 3.10.7.3; RFC 6298 section 5.7. */
import { describe, expect, it } from 'vitest'
import { TcpLab } from '../support/tcp-lab.ts'

describe('active open (RFC 9293 section 3.5, figure 6)', () => {
  it('sends SYN with all options, acknowledges the SYN-ACK, is told', () => {
    const lab = new TcpLab()
    lab.open()
    lab.expect('S 0:0(0) win 65535 <mss 1460,sackOK,TS ecr 0,wscale 7>')
    expect(lab.state).toBe('SYN-SENT')
    lab.inject('S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 100 ecr 1,nop,wscale 7>')
    lab.expect('. 1:1(0) ack 1 <TS ecr 100>')
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.app.take()).toEqual(['connect', 'writable'])
  })
})
describe('passive open (RFC 9293 section 3.5, figure 6)', () => {
  it('answers a SYN with the options the peer offered', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>')
    lab.expect('S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS ecr 100,wscale 7>')
    lab.inject('. 1:1(0) ack 1 win 512 <nop,nop,TS val 101 ecr 1>')
    lab.expect()
    expect(lab.state).toBe('ESTABLISHED')
  })
})
