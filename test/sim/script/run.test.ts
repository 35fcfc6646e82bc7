import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../../src/sim/script/ast.ts'
import { parse } from '../../../src/sim/script/parse.ts'
import { PROFILES } from '../../../src/sim/script/profiles.ts'
import { type RunOptions, run } from '../../../src/sim/script/run.ts'

function play(text: string, options: RunOptions = {}): Outcome {
  return run(parse(text, { file: 'test.pkt' }), options)
}

const LISTEN = `
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
   +0 bind(3, ..., ...) = 0
   +0 listen(3, 1) = 0
`
const ACCEPT = `${LISTEN}
   +0 < S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>
   +0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 8>
 +.01 < . 1:1(0) ack 1 win 257
   +0 accept(3, ..., ...) = 4
`
const CONNECT = `
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
   +0 > S 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>
 +.02 < S. 0:0(0) ack 1 win 5792 <mss 1460,sackOK,TS val 700 ecr 100,nop,wscale 7>
   +0 > . 1:1(0) ack 1 <nop,nop,TS val 120 ecr 700>
`
const LINUX: RunOptions = { config: { tcp: { receiveBufferMaxBytes: 15 << 20 } } }

describe('scripts that are right', () => {
  it('passes a handshake, data and the end, passively', () => {
    const outcome = play(`${ACCEPT}
   +0 write(4, ..., 2500) = 2500
   +0 > P. 1:2501(2500) ack 1
 +.01 < . 1:1(0) ack 2501 win 257
   +0 < P. 1:501(500) ack 2501 win 257
   +0 > . 2501:2501(0) ack 501
   +0 read(4, ..., 1000) = 500
   +0 close(4) = 0
   +0 > F. 2501:2501(0) ack 501
 +.01 < F. 501:501(0) ack 2502 win 257
   +0 > . 2502:2502(0) ack 502
`)
    expect(outcome).toEqual({ result: 'passed' })
  })

  it('passes an active open with timestamps, and maps what the peer echoes', () => {
    const outcome = play(`${CONNECT}
   +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0
   +0 write(3, ..., 100) = 100
   +0 > P. 1:101(100) ack 1 <nop,nop,TS val 120 ecr 700>
 +.02 < . 1:1(0) ack 101 win 257 <nop,nop,TS val 720 ecr 120>
   +0 %{ assert tcpi_unacked == 0; assert tcpi_rtt == 20000, tcpi_rtt }%
`)
    expect(outcome).toEqual({ result: 'passed' })
  })

  it('takes segments for the one packet that they are, and the other way round', () => {
    const outcome = play(`${ACCEPT}
   +0 write(4, ..., 5000) = 5000
   +0 > . 1:1001(1000) ack 1
   +0 > P. 1001:4001(3000) ack 1
   +0 > P. 4001:5001(1000) ack 1
`)
    expect(outcome).toEqual({ result: 'passed' })
  })

  it('lets Linux push in the middle of a stream, at full segments only', () => {
    const text = `${ACCEPT}
   +0 write(4, ..., 2500) = 2500
   +0 > P. 1:1001(1000) ack 1
   +0 > . 1001:2001(1000) ack 1
   +0 > P. 2001:2501(500) ack 1
`
    expect(play(text)).toEqual({ result: 'passed' })
    expect(play(text, { profile: { ...PROFILES.linux, pushesInStream: false } }).reason).toContain('flags: expected P., got .')
    expect(play(text.replace('P. 2001', '. 2001')).reason).toContain('flags: expected ., got P.')
  })

  it('maps sequence numbers of both sides, absolute in SYNs', () => {
    const outcome = play(`
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
   +0 > S 7000:7000(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>
   +0 < S. 4294967290:4294967290(0) ack 7001 win 5792 <mss 1460>
   +0 > . 1:1(0) ack 1
   +0 < . 1:11(10) ack 1 win 5792
   +0 < . 21:31(10) ack 1 win 5792
   +0 > . 1:1(0) ack 11
   *  > . 1:1(0) ack 11
`)
    expect(outcome).toEqual({ result: 'passed' })
  })

  it('compares SACK blocks as the script writes them', () => {
    const outcome = play(`${ACCEPT}
   +0 < . 1001:2001(1000) ack 1 win 257
   +0 > . 1:1(0) ack 1 <nop,nop,sack 1001:2001>
   +0 < . 3001:4001(1000) ack 1 win 257
   +0 > . 1:1(0) ack 1 <nop,nop,sack 3001:4001 1001:2001>
`)
    expect(outcome).toEqual({ result: 'passed' })
  })

  it('lets a call block until something happens, while the script goes on', () => {
    const outcome = play(`${LISTEN}
   +0...0.3 accept(3, ..., ...) = 4
  +.1 < S 0:0(0) win 32792 <mss 1000>
   +0 > S. 0:0(0) ack 1 <mss 1460>
  +.2 < . 1:1(0) ack 1 win 257
   +0...0.1 read(4, ..., 10) = 10
  +.1 < P. 1:11(10) ack 1 win 257
   +0 > . 1:1(0) ack 11
`)
    expect(outcome).toEqual({ result: 'passed' })
  })

  it('waits for a packet that may come in a range of time, or whenever', () => {
    const outcome = play(`${ACCEPT}
   +0 write(4, ..., 100) = 100
   +0 > P. 1:101(100) ack 1
 +.2~+.4 > P. 1:101(100) ack 1
   *  > P. 1:101(100) ack 1
`)
    expect(outcome).toEqual({ result: 'passed' })
  })

  it('resets what nobody listens to', () => {
    const outcome = play(`
   0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
  +0 bind(3, ..., ...) = 0
  +0 < . 17:20(3) ack 34 win 32767
  +0 > R 34:34(0) win 0
  +0 < S 0:0(0) win 32767
  +0 > R. 0:0(0) ack 1 win 0
`)
    expect(outcome).toEqual({ result: 'passed' })
  })

  it('tells an error of a refused connection once', () => {
    const outcome = play(`
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
   +0 connect(3, ..., ...) = -1 EALREADY (Operation already in progress)
   +0 > S 0:0(0) <...>
   +0 < R. 0:0(0) ack 1 win 0
   +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0
   +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0
`)
    expect(outcome).toEqual({ result: 'passed' })
  })

  it('quotes a packet of ours in an ICMP error, with its live numbers', () => {
    const outcome = play(`${ACCEPT}
   +0 write(4, ..., 1000) = 1000
   +0 > P. 1:1001(1000) ack 1
   +0 < icmp unreachable frag_needed mtu 900 [1:1001(1000)]
   +0 > . 1:861(860) ack 1
   +0 > P. 861:1001(140) ack 1
`)
    expect(outcome).toEqual({ result: 'passed' })
  })
})

