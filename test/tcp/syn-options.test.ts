/** The order of options in a SYN (RFC 9293 section 3.2): Linux's and FreeBSD's, whole and in every part, and what is no order. */
import { describe, expect, it } from 'vitest'
import { defaults } from '../../src/base/config.ts'
import { Bare } from '../../src/tcp/output.ts'
import { SynOptions } from '../../src/tcp/syn-options.ts'
import { TcpLab } from '../support/tcp-lab.ts'

const LINUX = defaults().tcp.synOptions
const FREEBSD = 'mss | nop wscale | sackOK TS | nop nop TS | sackOK | FO | eol*'

const TS = '08 0a 00 00 01 00 00 00 02 00'

function write(order: string, o: Partial<Bare>, room?: number): string {
  const options = new SynOptions(order)
  const n = options.write(Object.assign(new Bare(), { tsVal: 0x100, tsEcr: 0x200 }, o), room)
  return [...options.bytes.subarray(0, n)].map((b) => b.toString(16).padStart(2, '0')).join(' ')
}

const ALL = { mss: 1460, sackPermitted: true, hasTimestamps: true, windowScale: 8 }
const NO_TS = { mss: 1460, sackPermitted: true, windowScale: 8 }

describe('the options of a SYN', () => {
  it.each([
    ['all', ALL, `02 04 05 b4 04 02 ${TS} 01 03 03 08`],
    ['no timestamps', NO_TS, '02 04 05 b4 01 01 04 02 01 03 03 08'],
    ['no SACK', { ...ALL, sackPermitted: false }, `02 04 05 b4 01 01 ${TS} 01 03 03 08`],
    ['MSS alone', { mss: 1460 }, '02 04 05 b4'],
    ['none', {}, ''],
  ])("Linux's: %s", (_what, o, bytes) => {
    expect(write(LINUX, o)).toBe(bytes)
  })

  it.each([
    ['all', ALL, `02 04 05 b4 01 03 03 08 04 02 ${TS}`],
    ['no timestamps', NO_TS, '02 04 05 b4 01 03 03 08 04 02 00 00'],
    ['no window scale', { ...ALL, windowScale: -1 }, `02 04 05 b4 04 02 ${TS}`],
    ['neither SACK', { ...ALL, sackPermitted: false }, `02 04 05 b4 01 03 03 08 01 01 ${TS}`],
  ])("FreeBSD's: %s", (_what, o, bytes) => {
    expect(write(FREEBSD, o)).toBe(bytes)
  })

  it("Fast Open's cookie: asked for, sent, in the old form, and left out where it does not fit", () => {
    const cookie = Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i)
    expect(write(LINUX, { mss: 1460, cookieLength: 0 })).toBe('02 04 05 b4 22 02 01 01')
    expect(write(LINUX, { mss: 1460, cookieLength: 8, cookie })).toBe('02 04 05 b4 22 0a a0 a1 a2 a3 a4 a5 a6 a7 01 01')
    expect(write(LINUX, { mss: 1460, cookieLength: 6, cookie })).toBe('02 04 05 b4 22 08 a0 a1 a2 a3 a4 a5')
    expect(write(LINUX, { mss: 1460, cookieLength: 0, cookieExperimental: true })).toBe('02 04 05 b4 fe 04 f9 89')
    expect(write(LINUX, { mss: 1460, cookieLength: 4, cookie, cookieExperimental: true })).toBe(
      '02 04 05 b4 fe 08 f9 89 a0 a1 a2 a3',
    )
    expect(write(LINUX, { ...ALL, cookieLength: 16, cookie }).split(' ').length).toBe(40)
    expect(write(LINUX, { ...ALL, cookieLength: 16, cookie }, 36)).toBe(write(LINUX, ALL))
  })

  it('what is no order is refused: unknown words, padding alone, an option without a place', () => {
    for (const order of ['', 'mss', `${LINUX} | sack`, `${LINUX} | nop nop`, 'mss | sackOK | TS | FO', 'constructor'])
      expect(() => new SynOptions(order)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })

  it("SYN and SYN-ACK follow the stack's order", () => {
    const lab = new TcpLab({ config: { tcp: { synOptions: FREEBSD } } })
    lab.listen()
    lab.inject('S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>')
    lab.expect('S. 0:0(0) ack 1 <mss 1460,wscale 7,sackOK,TS ecr 100>')
    lab.open()
    lab.expect('S 0:0(0) <mss 1460,wscale 7,sackOK,TS ecr 0>')
  })
})
