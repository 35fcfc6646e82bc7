/** runScript: one form for whatever became of a script. */
import { describe, expect, it } from 'vitest'
import { runScript } from '../../../src/sim.ts'

const CONNECT = `
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
`

describe('runScript', () => {
  it('passes, and has nothing more to say', () => {
    expect(runScript(`${CONNECT}+0 > S 0:0(0) <...>`)).toEqual({ result: 'passed' })
  })

  it('fails with the line, what was expected and what came', () => {
    const { result, reason, diff } = runScript(`${CONNECT}+0 > S 0:0(0) win 1 <...>`, { file: 'a.pkt' })
    expect([result, reason]).toEqual(['failed', 'a.pkt: line 5: win: expected 1, got 65535'])
    expect(diff).toMatch(/^expected: .*\n {2}actual: /)
  })

  it('fails what is no script, with the place', () => {
    expect(runScript('0 close(3', { file: 'a.pkt' })).toEqual({
      result: 'failed',
      reason: "a.pkt:1:10: expected ',' or ')', found the end of the script",
      diff: '0 close(3\n         ^',
    })
  })

  it('skips what cannot be played, with the reason', () => {
    expect(runScript(`\`iptables -F\`\n${CONNECT}`, { file: 'a.pkt' })).toEqual({
      result: 'skipped',
      reason: 'a.pkt: line 1: not supported: command: iptables -F',
    })
  })

  it('plays a script in the family that is asked for, unless it is for another', () => {
    const played = (text: string, ipVersion?: 'ipv4' | 'ipv6' | 'ipv4-mapped-ipv6') => runScript(text, { ipVersion }).result
    const say = (domain: string, mss: number): string =>
      `0 socket(${domain}, SOCK_STREAM, IPPROTO_TCP) = 3\n+0...0.1 connect(3, ..., ...) = 0\n+0 > S 0:0(0) <mss ${mss},sackOK,TS val 1 ecr 0,nop,wscale 8>\n+.1 < S. 0:0(0) ack 1 win 1000 <mss 1000>\n+0 > . 1:1(0) ack 1`
    expect(played(say('...', 1460))).toBe('passed')
    // As run_all.py has it: 20 bytes more for the larger header.
    expect(played(say('AF_INET6', 1460), 'ipv6')).toBe('passed')
    expect(played(`--mtu=1300\n${say('...', 1260)}`, 'ipv6')).toBe('passed')
    expect(played(`--ip_version=ipv6\n${say('...', 1440)}`)).toBe('passed')
    expect(played(`--ip_version=ipv6\n${say('...', 1440)}`, 'ipv6')).toBe('passed')
    expect(played(say('AF_INET6', 1460), 'ipv4-mapped-ipv6')).toBe('passed')
    expect(played(`--ip_version=ipv4\n${say('...', 1460)}`, 'ipv6')).toBe('skipped')
    expect(played(say('...', 1440), 'ipv6')).toBe('failed')
  })

  it('throws for arguments that are none', () => {
    const call = runScript as (...args: unknown[]) => unknown
    expect(() => call(undefined)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
    expect(() => call(CONNECT, { profile: 'plan9' })).toThrow(/plan9, known: linux, freebsd, rfc/)
    expect(() => call(CONNECT, { profile: 'toString' })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })

  it('an empty script shows nothing', () => {
    expect(runScript('// nothing\n', { file: 'a.pkt' })).toEqual({
      result: 'skipped',
      reason: 'a.pkt: no event to play with profile linux',
    })
  })

  it('only reads what says so', () => {
    expect(runScript(`--dry_run // no more\n${CONNECT}+0 > R 9:9(0)`)).toEqual({ result: 'passed' })
    expect(runScript('--dry_run\n0 nothing').result).toBe('failed')
  })

  it('finds the profile in the script, unless it is given', () => {
    const freebsd = '+0 > S 0:0(0) win 65535 <mss 1460,nop,wscale 6,sackOK,TS val 100 ecr 0>'
    const linux = '+0 > S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>'
    expect(runScript(CONNECT + freebsd)).toEqual({ result: 'passed' })
    expect(runScript(CONNECT + linux)).toEqual({ result: 'passed' })
    const synAck =
      '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n+0 < S 0:0(0) win 9 <mss 1460,sackOK>\n'
    expect(runScript(`${synAck}+0 > [noecn] S. 0:0(0) ack 1 <mss 1460, sackOK, eol, eol>`)).toEqual({ result: 'passed' })
    expect(runScript(`${synAck}+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK>`)).toEqual({ result: 'passed' })
    expect(runScript(`0 \`sysctl -w net.inet.tcp.rfc1323=1\`\n${CONNECT}${linux}`).result).toBe('failed')
    expect(runScript(CONNECT + freebsd, { profile: 'linux' }).result).toBe('failed')
    expect(runScript(CONNECT + linux, { profile: 'freebsd' }).result).toBe('failed')
  })

  it('takes definitions, options, files, config and a watcher', () => {
    const seen: string[] = []
    const text = `\`./set.sh\`\n${CONNECT}+0 > S 0:0(0) <mss SIZE,nop,nop,sackOK,nop,wscale 2>`
    const outcome = runScript(text, {
      defines: { SIZE: '960' },
      options: { mtu: '1000' },
      includes: (path) => (path === './set.sh' ? 'sysctl net.ipv4.tcp_timestamps=0' : null),
      config: { tcp: { receiveBufferInitialBytes: 200_000, receiveBufferMaxBytes: 200_000 } },
      watch: (line) => seen.push(line),
    })
    expect(outcome).toEqual({ result: 'passed' })
    expect(seen.at(-1)).toBe('0.000000 > S 0:0(0) <mss SIZE,nop,nop,sackOK,nop,wscale 2>')
  })

  it('ends the same way each time', () => {
    const text = `${CONNECT}+0 > S 0:0(0) <...>\n+1 > S 0:0(0) <...>\n+2.2 > S 0:0(0) <...>`
    expect(runScript(text)).toEqual(runScript(text))
    expect(runScript(text, { seed: 5 })).toEqual(runScript(text, { seed: 6 }))
  })
})