describe('scripts that are wrong fail, and say why', () => {
  const failing: [name: string, text: string, reason: string][] = [
    ['sequence number', `${ACCEPT}\n+0 write(4, ..., 10) = 10\n+0 > P. 2:12(10) ack 1`, 'seq: expected 2, got 1'],
    ['acknowledgment', `${ACCEPT}\n+0 < . 1:11(10) ack 1 win 257\n+0 > . 1:1(0) ack 12`, 'ack: expected 12, got 11'],
    ['length', `${ACCEPT}\n+0 write(4, ..., 10) = 10\n+0 > P. 1:6(5) ack 1`, 'payload: expected 5, got 10'],
    ['flags', `${ACCEPT}\n+0 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 1`, 'flags: expected ., got P.'],
    ['window', `${ACCEPT}\n+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 win 3`, 'win: expected 3, got'],
    [
      'option',
      `${LISTEN}\n+0 < S 0:0(0) win 1000 <mss 1000>\n+0 > S. 0:0(0) ack 1 <mss 1450>`,
      'TCP options: expected <mss 1450>',
    ],
    [
      'one option more',
      `${LISTEN}\n+0 < S 0:0(0) win 1000 <mss 1000>\n+0 > S. 0:0(0) ack 1 <mss 1460,nop>`,
      'TCP options: expected',
    ],
    ['too early', `${ACCEPT}\n+0 write(4, ..., 10) = 10\n+.1 > P. 1:11(10) ack 1`, 'timing error: expected outbound packet'],
    [
      'too late',
      `${ACCEPT}\n+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n+0 > P. 1:11(10) ack 1`,
      'timing error: expected outbound packet',
    ],
    ['missing', `${ACCEPT}\n+0 > P. 1:11(10) ack 1`, 'no packet came'],
    [
      'one more',
      `${ACCEPT}\n+0 write(4, ..., 1001) = 1001\n+0 > . 1:1001(1000) ack 1\n+.5 write(4, ..., 9) = 9\n+0 > P. 1002:1011(9) ack 1`,
      'payload: expected 9, got 1',
    ],
    ['ECN bits', `${ACCEPT}\n+0 write(4, ..., 10) = 10\n+0 > [ect0] P. 1:11(10) ack 1`, 'ecn: expected ect0, got noecn'],
    ['result', `${ACCEPT}\n+0 write(4, ..., 10) = 11`, 'write: expected result 11, got 10'],
    [
      'errno',
      `${ACCEPT}\n+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 read(4, ..., 10) = -1 EINTR (no)`,
      'read: expected errno EINTR, got EAGAIN',
    ],
    ['error in place of a result', `${LISTEN}\n+0 connect(3, ..., ...) = 0`, 'connect: expected result 0, got -1 EISCONN'],
    ['assertion', `${ACCEPT}\n+0 %{ assert tcpi_snd_cwnd == 11, tcpi_snd_cwnd }%`, 'tcpi_snd_cwnd'],
    [
      'call that returns too late',
      `${LISTEN}\n+0...0.1 accept(3, ..., ...) = 4\n+.3 < S 0:0(0) win 99 <mss 1000>\n+0 > S. 0:0(0) ack 1 <mss 1460>\n+0 < . 1:1(0) ack 1 win 99`,
      'system call return',
    ],
    ['call that never returns', `${LISTEN}\n+0...0.1 accept(3, ..., ...) = 4`, 'accept does not return'],
    [
      'option value',
      `${ACCEPT}\n+0 getsockopt(4, IPPROTO_TCP, TCP_NODELAY, [1], [4]) = 0`,
      'getsockopt TCP_NODELAY: expected 1, got 0',
    ],
    [
      'echo that nobody can know',
      `${CONNECT}\n+0 < . 1:2(1) ack 1 win 9 <nop,nop,TS val 701 ecr 99>`,
      'unable to infer live TS ecr',
    ],
  ]
  it.each(failing)('%s', (_, text, reason) => {
    const outcome = play(text, LINUX)
    expect(outcome.result).toBe('failed')
    expect(outcome.reason).toContain(reason)
    expect(outcome.reason).toMatch(/^test\.pkt: line \d+: /)
  })

  it('shows the packet that was expected, and the one that came, as packetdrill writes them', () => {
    const { diff } = play(`${ACCEPT}\n+0 write(4, ..., 10) = 10\n+0 > . 1:10(9) ack 1 win 257`, LINUX)
    expect(diff).toBe('expected: 0.010000 > . 1:10(9) ack 1 win 257\n  actual: 0.010000 > P. 1:11(10) ack 1 win 1055')
  })
})

describe('scripts that cannot be played are skipped, never passed', () => {
  const skipped: [text: string, reason: string][] = [
    ['--ip_version=ipv5\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3', 'ipv5'],
    ['0 socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) = 3', 'sockets of AF_INET6 are not played with ipv4'],
    ['--ip_version=ipv6\n--local_ip=10.0.0.1\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3', 'no address of ipv6'],
    ['--no_such_option=1\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3', 'no_such_option'],
    ['0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3', 'SOCK_DGRAM'],
    ['0 splice(3, 4) = 0', 'splice'],
    [`${LISTEN}\n+0 setsockopt(3, SOL_TCP, TCP_ULP, [1], 4) = 0`, 'TCP_ULP'],
    [`${ACCEPT}\n+0 %{ assert tcpi_no_such == 1 }%`, 'tcpi_no_such'],
  ]
  it.each(skipped)('%s', (text, reason) => {
    const outcome = play(text)
    expect(outcome.result).toBe('skipped')
    expect(outcome.reason).toContain(reason)
  })
})
