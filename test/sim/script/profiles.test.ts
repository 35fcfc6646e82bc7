import { describe, expect, it } from 'vitest'
import { runScript } from '../../../src/sim/script/script.ts'

const CONNECTED = `
 0.00 \`sysctl -w net.inet.tcp.ecn.enable=2\`
+0.00 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0.00 fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0
+0.00 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [65536], [4]) = 0
+0.00 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0.00 > S  0:0(0)       win 65535 <mss 1460,nop,wscale 6,sackOK,TS val 100 ecr 0>
+0.10 < S. 0:0(0) ack 1 win 32767 <mss 1460,sackOK,eol,eol>
+0.00 >  . 1:1(0) ack 1 win 65535
+0.00 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [65700], [4]) = 0
`

function passes(text: string): void {
  expect(runScript(text, { file: 'test.pkt' })).toEqual({ result: 'passed' })
}

describe('the profile freebsd', () => {
  it('is taken where a script sets its variables, and fails scripts of another system', () => {
    passes(CONNECTED)
    expect(runScript(CONNECTED, { profile: 'linux' }).result).toBe('failed')
  })

  it('counts FINs and data as BSD: the window stays while there is room, an ACK repeats our FIN', () => {
    passes(`${CONNECTED}
+0.00 < P. 1:11(10) ack 1 win 32767
+0.10 >  . 1:1(0) ack 11 win 65535
+0.00 shutdown(3, SHUT_WR) = 0
+0.00 > F. 1:1(0) ack 11 win 65535
+0.10 < F. 11:11(0) ack 1 win 32767
+0.00 > F. 1:1(0) ack 12 win 65535
+0.10 < .  12:12(0) ack 2 win 32767
+0.10 \`sockstat -4 -P tcp -s | grep packetdril | grep -c TIME_WAIT | grep 1\``)
  })

  it('accepts what the buffer has room for, and challenges a reset there', () => {
    passes(`${CONNECTED}
+0.00 < R 65701:65701(0) win 32767
+0.00 < R 65700:65700(0) win 32767
+0.00 > . 1:1(0) ack 1 win 65535
+0.00 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0`)
  })

  it('insecure_rst and insecure_syn: what is inside the window ends the connection', () => {
    passes(`${CONNECTED}
+0.00 \`sysctl -w net.inet.tcp.insecure_rst=1\`
+0.00 < R 65700:65700(0) win 32767
+0.00 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNRESET], [4]) = 0`)
    passes(`${CONNECTED}
+0.00 \`sysctl -w net.inet.tcp.insecure_syn=1\`
+0.00 < S 1:1(0) win 32767 <mss 1460>
+0.00 > R. 1:1(0) ack 1 win 0
+0.00 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNRESET], [4]) = 0`)
  })

  it('insecure_syn: TIME-WAIT answers with a reset, and stays', () => {
    passes(`${CONNECTED}
+0.00 \`sysctl -w net.inet.tcp.insecure_syn=1\`
+0.00 shutdown(3, SHUT_WR) = 0
+0.00 > F. 1:1(0) ack 1 win 65535
+0.10 < F. 1:1(0) ack 2 win 32767
+0.00 >  . 2:2(0) ack 2 win 65535
+0.10 < S  2:2(0) win 32767 <mss 1460>
+0.00 > R. 2:2(0) ack 2 win 0
+0.10 \`sockstat -4 -P tcp -s | grep packetdril | grep -c TIME_WAIT | grep 1\``)
  })

  it('gives up a handshake when TCP_KEEPINIT says', () => {
    passes(`
 0.00 \`sysctl -w net.inet.tcp.ecn.enable=2\`
+0.00 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0.00 fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0
+0.00 setsockopt(3, IPPROTO_TCP, TCP_KEEPINIT, [5], 4) = 0
+0.00 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0.00 > S 0:0(0) win 65535 <...>
+1.00 > S 0:0(0) win 65535 <...>
+2.00 > S 0:0(0) win 65535 <...>
+1.90 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0
+0.20 getsockopt(3, SOL_SOCKET, SO_ERROR, [ETIMEDOUT], [4]) = 0`)
  })

  it('an ICMP error counts only if it quotes what was sent', () => {
    passes(`
 0.00 \`sysctl -w net.inet.tcp.icmp_may_rst=1\`
+0.00 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0.00 fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0
+0.00 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0.00 > S  0:0(0) win 65535 <...>
+0.10 < [4294967295:4294967295(0)] icmp unreachable port_unreachable
+0.00 < [1:1(0)] icmp unreachable port_unreachable
+0.10 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0
+0.10 < [0:0(0)] icmp unreachable port_unreachable
+0.10 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0`)
  })

  it('compares what is echoed of the peer', () => {
    const text = `
 0.00 \`sysctl -w net.inet.tcp.ecn.enable=2\`
+0.00 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0.00 fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0
+0.00 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0.00 > S  0:0(0)       win 65535 <mss 1460,nop,wscale 6,sackOK,TS val 100 ecr 0>
+0.10 < S. 0:0(0) ack 1 win 32767 <mss 1460,TS val 7 ecr 100>
+0.00 >  . 1:1(0) ack 1 win 65535 <nop,nop,TS val 200 ecr ECHO>`
    passes(text.replace('ECHO', '7'))
    expect(runScript(text.replace('ECHO', '8')).reason).toContain('TS ecr: expected 8, got 7')
  })
})

describe('the profile rfc', () => {
  it('waits a second before it sends again', () => {
    const text = `
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 bind(3, ..., ...) = 0
   +0 listen(3, 1) = 0
   +0 < S 0:0(0) win 32792 <mss 1000>
   +0 > S. 0:0(0) ack 1 <mss 1460>
 +.01 < . 1:1(0) ack 1 win 9000
   +0 accept(3, ..., ...) = 4
   +0 write(4, ..., 100) = 100
   +0 > P. 1:101(100) ack 1
  +1~+1.1 > P. 1:101(100) ack 1`
    expect(runScript(text, { profile: 'rfc' })).toEqual({ result: 'passed' })
    expect(runScript(text, { profile: 'linux' }).result).toBe('failed')
  })
})
