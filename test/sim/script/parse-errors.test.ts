/** What is no script: where it is wrong and what should have stood there. And what is one that cannot be played. */
import { describe, expect, it } from 'vitest'
import { parse } from '../../../src/sim/script/parse.ts'
import { ScriptError, Unsupported } from '../../../src/sim/script/problem.ts'

function error(text: string): Error {
  try {
    parse(text, { file: 'a.pkt' })
  } catch (e) {
    return e as Error
  }
  throw new Error('it was parsed')
}

describe('errors', () => {
  it('show file, line, column, the line and a caret', () => {
    expect(error('\n  0 socket(..., 5 = 3').message).toBe(
      "a.pkt:2:19: expected ',' or ')', found '= 3'\n  0 socket(..., 5 = 3\n                  ^",
    )
    expect(error('\t+0 < S 0:5(4) win 1').message).toBe(
      'a.pkt:1:9: sequence numbers 0:5 do not span 4 bytes\n\t+0 < S 0:5(4) win 1\n\t       ^',
    )
  })

  it.each([
    ['close(3) = 0', "1:1: expected a time ('0.1', '+0.1', '*')"],
    ['0', '1:2: expected a packet, a system call, a command or code, found the end of the script'],
    ['-1 close(3) = 0', 'a time cannot be negative'],
    ['+x close(3) = 0', '1:2: expected seconds'],
    ['0 close(3)', "expected '=' and the result of the call"],
    ['0 close(3) = ', 'expected an argument'],
    ['0.5...0.2 close(3) = 0', 'the call returns before it begins'],
    ['0.2~0.1 > . 1:1(0) ack 1', 'ends before it begins'],
    ['* close(3) = 0', "'*' is for outbound packets"],
    ['* < . 1:1(0) ack 1', "'*' is for outbound packets"],
    ['+0~+1 < . 1:1(0) ack 1', 'a range of times is for outbound packets'],
    ['0~+1 > . 1:1(0) ack 1', 'from an absolute to a relative time'],
    ['0 < Q 0:0(0) win 1', "1:5: 'Q' is no flag of TCP"],
    ['0 < 55. 0:0(0) win 1', 'the ACE field twice'],
    ['0 < S', "expected a sequence number ('1:1001(1000)'), found the end"],
    ['0 < S 0-0(0)', "expected ':'"],
    ['0 < S 0:0(70000)', 'a length 70000 is out of range'],
    ['0 < S 0:0(0) win 65536', 'a window 65536 is out of range'],
    ['0 < S 0:0(0) win 1 <mss>', 'expected a segment size'],
    ['0 < S 0:0(0) win 1 <nop nop>', "expected ',' or '>'"],
    ['0 < S 0:0(0) win 1 <foo>', 'expected an option of TCP'],
    ['0 < S 0:0(0) win 1 <...>', '<...> is for outbound packets'],
    ['0 < S 0:0(0) win 1 <FO 123>', 'a cookie is an even number of hexadecimal digits'],
    ['0 < S 0:0(0) win 1 <md5 xy>', 'a digest is an even number of hexadecimal digits'],
    ['0 < S 0:0(0) win 1 <TS val 5>', "expected 'ecr'"],
    ['0 < S 0:0(0) win 1 <sack 5>', "expected ':'"],
    ['0 < S 0:0(0) win 1 <ECN e0b 1 e1b 1>', 'the counters of this option come as e0b, ceb, e1b'],
    ['0 < S 0:0(0) win 1 <ECN e0b 16777216>', 'a counter of 24 bits 16777216 is out of range'],
    ['0 < [ect01] S 0:0(0) win 1', 'ect01 is for outbound packets'],
    ['0 > [what] S 0:0(0)', "expected 'ect0', 'tos', 'ttl' or another key of IP"],
    ['0 > [dscp af55] S 0:0(0)', 'expected a code point'],
    ['0 > [ect0 S 0:0(0)', "expected 'ect0'"],
    ['0 < icmp', 'expected a type of ICMP'],
    ['0 < [1:1(0)] . 1:1(0) ack 1 win 1', "expected 'icmp'"],
    ['0 f({a=1) = 0', "expected ',' or '}'"],
    ['0 f("abc) = 0', 'a text without its end'],
    ['0 `sysctl', 'a command without its end'],
    ['0 %{ assert 1 ', 'code without its end'],
    ['/* for ever', 'a comment without its end'],
    ['--=5', 'expected an option'],
    ['--define=5', '--define=NAME=value'],
    ['#ifdef A\n', 'a.pkt:1:1: a condition without #endif'],
    ['\n#else', 'a.pkt:2:1: #else without #ifdef'],
    ['#endif', '#endif without #ifdef'],
    ['#ifdef A\n#else\n#else\n#endif', 'a second #else'],
    ['#ifdef', '#ifdef without a name'],
    ['#include "x"', '#include is not known'],
  ])('%s', (text, message) => {
    const e = error(text)
    expect(e).toBeInstanceOf(ScriptError)
    expect(e.message).toContain(message)
    expect(e.message).toMatch(/^a\.pkt:\d+:\d+: .*\n.*\n *\^$/)
  })
})

describe('what is not supported is said, with its place', () => {
  it.each([
    ['0 < ipv4 2.2.2.2 > 1.1.1.1: . 1:1(0) ack 1 win 1', 'IP in IP'],
    ['0 < gre: . 1:1(0) ack 1 win 1', 'GRE'],
    ['0 < mpls (label 1, tc 1, ttl 1): . 1:1(0) ack 1 win 1', 'MPLS'],
    ['0 < sctp: INIT[flgs=0]', 'SCTP'],
    ['0 < encap psp spi 12 . 1:1(0) ack 1 win 1', 'PSP'],
    ['0 socket(..., SOCK_STREAM, IPPROTO_SCTP) = 3', 'SCTP'],
    ['0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_MPTCP) = 3', 'MPTCP'],
    ['0 < [ect0] 5 > 6 udplite (5)', 'UDP-Lite'],
    ['0 < icmp unreachable [sctp(tag=1)]', 'SCTP'],
    ['0 < . 1:1(0) ack 1 win 1 {mut ipv4 ihl}', 'fuzzing'],
    ['0 < S 0:0(0) win 1 <mpcapable v1 flags[flag_h] nokey>', 'TCP option mpcapable'],
    ['0 < S 0:0(0) win 1 <FO TFO_COOKIE_OTHER>', 'TFO_COOKIE_OTHER is not defined'],
    ['0 < icmp unreachable OTHER_CODE [1:1(0)]', 'OTHER_CODE is not defined'],
    ['0 setsockopt(3, SOL_IP, X, {(label 1, tc 1, ttl 1)}, 4) = 0', 'MPLS'],
    ['0 `iptables -A INPUT`', 'command: iptables -A INPUT'],
    ['0 `sysctl net.ipv4.tcp_no_such=1`', 'sysctl net.ipv4.tcp_no_such'],
    ['0 %{ for x in y: pass }%', 'code: for x in y: pass'],
    ['0 %{ import os }%', 'code: import os'],
  ])('%s', (text, message) => {
    const e = error(`\n${text}`)
    expect(e).toBeInstanceOf(Unsupported)
    expect(e.message).toContain(message)
    expect((e as Unsupported).position?.line).toBe(2)
  })
})
