/** Whatever a text is, the parser ends, and says so in one of its two ways. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parse } from '../../../src/sim/script/parse.ts'
import { ScriptError, Unsupported } from '../../../src/sim/script/problem.ts'

/** One of everything. */
const SAMPLE = `${readFileSync(new URL('../../../examples/handshake.pkt', import.meta.url), 'utf8')}
#ifdef Linux
*  > [ect0, ttl 5] SEWA 1:2(1)! ack 3 win 4 urg 5 <mss 1,wscale 2,TS val ... ecr 4!,sack 1:2 3:4,FO 01,md5 valid,ECN e1b 1 ceb 2,eol>
#else
+0~+.1 > (dscp ef, ecn ce) 5. ...(1) ack 1 <...>
#endif
+0...1 < [1:1(0)] icmp unreachable frag_needed mtu 5
+0 < 1 > 2 udp (5)
+0 recvmsg(3, {msg_name(...)=..., msg_iov(1)=[{..., 5}], msg_flags=A|B}, "a\\x00" "b"...) = -1 EAGAIN (Try again)
+0 \`sysctl -q net.ipv4.tcp_rmem="1 $((2*3)) 4" # why
ip route add 1.2.3.4 mtu lock 5; nstat | grep TcpExtX\`
+0 %{
if 1 <= tcpi_rtt < 2 and not (3 & 4):
  x = -1 if y else 'a%d' % (5,)
assert x in [1, 2], "m"
}%
`
const PIECES = [
  '`',
  '%{',
  '}%',
  '/*',
  '*/',
  '"',
  '{',
  '}',
  '[',
  ']',
  '(',
  ')',
  '<',
  '>',
  '...',
  '~',
  '+',
  '-',
  '=',
  '#if',
  '\n',
  '\\',
  '$((',
  '0x',
  '|',
]

function reads(text: string): void {
  try {
    parse(text)
  } catch (error) {
    if (!(error instanceof ScriptError || error instanceof Unsupported)) throw error
    expect(error.message).not.toBe('')
  }
}

it('of a sample with pieces cut out, put in and moved', () => {
  const edit = fc.record({ at: fc.nat(SAMPLE.length), cut: fc.nat(12), put: fc.constantFrom('', ...PIECES) })
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let text = SAMPLE
      for (const { at, cut, put } of edits) text = text.slice(0, at) + put + text.slice(at + cut)
      reads(text)
    }),
    { numRuns: 3000, seed: 7 },
  )
})

it('of any characters', () => {
  const word = fc.oneof(
    fc.constantFrom(...PIECES, '0', '+0', 'S.', '1:1(0)', 'ack', 'f(', '%{ assert'),
    fc.string({ maxLength: 5 }),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 30 }), (words) => reads(`0 ${words.join(' ')}`)),
    { numRuns: 3000, seed: 7 },
  )
})

it('of brackets in brackets', () => {
  for (const [open, close] of ['[]', '()', '{}']) reads(`0 f(${open.repeat(50_000)}1${close.repeat(50_000)}) = 0`)
  for (const piece of ['(', '[', '- ', 'not ', 'f(']) reads(`0 %{ assert ${piece.repeat(50_000)} }%`)
  reads(`0 f(${'a='.repeat(50_000)}1) = 0`)
  reads(`0 %{ ${'if 1: '.repeat(20_000)} x = 1 }%`)
  reads(`0 %{ x = ${'1 if 2 else '.repeat(20_000)} 1 }%`)
  reads(`0 f(${'A|'.repeat(50_000)}B) = 0`)
  reads(`0 %{ x = ${'1 + '.repeat(50_000)} 1 }%`)
  reads(`0 %{ x = ${'2 ** '.repeat(20_000)} 1 }%`)
})

it('of every beginning of the sample', () => {
  for (let n = 0; n < SAMPLE.length; n++) reads(SAMPLE.slice(0, n))
})
